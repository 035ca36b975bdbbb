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
from dataclasses import dataclass, replace
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
    """Keras's `BatchNormalization`, in training."""
    layer = _keras("BatchNormalization", x, gamma, beta, epsilon=epsilon)
    return _call(layer, x, gamma, beta, training=True)[0]


def keras_layer_norm(x, gamma, beta, epsilon, axes=None):
    """Keras's `LayerNormalization`, over all axes but the first unless given."""
    axes = tuple(range(1, x.shape.rank)) if axes is None else axes
    layer = _keras("LayerNormalization", x, gamma, beta, axis=axes, epsilon=epsilon)
    return _call(layer, x, gamma, beta)[0]


def keras_group_norm(x, gamma, beta, epsilon, groups):
    """Keras's `GroupNormalization`."""
    layer = _keras("GroupNormalization", x, gamma, beta, groups=groups, epsilon=epsilon)
    return _call(layer, x, gamma, beta)[0]


def keras_instance_norm(x, gamma, beta, epsilon):
    """Keras has no instance norm: it is group norm with a group for each channel."""
    return keras_group_norm(x, gamma, beta, epsilon, groups=x.shape[-1])


def keras_rms_norm(x, gamma, epsilon, axes=None):
    """Keras's `RMSNormalization`, over all axes but the first unless given."""
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
    """One operation at its settings, and what it should compute."""

    name: str
    words: str  # its settings other than epsilon
    op: Callable  # on the tensors of the comparison, and epsilon
    formula: Callable  # the same from `normalize`, to be run in float64
    epsilon: float | None
    moving: Callable | None = None  # (x, momentum) -> moving mean, moving variance
    momentum: float = 0.9
    unbiased: bool = False  # the moving variance

    @property
    def settings(self) -> str:
        epsilon = "" if self.epsilon is None else f"epsilon {self.epsilon:g}"
        return ", ".join(filter(None, (self.words, epsilon)))

    def run(self, op: Callable, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return op(*tensors) if self.epsilon is None else op(*tensors, self.epsilon)


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
    """The inputs, the lab's side and the library's; "examples 2" is those without beta."""

    def own(name, words, op, **options) -> _Side:
        op = partial(op, **options)
        return _Side(name, words, op, op, epsilon)

    def theirs(name, words, op, like: _Side, default=KERAS_EPSILON, **options) -> _Side:
        used = default if defaults and default is not None else epsilon
        return _Side(name, words, partial(op, **options), like.formula, used)

    words, theirs_momentum = f"momentum {momentum:g}", KERAS_MOMENTUM if defaults else momentum
    batch = own("batch norm", words, normalize.batch_norm)
    batch = replace(batch, moving=moving_statistics, momentum=momentum)
    tf_batch = theirs("tf.nn.batch_normalization", "", tf_batch_norm, batch, default=None)
    words += ", moving variance unbiased"
    fused = theirs("tf.nn.fused_batch_norm", words, fused_batch_norm, batch)
    fused = replace(fused, moving=fused_moving_statistics, momentum=momentum, unbiased=True)
    words = f"momentum {theirs_momentum:g}"
    keras_batch = theirs("keras BatchNormalization", words, keras_batch_norm, batch)
    keras_batch = replace(keras_batch, moving=keras_moving_statistics, momentum=theirs_momentum)

    layer = own("layer norm", "over H, W, C", normalize.layer_norm)
    layer_c = own("layer norm per position", "over C", normalize.layer_norm, axes=-1)
    keras_layer_c = theirs("keras LayerNormalization", "over C", keras_layer_norm, layer_c, axes=-1)
    keras_layer = theirs("keras LayerNormalization", "over H, W, C", keras_layer_norm, layer)

    group_norm = "keras GroupNormalization"
    one_group = theirs(group_norm, "1 group", keras_group_norm, layer, groups=1)
    group = own("group norm", f"{groups} groups", normalize.group_norm, groups=groups)
    keras_group = theirs(group_norm, f"{groups} groups", keras_group_norm, group, groups=groups)
    instance = own("instance norm", "", normalize.instance_norm)
    keras_instance = theirs(group_norm, "C groups", keras_instance_norm, instance)

    rms = own("RMS norm", "over H, W, C", normalize.rms_norm)
    rms_c = own("RMS norm per position", "over C", normalize.rms_norm, axes=-1)
    rms_name = "keras RMSNormalization"
    keras_rms = theirs(rms_name, "over H, W, C", keras_rms_norm, rms, KERAS_RMS_EPSILON)
    keras_rms_c = theirs(rms_name, "over C", keras_rms_norm, rms_c, KERAS_RMS_EPSILON, axes=-1)

    words, op = "one norm per output channel", normalize.weight_norm
    weight = _Side("weight norm", words, op, op, None)
    tf_weight = _Side("tf.nn.l2_normalize", words, tf_weight_norm, op, None)

    examples = "channels" if defaults else "examples"  # Keras's default gamma is (C,)
    return [
        ("channels", batch, tf_batch),
        ("channels", batch, fused),
        ("channels", batch, keras_batch),
        (examples, layer, keras_layer_c if defaults else keras_layer),
        ("channels", layer_c, keras_layer_c),
        ("channels", layer, one_group),
        ("channels", group, keras_group),
        ("channels", instance, keras_instance),
        (f"{examples} 2", rms, keras_rms_c if defaults else keras_rms),
        ("channels 2", rms_c, keras_rms_c),
        ("kernel 2", weight, tf_weight),
    ]


def _measure(side: _Side, tensors, r, repeats: int):
    """What the side gives, what its formula gives in float64, and the median milliseconds."""

    @tf.function(autograph=False)
    def forward_and_backward(*tensors):
        return _with_gradients(partial(side.run, side.op), tensors, r)

    side.run(side.op, tensors)  # makes the Keras layer
    results, times = forward_and_backward(*tensors), []  # the first call builds the graph
    for _ in range(repeats):
        start = time.perf_counter()
        forward_and_backward(*tensors)
        times.append(1000 * (time.perf_counter() - start))
    exact = [tf.cast(t, tf.float64) for t in tensors]
    truth = _with_gradients(partial(side.run, side.formula), exact, tf.cast(r, tf.float64))
    if side.moving:
        results = [*results, *side.moving(tensors[0], side.momentum)]
        truth = [*truth, *moving_statistics(exact[0], side.momentum, side.unbiased)]
    return [t.numpy() for t in results], [t.numpy() for t in truth], median(times)


def _with_gradients(op: Callable, tensors, r) -> list[tf.Tensor]:
    """z, and the gradients of sum(z * r) in each of the tensors."""
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        z = op(tensors)
    return [z, *tape.gradient(z, tensors, r)]


def _largest(names: Sequence[str], a, b) -> dict[str, float]:
    pairs = zip(names, a, b, strict=False)  # one side may have statistics that the other lacks
    return {name: float(np.max(np.abs(p.astype(np.float64) - q))) for name, p, q in pairs}
