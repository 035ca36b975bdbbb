"""Every step of a normalization with the numbers put in, for one who checks by hand.

The numbers come from `normalize`, the functions that also train the networks; what is added here
is which numbers share a mean, and the arithmetic of one of them written out as LaTeX.
TensorFlow is imported by the first calculation, not by this module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# examples x features. All means are whole numbers, and so are the roots of two columns.
TABLES: dict[str, str] = {
    "default": "6_-3_3_2_3_7_2_11_5_6_5_1",
    "outlier": "6_-3_3_2_3_7_2_100_5_6_5_1",
    "constant": "6_-3_4_2_3_4_2_11_4_6_5_4",
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
_MOST_TERMS = 6  # in a written-out sum; of more only the first two and the last
_LINE = 20  # characters of a written-out sum on one line, so that a telephone can show it


# --- tables as text -----------------------------------------------------------------------------


def parse_cell(text: object) -> float:
    """The number that somebody typed, to six digits; ValueError says why it is none."""
    missing = text is None or text != text  # pandas writes NaN where a cell was cleared
    shown = "" if missing else str(text).strip()
    if not shown:
        raise ValueError("it is empty")
    try:
        value = float(shown.replace(",", ".").replace("−", "-"))
    except ValueError:
        raise ValueError(f"“{shown[:20]}” is not a number") from None
    if math.isnan(value):
        raise ValueError(f"“{shown[:20]}” stands for no number")
    if abs(value) > LARGEST:
        raise ValueError(f"“{shown[:20]}” is too large, {LARGEST:,.0f} is the most")
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
    seen = tf.constant(x)
    if method == "group":
        seen = normalize.split_channels(seen, groups)
    axes = averaged_axes(method, x.ndim)
    x_hat, mean, variance = normalize.standardize(seen, axes, epsilon, center=method != "rms")
    root = tf.sqrt(variance + epsilon)
    x_hat, mean, variance, root = (
        np.broadcast_to(t.numpy(), seen.shape).reshape(x.shape)
        for t in (x_hat, mean, variance, root)
    )
    # RMS norm has no beta.
    gamma, beta = (np.broadcast_to(p, x.shape) for p in (gamma, 0.0 if method == "rms" else beta))
    z = normalize.scale_shift(tf.constant(x_hat), gamma, beta).numpy()
    sets = _sets(method, x.shape, groups)
    return Steps(method, epsilon, sets, x, mean, variance, root, x_hat, gamma, beta, z)


def averaged_axes(method: str, rank: int) -> tuple[int, ...]:
    """The axes a method averages in (N, ..., C); for group norm in (N, ..., G, C/G)."""
    return {
        "batch": tuple(range(rank - 1)),
        "layer": tuple(range(1, rank)),
        "rms": tuple(range(1, rank)),
        "instance": tuple(range(1, rank - 1)),
        "group": (*range(1, rank - 1), rank),
    }[method]


def _sets(method: str, shape: tuple[int, ...], groups: int) -> np.ndarray:
    """Numbers with the same entry are averaged together."""
    index = np.indices(shape)
    example, channel = index[0], index[-1]
    kept = {
        "batch": channel,
        "layer": example,
        "rms": example,
        "instance": example * shape[-1] + channel,
        "group": example * groups + channel // max(shape[-1] // groups, 1),
    }[method]
    return np.unique(kept, return_inverse=True)[1].reshape(shape)


def undoing(steps: Steps, example: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The gamma and beta, one per feature, that give back x: gamma = root, beta = mean.

    Where the root differs from example to example (layer and RMS norm) they are those of one
    `example`, and give back only that.
    """
    first = (example, *[0] * (steps.x.ndim - 2))
    return steps.root[first], steps.mean[first]


@dataclass(frozen=True)
class Written:
    """One line of arithmetic: what is calculated, as LaTeX, and the number it gives."""

    step: str
    latex: str
    value: float


def written_out(steps: Steps, cell: tuple[int, ...]) -> list[Written]:
    """The whole arithmetic of one number, from x to z."""
    x, mean, variance = steps.x[cell], steps.mean[cell], steps.variance[cell]
    root, x_hat, z = steps.root[cell], steps.x_hat[cell], steps.z[cell]
    gamma, beta = steps.gamma[cell], steps.beta[cell]
    together = steps.x[steps.shares(cell)]
    lines = []
    if steps.method == "rms":
        squares = [rf"{bracketed(one)}^2" for one in together]
        lines.append(
            Written("mean square", _average(r"\overline{x^2}", squares, variance), variance)
        )
        top = tex(x)
    else:
        lines.append(Written("mean", _average(r"\mu", _summands(together), mean), mean))
        squares = [rf"({tex(one)}{_minus(mean)})^2" for one in together]
        lines.append(Written("variance", _average(r"\sigma^2", squares, variance), variance))
        top = f"{tex(x)}{_minus(mean)}"
    lines += [
        Written(
            "root",
            rf"r = \sqrt{{{tex(variance)} + {tex(steps.epsilon)}}} {equals(root)} {tex(root)}",
            root,
        ),
        Written(
            "x_hat",
            rf"\hat{{x}} = \frac{{{top}}}{{{tex(root)}}} {equals(x_hat)} {tex(x_hat)}",
            x_hat,
        ),
    ]
    shift = "" if steps.method == "rms" else f" + {bracketed(beta)}"
    lines.append(
        Written(
            "z",
            rf"z = {tex(gamma)} \cdot {bracketed(x_hat)}{shift} {equals(z)} {tex(z)}",
            z,
        )
    )
    return lines


# --- weight norm --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class WeightSteps:
    """Weight norm, step by step. v, w: (inputs, C_out). norm, divisor, g: (C_out,).

    divisor: what v is divided by, which is norm but for a v of 0.
    """

    v: np.ndarray
    norm: np.ndarray
    divisor: np.ndarray
    g: np.ndarray
    w: np.ndarray


def weight_norm_steps(v: np.ndarray, g: np.ndarray) -> WeightSteps:
    """Take weight norm apart:  ||v_c||, then  w_c = g_c * v_c / ||v_c||; w_c is 0 where v_c is."""
    import tensorflow as tf

    from normlib import normalize

    v, g = tf.constant(v, tf.float64), tf.constant(g, tf.float64)
    _, norm = normalize.direction(v)
    divisor = tf.where(norm > 0, norm, 1)
    w = normalize.weight_norm(v, g)
    return WeightSteps(*(t.numpy() for t in (v, norm, divisor, g, w)))


def written_weight(steps: WeightSteps, cell: tuple[int, int]) -> list[Written]:
    """The whole arithmetic of one weight, from v to w."""
    column = cell[1]
    norm, g, v, w = steps.norm[column], steps.g[column], steps.v[cell], steps.w[cell]
    squares = _sum([f"{bracketed(one)}^2" for one in steps.v[:, column]])
    return [
        Written(
            "length",
            rf"\lVert v \rVert = \sqrt{{{squares}}} {equals(norm)} {tex(norm)}",
            norm,
        ),
        Written(
            "w",
            r"w = g \frac{v}{\lVert v \rVert} = "
            rf"{tex(g)} \cdot \frac{{{tex(v)}}}{{{tex(steps.divisor[column])}}} "
            rf"{equals(w)} {tex(w)}",
            w,
        ),
    ]


# --- numbers as LaTeX ---------------------------------------------------------------------------


def shown(value: float, digits: int = 4) -> str:
    """A number as a person writes it: at most so many digits, no exponent where none is needed."""
    text = f"{value + 0.0:.{digits}g}"
    if "e" in text and 1e-3 <= abs(value) < 1e7:
        text = f"{float(text):,.0f}".replace(",", "")
    return text.replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def tex(value: float) -> str:
    """A number in LaTeX, to four digits."""
    mantissa, _, exponent = shown(value).partition("e")
    if not exponent:
        return mantissa
    power = f"10^{{{exponent}}}"
    return power if mantissa == "1" else rf"{mantissa} \cdot {power}"


def equals(value: float) -> str:
    """`=` where four digits say it all."""
    return "=" if math.isclose(float(shown(value)), value, rel_tol=1e-9) else r"\approx"


def bracketed(value: float) -> str:
    return f"({tex(value)})" if value < 0 else tex(value)


def _minus(value: float) -> str:
    """`- value`, with two signs in a row made one."""
    return f" + {tex(-value)}" if value < 0 else f" - {tex(value)}"


def _summands(values: Sequence[float]) -> list[str]:
    return [bracketed(value) if index else tex(value) for index, value in enumerate(values)]


def _sum(terms: Sequence[str]) -> str:
    """The terms with + between them, in lines of a few; dots stand for the middle of many."""
    if len(terms) > _MOST_TERMS:
        terms = [*terms[:2], r"\cdots", terms[-1]]
    lines = [terms[0]]
    for term in terms[1:]:
        longer = f"{lines[-1]} + {term}"
        if len(re.sub(r"\\cdot|[\^{} ]", "", longer)) + longer.count(" + ") / 2 > _LINE:
            lines.append(term)
        else:
            lines[-1] = longer
    if len(lines) == 1:
        return lines[0]
    return r"\begin{gathered}" + r" \\ {} + ".join(lines) + r"\end{gathered}"


def _average(symbol: str, terms: Sequence[str], value: float) -> str:
    return rf"{symbol} = \frac{{{_sum(terms)}}}{{{len(terms)}}} {equals(value)} {tex(value)}"
