"""The histograms of the lessons on activations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pages.components import theme
from pages.components.charts import Chart, frame, round_up
from pages.lab.words import minus, title
from pages.lessons.activation_statistics.histogram_spec import ROW, histogram_spec

if TYPE_CHECKING:
    import pandas as pd

    from pages.lab.activations import Summary

    Seen = Mapping[str, Mapping[str, Summary]]  # method -> step -> summary

BINS = 64
OUTSIDE = 0.02  # of the values, at most, lie beyond the ends of the histograms' axis
NARROWEST = 4.0  # the histograms' axis never shows less than this on each side of zero
_LINE = 0.09  # of it is half a line of text


def histograms(seen: Seen, titles: Mapping[str, str]) -> Chart:
    """One column per method, one row per step, all on one x axis. titles: step -> its title.

    A bar taller than twice the next is cut off, and the tallest one's share written beside it.
    After ReLU the exact zeros are a bar of their own, left of 0, where nothing else can be: so
    that the picture and the words count the same.
    """
    half = max(NARROWEST, *(s.half_width(OUTSIDE) for by in seen.values() for s in by.values()))
    edges = np.linspace(-half, half, BINS + 1)
    names = {step: _names(step, edges) for step in titles}
    shares = {
        method: np.array([_shares(step, steps[step], half) for step in titles])
        for method, steps in seen.items()
    }
    tops = np.array([_top(rows) for rows in np.stack(list(shares.values()), axis=1)])
    panels, summary = [], []
    for method, own in shares.items():
        spec = histogram_spec(title(method), theme.color(method), len(titles), half)
        panels.append((spec, _bars(own, tops, edges, names, titles)))
        for (step, words), row in zip(titles.items(), own, strict=True):
            most = int(row.argmax())
            summary.append(
                f"{title(method)}, {words.lower()}: the tallest bar ({names[step][most]}) holds "
                f"{row[most]:.0%} of the values."
            )
    steps = len(titles) * BINS
    table = frame(
        {
            "Method": np.repeat([title(method) for method in shares], steps),
            "Step": np.tile(np.repeat(list(titles.values()), BINS), len(shares)),
            "Values": np.tile(np.concatenate(list(names.values())), len(shares)),
            "Share": np.concatenate([own.ravel() for own in shares.values()]),
        }
    )
    return Chart(tuple(panels), " ".join(summary), table)


def _shares(step: str, summary: Summary, half: float) -> np.ndarray:
    """The share of the values in each bin."""
    counts = summary.histogram(half, BINS)
    if step == "relu":
        zeros = int(summary.zeros.sum())
        counts[BINS // 2 - 1 : BINS // 2 + 1] += zeros, -zeros
    return counts / summary.values


def _names(step: str, edges: np.ndarray) -> list[str]:
    """What each bin holds, in words."""
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    names[0], names[-1] = f"below {edges[1]:.3g}", f"{edges[-2]:.3g} and above"
    if step == "relu":
        above = f"above 0, to {edges[BINS // 2 + 1]:.3g}"
        names[BINS // 2 - 1 : BINS // 2 + 1] = "exactly 0", above
    return [minus(name) for name in names]


def _top(shares: np.ndarray) -> float:
    """The upper end of a row's y axis: of the bars, but for one far taller per method."""
    below = shares[shares < shares.max() / 2]
    spiky = 0 < shares.size - below.size <= len(shares) and below.size
    return round_up(1.1 * float((below if spiky else shares).max()))


def _bars(
    shares: np.ndarray,
    tops: np.ndarray,
    edges: np.ndarray,
    names: Mapping[str, list[str]],
    titles: Mapping[str, str],
) -> pd.DataFrame:
    """The bars that are not empty, and the words in the picture as bars without a size.

    Words with an odd id end at their place, the others begin there.
    """
    row, place = np.nonzero(shares)  # most bins of a wide axis are empty
    foot, share = len(titles) - 1.0 - row, shares[row, place]
    of = list(names.values())
    tips = [f"{of[i][j]}: {shares[i, j]:.2%}" for i, j in np.argwhere(shares)]
    words, ends, x, y = zip(*_words(shares, tops, edges, titles), strict=True)
    height = foot + ROW * np.minimum(share / tops[row], 1.0)
    ids = np.r_[row * BINS + place, -2 * np.arange(len(words)) - 2 - np.array(ends)]
    # Half the digits are enough for a screen, and JavaScript has no integers of 64 bits.
    return frame(
        {
            "id": ids.astype(np.int32),
            "left": _float32(np.r_[edges[place], x]),
            "right": _float32(np.r_[edges[place + 1], x]),
            "foot": np.r_[foot, y].astype(np.float32),
            "height": np.r_[height, y].astype(np.float32),
            "words": [*tips, *words],
        }
    )


def _float32(values: np.ndarray) -> np.ndarray:
    """In half the digits, as far as they reach."""
    largest = np.finfo(np.float32).max
    return values.clip(-largest, largest).astype(np.float32)


def _words(
    shares: np.ndarray, tops: np.ndarray, edges: np.ndarray, titles: Mapping[str, str]
) -> Iterator[tuple[str, bool, float, float]]:
    """Titles, the axes' ends, and the shares of tall bars: text, whether it ends there, x and y."""
    gap, zero = 0.012 * (edges[-1] - edges[0]), BINS // 2 - 1
    for row, (step, text) in enumerate(titles.items()):
        foot, tall = len(titles) - 1.0 - row, int(shares[row].argmax())
        cut = f"{shares[row][tall]:.0%}" if shares[row][tall] > tops[row] else ""
        before, after, beside = cut, "", tall
        if step == "relu":
            before, after = f"{shares[row][zero]:.0%} are 0", "" if tall == zero else cut
            beside = zero
        yield text, False, edges[0], foot + 1 - _LINE
        yield f"{100 * tops[row]:.3g}%", True, edges[-1], foot + ROW + _LINE
        yield before, True, edges[beside] - gap, foot + ROW - _LINE
        yield after, False, edges[tall + 1] + gap, foot + ROW - _LINE
