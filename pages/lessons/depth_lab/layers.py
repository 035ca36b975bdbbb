"""All layers of a deep network while it trains, as a map of layer and step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.components import charts, controls, page, theme, trainings
from pages.components.charts import Chart
from pages.lab import depth, words
from pages.lab.experiment import LIVE
from pages.lessons.depth_lab import common

if TYPE_CHECKING:
    import altair as alt

QUESTION = "At the end of a training: which layers get the smallest gradients?"
OPTIONS = page.valued(
    "small",
    {"first": "The first", "middle": "Those in the middle", "last": "The last"}
    | {"none": "None: all within ten times"},
)
# Measure -> its words, and the values that are drawn palest and darkest.
MEASURES = {
    "spread": ("root mean square of a layer's output", 1e-3, 10.0),
    "gradients": ("norm of the gradient of a layer's kernel", 1e-4, 10.0),
    "dead": ("share of units that are 0 for every image", 1e-3, 1.0),
    "histogram": ("share of the numbers that ReLU gets", 1e-4, 0.3),
}


def show() -> None:
    with page.control_box():
        columns = st.columns([1.2, 1.4, 1, 1, 0.9], vertical_alignment="bottom")
        method = controls.control("method", columns[0])
        measure = controls.control("measure", columns[1])
        layers = controls.control("depth", columns[2])
        layer = controls.get("layer")
        if measure == "histogram":
            layer = controls.control("layer", columns[3])
    layer = min(layer, layers)
    main = st.container(gap="xsmall")
    with page.control_box("more"), page.more_settings():
        page.control_grid(("sigma", "residual", "lr", "seed"))
    wanted = common.configs([method])
    found = common.ask(wanted, columns[-1])
    with main:
        if not found:
            with page.picture():
                st.markdown(
                    "Instance norm needs positions, which a dense layer has not."
                    if not wanted
                    else "Nothing on screen yet. Press **Train**, and the map grows here."
                )
                charts.get_ready()
            return
        one = found[method]

        def draw() -> None:
            recorded = one.run.recorded if one.run is not None else one.snapshot().recorded
            if not recorded.get("step"):
                with page.picture():
                    charts.get_ready()
                return
            told, low, high = MEASURES[measure]
            rows = depth.heat(recorded, measure, layer)
            of = f" of layer {layer}" if measure == "histogram" else ""
            charts.show(
                chart(rows, measure),
                f"{words.title(method)}, {words.count(layers, 'layer')} · colour: {told}{of}, from "
                f"{words.number(low)} (palest) to {words.number(high)} (darkest)",
                "layers",
                main=True,
            )
            trainings.progress(one)

        trainings.follow([one], draw, "layers_live")
        if one.run is not None and one.status not in LIVE and one.run.recorded.get("step"):
            small = depth.small_gradients(one.run.recorded["gradient_norms"][-1][:-1])
            page.answer(answer(one.run.recorded), small=small)


def chart(rows: dict[str, list], measure: str) -> Chart:
    _, low, high = MEASURES[measure]
    table = charts.frame(rows)
    shade = np.log(table["value"].clip(low, high) / low) / np.log(high / low)
    row = "What ReLU gets" if measure == "histogram" else "Layer"
    drawn = table.assign(shade=shade)
    last = table[table["step"] == table["step"].max()]["value"]
    summary = f"At the last step from {words.rounded(last.min())} to {words.rounded(last.max())}."
    return Chart(((_heat_spec(row, measure == "histogram"), drawn),), summary, table)


def answer(recorded: dict[str, list]) -> str:
    """What the first and the last look say of all layers."""
    first, last = (np.array(recorded["spread"][at]) for at in (0, -1))
    dead = np.array(recorded["dead"][-1])
    gradients = np.array(recorded["gradient_norms"][-1][:-1])
    return (
        f"From layer 1 to layer {len(last)} the spread goes from {words.rounded(first[0], 2)} to "
        f"{words.rounded(first[-1], 2)} at step {recorded['step'][0]}, and from "
        f"{words.rounded(last[0], 2)} to {words.rounded(last[-1], 2)} at step "
        f"{recorded['step'][-1]}. There the smallest gradient of a kernel is "
        f"{words.rounded(gradients.min(), 2)}, the largest {words.rounded(gradients.max(), 2)}; "
        f"{dead.mean():.0%} of all units are 0 for every image."
    )


@charts.spec
def _heat_spec(row: str, upwards: bool) -> alt.TopLevelMixin:
    import altair as alt

    opacity = alt.Scale(domain=[0, 1], range=[0.02, 1])
    order = "descending" if upwards else "ascending"
    return (
        alt.Chart()
        .mark_rect(color=theme.color("", 0))
        .encode(
            x=alt.X("step:O", title="Step", axis=alt.Axis(labelAngle=0, grid=False)),
            y=alt.Y("row:O", title=row, sort=order, axis=alt.Axis(grid=False, format="~g")),
            opacity=alt.Opacity("shade:Q", scale=opacity, legend=None),
            tooltip=[
                "step:Q",
                alt.Tooltip("row:Q", title=row),
                alt.Tooltip("value:Q", format=".3~g"),
            ],
        )
        .properties(height=theme.HEIGHT)
    )
