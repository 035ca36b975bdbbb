"""One colour and one dash per method, everywhere, and the sizes of type and lines.

The colours are Okabe and Ito's. Those too pale for a white page are darkened: each stands out
from both backgrounds by at least 3 to 1, and the dash tells the methods apart without colour.
"""

from __future__ import annotations

from typing import Any

COLORS: dict[str, str] = {
    "none": "#6B7280",
    "batch": "#0072B2",
    "weight": "#D55E00",
    "layer": "#009E73",
    "group": "#CC79A7",
    "instance": "#B27A00",
    "rms": "#8B8000",
    "tf_batch": "#3C97D0",
}
DASHES: dict[str, list[int]] = {
    "none": [2, 3],
    "batch": [1, 0],
    "weight": [6, 3],
    "layer": [12, 4],
    "group": [8, 3, 2, 3],
    "instance": [4, 2, 1, 2],
    "rms": [3, 2],
    "tf_batch": [2, 2],
}
# The markers of single values; thin ones lie on top, and what is beneath stays visible.
SHAPES: dict[str, str] = {
    "none": "cross",
    "batch": "circle",
    "weight": "square",
    "layer": "diamond",
    "group": "triangle-up",
    "instance": "triangle-down",
    "rms": "triangle-right",
    "tf_batch": "circle",
}
# Series that are no methods, in their order; none looks like one of the four methods above all.
SERIES: tuple[tuple[str, list[int]], ...] = (
    ("#8456B8", [1, 0]),
    ("#B27A00", [9, 3]),
    ("#CC79A7", [2, 2]),
    ("#3C97D0", [6, 2, 2, 2]),
    ("#8B8000", [9, 3, 3, 3]),
)
SERIES_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down")
CONSTANT_KERNEL = "Constant kernel"
NEUTRAL = "#7A8594"  # lines that belong to no method


def color(series: str, position: int = 0) -> str:
    """The colour of a method; that of the series at this position where it is none."""
    return COLORS.get(series) or SERIES[position % len(SERIES)][0]


def dash(series: str, position: int = 0) -> list[int]:
    """The dash of a method; that of the series at this position where it is none."""
    return DASHES.get(series) or SERIES[position % len(SERIES)][1]


def shape(series: str, position: int = 0) -> str:
    """The marker of a method; that of the series at this position where it is none."""
    return SHAPES.get(series) or SERIES_SHAPES[position % len(SERIES_SHAPES)]


def config(presenting: bool) -> dict[str, Any]:
    """The Vega-Lite config of every chart."""
    text, line = (20, 4.5) if presenting else (13, 2.5)
    ink = "currentColor"  # in a drawing, the colour of the page's text, in light and in dark
    return {
        # A chart has one description for those who cannot see it; one for each bar takes as long
        # as drawing it.
        "aria": False,
        "axis": {
            "labelFontSize": text,
            "labelColor": ink,
            "titleFontSize": text,
            "titleColor": ink,
            "titleFontWeight": "normal",
            "labelOverlap": True,
            "grid": True,
            "gridOpacity": 0.5,
            "domain": False,
            "ticks": False,
        },
        "legend": {
            "labelColor": ink,
            "labelFontSize": text,
            "titleFontSize": text,
            "symbolStrokeWidth": line,
            "symbolSize": 400,
            "symbolType": "stroke",
            "orient": "top",
            "columns": 2,
            "title": None,
            "labelLimit": 400,
            "columnPadding": 20,
        },
        "title": {"color": ink, "fontSize": text + 2, "anchor": "start", "fontWeight": 600},
        "header": {"labelFontSize": text, "titleFontSize": text},
        "line": {"strokeWidth": line, "strokeCap": "butt"},
        "rule": {"strokeWidth": line / 1.5},
        "text": {"fontSize": text, "color": ink},
        "point": {"size": 60 if presenting else 36},
        "view": {"stroke": None},
        "font": "Source Sans, sans-serif",
        "concat": {"spacing": 8},
    }
