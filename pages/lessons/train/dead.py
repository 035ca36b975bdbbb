"""Which share of the units is 0 for every image that the network is probed with."""

from __future__ import annotations

from normlib.run import Run
from pages.components import charts, controls
from pages.lab import results
from pages.lessons.train import peers


def show(run: Run) -> None:
    controls.control("stage")
    rows = results.dead_units(peers.runs(run), controls.get("stage"))
    charts.show(
        charts.curves(rows, "step", "share", "Step", "Dead units", percent=True, y_range=(0, 1)),
        "Units that are 0 for each of 128 validation images.",
        "dead",
    )
    peers.offer(run)
