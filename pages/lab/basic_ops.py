"""The ops that a student's text may use, and how many numbers each gives, known before it runs."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

MOST_ITEMS, MOST_AXES = 100, 8  # of a tuple, of a tensor


def is_tensor(value: Any) -> bool:
    return isinstance(value, tf.Tensor)  # tf.is_tensor would take a third of all time


def size(value: Any) -> float:
    """How many numbers a value has."""
    if isinstance(value, tuple):
        return float(sum(map(size, value)))
    return _product(value.shape) if is_tensor(value) else 1.0


def _shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, tuple):
        return (len(value), *_shape(value[0])) if value else (0,)
    return tuple(value.shape) if is_tensor(value) else ()


def _lengths(shape: Any) -> list[int]:
    """A shape that the text names, as numbers; -1 is 1, since the others decide."""
    parts = tuple(np.ravel(shape)) if is_tensor(shape) and size(shape) <= MOST_AXES else shape
    lengths = [abs(int(one)) for one in (parts if isinstance(parts, tuple) else (parts,))]
    if len(lengths) > MOST_AXES:
        raise ValueError(f"a tensor has at most {MOST_AXES} axes here")
    return lengths


def _product(lengths: Sequence[Any]) -> float:
    return math.prod(max(float(n), 1.0) for n in lengths)


def broadcast(*values: Any, **_: Any) -> float:
    shapes = [_shape(value) for value in values]
    try:
        return _product(np.broadcast_shapes(*shapes))
    except ValueError:
        both = " and ".join(map(str, shapes))
        raise ValueError(
            f"shapes {both} do not go together; keepdims=True in a reduction keeps its axis as 1"
        ) from None


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> float:
    left, right = _shape(a), _shape(b)
    if min(len(left), len(right)) < 2:
        raise ValueError("a matrix product takes tensors of two axes or more")
    rows, inner = left[-2:][:: -1 if transpose_a else 1]
    columns = right[-2 if transpose_b else -1]
    made = _product(np.broadcast_shapes(left[:-2], right[:-2])) * rows * columns
    return max(made, made * inner / 100)


def as_many(x: Any, *_: Any, **__: Any) -> float:
    return size(x)


def _constant(value: Any, dtype: Any = None) -> float:
    return size(value)


def _filled(shape: Any, *_: Any, **__: Any) -> float:
    return _product(_lengths(shape))


def _reshaped(_: Any, shape: Any) -> float:
    return _product(_lengths(shape))


def _tiled(x: Any, multiples: Any) -> float:
    return size(x) * _product(_lengths(multiples))


def _eye(rows: Any, columns: Any = None, *, dtype: Any = None) -> float:
    return _product(_lengths((rows, rows if columns is None else columns)))


def single(*_: Any) -> float:
    return 1.0


# ---- the ops -------------------------------------------------------------------------------------


def _norm(x: Any, axis: Any = None, keepdims: bool = False) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(x), axis, keepdims))


def _where(condition: Any, x: Any, y: Any) -> tf.Tensor:
    return tf.where(condition, x, y)


# How many numbers an op gives at most -> the ops, by their names in tf, tf.math or tf.linalg.
_BOUNDS: dict[Callable[..., float], str] = {
    as_many: "reduce_mean reduce_sum reduce_max reduce_min reduce_prod square sqrt rsqrt abs "
    "negative reciprocal exp log sign identity stop_gradient cast ones_like zeros_like "
    "transpose expand_dims squeeze shape size rank concat stack",
    broadcast: "add subtract multiply divide divide_no_nan pow maximum minimum "
    "squared_difference equal not_equal greater greater_equal less less_equal",
    _constant: "constant convert_to_tensor",
    _filled: "ones zeros fill",
    _reshaped: "reshape broadcast_to",
    _tiled: "tile",
    matmul: "matmul",
    _eye: "eye",
}
Op = tuple[Callable[..., Any], Callable[..., float]]
OPS: dict[str, Op | tf.DType | None] = {
    f"tf.{place}{name}": (getattr(module, name), bound)  # names of this table, not of a text
    for bound, names in _BOUNDS.items()
    for name in names.split()
    for place, module in (("", tf), ("math.", tf.math), ("linalg.", tf.linalg))
    if hasattr(module, name)
}
OPS |= {"tf.norm": (_norm, as_many), "tf.linalg.norm": (_norm, as_many)}
OPS |= {"tf.where": (_where, broadcast), "tf.newaxis": None}
OPS |= {f"tf.{one.name}": one for one in (tf.float32, tf.float64, tf.int32, tf.int64)}
KEYWORDS = {"axis", "keepdims", "dtype", "perm", "transpose_a", "transpose_b"}


def instead_of(name: str) -> str:
    """`; tf.reduce_mean is` for x.mean, np.mean or tf.mean: what somebody may have meant."""
    last = name.rpartition(".")[2]
    near = [op for op in OPS if last and op.endswith((f".{last}", f"_{last}"))]
    return f"; {min(near, key=len)} is" if near else ""


def _length(x: Any) -> int:
    return _shape(x)[0]


def _range(*ends: Any) -> tuple[int, ...]:
    numbers = range(*ends)
    if len(numbers) > MOST_ITEMS:
        raise ValueError(f"a tuple has at most {MOST_ITEMS} items here")
    return tuple(numbers)


def items(x: Any) -> tuple[Any, ...]:
    if is_tensor(x) and x.shape.rank and x.shape[0] <= MOST_ITEMS:
        return tuple(tf.unstack(x))
    if not isinstance(x, tuple):
        raise ValueError("this cannot be taken apart")
    return x


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*values: Any) -> Any:
        parts = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
        if not all(isinstance(one, int | float) or _is_scalar(one) for one in parts):
            raise ValueError("this is for numbers: tf has an op for tensors")
        return function(*values)

    return checked


def _is_scalar(value: Any) -> bool:
    return is_tensor(value) and value.shape.rank == 0


BUILTINS: dict[str, Op] = {
    "len": (_length, single),
    "range": (_range, single),
    **{name: (items, as_many) for name in ("tuple", "list")},
    **{one.__name__: (_of_numbers(one), single) for one in (float, int, min, max)},
    "abs": (operator.abs, as_many),
}


def power(base: float, exponent: float) -> float:
    """About base ** exponent, at once also where whole numbers would grow without end."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return sys.float_info.max
