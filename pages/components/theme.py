"""One colour and one dash per method, everywhere, and the sizes of type and lines.

The colours are Okabe and Ito's. Those too pale for a white page are darkened: each stands out
from both backgrounds by at least 3 to 1, and the dash tells the methods apart without colour.
"""

from __future__ import annotations

from typing import Any

# Method -> colour, dash, marker. Markers that are thin lie on top: what is beneath stays visible.
Style = tuple[str, list[int], str]
_STYLES: dict[str, Style] = {
    "none": ("#6B7280", [2, 3], "cross"),
    "batch": ("#0072B2", [1, 0], "circle"),
    "weight": ("#D55E00", [6, 3], "square"),
    "layer": ("#009E73", [12, 4], "diamond"),
    "group": ("#CC79A7", [8, 3, 2, 3], "triangle-up"),
    "instance": ("#B27A00", [4, 2, 1, 2], "triangle-down"),
    "rms": ("#8B8000", [3, 2], "triangle-right"),
    "tf_batch": ("#3C97D0", [2, 2], "circle"),
}
# Series that are no methods, in their order; none looks like one of the four methods above all.
SERIES: tuple[Style, ...] = (
    ("#8456B8", [1, 0], "circle"),
    ("#B27A00", [9, 3], "square"),
    ("#CC79A7", [2, 2], "triangle-up"),
    ("#3C97D0", [6, 2, 2, 2], "diamond"),
    ("#8B8000", [9, 3, 3, 3], "triangle-down"),
)
COLORS = {method: color for method, (color, _, _) in _STYLES.items()}
DASHES = {method: dash for method, (_, dash, _) in _STYLES.items()}
CONSTANT_KERNEL = "Constant kernel"
HEIGHT = 340  # of the main picture of a view, in pixels
NEUTRAL = "#7A8594"  # lines that belong to no method


def _style(series: str, position: int) -> Style:
    return _STYLES.get(series) or SERIES[position % len(SERIES)]


def color(series: str, position: int = 0) -> str:
    """The colour of a method; that of the series at this position where it is none."""
    return _style(series, position)[0]


def dash(series: str, position: int = 0) -> list[int]:
    """The dash of a method; that of the series at this position where it is none."""
    return _style(series, position)[1]


def shape(series: str, position: int = 0) -> str:
    """The marker of a method; that of the series at this position where it is none."""
    return _style(series, position)[2]


def config() -> dict[str, Any]:
    """The Vega-Lite config of every chart."""
    text, line = 13, 2.5
    ink = "currentColor"  # in a drawing, the colour of the page's text, in light and in dark
    return {
        # A chart has one description for those who cannot see it; one for each bar takes as long
        # as drawing it.
        "aria": False,
        "mark": {"aria": False},
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
        "point": {"size": 36},
        "view": {"stroke": None},
        "font": "Source Sans, sans-serif",
        "concat": {"spacing": 8},
    }
