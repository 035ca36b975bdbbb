"""The backward passes by hand.

Notation: dz is the gradient of the loss with respect to z, and so on. As in `normalize`, there is
one formula for every normalization of activations; only the axes differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from normlib import normalize


class Terms(NamedTuple):
    """What a normalized number's gradient is made of; each has the shape of x."""

    direct: tf.Tensor  # through x itself, were mean and root constants
    mean: tf.Tensor  # through the mean, to which x belongs
    projection: tf.Tensor  # through the root, which grows with x

    @property
    def dx(self) -> tf.Tensor:
        return self.direct + self.mean + self.projection


class Gradients(NamedTuple):
    """The gradients of one layer, each of the shape of what it belongs to; None for None."""

    dx: tf.Tensor
    dgamma: tf.Tensor | None
    dbeta: tf.Tensor | None


class KernelGradients(NamedTuple):
    dv: tf.Tensor
    dg: tf.Tensor


def backward_terms(
    dx_hat: tf.Tensor,
    x_hat: tf.Tensor,
    root: tf.Tensor,
    axes: int | Sequence[int],
    center: bool = True,
    scale: bool = True,
) -> Terms:
    """The three paths by which the loss depends on x; dx is their sum.

        direct = dx_hat / root,  mean = -average(dx_hat) / root,
        projection = -x_hat * average(dx_hat * x_hat) / root

    The last two take away what normalizing made impossible: a common shift of the averaged
    numbers, and a common stretch.
    dx_hat, x_hat: any shape. root: sqrt(variance + ε), broadcasts against them.
    center, scale: as `standardize` had them; the term of a step left out is 0.
    """
    axes = normalize.resolved(axes, len(x_hat.shape))
    average = partial(normalize.average, axes=axes)
    root = root if scale else tf.ones_like(root)
    nothing = tf.zeros_like(x_hat)
    return Terms(
        direct=dx_hat / root,
        mean=nothing - average(dx_hat) / root if center else nothing,
        projection=-x_hat * average(dx_hat * x_hat) / root if scale else nothing,
    )


def standardize_backward(
    dx_hat: tf.Tensor,
    x_hat: tf.Tensor,
    root: tf.Tensor,
    axes: int | Sequence[int],
    center: bool = True,
    scale: bool = True,
) -> tf.Tensor:
    """The gradient of `standardize` in x.

        dx = (dx_hat - average(dx_hat) - x_hat * average(dx_hat * x_hat)) / root

    Arguments as in `backward_terms`, whose sum this is, in fewer passes over the data.
    """
    axes = normalize.resolved(axes, len(x_hat.shape))
    dx = dx_hat
    row = partial(normalize.as_row, x=x_hat)
    if center:
        dx = dx - row(normalize.average(dx_hat, axes))
    if scale:
        dx = (dx - x_hat * row(normalize.average(dx_hat * x_hat, axes))) * row(1 / root)
    return dx


def scale_shift_backward(
    dz: tf.Tensor, x_hat: tf.Tensor, gamma: tf.Tensor | None, beta: tf.Tensor | None
) -> Gradients:
    """The gradient of `scale_shift`; its dx is that of x_hat.

        dx_hat = gamma * dz,  dgamma = sum(dz * x_hat),  dbeta = sum(dz)

    The sums run over every number that shared one gamma or beta. None for one that is None.
    """
    return Gradients(
        dz if gamma is None else dz * normalize.as_row(gamma, dz),
        None if gamma is None else sum_to(dz * x_hat, gamma),
        None if beta is None else sum_to(dz, beta),
    )


def batch_norm_backward(
    dz: tf.Tensor,
    x: tf.Tensor,
    gamma: tf.Tensor | None,
    beta: tf.Tensor | None,
    epsilon: float,
) -> Gradients:
    """The gradient of `batch_norm` in training: averages over all axes but the last."""
    return _backward(dz, x, gamma, beta, epsilon, range(len(x.shape) - 1))


def layer_norm_backward(
    dz: tf.Tensor,
    x: tf.Tensor,
    gamma: tf.Tensor | None,
    beta: tf.Tensor | None,
    epsilon: float,
    axes: int | Sequence[int] | None = None,
) -> Gradients:
    """The gradient of `layer_norm`: averages over all axes but the first, unless given."""
    axes = range(1, len(x.shape)) if axes is None else axes
    return _backward(dz, x, gamma, beta, epsilon, axes)


def group_norm_backward(
    dz: tf.Tensor,
    x: tf.Tensor,
    gamma: tf.Tensor | None,
    beta: tf.Tensor | None,
    epsilon: float,
    groups: int,
) -> Gradients:
    """The gradient of `group_norm`: that of (N, ..., G, C/G), put back in the shape of x."""
    split = partial(normalize.split_channels, groups=groups)
    dx, dgamma, dbeta = _backward(
        split(dz),
        split(x),
        None if gamma is None else split(gamma),
        None if beta is None else split(beta),
        epsilon,
        normalize.group_axes(len(x.shape)),
    )
    return Gradients(
        tf.reshape(dx, tf.shape(x)),
        None if gamma is None else tf.reshape(dgamma, [-1]),
        None if beta is None else tf.reshape(dbeta, [-1]),
    )


def instance_norm_backward(
    dz: tf.Tensor,
    x: tf.Tensor,
    gamma: tf.Tensor | None,
    beta: tf.Tensor | None,
    epsilon: float,
) -> Gradients:
    """The gradient of `instance_norm`: averages over the positions."""
    return _backward(dz, x, gamma, beta, epsilon, range(1, len(x.shape) - 1))


def rms_norm_backward(
    dz: tf.Tensor,
    x: tf.Tensor,
    gamma: tf.Tensor | None,
    epsilon: float,
    axes: int | Sequence[int] | None = None,
) -> Gradients:
    """The gradient of `rms_norm`: without the mean's term, as no mean was subtracted."""
    axes = range(1, len(x.shape)) if axes is None else axes
    return _backward(dz, x, gamma, None, epsilon, axes, center=False)


def weight_norm_backward(dw: tf.Tensor, v: tf.Tensor, g: tf.Tensor) -> KernelGradients:
    """The gradient of `weight_norm`.

        u_c = v_c / ||v_c||,  dg_c = sum(dw_c * u_c),  dv_c = g_c / ||v_c|| * (dw_c - u_c * dg_c)

    dv is orthogonal to v: it turns v and never shortens it, so every step makes ||v|| grow.
    dw, v: (..., C_out). g: (C_out,).
    """
    inverse = normalize.inverse_norm(v)
    u = v * inverse
    along = tf.reduce_sum(dw * u, axis=range(len(v.shape) - 1))
    g = tf.convert_to_tensor(g, v.dtype)
    return KernelGradients(g * inverse * (dw - u * along), sum_to(dw * u, g))


def _backward(dz, x, gamma, beta, epsilon, axes, center=True) -> Gradients:
    x_hat, _, variance = normalize.standardize(x, axes, epsilon, center)
    dx_hat, dgamma, dbeta = scale_shift_backward(dz, x_hat, gamma, beta)
    root = tf.sqrt(variance + epsilon)
    return Gradients(standardize_backward(dx_hat, x_hat, root, axes, center), dgamma, dbeta)


def sum_to(values: tf.Tensor, parameter: tf.Tensor, total: Callable = normalize.total) -> tf.Tensor:
    """Add up what was broadcast from the parameter's shape; the result has that shape."""
    shape = tf.convert_to_tensor(parameter).shape
    added = len(values.shape) - shape.rank
    stretched = [added + i for i, size in enumerate(shape) if size == 1]
    return tf.reshape(total(values, [*range(added), *stretched]), shape)
