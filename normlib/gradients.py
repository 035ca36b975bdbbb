"""The backward passes by hand, and the check that compares them with three independent ways.

Notation: dz is the gradient of the loss with respect to z, and so on. As in `normalize`, there is
one formula for every normalization of activations; only the axes differ.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from normlib import normalize
from normlib.runtime import custom_gradient

WAYS = ("by hand", "tape", "central differences", "library")
TOLERANCE = 1e-6  # relative; right ways agree to about 1e-9 in float64
LARGEST = 2000  # numbers in a tensor; central differences take the square of it


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
        None if gamma is None else _sum_to(dz * x_hat, gamma),
        None if beta is None else _sum_to(dz, beta),
    )


def normalized(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor | None,
    epsilon: float,
    axes: int | Sequence[int],
    center: bool = True,
    scale: bool = True,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """z, mean and variance of `standardize` and `scale_shift`, differentiated by the formula above.

    What the layers train with: the same numbers as TensorFlow's own differentiation gives, in half
    to two thirds of the time. On a CPU that time is the number of passes over the data, and this
    function and its helpers are about passes. No gradient flows into mean and variance.
    """
    x = tf.convert_to_tensor(x)
    axes = normalize.resolved(axes, x.shape.rank)
    parameters = [tf.convert_to_tensor(p) for p in (gamma, beta) if p is not None]

    @custom_gradient
    def apply(x, gamma, beta=None):
        mean = _average(x, axes)
        if not center:
            mean = tf.zeros_like(mean)
        centered = x - normalize.as_row(mean, x) if center else x
        variance = _mean_square(centered, axes)
        inverse = tf.math.rsqrt(variance + epsilon) if scale else tf.ones_like(variance)
        one_each = variance.shape == [1] * (x.shape.rank - gamma.shape.rank) + gamma.shape
        times = _times_one_factor if one_each else _times_root_and_gamma
        z, backward = times(centered, inverse, gamma, beta, axes, center, scale)
        return (z, mean, variance), lambda dz, *_: backward(dz)[: 1 + len(parameters)]

    return apply(x, *parameters)


def _times_one_factor(centered, inverse, gamma, beta, axes, center, scale):
    """Where each mean belongs to one gamma, as in batch norm, root and gamma are one factor.

    z = factor * centered + beta,  factor = gamma / root
    dx = factor * (dz - average(dz) - centered * average(dz * centered) / root²)
    """
    inverse = tf.reshape(inverse, gamma.shape)
    factor = gamma * inverse

    def backward(dz):
        along, dbeta = _sum_to(dz * centered, gamma), _sum_to(dz, gamma)
        stretch, shift = (d / _count(dz, axes) for d in (along * inverse**2, dbeta))
        lost = _scale_shift(centered, scale * stretch, center * shift)
        return _scale_shift(dz - lost, factor), along * inverse, dbeta

    return _scale_shift(centered, factor, beta), backward


def _times_root_and_gamma(centered, inverse, gamma, beta, axes, center, scale):
    """The formulas as they stand, but dz * x_hat is worked out once, for dgamma and for dx."""
    row = partial(normalize.as_row, x=centered)
    x_hat = centered * row(inverse)

    def backward(dz):
        along, dx = dz * x_hat, dz * row(gamma)
        dgamma, dbeta = _sum_to(along, gamma), _sum_to(dz, gamma)
        stretch, shift = _average(along * row(gamma), axes), _average(dx, axes)
        if scale:
            dx = dx - x_hat * row(stretch)
        if center:
            dx = dx - row(shift)
        return dx * row(inverse), dgamma, dbeta

    return _scale_shift(x_hat, gamma, beta), backward


def _scale_shift(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor | None = None) -> tf.Tensor:
    """`scale_shift` in one pass: a depthwise convolution to which every number is a channel."""
    row = normalize.as_row(gamma, x)
    if row.shape != [1, *x.shape[1:]] or not row.shape.is_fully_defined():
        return normalize.scale_shift(x, gamma, beta)  # these differ within a batch
    channels = row.shape.num_elements()
    seen, kernel = tf.reshape(x, [-1, 1, 1, channels]), tf.reshape(row, [1, 1, channels, 1])
    z = tf.nn.depthwise_conv2d(seen, kernel, [1, 1, 1, 1], "VALID")
    if beta is not None:
        z = tf.nn.bias_add(z, tf.reshape(normalize.as_row(beta, x), [channels]))
    return tf.reshape(z, tf.shape(x))


def _average(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    return _total(x, axes) / _count(x, axes)


def _mean_square(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """average(x²), by an op that adds squares up without writing them down."""
    norms = tf.math.reduce_euclidean_norm(x, axes[0], keepdims=True)
    return normalize.total(tf.square(norms), axes[1:]) / _count(x, axes)


def _total(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """`normalize.total`, where the first axis is added up three times as fast: by ones @ x."""
    if not axes or axes[0] != 0:
        return normalize.total(x, axes)
    n, *others = _lengths(x, range(x.shape.rank))
    first = tf.ones([1, n], x.dtype) @ tf.reshape(x, [n, -1])
    return normalize.total(tf.reshape(first, [1, *others]), axes[1:])


def _count(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    return tf.cast(math.prod(_lengths(x, axes)), x.dtype)


def _lengths(x: tf.Tensor, axes: Sequence[int]) -> list[int | tf.Tensor]:
    return [tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis] for axis in axes]


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
    return KernelGradients(g * inverse * (dw - u * along), _sum_to(dw * u, g))


def _backward(dz, x, gamma, beta, epsilon, axes, center=True) -> Gradients:
    x_hat, _, variance = normalize.standardize(x, axes, epsilon, center)
    dx_hat, dgamma, dbeta = scale_shift_backward(dz, x_hat, gamma, beta)
    root = tf.sqrt(variance + epsilon)
    return Gradients(standardize_backward(dx_hat, x_hat, root, axes, center), dgamma, dbeta)


def _sum_to(values: tf.Tensor, parameter: tf.Tensor) -> tf.Tensor:
    """Add up what was broadcast from the parameter's shape; the result has that shape."""
    shape = tf.convert_to_tensor(parameter).shape
    added = len(values.shape) - shape.rank
    stretched = [added + i for i, size in enumerate(shape) if size == 1]
    return tf.reshape(_total(values, [*range(added), *stretched]), shape)


# --- planted mistakes ---------------------------------------------------------------------------
# Each is a wrong `standardize` (x, axes, epsilon, center) -> x_hat, or a wrong `weight_norm`.


def statistics_as_constants(x, axes, epsilon, center=True):
    """Mean and root held fixed while differentiating: right values, wrong dx."""
    _, mean, variance = normalize.standardize(x, axes, epsilon, center)
    return (x - tf.stop_gradient(mean)) / tf.sqrt(tf.stop_gradient(variance) + epsilon)


def wrong_axes(x, axes, epsilon, center=True):
    """The longest of the averaged axes is forgotten (if it is the only one: the others taken)."""
    longest = max(axes, key=lambda axis: x.shape[axis])
    others = [axis for axis in range(x.shape.rank) if axis not in axes]
    axes = [axis for axis in axes if axis != longest] or others
    return normalize.standardize(x, axes, epsilon, center)[0]


def epsilon_outside_the_root(x, axes, epsilon, center=True):
    """Divides by sqrt(variance) + ε."""
    _, mean, variance = normalize.standardize(x, axes, epsilon, center)
    return (x - mean) / (tf.sqrt(variance) + epsilon)


def unbiased_variance(x, axes, epsilon, center=True):
    """The squares divided by n - 1."""
    _, mean, variance = normalize.standardize(x, axes, epsilon, center)
    count = np.prod([x.shape[axis] for axis in axes])
    return (x - mean) / tf.sqrt(variance * count / (count - 1) + epsilon)


def norm_as_a_constant(v, g):
    """||v|| held fixed while differentiating: dv keeps its part along v."""
    return g * v * tf.stop_gradient(normalize.inverse_norm(v))


def one_norm_for_the_kernel(v, g):
    """One norm over all output channels."""
    return g * v / tf.norm(v)


def constant_outside_the_root(v, g):
    """Divides by ||v|| + 0.001, as one might to be safe from zero."""
    return g * v / (1 / normalize.inverse_norm(v) + 1e-3)


def mean_of_the_squares(v, g):
    """Divides by the root of the mean square instead of the sum."""
    return g * v / tf.sqrt(tf.reduce_mean(tf.square(v), axis=range(v.shape.rank - 1)))


MISTAKES: dict[str, Callable] = {
    "statistics as constants": statistics_as_constants,
    "wrong axes": wrong_axes,
    "epsilon outside the root": epsilon_outside_the_root,
    "unbiased variance": unbiased_variance,
}
WEIGHT_MISTAKES: dict[str, Callable] = {
    "norm as a constant": norm_as_a_constant,
    "one norm for the kernel": one_norm_for_the_kernel,
    "a constant outside the root": constant_outside_the_root,
    "mean of the squares": mean_of_the_squares,
}


def mistakes(method: str) -> dict[str, Callable]:
    """The mistakes, by name, that can be planted in this method."""
    return WEIGHT_MISTAKES if method == "weight" else MISTAKES


# --- the four-way check -------------------------------------------------------------------------


@dataclass(frozen=True)
class CheckRow:
    """One gradient, found in four ways; all arrays have its shape.

    name: x, gamma, beta, v or g. smallest_scale: differences are relative to the largest number
    of either way, or to this where all are nearly 0 (a thousandth of the gradient that comes in).
    """

    name: str
    by_hand: np.ndarray
    tape: np.ndarray
    central: np.ndarray
    library: np.ndarray
    smallest_scale: float

    @property
    def differences(self) -> dict[tuple[str, str], float]:
        """The largest relative difference between each two of `WAYS`."""
        ways = dict(zip(WAYS, (self.by_hand, self.tape, self.central, self.library), strict=True))
        return {
            (one, other): self._relative(ways[one], ways[other])
            for one, other in itertools.combinations(WAYS, 2)
        }

    @property
    def worst(self) -> float:
        return float(np.max(list(self.differences.values())))  # a NaN stays one

    @property
    def agrees(self) -> bool:
        return self.worst <= TOLERANCE

    def _relative(self, a: np.ndarray, b: np.ndarray) -> float:
        scale = max(np.max(np.abs(a)), np.max(np.abs(b)), self.smallest_scale)
        return float(np.max(np.abs(a - b)) / scale)


def check(
    method: str,
    x: tf.Tensor,
    gamma: tf.Tensor | None = None,
    beta: tf.Tensor | None = None,
    dz: tf.Tensor | None = None,
    *,
    epsilon: float = 1e-5,
    groups: int = 2,
    mistake: str | None = None,
    seed: int = 0,
) -> list[CheckRow]:
    """Each gradient of one method, in float64: by hand, tape, central differences, library.

    The loss is sum(z * dz). With everything random the check misses nothing: the mean of z as the
    loss, or gamma = 1 and beta = 0, would have gradients that are 0 whatever the mistake.

    method: batch, layer, group, instance, rms or weight.
    x: (N, ..., C), for weight norm the kernel v; at most 2,000 numbers.
    gamma (for weight norm g), beta, dz: drawn from `seed` where None.
    mistake: one of `mistakes(method)`, planted in the op that tape and central differences see;
    the formulas by hand and the library's op stay right.
    Raises ValueError for an unknown method or mistake, and for a tensor that is too large.
    """
    from normlib import reference  # Keras takes its time to load, and only this needs it

    if method not in _CHECKED:
        raise ValueError(f"There is a check for {', '.join(_CHECKED)}, not for {method!r}.")
    if mistake is not None and mistake not in mistakes(method):
        raise ValueError(f"{mistake!r} is none of the mistakes of {method} norm.")
    x = tf.cast(x, tf.float64)
    if x.shape.num_elements() > LARGEST:
        raise ValueError(f"The check takes at most {LARGEST:,} numbers, not {np.prod(x.shape):,}.")

    op, backward, library = _CHECKED[method]
    per_example = method in ("layer", "rms")
    rng = np.random.default_rng(seed)
    drawn = [rng.normal(1.0, 0.5, x.shape[1:] if per_example else x.shape[-1:]) for _ in range(2)]
    gamma, beta = (
        tf.cast(value if given is None else given, tf.float64)
        for value, given in zip(drawn, (gamma, beta), strict=True)
    )
    dz = tf.cast(rng.standard_normal(x.shape) if dz is None else dz, tf.float64)

    names = {"weight": ("v", "g"), "rms": ("x", "gamma")}.get(method, ("x", "gamma", "beta"))
    tensors = (x, gamma, beta)[: len(names)]
    settings = () if method == "weight" else (epsilon,)
    options = {"groups": groups} if method == "group" else {}

    def right(*tensors):
        return op(*tensors, *settings, **options)

    def others(*tensors):
        return getattr(reference, library)(*tensors, *settings, **options)

    under_test = right
    if mistake is not None:
        under_test = _with(mistakes(method)[mistake], method, epsilon, groups)
    root = _smallest_root(method, x, epsilon, groups)
    steps = (1e-5 * root, 1e-3, 1e-3)  # z is linear in gamma and beta: any step will do
    scales = (float(tf.reduce_max(tf.abs(dz * gamma))) / root, *[float(tf.reduce_max(abs(dz)))] * 2)
    ways = (
        backward(dz, *tensors, *settings, **options),
        _tape(under_test, tensors, dz),
        _central_differences(under_test, tensors, dz, steps),
        _tape(others, tensors, dz),
    )
    return [
        CheckRow(name, *(way[i].numpy() for way in ways), smallest_scale=1e-3 * scales[i])
        for i, name in enumerate(names)
    ]


# method -> own op, its backward pass, the library's op in `reference`
_CHECKED: dict[str, tuple[Callable, Callable, str]] = {
    "batch": (normalize.batch_norm, batch_norm_backward, "keras_batch_norm"),
    "layer": (normalize.layer_norm, layer_norm_backward, "keras_layer_norm"),
    "group": (normalize.group_norm, group_norm_backward, "keras_group_norm"),
    "instance": (normalize.instance_norm, instance_norm_backward, "keras_instance_norm"),
    "rms": (normalize.rms_norm, rms_norm_backward, "keras_rms_norm"),
    "weight": (normalize.weight_norm, weight_norm_backward, "tf_weight_norm"),
}


def _as_averaged(method: str, x: tf.Tensor, groups: int) -> tuple[tf.Tensor, tuple[int, ...]]:
    """x in the shape that `standardize` sees, and the axes that the method averages."""
    rank = x.shape.rank
    if method == "group":
        return normalize.split_channels(x, groups), normalize.group_axes(rank)
    axes = {"batch": range(rank - 1), "instance": range(1, rank - 1)}
    return x, tuple(axes.get(method, range(1, rank)))


def _with(mistake: Callable, method: str, epsilon: float, groups: int) -> Callable:
    """The method's op with a wrong `standardize`."""
    if method == "weight":
        return mistake

    def op(x, gamma, beta=None):
        seen, axes = _as_averaged(method, x, groups)
        x_hat = mistake(seen, axes, epsilon, center=method != "rms")
        return normalize.scale_shift(tf.reshape(x_hat, x.shape), gamma, beta)

    return op


def _smallest_root(method: str, x: tf.Tensor, epsilon: float, groups: int) -> float:
    """The smallest number that x is divided by: the scale on which z bends."""
    if method == "weight":
        return float(tf.reduce_min(1 / normalize.inverse_norm(x)))
    seen, axes = _as_averaged(method, x, groups)
    _, _, variance = normalize.standardize(seen, axes, epsilon, center=method != "rms")
    return float(tf.sqrt(tf.reduce_min(variance) + epsilon))


def _tape(op: Callable, tensors: Sequence[tf.Tensor], dz: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        z = op(*tensors)
    return tape.gradient(z, tensors, dz)


def _central_differences(op, tensors, dz, steps) -> list[tf.Tensor]:
    """(loss(t + h) - loss(t - h)) / 2h for each number of each tensor, all numbers at once."""
    gradients = []
    for i, tensor in enumerate(tensors):

        def loss(offset, i=i, tensor=tensor):
            moved = (*tensors[:i], tensor + offset, *tensors[i + 1 :])
            return tf.reduce_sum(op(*moved) * dz)

        def slope(offset, loss=loss, h=steps[i]):
            return (loss(h * offset) - loss(-h * offset)) / (2 * h)

        size = tensor.shape.num_elements()
        one_at_a_time = tf.reshape(tf.eye(size, dtype=tensor.dtype), [size, *tensor.shape])
        # A concrete function, because each is called once and TensorFlow warns of retracing.
        slopes = tf.function(partial(tf.vectorized_map, slope), autograph=False)
        slopes = slopes.get_concrete_function(one_at_a_time)
        gradients.append(tf.reshape(slopes(one_at_a_time), tensor.shape))
    return gradients
