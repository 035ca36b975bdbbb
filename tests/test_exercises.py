"""Every right solution passes, every planted mistake gets its own name."""

import numpy as np
import pytest
import tensorflow as tf
from solutions import STYLES, solution

from normlib.exercises import EXERCISES, MISTAKES, check, checks, mistakes


@pytest.mark.parametrize("name", EXERCISES)
def test_the_truth_passes(name):
    result = check(name, EXERCISES[name].truth)
    assert result.passed, [tick for tick in result.ticks if not tick.passed]


@pytest.mark.parametrize("name", EXERCISES)
def test_each_planted_mistake_gets_its_own_name(name):
    for mistake, function in mistakes.of(name).items():
        result = check(name, function)
        assert not result.passed
        assert result.mistake == MISTAKES[mistake]


def test_there_are_many_mistakes_and_each_belongs_somewhere():
    assert len(MISTAKES) >= 28
    told = {mistake for name in EXERCISES for mistake in mistakes.of(name)}
    assert told | {"E[x²] - E[x]²", "float32 in between", "0 / 0"} == set(MISTAKES)


def run(exercise: str, style: str):
    """A right solution as Python runs it."""
    space = {"tf": tf}
    exec(solution(exercise, style), space)
    return space[exercise]


def test_over_500_shapes_and_seeds_no_right_solution_is_rejected():
    functions = {(name, style): run(name, style) for name in EXERCISES for style in STYLES}
    for seed, (name, style) in zip(range(100, 640), 9 * list(functions), strict=True):
        exercise, inputs = EXERCISES[name], EXERCISES[name].draw(seed)
        right = checks._arrays(exercise, exercise.truth, inputs, tf.float64)
        for dtype, tolerance in ((tf.float64, checks.EXACT), (tf.float32, checks.ROUNDED)):
            for _, mine, exact in checks._sides(
                exercise, functions[name, style], inputs, right, dtype
            ):
                assert not checks._off(mine, exact, tolerance), (name, style, seed, dtype)


@pytest.mark.parametrize(
    ("exercise", "body", "mistake"),
    [
        ("stable_variance", "E(x * x) - E(x) ** 2", "E[x²] - E[x]²"),
        ("weight_norm_zero", "g * v / tf.sqrt(tf.reduce_sum(v * v, (0, 1, 2)))", "0 / 0"),
        (
            "x_hat",
            "(x - E(x)) / tf.sqrt(C(C(E((x - E(x)) ** 2), tf.float32), x.dtype) + epsilon)",
            "float32 in between",
        ),
    ],
)
def test_mistakes_of_digits_are_named(exercise, body, mistake):
    arguments = ", ".join(EXERCISES[exercise].arguments)
    space = {"tf": tf, "C": tf.cast, "E": lambda x: tf.reduce_mean(x, 0)}
    exec(f"def f({arguments}):\n    return {body}", space)
    result = check(exercise, space["f"])
    assert result.mistake == MISTAKES[mistake]


def test_the_gradients_are_those_of_the_tape():
    for exercise in EXERCISES.values():
        if exercise.method:
            inputs = exercise.draw(3)
            _, tape = checks._with_gradients(exercise, exercise.truth, inputs)
            for one, other in zip(checks._exact_gradients(exercise, inputs), tape, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_an_alias_hides_no_library_function():
    source = "from tensorflow.nn import moments as m\ndef x_hat(x, epsilon):\n    return m(x, 0)"
    result = check("x_hat", EXERCISES["x_hat"].truth, source)
    assert result.ticks[-1] == checks.Tick("Only basic ops", False, "It uses moments.")
