"""The picture of a moving average that leaves its start value behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pages.components import charts, theme
from pages.components.charts import Chart, frame
from pages.lab import studies

if TYPE_CHECKING:
    import altair as alt

MOMENTA = (0.5, 0.9, 0.99, 0.999)


def arrival(chosen: float, steps: int) -> Chart:
    """How much of a moving average is not its start value any more, after each step.

    The chosen momentum in batch norm's colour, a few others beside it in grey.
    """
    import pandas as pd

    momenta = sorted({*MOMENTA, chosen})
    if len(momenta) > len(MOMENTA):
        momenta.remove(0.5)
    at = np.unique(np.geomspace(1, max(steps, 2), 120).round().astype(int))
    lines = []
    for momentum in momenta:
        share = studies.arrived(momentum, at)
        # A name stands where its line has come half the way: at the right end they would overlap.
        half = min(int(np.sum(share < 0.5)), len(at) - 1)
        line = frame({"step": at, "late": at > steps / 4}).assign(share=share)
        lines.append(line.assign(momentum=f"{momentum:g}", named=line.index == half))
    drawn = pd.concat(lines, ignore_index=True)
    ends = ", ".join(f"momentum {m:g} {studies.arrived(m, steps):.1%}" for m in momenta)
    panel = _arrival_spec(tuple(f"{m:g}" for m in momenta), f"{chosen:g}"), drawn
    return Chart((panel,), f"After {steps:,} steps: {ends}.", drawn[["momentum", "step", "share"]])


@charts.spec
def _arrival_spec(momenta: tuple[str, ...], chosen: str) -> alt.TopLevelMixin:
    import altair as alt

    def scale(of_chosen: Any, of_others: Any) -> alt.Scale:
        looks = [of_chosen if momentum == chosen else of_others for momentum in momenta]
        return alt.Scale(domain=momenta, range=looks)

    step = alt.Scale(type="log", nice=False)
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="Step t", scale=step, axis=alt.Axis(format="~s", tickCount=4)),
        y=alt.Y("share:Q", title="1 − mᵗ", axis=alt.Axis(format="~%", tickCount=5)),
    )
    color = scale(theme.COLORS["batch"], theme.NEUTRAL)
    line = base.mark_line().encode(
        color=alt.Color("momentum:N", scale=color, legend=None),
        strokeDash=alt.StrokeDash("momentum:N", scale=scale([1, 0], [4, 3]), legend=None),
        tooltip=["momentum:N", "step:Q", alt.Tooltip("share:Q", format=".2%")],
    )
    name = base.transform_filter("datum.named").encode(text="momentum:N")
    return alt.layer(
        line,
        name.transform_filter("!datum.late").mark_text(align="left", dx=9, fontWeight=600),
        name.transform_filter("datum.late").mark_text(align="right", dx=-9, fontWeight=600),
    ).properties(height=320)
