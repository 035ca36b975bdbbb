"""The mistakes that people make in these functions, as functions: what is wrong has a name.

A wrong answer is compared with all of them, outputs and gradients; the one that agrees is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf


class Mistake(NamedTuple):
    """One mistake: its name, where to look, and the page of the lab that shows what it does."""

    name: str
    sentence: str
    lesson: str


_TABLE, _CONV = "Step_by_step?show=table", "Step_by_step?show=convolution"
_UNDO, _CHECK = "Step_by_step?show=undo", "Backward_pass?pass=check&mistake="
_STOPPED = f"{_CHECK}statistics-as-constants"
_UNBIASED = f"{_CHECK}unbiased-variance"
_KERNEL_STOPPED = f"{_CHECK}norm-as-a-constant&method=weight"
_TERMS, _EPSILON = "Backward_pass?pass=terms", "Activation_statistics?view=microscope"
_INFERENCE, _WEIGHT = "Batch_size_lab?lab=inference", "Step_by_step?method=weight"

MISTAKES: dict[str, Mistake] = {
    name: Mistake(name, sentence, lesson)
    for name, sentence, lesson in (
        ("mean per example", "Each example got a mean of its own: average over others.", _TABLE),
        ("one mean for all", "All numbers share one mean; each group needs its own.", _TABLE),
        ("mean over the batch only", "Positions do not share a mean here, and should.", _CONV),
        ("mean over positions only", "This is instance norm: only positions share a mean.", _CONV),
        ("mean over channels only", "Each position has a mean of its own here.", _CONV),
        ("mean over the batch", "This is batch norm: the examples share a mean.", _CONV),
        ("mean not subtracted", "The mean is left in: this is RMS norm.", _TABLE),
        ("unbiased variance", "Your variance divides by n - 1; it should divide by n.", _UNBIASED),
        ("standard deviation", "This is the root of the variance, not the variance.", _TABLE),
        ("sum for a mean", "The squares are added up and not averaged.", _TABLE),
        ("mean of the squares", "The mean is not subtracted before squaring.", _TABLE),
        ("epsilon forgotten", "Epsilon is not used: add it to the variance.", _EPSILON),
        ("epsilon beside the root", "Epsilon is added to the root; it belongs inside.", _EPSILON),
        ("epsilon after the division", "Epsilon is added to the quotient.", _EPSILON),
        ("epsilon squared", "Epsilon is squared: add it to the variance as it is.", _EPSILON),
        ("divided by the variance", "Divide by the root of the variance.", _TABLE),
        ("multiplied by the root", "The root multiplies, where it should divide.", _TABLE),
        ("E[x²] - E[x]²", "Subtract the mean first, then square: digits are lost.", _TABLE),
        ("float32 in between", "A step is done in float32: keep the dtype of x.", _TABLE),
        ("statistics as constants", "No gradient flows through mean and variance.", _STOPPED),
        ("mean as a constant", "No gradient flows through the mean.", _STOPPED),
        ("variance as a constant", "No gradient flows through the variance.", _STOPPED),
        ("gamma missing", "Multiply x_hat by gamma.", _UNDO),
        ("beta missing", "Add beta at the end.", _UNDO),
        ("gamma and beta swapped", "gamma multiplies and beta is added, not reversed.", _UNDO),
        ("beta inside gamma", "gamma multiplies beta too: add beta last.", _UNDO),
        ("batch statistics at inference", "Use the mean and variance handed in.", _INFERENCE),
        ("momentum reversed", "Momentum is the share that is kept, not the new one.", _INFERENCE),
        ("moving variance unbiased", "The batch's variance divides by n, not n - 1.", _INFERENCE),
        ("batch statistics alone", "The old statistics are thrown away.", _INFERENCE),
        ("mean not moved", "Only the variance is moved; move the mean too.", _INFERENCE),
        ("one norm for the kernel", "Each output channel has a length of its own.", _WEIGHT),
        ("norm over the wrong axis", "The last axis is the output: leave it out.", _WEIGHT),
        ("squared norm", "Divide by the length of v, not by its square.", _WEIGHT),
        ("g missing", "Multiply the direction by g.", _WEIGHT),
        ("not divided by the norm", "v is multiplied by g without losing its length.", _WEIGHT),
        ("norm as a constant", "No gradient flows through the length of v.", _KERNEL_STOPPED),
        ("0 / 0", "At v = 0 this divides 0 by 0, or takes the slope of a root at 0.", _WEIGHT),
        ("a constant beside the norm", "It changes every length: make it tiny.", _WEIGHT),
        ("mean's path missing", "The gradient through the mean is missing.", _TERMS),
        ("variance's path missing", "The gradient through the variance is missing.", _TERMS),
        ("only the direct path", "The paths through mean and variance are missing.", _TERMS),
        ("gamma missing in dx", "dx_hat is gamma times dz.", _TERMS),
        ("dgamma from x", "dgamma is the sum of dz times x_hat, not times x.", _TERMS),
        ("averages for sums", "dgamma and dbeta are sums over the batch.", _TERMS),
        ("dgamma and dbeta swapped", "dgamma comes before dbeta.", _TERMS),
    )
}


# ---- the functions, with everything that can go wrong --------------------------------------------


def _normalized(
    x: tf.Tensor,
    gamma: tf.Tensor | None = None,
    beta: tf.Tensor | None = None,
    epsilon: float = 0.0,
    mean: tf.Tensor | None = None,
    variance: tf.Tensor | None = None,
    *,
    wrong: str = "",
    axes: Sequence[int] = (0, 1, 2),
) -> tf.Tensor:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta over these axes, with one mistake.

    mean, variance: those handed in at inference.
    """
    if mean is None or variance is None or wrong == "batch statistics at inference":
        mean = tf.reduce_mean(x, axes, keepdims=True)
        n = x.dtype.as_numpy_dtype(tf.size(x) // tf.size(mean))
        if wrong in ("statistics as constants", "mean as a constant"):
            mean = tf.stop_gradient(mean)
        if wrong == "mean not subtracted":
            mean = tf.zeros_like(mean)
        variance = tf.reduce_mean(tf.square(x - mean), axes, keepdims=True)
        if wrong == "unbiased variance":
            variance = variance * n / (n - 1)
        if wrong in ("statistics as constants", "variance as a constant"):
            variance = tf.stop_gradient(variance)
    outside = ("epsilon forgotten", "epsilon beside the root", "epsilon after the division")
    inside = 0.0 if wrong in outside else epsilon**2 if wrong == "epsilon squared" else epsilon
    root = tf.sqrt(variance + inside)
    if wrong == "epsilon beside the root":
        root += epsilon
    if wrong == "divided by the variance":
        root = tf.square(root)
    if wrong == "multiplied by the root":
        root = 1 / root
    z = (x if wrong == "mean not subtracted" else x - mean) / root
    if wrong == "epsilon after the division":
        z += epsilon
    if gamma is None or beta is None:
        return z
    if wrong == "gamma and beta swapped":
        gamma, beta = beta, gamma
    if wrong == "beta inside gamma":
        return gamma * (z + beta)
    z = z if wrong == "gamma missing" else gamma * z
    return z if wrong == "beta missing" else z + beta


def _x_hat(x: tf.Tensor, epsilon: float, **options: Any) -> tf.Tensor:
    return _normalized(x, epsilon=epsilon, **options)


def _moments(
    x: tf.Tensor, *, wrong: str, axes: Sequence[int] = (0,)
) -> tuple[tf.Tensor, tf.Tensor]:
    mean = tf.reduce_mean(x, axes, keepdims=True)
    n = x.dtype.as_numpy_dtype(tf.size(x) // tf.size(mean))
    squares = tf.square(x if wrong == "mean of the squares" else x - mean)
    variance = tf.reduce_mean(squares, axes)
    if wrong in ("unbiased variance", "moving variance unbiased"):
        variance = variance * n / (n - 1)
    if wrong == "standard deviation":
        variance = tf.sqrt(variance)
    if wrong == "sum for a mean":
        variance *= n
    if wrong == "variance as a constant":
        variance = tf.stop_gradient(variance)
    return tf.squeeze(mean, axes), variance


def _variance(x: tf.Tensor, **options: Any) -> tf.Tensor:
    return _moments(x, **options)[1]


def _moved(moving_mean, moving_variance, x, momentum, *, wrong: str):
    mean, variance = _moments(x, wrong=wrong, axes=(0, 1, 2))
    kept = {"momentum reversed": 1 - momentum, "batch statistics alone": 0.0}.get(wrong, momentum)
    if wrong == "mean not moved":
        mean = moving_mean
    return tuple(
        kept * old + (1 - kept) * new
        for old, new in ((moving_mean, mean), (moving_variance, variance))
    )


def _weight_norm(v, g, *, wrong: str) -> tf.Tensor:
    axes: Any = {"one norm for the kernel": None, "norm over the wrong axis": 3}
    squares = tf.reduce_sum(tf.square(v), axes.get(wrong, (0, 1, 2)), keepdims=True)
    norm = squares if wrong == "squared norm" else tf.sqrt(squares)
    if wrong == "norm as a constant":
        norm = tf.stop_gradient(norm)
    if wrong == "a constant beside the norm":
        norm += 1e-3
    if wrong == "not divided by the norm":
        norm = tf.ones_like(norm)
    return v / norm if wrong == "g missing" else g * v / norm


def _backward(dz, x, gamma, epsilon, *, wrong: str):
    n = x.dtype.as_numpy_dtype(x.shape[0])
    mean = tf.reduce_mean(x, 0)
    inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(x - mean), 0) + epsilon)
    x_hat = (x - mean) * inverse
    dx_hat = dz if wrong == "gamma missing in dx" else gamma * dz
    dx = dx_hat
    if wrong not in ("mean's path missing", "only the direct path"):
        dx = dx - tf.reduce_mean(dx_hat, 0)
    if wrong not in ("variance's path missing", "only the direct path"):
        dx = dx - x_hat * tf.reduce_mean(dx_hat * x_hat, 0)
    dgamma = tf.reduce_sum(dz * (x if wrong == "dgamma from x" else x_hat), 0)
    dbeta = tf.reduce_sum(dz, 0)
    if wrong == "averages for sums":
        dgamma, dbeta = dgamma / n, dbeta / n
    if wrong == "dgamma and dbeta swapped":
        dgamma, dbeta = dbeta, dgamma
    return dx * inverse, dgamma, dbeta


# ---- which mistakes belong to which exercise -----------------------------------------------------

_ROOT = (
    *("epsilon forgotten", "epsilon beside the root", "epsilon after the division"),
    *("epsilon squared", "divided by the variance", "multiplied by the root"),
    "mean not subtracted",
)
_STATISTICS = (
    *("unbiased variance", "statistics as constants", "mean as a constant"),
    "variance as a constant",
)
_AFFINE = ("gamma missing", "beta missing", "gamma and beta swapped", "beta inside gamma")
_KERNEL = (
    *("one norm for the kernel", "norm over the wrong axis", "squared norm", "g missing"),
    *("not divided by the norm", "norm as a constant", "a constant beside the norm"),
)
_SPREAD = (
    *("unbiased variance", "standard deviation", "sum for a mean", "mean of the squares"),
    "variance as a constant",
)
_MOVING = (
    *("momentum reversed", "moving variance unbiased", "batch statistics alone"),
    *("mean not moved", "standard deviation", "mean of the squares"),
)
_INFERRED = ("batch statistics at inference",)
_PATHS = (
    *("mean's path missing", "variance's path missing", "only the direct path"),
    *("gamma missing in dx", "dgamma from x", "averages for sums", "dgamma and dbeta swapped"),
)
# Exercise -> the function, the mistakes in it, and the axes that are right where others are wrong.
_OF: dict[str, tuple[Callable[..., Any], tuple[str, ...], tuple[int, ...]]] = {
    "mean_and_variance": (_moments, _SPREAD, (0,)),
    "x_hat": (_x_hat, (*_ROOT, *_STATISTICS), (0,)),
    "batch_norm": (_normalized, (*_ROOT, *_STATISTICS, *_AFFINE), (0,)),
    "batch_norm_conv": (_normalized, (*_ROOT, *_STATISTICS, *_AFFINE), (0, 1, 2)),
    "batch_norm_inference": (_normalized, (*_INFERRED, *_ROOT, *_AFFINE), ()),
    "moving_statistics": (_moved, _MOVING, ()),
    "layer_norm": (_normalized, (*_ROOT, *_STATISTICS, *_AFFINE), (1, 2, 3)),
    "layer_norm_last": (_normalized, (*_ROOT, *_STATISTICS, *_AFFINE), (3,)),
    "weight_norm": (_weight_norm, _KERNEL, ()),
    "weight_norm_zero": (_weight_norm, _KERNEL, ()),
    "batch_norm_backward": (_backward, _PATHS, ()),
    "stable_variance": (_variance, _SPREAD, (0,)),
}
_AXES: dict[int, dict[tuple[int, ...], str]] = {  # by the rank of x
    2: {(1,): "mean per example", (0, 1): "one mean for all"},
    4: {
        (0,): "mean over the batch only",
        (1, 2): "mean over positions only",
        (3,): "mean over channels only",
        (0, 1, 2): "mean over the batch",
        (1, 2, 3): "mean per example",
        (0, 1, 2, 3): "one mean for all",
    },
}


def of(exercise: str) -> dict[str, Callable[..., Any]]:
    """Mistake -> the function of this exercise that makes it."""
    function, names, right = _OF[exercise]
    if not right:
        return {name: partial(function, wrong=name) for name in names}
    made: dict[str, Callable[..., Any]] = {
        name: partial(function, wrong=name, axes=right) for name in names
    }
    for axes, name in _AXES[2 if right == (0,) else 4].items():
        if axes != right:
            made[name] = partial(function, wrong="", axes=axes)
    return made
