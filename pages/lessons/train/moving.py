"""The moving statistics of batch norm beside those of a batch: how near they come."""

from __future__ import annotations

import streamlit as st

from normlib.run import Run
from pages.components import charts, controls
from pages.lab import results, words


def show(run: Run) -> None:
    if "moving_mean" not in run.recorded:
        st.caption("Only batch norm keeps moving statistics.")
        return
    used = results.used_statistics(run.config)
    if not used:
        st.caption("Neither centered nor scaled: this batch norm uses no statistics.")
        return
    controls.control("channel")
    channel = controls.get("channel")
    for column, statistic in zip(st.columns(2), used, strict=False):
        with column:
            rows = results.moving_statistics(run, statistic, channel)
            charts.show(
                charts.curves(rows, "step", "value", "Step", statistic.capitalize()),
                f"Channel {channel}, on 128 validation images.",
                f"moving_{statistic.replace(' ', '_')}",
            )
    if "mean" in used:
        st.markdown(convergence(run))
    else:
        st.markdown("The mean stays in, so batch norm divides by the root of the mean square.")


def convergence(run: Run) -> str:
    """How near the moving means have come, in sentences."""
    first, last = results.moving_distance(run)
    momentum, steps = run.config.momentum, len(run.losses)
    kept = momentum**steps
    share = words.percent(kept, 2) if kept >= 1e-4 else "less than 0.01%"
    return (
        f"The moving means are {last:.2f} standard deviations from those of the probe images, "
        f"after {first:.2f} at the first look. With momentum {momentum:g}, {share} of the start "
        f"value is left after {words.count(steps, 'step')}."
    )
