"""Pictures of the batch size lab: lines over a setting, clouds of logits, the learning-rate cliff.

Each function returns a `charts.Chart`. Series that are no methods bring colours of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normlib.config import METHODS
from pages.components import theme
from pages.components.charts import Chart, frame

if TYPE_CHECKING:
    from pages.components.charts import Rows


@dataclass(frozen=True)
class Series:
    """A line's name in the legend, its colour, dash and mark."""

    title: str
    color: str
    dash: tuple[int, ...]
    shape: str = "circle"


OWN = Series("The batch's own", theme.COLORS["batch"], (1, 0))
MOVING = Series("Moving", "#8456B8", (9, 3, 3, 3), "square")
RECOMPUTED = Series("Recomputed", "#B0457B", (3, 3), "triangle-up")
_LOG_TICKS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1)
_SHAPES = ("circle", "square", "triangle-up", "diamond")


def of_method(method: str, index: int = 0) -> Series:
    """A method as everywhere else in the lab."""
    dash = tuple(theme.dash(method, index))
    return Series(theme.title(method), theme.color(method, index), dash, _SHAPES[index % 4])


def lines(
    rows: Rows,
    series: Mapping[str, Series],
    x_title: str,
    y_title: str,
    *,
    log: bool,
    places: Sequence[float],
    summary: str,
    log_y: bool = False,
) -> Chart:
    """One line per series over a few values of a setting, with a band where low and high differ.

    rows: series (a key of `series`), x, y, low, high. log: the values stand where their logarithm
    puts them; otherwise side by side. log_y: the same for y. places: every value of the whole
    picture, also while it fills in.
    """
    data = frame(rows)
    shown = {key: one for key, one in series.items() if (data["series"] == key).any()}
    data = data.assign(title=[shown[key].title for key in data["series"]])
    x: dict[str, Any] = {"field": "x", "title": x_title}
    if log:
        x |= {
            "type": "quantitative",
            "scale": {
                "type": "log",
                "base": 2,
                "nice": False,
                "padding": 12,
                "domain": [min(places), max(places)],
            },
            "axis": {"values": list(places), "format": "~g", "grid": False},
        }
    else:
        axis = {"labelAngle": 0, "format": "~g"}
        x |= {"type": "ordinal", "scale": {"domain": list(places)}, "axis": axis}
    y = {
        "type": "quantitative",
        "title": y_title,
        "scale": {"zero": False, "nice": True},
        "axis": {"format": "~%", "tickCount": 6},
    }
    if log_y:
        ends = [max(0.9 * float(data["low"].min()), 1e-3), min(1.1 * float(data["high"].max()), 1)]
        y["scale"] = {"type": "log", "domain": ends, "nice": False}
        y["axis"] = {"format": "~%", "values": [v for v in _LOG_TICKS if ends[0] <= v <= ends[1]]}
    domain = [one.title for one in shown.values()]

    def scale(values: list[Any]) -> dict[str, Any]:
        return {
            "field": "title",
            "type": "nominal",
            "title": None,
            "scale": {"domain": domain, "range": values},
        }

    # The legend would take on the faintness of a band that shares its colour scale.
    bands = [
        {
            "transform": [{"filter": f"datum.series == '{key}'"}],
            "mark": {"type": "area", "opacity": 0.18, "color": one.color},
            "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
        }
        for key, one in shown.items()
        if (data.loc[data["series"] == key, "low"] < data.loc[data["series"] == key, "high"]).any()
    ]
    common = {
        "x": x,
        "y": y | {"field": "y"},
        "color": scale([one.color for one in shown.values()]),
    }
    drawn = [
        {
            "mark": {"type": "line"},
            "encoding": common | {"strokeDash": scale([list(one.dash) for one in shown.values()])},
        },
        {
            "mark": {"type": "point", "filled": True, "opacity": 1, "size": 70},
            "encoding": common
            | {
                # Another field than the legend's, which would draw marks instead of dashes.
                "shape": {
                    "field": "series",
                    "type": "nominal",
                    "legend": None,
                    "scale": {
                        "domain": list(shown),
                        "range": [one.shape for one in shown.values()],
                    },
                },
                "tooltip": [
                    {"field": "title", "title": "series"},
                    {"field": "x", "title": x_title, "type": "quantitative", "format": ",~g"},
                    *(
                        {"field": f, "title": t, "type": "quantitative", "format": ".2%"}
                        for f, t in (("y", y_title), ("low", "lowest"), ("high", "highest"))
                    ),
                ],
            },
        },
    ]
    spec = {"height": 320, "layer": [*bands, *drawn]}
    table = data.drop(columns="series").rename(
        columns={"title": "series", "x": x_title, "y": y_title}
    )
    return Chart(((spec, data),), summary, table[["series", *table.columns.drop("series")]])


def arrival(momenta: Sequence[float], chosen: float, steps: int) -> Chart:
    """How much of a moving average is not its start value any more, after each step.

    The chosen momentum in batch norm's colour, the others beside it in grey.
    """
    at = np.unique(np.geomspace(1, max(steps, 2), 120).round().astype(int))
    data = frame(
        {
            "momentum": np.repeat([f"{m:g}" for m in momenta], len(at)),
            "step": np.tile(at, len(momenta)),
            "share": np.concatenate([1 - m**at for m in momenta]),
        }
    )
    # A name stands where its line has come half the way: at the right end they would overlap.
    half = [min(int((at < _half_way(m)).sum()), len(at) - 1) for m in momenta]
    named = {f"{m:g}": at[index] for m, index in zip(momenta, half, strict=True)}
    label = [
        m if at == named[m] else "" for m, at in zip(data["momentum"], data["step"], strict=True)
    ]
    data = data.assign(label=label, late=data["step"] > steps / 4)
    ends = {m: 1 - m**steps for m in momenta}
    x = {
        "field": "step",
        "type": "quantitative",
        "title": "Step t",
        "scale": {"type": "log", "nice": False},
        "axis": {"format": "~s", "tickCount": 4},
    }
    y = {
        "field": "share",
        "type": "quantitative",
        "title": "1 − mᵗ",
        "scale": {"domain": [0, 1]},
        "axis": {"format": "~%", "tickCount": 5},
    }
    mine = f"datum.momentum == '{chosen:g}'"
    detail = {"field": "momentum", "type": "nominal"}
    tooltip = [
        {"field": "momentum"},
        {"field": "step", "type": "quantitative"},
        {"field": "share", "type": "quantitative", "format": ".2%"},
    ]
    line = {"x": x, "y": y, "detail": detail, "tooltip": tooltip}
    spec = {
        "height": 320,
        "layer": [
            {
                "transform": [{"filter": f"!({mine})"}],
                "mark": {"type": "line", "color": theme.NEUTRAL, "strokeDash": [4, 3]},
                "encoding": line,
            },
            {
                "transform": [{"filter": mine}],
                "mark": {"type": "line", "color": theme.COLORS["batch"], "strokeWidth": 4},
                "encoding": line,
            },
            *(
                {
                    "transform": [{"filter": f"datum.late == {late}"}],
                    "mark": {"type": "text", "align": align, "dx": dx, "fontWeight": 600},
                    "encoding": {"x": x, "y": y, "text": {"field": "label"}},
                }
                for late, align, dx in (("false", "left", 9), ("true", "right", -9))
            ),
        ],
    }
    words = ", ".join(f"momentum {m:g} {share:.1%}" for m, share in ends.items())
    return Chart(
        ((spec, data),), f"After {steps:,} steps: {words}.", data[["momentum", "step", "share"]]
    )


def _half_way(momentum: float) -> float:
    """The step after which half of the start value is left."""
    return (
        float(np.log(0.5) / np.log(momentum)) if 0 < momentum < 1 else 1.0 / (1.0 - momentum + 1e-9)
    )


def margins(rows: Rows, summary: str) -> Chart:
    """Where one image stands: the right class's logit minus the largest other, per method.

    rows: row (its title), method, batch, margin. A row of many margins is a cloud, one of equal
    margins a line.
    """
    data = frame(rows)
    titles = list(dict.fromkeys(data["row"]))
    chance = np.random.default_rng(0)
    data = data.assign(jitter=chance.uniform(-1, 1, len(data)).round(3))
    methods = list(dict.fromkeys(data["method"]))
    color = {
        "field": "method",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": methods, "range": [theme.color(one) for one in methods]},
    }
    x = {
        "field": "margin",
        "type": "quantitative",
        "title": "Right class's logit − largest other",
        "scale": {"padding": 12},
        "axis": {"tickCount": 7},
    }
    # Titles above their marks leave the whole width to the marks, also on a telephone.
    y = {"field": "row", "type": "nominal", "sort": titles, "title": None, "axis": None}
    sizes = data.groupby("row")["margin"].transform("size")
    data = data.assign(cloud=sizes > 1)
    tooltip = [
        {"field": "batch", "title": "batch"},
        {"field": "margin", "type": "quantitative", "format": ".2f"},
        {"field": "read", "title": "read as"},
    ]
    spec = {
        "height": 76 * len(titles),
        "layer": [
            {
                "transform": [{"aggregate": [{"op": "count", "as": "all"}]}],
                "mark": {"type": "rule", "color": theme.NEUTRAL},
                "encoding": {"x": {"datum": 0}},
            },
            {
                "transform": [{"filter": "datum.cloud"}],
                "mark": {"type": "point", "filled": True, "opacity": 0.45, "size": 40},
                "encoding": {
                    "x": x,
                    "y": y,
                    "yOffset": {
                        "field": "jitter",
                        "type": "quantitative",
                        "scale": {"domain": [-1.8, 3]},
                    },
                    "color": color,
                    "tooltip": tooltip,
                },
            },
            {
                "transform": [{"filter": "!datum.cloud"}],
                "mark": {"type": "tick", "thickness": 5, "size": 28, "yOffset": 6, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": color, "tooltip": tooltip},
            },
            {
                "transform": [{"aggregate": [{"op": "count", "as": "all"}], "groupby": ["row"]}],
                "mark": {"type": "text", "align": "left", "baseline": "top", "yOffset": -34},
                "encoding": {"x": {"value": 2}, "y": y, "text": {"field": "row"}},
            },
        ],
    }
    return Chart(((spec, data),), summary, data[["row", "batch", "margin", "read"]])


def logit_cloud(logits: np.ndarray, moving: np.ndarray, label: int, summary: str) -> Chart:
    """The ten logits of one image in each of many batches, and those of its moving statistics.

    logits: (B, 10); moving: (10,). The right class stands out by its colour.
    """
    batches, classes = logits.shape
    chance = np.random.default_rng(1)
    data = frame(
        {
            "class": np.tile(np.arange(classes), batches),
            "batch": np.repeat(np.arange(1, batches + 1), classes),
            "logit": logits.ravel(),
            "jitter": chance.uniform(-1, 1, logits.size).round(3),
            "moving": np.tile(moving, batches),
        }
    )
    data = data.assign(right=data["class"] == label)
    x = {"field": "class", "type": "ordinal", "title": "Class", "axis": {"labelAngle": 0}}
    y = {"type": "quantitative", "title": "Logit", "scale": {"zero": False, "padding": 8}}
    spec = {
        "height": 300,
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "point", "filled": True, "opacity": 0.4, "size": 22},
                "encoding": {
                    "y": y | {"field": "logit", "axis": {"tickCount": 6}},
                    "xOffset": {
                        "field": "jitter",
                        "type": "quantitative",
                        "scale": {"domain": [-1.5, 1.5]},
                    },
                    "color": {
                        "condition": {"test": "datum.right", "value": theme.COLORS["batch"]},
                        "value": theme.NEUTRAL,
                    },
                    "tooltip": [
                        {"field": "class"},
                        {"field": "batch"},
                        {"field": "logit", "type": "quantitative", "format": ".2f"},
                    ],
                },
            },
            {
                "transform": [
                    {
                        "aggregate": [{"op": "max", "field": "moving", "as": "line"}],
                        "groupby": ["class"],
                    }
                ],
                "mark": {
                    "type": "tick",
                    "orient": "horizontal",
                    "thickness": 4,
                    "width": 26,
                    "opacity": 1,
                },
                "encoding": {
                    "y": y | {"field": "line"},
                    "color": {"value": MOVING.color},
                    "tooltip": [
                        {"field": "class"},
                        {
                            "field": "line",
                            "title": "with moving statistics",
                            "type": "quantitative",
                            "format": ".2f",
                        },
                    ],
                },
            },
        ],
    }
    return Chart(((spec, data),), summary, data[["class", "batch", "logit", "moving"]])


def cliff(rows: Rows, rates: Sequence[float], methods: Sequence[str], summary: str) -> Chart:
    """Accuracy by learning rate and method as a shade and a number; a cross where one diverged.

    rows: method, rate, accuracy (0..1, the mean; None where every seed diverged), low, high,
    trainings, diverged. rates, methods: those of the whole picture, also while it fills in.
    """
    data = frame(rows)
    data = data.assign(
        title=[theme.title(one) for one in data["method"]],
        rate=[f"{one:g}" for one in data["rate"]],
        cell=[
            "✕" if none else f"{100 * right:.0f}" + (" ✕" if lost else "")
            for right, none, lost in zip(
                data["accuracy"], data["accuracy"].isna(), data["diverged"] > 0, strict=True
            )
        ],
    )
    x = {
        "field": "rate",
        "type": "ordinal",
        "scale": {"domain": [f"{rate:g}" for rate in rates]},
        "title": "Learning rate",
        "axis": {"labelAngle": 0, "grid": False},
    }
    titles = [METHODS[one].title for one in methods]
    y = {"field": "title", "type": "nominal", "title": None, "axis": None}
    y["scale"] = {"domain": titles}
    spec = {
        "height": {"step": 66},
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "mark": {
                    "type": "rect",
                    "color": theme.COLORS["batch"],
                    "height": 38,
                    "yOffset": 9,
                },
                "encoding": {
                    "opacity": {
                        "field": "accuracy",
                        "type": "quantitative",
                        "scale": {"domain": [0.1, 1], "range": [0.03, 0.6], "clamp": True},
                        "legend": None,
                    },
                    "tooltip": [
                        {"field": "title", "title": "method"},
                        {"field": "rate", "title": "learning rate"},
                        *(
                            {"field": f, "title": t, "type": "quantitative", "format": ".1%"}
                            for f, t in (
                                ("accuracy", "accuracy"),
                                ("low", "lowest seed"),
                                ("high", "highest seed"),
                            )
                        ),
                        {"field": "diverged", "title": "seeds that diverged"},
                        {"field": "trainings", "title": "seeds"},
                    ],
                },
            },
            {
                "mark": {"type": "text", "yOffset": 9},
                "encoding": {"text": {"field": "cell"}},
            },
            {
                "transform": [{"aggregate": [{"op": "count", "as": "all"}], "groupby": ["title"]}],
                "mark": {"type": "text", "align": "left", "fontWeight": 600, "yOffset": -21},
                "encoding": {"x": {"value": 2}, "text": {"field": "title"}},
            },
        ],
    }
    columns = ["title", "rate", "accuracy", "low", "high", "trainings", "diverged"]
    return Chart(((spec, data),), summary, data[columns].rename(columns={"title": "method"}))
