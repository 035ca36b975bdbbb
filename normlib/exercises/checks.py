"""Is a student's function right, and if not, what is wrong with it?

`check` compares it with normlib in float64 and float32, forward and backward, on random inputs and
on the hard ones, and names the mistake where it is a known one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from normlib import gradients
from normlib.exercises import mistakes
from normlib.exercises.catalog import EXERCISES, FAR, ZERO, Exercise, Inputs
from normlib.exercises.mistakes import MISTAKES, Mistake

Function = Callable[..., Any]
Arrays = list[np.ndarray]

DRAWS, FEW = 6, 3  # random inputs for values in float64; for all that takes longer
# Relative to the largest number of the truth.
EXACT, EXACT_GRADIENT, ROUNDED, FAR_ROUNDED, SLOPE = 1e-9, 1e-6, 2e-4, 5e-3, 1e-5
NEAR = 1e-3  # of a mistake's distance from the truth: so near, and it is this mistake
_STEP = 1e-5
_LIBRARY = {
    *("moments", "weighted_moments", "sufficient_statistics", "normalize_moments", "l2_normalize"),
    *("batch_normalization", "fused_batch_norm", "batch_norm_with_global_normalization"),
    *("BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization"),
    *("keras", "normlib", "reduce_variance", "reduce_std", "euclidean_norm"),
}


class Tick(NamedTuple):
    """One thing that was looked at; detail says what was found where it failed."""

    title: str
    passed: bool
    detail: str = ""


class Result(NamedTuple):
    """What the checks found. mistake: the known one that the function makes, if any."""

    exercise: Exercise
    ticks: tuple[Tick, ...]
    mistake: Mistake | None = None

    @property
    def passed(self) -> bool:
        return all(tick.passed for tick in self.ticks)


class Stopped(Exception):
    """Why a function gave no numbers to compare: a sentence for whoever wrote it."""


@np.errstate(all="ignore")
def check(name: str, function: Function, source: str = "") -> Result:
    """All checks of one exercise, in order; the first failure shows its numbers.

    name: a key of `EXERCISES`. source: the text of the function, for the ops that it names.
    """
    exercise = EXERCISES[name]
    ticks: list[Tick] = []
    for title, look in _looks(exercise, function):
        try:
            detail = look()
        except Exception as error:  # whatever the student's function raises is an answer
            detail = in_words(error)
        ticks.append(Tick(title, not detail, detail))
        if detail and len(ticks) == 1:  # no numbers to compare
            break
    wrong = any(not tick.passed for tick in ticks)
    if not wrong or len(ticks) > 1:
        used = ", ".join(sorted(_named(source) & _LIBRARY))
        ticks.append(Tick("Only basic ops", not used, f"It uses {used}." if used else ""))
    return Result(exercise, tuple(ticks), _mistake_of(exercise, function, ticks) if wrong else None)


def _looks(exercise: Exercise, function: Function) -> Iterator[tuple[str, Callable[[], str]]]:
    """Each check as its title and a function that returns what is wrong, or nothing."""
    both = exercise, function
    yield f"Returns {' and '.join(exercise.returns)} of the right shape", partial(_shapes, *both)
    yield "Values in float64", partial(_outputs, *both, tf.float64, EXACT)
    yield "Values in float32", partial(_outputs, *both, tf.float32, ROUNDED)
    if exercise.wanted:
        names = ", ".join(f"d{name}" for name in exercise.wanted)
        yield f"Gradients: {names}", partial(_gradients, *both)
        yield "Gradients as its slope", partial(_slope, *both)
    for case in exercise.hard:
        yield case[0].upper() + case[1:], partial(_hard, *both, case)
    if exercise.in_keras:
        yield "As Keras's layer", partial(_as_keras, *both)


def in_words(error: Exception) -> str:
    """An exception as a sentence, without TensorFlow's marks around its own."""
    if isinstance(error, Stopped):
        return str(error)
    first = re.sub(r"\{\{.*?\}\} ?| ?\[Op:.*", "", str(error).strip()).partition("\n")[0]
    return f"It stops with {type(error).__name__}: {first[:300]}"


# ---- calling -------------------------------------------------------------------------------------


def _tensors(exercise: Exercise, inputs: Inputs, dtype: tf.DType) -> list[Any]:
    values = (inputs[name] for name in exercise.arguments)
    return [tf.constant(v, dtype) if isinstance(v, np.ndarray) else v for v in values]


def _call(function: Function, arguments: Sequence[Any]) -> list[tf.Tensor]:
    returned = function(*arguments)
    if returned is None or returned is Ellipsis:
        raise Stopped("It returns nothing yet.")
    parts = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    try:
        return [tf.convert_to_tensor(part) for part in parts]
    except (TypeError, ValueError):
        raise Stopped("What it returns is no tensor.") from None


def _arrays(exercise: Exercise, function: Function, inputs: Inputs, dtype: tf.DType) -> Arrays:
    return [one.numpy() for one in _call(function, _tensors(exercise, inputs, dtype))]


def _sides(
    exercise: Exercise, function: Function, inputs: Inputs, right: Arrays, dtype: tf.DType
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, theirs and the truth of everything that is returned."""
    theirs = _arrays(exercise, function, inputs, dtype)
    if len(theirs) != len(right):
        results = f"{len(theirs)} result{'s' * (len(theirs) != 1)}"
        raise Stopped(f"It returns {results}; wanted: {', '.join(exercise.returns)}.")
    for name, mine, exact in zip(exercise.returns, theirs, right, strict=True):
        if mine.shape != exact.shape:
            raise Stopped(f"{name} has the shape {mine.shape}; it should be {exact.shape}.")
        if mine.dtype.name != dtype.name:
            raise Stopped(f"{name} is {mine.dtype.name} where x is {dtype.name}: keep the dtype.")
        yield name, mine, exact


def _weights(shape: Sequence[int]) -> np.ndarray:
    """The loss is a random weighted sum of the outputs; these are its weights."""
    return np.random.default_rng(1).standard_normal(shape)


def _with_gradients(
    exercise: Exercise, function: Function, inputs: Inputs, dtype: tf.DType = tf.float64
) -> tuple[Arrays, Arrays]:
    """Outputs, and the gradients of a weighted sum of them in `exercise.wanted`."""
    arguments = _tensors(exercise, inputs, dtype)
    watched = [arguments[exercise.arguments.index(name)] for name in exercise.wanted]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        outputs = _call(function, arguments)
        loss = tf.add_n([tf.reduce_sum(z * tf.cast(_weights(z.shape), z.dtype)) for z in outputs])
    found = tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [z.numpy() for z in outputs], [g.numpy() for g in found]


# ---- what is right -------------------------------------------------------------------------------


class _Right(NamedTuple):
    """What normlib gives in float64, for one exercise."""

    draws: list[tuple[Inputs, Arrays]]
    gradients: list[Arrays]  # of the first draws
    hard: dict[str, tuple[Inputs, Arrays]]
    keras: np.ndarray | None  # of the first draw


@cache
def _right(name: str) -> _Right:
    exercise = EXERCISES[name]

    def answered(inputs: Inputs) -> tuple[Inputs, Arrays]:
        return inputs, _arrays(exercise, exercise.truth, inputs, tf.float64)

    draws = [answered(exercise.draw(seed)) for seed in range(DRAWS)]
    keras = None
    if exercise.in_keras:
        keras = exercise.keras_layer(*_tensors(exercise, draws[0][0], tf.float32)).numpy()
    return _Right(
        draws,
        [_exact_gradients(exercise, inputs) for inputs, _ in draws[:FEW]],
        {case: answered(exercise.hard_inputs(case)) for case in exercise.hard},
        keras,
    )


def _exact_gradients(exercise: Exercise, inputs: Inputs) -> Arrays:
    """By hand, from `normlib.gradients`; by the tape where that has no such pass."""
    if not exercise.method:
        return _with_gradients(exercise, exercise.truth, inputs)[1]
    x = tf.constant(inputs["v" if exercise.method == "weight" else "x"])
    dz = tf.constant(_weights(x.shape))
    if exercise.method == "weight":
        found: tuple = gradients.weight_norm_backward(dz, x, tf.constant(inputs["g"]))
    else:
        gamma, beta = inputs.get("gamma"), inputs.get("beta")
        found = gradients.backward(exercise.method, x, gamma, beta, inputs["epsilon"], dz)
    return [one.numpy() for one in found if one is not None]


# ---- the checks ----------------------------------------------------------------------------------


def _off(mine: np.ndarray, right: np.ndarray, tolerance: float) -> bool:
    worst = np.abs(mine - right).max(initial=0.0)
    return not worst <= tolerance * max(1.0, float(np.abs(right).max(initial=0.0)))


def _shapes(exercise: Exercise, function: Function) -> str:
    list(_sides(exercise, function, *_right(exercise.name).draws[0], tf.float64))
    return ""


def _outputs(exercise: Exercise, function: Function, dtype: tf.DType, tolerance: float) -> str:
    for inputs, right in _right(exercise.name).draws[: DRAWS if dtype == tf.float64 else FEW]:
        for name, mine, exact in _sides(exercise, function, inputs, right, dtype):
            if _off(mine, exact, tolerance):
                small = smallest_difference(exercise, function, dtype, tolerance)
                return small or _numbers(name, mine, exact)
    return ""


def _gradients(exercise: Exercise, function: Function) -> str:
    right = _right(exercise.name)
    for (inputs, _), exact in zip(right.draws, right.gradients, strict=False):
        _, found = _with_gradients(exercise, function, inputs)
        for name, mine, gradient in zip(exercise.wanted, found, exact, strict=True):
            if _off(mine, gradient, EXACT_GRADIENT):
                return _numbers(f"d{name}", mine, gradient)
    return ""


def _slope(exercise: Exercise, function: Function) -> str:
    """A gradient must be how much the outputs change: central differences along a direction."""
    inputs, _ = _right(exercise.name).draws[0]
    rng = np.random.default_rng(2)
    along = {name: rng.standard_normal(np.shape(inputs[name])) for name in exercise.wanted}
    _, theirs = _with_gradients(exercise, function, inputs)
    told = sum(float((g * along[n]).sum()) for n, g in zip(exercise.wanted, theirs, strict=True))

    def loss(step: float) -> float:
        moved = inputs | {name: inputs[name] + step * way for name, way in along.items()}
        outputs = _arrays(exercise, function, moved, tf.float64)
        return sum(float((z * _weights(z.shape)).sum()) for z in outputs)

    seen = (loss(_STEP) - loss(-_STEP)) / (2 * _STEP)
    if abs(told - seen) <= SLOPE * max(1.0, abs(seen), abs(told)):
        return ""
    return f"Along one direction the tape says {told:.6g}, and the outputs change by {seen:.6g}."


def _hard(exercise: Exercise, function: Function, case: str) -> str:
    inputs, right = _right(exercise.name).hard[case]
    for name, mine, exact in _sides(exercise, function, inputs, right, tf.float32):
        if _off(mine, exact, FAR_ROUNDED if case == FAR else ROUNDED):
            return _numbers(name, mine, exact)
    if case == ZERO:
        _, found = _with_gradients(exercise, function, inputs, tf.float32)
        for name, gradient in zip(exercise.wanted, found, strict=True):
            if not np.isfinite(gradient).all():
                return f"d{name} is not finite where v is 0."
    return ""


def _as_keras(exercise: Exercise, function: Function) -> str:
    right = _right(exercise.name)
    assert right.keras is not None
    ((_, mine, layers),) = _sides(exercise, function, right.draws[0][0], [right.keras], tf.float32)
    return _numbers("z", mine, layers) if _off(mine, layers, ROUNDED) else ""


def _numbers(name: str, mine: np.ndarray, right: np.ndarray) -> str:
    apart = np.nan_to_num(np.abs(mine - right), nan=np.inf)
    place = np.unravel_index(int(apart.argmax()), mine.shape)
    at = f"[{', '.join(map(str, place))}]" if place else ""
    return f"{name}{at} is {mine[place]:.7g}; it should be {right[place]:.7g}."


# ---- what is wrong -------------------------------------------------------------------------------


def smallest_difference(
    exercise: Exercise, function: Function, dtype: tf.DType, tolerance: float
) -> str:
    """The smallest input on which they differ, with both results; "" where none was found.

    One where theirs are numbers and the truth is not the same number everywhere, if there is one.
    """
    first = ""
    shapes = sorted(product((1, 2), repeat=exercise.rank), key=lambda one: (np.prod(one), one))
    for shape in shapes[1:]:
        inputs = {
            name: np.abs(np.round(2 * value)) + 1 if isinstance(value, np.ndarray) else 0.25
            for name, value in exercise.draw(0, shape).items()
        }
        right = _arrays(exercise, exercise.truth, inputs, tf.float64)
        try:
            sides = list(_sides(exercise, function, inputs, right, dtype))
        except Exception:  # such a shape it may not be able to read: a larger one then
            continue
        for name, mine, exact in sides:
            if _off(mine, exact, tolerance):
                given = ", ".join(f"{a} = {_short(inputs[a])}" for a in exercise.arguments)
                told = f"For {given}: {name} is {_short(mine)}; it should be {_short(exact)}."
                if np.isfinite(mine).all() and np.ptp(exact):
                    return told
                first = first or told
    return first


def _short(value: Any) -> str:
    """A number or a few, on one line; of many axes, flat with the shape."""
    if not isinstance(value, np.ndarray):
        return f"{value:g}"
    flat = value if value.ndim < 3 else value.ravel()
    shape = "" if flat is value else f" of shape {value.shape}"
    text = np.array2string(flat, formatter={"all": lambda n: f"{n:.6g}"}, separator=", ")
    return re.sub(r"\s+", " ", text) + shape


def _mistake_of(exercise: Exercise, function: Function, ticks: Sequence[Tick]) -> Mistake | None:
    """The known mistake that gives these outputs and gradients, if one does."""
    try:
        theirs = _signature(exercise, function)
    except Exception:
        return None
    truth, known = _signatures(exercise.name)
    fits = theirs.shape == truth.shape
    if fits:
        off = float(np.abs(theirs - truth).max() / np.abs(truth).max())
        failed = {tick.title.lower() for tick in ticks if not tick.passed}
        if off <= 1e-10:  # right in float64: what fails is a matter of digits
            if FAR.lower() in failed:
                return MISTAKES["E[x²] - E[x]²"]
            return MISTAKES["0 / 0"] if ZERO in failed else None
        if off <= 1e-6:
            return MISTAKES["float32 in between"]
    nearest = (NEAR, "")
    for name, wrong in known.items():
        if wrong.shape == theirs.shape:
            apart = np.linalg.norm(wrong - truth) if fits else np.linalg.norm(wrong)
            nearest = min(nearest, (float(np.linalg.norm(theirs - wrong) / apart), name))
    return MISTAKES.get(nearest[1])


def _signature(exercise: Exercise, function: Function) -> np.ndarray:
    """Everything that a function gives on a few inputs, as one row of numbers."""
    parts = []
    for seed in range(FEW):
        outputs, found = _with_gradients(exercise, function, exercise.draw(seed))
        parts += [part.ravel() for part in (*outputs, *found)]
    return np.concatenate(parts).astype(np.float64)


@cache
def _signatures(name: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The signature of the truth, and of every mistake in this exercise."""
    exercise = EXERCISES[name]
    known = {one: _signature(exercise, make) for one, make in mistakes.of(name).items()}
    return _signature(exercise, exercise.truth), known


def _named(source: str) -> set[str]:
    """The names and attributes that a text uses, imports by their own name, but not its own."""
    nodes = list(ast.walk(ast.parse(source)))
    imports = [one for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)) for one in n.names]
    really = {one.asname or one.name: one.name.rpartition(".")[2] for one in imports}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return {really.get(name, name) for name in used - defined}
