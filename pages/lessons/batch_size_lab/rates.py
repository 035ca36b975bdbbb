"""Turn the learning rate up until the training breaks, with each method."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import charts, live_sweep, page, server, theme
from pages.components.charts import Chart, frame
from pages.lab import sweeps, words
from pages.lab.sweeps import Outcomes, Row, Sweep
from pages.lessons.batch_size_lab.rates_answer import answer

if TYPE_CHECKING:
    import altair as alt

WAITS = True
QUESTION = (
    "Turn the learning rate up until the training breaks. Does normalization move that cliff, or "
    "does it change what can be reached before it?"
)


def show() -> None:
    with page.control_box():
        methods = page.methods_control()
        placement, _ = page.control_row("placement", "seeds", seeds="Seeds when run here")
    server.wait_for_tensorflow()
    if not methods:
        return
    base = replace(sweeps.SMALL, placement=placement)
    plan = Sweep("learning_rate", sweeps.RATES, methods, sweeps.PLANS["rates"].seeds, base)
    live_sweep.show(plan, "cliff", _draw)


def _draw(plan: Sweep, outcomes: Outcomes, images: int) -> None:
    picture = sweeps.rows(plan, outcomes)
    if not picture:
        st.caption("Nothing has come yet.")
        return
    text = answer(plan, picture)
    size, count = plan.base.batch_size, max(row.done for row in picture)
    steps = max(sweeps.updates(plan, images).values())
    charts.show(
        cliff(plan, picture, text.replace("**", "")),
        f"Test accuracy in % after {steps} steps, mean of {words.count(count, 'seed')}; ✕: a seed "
        f"diverged · batch size {size} · {min(plan.base.train_size, images):,} images.",
        "cliff",
    )
    if live_sweep.complete(plan, picture):
        page.answer(text)


def cliff(plan: Sweep, picture: list[Row], summary: str) -> Chart:
    """Accuracy by learning rate and method as a shade and a number; a cross where one diverged."""
    table = frame(
        [
            {"method": words.title(row.method), "learning rate": f"{row.value:g}"}
            | {"accuracy": row.mean, "lowest seed": row.low, "highest seed": row.high}
            | {"seeds": row.done, "diverged": row.diverged}
            for row in picture
        ]
    )
    cells = [f"{100 * row.mean:.0f}" * row.learned + " ✕" * (row.diverged > 0) for row in picture]
    drawn = table.assign(cell=[cell.strip() for cell in cells])
    rates = tuple(f"{rate:g}" for rate in plan.values)
    spec = _cliff_spec(rates, tuple(map(words.title, plan.methods)))
    return Chart(((spec, drawn),), summary, table)


@charts.spec
def _cliff_spec(rates: tuple[str, ...], methods: tuple[str, ...]) -> alt.TopLevelMixin:
    import altair as alt

    shares = ("accuracy", "lowest seed", "highest seed")
    opacity = alt.Scale(domain=[0.1, 1], range=[0.03, 0.6], clamp=True)
    axis = alt.Axis(labelAngle=0, grid=False)
    base = alt.Chart().encode(
        x=alt.X("learning rate:O", title="Learning rate", scale=alt.Scale(domain=rates), axis=axis),
        y=alt.Y("method:N", title=None, axis=None, scale=alt.Scale(domain=methods)),
    )
    shades = base.mark_rect(color=theme.COLORS["batch"], height=38, yOffset=9).encode(
        opacity=alt.Opacity("accuracy:Q", scale=opacity, legend=None),
        tooltip=[
            *("method:N", "learning rate:N", "diverged:Q", "seeds:Q"),
            *(alt.Tooltip(f"{name}:Q", format=".1%") for name in shares),
        ],
    )
    numbers = base.mark_text(yOffset=9).encode(text="cell:N")
    names = charts.row_names(base, "method", fontWeight=600, yOffset=-21)
    return alt.layer(shades, numbers, names).properties(height={"step": 66})
