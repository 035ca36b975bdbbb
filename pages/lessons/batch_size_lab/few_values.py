"""Curves over a few values of a setting, each with its own mark on the x axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pages.components.charts import Chart


def at_places(chart: Chart, places: Sequence[float]) -> Chart:
    """Curves whose x axis has these values: a logarithm apart, or side by side where one is 0."""
    x: dict[str, Any]
    if min(places) > 0:
        scale = {"type": "log", "base": 2, "nice": False, "padding": 12}
        x = {"scale": scale | {"domain": [min(places), max(places)]}}
        x["axis"] = {"values": list(places), "format": "~g", "grid": False}
    else:
        x = {"type": "ordinal", "scale": {"domain": list(places)}}
        x["axis"] = {"labelAngle": 0, "format": "~g"}
    ((spec, data),) = chart.panels
    layers = []
    for layer in spec["layer"]:
        encoding = layer["encoding"]
        layers.append(layer | {"encoding": encoding | {"x": encoding["x"] | x}})
    return replace(chart, panels=((spec | {"layer": layers}, data),))
