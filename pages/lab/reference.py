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
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from normlib import normalize

KERAS_EPSILON, KERAS_RMS_EPSILON, KERAS_MOMENTUM = 1e-3, 1e-6, 0.99


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
    return _keras("BatchNormalization", x, gamma, beta, True, epsilon=epsilon)[0]


def keras_layer_norm(x, gamma, beta, epsilon, axes=None):
    """Keras's `LayerNormalization`, over all axes but the first unless given."""
    axes = axes or tuple(range(1, x.shape.rank))
    return _keras("LayerNormalization", x, gamma, beta, axis=axes, epsilon=epsilon)[0]


def keras_group_norm(x, gamma, beta, epsilon, groups):
    """Keras's `GroupNormalization`."""
    return _keras("GroupNormalization", x, gamma, beta, groups=groups, epsilon=epsilon)[0]


def keras_instance_norm(x, gamma, beta, epsilon):
    """Keras has no instance norm: it is group norm with a group for each channel."""
    return keras_group_norm(x, gamma, beta, epsilon, groups=x.shape[-1])


def keras_rms_norm(x, gamma, epsilon, axes=None):
    """Keras's `RMSNormalization`, over all axes but the first unless given."""
    axes = axes or tuple(range(1, x.shape.rank))
    return _keras("RMSNormalization", x, gamma, None, axis=axes, epsilon=epsilon)[0]


def tf_weight_norm(v, g):
    """`tf.nn.l2_normalize` for the direction."""
    return g * tf.nn.l2_normalize(v, list(range(v.shape.rank - 1)))


def keras_moving_statistics(x, momentum):
    """The moving mean and variance (C,) of Keras's batch norm after one batch, from 0 and 1."""
    return _keras("BatchNormalization", x, None, None, True, momentum=momentum)[1]


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


def _keras(kind, x, gamma, beta, training=None, **options):
    """The output and the new state of a Keras layer with these parameters, which may be traced."""
    if kind != "RMSNormalization":
        options |= {"scale": gamma is not None, "center": beta is not None}
    layer = _built(kind, tuple(x.shape), x.dtype.name, **options)
    parameters = [p for p in (gamma, beta) if p is not None]
    call = {} if training is None else {"training": training}
    return layer.stateless_call(parameters, layer.non_trainable_variables, x, **call)


@lru_cache(maxsize=32)  # a layer cannot be made inside a tf.function, only found there
def _built(kind: str, shape: tuple[int, ...], dtype: str, **options) -> keras.Layer:
    layer = getattr(keras.layers, kind)(dtype=dtype, **options)
    layer.build(shape)
    return layer


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


class _Side(NamedTuple):
    """One operation at its settings, and what it should compute."""

    name: str
    settings: str
    op: Callable  # of the tensors of the comparison
    formula: Callable  # the same from `normalize`, to be run in float64
    moving: Callable | None = None  # x -> moving mean, moving variance
    true_moving: Callable | None = None


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
        tensors = inputs[kind][: 2 if "RMS" in own.name else 3]
        names = ["output", "dv", "dg"] if kind == "kernel" else ["output", "dx", "dgamma", "dbeta"]
        names = names[: len(tensors) + 1]
        if library.moving:
            names += ["moving mean", "moving variance"]
        r = tf.constant(rng.standard_normal(tensors[0].shape), tf.float32)
        mine, my_truth, my_time = _measure(own, tensors, r, repeats)
        theirs, their_truth, their_time = _measure(library, tensors, r, repeats)
        rows.append(
            Comparison(
                *(own.name, library.name, own.settings, library.settings),
                _largest(names, mine, theirs),
                _largest(names, mine, my_truth),
                _largest(names, theirs, their_truth),
                *(my_time, their_time),
            )
        )
    return rows


def _pairs(epsilon, momentum, groups, defaults) -> list[tuple[str, _Side, _Side]]:
    """What gamma and beta belong to, the lab's side and the library's."""
    there = (KERAS_EPSILON, KERAS_RMS_EPSILON, KERAS_MOMENTUM)
    keras_epsilon, rms_epsilon, keras_momentum = there if defaults else (epsilon, epsilon, momentum)

    def side(name, words, op, like=None, epsilon=epsilon, **options) -> _Side:
        """like: the lab's side that has the formula; this is the lab's own where not given."""
        op = partial(op, epsilon=epsilon, **options)
        formula = partial(like.formula, epsilon=epsilon) if like else op
        return _Side(name, ", ".join(filter(None, (words, f"epsilon {epsilon:g}"))), op, formula)

    def moves(side: _Side, statistics, momentum, unbiased=False) -> _Side:
        truth = partial(moving_statistics, momentum=momentum, unbiased=unbiased)
        return side._replace(moving=partial(statistics, momentum=momentum), true_moving=truth)

    theirs = partial(side, epsilon=keras_epsilon)
    everything, words = "over H, W, C", f"momentum {momentum:g}"
    batch = moves(side("batch norm", words, normalize.batch_norm), moving_statistics, momentum)
    tf_batch = side("tf.nn.batch_normalization", "", tf_batch_norm, batch)
    words += ", moving variance unbiased"
    fused = theirs("tf.nn.fused_batch_norm", words, fused_batch_norm, batch)
    fused = moves(fused, fused_moving_statistics, momentum, unbiased=True)
    words = f"momentum {keras_momentum:g}"
    keras_batch = theirs("keras BatchNormalization", words, keras_batch_norm, batch)
    keras_batch = moves(keras_batch, keras_moving_statistics, keras_momentum)

    layer = side("layer norm", everything, normalize.layer_norm)
    layer_c = side("layer norm per position", "over C", normalize.layer_norm, axes=-1)
    group = side("group norm", f"{groups} groups", normalize.group_norm, groups=groups)
    instance = side("instance norm", "", normalize.instance_norm)
    rms = side("RMS norm", everything, normalize.rms_norm)
    rms_c = side("RMS norm per position", "over C", normalize.rms_norm, axes=-1)
    name = "keras LayerNormalization"
    keras_layer = theirs(name, everything, keras_layer_norm, layer)
    keras_layer_c = theirs(name, "over C", keras_layer_norm, layer_c, axes=-1)
    name = "keras GroupNormalization"
    one_group = theirs(name, "1 group", keras_group_norm, layer, groups=1)
    keras_group = theirs(name, f"{groups} groups", keras_group_norm, group, groups=groups)
    keras_instance = theirs(name, "C groups", keras_instance_norm, instance)
    name = "keras RMSNormalization"
    keras_rms = side(name, everything, keras_rms_norm, rms, rms_epsilon)
    keras_rms_c = side(name, "over C", keras_rms_norm, rms_c, rms_epsilon, axes=-1)

    op = normalize.weight_norm
    weight = _Side("weight norm", "one norm per output channel", op, op)
    tf_weight = weight._replace(name="tf.nn.l2_normalize", op=tf_weight_norm)
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
        (examples, rms, keras_rms_c if defaults else keras_rms),
        ("channels", rms_c, keras_rms_c),
        ("kernel", weight, tf_weight),
    ]


def _measure(side: _Side, tensors, r, repeats: int):
    """What the side gives, what its formula gives in float64, and the median milliseconds."""
    side.op(*tensors)  # makes the Keras layer
    both_ways = tf.function(partial(with_gradients, side.op), autograph=False)
    results, times = both_ways(tensors, r), []  # the first call builds the graph
    for _ in range(repeats):
        start = time.perf_counter()
        both_ways(tensors, r)
        times.append(1000 * (time.perf_counter() - start))
    exact = [tf.cast(t, tf.float64) for t in tensors]
    truth = with_gradients(side.formula, exact, tf.cast(r, tf.float64))
    if side.moving and side.true_moving:
        results = [*results, *side.moving(tensors[0])]
        truth = [*truth, *side.true_moving(exact[0])]
    return [t.numpy() for t in results], [t.numpy() for t in truth], median(times)


def with_gradients(op: Callable, tensors: Sequence[tf.Tensor], dz: tf.Tensor) -> list[tf.Tensor]:
    """z, and the gradients of sum(z * dz) in each of the tensors."""
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        z = op(*tensors)
    return [z, *tape.gradient(z, tensors, dz)]


def _largest(names: Sequence[str], a, b) -> dict[str, float]:
    pairs = zip(names, a, b, strict=False)  # one side may have statistics that the other lacks
    return {name: float(np.max(np.abs(p.astype(np.float64) - q))) for name, p, q in pairs}
