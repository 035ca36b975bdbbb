"""The assignment: twelve functions to write from basic ops, each with its truth and its inputs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from normlib import gradients, normalize
from normlib.exercises import TITLES

Inputs = dict[str, Any]  # argument -> array, or a number for epsilon and momentum

OPS = (
    "tf.reduce_mean, tf.reduce_sum, tf.square, tf.sqrt, tf.math.rsqrt, tf.reshape, tf.transpose, "
    "tf.matmul, tf.ones, tf.shape, tf.cast"
)
CONSTANT, FAR, ONE, ZERO = "a constant channel", "mean 1,000 in float32", "a batch of one", "v = 0"


@dataclass(frozen=True)
class Exercise:
    """One function to write.

    arguments: their names, in order. returns: what is given back, in order.
    truth: the same function by normlib. method: of `normalize.AXES`, or "weight", where
    `gradients` has its backward pass.
    rank: of x or v. owned: how many of its last axes gamma and beta have.
    differentiated: whether its gradients are compared. hard: the hard cases it must pass.
    """

    name: str
    task: str
    formula: str
    source: str
    hint: str
    truth: Callable[..., Any]
    arguments: tuple[str, ...] = ("x", "gamma", "beta", "epsilon")
    returns: tuple[str, ...] = ("z",)
    rank: int = 2
    owned: int = 1
    method: str = ""
    differentiated: bool = True
    hard: tuple[str, ...] = (CONSTANT, ONE, FAR)

    @property
    def title(self) -> str:
        return TITLES[self.name]

    @property
    def wanted(self) -> tuple[str, ...]:
        """The arguments in which the gradient is compared."""
        learned = [name for name in self.arguments if name in ("x", "gamma", "beta", "v", "g")]
        return tuple(learned) if self.differentiated else ()

    @property
    def starter(self) -> str:
        """The text that a student begins with."""
        head = f"def {self.name}({', '.join(self.arguments)}):"
        task = textwrap.fill(self.task, 44, subsequent_indent="    ")
        return f'{head}\n    """{task}"""\n    ...\n'

    def draw(self, seed: int, shape: tuple[int, ...] = ()) -> Inputs:
        """Random inputs, none of them 0 or 1; of a random shape whose lengths all differ."""
        rng = np.random.default_rng(seed)
        if not shape:
            shape = tuple(rng.permutation([2, 3, 4, 5])[: self.rank].tolist())
            shape = shape if self.rank > 2 else (shape[0] + 3, shape[1])
        own, channels = shape[len(shape) - self.owned :], shape[-1:]
        spread, center = 10 ** rng.uniform(-0.5, 0.5), rng.uniform(-5, 5)
        drawn: Inputs = {
            "x": rng.standard_normal(shape) * spread + center,
            "dz": rng.standard_normal(shape),
            "v": rng.standard_normal(shape) * 3,
            "g": rng.uniform(0.5, 2, own),
            "epsilon": float(rng.choice([0.02, 0.1, 0.5])),
            "momentum": float(rng.choice([0.6, 0.9])),
        }
        for name in ("gamma", "beta"):
            drawn[name] = rng.uniform(0.5, 2, own) * rng.choice([-1, 1], own)
        for prefix in ("", "moving_"):
            drawn[f"{prefix}mean"] = rng.uniform(-3, 3, channels)
            drawn[f"{prefix}variance"] = rng.uniform(0.5, 4, channels)
        return {name: drawn[name] for name in self.arguments}

    def hard_inputs(self, case: str) -> Inputs:
        """The inputs of one of the hard cases."""
        inputs = self.draw(0, (64, 3) if case == FAR and self.rank == 2 else ())
        x = inputs["v" if case == ZERO else "x"]
        if case == FAR:
            x[:] = 1_000 + (x - x.mean()) / x.std()
        elif case == ONE:
            inputs["x"] = x[:1]
        else:
            x[..., 0] = 7.0 if case == CONSTANT else 0.0
        return inputs

    @property
    def in_keras(self) -> bool:
        """Whether Keras has a layer that does the same."""
        return self.method in ("batch", "layer", "position") and "gamma" in self.arguments

    def keras_layer(self, x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float):
        """What Keras's layer makes of these; batch norm in training."""
        from keras import layers

        options = {"epsilon": epsilon, "dtype": x.dtype.name}
        if self.method == "batch":
            layer = layers.BatchNormalization(**options)
        else:
            axis = [1, 2, 3] if self.method == "layer" else -1
            layer = layers.LayerNormalization(axis=axis, **options)
        layer.build(x.shape)
        layer.gamma.assign(gamma)
        layer.beta.assign(beta)
        return layer(x, training=True) if self.method == "batch" else layer(x)


# ---- truths --------------------------------------------------------------------------------------


def _moments(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    _, mean, variance = normalize.standardize(x, normalize.AXES["batch"](x.shape.rank), 0.0)
    return tf.reshape(mean, [-1]), tf.reshape(variance, [-1])


def _moved(moving_mean, moving_variance, x, momentum):
    mean, variance = _moments(x)
    kept, new = momentum, 1 - momentum
    return kept * moving_mean + new * mean, kept * moving_variance + new * variance


def _backward(dz, x, gamma, epsilon):
    return tuple(gradients.backward("batch", x, gamma, tf.zeros_like(gamma), epsilon, dz))


_BN = "Ioffe and Szegedy, 2015, arXiv:1502.03167"
_LN = "Ba, Kiros and Hinton, 2016, arXiv:1607.06450"
_WN = "Salimans and Kingma, 2016, arXiv:1602.07868"
_Z = r"z = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta"
_VARIANCE = r"\sigma_c^2 = \frac{1}{N} \sum_n (x_{nc} - \mu_c)^2"

_ALL = (
    Exercise(
        "mean_and_variance",
        "The mean and the variance of each feature over the batch. x: (N, C); each (C,).",
        r"\begin{gathered} \mu_c = \frac{1}{N} \sum_n x_{nc} \\ " + _VARIANCE + r"\end{gathered}",
        f"{_BN}, algorithm 1, lines 1 and 2",
        "A mean over one axis of x; the variance divides by N, not N - 1.",
        _moments,
        ("x",),
        ("mean", "variance"),
        hard=(),
    ),
    Exercise(
        "x_hat",
        "Shift and scale each feature to mean 0 and variance 1. x: (N, C).",
        r"\hat x_{nc} = \frac{x_{nc} - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}}",
        f"{_BN}, algorithm 1, line 3",
        "Epsilon stands inside the root.",
        lambda x, epsilon: normalize.batch_norm(x, None, None, epsilon),
        ("x", "epsilon"),
        ("x_hat",),
        method="batch",
    ),
    Exercise(
        "batch_norm",
        "Batch norm of a dense layer. x: (N, C); gamma, beta: (C,).",
        _Z,
        f"{_BN}, algorithm 1",
        "Normalize, then scale and shift.",
        normalize.batch_norm,
        method="batch",
    ),
    Exercise(
        "batch_norm_conv",
        "One mean and variance per channel. x: (N, H, W, C); gamma, beta: (C,).",
        _Z,
        f"{_BN}, section 3.2",
        "All examples and positions of one channel share a mean.",
        normalize.batch_norm,
        rank=4,
        method="batch",
    ),
    Exercise(
        "batch_norm_inference",
        "Normalize with the moving statistics. x: (N, H, W, C); all others: (C,).",
        r"z = \gamma \frac{x - \mathrm{mean}}{\sqrt{\mathrm{variance} + \epsilon}} + \beta",
        f"{_BN}, algorithm 2, line 11",
        "The batch's own statistics are not used.",
        normalize.batch_norm,
        ("x", "gamma", "beta", "epsilon", "mean", "variance"),
        rank=4,
        hard=(ONE,),
    ),
    Exercise(
        "moving_statistics",
        "Move both by one training batch, Keras's way. x: (N, H, W, C); all others: (C,).",
        r"m \leftarrow \mathrm{momentum} \cdot m + (1 - \mathrm{momentum}) \cdot m_{batch}",
        f"{_BN}, section 3.1; momentum as in keras.layers.BatchNormalization",
        "The batch's variance divides by n, as in Keras; PyTorch's momentum is 1 minus this one.",
        _moved,
        ("moving_mean", "moving_variance", "x", "momentum"),
        ("moving_mean", "moving_variance"),
        rank=4,
        differentiated=False,
        hard=(),
    ),
    Exercise(
        "layer_norm",
        "One mean and variance per example. x: (N, H, W, C); gamma, beta: (H, W, C).",
        _Z,
        f"{_LN}, equation 3",
        "All positions and channels of one example share a mean.",
        normalize.layer_norm,
        rank=4,
        owned=3,
        method="layer",
        hard=(ONE, FAR),
    ),
    Exercise(
        "layer_norm_last",
        "One mean and variance per position. x: (N, H, W, C); gamma, beta: (C,).",
        _Z,
        f"{_LN}, equation 3, at each position: Keras's default axis",
        "The channels of one position share a mean.",
        lambda x, gamma, beta, epsilon: normalize.apply("position", x, gamma, beta, epsilon),
        rank=4,
        method="position",
        hard=(ONE, FAR),
    ),
    Exercise(
        "weight_norm",
        "Rebuild a kernel, one length per output channel. v: (H, W, I, O); g: (O,).",
        r"w_c = g_c \frac{v_c}{\lVert v_c \rVert}",
        f"{_WN}, equation 2",
        "The length of v is taken over every axis but the last.",
        normalize.weight_norm,
        ("v", "g"),
        ("w",),
        rank=4,
        method="weight",
        hard=(),
    ),
    Exercise(
        "weight_norm_zero",
        "The same, but a channel with v = 0 gives w = 0 and finite gradients.",
        r"w_c = g_c \frac{v_c}{\lVert v_c \rVert}, \qquad w_c = 0 \text{ where } v_c = 0",
        f"{_WN}, equation 2",
        "The root of a sum that may be 0 has an infinite slope: keep it away from 0.",
        normalize.weight_norm,
        ("v", "g"),
        ("w",),
        rank=4,
        method="weight",
        hard=(ZERO,),
    ),
    Exercise(
        "batch_norm_backward",
        "The gradients in x, gamma and beta, by hand. dz, x: (N, C); gamma: (C,).",
        r"\begin{gathered} d\hat x = \gamma \, dz \\ dx = \frac{1}{\sqrt{\sigma^2 + \epsilon}} "
        r"\left( d\hat x - \overline{d\hat x} - \hat x \, \overline{d\hat x \, \hat x} \right) "
        r"\end{gathered}",
        f"{_BN}, section 3",
        "Three paths lead from x to z: directly, through the mean, through the variance.",
        _backward,
        ("dz", "x", "gamma", "epsilon"),
        ("dx", "dgamma", "dbeta"),
        differentiated=False,
        hard=(CONSTANT,),
    ),
    Exercise(
        "stable_variance",
        "The variance of each feature, in float32, where the mean is large. x: (N, C).",
        _VARIANCE,
        f"{_BN}, algorithm 1, line 2; two passes: Chan, Golub and LeVeque, 1983, equation 1.1",
        "E[x²] - E[x]² subtracts two numbers near 1,000,000.",
        lambda x: _moments(x)[1],
        ("x",),
        ("variance",),
        hard=(FAR,),
    ),
)
EXERCISES: dict[str, Exercise] = {one.name: one for one in _ALL}
