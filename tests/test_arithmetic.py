"""The written-out arithmetic: the layer's own numbers, and LaTeX that means them."""

import math
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as some

from normlib import normalize
from pages.lab import arithmetic, latex
from pages.lab.arithmetic import KERNELS, TABLES, normalization_steps, parse_cell, parse_table

TABLE = parse_table(TABLES["default"], (4,), 3)
CONVOLUTION = np.random.default_rng(1).normal(3.0, 2.0, (3, 2, 2, 4))
EPSILON = 1e-3
GAMMA, BETA = np.array([0.5, -2.0, 3.0]), np.array([1.0, 0.0, -1.0])
EQUALS = r"=|\\approx"


def evaluated(line: str) -> float:
    """What a line of the written-out arithmetic comes to: its middle, between the equals signs."""
    text = re.split(EQUALS, line)[1]
    text = text.replace(r"\begin{gathered}", "").replace(r"\end{gathered}", "")
    text = text.replace(r"\\ {}", "").replace(r"\cdot", "*")
    for _ in range(3):
        text = re.sub(r"\^\{([^{}]*)\}", r"**(\1)", text)
        text = re.sub(r"\\sqrt\{([^{}]*)\}", r"(\1)**0.5", text)
        text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", text)
    return float(eval(text.replace("^", "**"), {"__builtins__": {}}))


def result(line: str) -> str:
    return re.split(EQUALS, line)[-1].strip()


@pytest.mark.parametrize("method", ["batch", "layer", "rms"])
def test_the_steps_end_in_what_the_layer_gives(method):
    steps = normalization_steps(method, TABLE, GAMMA, BETA, EPSILON)
    beta = None if method == "rms" else BETA
    wanted = normalize.apply(method, tf.constant(TABLE), GAMMA, beta, EPSILON)
    np.testing.assert_allclose(steps.z, wanted, rtol=1e-14)


@pytest.mark.parametrize("method", ["batch", "layer", "group", "instance", "rms"])
def test_highlighted_cells_are_the_averaged_ones(method):
    """Their mean is the mean on screen; and only they move the chosen z."""
    steps = normalization_steps(method, CONVOLUTION, epsilon=EPSILON)
    cell = (1, 0, 1, 2)
    shared = steps.shares(cell)
    if method == "rms":
        assert steps.variance[cell] == pytest.approx(np.mean(CONVOLUTION[shared] ** 2))
    else:
        assert steps.mean[cell] == pytest.approx(CONVOLUTION[shared].mean())
        assert steps.variance[cell] == pytest.approx(CONVOLUTION[shared].var())
    for other in np.ndindex(CONVOLUTION.shape):
        moved = CONVOLUTION.copy()
        moved[other] += 1
        again = normalization_steps(method, moved, epsilon=EPSILON)
        assert (abs(again.z[cell] - steps.z[cell]) > 1e-9) == shared[other]


def test_the_sets_are_counted_as_the_paper_draws_them():
    methods = ("batch", "layer", "group", "instance", "rms")
    counts = [normalization_steps(method, CONVOLUTION).sets for method in methods]
    assert counts == [4, 3, 6, 12, 3]


@pytest.mark.parametrize(("method", "changed"), [("batch", 4), ("layer", 3), ("rms", 3)])
def test_one_number_changes_those_that_share_its_mean(method, changed):
    steps = normalization_steps(method, TABLE)
    assert (steps.changed_by((2, 1)) == steps.shares((2, 1))).all()
    assert steps.changed_by((2, 1)).sum() == changed


@pytest.mark.parametrize("method", ["batch", "layer", "rms"])
def test_every_line_says_the_number_it_comes_to(method):
    steps = normalization_steps(method, TABLE, GAMMA, BETA, EPSILON)
    for cell in np.ndindex(TABLE.shape):
        values = [getattr(steps, one)[cell] for one in ("mean", "variance", "root", "x_hat", "z")]
        lines = arithmetic.written_out(steps, cell)
        for line, value in zip(lines, values[-len(lines) :], strict=True):
            assert evaluated(line) == pytest.approx(value, abs=5e-3, rel=2e-3), line
            assert result(line) == latex.tex(value)


@pytest.mark.parametrize("method", ["batch", "layer", "group", "instance", "rms"])
def test_the_functions_shown_are_those_that_ran(method, monkeypatch):
    ran = []
    for name in ("standardize", "average", "scale_shift"):
        real = getattr(normalize, name)
        monkeypatch.setattr(
            normalize, name, lambda *a, n=name, f=real, **k: (ran.append(n), f(*a, **k))[1]
        )
    normalization_steps(method, CONVOLUTION)
    assert set(ran) == {"standardize", "average", "scale_shift"}


def test_a_sum_of_long_terms_is_broken_into_short_lines_and_stays_the_same_sum():
    steps = normalization_steps("instance", CONVOLUTION.round(1), epsilon=EPSILON)
    cell = (0, 0, 0, 0)
    mean, variance, *_ = arithmetic.written_out(steps, cell)
    assert r"\\" in variance and "dots" not in variance
    assert evaluated(mean) == pytest.approx(steps.mean[cell], abs=1e-9)
    assert evaluated(variance) == pytest.approx(steps.variance[cell], rel=1e-3)


def test_of_a_long_sum_the_first_terms_the_last_and_the_count_are_written():
    x = CONVOLUTION.round(1)
    mean, variance, *_ = arithmetic.written_out(normalization_steps("layer", x), (0, 0, 0, 0))
    first, second, *_, last = (latex.bracketed(value) for value in x[0].ravel())
    assert rf"\frac{{{first} + {second} + \cdots + {last}}}{{16}}" in mean
    assert variance.count("^2") == 1 + 3 and r"\cdots" in variance


@pytest.mark.parametrize("value", [0.1, -0.3, 1e-6, 123.456, 1e6 / 3])
@pytest.mark.parametrize("method", ["batch", "layer"])
def test_equal_numbers_are_no_rounding_away_from_their_mean(method, value):
    x = np.arange(9.0).reshape(3, 3)
    place = np.s_[:, 0] if method == "batch" else np.s_[0]
    x[place] = value
    steps = normalization_steps(method, x, epsilon=1e-8)
    assert (steps.x - steps.mean)[place].tolist() == [0, 0, 0]
    assert steps.x_hat[place].tolist() == steps.variance[place].tolist() == [0, 0, 0]
    assert [result(line) for line in arithmetic.written_out(steps, (0, 0))[3:]] == ["0", "0"]


def test_a_number_equal_to_the_mean_of_others_is_no_rounding_away_from_it():
    steps = normalization_steps("layer", np.array([[0.1, 0.2, 0.3]]), epsilon=1e-8)
    assert steps.x_hat[0, 1] == 0
    assert steps.x_hat[0, 2] == pytest.approx(math.sqrt(1.5), rel=1e-5)
    assert steps.standard_deviations((0, 1)) == 0
    assert steps.standard_deviations((0, 2)) == pytest.approx(math.sqrt(1.5))


def test_standard_deviations_do_not_depend_on_epsilon():
    for epsilon in (1e-8, 1.0):
        steps = normalization_steps("batch", TABLE, epsilon=epsilon)
        assert steps.standard_deviations((2, 1)) == pytest.approx((11 - 4) / np.std(TABLE[:, 1]))
    steps = normalization_steps("rms", TABLE, epsilon=1.0)
    assert steps.standard_deviations((0, 1)) == pytest.approx(-3 / math.sqrt(18))


@pytest.mark.parametrize("name", TABLES)
def test_gamma_as_root_and_beta_as_mean_give_x_back(name):
    x = parse_table(TABLES[name], (1, 2, 4), 3)
    undone = normalization_steps("batch", x, *arithmetic.undoing(normalization_steps("batch", x)))
    np.testing.assert_allclose(undone.z, x, atol=1e-12)
    assert arithmetic.equal(undone.z, x).all()


def test_layer_norm_can_be_undone_for_one_example_only():
    steps = normalization_steps("layer", TABLE)
    undone = normalization_steps("layer", TABLE, *arithmetic.undoing(steps, 2))
    assert arithmetic.equal(undone.z, TABLE).all(axis=1).tolist() == [False, False, True, False]


def test_weight_norm_is_taken_apart_as_the_package_computes_it():
    v = parse_table(KERNELS["two"], (2,), 3)
    steps = arithmetic.weight_norm_steps(v, np.array([2.0, 1.0, -1.0]))
    assert steps.norm == pytest.approx(np.linalg.norm(v, axis=0))
    assert steps.w[:, 0] == pytest.approx([1.2, 1.6])
    assert steps.length == pytest.approx([2.0, 1.0, 1.0])
    length, w = arithmetic.written_weight(steps, (1, 0))
    assert length.endswith("= 5")
    assert r"2 \cdot \frac{4}{5}" in w and w.endswith("= 1.6")


def test_weight_norm_of_nothing_is_nothing_and_finite():
    steps = arithmetic.weight_norm_steps(parse_table(KERNELS["zero"], (2,), 3), np.ones(3))
    assert steps.w[:, 1].tolist() == [0, 0]
    assert steps.norm.tolist() == [5, 0, 2]
    assert [line[-3:] for line in arithmetic.written_weight(steps, (0, 1))] == ["= 0", "= 0"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (None, "it is empty"),
        (float("nan"), "it is empty"),
        ("abc", "`abc` is not a number"),
        ("[a](http://e.vi)", "`[a](http://e.vi)` is not a number"),
        ("nan", "`nan` stands for no number"),
        ("1e400", "`1e400` is too large, 1,000,000 is the most"),
        ("-inf", "`-inf` is too large, 1,000,000 is the most"),
        ("1/2", "`1/2` is not a number"),
    ],
)
def test_a_cell_that_holds_no_number_says_why(text, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        parse_cell(text)


@pytest.mark.parametrize(("text", "value"), [(" 1,5 ", 1.5), ("−2", -2.0), ("1e3", 1e3), ("-0", 0)])
def test_a_cell_may_be_written_in_any_format(text, value):
    assert parse_cell(text) == value
    assert math.copysign(1, parse_cell(text)) == math.copysign(1, value)


@given(
    some.lists(some.floats(-1e6, 1e6), min_size=3, max_size=12).filter(lambda a: len(a) % 3 == 0)
)
def test_a_table_reads_back_what_it_wrote(values):
    table = np.array([parse_cell(value) for value in values]).reshape(-1, 3)
    text = arithmetic.format_table(table)
    assert len(text) <= 200  # what a link keeps
    np.testing.assert_array_equal(parse_table(text, (1, 2, 3, 4), 3), table)


@pytest.mark.parametrize("text", ["", "1_2", "1_2_3_4", "_".join("1" * 15), "a_b_c"])
def test_a_table_of_another_shape_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"^(It takes|One of its numbers)"):
        parse_table(text, (1, 2, 3, 4), 3)
