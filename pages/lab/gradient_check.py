"""Every gradient found in four ways, and mistakes to plant: which check notices which?

By hand, by TensorFlow's tape, by central differences, and by the library's own op.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

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


def constant_outside_the_root(v, g):
    """Divides by ||v|| + 0.001, as one might to be safe from zero."""
    return g * v / (normalize.direction(v)[1] + 1e-3)


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
    if method == "weight":
        right, library = normalize.weight_norm, reference.tf_weight_norm
        by_hand = gradients.weight_norm_backward(dz, x, gamma)
        root = float(tf.reduce_min(normalize.direction(x)[1]))
    else:
        options = {"groups": groups} if method == "group" else {}
        library = partial(getattr(reference, f"keras_{method}_norm"), epsilon=epsilon, **options)
        view, axes = _averaged(method, x, groups)
        _, _, variance = normalize.standardize(view, axes, epsilon, center=method != "rms")
        root = float(tf.sqrt(tf.reduce_min(variance) + epsilon))
        by_hand = gradients.backward(
            method, x, gamma, beta if tensors[2:] else None, epsilon, dz, groups
        )

        def right(x, gamma, beta=None):
            return normalize.apply(method, x, gamma, beta, epsilon, groups)

    under_test = right if mistake is None else _with(mistake, method, epsilon, groups)
    # z bends on the scale of the smallest root, and is linear in gamma and beta: any step will do.
    steps = (1e-5 * root, 1e-3, 1e-3)
    scales = (float(tf.reduce_max(tf.abs(dz * gamma))) / root, *[float(tf.reduce_max(abs(dz)))] * 2)
    tape = _tape(under_test, tensors, dz)
    central = _central_differences(under_test, tensors, dz, steps)
    others = _tape(library, tensors, dz)
    rows = zip(names, by_hand, tape, central, others, scales, strict=False)
    return [
        CheckRow(name, a.numpy(), b.numpy(), c.numpy(), d.numpy(), 1e-3 * scale)
        for name, a, b, c, d, scale in rows
    ]


def _averaged(method: str, x: tf.Tensor, groups: int) -> tuple[tf.Tensor, tuple[int, ...]]:
    """x in the shape that `standardize` sees, and the axes that the method averages."""
    view = normalize.split_channels(x, groups) if method == "group" else x
    return view, normalize.AXES[method](x.shape.rank)


def _with(mistake: str, method: str, epsilon: float, groups: int) -> Callable:
    """The method's op with a wrong `standardize`."""
    wrong = mistakes(method)[mistake]
    if method == "weight":
        return wrong

    def op(x, gamma, beta=None):
        view, axes = _averaged(method, x, groups)
        x_hat = wrong(view, axes, epsilon, center=method != "rms")
        return normalize.scale_shift(tf.reshape(x_hat, x.shape), gamma, beta)

    return op


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
