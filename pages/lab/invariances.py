"""What a normalized layer does not notice: table 1 of the layer-norm paper, recomputed.

Source: Ba, Kiros and Hinton, 2016, arXiv:1607.06450, section 5.1. The paper speaks of dense layers;
a convolution has positions too, and there some of the answers change (see `HOLDS`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from normlib import normalize

TRANSFORMATIONS = (
    *("all weights re-scaled", "all filters re-centered", "one filter re-scaled"),
    *("all data re-scaled", "all data re-centered", "one example re-scaled"),
)

# In the order of TRANSFORMATIONS: does the output stay the same?
PAPER: dict[str, tuple[bool, ...]] = {
    "batch": (True, False, True, True, True, False),
    "weight": (True, False, True, False, False, False),
    "layer": (True, True, False, True, False, True),
}
HOLDS: dict[str, tuple[bool, ...]] = {
    **PAPER,
    "none": (False,) * 6,
    "layer per position": (True, True, False, True, False, True),
    "group": (True, True, False, True, False, True),
    "instance": (True, False, True, True, True, True),
    "rms": (True, False, False, True, False, True),
}
# Re-centering adds one kernel to every filter. That shifts every channel at a position alike, but
# another position by another number: an average over positions too no longer takes it away.
HOLDS_FOR_CONVOLUTION = {
    **HOLDS,
    "layer": (True, False, False, True, False, True),
    "group": (True, False, False, True, False, True),
}


class Invariance(NamedTuple):
    """One cell of the table.

    deviation: the largest change of an output, relative to the largest output.
    holds: whether it is 0 by the equations, at epsilon = 0, for this kind of layer.
    paper: what the paper's table says of dense layers; None for a method it does not list.
    """

    method: str
    transformation: str
    deviation: float
    holds: bool
    paper: bool | None


def table(
    images: tf.Tensor,
    kernel: tf.Tensor,
    epsilon: float = 0.0,
    methods: Sequence[str] = ("batch", "weight", "layer"),
    groups: int = 5,
    factor: float = 3.0,
    seed: int = 0,
    padding: str = "VALID",
) -> list[Invariance]:
    """Change weights or data, and see by how much the normalized output changes.

    An invariance holds to rounding at epsilon = 0 (the computation is in float64), and only
    approximately otherwise: epsilon does not grow with what it is added to.

    images: (N, H, W, C_in) with a kernel (h, w, C_in, C_out), convolved without padding unless
    `padding` is "SAME": the zeros of a padded border are not re-centered with the rest, and what
    holds without them does not hold then; or (N, D) with (D, C_out).
    methods: keys of `HOLDS`. groups: of group norm. factor: by which everything is re-scaled.
    seed: of the kernel and the data that are added; they are as large as what they are added to.
    Raises ValueError for an unknown method.
    """
    if unknown := [method for method in methods if method not in HOLDS]:
        raise ValueError(f"There is no table of invariances for {', '.join(unknown)}.")
    x, w = tf.cast(images, tf.float64), tf.cast(kernel, tf.float64)
    convolution = w.shape.rank == 4
    holds = HOLDS_FOR_CONVOLUTION if convolution else HOLDS
    changed = _transformed(x, w, factor, seed)
    rows = []
    for method in methods:
        layer = _layer(method, padding if convolution else "", epsilon, groups)
        before = layer(x, w)
        largest = float(tf.reduce_max(tf.abs(before)))
        papers = PAPER.get(method, (None,) * len(TRANSFORMATIONS))
        told = zip(TRANSFORMATIONS, changed, holds[method], papers, strict=True)
        for name, arguments, exact, paper in told:
            change = float(tf.reduce_max(tf.abs(layer(*arguments) - before)))
            # One example through batch norm, or a batch of blanks, is 0 before and after.
            deviation = change / largest if largest else (np.inf if change else 0.0)
            rows.append(Invariance(method, name, deviation, exact, paper))
    return rows


def _transformed(x, w, factor, seed) -> Sequence[tuple[tf.Tensor, tf.Tensor]]:
    """Data and kernel after each of the `TRANSFORMATIONS`."""
    rng = np.random.default_rng(seed)
    one_filter = rng.standard_normal([*w.shape[:-1], 1]) * float(tf.math.reduce_std(w))
    # In a convolution every pixel is the same feature, so all are moved by one number.
    one_example = rng.standard_normal(x.shape[1:] if x.shape.rank == 2 else x.shape[-1:])
    one_example = one_example * float(tf.math.reduce_std(x))
    first = np.where(np.arange(max(x.shape[0], w.shape[-1])) == 0, factor, 1.0)
    per_example = first[: x.shape[0]].reshape([-1] + [1] * (x.shape.rank - 1))
    weights = ((x, w * factor), (x, w + one_filter), (x, w * first[: w.shape[-1]]))
    return *weights, (x * factor, w), (x + one_example, w), (x * per_example, w)


def _layer(method: str, padding: str, epsilon: float, groups: int) -> Callable:
    """(images, kernel) -> normalized output, with gamma = 1 and beta = 0; without a padding, of a
    dense layer."""

    def layer(x, w):
        if method == "weight":
            w = normalize.weight_norm(w, 1.0)
        z = tf.nn.conv2d(x, w, strides=1, padding=padding) if padding else x @ w
        if method in ("none", "weight"):
            return z
        by = "position" if method == "layer per position" else method
        return normalize.apply(by, z, None, None, epsilon, groups)

    return layer
