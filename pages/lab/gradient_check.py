"""Every gradient found in four ways, and mistakes to plant: which check notices which?

By hand, by TensorFlow's tape, by central differences, and by the library's own op.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from normlib import gradients, normalize
from pages.lab import reference

CHECKED = ("batch", "layer", "group", "instance", "rms", "weight")
WAYS = ("by hand", "tape", "central differences", "library")
TOLERANCE = 1e-6  # relative; right ways agree to about 1e-9 in float64
LARGEST = 2000  # numbers in a tensor; central differences take the square of it


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
    return g * v / tf.stop_gradient(normalize.direction(v)[1])


def one_norm_for_the_kernel(v, g):
    """One norm over all output channels."""
    return g * v / tf.norm(v)


def a_constant_outside_the_root(v, g):
    """Divides by ||v|| + 0.001, as one might to be safe from zero."""
    return g * v / (normalize.direction(v)[1] + 1e-3)


def mean_of_the_squares(v, g):
    """Divides by the root of the mean square instead of the sum."""
    return g * v / tf.sqrt(tf.reduce_mean(tf.square(v), axis=range(v.shape.rank - 1)))


def _named(*functions: Callable) -> dict[str, Callable]:
    return {function.__name__.replace("_", " "): function for function in functions}


MISTAKES = _named(statistics_as_constants, wrong_axes, epsilon_outside_the_root, unbiased_variance)
WEIGHT_MISTAKES = _named(
    *(norm_as_a_constant, one_norm_for_the_kernel),
    *(a_constant_outside_the_root, mean_of_the_squares),
)


def mistakes(method: str) -> dict[str, Callable]:
    """The mistakes, by name, that can be planted in this method."""
    return WEIGHT_MISTAKES if method == "weight" else MISTAKES


# --- the four-way check -------------------------------------------------------------------------


class CheckRow(NamedTuple):
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
        ways = dict(zip(WAYS, self[1:5], strict=True))
        found = {}
        for one, other in itertools.combinations(WAYS, 2):
            a, b = ways[one], ways[other]
            scale = max(np.max(np.abs(a)), np.max(np.abs(b)), self.smallest_scale)
            found[one, other] = float(np.max(np.abs(a - b)) / scale)
        return found

    @property
    def worst(self) -> float:
        return float(np.max(list(self.differences.values())))  # a NaN stays one

    @property
    def agrees(self) -> bool:
        return self.worst <= TOLERANCE


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
    if method not in CHECKED:
        raise ValueError(f"There is a check for {', '.join(CHECKED)}, not for {method!r}.")
    if mistake is not None and mistake not in mistakes(method):
        raise ValueError(f"{mistake!r} is none of the mistakes of {method} norm.")
    x = tf.cast(x, tf.float64)
    if x.shape.num_elements() > LARGEST:
        raise ValueError(f"The check takes at most {LARGEST:,} numbers, not {np.prod(x.shape):,}.")

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
    by_hand: Sequence[tf.Tensor]
    op: Callable
    if method == "weight":
        op = mistakes(method)[mistake] if mistake else normalize.weight_norm
        library = reference.tf_weight_norm
        by_hand = gradients.weight_norm_backward(dz, x, gamma)
        root = float(tf.reduce_min(normalize.direction(x)[1]))
    else:
        options = {"groups": groups} if method == "group" else {}
        library = partial(getattr(reference, f"keras_{method}_norm"), epsilon=epsilon, **options)
        view = partial(normalize.split_channels, groups=groups) if options else tf.identity
        axes, center = normalize.AXES[method](x.shape.rank), method != "rms"
        _, _, variance = normalize.standardize(view(x), axes, epsilon, center)
        root = float(tf.sqrt(tf.reduce_min(variance) + epsilon))
        known = beta if tensors[2:] else None
        by_hand = gradients.backward(method, x, gamma, known, epsilon, dz, groups)

        def op(x, gamma, beta=None):
            if mistake is None:
                return normalize.apply(method, x, gamma, beta, epsilon, groups)
            x_hat = mistakes(method)[mistake](view(x), axes, epsilon, center)
            return normalize.scale_shift(tf.reshape(x_hat, x.shape), gamma, beta)

    # z bends on the scale of the smallest root, and is linear in gamma and beta: any step will do.
    steps = (1e-5 * root, 1e-3, 1e-3)
    scales = (float(tf.reduce_max(tf.abs(dz * gamma))) / root, *[float(tf.reduce_max(abs(dz)))] * 2)
    ways = (
        by_hand,
        reference.with_gradients(op, tensors, dz)[1:],
        _central_differences(op, tensors, dz, steps),
        reference.with_gradients(library, tensors, dz)[1:],
    )
    return [
        CheckRow._make((name, *(way[i].numpy() for way in ways), 1e-3 * scales[i]))
        for i, name in enumerate(names)
    ]


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
