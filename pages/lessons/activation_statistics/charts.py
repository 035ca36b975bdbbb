"""The charts of the lessons on activations: histograms, each channel's spread, variances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pages.components import theme
from pages.components.charts import Chart, frame, round_up, spec
from pages.lab.words import minus, title

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from pages.lab.activations import Summary

    Seen = Mapping[str, Mapping[str, Summary]]  # method -> step -> summary

BINS = 64
HEIGHT = 340
OUTSIDE = 0.02  # of the values, at most, lie beyond the ends of the histograms' axis
NARROWEST = 4.0  # the histograms' axis never shows less than this on each side of zero
LOWEST_VARIANCE = 1e-9  # a log axis has no zero: what is smaller is drawn here
_ROW = 0.72  # of a histogram's row is bars, the rest its title
_LINE = 0.09  # of it is half a line of text


# ---- histograms ------------------------------------------------------------------------------


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
        spec = _histogram_spec(title(method), theme.color(method), len(titles), half)
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
    height = foot + _ROW * np.minimum(share / tops[row], 1.0)
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
        yield f"{100 * tops[row]:.3g}%", True, edges[-1], foot + _ROW + _LINE
        yield before, True, edges[beside] - gap, foot + _ROW - _LINE
        yield after, False, edges[tall + 1] + gap, foot + _ROW - _LINE


@spec
def _histogram_spec(title: str, color: str, rows: int, half: float) -> alt.TopLevelMixin:
    """One method: its histograms one above the other over one x axis, each row with its own 0.

    Bars and words come with the data, the words as bars without size: were the words in the spec,
    the browser would build a new picture where it now only moves marks, and by their ids it moves
    those that are there. One more layer, or a tooltip of several fields, would cost it a tenth of
    the time in which it follows a slider.
    """
    import altair as alt

    ends = [row + part for row in range(rows) for part in (0, _ROW)]
    x_scale = alt.Scale(domain=(-half, half), nice=False)
    y_scale, axis = alt.Scale(domain=(0, rows), nice=False), alt.Axis(values=ends, labels=False)
    bars = alt.Chart().mark_bar(color=color, clip=True, binSpacing=0)
    bars = bars.encode(
        x=alt.X("left:Q", title=None, scale=x_scale, bin="binned"),
        x2="right:Q",
        y=alt.Y("foot:Q", title=None, scale=y_scale, axis=axis),
        y2="height:Q",
        tooltip="words:N",
        key="id:Q",
    )
    align = alt.expr("datum.id % 2 ? 'right' : 'left'")
    words = alt.Chart().transform_filter("datum.left === datum.right")
    words = words.mark_text(tooltip=None, baseline="middle", align=align)
    words = words.encode(x="left:Q", y="foot:Q", text="words:N", key="id:Q")
    return alt.layer(bars, words).properties(height=HEIGHT, title=title)


# ---- each channel's mean and standard deviation ----------------------------------------------


def spread(seen: Seen, unit: str) -> Chart:
    """Mean and one standard deviation either way of each channel, before (grey) and after.

    unit: "channel" or "unit".
    """
    import pandas as pd

    pairs = {method: (steps["before"], steps["normalized"]) for method, steps in seen.items()}
    reach = max(_largest(np.abs(s.mean) + s.std) for pair in pairs.values() for s in pair)
    half = float(2 ** np.ceil(np.log2(max(2.0, reach))))
    panels, summary = [], []
    for method, (before, after) in pairs.items():
        data = frame({"channel": np.arange(len(after.mean))}).assign(
            before_mean=before.mean, before_std=before.std, mean=after.mean, std=after.std
        )
        data.insert(0, "method", title(method))
        panels.append((_spread_spec(title(method), theme.color(method), unit, half), data))
        summary.append(
            f"{title(method)}: the means of the {unit}s lay {_range(before.mean)} and lie "
            f"{_range(after.mean)}; the standard deviations lay {_range(before.std)} and lie "
            f"{_range(after.std)}."
        )
    table = pd.concat([data for _, data in panels], ignore_index=True)
    return Chart(tuple(panels), " ".join(summary), table)


def _range(values: np.ndarray) -> str:
    return f"from {values.min():.3g} to {values.max():.3g}"


@spec
def _spread_spec(title: str, color: str, unit: str, half: float) -> alt.TopLevelMixin:
    import altair as alt

    names = {"before_mean": "mean before", "before_std": "std before", "mean": "mean", "std": "std"}
    y = alt.Y(title="Dot: mean, line: ± 1 std", scale=alt.Scale(domain=(-half, half), nice=False))
    base = alt.Chart().encode(
        x=_place("channel", unit),
        tooltip=[
            alt.Tooltip("channel:Q", title=unit),
            *(alt.Tooltip(f"{f}:Q", title=text, format=".3~g") for f, text in names.items()),
        ],
    )
    before = base.mark_errorbar(color=theme.NEUTRAL, opacity=0.55, thickness=5, clip=True)
    after = base.mark_errorbar(color=color, thickness=1.8, clip=True)
    mean = base.mark_point(color=color, filled=True, opacity=1, clip=True)
    return alt.layer(
        before.encode(y=y.field("before_mean").type("quantitative"), yError="before_std:Q"),
        after.encode(y=y.field("mean").type("quantitative"), yError="std:Q"),
        mean.encode(y=y.field("mean").type("quantitative")),
    ).properties(height=HEIGHT, title=title)


# ---- variances against epsilon ---------------------------------------------------------------


def variances(found: Mapping[str, tuple[np.ndarray, np.ndarray, str]], epsilon: float) -> Chart:
    """Each method's variances against epsilon on one log axis.

    found: method -> variances under its denominators (n,), the factors by which they shrink the
    output, and what has one of them, "channel" or "example".
    """
    import pandas as pd

    top = max(10.0, *(_largest(under) for under, _, _ in found.values()))
    panels, summary, tables = [], [], []
    for method, (under, factors, unit) in found.items():
        data = frame({"place": np.arange(len(under)), "variance": under, "factor": factors})
        drawn = data.assign(shown=under.clip(LOWEST_VARIANCE), epsilon=epsilon)
        end = float(10.0 ** np.ceil(np.log10(top)))
        panels.append((_variances_spec(title(method), theme.color(method), unit, end), drawn))
        summary.append(
            f"{title(method)}: {len(under)} variances {_range(under)}; "
            f"{(under < epsilon).sum()} below epsilon, {epsilon:g}. The shrink factor lies "
            f"{_range(factors)}."
        )
        tables.append(data.assign(method=method))
    return Chart(tuple(panels), " ".join(summary), pd.concat(tables, ignore_index=True))


@spec
def _variances_spec(title: str, color: str, unit: str, top: float) -> alt.TopLevelMixin:
    import altair as alt

    scale = alt.Scale(type="log", domain=(LOWEST_VARIANCE, top), nice=False)
    below = alt.datum.variance < alt.datum.epsilon
    axis = alt.Axis(labelExpr="replace(format(datum.value, '.0e'), '+', '')", tickCount=6)
    spots = alt.Chart().mark_point(color=color, size=60, strokeWidth=2, opacity=1, clip=True)
    points = spots.encode(
        x=_place("place", unit),
        y=alt.Y("shown:Q", title="Variance", scale=scale, axis=axis),
        fill=alt.value(color),
        fillOpacity=alt.condition(below, alt.value(0), alt.value(1)),
        tooltip=_tips(unit),
    )
    line = alt.Chart().transform_aggregate(line="max(epsilon)").encode(y=alt.Y("line:Q"))
    name = line.mark_text(align="left", baseline="middle", dx=3, fontSize=17)
    return alt.layer(
        points,
        line.mark_rule(color=theme.NEUTRAL, strokeDash=[6, 4]),
        name.encode(x=alt.value("width"), text=alt.value("ε")),
    ).properties(height=HEIGHT, title=title)


def _tips(unit: str) -> list[alt.Tooltip]:
    import altair as alt

    numbers = [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("variance", "factor")]
    return [alt.Tooltip("place:Q", title=unit), *numbers]


def _largest(values: np.ndarray) -> float:
    """The largest finite value, or 0: an axis has no other end."""
    return float(np.max(values, where=np.isfinite(values), initial=0.0))


def _place(field: str, unit: str) -> alt.X:
    import altair as alt

    return alt.X(
        f"{field}:Q",
        title=unit.capitalize(),
        scale=alt.Scale(nice=False, padding=8),
        axis=alt.Axis(tickMinStep=1, grid=False, format="d"),
    )
