"""What is measured beside a training: on functions whose answer is known, and as recorded."""

from dataclasses import replace

import numpy as np
import pytest
from live_pages import Ready, opened

from normlib.cnn import SmallCNN
from normlib.training import train
from pages.components import server
from pages.lab import effective_rate, why
from pages.lab.depth import SMALL


def test_along_the_gradient_of_a_quadratic_it_is_the_curvature():
    random = np.random.default_rng(0)
    root = random.standard_normal((6, 6))
    curvature, x = root @ root.T, random.standard_normal(6)

    def quadratic(x):
        return 0.5 * x @ curvature @ x, curvature @ x

    g = curvature @ x
    lengths = (0.01, 0.02, 0.05)
    spread, change, relative = why.along_gradient(quadratic, x, lengths)
    values = [0.5 * x @ curvature @ x - t * g @ g + t**2 / 2 * g @ curvature @ g for t in lengths]
    assert spread == pytest.approx(max(values) - min(values), rel=1e-6)
    assert change == pytest.approx(0.05 * np.linalg.norm(curvature @ g), rel=1e-6)
    assert relative == pytest.approx(change / np.linalg.norm(g), rel=1e-6)


def test_a_training_that_is_looked_at_is_the_ordinary_one(drawn, monkeypatch):
    small = replace(SMALL, train_size=320, batch_size=32, epochs=1, depth=2, hidden_units=12)
    monkeypatch.setattr(why, "ROUGH", small)
    probe = why.roughness("batch", 2, 5, drawn)
    run = train(replace(small, seed=5), drawn)
    assert probe.accuracy == pytest.approx(run.test_accuracy, abs=0.01)
    assert probe.steps == [0, 8]


def test_noise_moves_what_relu_gets_and_not_the_test(drawn):
    config = replace(why.SHIFT, depth=2, hidden_units=10)
    net = why.noisy(config)
    images = drawn.train_images[:20]
    quiet = net.forward(images, training=False)["logits"].numpy()
    seen = net.forward(images, training=False, own_statistics=True)["input_2"].numpy()
    net.norm_1.redraw()
    np.testing.assert_array_equal(net.forward(images, training=False)["logits"], quiet)
    moved = net.forward(images, training=False, own_statistics=True)["input_2"].numpy()
    assert np.std((moved - seen).mean(0)) > 0.05
    assert isinstance(net, type(net)) and not isinstance(net, SmallCNN)


def test_decay_settles_where_theory_says():
    turned = effective_rate.turned("decay")
    for last, theory in zip([turned.last] * len(why.SEEDS), turned.settled, strict=True):
        assert last == pytest.approx(theory, rel=0.1)
    assert effective_rate.turned("sgd").last > effective_rate.turned("sgd").first


def test_the_step_of_a_scale_invariant_kernel_is_that_of_its_formula():
    # f(w) = a·w / |w|, by its own gradient: G is the part of a at a right angle to w.
    w, a, rate = np.array([3.0, 4.0]), np.array([2.0, -1.0]), 50.0
    length = np.linalg.norm(w)
    gradient = a / length - (a @ w) * w / length**3
    new = w - rate * gradient
    step = effective_rate.one_step(length, np.linalg.norm(gradient) * length, rate)
    assert step.after == pytest.approx(np.linalg.norm(new), rel=1e-12)
    turn = np.degrees(np.arccos(w @ new / (length * np.linalg.norm(new))))
    assert step.turn == pytest.approx(turn, rel=1e-9)
    for rule, power in {"sgd": 2, "momentum": 2, "decay": 2, "adam": 1}.items():
        by_ten = effective_rate.rate(rule, 1.0) / effective_rate.rate(rule, 10.0)
        assert by_ten == pytest.approx(10**power)
    assert effective_rate.rate("momentum", 3.0) == pytest.approx(
        10 * effective_rate.rate("sgd", 3.0)
    )


def test_the_recorded_turns_are_those_of_one_step():
    for probe in (one for one in why.probes("turning") if one.name == "sgd"):
        values = zip(
            *(probe.values[name] for name in ("length", "invariant", "angle")), strict=True
        )
        for length, invariant, angle in values:
            told = effective_rate.one_step(length, invariant, why.TURN.learning_rate).turn
            # What float32 tells of the angle is its cosine, to its last digits.
            cosines = np.cos(np.radians([told, angle]))
            assert cosines[0] == pytest.approx(cosines[1], abs=4e-7)
    bold = effective_rate.bold_step(100)
    assert 30 < bold.turn < 60 and bold.after > 1.3 * bold.before


def test_what_is_recorded_is_what_the_papers_found():
    moved, right = why.medians(why.probes("shift"), "mean"), why.accuracies(why.probes("shift"))
    for seed in range(len(why.SHIFT_SEEDS)):
        assert moved[why.NOISY][seed] > moved["none"][seed] > moved["batch"][seed]
        assert right[why.NOISY][seed] > right["none"][seed]
    deep = why.medians([one for one in why.probes("roughness") if one.depth == 20], "range")
    for seed in range(len(why.SEEDS)):
        assert deep["none"][seed] > deep["layer"][seed] > 2 * deep["batch"][seed]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"why": "shift", "drift": "std"}, "Test accuracy: no normalization"),
        ({"why": "smooth", "rough": "change", "deepness": "1"}, "1 layer: "),
        ({"why": "turn", "rules": "sgd,decay,adam"}, "Theory lets the length settle at"),
    ],
)
def test_every_view_says_what_was_measured(link, words, drawn, monkeypatch):
    monkeypatch.setattr(server, "_warm_up", Ready(drawn))
    app = opened("why", **link)
    assert words in app.success[0].value
