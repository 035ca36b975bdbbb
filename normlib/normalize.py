"""The normalizations, as pure functions of tensors, from basic ops.

Every normalization of activations is one operation, `standardize` and then `scale_shift`; the
methods differ only in the axes over which they average. Weight normalization does not touch the
activations: it rebuilds the kernel.

Tensors are channels last. float32 and float64 keep their dtype; anything else is a `TypeError`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from normlib import runtime  # noqa: F401  (before any op runs: one thread per op)

# Under the root of ||v||² it keeps the value and the gradient finite at v = 0, and is lost in
# rounding for any kernel that matters.
_TINY = 1e-30


def standardize(
    x: tf.Tensor,
    axes: int | Sequence[int],
    epsilon: float,
    center: bool = True,
    scale: bool = True,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Shift and scale `x` to mean 0 and variance 1 over `axes`.

        mean = average(x),   variance = average((x - mean)²)
        x_hat = (x - mean) / sqrt(variance + ε)

    The variance takes a second pass, and divides by the count: E[x²] - E[x]² would lose every
    digit in float32 once the mean is a thousand times the spread.

    x: any shape. epsilon: of the variance's unit, inside the root.
    center=False leaves the mean in (mean is then 0, variance the mean square);
    scale=False does not divide.
    Returns x_hat (the shape of x), mean and variance (the averaged axes kept, with length 1).
    Raises TypeError for a dtype that is not float32 or float64, ValueError for axes that x lacks.
    """
    x = _floating(x, "x")
    axes = resolved(axes, x.shape.rank)
    mean = average(x, axes)
    if not center:
        mean = tf.zeros_like(mean)
    centered = x - as_row(mean, x)
    variance = average(tf.square(centered), axes)
    if not scale:
        return centered, mean, variance
    inverse = tf.math.rsqrt(variance + _epsilon(epsilon, x.dtype))
    return centered * as_row(inverse, x), mean, variance


def scale_shift(x_hat: tf.Tensor, gamma: tf.Tensor | None, beta: tf.Tensor | None) -> tf.Tensor:
    """Give every normalized number its learned scale and offset:  z = gamma * x_hat + beta.

    gamma, beta: any shape that broadcasts from the last axis: (C,), (H, W, C), or one number.
    None stands for 1 and 0.
    """
    z = _floating(x_hat, "x_hat")
    if gamma is not None:
        z = z * as_row(gamma, z)
    if beta is not None:
        z = z + as_row(beta, z)
    return z


def batch_norm(
    x: tf.Tensor,
    gamma: tf.Tensor | None,
    beta: tf.Tensor | None,
    epsilon: float,
    mean: tf.Tensor | None = None,
    variance: tf.Tensor | None = None,
) -> tf.Tensor:
    """Normalize each channel by its mean and variance over the batch and all positions.

        training:   z = gamma * (x - mean_c) / sqrt(variance_c + ε) + beta
        inference:  the same with the `mean` and `variance` handed in (the moving statistics)

    x: (N, ..., C), any rank from 2 up. gamma, beta, mean, variance: (C,).
    Raises ValueError for a lower rank, or when only one of mean and variance is given.
    Source: Ioffe and Szegedy, 2015, arXiv:1502.03167, algorithms 1 and 2.
    """
    x = _at_least(_floating(x, "x"), 2, "Batch norm needs (N, ..., C)")
    if (mean is None) != (variance is None):
        raise ValueError("Give both mean and variance, or neither.")
    if mean is None:
        x_hat, _, _ = standardize(x, range(x.shape.rank - 1), epsilon)
    else:
        variance = tf.convert_to_tensor(variance, x.dtype)
        inverse = tf.math.rsqrt(variance + _epsilon(epsilon, x.dtype))
        x_hat = (x - as_row(mean, x)) * as_row(inverse, x)
    return scale_shift(x_hat, gamma, beta)


def layer_norm(
    x: tf.Tensor,
    gamma: tf.Tensor | None,
    beta: tf.Tensor | None,
    epsilon: float,
    axes: int | Sequence[int] | None = None,
) -> tf.Tensor:
    """Normalize each example by its own mean and variance over everything in it.

        z = gamma * (x - mean_n) / sqrt(variance_n + ε) + beta

    x: (N, ..., C). axes: all but the first unless given; `axes=-1` normalizes each position over
    its channels only, which is what Keras does by default: another layer.
    gamma, beta: broadcast from the last axis, usually x.shape[1:] or (C,).
    Source: Ba, Kiros and Hinton, 2016, arXiv:1607.06450, equation 3.
    """
    x = _at_least(_floating(x, "x"), 2, "Layer norm needs (N, ..., C)")
    axes = range(1, x.shape.rank) if axes is None else axes
    x_hat, _, _ = standardize(x, axes, epsilon)
    return scale_shift(x_hat, gamma, beta)


def group_norm(
    x: tf.Tensor,
    gamma: tf.Tensor | None,
    beta: tf.Tensor | None,
    epsilon: float,
    groups: int,
) -> tf.Tensor:
    """Normalize each group of neighboring channels of each example over all its positions.

        x as (N, ..., G, C/G),  averaged over everything but N and G

    x: (N, ..., C) with C a multiple of `groups`. gamma, beta: (C,).
    One group is layer norm with a gamma per channel; C groups are instance norm.
    Raises ValueError when the groups do not divide the channels.
    Source: Wu and He, 2018, arXiv:1803.08494, equation 7.
    """
    x = _at_least(_floating(x, "x"), 2, "Group norm needs (N, ..., C)")
    x_hat, _, _ = standardize(split_channels(x, groups), group_axes(x.shape.rank), epsilon)
    return scale_shift(tf.reshape(x_hat, tf.shape(x)), gamma, beta)


def instance_norm(
    x: tf.Tensor, gamma: tf.Tensor | None, beta: tf.Tensor | None, epsilon: float
) -> tf.Tensor:
    """Normalize each channel of each example over its positions.

        z = gamma * (x - mean_nc) / sqrt(variance_nc + ε) + beta

    x: (N, ..., C) with at least one axis of positions. gamma, beta: (C,).
    Source: Ulyanov, Vedaldi and Lempitsky, 2016, arXiv:1607.08022.
    """
    x = _at_least(_floating(x, "x"), 3, "Instance norm needs positions, (N, ..., C)")
    x_hat, _, _ = standardize(x, range(1, x.shape.rank - 1), epsilon)
    return scale_shift(x_hat, gamma, beta)


def rms_norm(
    x: tf.Tensor,
    gamma: tf.Tensor | None,
    epsilon: float,
    axes: int | Sequence[int] | None = None,
) -> tf.Tensor:
    """Divide each example by the root of its mean square; the mean stays in.

        z = gamma * x / sqrt(average(x²) + ε)

    x: (N, ..., C). axes: all but the first unless given. gamma: broadcasts from the last axis.
    Source: Zhang and Sennrich, 2019, arXiv:1910.07467, equation 4.
    """
    x = _at_least(_floating(x, "x"), 2, "RMS norm needs (N, ..., C)")
    axes = range(1, x.shape.rank) if axes is None else axes
    x_hat, _, _ = standardize(x, axes, epsilon, center=False)
    return scale_shift(x_hat, gamma, None)


def weight_norm(v: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
    """Rebuild a kernel from a direction and a length for each output channel.

        w_c = g_c * v_c / ||v_c||

    v: (..., C_out), the norm taken over every axis but the last. g: (C_out,), in the kernel's unit.
    A channel with v = 0 has no direction: its w is 0, and value and gradient stay finite.
    Source: Salimans and Kingma, 2016, arXiv:1602.07868, equation 2.
    """
    v = _at_least(_floating(v, "v"), 1, "Weight norm needs (..., C_out)")
    return tf.convert_to_tensor(g, v.dtype) * (v * inverse_norm(v))


def average(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """The mean over `axes`, which are kept with length 1."""
    lengths = _lengths(x)
    return total(x, axes) / tf.cast(math.prod(lengths[axis] for axis in axes), x.dtype)


def total(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """The sum over `axes`, which are kept with length 1, taken one axis at a time.

    Adding fifty thousand numbers in one go leaves an error of 2e-5 in float32; axis by axis, sums
    stay short, the error is twenty times smaller, and a CPU is faster at it.
    """
    for axis in axes:
        x = tf.reduce_sum(x, axis, keepdims=True)
    return x


def as_row(a: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """`a` with the axes of x, repeated along all but the first where it has length 1 there.

    Broadcasting would give the same numbers. But a CPU multiplies one long row twice as fast as
    30 channels at a time; and the gradient of gamma, which is added up over whatever was repeated,
    is added up in short sums, for the reason given in `total`.
    """
    a = tf.convert_to_tensor(a, x.dtype)
    if 0 < a.shape.rank < x.shape.rank:
        a = tf.reshape(a, [1] * (x.shape.rank - a.shape.rank) + a.shape)
    if not a.shape.rank or a.shape[0] != 1:
        return a
    lengths = list(a.shape)
    for axis in range(x.shape.rank - 1, 0, -1):
        if lengths[axis] == 1 != x.shape[axis]:
            lengths[axis] = _lengths(x)[axis]
            a = tf.broadcast_to(a, lengths)
    return a


def inverse_norm(v: tf.Tensor) -> tf.Tensor:
    """1 / ||v_c|| for each output channel of a kernel (..., C_out); finite at v = 0."""
    squares = tf.reduce_sum(tf.square(v), axis=range(len(v.shape) - 1))
    return tf.math.rsqrt(squares + tf.constant(_TINY, v.dtype))


def split_channels(x: tf.Tensor, groups: int) -> tf.Tensor:
    """(N, ..., C) seen as (N, ..., G, C/G); ValueError when G does not divide C."""
    channels = x.shape[-1]
    if groups < 1 or channels % groups:
        raise ValueError(f"{channels} channels cannot be split into {groups} equal groups.")
    return tf.reshape(x, [*_lengths(x)[:-1], groups, channels // groups])


def group_axes(rank: int) -> tuple[int, ...]:
    """The axes to average in (N, ..., G, C/G), where `rank` is that of (N, ..., C)."""
    return (*range(1, rank - 1), rank)


def _floating(x: tf.Tensor, name: str) -> tf.Tensor:
    x = tf.convert_to_tensor(x)
    if x.dtype not in (tf.float32, tf.float64):
        raise TypeError(f"{name} must be float32 or float64, not {x.dtype.name}.")
    return x


def _lengths(x: tf.Tensor) -> list[int | tf.Tensor]:
    """The shape of x: numbers where they are known, tensors where only the run will tell."""
    return [tf.shape(x)[i] if n is None else n for i, n in enumerate(x.shape)]


def _at_least(x: tf.Tensor, rank: int, need: str) -> tf.Tensor:
    if x.shape.rank is None or x.shape.rank < rank:
        raise ValueError(f"{need}, and got shape {x.shape}.")
    return x


def resolved(axes: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """The axes as a sorted tuple of numbers from 0 up; ValueError for one that is not there."""
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    if not axes or not all(-rank <= a < rank for a in axes):
        raise ValueError(f"axes {axes} do not fit a tensor with {rank} axes.")
    resolved = tuple(sorted({a % rank for a in axes}))
    if len(resolved) != len(axes):
        raise ValueError(f"axes {axes} name one axis twice.")
    return resolved


def _epsilon(epsilon: float, dtype: tf.DType) -> tf.Tensor:
    """Epsilon in x's dtype; negative or not a number is a ValueError (where it is known)."""
    if tf.is_tensor(epsilon):
        return tf.cast(epsilon, dtype)
    if not (epsilon >= 0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon must be a finite number from 0 up, not {epsilon!r}.")
    return tf.constant(epsilon, dtype)  # tf.cast would round it to float32 on the way
