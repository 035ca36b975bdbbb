"""The written-out arithmetic: the layer's own numbers, and LaTeX that means them."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as some

from normlib import normalize
from normlib.config import TrainConfig
from pages.lab import arithmetic as steps
from pages.lab import backward as backward_steps

TABLE = steps.parse_table(steps.TABLES["default"], (4,), 3)
CONVOLUTION = np.random.default_rng(1).normal(3.0, 2.0, (3, 2, 2, 4))
EPSILON = 1e-3
GAMMA, BETA = np.array([0.5, -2.0, 3.0]), np.array([1.0, 0.0, -1.0])


def evaluated(latex: str) -> float:
    """What a line of the written-out arithmetic comes to: its middle, between the equals signs."""
    text = re.split(r"=|\\approx", latex)[1]
    text = text.replace(r"\begin{gathered}", "").replace(r"\end{gathered}", "")
    text = text.replace(r"\\ {}", "").replace(r"\cdot", "*")
    for _ in range(3):
        text = re.sub(r"\^\{([^{}]*)\}", r"**(\1)", text)
        text = re.sub(r"\\sqrt\{([^{}]*)\}", r"(\1)**0.5", text)
        text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", text)
    return float(eval(text.replace("^", "**"), {"__builtins__": {}}))


@pytest.mark.parametrize("method", ["batch", "layer", "rms"])
def test_the_steps_end_in_what_the_layer_gives(method):
    seen = steps.normalization_steps(method, TABLE, GAMMA, BETA, EPSILON)
    x, gamma, beta = (tf.constant(a, tf.float64) for a in (TABLE, GAMMA, BETA))
    wanted = {
        "batch": lambda: normalize.batch_norm(x, gamma, beta, EPSILON),
        "layer": lambda: normalize.layer_norm(x, gamma, beta, EPSILON),
        "rms": lambda: normalize.rms_norm(x, gamma, EPSILON),
    }[method]().numpy()
    np.testing.assert_allclose(seen.z, wanted, rtol=1e-14)


@pytest.mark.parametrize("method", ["batch", "layer", "group", "instance", "rms"])
def test_lit_cells_are_the_averaged_ones(method):
    """The mean of the lit numbers is the mean on screen; and only they move the chosen z."""
    seen = steps.normalization_steps(method, CONVOLUTION, epsilon=EPSILON, groups=2)
    cell = (1, 0, 1, 2)
    lit = seen.shares(cell)
    if method == "rms":
        assert seen.variance[cell] == pytest.approx(np.mean(CONVOLUTION[lit] ** 2))
    else:
        assert seen.mean[cell] == pytest.approx(CONVOLUTION[lit].mean())
        assert seen.variance[cell] == pytest.approx(CONVOLUTION[lit].var())
    for other in np.ndindex(CONVOLUTION.shape):
        moved = CONVOLUTION.copy()
        moved[other] += 1
        again = steps.normalization_steps(method, moved, epsilon=EPSILON, groups=2)
        assert (abs(again.z[cell] - seen.z[cell]) > 1e-9) == lit[other]


def test_the_sets_are_counted_as_the_paper_draws_them():
    counts = {
        method: steps.normalization_steps(method, CONVOLUTION, groups=2).sets
        for method in ("batch", "layer", "group", "instance", "rms")
    }
    assert counts == {"batch": 4, "layer": 3, "group": 6, "instance": 12, "rms": 3}


@pytest.mark.parametrize("method", ["batch", "layer", "rms"])
def test_every_line_says_the_number_it_comes_to(method):
    seen = steps.normalization_steps(method, TABLE, GAMMA, BETA, EPSILON)
    for cell in np.ndindex(TABLE.shape):
        for line in steps.written_out(seen, cell):
            assert evaluated(line.latex) == pytest.approx(line.value, abs=5e-3, rel=2e-3), line
            after = re.split(r"=|\\approx", line.latex)[-1]
            assert after.strip() == steps.tex(line.value)


def test_a_sum_of_long_terms_is_broken_into_short_lines_and_stays_the_same_sum():
    seen = steps.normalization_steps("instance", CONVOLUTION.round(1), epsilon=EPSILON)
    mean, variance, *_ = steps.written_out(seen, (0, 0, 0, 0))
    assert r"\\" in variance.latex and "dots" not in variance.latex
    assert evaluated(mean.latex) == pytest.approx(mean.value, abs=1e-9)
    assert evaluated(variance.latex) == pytest.approx(variance.value, rel=1e-3)


def test_of_a_long_sum_the_first_terms_the_last_and_the_count_are_written():
    x = CONVOLUTION.round(1)
    mean, variance, *_ = steps.written_out(steps.normalization_steps("layer", x), (0, 0, 0, 0))
    first, second, *_, last = (steps.bracketed(value) for value in x[0].ravel())
    assert rf"\frac{{{first} + {second} + \cdots + {last}}}{{16}}" in mean.latex
    assert variance.latex.count("^2") == 1 + 3 and r"\cdots" in variance.latex


@pytest.mark.parametrize("name", steps.TABLES)
def test_gamma_as_root_and_beta_as_mean_give_x_back(name):
    x = steps.parse_table(steps.TABLES[name], (1, 4), 3)
    seen = steps.normalization_steps("batch", x)
    undone = steps.normalization_steps("batch", x, *steps.undoing(seen))
    np.testing.assert_allclose(undone.z, x, atol=1e-12)


def test_layer_norm_can_be_undone_for_one_example_only():
    seen = steps.normalization_steps("layer", TABLE)
    undone = steps.normalization_steps("layer", TABLE, *steps.undoing(seen, 2))
    same = np.isclose(undone.z, TABLE).all(axis=1)
    assert same.tolist() == [False, False, True, False]


def test_weight_norm_is_taken_apart_as_the_package_computes_it():
    v = steps.parse_table(steps.KERNELS["two"], (2,), 3)
    seen = steps.weight_norm_steps(v, np.array([2.0, 1.0, -1.0]))
    assert seen.norm == pytest.approx(np.linalg.norm(v, axis=0))
    assert seen.w[:, 0] == pytest.approx([1.2, 1.6])
    assert np.linalg.norm(seen.w, axis=0) == pytest.approx([2.0, 1.0, 1.0])
    length, w = steps.written_weight(seen, (1, 0))
    assert length.latex.endswith("= 5")
    assert w.latex.endswith("= 1.6")


def test_weight_norm_of_nothing_is_nothing_and_finite():
    v = steps.parse_table(steps.KERNELS["zero"], (2,), 3)
    seen = steps.weight_norm_steps(v, np.ones(3))
    assert seen.w[:, 1].tolist() == [0, 0]
    assert seen.norm.tolist() == [5, 0, 2]
    length, w = steps.written_weight(seen, (0, 1))
    assert length.latex.endswith("= 0")
    assert r"\frac{0}{1}" in w.latex and w.latex.endswith("= 0")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (None, "it is empty"),
        (float("nan"), "it is empty"),
        ("abc", "“abc” is not a number"),
        ("nan", "“nan” stands for no number"),
        ("1e400", "“1e400” is too large, 1,000,000 is the most"),
        ("-inf", "“-inf” is too large, 1,000,000 is the most"),
        ("1/2", "“1/2” is not a number"),
    ],
)
def test_a_cell_that_holds_no_number_says_why(text, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        steps.parse_cell(text)


@pytest.mark.parametrize(("text", "value"), [(" 1,5 ", 1.5), ("−2", -2.0), ("1e3", 1e3), ("-0", 0)])
def test_a_cell_may_be_written_in_any_format(text, value):
    assert steps.parse_cell(text) == value
    assert math.copysign(1, steps.parse_cell(text)) == math.copysign(1, value)


@given(
    some.lists(some.floats(-1e6, 1e6), min_size=3, max_size=12).filter(lambda a: len(a) % 3 == 0)
)
def test_a_table_reads_back_what_it_wrote(values):
    table = np.array([steps.parse_cell(value) for value in values]).reshape(-1, 3)
    text = steps.format_table(table)
    assert len(text) <= 200  # what a link keeps
    np.testing.assert_array_equal(steps.parse_table(text, (1, 2, 3, 4), 3), table)


@pytest.mark.parametrize("text", ["", "1_2", "1_2_3_4", "_".join("1" * 15), "a_b_c"])
def test_a_table_of_another_shape_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"^(It takes|One of its numbers)"):
        steps.parse_table(text, (1, 2, 3, 4), 3)


# --- backward -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["batch", "layer", "rms"])
@pytest.mark.parametrize("kind", backward_steps.INCOMING)
def test_the_terms_add_up_to_what_the_tape_finds(method, kind):
    forward = steps.normalization_steps(method, TABLE, 1.5, 0.0, EPSILON)
    dz = backward_steps.incoming(kind, forward, (2, 1), seed=3)
    seen = backward_steps.backward_steps(method, TABLE, dz, 1.5, EPSILON)
    x = tf.constant(TABLE)
    axes = steps.averaged_axes(method, 2)
    with tf.GradientTape() as tape:
        tape.watch(x)
        x_hat, _, _ = normalize.standardize(x, axes, EPSILON, center=method != "rms")
        z = 1.5 * x_hat
    np.testing.assert_allclose(seen.dx, tape.gradient(z, x, dz), atol=1e-12)
    np.testing.assert_allclose(
        seen.dx, seen.direct + seen.through_mean + seen.through_root, atol=1e-15
    )


def test_each_written_term_is_the_number_of_its_bar():
    forward = steps.normalization_steps("layer", TABLE, 1.5)
    dz = backward_steps.incoming("random", forward, (0, 0), seed=1)
    seen = backward_steps.backward_steps("layer", TABLE, dz, 1.5)
    for cell in np.ndindex(TABLE.shape):
        *terms, total = backward_steps.written_backward(seen, cell)
        assert sum(term.value for term in terms) == pytest.approx(total.value, abs=1e-12)
        for term in terms:
            after = re.split(r"=|\\approx", term.latex)[-1]
            assert after.strip() == steps.tex(term.value)


def test_a_common_shift_cannot_be_had():
    forward = steps.normalization_steps("batch", TABLE)
    dz = backward_steps.incoming("equal", forward, (0, 0))
    seen = backward_steps.backward_steps("batch", TABLE, dz)
    assert np.abs(seen.dx).max() < 1e-15
    wrong = backward_steps.backward_steps("batch", TABLE, dz, constants=True)
    assert np.abs(wrong.dx).min() > 0.1


def test_weight_norms_gradient_is_orthogonal_and_its_length_grows():
    turn = backward_steps.turn((3.0, 4.0), (1.0, 2.0), g=2.0)
    assert turn.v @ turn.dv == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(turn.dv + turn.along, 2.0 / 5.0 * turn.dw)
    walk = backward_steps.walk((0.1, 1.0), steps=60, seed=0)
    growth = np.diff(walk.norms, axis=0)
    assert (growth > 0).all()
    # Pythagoras: what ||v||² gains is the squared length of the step.
    moved = np.square(np.diff(walk.v, axis=0)).sum(axis=1)
    np.testing.assert_allclose(np.diff(walk.norms**2, axis=0), moved, atol=1e-12)
    assert walk.turns[-20:, 1].mean() < walk.turns[:20, 1].mean()


def test_the_bias_before_batch_norm_has_no_gradient(drawn):
    found = backward_steps.bias_gradients(
        TrainConfig(seed=1), drawn, ("none", "batch", "weight", "layer"), images=8
    )
    assert found["batch"] < 1e-10 * found["none"]
    assert found["layer"] > 0.01
    assert found["weight"] == pytest.approx(found["none"], rel=1e-6)  # g = ||v||: the same network


def test_the_recorded_gradients_are_those_of_the_default_training():
    shipped = json.loads(backward_steps.RECORDED.read_text(encoding="utf-8"))
    assert [run["method"] for run in shipped["runs"].values()] == [*backward_steps.RECORDED_METHODS]
    for run in shipped["runs"].values():
        assert len(run["step"]) == len(run["gradient_norms"]) >= 8
        assert np.isfinite(run["gradient_norms"]).all()
    config = replace(backward_steps.RECORDED_CONFIG, learning_rate=0.5)
    assert backward_steps.recorded_norms(config, "0" * 64) is None


def test_the_recorded_gradients_are_found_for_mnist(mnist):
    for method in backward_steps.RECORDED_METHODS:
        config = TrainConfig(train_size=6_000, normalization=method)
        found = backward_steps.recorded_norms(config, mnist.checksum)
        assert found is not None
        assert found["method"] == method
