"""How long the loss's gradient is in each layer's kernel, and how far it moves the kernel."""

from __future__ import annotations

import streamlit as st

from normlib.run import Run
from pages.components import charts, controls
from pages.lab import results

SHOWN = {
    "updates": ("Relative update, ‖Δw‖ / ‖w‖", "How far one step moves each kernel."),
    "gradient_norms": ("Gradient norm", "Length of the loss's gradient in each kernel."),
    "kernel_lengths": ("Length of the kernel, ‖w‖", "Length of each kernel before the step."),
}


def show(run: Run) -> None:
    name = controls.control("kernels")
    title, caption = SHOWN[name]
    rows = results.by_layer(run, name)
    if not len(rows):
        st.markdown("These numbers were not kept of this run. Train it here, and they are.")
        return
    charts.show(
        charts.curves(rows, "step", "value", "Step", title, log=True, points=True),
        caption,
        "gradients",
    )
