"""The same layers from TensorFlow's and Keras's own functions, to compare with.

Every callable takes the same arguments as its counterpart in `normalize` and is as pure: Keras's
layers are called without their state.
Where the libraries differ from the lab: Keras's epsilon is 1e-3 (RMS 1e-6) and its momentum 0.99
unless said, its layer norm averages over the last axis only, and `fused_batch_norm` keeps the
unbiased variance (divided by n - 1) in its moving statistics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import median

import keras
import numpy as np
import tensorflow as tf

from normlib import normalize

KERAS_EPSILON = 1e-3
KERAS_RMS_EPSILON = 1e-6
KERAS_MOMENTUM = 0.99


# --- the library's functions, as pure callables ------------------------------------------------


def tf_batch_norm(x, gamma, beta, epsilon):
    """`tf.nn.batch_normalization` with the moments of `tf.nn.moments`."""
    mean, variance = tf.nn.moments(x, list(range(x.shape.rank - 1)))
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)


def fused_batch_norm(x, gamma, beta, epsilon):
    """`tf.nn.fused_batch_norm`: one op for all of it; x (N, H, W, C) in float32 only."""
    return tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=epsilon)[0]


def keras_batch_norm(x, gamma, beta, epsilon):
    layer = _keras("BatchNormalization", x, gamma, beta, epsilon=epsilon)
    return _call(layer, x, gamma, beta, training=True)[0]


def keras_layer_norm(x, gamma, beta, epsilon, axes=None):
    axes = tuple(range(1, x.shape.rank)) if axes is None else axes
    layer = _keras("LayerNormalization", x, gamma, beta, axis=axes, epsilon=epsilon)
    return _call(layer, x, gamma, beta)[0]


def keras_group_norm(x, gamma, beta, epsilon, groups):
    layer = _keras("GroupNormalization", x, gamma, beta, groups=groups, epsilon=epsilon)
    return _call(layer, x, gamma, beta)[0]


def keras_instance_norm(x, gamma, beta, epsilon):
    """Keras has no instance norm: it is group norm with a group for each channel."""
    return keras_group_norm(x, gamma, beta, epsilon, groups=x.shape[-1])


def keras_rms_norm(x, gamma, epsilon, axes=None):
    axes = tuple(range(1, x.shape.rank)) if axes is None else axes
    layer = _built("RMSNormalization", tuple(x.shape), x.dtype.name, axis=axes, epsilon=epsilon)
    return _call(layer, x, gamma)[0]


def tf_weight_norm(v, g):
    """`tf.nn.l2_normalize` for the direction."""
    return g * tf.nn.l2_normalize(v, list(range(v.shape.rank - 1)))


def keras_moving_statistics(x, momentum):
    """The moving mean and variance (C,) of Keras's batch norm after one batch, from 0 and 1."""
    layer = _keras("BatchNormalization", x, None, None, momentum=momentum)
    return _call(layer, x, training=True)[1]


def fused_moving_statistics(x, momentum):
    """The same of `tf.nn.fused_batch_norm`."""
    zero, one = tf.zeros(x.shape[-1]), tf.ones(x.shape[-1])
    _, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x, one, zero, mean=zero, variance=one, exponential_avg_factor=1 - momentum
    )
    return mean, variance


def moving_statistics(x, momentum, unbiased=False):
    """The same of this package: moving = momentum * moving + (1 - momentum) * batch.

    unbiased: with the variance divided by n - 1, as `fused_batch_norm` has it.
    """
    _, mean, variance = (
        tf.reshape(t, [-1]) for t in normalize.standardize(x, range(x.shape.rank - 1), 0.0)
    )
    if unbiased:
        count = x.shape.num_elements() // x.shape[-1]
        variance = variance * (count / (count - 1))
    return (1 - momentum) * mean, momentum + (1 - momentum) * variance


def _keras(kind, x, gamma, beta, **options) -> keras.Layer:
    has = {"scale": gamma is not None, "center": beta is not None}
    return _built(kind, tuple(x.shape), x.dtype.name, **has, **options)


@lru_cache(maxsize=32)  # a layer cannot be made inside a tf.function, only found there
def _built(kind: str, shape: tuple[int, ...], dtype: str, **options) -> keras.Layer:
    layer = getattr(keras.layers, kind)(dtype=dtype, **options)
    layer.build(shape)
    return layer


def _call(layer, x, *parameters, **options):
    """The output and the new state of a Keras layer with these parameters, which may be traced."""
    parameters = [p for p in parameters if p is not None]
    return layer.stateless_call(parameters, layer.non_trainable_variables, x, **options)


# --- own against the library's ------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """One of the lab's operations beside one of the library's, on the same numbers.

    The dictionaries share their keys: output, dx, dgamma, dbeta, moving mean, moving variance,
    for weight norm output, dv, dg. All are largest absolute values over the tensor.
    differences: between the two. own_errors, library_errors: of each from its own formula, with
    its own settings, in float64. Milliseconds: forward and backward, median.
    """

    own: str
    library: str
    own_settings: str
    library_settings: str
    differences: dict[str, float]
    own_errors: dict[str, float]
    library_errors: dict[str, float]
    own_milliseconds: float
    library_milliseconds: float


@dataclass(frozen=True)
class _Side:
    """One operation at its settings."""

    name: str
    settings: str
    call: Callable  # on the tensors of the comparison
    formula: Callable  # what it should compute, from `normalize`; run in float64
    moving: Callable | None = None  # x -> moving mean, moving variance
    moving_formula: Callable | None = None


def compare(
    x: tf.Tensor,
    v: tf.Tensor,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    groups: int = 5,
    library_defaults: bool = False,
    repeats: int = 5,
    seed: int = 0,
) -> list[Comparison]:
    """Run each operation of the lab and its counterparts of TensorFlow and Keras side by side.

    Gradients are those of sum(z * r) with a random r, and gamma and beta are random too: with
    r = 1, gamma = 1 and beta = 0 half of the mistakes would cancel.
    x: activations (N, H, W, C). v: a kernel (..., C_out). Both are taken as float32.
    groups: must divide C.
    library_defaults: leave epsilon, momentum and axes of the library's side as it has them.
    """
    rng = np.random.default_rng(seed)

    def around_one(shape) -> tf.Tensor:
        return tf.constant(rng.normal(1.0, 0.5, size=shape), tf.float32)

    x, v = tf.cast(x, tf.float32), tf.cast(v, tf.float32)
    inputs = {
        "channels": [x, around_one(x.shape[-1:]), around_one(x.shape[-1:])],
        "examples": [x, around_one(x.shape[1:]), around_one(x.shape[1:])],
        "kernel": [v, around_one(v.shape[-1:])],
    }
    rows = []
    for kind, own, library in _pairs(epsilon, momentum, groups, library_defaults):
        kind, _, count = kind.partition(" ")
        tensors = inputs[kind][: int(count or 3)]
        names = ["output", "dv", "dg"] if kind == "kernel" else ["output", "dx", "dgamma", "dbeta"]
        names = names[: len(tensors) + 1]
        if own.moving and library.moving:
            names += ["moving mean", "moving variance"]
        r = tf.constant(rng.standard_normal(tensors[0].shape), tf.float32)
        (mine, my_truth, my_time), (theirs, their_truth, their_time) = (
            _measure(side, tensors, r, repeats) for side in (own, library)
        )
        rows.append(
            Comparison(
                own.name,
                library.name,
                own.settings,
                library.settings,
                _largest(names, mine, theirs),
                _largest(names, mine, my_truth),
                _largest(names, theirs, their_truth),
                my_time,
                their_time,
            )
        )
    return rows


def _pairs(epsilon, momentum, groups, defaults) -> list[tuple[str, _Side, _Side]]:
    """What is compared with what, and on which inputs ("rms" has no beta: two tensors)."""
    n = normalize
    keras_epsilon, rms_epsilon = (KERAS_EPSILON, KERAS_RMS_EPSILON) if defaults else (epsilon,) * 2
    keras_momentum = KERAS_MOMENTUM if defaults else momentum
    keras_axes, axes_words = (-1, "C") if defaults else (None, "H, W, C")

    def side(name, settings, call, formula, epsilon=epsilon, **more) -> _Side:
        return _Side(
            name,
            f"{settings}, epsilon {epsilon:g}".removeprefix(", "),
            lambda *tensors: call(*tensors, epsilon),
            lambda *tensors: formula(*tensors, epsilon),
            **more,
        )

    def own(name, settings, op, **options) -> _Side:
        return side(name, settings, partial(op, **options), partial(op, **options))

    def moving(function, momentum, unbiased=False) -> dict:
        return {
            "moving": partial(function, momentum=momentum),
            "moving_formula": partial(moving_statistics, momentum=momentum, unbiased=unbiased),
        }

    batch = side(
        "batch norm",
        f"momentum {momentum:g}",
        n.batch_norm,
        n.batch_norm,
        **moving(moving_statistics, momentum),
    )
    layer = own("layer norm", "over H, W, C", n.layer_norm)
    return [
        ("channels", batch, side("tf.nn.batch_normalization", "", tf_batch_norm, n.batch_norm)),
        (
            "channels",
            batch,
            side(
                "tf.nn.fused_batch_norm",
                f"momentum {momentum:g}, moving variance unbiased",
                fused_batch_norm,
                n.batch_norm,
                keras_epsilon,
                **moving(fused_moving_statistics, momentum, unbiased=True),
            ),
        ),
        (
            "channels",
            batch,
            side(
                "keras BatchNormalization",
                f"momentum {keras_momentum:g}",
                keras_batch_norm,
                n.batch_norm,
                keras_epsilon,
                **moving(keras_moving_statistics, keras_momentum),
            ),
        ),
        (
            "channels" if defaults else "examples",
            layer,
            side(
                "keras LayerNormalization",
                f"over {axes_words}",
                partial(keras_layer_norm, axes=keras_axes),
                partial(n.layer_norm, axes=keras_axes),
                keras_epsilon,
            ),
        ),
        (
            "channels",
            own("layer norm per position", "over C", n.layer_norm, axes=-1),
            side(
                "keras LayerNormalization",
                "over C",
                partial(keras_layer_norm, axes=-1),
                partial(n.layer_norm, axes=-1),
                keras_epsilon,
            ),
        ),
        (
            "channels",
            layer,
            side(
                "keras GroupNormalization",
                "1 group",
                partial(keras_group_norm, groups=1),
                n.layer_norm,
                keras_epsilon,
            ),
        ),
        (
            "channels",
            own("group norm", f"{groups} groups", n.group_norm, groups=groups),
            side(
                "keras GroupNormalization",
                f"{groups} groups",
                partial(keras_group_norm, groups=groups),
                partial(n.group_norm, groups=groups),
                keras_epsilon,
            ),
        ),
        (
            "channels",
            own("instance norm", "", n.instance_norm),
            side(
                "keras GroupNormalization",
                "C groups",
                keras_instance_norm,
                n.instance_norm,
                keras_epsilon,
            ),
        ),
        (
            "channels 2" if defaults else "examples 2",
            own("RMS norm", "over H, W, C", n.rms_norm),
            side(
                "keras RMSNormalization",
                f"over {axes_words}",
                partial(keras_rms_norm, axes=keras_axes),
                partial(n.rms_norm, axes=keras_axes),
                rms_epsilon,
            ),
        ),
        (
            "channels 2",
            own("RMS norm per position", "over C", n.rms_norm, axes=-1),
            side(
                "keras RMSNormalization",
                "over C",
                partial(keras_rms_norm, axes=-1),
                partial(n.rms_norm, axes=-1),
                rms_epsilon,
            ),
        ),
        (
            "kernel 2",
            _Side("weight norm", "one norm per output channel", n.weight_norm, n.weight_norm),
            _Side(
                "tf.nn.l2_normalize", "one norm per output channel", tf_weight_norm, n.weight_norm
            ),
        ),
    ]


def _measure(side: _Side, tensors, r, repeats: int):
    """What the side gives, what its formula gives in float64, and the median milliseconds."""

    @tf.function(autograph=False)
    def forward_and_backward(*tensors):
        return _with_gradients(side.call, tensors, r)

    side.call(*tensors)  # makes the Keras layer
    results, times = forward_and_backward(*tensors), []  # the first call builds the graph
    for _ in range(repeats):
        start = time.perf_counter()
        forward_and_backward(*tensors)
        times.append(1000 * (time.perf_counter() - start))
    exact = [tf.cast(t, tf.float64) for t in tensors]
    truth = _with_gradients(side.formula, exact, tf.cast(r, tf.float64))
    if side.moving:
        results = [*results, *side.moving(tensors[0])]
        truth = [*truth, *side.moving_formula(exact[0])]
    return [t.numpy() for t in results], [t.numpy() for t in truth], median(times)


def _with_gradients(op: Callable, tensors, r) -> list[tf.Tensor]:
    """z, and the gradients of sum(z * r) in each of the tensors."""
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        z = op(*tensors)
    return [z, *tape.gradient(z, tensors, r)]


def _largest(names: Sequence[str], a, b) -> dict[str, float]:
    pairs = zip(names, a, b, strict=False)  # one side may have statistics that the other lacks
    return {name: float(np.max(np.abs(p.astype(np.float64) - q))) for name, p, q in pairs}
