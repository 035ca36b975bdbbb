"""Turn the learning rate up until the training breaks, with each method."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import charts, controls, live_sweep, page, server, theme
from pages.components.charts import Chart, frame
from pages.lab import sweeps, words
from pages.lab.sweeps import Outcomes, Row, Sweep
from pages.lessons.batch_size_lab import common
from pages.lessons.batch_size_lab.rates_answer import answer

if TYPE_CHECKING:
    import altair as alt

WAITS = True
QUESTION = "Which learning rates can each method use: does normalization move the cliff?"
OPTIONS = {
    "Every normalization, to higher rates": lambda seen: seen["higher"] == seen["others"] > 0,
    "Some, to higher rates": lambda seen: 0 < seen["higher"] < seen["others"],
    "None, to higher rates": lambda seen: seen["higher"] == 0,
}


def show() -> None:
    first, _ = page.control_columns(1, 2)
    placement = controls.control("layers", first)
    place = st.container()
    with page.control_box("more"), page.more_settings():
        methods = page.methods_control()
        controls.control("seeds", label="Seeds when run here")
    server.wait_for_tensorflow()
    base = replace(sweeps.SMALL, placement=placement)
    plan = Sweep("learning_rate", sweeps.RATES, methods, sweeps.PLANS["rates"].seeds, base)
    with place:
        if methods:
            live_sweep.show(plan, "cliff", _draw)
        else:
            common.ask_for_a_method()


def _draw(plan: Sweep, outcomes: Outcomes, images: int, told: str) -> None:
    picture = sweeps.rows(plan, outcomes)
    text = answer(plan, picture) if picture else "Nothing has come yet."
    size, count = plan.base.batch_size, max((row.done for row in picture), default=0)
    seeds = f"mean of {words.count(count, 'seed')}" if count > 1 else "one seed"
    steps = max(sweeps.updates(plan, images).values())
    charts.show(
        cliff(plan, picture, text.replace("**", "")),
        f"{told}Test accuracy in % after {steps} steps, {seeds}; ✕: a seed diverged "
        f"· batch size {size} · {min(plan.base.train_size, images):,} images.",
        "cliff",
        main=True,
    )
    if live_sweep.complete(plan, picture):
        page.answer(text, **sweeps.moved_cliff(picture))


def cliff(plan: Sweep, picture: list[Row], summary: str) -> Chart:
    """Accuracy by learning rate and method as a shade and a number; a cross where one diverged."""
    table = frame(
        {
            "method": [words.title(row.method) for row in picture],
            "learning rate": [f"{row.value:g}" for row in picture],
            "accuracy": [row.mean for row in picture],
            "lowest seed": [row.low for row in picture],
            "highest seed": [row.high for row in picture],
            "seeds": [row.done for row in picture],
            "diverged": [row.diverged for row in picture],
        }
    )
    cells = [f"{100 * row.mean:.0f}" * row.learned + " ✕" * (row.diverged > 0) for row in picture]
    drawn = table.assign(cell=[cell.strip() for cell in cells])
    rates = tuple(f"{rate:g}" for rate in plan.values)
    spec = _cliff_spec(rates, plan.methods)
    return Chart(((spec, drawn),), summary, table)


@charts.spec
def _cliff_spec(rates: tuple[str, ...], methods: tuple[str, ...]) -> alt.TopLevelMixin:
    import altair as alt

    shares = ("accuracy", "lowest seed", "highest seed")
    opacity = alt.Scale(domain=[0.1, 1], range=[0.03, 0.6], clamp=True)
    axis = alt.Axis(labelAngle=0, grid=False, labelFlush=False)
    titles = list(map(words.title, methods))
    colors = alt.Scale(domain=titles, range=list(map(theme.color, methods)))
    base = alt.Chart().encode(
        x=alt.X("learning rate:O", title="Learning rate", scale=alt.Scale(domain=rates), axis=axis),
        y=alt.Y("method:N", title=None, axis=None, scale=alt.Scale(domain=titles)),
    )
    shades = base.mark_rect(height=38, yOffset=9).encode(
        color=alt.Color("method:N", scale=colors, legend=None),
        opacity=alt.Opacity("accuracy:Q", scale=opacity, legend=None),
        tooltip=[
            *("method:N", "learning rate:N", "diverged:Q", "seeds:Q"),
            *(alt.Tooltip(f"{name}:Q", format=".1%") for name in shares),
        ],
    )
    numbers = base.mark_text(yOffset=9).encode(text="cell:N")
    names = charts.row_names(base, "method", fontWeight=600, yOffset=-21)
    return alt.layer(shades, numbers, names).properties(height=theme.HEIGHT)
