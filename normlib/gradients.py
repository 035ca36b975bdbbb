"""The backward passes by hand.

Notation: dz is the gradient of the loss with respect to z, and so on. As in `normalize`, there is
one formula for every normalization of activations; only the axes differ.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from normlib.normalize import (
    AXES,
    Axes,
    Parameter,
    average,
    axes_of,
    direction,
    fitting,
    floating,
    ranked,
    split_channels,
    standardize,
    total,
)


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
    dgamma: Parameter
    dbeta: Parameter


class KernelGradients(NamedTuple):
    dv: tf.Tensor
    dg: tf.Tensor


def backward(
    method: str,
    x: tf.Tensor,
    gamma: Parameter,
    beta: Parameter,
    epsilon: float,
    dz: tf.Tensor,
    groups: int = 1,
) -> Gradients:
    """The gradients of `normalize.apply`, batch norm in training.

        dx_hat = gamma * dz,  dgamma = sum(dz * x_hat),  dbeta = sum(dz)

    and dx the sum of `backward_terms`. The sums run over every number that shared one gamma or
    beta. Arguments as there; dz: the shape of x. Raises what `apply` raises.
    """
    x = ranked(method, x)
    dz = tf.broadcast_to(fitting(dz, x, "dz"), tf.shape(x))
    dx_hat = dz if gamma is None else dz * fitting(gamma, x, "gamma")
    center, axes = method != "rms", AXES[method](x.shape.rank)
    view = partial(split_channels, groups=groups) if method == "group" else tf.identity
    x_hat, _, variance = standardize(view(x), axes, epsilon, center)
    root = tf.sqrt(variance + tf.constant(epsilon, x.dtype))
    dx = backward_terms(view(dx_hat), x_hat, root, axes, center).dx
    x_hat = tf.reshape(x_hat, tf.shape(x))
    return Gradients(
        tf.reshape(dx, tf.shape(x)),
        None if gamma is None else sum_to(dz * x_hat, gamma),
        None if beta is None else sum_to(dz, fitting(beta, x, "beta")),
    )


def backward_terms(
    dx_hat: tf.Tensor, x_hat: tf.Tensor, root: tf.Tensor, axes: Axes, center: bool = True
) -> Terms:
    """The three paths by which the loss depends on x; dx is their sum.

        direct = dx_hat / root,  mean = -average(dx_hat) / root,
        projection = -x_hat * average(dx_hat * x_hat) / root

    The last two take away what normalizing made impossible: a common shift of the averaged
    numbers, and a common stretch.
    dx_hat, x_hat: any shape. root: sqrt(variance + ε), broadcasts against them.
    center: as `standardize` had it; without it the mean's term is 0.
    """
    x_hat = floating(x_hat, "x_hat")
    dx_hat, root = fitting(dx_hat, x_hat, "dx_hat"), fitting(root, x_hat, "root")
    averaged = partial(average, axes=axes_of(x_hat, axes))
    nothing = tf.zeros_like(x_hat)
    return Terms(
        direct=dx_hat / root,
        mean=nothing - averaged(dx_hat) / root if center else nothing,
        projection=-x_hat * averaged(dx_hat * x_hat) / root,
    )


def weight_norm_backward(dw: tf.Tensor, v: tf.Tensor, g: tf.Tensor) -> KernelGradients:
    """The gradient of `weight_norm`.

        u_c = v_c / ||v_c||,  dg_c = sum(dw_c * u_c),  dv_c = g_c / ||v_c|| * (dw_c - u_c * dg_c)

    dv is orthogonal to v: it turns v and never shortens it, so every step makes ||v|| grow.
    A channel with v = 0 gets 0. dw, v: (..., C_out). g: (C_out,), or one number for all.
    """
    u, length = direction(v)
    dw, g = fitting(dw, u, "dw"), fitting(g, u, "g")
    along = tf.reduce_sum(dw * u, range(u.shape.rank - 1))
    return KernelGradients(tf.math.divide_no_nan(g, length) * (dw - u * along), sum_to(dw * u, g))


def sum_to(values: tf.Tensor, parameter: tf.Tensor, adding: Callable = total) -> tf.Tensor:
    """Add up what was broadcast from the parameter's shape; the result has that shape."""
    shape = tf.convert_to_tensor(parameter).shape
    added = len(values.shape) - shape.rank
    stretched = [added + i for i, size in enumerate(shape) if size == 1]
    return tf.reshape(adding(values, [*range(added), *stretched]), shape)
