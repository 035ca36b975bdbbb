"""Numbers, sums and the methods' formulas as LaTeX, as a person writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from pages.lab import words

APPROXIMATELY = r"\approx"
_MOST_TERMS = 6  # in a written-out sum; of more only the first two and the last
_BATCH = r"z = \gamma_c \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c"
FORMULAS: dict[str, str] = {
    "none": r"z = x",
    "batch": _BATCH,
    "weight": r"w_c = g_c \frac{v_c}{\lVert v_c \rVert}",
    "layer": r"z = \gamma \frac{x - \mu_n}{\sqrt{\sigma_n^2 + \epsilon}} + \beta",
    "group": r"z = \gamma_c \frac{x - \mu_{n,g}}{\sqrt{\sigma_{n,g}^2 + \epsilon}} + \beta_c",
    "instance": r"z = \gamma_c \frac{x - \mu_{n,c}}{\sqrt{\sigma_{n,c}^2 + \epsilon}} + \beta_c",
    "rms": r"z = \gamma \frac{x}{\sqrt{\overline{x^2}_n + \epsilon}}",
    "tf_batch": _BATCH,
}
_LINE = 20  # characters of a written-out sum on one line, so that a telephone can show it


def tex(value: float) -> str:
    """A number in LaTeX, to four digits."""
    mantissa, _, exponent = (
        words.rounded(value).replace("−", "-").replace(",", "{,}").partition("e")
    )
    if not exponent:
        return mantissa
    power = f"10^{{{exponent}}}"
    return power if mantissa == "1" else rf"{mantissa} \cdot {power}"


def gives(value: float) -> str:
    """`= 0.25`, or `\\approx 0.3333` where four digits do not say it all."""
    exact = math.isclose(float(f"{value:.4g}"), value, rel_tol=1e-9)
    return f"{'=' if exact else APPROXIMATELY} {tex(value)}"


def bracketed(value: float) -> str:
    """A number in LaTeX, in brackets where a sign of its own would follow another."""
    return f"({tex(value)})" if value < 0 else tex(value)


def minus(value: float) -> str:
    """`- value`, with two signs in a row made one."""
    return f" + {tex(-value)}" if value < 0 else f" - {tex(value)}"


def sum_of(terms: Sequence[str]) -> str:
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


def average(symbol: str, terms: Sequence[str], value: float) -> str:
    """`symbol = (the terms) / (their number) = value`."""
    return rf"{symbol} = \frac{{{sum_of(terms)}}}{{{len(terms)}}} {gives(value)}"
