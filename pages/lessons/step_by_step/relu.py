"""What ReLU cuts off before normalizing, after it, and with gamma and beta."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pages.components import charts, controls, number_table, page, theme
from pages.components.charts import Chart
from pages.lab import words
from pages.lab.arithmetic import Steps, share_below_zero
from pages.lessons.step_by_step import parts, presets

if TYPE_CHECKING:
    import altair as alt

QUESTION = "ReLU sets negative numbers to 0. How much of the normalized table does it cut?"
OPTIONS = page.options_of("relu")
AXIS = (-9.0, 12.0)  # the sliders leave no z outside; an x outside stands at the end, in figures


def show() -> None:
    first, second, third, fourth = page.control_columns(1, 1, 1, 1)
    method = parts.method_control(first, ("batch", "layer", "rms"))
    presets.preset_control("x", second)
    controls.control("gamma", third, step=0.1)
    controls.control("beta", fourth, step=0.1, disabled=method == "rms")
    x = parts.stored_table()
    steps = parts.taken_apart(method, x)
    stages = {"x": steps.x, "x̂": steps.x_hat, parts.formula(method): steps.z}
    charts.show(relu_chart(stages), parts.caption(x, method), "relu", main=True)
    page.answer(answer(steps), cut=float((steps.z < 0).mean()))
    page.link("steps", label="Edit the table", state={"x": controls.get("x"), "method": method})
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
        return text + rms_answer(float(steps.gamma.flat[0]))
    gamma, beta = float(steps.gamma.flat[0]), float(steps.beta.flat[0])
    if not gamma:
        return f"{text}With γ = 0 every z is β = {words.rounded(beta)}."
    return text + (
        f"β/γ decides how much is cut, and both are learned: of a normal distribution with mean β "
        f"and standard deviation |γ| it would be "
        f"{words.percent(share_below_zero(gamma, beta), 0)}."
    )


def rms_answer(gamma: float) -> str:
    text = "RMS norm subtracts no mean and has no β"
    if gamma > 0:
        return f"{text}: with γ > 0 each number keeps its sign, and what was cut before is cut."
    if gamma < 0:
        return f"{text}: γ < 0 turns each sign, and what was not cut before is cut."
    return f"{text}; γ = 0 leaves nothing."


def relu_chart(stages: dict[str, np.ndarray]) -> Chart:
    """The numbers of each stage on one axis, each in a lane of its own."""
    cut = {stage: int((values < 0).sum()) for stage, values in stages.items()}
    drawn, listed = [], []
    for index, (stage, values) in enumerate(stages.items()):
        for lane, value in enumerate(values.ravel().tolist()):
            listed.append({"stage": stage, "value": value, "after ReLU": max(0.0, value)})
            at = float(np.clip(value, *AXIS))
            out = f"{number_table.cell_text(value)} {'→' if value > 0 else '←'}"
            drawn.append(
                listed[-1]
                | {"fate": "cut to 0" if value < 0 else "passes", "out": out * (at != value)}
                | {"x": at, "y": index + (lane + 1) / (values.size + 1), "middle": index + 0.5}
                | {"counted": "" if lane else f"{cut[stage]} of {values.size} cut"}
            )
    counts = ", ".join(f"{cut[stage]} of {stages[stage].size} {stage}" for stage in stages)
    panel = (_relu_spec(tuple(stages)), charts.frame(drawn))
    return Chart((panel,), f"Below zero, and cut by ReLU: {counts}.", charts.frame(listed))


@charts.spec
def _relu_spec(stages: tuple[str, ...]) -> alt.TopLevelMixin:
    import altair as alt

    fates, colors = ["cut to 0", "passes"], [theme.color("", 0), theme.color("", 1)]
    across = alt.X(
        "x:Q",
        title="Before ReLU; below 0 (shaded) it is cut to 0",
        scale=alt.Scale(domain=AXIS, nice=False),
    )
    down = alt.Scale(domain=(0, len(stages)), nice=False, reverse=True)
    named = " : ".join(f"datum.value == {i + 0.5} ? '{one}'" for i, one in enumerate(stages))
    axis = alt.Axis(
        values=[i + 0.5 for i in range(len(stages))], labelExpr=f"{named} : ''", grid=False
    )
    up = alt.Y("y:Q", title=None, scale=down, axis=axis)
    shade = alt.Chart().transform_aggregate(one="count()").mark_rect(opacity=0.12, color=colors[0])
    lines = alt.Chart().transform_aggregate(one="count()").mark_rule(color=theme.NEUTRAL)
    color = alt.Scale(domain=fates, range=colors)
    shape = alt.Scale(domain=fates, range=["cross", "circle"])
    points = (
        alt.Chart()
        .mark_point(filled=False, size=90, strokeWidth=3)
        .encode(
            x=across,
            y=up,
            color=alt.Color("fate:N", title=None, scale=color),
            shape=alt.Shape("fate:N", title=None, scale=shape),
            tooltip=["value:Q", "after ReLU:Q"],
        )
    )
    out = points.transform_filter("datum.out").mark_text(
        align=alt.expr("datum.value > 0 ? 'right' : 'left'"),
        dx=alt.expr("datum.value > 0 ? -10 : 10"),
    )
    counted = (
        alt.Chart()
        .transform_filter("datum.counted")
        .mark_text(align="left", x=8, fontWeight="bold", fontSize=15)
    )
    return alt.layer(
        shade.encode(x=alt.datum(AXIS[0]), x2=alt.datum(0)),
        lines.encode(x=alt.datum(0)),
        *(lines.encode(y=alt.datum(i)) for i in range(1, len(stages))),
        points,
        out.encode(x=across, y=up, text="out:N"),
        counted.encode(y=alt.Y("middle:Q", scale=down, axis=axis), text="counted:N"),
    ).properties(height=336)
