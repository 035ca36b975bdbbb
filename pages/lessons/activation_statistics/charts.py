"""The charts of the lessons on activations: histograms, each channel's spread, variances."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pages.components import theme
from pages.components.charts import Chart, frame, round_up, spec
from pages.lab.words import minus, title

if TYPE_CHECKING:
    import altair as alt

    from pages.lab.activations import Summary

    Seen = Mapping[str, Mapping[str, Summary]]  # method -> step -> summary

BINS = 64
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
    tops = np.array([_top([each[row] for each in shares.values()]) for row in range(len(titles))])
    panels, summary = [], []
    for method, own in shares.items():
        drawn = [*_bars(own, tops, edges, names), *_words(own, tops, edges, titles)]
        columns = ("id", "left", "right", "foot", "height", "words")
        data = dict(zip(columns, zip(*drawn, strict=True), strict=True))
        # Half the digits are enough for a screen, and JavaScript has no integers of 64 bits.
        kinds = {"id": np.int32} | dict.fromkeys(columns[1:5], np.float32) | {"words": object}
        panels.append(
            (
                _histogram_spec(title(method), theme.color(method), len(titles), half),
                frame({name: np.array(data[name], kind) for name, kind in kinds.items()}),
            )
        )
        for row, (step, words) in enumerate(titles.items()):
            most = int(own[row].argmax())
            summary.append(
                f"{title(method)}, {words.lower()}: the tallest bar ({names[step][most]}) holds "
                f"{own[row][most]:.0%} of the values."
            )
    count = len(titles)
    table = frame(
        {
            "Method": np.repeat([title(method) for method in shares], count * BINS),
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
        counts[BINS // 2] -= zeros
        counts[BINS // 2 - 1] += zeros
    return counts / summary.values


def _names(step: str, edges: np.ndarray) -> list[str]:
    """What each bin holds, in words."""
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    names[0], names[-1] = f"below {edges[1]:.3g}", f"{edges[-2]:.3g} and above"
    if step == "relu":
        names[BINS // 2 - 1 : BINS // 2 + 1] = (
            "exactly 0",
            f"above 0, to {edges[BINS // 2 + 1]:.3g}",
        )
    return [minus(name) for name in names]


def _top(shares: list[np.ndarray]) -> float:
    """The upper end of a row's y axis: of the bars, but for one far taller per method."""
    ordered = np.sort(np.concatenate(shares))
    tall = ordered[-1]
    below = ordered[ordered < tall / 2]
    spiky = 0 < len(ordered) - len(below) <= len(shares) and len(below)
    return round_up(1.1 * (below[-1] if spiky else tall))


def _bars(
    shares: np.ndarray, tops: np.ndarray, edges: np.ndarray, names: Mapping[str, list[str]]
) -> list[tuple]:
    """id, left, right, foot, height and words of each bar that is not empty."""
    row, place = np.nonzero(shares)  # most bins of a wide axis are empty
    share = shares[row, place]
    foot = len(tops) - 1.0 - row
    height = foot + _ROW * np.minimum(share / tops[row], 1.0)
    of = list(names.values())
    words = [
        f"{of[i][j]}: {part:.2%}"
        for i, j, part in zip(row.tolist(), place.tolist(), share.tolist(), strict=True)
    ]
    numbers = (row * BINS + place, edges[place], edges[place + 1], foot, height)
    return list(zip(*(column.tolist() for column in numbers), words, strict=True))


def _words(
    shares: np.ndarray, tops: np.ndarray, edges: np.ndarray, titles: Mapping[str, str]
) -> list[tuple]:
    """The words in the picture, as bars without a size: titles, axes' ends, shares of tall bars.

    Those with an odd id end at their place, the others begin there.
    """
    words: list[tuple] = []
    gap = 0.012 * (edges[-1] - edges[0])

    def write(text: str, x: float, y: float, ends_there: bool) -> None:
        words.append((-2 * len(words) - 2 - ends_there, x, x, y, y, text))

    for row, (step, text) in enumerate(titles.items()):
        foot, tall = len(titles) - 1.0 - row, int(shares[row].argmax())
        cut = f"{shares[row][tall]:.0%}" if shares[row][tall] > tops[row] else ""
        before, after, beside = cut, "", tall
        if step == "relu":
            beside = BINS // 2 - 1
            before, after = f"{shares[row][beside]:.0%} are 0", "" if tall == beside else cut
        write(text, edges[0], foot + 1 - _LINE, False)
        write(f"{100 * tops[row]:.3g}%", edges[-1], foot + _ROW + _LINE, True)
        write(before, edges[beside] - gap, foot + _ROW - _LINE, True)
        write(after, edges[tall + 1] + gap, foot + _ROW - _LINE, False)
    return words


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
    bars = (
        alt.Chart()
        .mark_bar(color=color, clip=True, binSpacing=0)
        .encode(
            x=alt.X("left:Q", title=None, scale=x_scale, bin="binned"),
            x2="right:Q",
            y=alt.Y(
                "foot:Q",
                title=None,
                scale=alt.Scale(domain=(0, rows), nice=False),
                axis=alt.Axis(values=ends, labels=False),
            ),
            y2="height:Q",
            tooltip="words:N",
            key="id:Q",
        )
    )
    words = (
        alt.Chart()
        .transform_filter("datum.left === datum.right")
        .mark_text(
            tooltip=None,
            baseline="middle",
            align=alt.expr("datum.id % 2 ? 'right' : 'left'"),
        )
        .encode(x="left:Q", y="foot:Q", text="words:N", key="id:Q")
    )
    return alt.layer(bars, words).properties(height=40 + 120 * rows, title=title)


# ---- each channel's mean and standard deviation ----------------------------------------------


def spread(seen: Seen, unit: str) -> Chart:
    """Mean and one standard deviation either way of each channel, before (grey) and after.

    unit: "channel" or "unit".
    """
    pairs = {method: (steps["before"], steps["normalized"]) for method, steps in seen.items()}
    reach = max(_largest(np.abs(s.mean) + s.std) for pair in pairs.values() for s in pair)
    half = next((w for w in (2.0, 4.0, 8.0) if w >= reach), float(2 ** np.ceil(np.log2(reach))))
    panels, summary, tables = [], [], []
    for method, (before, after) in pairs.items():
        table = frame(
            {
                "method": title(method),
                "channel": np.arange(len(after.mean)),
                "before_mean": before.mean,
                "before_std": before.std,
                "mean": after.mean,
                "std": after.std,
            }
        )
        drawn = table.assign(
            low=after.mean - after.std,
            high=after.mean + after.std,
            before_low=before.mean - before.std,
            before_high=before.mean + before.std,
        )
        panels.append((_spread_spec(title(method), theme.color(method), unit, half), drawn))
        tables.append(table)
        summary.append(
            f"{title(method)}: the means of the {unit}s lay from {before.mean.min():.3g} to "
            f"{before.mean.max():.3g} and lie from {after.mean.min():.3g} to "
            f"{after.mean.max():.3g}; the standard deviations lay from {before.std.min():.3g} to "
            f"{before.std.max():.3g} and lie from {after.std.min():.3g} to {after.std.max():.3g}."
        )
    import pandas as pd

    return Chart(tuple(panels), " ".join(summary), pd.concat(tables, ignore_index=True))


@spec
def _spread_spec(title: str, color: str, unit: str, half: float) -> alt.TopLevelMixin:
    import altair as alt

    names = {"before_mean": "mean before", "before_std": "std before", "mean": "mean", "std": "std"}
    base = alt.Chart().encode(
        x=_place("channel", unit),
        tooltip=[
            alt.Tooltip("channel:Q", title=unit),
            *(alt.Tooltip(f"{f}:Q", title=text, format=".3~g") for f, text in names.items()),
        ],
    )

    def y(field: str) -> alt.Y:
        scale = alt.Scale(domain=(-half, half), nice=False)
        return alt.Y(f"{field}:Q", title=None, scale=scale)

    before = base.mark_rule(color=theme.NEUTRAL, opacity=0.55, strokeWidth=5, clip=True)
    after = base.mark_rule(color=color, strokeWidth=1.8, clip=True)
    mean = base.mark_point(color=color, filled=True, opacity=1, clip=True)
    return alt.layer(
        before.encode(y=y("before_low"), y2="before_high:Q"),
        after.encode(y=y("low"), y2="high:Q"),
        mean.encode(y=y("mean")),
    ).properties(height=250, title=title)


# ---- variances against epsilon ---------------------------------------------------------------


def variances(
    method: str, variances: np.ndarray, factors: np.ndarray, epsilon: float, unit: str
) -> Chart:
    """Each variance against epsilon on a log axis, and the factor by which the output shrinks.

    variances: (n,), those under the root; factors: (n,), what they leave of the spread.
    unit: what has one of them, "channel" or "example".
    """
    table = frame({unit: np.arange(len(variances)), "variance": variances, "factor": factors})
    below = variances < epsilon
    drawn = table.assign(
        place=table[unit],
        shown=variances.clip(LOWEST_VARIANCE),
        side=np.where(below, "below epsilon", "above epsilon"),
        epsilon=epsilon,
    )
    summary = (
        f"{title(method)}: {len(variances)} variances from {variances.min():.3g} to "
        f"{variances.max():.3g}; {below.sum()} below epsilon, {epsilon:g}. The shrink factor lies "
        f"from {factors.min():.3g} to {factors.max():.3g}."
    )
    top = float(10.0 ** np.ceil(np.log10(max(10.0, _largest(variances)))))
    color = theme.color(method)
    panels = (
        (_variances_spec(f"{title(method)}: variance of each {unit}", color, unit, top), drawn),
        (_factors_spec(color, unit), drawn),
    )
    return Chart(panels, summary, table)


@spec
def _variances_spec(title: str, color: str, unit: str, top: float) -> alt.TopLevelMixin:
    import altair as alt

    scale = alt.Scale(type="log", domain=(LOWEST_VARIANCE, top), nice=False)
    sides = alt.Scale(domain=["above epsilon", "below epsilon"], range=[1, 0])
    axis = alt.Axis(labelExpr="replace(format(datum.value, '.0e'), '+', '')", tickCount=6)
    points = (
        alt.Chart()
        .mark_point(color=color, size=60, strokeWidth=2, opacity=1, clip=True)
        .encode(
            x=_place("place", unit),
            y=alt.Y("shown:Q", title=None, scale=scale, axis=axis),
            fill=alt.value(color),
            fillOpacity=alt.FillOpacity("side:N", scale=sides, legend=None),
            tooltip=[
                alt.Tooltip("place:Q", title=unit),
                alt.Tooltip("variance:Q", format=".3~g"),
                alt.Tooltip("side:N", title="stands"),
            ],
        )
    )
    line = (
        alt.Chart().transform_aggregate(line="max(epsilon)").encode(y=alt.Y("line:Q", scale=scale))
    )
    name = line.mark_text(align="left", baseline="middle", dx=3, fontSize=17)
    return alt.layer(
        points,
        line.mark_rule(color=theme.NEUTRAL, strokeDash=[6, 4]),
        name.encode(x=alt.value("width"), text=alt.value("ε")),
    ).properties(height=240, title=title)


@spec
def _factors_spec(color: str, unit: str) -> alt.TopLevelMixin:
    import altair as alt

    return (
        alt.Chart()
        .mark_bar(color=color)
        .encode(
            x=_place("place", unit),
            y=alt.Y(
                "factor:Q",
                title=None,
                scale=alt.Scale(domain=(0, 1)),
                axis=alt.Axis(format="~g", tickCount=6),
            ),
            tooltip=[
                alt.Tooltip("place:Q", title=unit),
                alt.Tooltip("factor:Q", format=".4~g"),
                alt.Tooltip("variance:Q", format=".3~g"),
            ],
        )
        .properties(height=240, title="Shrink factor: the standard deviation that is left")
    )


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
