"""The normalizations as the layers train with them: the plain formulas, in fewer passes.

On a CPU, what a normalization costs is how often it goes through the feature map. The numbers are
those of `normalize` and `gradients`, which say what is computed; a test holds one to the other in
float64, forward and backward. This module is only about going through the map less often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import tensorflow as tf

from normlib.arguments import axes_of, checked_epsilon, lengths
from normlib.gradients import sum_to
from normlib.normalize import total
from normlib.runtime import custom_gradient, fused


def fast_normalized(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor | None,
    epsilon: float,
    axes: int | Sequence[int],
    center: bool = True,
    scale: bool = True,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """z, mean and variance of `standardize` and `scale_shift`, differentiated by hand.

        z = gamma * x_hat + beta
        dx = (gamma * dz - average(gamma * dz) - x_hat * average(gamma * dz * x_hat)) / root

    In less than half the time of TensorFlow's own differentiation. Arguments as there.
    No gradient flows into mean and variance.
    """
    x = tf.convert_to_tensor(x)
    axes = axes_of(x, axes)
    checked_epsilon(epsilon)
    parameters = [tf.convert_to_tensor(p) for p in (gamma, beta) if p is not None]

    @custom_gradient
    def apply(x, gamma, beta=None):
        count = _count(x, axes)
        mean = _total(x, axes) / count
        if not center:
            mean = tf.zeros_like(mean)
        centered = x - as_row(mean, x) if center else x
        variance = _sum_of_squares(centered, axes) / count
        inverse = tf.math.rsqrt(variance + epsilon) if scale else tf.ones_like(variance)
        z = _z(centered, inverse, gamma, tf.zeros([], x.dtype) if beta is None else beta)
        one_each = variance.shape == [1] * (x.shape.rank - gamma.shape.rank) + gamma.shape

        def backward(dz, *_):
            dbeta = _sum_to(dz, gamma)
            if one_each:  # a mean for each gamma: the sums for gamma and beta are those for dx
                root = tf.reshape(inverse, gamma.shape)
                along = _dot(dz, centered, gamma)
                dgamma, stretch, shift = along * root, gamma * along, gamma * dbeta
            else:
                along = dz * centered
                dgamma = _sum_to(along, gamma, inverse, axes)
                stretch = _weighted_total(along, gamma, axes)
                shift = _weighted_total(dz, gamma, axes)
            stretch = stretch / count if scale else tf.zeros([], x.dtype)
            shift = shift / count if center else tf.zeros([], x.dtype)
            dx = _dx(dz, centered, gamma, inverse, stretch, shift)
            return dx, *(dgamma, dbeta)[: len(parameters)]

        return (z, mean, variance), backward

    return apply(x, *parameters)


def fast_batch_norm(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    epsilon: float,
    mean: tf.Tensor,
    variance: tf.Tensor,
) -> tf.Tensor:
    """`batch_norm` with the statistics handed in. Arguments as there."""
    return _z_of(x, mean, tf.math.rsqrt(variance + epsilon), gamma, beta)


def fast_weight_norm(v: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
    """`weight_norm`, but that a channel shorter than 1e-15 counts as 0. Arguments as there."""
    squares = tf.reduce_sum(tf.square(v), range(v.shape.rank - 1))
    there = squares > 1e-30
    inverse = tf.math.rsqrt(tf.where(there, squares, tf.ones_like(squares)))
    return g * (v * tf.where(there, inverse, tf.zeros_like(inverse)))


@custom_gradient
def fast_product(x: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """x @ w, with dx as a batch of one product: TensorFlow has a faster op for batches."""

    def backward(dz):
        dx = tf.matmul(dz[None], w[None], transpose_b=True)[0]
        return dx, tf.matmul(x, dz, transpose_a=True)

    return x @ w, backward


@fused
def _z(centered, inverse, gamma, beta):
    return centered * inverse * gamma + beta


@fused
def _z_of(x, mean, inverse, gamma, beta):
    return (x - mean) * inverse * gamma + beta


@fused
def _dx(dz, centered, gamma, inverse, stretch, shift):
    return (gamma * dz - shift - centered * inverse * (inverse * stretch)) * inverse


def _dot(a: tf.Tensor, b: tf.Tensor, parameter: tf.Tensor) -> tf.Tensor:
    """`sum_to(a * b)` without writing the products down.

    They are the gradient of a depthwise convolution in its filter, which has one weight for each
    number of the parameter.
    """
    rank = parameter.shape.rank
    if not a.shape.rank > rank > 0 or a.shape[-rank:] != parameter.shape:
        return _sum_to(a * b, parameter)
    numbers = parameter.shape.num_elements()
    shape = [tf.shape(a)[0], -1, 1, numbers]
    dot = tf.nn.depthwise_conv2d_backprop_filter(
        tf.reshape(a, shape), [1, 1, numbers, 1], tf.reshape(b, shape), [1, 1, 1, 1], "VALID"
    )
    return tf.reshape(dot, parameter.shape)


def _weighted_total(x: tf.Tensor, gamma: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """The sum of gamma * x over `axes`; for one number per example, as x @ gamma."""
    if not _per_example(x, gamma, axes):
        return total(x * as_row(gamma, x), axes)
    products = tf.reshape(x, [-1, gamma.shape.num_elements()]) @ tf.reshape(gamma, [-1, 1])
    return tf.reshape(products, [-1] + [1] * gamma.shape.rank)


def _sum_to(
    values: tf.Tensor, gamma: tf.Tensor, weights: tf.Tensor | None = None, axes: Sequence[int] = ()
) -> tf.Tensor:
    """`sum_to(values)`; weights, where given, are one number for what was averaged over `axes`."""
    if weights is None:
        return sum_to(values, gamma, _total)
    if not _per_example(values, gamma, axes):
        return sum_to(values * as_row(weights, values), gamma, _total)
    return sum_to(values, gamma, partial(_total, weights=weights))


def _per_example(x: tf.Tensor, gamma: tf.Tensor, axes: Sequence[int]) -> bool:
    """Whether an example is averaged as a whole, with a gamma for each of its numbers."""
    return axes == tuple(range(1, x.shape.rank)) and gamma.shape == x.shape[1:]


def _sum_of_squares(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """The sum of x² over `axes`, by an op that adds squares up without writing them down."""
    norms = tf.math.reduce_euclidean_norm(x, axes[0], keepdims=True)
    return total(tf.square(norms), axes[1:])


def _total(x: tf.Tensor, axes: Sequence[int], weights: tf.Tensor | None = None) -> tf.Tensor:
    """`normalize.total`, where the first axis is added up three times as fast: by ones @ x.

    weights: one for each example, in place of the ones.
    """
    if not axes or axes[0] != 0:
        return total(x, axes)
    n, *others = lengths(x)
    row = tf.ones([1, n], x.dtype) if weights is None else tf.reshape(weights, [1, n])
    first = row @ tf.reshape(x, [n, -1])
    return total(tf.reshape(first, [1, *others]), axes[1:])


def _count(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    return tf.cast(math.prod(lengths(x)[axis] for axis in axes), x.dtype)


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
    repeated = list(a.shape)
    for axis in range(x.shape.rank - 1, 0, -1):
        if repeated[axis] == 1 != x.shape[axis]:
            repeated[axis] = lengths(x)[axis]
            a = tf.broadcast_to(a, repeated)
    return a
