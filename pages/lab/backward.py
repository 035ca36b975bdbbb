"""The backward pass with the numbers put in, for one who checks by hand.

The numbers come from `gradients`; what is added here is what a picture needs: whole arrays of the
three terms, incoming gradients that teach something, weight norm's walk away from the origin, and
the gradients of the real network in its very first step.
TensorFlow is imported by the first calculation, not by this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import Run
from pages.lab.arithmetic import (
    Steps,
    Written,
    averaged_axes,
    bracketed,
    equals,
    normalization_steps,
    tex,
)
from pages.lab.recorded import read

INCOMING = ("random", "one", "equal", "along")


@dataclass(frozen=True, eq=False)
class BackwardSteps:
    """The gradient of one normalization in x, as three terms of the shape of x, in float64.

    direct: through x itself. through_mean, through_root: through the statistics, of which x is a
    part. dx: their sum.
    """

    forward: Steps
    dz: np.ndarray
    dx_hat: np.ndarray
    direct: np.ndarray
    through_mean: np.ndarray
    through_root: np.ndarray
    dx: np.ndarray

    def average(self, values: np.ndarray, cell: tuple[int, ...]) -> float:
        """The mean of `values` over the numbers that share the cell's statistics."""
        return float(values[self.forward.shares(cell)].mean())


def backward_steps(
    method: str,
    x: np.ndarray,
    dz: np.ndarray,
    gamma: np.ndarray | float = 1.0,
    epsilon: float = 1e-5,
    constants: bool = False,
) -> BackwardSteps:
    """Take the gradient of a normalization apart.

        dx = (dx_hat - average(dx_hat) - x_hat * average(dx_hat * x_hat)) / root
        dx_hat = gamma * dz

    method: batch, layer or rms. x, dz: (N, ..., C). gamma: broadcasts to x.
    constants: the mistake of treating mean and root as constants; the last two terms are then 0.
    """
    import tensorflow as tf

    from normlib import gradients

    forward = normalization_steps(method, x, gamma, 0.0, epsilon)
    dx_hat = forward.gamma * np.asarray(dz, np.float64)
    terms = gradients.backward_terms(
        *(tf.constant(array) for array in (dx_hat, forward.x_hat, forward.root)),
        averaged_axes(method, forward.x.ndim),
        center=method != "rms",
    )
    direct, mean, root = (term.numpy() for term in terms)
    if constants:
        mean, root = np.zeros_like(direct), np.zeros_like(direct)
    return BackwardSteps(forward, dz, dx_hat, direct, mean, root, direct + mean + root)


def incoming(kind: str, forward: Steps, cell: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A gradient dz of the shape of z.

    "random": one digit after the point, from the seed; "one": 1 at `cell` and 0 elsewhere;
    "equal": 1 everywhere, the wish to shift all z; "along": x_hat, the wish to stretch all z.
    """
    if kind == "random":
        return np.random.default_rng(seed).normal(0.0, 1.0, forward.z.shape).round(1) + 0.0
    if kind == "one":
        dz = np.zeros(forward.z.shape)
        dz[cell] = 1.0
        return dz
    if kind == "equal":
        return np.ones(forward.z.shape)
    return forward.x_hat.copy()


def written_backward(steps: BackwardSteps, cell: tuple[int, ...]) -> list[Written]:
    """The arithmetic of one dx: its terms, and their sum."""
    forward = steps.forward
    root, x_hat = forward.root[cell], forward.x_hat[cell]
    dx_hat = steps.dx_hat[cell]
    scale = float(np.abs(steps.dx_hat).max())
    mean = _without_rounding(steps.average(steps.dx_hat, cell), scale)
    along = _without_rounding(steps.average(steps.dx_hat * forward.x_hat, cell), scale)
    direct, through_mean, through_root, dx = (
        _without_rounding(term[cell], scale / root)
        for term in (steps.direct, steps.through_mean, steps.through_root, steps.dx)
    )
    lines = [
        Written(
            "direct",
            rf"\frac{{\gamma\,dz}}{{r}} = \frac{{{tex(dx_hat)}}}{{{tex(root)}}} "
            rf"{equals(direct)} {tex(direct)}",
            direct,
        )
    ]
    shift = -mean / root + 0.0
    if forward.method != "rms":
        lines.append(
            Written(
                "through the mean",
                rf"-\frac{{\overline{{\gamma\,dz}}}}{{r}} = -\frac{{{tex(mean)}}}{{{tex(root)}}} "
                rf"{equals(shift)} {tex(shift)}",
                through_mean,
            )
        )
    product = -x_hat * along / root + 0.0
    lines += [
        Written(
            "through the root",
            rf"-\frac{{\hat{{x}}\;\overline{{\gamma\,dz\,\hat{{x}}}}}}{{r}} = "
            rf"-\frac{{{bracketed(x_hat)} \cdot {bracketed(along)}}}{{{tex(root)}}} "
            rf"{equals(product)} {tex(product)}",
            through_root,
        ),
        Written("dx", rf"dx = {tex(dx)}", dx),
    ]
    return lines


def _without_rounding(value: float, scale: float) -> float:
    """0 for a sum that is 0 but for its last bits; what is left of them teaches nothing."""
    return 0.0 if abs(value) < 1e-13 * scale else float(value)


# --- weight norm --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Turn:
    """One gradient of weight norm in the plane: dw, and what of it reaches v.

    along: the part of g / ||v|| * dw that points along v, which the projection takes away.
    dv = g / ||v|| * dw - along. v, dw, dv, along: (2,). dg: how the loss depends on the length.
    """

    v: np.ndarray
    dw: np.ndarray
    along: np.ndarray
    dv: np.ndarray
    dg: float

    @property
    def cosine(self) -> float:
        """Of the angle between v and dv: 0 is a right angle."""
        lengths = np.linalg.norm(self.v) * np.linalg.norm(self.dv)
        return float(self.v @ self.dv / lengths) if lengths else 0.0


def turn(v: Sequence[float], dw: Sequence[float], g: float = 1.0) -> Turn:
    """The gradient of weight norm for one output channel with two inputs."""
    v, dw = np.asarray(v, np.float64), np.asarray(dw, np.float64)
    dv, dg = _weight_norm_backward(dw[:, None], v[:, None], np.array([g]))
    return Turn(v, dw, g / np.linalg.norm(v) * dw - dv[:, 0], dv[:, 0], float(dg[0]))


@dataclass(frozen=True, eq=False)
class Walk:
    """Gradient descent on v at several learning rates.

    v: (steps + 1, 2, rates). cosines: (steps, rates), of the angle between v and dv.
    """

    v: np.ndarray
    cosines: np.ndarray

    @property
    def norms(self) -> np.ndarray:
        """||v|| before the first step and after each, (steps + 1, rates)."""
        return np.linalg.norm(self.v, axis=1)

    @property
    def turns(self) -> np.ndarray:
        """By how many degrees each step turns v, (steps, rates)."""
        angles = np.unwrap(np.arctan2(self.v[:, 1], self.v[:, 0]), axis=0)
        return np.degrees(np.abs(np.diff(angles, axis=0)))


def walk(learning_rates: Sequence[float], steps: int, seed: int) -> Walk:
    """Descend on v alone, from (1, 0) with g = 1, along gradients dw that point at random.

        v <- v - lr * dv,   ||v_next||² = ||v||² + lr² * ||dv||²   (a right angle: Pythagoras)

    Every learning rate is an output channel of its own and meets the same dw, N(0, 1) each.
    Source: Salimans and Kingma, 2016, arXiv:1602.07868, section 2.1.
    """
    rates = np.asarray(learning_rates, np.float64)
    g = np.ones(len(rates))
    path, cosines = [np.tile([[1.0], [0.0]], len(rates))], []
    for dw in np.random.default_rng(seed).standard_normal((steps, 2, 1)):
        v = path[-1]
        dv, _ = _weight_norm_backward(np.tile(dw, len(rates)), v, g)
        lengths = np.linalg.norm(v, axis=0) * np.linalg.norm(dv, axis=0)
        cosines.append((v * dv).sum(axis=0) / np.maximum(lengths, 1e-300))
        path.append(v - rates * dv)
    return Walk(np.array(path), np.array(cosines))


def _weight_norm_backward(dw: np.ndarray, v: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, ...]:
    import tensorflow as tf

    from normlib import gradients

    found = gradients.weight_norm_backward(*(tf.constant(array) for array in (dw, v, g)))
    return found.dv.numpy(), found.dg.numpy()


# --- the real network ---------------------------------------------------------------------------


def bias_gradients(
    config: TrainConfig, data: Dataset, methods: Sequence[str], images: int = 32
) -> dict[str, float]:
    """The norm of the gradient of the convolution's bias in the first step, for each method.

    In float64, where 0 shows as 0 but for 1e-13. The batch: the first `images` training images.
    """
    import tensorflow as tf

    from normlib.cnn import SmallCNN

    batch = tf.constant(data.train_images[:images])
    labels = tf.constant(data.train_labels[:images].astype(np.int32))
    found = {}
    for method in methods:
        net = SmallCNN.from_config(replace(config, normalization=method), dtype=tf.float64)
        with tf.GradientTape() as tape:
            logits = net.forward(batch, training=True)["logits"]
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            )
        found[method] = float(tf.norm(tape.gradient(loss, net.conv_bias)))
    return found


RECORDED_METHODS = ("none", "batch", "weight", "layer")
RECORDED_CONFIG = TrainConfig(train_size=6_000)


def recorded_norms(config: TrainConfig, checksum: str) -> dict[str, list] | None:
    """The gradient norms of a training that ships with the package, or None for another one.

    As in a run's `recorded`: "step", and "gradient_norms" of the three kernels.
    """
    key = config.key(checksum)
    return next((one for one in read("gradient-norms")["runs"] if one["key"] == key), None)


def norms_of(runs: Iterable[Run]) -> dict[str, Any]:
    """The gradient norms of these runs, as the recording "gradient-norms"."""
    found = [
        {
            "key": run.key,
            "method": run.config.normalization,
            "step": run.recorded["step"],
            "gradient_norms": [
                [float(f"{norm:.4g}") for norm in norms] for norms in run.recorded["gradient_norms"]
            ],
        }
        for run in runs
    ]
    return {"runs": found}
