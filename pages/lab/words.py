"""How the lab writes numbers, names and lists: one way for every sentence, label and table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from normlib.config import METHODS


def title(method: str) -> str:
    """A method as a heading or a legend has it; any other series keeps its own name."""
    return METHODS[method].title if method in METHODS else method


def in_sentence(method: str) -> str:
    """The same within a sentence: "batch norm", but "RMS norm" and "TensorFlow's batch norm"."""
    words = title(method)
    return words if words.startswith(("RMS", "Tensor")) else words[0].lower() + words[1:]


def listed(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`; nothing for an empty list."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def count(number: int, noun: str) -> str:
    """`1 step`, `1,200 steps`."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def number(value: float) -> str:
    """A float in as few characters as read back exactly, as in a link: 0.01, 1e-5."""
    if value and not 1e-3 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    return repr(float(value)).removesuffix(".0")


def rounded(value: float, digits: int = 4) -> str:
    """A number to so many significant digits, without trailing zeros: 3.667, 12,350, −1.2e−5, 0.

    An exponent stands only where it makes the number shorter.
    """
    text = f"{value + 0.0:.{digits}g}"  # + 0.0: no negative zero
    short = "e" not in text or 1e-3 <= abs(value) < 1e7
    if short and abs(float(text)) >= 1e3:
        text = f"{float(text):,.10g}"
    elif "e" in text:
        mantissa, _, exponent = text.partition("e")
        text = f"{mantissa}e{int(exponent)}"
    return minus(text)


def percent(share: float, digits: int = 1) -> str:
    """A share (0 to 1) as `96.8%`, without a space; never `−0.0%`."""
    text = f"{share:.{digits}%}"
    return minus(text if text.strip("-0.%") else text.removeprefix("-"))


def points(difference: float, digits: int = 2) -> str:
    """A difference in percentage points, with its sign: `+0.25 points`; `0.00 points` has none."""
    text = f"{difference:+.{digits}f}"
    return minus(text if float(text) else text[1:]) + " points"


def seconds(value: float) -> str:
    """`4 s`, `2 min 5 s`."""
    whole = max(0, round(value))
    return f"{whole} s" if whole < 90 else f"{whole // 60} min {whole % 60} s"


def minus(text: str) -> str:
    """The text with the minus sign of print, −, before its numbers and in their exponents.

    A hyphen within a word, a range, code or a link's query stays one.
    """
    return re.sub(r"(?<![\w)`[=&?/.-])-(?=\.?\d)|(?<=\de)-(?=\d)", "−", text)


def verbatim(text: str) -> str:
    """Somebody's text, to stand in Markdown as it was typed: no link, no formula, no emphasis."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
