"""The normalizations, as pure functions of tensors, from basic ops.

Every normalization of activations is one operation, `standardize` and then `scale_shift`; the
methods differ only in the axes over which they average, which `AXES` names. Weight normalization
does not touch the activations: it rebuilds the kernel.

Tensors are channels last. float32 and float64 keep their dtype; anything else is a `TypeError`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import tensorflow as tf

from normlib import runtime  # noqa: F401  (before any op runs: one thread per op)

Axes: TypeAlias = int | Sequence[int]
Parameter: TypeAlias = tf.Tensor | None  # gamma or beta; None stands for 1 or 0

# method -> the averaged axes of an x of this rank, (N, ..., C)
AXES: dict[str, Callable[[int], tuple[int, ...]]] = {
    "batch": lambda rank: tuple(range(rank - 1)),
    "layer": lambda rank: tuple(range(1, rank)),
    "position": lambda rank: (rank - 1,),  # Keras's default layer norm
    "instance": lambda rank: tuple(range(1, rank - 1)),
    "group": lambda rank: (*range(1, rank - 1), rank),  # of (N, ..., G, C/G)
    "rms": lambda rank: tuple(range(1, rank)),  # as layer, but the mean stays in
}


def standardize(
    x: tf.Tensor, axes: Axes, epsilon: float, center: bool = True
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Shift and scale `x` to mean 0 and variance 1 over `axes`.

        mean = average(x),   variance = average((x - mean)²)
        x_hat = (x - mean) / sqrt(variance + ε)

    The variance takes a second pass, and divides by the count: E[x²] - E[x]² would lose every
    digit in float32 once the mean is a thousand times the spread.

    x: any shape. axes: integers. epsilon: of the variance's unit, inside the root.
    center=False leaves the mean in: it is 0 then, and the variance is the mean square.
    Returns x_hat (the shape of x), mean and variance (the averaged axes kept, with length 1).
    Where the squares overflow (|x| from 1e19 in float32), x_hat is NaN.
    Raises TypeError for a dtype that is not float32 or float64 and for axes that are no integers,
    ValueError for axes that x lacks.
    """
    x = floating(x, "x")
    axes = axes_of(x, axes)
    mean = average(x, axes)
    if not center:
        mean = tf.zeros_like(mean)
    centered = x - mean
    variance = average(tf.square(centered), axes)
    return centered * inverse_root(variance, epsilon), mean, variance


def scale_shift(x_hat: tf.Tensor, gamma: Parameter, beta: Parameter) -> tf.Tensor:
    """Give every normalized number its learned scale and offset:  z = gamma * x_hat + beta.

    gamma, beta: any shape that broadcasts from the last axis: (C,), (H, W, C), or one number.
    Raises ValueError for a shape that does not fit.
    """
    z = floating(x_hat, "x_hat")
    if gamma is not None:
        z = z * fitting(gamma, z, "gamma")
    if beta is not None:
        z = z + fitting(beta, z, "beta")
    return z


def apply(
    method: str, x: tf.Tensor, gamma: Parameter, beta: Parameter, epsilon: float, groups: int = 1
) -> tf.Tensor:
    """Normalize by any method of `AXES`:  z = gamma * x_hat + beta.

    x: (N, ..., C). groups: of group norm only. RMS norm leaves the mean in.
    Raises ValueError for an unknown method, and for an x of too low a rank.
    """
    x = ranked(method, x)
    view = split_channels(x, groups) if method == "group" else x
    axes = AXES[method](x.shape.rank)
    x_hat, _, _ = standardize(view, axes, epsilon, center=method != "rms")
    return scale_shift(tf.reshape(x_hat, tf.shape(x)), gamma, beta)


def batch_norm(
    x: tf.Tensor,
    gamma: Parameter,
    beta: Parameter,
    epsilon: float,
    mean: Parameter = None,
    variance: Parameter = None,
) -> tf.Tensor:
    """Normalize each channel by its mean and variance over the batch and all positions.

        training:   z = gamma * (x - mean_c) / sqrt(variance_c + ε) + beta
        inference:  the same with the `mean` and `variance` handed in (the moving statistics)

    x: (N, ..., C), any rank from 2 up. gamma, beta, mean, variance: (C,).
    Raises ValueError for a lower rank, or when only one of mean and variance is given.
    Source: Ioffe and Szegedy, 2015, arXiv:1502.03167, algorithms 1 and 2.
    """
    if mean is None and variance is None:
        return apply("batch", x, gamma, beta, epsilon)
    if mean is None or variance is None:
        raise ValueError("Give both mean and variance, or neither.")
    x = ranked("batch", x)
    mean, variance = fitting(mean, x, "mean"), fitting(variance, x, "variance")
    return scale_shift((x - mean) * inverse_root(variance, epsilon), gamma, beta)


def layer_norm(
    x: tf.Tensor, gamma: Parameter, beta: Parameter, epsilon: float, axes: Axes | None = None
) -> tf.Tensor:
    """Normalize each example by its own mean and variance over everything in it.

        z = gamma * (x - mean_n) / sqrt(variance_n + ε) + beta

    x: (N, ..., C); with axes given any shape. axes: all but the first unless given; `axes=-1`
    normalizes each position over its channels only, which is what Keras does by default: another
    layer.
    gamma, beta: broadcast from the last axis, usually x.shape[1:] or (C,).
    Source: Ba, Kiros and Hinton, 2016, arXiv:1607.06450, equation 3.
    """
    if axes is None:
        return apply("layer", x, gamma, beta, epsilon)
    return scale_shift(standardize(x, axes, epsilon)[0], gamma, beta)


def group_norm(
    x: tf.Tensor, gamma: Parameter, beta: Parameter, epsilon: float, groups: int
) -> tf.Tensor:
    """Normalize each group of neighboring channels of each example over all its positions.

        x as (N, ..., G, C/G),  averaged over everything but N and G

    x: (N, ..., C) with C a multiple of `groups`. gamma, beta: (C,).
    One group is layer norm with a gamma per channel; C groups are instance norm.
    Raises ValueError when the groups do not divide the channels.
    Source: Wu and He, 2018, arXiv:1803.08494, equation 7.
    """
    return apply("group", x, gamma, beta, epsilon, groups)


def instance_norm(x: tf.Tensor, gamma: Parameter, beta: Parameter, epsilon: float) -> tf.Tensor:
    """Normalize each channel of each example over its positions.

        z = gamma * (x - mean_nc) / sqrt(variance_nc + ε) + beta

    x: (N, ..., C) with at least one axis of positions. gamma, beta: (C,).
    Source: Ulyanov, Vedaldi and Lempitsky, 2016, arXiv:1607.08022.
    """
    return apply("instance", x, gamma, beta, epsilon)


def rms_norm(x: tf.Tensor, gamma: Parameter, epsilon: float, axes: Axes | None = None) -> tf.Tensor:
    """Divide each example by the root of its mean square; the mean stays in.

        z = gamma * x / sqrt(average(x²) + ε)

    x: (N, ..., C); with axes given any shape. axes: all but the first unless given.
    gamma: broadcasts from the last axis.
    Source: Zhang and Sennrich, 2019, arXiv:1910.07467, equation 4.
    """
    if axes is None:
        return apply("rms", x, gamma, None, epsilon)
    return scale_shift(standardize(x, axes, epsilon, center=False)[0], gamma, None)


def weight_norm(v: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
    """Rebuild a kernel from a direction and a length for each output channel.

        w_c = g_c * v_c / ||v_c||

    v: (..., C_out), the norm taken over every axis but the last. g: (C_out,), in the kernel's unit.
    A channel with v = 0 has no direction: its w is 0, and so are its gradients.
    Source: Salimans and Kingma, 2016, arXiv:1602.07868, equation 2.
    """
    unit, _ = direction(v)
    return fitting(g, unit, "g") * unit


def direction(v: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """v_c / ||v_c|| (..., C_out) and ||v_c|| (C_out,) for each output channel; 0 and 0 at v = 0.

    Before it is squared, a v whose squares would leave the dtype's range is multiplied by a power
    of two, which changes no digit; and v = 0 by 0, so that no gradient flows into it.
    """
    v = floating(v, "v")
    if not v.shape.rank:
        raise ValueError(f"Weight norm needs (..., C_out), and got shape {v.shape}.")
    axes = range(v.shape.rank - 1)
    largest = tf.reduce_max(tf.abs(v), axes)
    one = tf.ones_like(largest)
    far = tf.constant(2.0**40 if v.dtype == tf.float32 else 2.0**400, v.dtype)
    factor = tf.where(largest > far, far**-2, tf.where(largest < 1 / far, far**2, one))
    factor = tf.where(largest > 0, factor, 0 * one)
    scaled = v * factor
    squares = tf.reduce_sum(tf.square(scaled), axes)
    inverse = tf.math.rsqrt(tf.where(largest > 0, squares, one))
    return scaled * inverse, tf.math.divide_no_nan(1 / inverse, factor)


# --- what they are made of ----------------------------------------------------------------------


def average(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """The mean over `axes`, which are kept with length 1."""
    return total(x, axes) / tf.cast(math.prod(lengths(x)[axis] for axis in axes), x.dtype)


def total(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """The sum over `axes`, which are kept with length 1, taken one axis at a time.

    Adding fifty thousand numbers in one go leaves an error of 2e-5 in float32; axis by axis, sums
    stay short, the error is twenty times smaller, and a CPU is faster at it.
    """
    for axis in axes:
        x = tf.reduce_sum(x, axis, keepdims=True)
    return x


def inverse_root(variance: tf.Tensor, epsilon: float) -> tf.Tensor:
    """1 / sqrt(variance + ε); NaN for a variance that overflowed, not a silent 0."""
    if not tf.is_tensor(epsilon) and not 0 <= epsilon < math.inf:
        raise ValueError(f"epsilon must be a finite number from 0 up, not {epsilon!r}.")
    root = tf.math.rsqrt(variance + tf.convert_to_tensor(epsilon, variance.dtype))
    return tf.where(tf.math.is_inf(variance), tf.constant(math.nan, variance.dtype), root)


def split_channels(x: tf.Tensor, groups: int) -> tf.Tensor:
    """(N, ..., C) seen as (N, ..., G, C/G); ValueError when G does not divide C."""
    channels = x.shape[-1]
    if channels is None or groups < 1 or channels % groups:
        raise ValueError(f"{channels} channels cannot be split into {groups} equal groups.")
    return tf.reshape(x, [*lengths(x)[:-1], groups, channels // groups])


def lengths(x: tf.Tensor) -> list[int | tf.Tensor]:
    """The shape of x: numbers where they are known, tensors where only the run will tell."""
    return [tf.shape(x)[i] if n is None else n for i, n in enumerate(x.shape)]


# --- what they ask of their arguments -----------------------------------------------------------


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
    numbers, rank = tuple(map(operator.index, given)), x.shape.rank
    if rank is None or not numbers or not all(-rank <= axis < rank for axis in numbers):
        raise ValueError(f"axes {numbers} do not fit a tensor of shape {x.shape}.")
    known = tuple(sorted({axis % rank for axis in numbers}))
    if len(known) != len(numbers):
        raise ValueError(f"axes {numbers} name one axis twice.")
    return known


def ranked(method: str, x: tf.Tensor) -> tf.Tensor:
    """x as a tensor; ValueError unless it has the axes that the method averages and keeps."""
    if method not in AXES:
        raise ValueError(f"There is no method {method!r} here; there are {', '.join(AXES)}.")
    x = floating(x, "x")
    least, need = (3, "positions, ") if method == "instance" else (2, "")
    if x.shape.rank is None or x.shape.rank < least:
        named = {"rms": "RMS", "position": "Layer"}.get(method, method.capitalize())
        raise ValueError(f"{named} norm needs {need}(N, ..., C), and got shape {x.shape}.")
    return x
