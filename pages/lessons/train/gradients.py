"""How long the loss's gradient is in each layer's kernel while the network learns."""

from __future__ import annotations

from normlib.run import Run
from pages.components import charts
from pages.lab import results


def show(run: Run) -> None:
    rows = results.gradient_norms(run)
    charts.show(
        charts.curves(rows, "step", "norm", "Step", "Gradient norm", log=True),
        "Length of the loss's gradient in each kernel.",
        "gradients",
    )
