"""What the ops ask of their arguments: dtype, shape, axes and epsilon. Nothing is computed here."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import tensorflow as tf

Axes: TypeAlias = int | Sequence[int]


def floating(x: tf.Tensor, name: str) -> tf.Tensor:
    """x as a tensor; TypeError unless it is float32 or float64."""
    x = tf.convert_to_tensor(x)
    if x.dtype not in (tf.float32, tf.float64):
        raise TypeError(f"{name} must be float32 or float64, not {x.dtype.name}.")
    return x


def fitting(parameter: tf.Tensor, x: tf.Tensor, name: str) -> tf.Tensor:
    """The parameter in x's dtype; ValueError unless it broadcasts to the shape of x."""
    parameter = tf.convert_to_tensor(parameter, x.dtype)
    pairs = zip(reversed(parameter.shape), reversed(x.shape), strict=False)
    if parameter.shape.rank > x.shape.rank or not all(
        None in (own, other) or own in (1, other) for own, other in pairs
    ):
        raise ValueError(f"{name} has shape {parameter.shape}, which does not fit {x.shape}.")
    return parameter


def axes_of(x: tf.Tensor, axes: Axes) -> tuple[int, ...]:
    """The axes as a sorted tuple of numbers from 0 up; ValueError for one that x lacks."""
    given = tuple(axes) if isinstance(axes, Iterable) else (axes,)
    if any(isinstance(axis, bool) for axis in given):
        raise TypeError(f"axes must be integers, not {axes!r}.")
    numbers = tuple(operator.index(axis) for axis in given)
    rank = x.shape.rank
    if rank is None or not numbers or not all(-rank <= axis < rank for axis in numbers):
        raise ValueError(f"axes {numbers} do not fit a tensor of shape {x.shape}.")
    known = tuple(sorted({axis % rank for axis in numbers}))
    if len(known) != len(numbers):
        raise ValueError(f"axes {numbers} name one axis twice.")
    return known


def checked_epsilon(epsilon: float) -> float:
    """Epsilon; negative, infinite or not a number is a ValueError."""
    if not (epsilon >= 0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon must be a finite number from 0 up, not {epsilon!r}.")
    return epsilon


def lengths(x: tf.Tensor) -> list[int | tf.Tensor]:
    """The shape of x: numbers where they are known, tensors where only the run will tell."""
    return [tf.shape(x)[i] if n is None else n for i, n in enumerate(x.shape)]
