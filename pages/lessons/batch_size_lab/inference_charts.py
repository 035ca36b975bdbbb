"""Pictures of batch norm's statistics: what each kind reads correctly, how a moving one arrives.

Each function returns a `charts.Chart`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pages.components import charts, theme
from pages.components.charts import Chart, frame
from pages.lab import studies
from pages.lab.studies import Study
from pages.lessons.batch_size_lab.few_values import at_places

if TYPE_CHECKING:
    import altair as alt

ALONG = {"test": "Test batch size", "momentum": "Momentum", "batch": "Training batch size"}
KINDS = {"moving": "Moving", "own": "The batch's own", "recomputed": "Recomputed"}
MOMENTA = (0.5, 0.9, 0.99, 0.999)


def accuracies(along: str, found: Sequence[Study], recalibrated: bool) -> Chart:
    """The accuracy with each kind of statistics, along one of `ALONG`."""
    kinds = [kind for kind in KINDS if recalibrated or kind != "recomputed"]
    rows = [
        {"method": KINDS[kind], "x": x, "accuracy": right}
        for kind in kinds
        for x, right in studies.curve(found, kind, along).items()
    ]
    axes = ("x", "accuracy", ALONG[along], "Test accuracy")
    curves = charts.curves(rows, *axes, points=True, percent=True)
    return at_places(curves, list(studies.curve(found, "own", along)))


def arrival(chosen: float, steps: int) -> Chart:
    """How much of a moving average is not its start value any more, after each step.

    The chosen momentum in batch norm's colour, a few others beside it in grey.
    """
    momenta = sorted({*MOMENTA, chosen})
    if len(momenta) > len(MOMENTA):
        momenta.remove(0.5)
    at = np.unique(np.geomspace(1, max(steps, 2), 120).round().astype(int))
    data = frame(
        {
            "momentum": np.repeat([f"{m:g}" for m in momenta], len(at)),
            "step": np.tile(at, len(momenta)),
            "share": np.concatenate([studies.arrived(m, at) for m in momenta]),
        }
    )
    # A name stands where its line has come half the way: at the right end they would overlap.
    labels = []
    for momentum in momenta:
        half = min(int(np.sum(studies.arrived(momentum, at) < 0.5)), len(at) - 1)
        labels += [f"{momentum:g}" if place == half else "" for place in range(len(at))]
    drawn = data.assign(label=labels, late=data["step"] > steps / 4)
    ends = ", ".join(f"momentum {m:g} {studies.arrived(m, steps):.1%}" for m in momenta)
    spec = _arrival_spec(f"{chosen:g}")
    return Chart(((spec, drawn),), f"After {steps:,} steps: {ends}.", data)


@charts.spec
def _arrival_spec(chosen: str) -> alt.TopLevelMixin:
    import altair as alt

    base = alt.Chart().encode(
        x=alt.X(
            "step:Q",
            title="Step t",
            scale=alt.Scale(type="log", nice=False),
            axis=alt.Axis(format="~s", tickCount=4),
        ),
        y=alt.Y(
            "share:Q",
            title="1 − mᵗ",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="~%", tickCount=5),
        ),
    )
    curve = base.encode(
        detail="momentum:N",
        tooltip=["momentum:N", "step:Q", alt.Tooltip("share:Q", format=".2%")],
    )
    name = base.encode(text="label:N")
    return alt.layer(
        curve.transform_filter(alt.datum.momentum != chosen).mark_line(
            color=theme.NEUTRAL, strokeDash=[4, 3]
        ),
        curve.transform_filter(alt.datum.momentum == chosen).mark_line(
            color=theme.COLORS["batch"], strokeWidth=4
        ),
        name.transform_filter("!datum.late").mark_text(align="left", dx=9, fontWeight=600),
        name.transform_filter("datum.late").mark_text(align="right", dx=-9, fontWeight=600),
    ).properties(height=320)
