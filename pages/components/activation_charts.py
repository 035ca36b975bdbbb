"""Pictures of one batch's activations: the spread of each channel, and what epsilon does to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pages.components import charts, theme
from pages.components.charts import Chart, frame

if TYPE_CHECKING:
    from pages.components.activations import Seen
    from pages.components.charts import Rows

BINS = 64
OUTSIDE = 0.02  # of the values, at most, lie beyond the ends of the histograms' axis
NARROWEST = 4.0  # the histograms' axis never shows less than this on each side of zero
LOWEST_VARIANCE = 1e-9  # a log axis has no zero: what is smaller is drawn here


def histograms(seen: Sequence[Seen], titles: Mapping[str, str]) -> Chart:
    """The values at each step of each method, all on one axis. titles: step -> its title."""
    half = max([NARROWEST, *(s.half_width(OUTSIDE) for one in seen for s in one.steps.values())])
    edges = np.linspace(-half, half, BINS + 1)
    parts = [
        (one.method, step, summary.histogram(half, BINS) / summary.values)
        for one in seen
        for step, summary in one.steps.items()
    ]
    rows = {
        "method": np.repeat([method for method, _, _ in parts], BINS),
        "stage": np.repeat([step for _, step, _ in parts], BINS),
        "left": np.tile(edges[:-1], len(parts)),
        "right": np.tile(edges[1:], len(parts)),
        "share": np.concatenate([shares for _, _, shares in parts]),
    }
    return charts.histograms(rows, titles, (-half, half))


def channels(seen: Sequence[Seen], unit: str) -> Chart:
    """Mean and spread of each channel, before and after normalization."""
    rows = {
        name: np.concatenate(parts)
        for name, parts in {
            "method": [[one.method] * len(one.before.mean) for one in seen],
            "channel": [np.arange(len(one.before.mean)) for one in seen],
            "before_mean": [one.before.mean for one in seen],
            "before_std": [one.before.std for one in seen],
            "mean": [one.normalized.mean for one in seen],
            "std": [one.normalized.std for one in seen],
        }.items()
    }
    reach = max(
        float(np.abs(sign * s.mean + s.std).max())
        for one in seen
        for s in (one.before, one.normalized)
        for sign in (-1, 1)
    )
    half = next((w for w in (2.0, 4.0, 8.0) if w >= reach), float(2 ** np.ceil(np.log2(reach))))
    return before_and_after(rows, unit, (-half, half))


def before_and_after(rows: Rows, unit: str, y_range: tuple[float, float]) -> Chart:
    """Mean and one standard deviation either way, before (grey) and after; one column per method.

    rows: method, channel, before_mean, before_std, mean, std. unit: "channel" or "unit".
    """
    data = frame(rows)
    panels, summary = [], []
    for method in dict.fromkeys(data["method"]):
        own = data[data["method"] == method]
        drawn = own.assign(
            low=own["mean"] - own["std"],
            high=own["mean"] + own["std"],
            before_low=own["before_mean"] - own["before_std"],
            before_high=own["before_mean"] + own["before_std"],
        )
        panels.append((_spread(method, unit, y_range), drawn))
        summary.append(
            f"{theme.title(method)}: the means of the {unit}s lay from "
            f"{own['before_mean'].min():.3g} to {own['before_mean'].max():.3g} and lie from "
            f"{own['mean'].min():.3g} to {own['mean'].max():.3g}; the standard deviations lay from "
            f"{own['before_std'].min():.3g} to {own['before_std'].max():.3g} and lie from "
            f"{own['std'].min():.3g} to {own['std'].max():.3g}."
        )
    return Chart(tuple(panels), " ".join(summary), data)


def microscope(
    method: str, variances: np.ndarray, factors: np.ndarray, epsilon: float, unit: str
) -> Chart:
    """Each variance against epsilon on a log axis, and the factor by which the output shrinks.

    variances: (n,), those under the root; factors: (n,), what they leave of the spread.
    unit: what has one of them, "channel" or "example".
    """
    data = frame(
        {
            unit: np.arange(len(variances)),
            "variance": variances,
            "factor": factors,
        }
    )
    drawn = data.assign(
        place=data[unit],
        shown=data["variance"].clip(lower=LOWEST_VARIANCE),
        side=np.where(data["variance"] >= epsilon, "above epsilon", "below epsilon"),
        epsilon=epsilon,
    )
    below = int((variances < epsilon).sum())
    summary = (
        f"{theme.title(method)}: {len(variances)} variances from {variances.min():.3g} to "
        f"{variances.max():.3g}; {below} below epsilon, {epsilon:g}. The shrink factor lies from "
        f"{data['factor'].min():.3g} to {data['factor'].max():.3g}."
    )
    top = 10.0 ** np.ceil(np.log10(max(10.0, float(variances.max(initial=1.0)))))
    panels = (
        (_variances(method, unit, (LOWEST_VARIANCE, float(top))), drawn),
        (_factors(method, unit), drawn),
    )
    return Chart(panels, summary, data)


def _spread(method: str, unit: str, y_range: tuple[float, float]) -> dict[str, Any]:
    def y(field: str) -> dict[str, Any]:
        return {
            "field": field,
            "type": "quantitative",
            "title": None,
            "scale": {"domain": y_range, "nice": False},
        }

    def layer(mark: dict[str, Any], low: str, high: str = "") -> dict[str, Any]:
        ends = {"y": y(low)} | ({"y2": {"field": high}} if high else {})
        return {"mark": {"clip": True, **mark}, "encoding": ends}

    color = theme.color(method)
    names = {"before_mean": "mean before", "before_std": "std before", "mean": "mean", "std": "std"}
    return {
        "title": theme.title(method),
        "height": 250,
        "encoding": {
            "x": _place("channel", unit),
            "tooltip": [
                {"field": "channel", "title": unit},
                *(
                    {"field": f, "title": t, "type": "quantitative", "format": ".3~g"}
                    for f, t in names.items()
                ),
            ],
        },
        "layer": [
            layer(
                {"type": "rule", "color": theme.NEUTRAL, "opacity": 0.55, "strokeWidth": 5},
                *("before_low", "before_high"),
            ),
            layer({"type": "rule", "color": color, "strokeWidth": 1.8}, "low", "high"),
            layer({"type": "point", "color": color, "filled": True, "opacity": 1}, "mean"),
        ],
    }


def _variances(method: str, unit: str, domain: tuple[float, float]) -> dict[str, Any]:
    color = theme.color(method)
    y = {"type": "quantitative", "scale": {"type": "log", "domain": domain, "nice": False}}
    label = "replace(format(datum.value, '.0e'), '+', '')"
    axis = {"labelExpr": label, "tickCount": 6}
    return {
        "title": f"{theme.title(method)}: variance of each {unit}",
        "height": 240,
        "layer": [
            {
                "mark": {
                    "type": "point",
                    "color": color,
                    "size": 60,
                    "strokeWidth": 2,
                    "opacity": 1,
                    "clip": True,
                },
                "encoding": {
                    "x": _place("place", unit),
                    "y": {"field": "shown", "title": None, "axis": axis, **y},
                    "fillOpacity": {
                        "field": "side",
                        "scale": {"domain": ["above epsilon", "below epsilon"], "range": [1, 0]},
                        "legend": None,
                    },
                    "fill": {"value": color},
                    "tooltip": [
                        {"field": "place", "title": unit},
                        {"field": "variance", "type": "quantitative", "format": ".3~g"},
                        {"field": "side", "title": "stands"},
                    ],
                },
            },
            {
                "transform": [{"aggregate": [{"op": "max", "field": "epsilon", "as": "line"}]}],
                "mark": {"type": "rule", "color": theme.NEUTRAL, "strokeDash": [6, 4]},
                "encoding": {"y": {"field": "line", **y}},
            },
            {
                "transform": [{"aggregate": [{"op": "max", "field": "epsilon", "as": "line"}]}],
                "mark": {
                    "type": "text",
                    "align": "left",
                    "baseline": "middle",
                    "dx": 3,
                    "fontSize": 17,
                },
                "encoding": {
                    "x": {"value": "width"},
                    "y": {"field": "line", **y},
                    "text": {"value": "ε"},
                },
            },
        ],
    }


def _factors(method: str, unit: str) -> dict[str, Any]:
    color = theme.color(method)
    y = {"field": "factor", "type": "quantitative", "title": None}
    return {
        "title": "Shrink factor: the spread that is left",
        "height": 240,
        "mark": {"type": "bar", "color": color},
        "encoding": {
            "x": _place("place", unit),
            "y": {**y, "scale": {"domain": [0, 1]}, "axis": {"format": "~g", "tickCount": 5}},
            "tooltip": [
                {"field": "place", "title": unit},
                {"field": "factor", "type": "quantitative", "format": ".4~g"},
                {"field": "variance", "type": "quantitative", "format": ".3~g"},
            ],
        },
    }


def _place(field: str, unit: str) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "title": unit.capitalize(),
        "scale": {"nice": False, "padding": 8},
        "axis": {"tickMinStep": 1, "grid": False, "format": "d"},
    }
