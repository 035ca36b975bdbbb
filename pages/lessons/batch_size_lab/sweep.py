"""The test error of each method over the batch size, with equal images or equal updates."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from pages.components import charts, controls, live_sweep, page, server
from pages.lab import sweeps
from pages.lab.sweeps import Outcome, Sweep
from pages.lessons.batch_size_lab import common
from pages.lessons.batch_size_lab.few_values import at_places
from pages.lessons.batch_size_lab.sweep_answer import answer, held_equal
from pages.lessons.batch_size_lab.sweep_paper import beside_the_paper

WAITS = True
QUESTION = (
    "From 256 images per step down to 2, at one learning rate: which method's accuracy changes "
    "most? And what else changes along with the size of the batch?"
)


def show() -> None:
    with page.control_box():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "2 to 256, four methods",
                on_click=_preset,
                args=("images",),
                icon=":material/stacked_line_chart:",
            )
            st.button(
                "The layer-norm paper's 4 against 128",
                on_click=_preset,
                args=("paper",),
                icon=":material/article:",
            )
        methods = common.methods_control()
        first, second, third = st.columns(3, vertical_alignment="bottom")
        with first:
            held = controls.control("held")
        with second:
            placement = controls.control("placement")
        with third:
            rate = controls.control("lr")
        controls.control("seeds", label="Seeds when run here")
    server.wait_for_tensorflow()
    if not methods:
        return
    base = replace(sweeps.SMALL, placement=placement, learning_rate=rate)
    values = sweeps.PAPER_SIZES if _is_paper() else sweeps.SIZES
    plan = Sweep("batch_size", values, methods, live_sweep.SEEDS, base, held)
    live_sweep.show(plan, "sizes", _draw)
    if _is_paper():
        beside_the_paper(plan, len(server.data().train_labels))


def _preset(name: str) -> None:
    plan = sweeps.PLANS[name]
    controls.put("methods", plan.methods)
    controls.put("placement", plan.base.placement)
    controls.put("lr", plan.base.learning_rate)
    if name == "paper":
        controls.put("held", plan.held)
    controls.put("from", "recorded")


def _is_paper() -> bool:
    """Whether the controls stand as the preset leaves them: then its two batch sizes are shown."""
    plan = sweeps.PLANS["paper"]
    asked = (controls.get("methods"), controls.get("placement"), controls.get("held"))
    return asked == (plan.methods, plan.base.placement, plan.held)


def _draw(plan: Sweep, outcomes: dict[str, Outcome], images: int) -> None:
    picture = sweeps.rows(plan, outcomes)
    rows = [
        {
            "method": row.method,
            "batch size": row.value,
            "error": 1 - row.mean,
            "low": 1 - row.high,
            "high": 1 - row.low,
        }
        for row in picture
        if row.learned
    ]
    if not rows:
        st.caption("Nothing has come yet.")
        return
    text = answer(plan, picture, outcomes, images)
    count = max(row.done for row in picture)
    seeds = f"{count} seeds: mean, and a band to the extremes" if count > 1 else "1 seed"
    axes = ("batch size", "error", "Batch size", "Test error")
    curves = charts.curves(rows, *axes, log=True, percent=True, points=True)
    charts.show(
        at_places(curves, plan.values),
        f"Error on all test images at the end · {held_equal(plan, images)} · learning rate "
        f"{plan.base.learning_rate:g} for every batch size · {seeds}.",
        "sizes",
    )
    if live_sweep.complete(plan, picture):
        page.answer(text)
