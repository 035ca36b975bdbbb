"""What ReLU cuts off before normalizing, after it, and with gamma and beta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from pages.components import charts, controls, page, theme
from pages.components.charts import Chart
from pages.lab import words
from pages.lab.arithmetic import Steps, share_below_zero
from pages.lessons.step_by_step import parts

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

QUESTION = (
    "ReLU turns every negative number into 0. "
    "How many of these numbers does it cut before, and how many after normalizing?"
)


def show() -> None:
    first, second, third = page.control_columns(1, 1, 1)
    method = parts.method_control(first, ("batch", "layer", "rms"))
    gamma = controls.control("gamma", second, step=0.1)
    beta = controls.control("beta", third, step=0.1, disabled=method == "rms")
    x = parts.stored_table()
    steps = parts.taken_apart(method, x, gamma, beta, parts.chosen_row(x))
    stages = {"x": steps.x, "x̂": steps.x_hat, parts.formula(method): steps.z}
    charts.show(relu_chart(stages), parts.caption(x, method), "relu")
    page.answer(answer(steps))
    with st.expander("The numbers come from this table", icon=":material/table:"):
        parts.edit_table()
    parts.show_code(method)


def answer(steps: Steps) -> str:
    cut = [int((values < 0).sum()) for values in (steps.x, steps.x_hat, steps.z)]
    text = (
        f"ReLU cuts {cut[0]} of the {steps.x.size} numbers x, {cut[1]} of the normalized x̂ "
        f"and {cut[2]} of the z. "
    )
    dead = [f"feature {number + 1}" for number in np.flatnonzero((steps.z <= 0).all(axis=0))]
    if dead:
        be = "is" if len(dead) == 1 else "are"
        text += f"After ReLU {words.listed(dead)} {be} 0 for every example. "
    if steps.method == "rms":
        return text + rms_answer(steps.gamma)
    gamma, beta = float(steps.gamma.flat[0]), float(steps.beta.flat[0])
    if gamma and np.ptp(steps.gamma) == 0 == np.ptp(steps.beta):
        text += (
            f"Of a bell curve with mean β = {words.rounded(beta)} and standard deviation |γ| = "
            f"{words.rounded(abs(gamma))}, it would cut "
            f"{words.percent(share_below_zero(gamma, beta), 0)}. "
        )
    return text + "β/γ decides how much is cut, and both are learned."


def rms_answer(gamma: np.ndarray) -> str:
    text = "RMS norm subtracts no mean and has no β"
    if (gamma > 0).all():
        return f"{text}: with γ > 0 each number keeps its sign, and what was cut before is cut."
    if (gamma < 0).all():
        return f"{text}: γ < 0 turns each sign, and what was not cut before is cut."
    return f"{text}; γ = 0 leaves nothing."


def relu_chart(stages: dict[str, np.ndarray]) -> Chart:
    """The numbers of each stage on the curve of ReLU."""
    cut = {stage: int((values < 0).sum()) for stage, values in stages.items()}
    panels = tuple(
        panel(f"{stage}: {cut[stage]} of {values.size} cut", values.ravel())
        for stage, values in stages.items()
    )
    listed = [
        {"stage": stage, "value": float(value), "after ReLU": max(0.0, float(value))}
        for stage, values in stages.items()
        for value in values.ravel()
    ]
    counts = ", ".join(f"{cut[stage]} of {stages[stage].size} {stage}" for stage in stages)
    return Chart(panels, f"Below zero, and cut by ReLU: {counts}.", charts.frame(listed))


def panel(title: str, values: np.ndarray) -> tuple[dict[str, Any], pd.DataFrame]:
    """Crosses where numbers are cut, dots where they pass."""
    low, high = (charts.round_up(1.1 * max(0.0, end)) for end in (-values.min(), values.max()))
    high, low = max(high, low / 4), max(low, high / 4)
    data = {
        "value": values,
        "after": np.maximum(values, 0),
        "fate": np.where(values < 0, "cut to 0", "passes"),
    }
    return _relu_spec(title, low, high), charts.frame(data)


@charts.spec
def _relu_spec(title: str, low: float, high: float) -> alt.TopLevelMixin:
    import altair as alt

    ends = (((-low, 0.0), (0.0, 0.0)), ((0.0, 0.0), (high, high)))
    curve = [
        alt.Chart()
        .transform_aggregate(one="count()")
        .mark_rule(color=theme.NEUTRAL, strokeWidth=2)
        .encode(x=alt.datum(x), y=alt.datum(y), x2=alt.datum(x2), y2=alt.datum(y2))
        for (x, y), (x2, y2) in ends
    ]
    fates, colors = ["cut to 0", "passes"], [theme.COLORS["weight"], theme.COLORS["batch"]]
    across = alt.Scale(domain=(-low, high), nice=False)
    up = alt.Scale(domain=(-high / 12, high), nice=False)
    points = (
        alt.Chart()
        .mark_point(filled=False, size=130, strokeWidth=3, opacity=0.85)
        .encode(
            x=alt.X("value:Q", title="before ReLU", scale=across),
            y=alt.Y("after:Q", title="after", scale=up),
            color=alt.Color("fate:N", title=None, scale=alt.Scale(domain=fates, range=colors)),
            shape=alt.Shape(
                "fate:N", title=None, scale=alt.Scale(domain=fates, range=["cross", "circle"])
            ),
            tooltip=[
                alt.Tooltip("value:Q", title="before", format=".4~g"),
                alt.Tooltip("after:Q", format=".4~g"),
            ],
        )
    )
    return alt.layer(*curve, points).properties(height=260, title=title)
