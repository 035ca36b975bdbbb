"""Every step of a normalization with the numbers put in, to be checked by hand.

The numbers come from `normalize`; what is added here is which numbers share a mean, and the
arithmetic of one of them written out as LaTeX.
TensorFlow is imported by the first calculation, not by this module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pages.lab import words
from pages.lab.latex import average, bracketed, gives, minus, sum_of, tex

# examples x features. All means are whole numbers, and so are the roots of two columns.
TABLES: dict[str, str] = {
    "default": "6_-3_3_2_3_7_2_11_5_6_5_1",
    "outlier": "6_-3_3_2_3_7_2_100_5_6_5_1",
    "constant": "6_-3_4_2_3_4_2_11_4_6_5_4",
    "two": "6_-3_3_2_3_7",
    "one": "6_-3_3",
}
# inputs x output channels: one column is the v of one channel.
KERNELS: dict[str, str] = {
    "two": "3_-1_2_4_2_0",
    "doubled": "6_-2_4_8_4_0",
    "four": "1_2_0_1_-1_3_1_0_4_1_2_0",
    "zero": "3_0_2_4_0_0",
}
LARGEST = 1e6  # in a cell


# --- tables as text -----------------------------------------------------------------------------


def parse_cell(text: object) -> float:
    """The number that somebody typed, to six digits; ValueError says why it is none."""
    missing = text is None or text != text  # pandas writes NaN where a cell was cleared
    typed = "" if missing else str(text).strip()
    if not typed:
        raise ValueError("it is empty")
    name = words.verbatim(typed[:20])
    try:
        value = float(typed.replace(",", ".").replace("−", "-"))
    except ValueError:
        raise ValueError(f"{name} is not a number") from None
    if math.isnan(value):
        raise ValueError(f"{name} stands for no number")
    if abs(value) > LARGEST:
        raise ValueError(f"{name} is too large, {LARGEST:,.0f} is the most")
    return float(f"{value:.6g}") + 0.0  # and -0 is 0


def parse_table(text: str, rows: Sequence[int], columns: int) -> np.ndarray:
    """The table (rows, columns) that a link writes row by row as `1_2_3_4_5_6`.

    rows: the possible numbers of rows. Raises ValueError with one sentence.
    """
    typed = re.split(r"[_,;]", text.strip(" _,;"))
    if len(typed) not in [count * columns for count in rows]:
        possible = " or ".join(str(count * columns) for count in rows)
        raise ValueError(f"It takes {possible} numbers, {columns} to a row, not {len(typed)}.")
    try:
        return np.array([parse_cell(cell) for cell in typed]).reshape(-1, columns)
    except ValueError as error:
        raise ValueError(f"One of its numbers cannot be read: {error}.") from None


def format_table(table: np.ndarray) -> str:
    """The table as `parse_table` reads it."""
    return "_".join(f"{cell:.6g}" for cell in np.ravel(table))


# --- forward ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Steps:
    """A normalization, step by step: every array has the shape of x, in float64.

    set_of: for each number of x, which set of numbers it shares its mean and variance with.
    variance: for RMS norm the mean square; mean is then 0.
    """

    method: str
    epsilon: float
    set_of: np.ndarray
    x: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    root: np.ndarray
    x_hat: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    z: np.ndarray

    @property
    def sets(self) -> int:
        """How many means there are."""
        return int(self.set_of.max()) + 1

    def shares(self, cell: tuple[int, ...]) -> np.ndarray:
        """Which numbers are averaged together with the one at `cell`; True or False."""
        return self.set_of == self.set_of[cell]

    def standard_deviations(self, cell: tuple[int, ...]) -> float:
        """How far x lies from the mean, in standard deviations; for RMS norm from 0, in roots of
        the mean square. 0 where all are equal."""
        spread = math.sqrt(self.variance[cell])
        away = 0.0 if not self.x_hat[cell] else self.x[cell] - self.mean[cell]
        return float(away / spread) if spread else 0.0

    def changed_by(self, cell: tuple[int, ...]) -> np.ndarray:
        """Which z change when 1 is added to the x at `cell`; True or False."""
        moved = self.x.copy()
        moved[cell] += 1
        again = normalization_steps(self.method, moved, self.gamma, self.beta, self.epsilon)
        return ~equal(again.z, self.z)


def normalization_steps(
    method: str,
    x: np.ndarray,
    gamma: np.ndarray | float = 1.0,
    beta: np.ndarray | float = 0.0,
    epsilon: float = 1e-5,
    groups: int = 2,
) -> Steps:
    """Take a normalization of activations apart.

        mean -> variance -> root = sqrt(variance + ε) -> x_hat = (x - mean) / root
        z = gamma * x_hat + beta

    method: batch, layer, group, instance or rms. x: (N, ..., C). gamma, beta: broadcast to x.
    """
    import tensorflow as tf

    from normlib import normalize

    x = np.asarray(x, np.float64)
    axes = normalize.AXES[method](x.ndim)
    split = normalize.split_channels(tf.constant(x), groups) if method == "group" else x
    found = normalize.standardize(split, axes, epsilon, center=method != "rms")
    x_hat, mean, variance = _without_rounding(np.asarray(split), axes, *(t.numpy() for t in found))
    kept = [1 if axis in axes else length for axis, length in enumerate(x_hat.shape)]
    set_of = np.arange(math.prod(kept)).reshape(kept)
    x_hat, mean, variance, set_of = (
        np.broadcast_to(array, x_hat.shape).reshape(x.shape)
        for array in (x_hat, mean, variance, set_of)
    )
    # RMS norm has no beta.
    gamma, beta = (np.broadcast_to(p, x.shape) for p in (gamma, 0.0 if method == "rms" else beta))
    z = normalize.scale_shift(tf.constant(x_hat), gamma, beta).numpy()
    root = np.sqrt(variance + epsilon)
    return Steps(method, epsilon, set_of, x, mean, variance, root, x_hat, gamma, beta, z)


def _without_rounding(
    x: np.ndarray, axes: tuple[int, ...], x_hat: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, ...]:
    """x_hat, mean and variance, with 0 where only the last bits of a mean are left.

    The mean of 0.1, 0.1 and 0.1 is 0.1 and a bit; with a small ε, x_hat would show that bit.
    """
    largest = np.abs(x).max(axis=axes, keepdims=True)
    near = (np.abs(x - mean) <= 4 * np.finfo(x.dtype).eps * largest) & (mean != 0)
    constant = near.all(axis=axes, keepdims=True)
    mean = np.where(constant, x, mean)
    return np.where(near, 0.0, x_hat), mean, np.where(constant, 0.0, variance)


def equal(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Which numbers are what they were, but for rounding; True or False."""
    return np.abs(new - old) <= 1e-9 * max(1.0, float(np.abs(old).max()))


def before(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """The old numbers where they are not what they were, nan elsewhere; of rows that both have."""
    rows = min(len(new), len(old))
    was = np.full(new.shape, np.nan)
    was[:rows] = np.where(equal(new[:rows], old[:rows]), np.nan, old[:rows])
    return was


def counted(chosen: np.ndarray) -> tuple[int, ...]:
    """Along each axis, in how many places the chosen numbers lie."""
    return tuple(len(np.unique(axis)) for axis in np.nonzero(chosen))


def extent(changed: np.ndarray) -> str:
    """What the changed numbers of a table are: one cell, in one row or column, all, some, none."""
    rows, columns = counted(changed)
    if rows <= 1 or columns <= 1:
        return {(0, 0): "none", (1, 1): "cell"}.get(
            (rows, columns), "column" if columns == 1 else "row"
        )
    return "all" if changed.all() else "some"


def undoing(steps: Steps, example: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The gamma and beta, one per feature, that give back x: gamma = root, beta = mean.

    Where the root differs from example to example (layer and RMS norm) they are those of one
    `example`, and give back only that.
    """
    first = (example, *[0] * (steps.x.ndim - 2))
    return steps.root[first], steps.mean[first]


def share_below_zero(gamma: float, beta: float) -> float:
    """How much of a bell curve with mean beta and standard deviation |gamma| lies below 0."""
    return 0.5 * (1 + math.erf(-beta / abs(gamma) / math.sqrt(2)))


def written_out(steps: Steps, cell: tuple[int, ...]) -> list[str]:
    """The whole arithmetic of one number, from x to z: one line of LaTeX per step."""
    x, mean, variance = steps.x[cell], steps.mean[cell], steps.variance[cell]
    root, x_hat = steps.root[cell], steps.x_hat[cell]
    together = steps.x[steps.shares(cell)]
    if steps.method == "rms":
        squares = [rf"{bracketed(one)}^2" for one in together]
        lines, top = [average(r"\overline{x^2}", squares, variance)], tex(x)
    else:
        summands = [tex(together[0]), *map(bracketed, together[1:])]
        squares = [rf"({tex(one)}{minus(mean)})^2" for one in together]
        lines = [average(r"\mu", summands, mean), average(r"\sigma^2", squares, variance)]
        top = f"{tex(x)}{minus(mean)}"
    shift = "" if steps.method == "rms" else f" + {bracketed(steps.beta[cell])}"
    return [
        *lines,
        rf"r = \sqrt{{{tex(variance)} + {tex(steps.epsilon)}}} {gives(root)}",
        rf"\hat{{x}} = \frac{{{top}}}{{{tex(root)}}} {gives(x_hat)}",
        rf"z = {tex(steps.gamma[cell])} \cdot {bracketed(x_hat)}{shift} {gives(steps.z[cell])}",
    ]


# --- weight norm --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class WeightSteps:
    """Weight norm, step by step. v, w: (inputs, C_out). norm, g: (C_out,)."""

    v: np.ndarray
    norm: np.ndarray
    g: np.ndarray
    w: np.ndarray

    @property
    def length(self) -> np.ndarray:
        """||w||, (C_out,)."""
        return np.linalg.norm(self.w, axis=0)

    def changed_by(self, cell: tuple[int, int]) -> np.ndarray:
        """Which w change when 1 is added to the v at `cell`; True or False."""
        moved = self.v.copy()
        moved[cell] += 1
        return ~equal(weight_norm_steps(moved, self.g).w, self.w)


def weight_norm_steps(v: np.ndarray, g: np.ndarray) -> WeightSteps:
    """Take weight norm apart:  ||v_c||, then  w_c = g_c * v_c / ||v_c||; w_c is 0 where v_c is."""
    import tensorflow as tf

    from normlib import normalize

    v, g = np.asarray(v, np.float64), np.asarray(g, np.float64)
    norm = normalize.direction(tf.constant(v))[1].numpy()
    w = normalize.weight_norm(tf.constant(v), g).numpy()
    return WeightSteps(v, norm, g, w)


def written_weight(steps: WeightSteps, cell: tuple[int, int]) -> list[str]:
    """The whole arithmetic of one weight, from v to w: one line of LaTeX per step."""
    norm, g = steps.norm[cell[1]], steps.g[cell[1]]
    squares = sum_of([f"{bracketed(one)}^2" for one in steps.v[:, cell[1]]])
    length = rf"\lVert v \rVert = \sqrt{{{squares}}} {gives(norm)}"
    if not norm:
        return [length, "w = 0"]
    quotient = rf"{tex(g)} \cdot \frac{{{tex(steps.v[cell])}}}{{{tex(norm)}}}"
    return [length, rf"w = g \frac{{v}}{{\lVert v \rVert}} = {quotient} {gives(steps.w[cell])}"]
