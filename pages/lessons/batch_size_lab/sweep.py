"""The test error of each method over the batch size, with equal images or equal updates."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from pages.components import charts, controls, live_sweep, page, server
from pages.lab import sweeps, words
from pages.lab.sweeps import Outcomes, Sweep
from pages.lessons.batch_size_lab.sweep_answer import answer, held_equal

WAITS = True
QUESTION = (
    "From 256 images per step down to 2, at one learning rate: which method's accuracy changes "
    "most? And what else changes along with the size of the batch?"
)
PRESETS = {
    "images": ("2 to 256, four methods", "stacked_line_chart"),
    "paper": ("The layer-norm paper's 4 against 128", "article"),
}


def show() -> None:
    with page.control_box():
        with st.container(horizontal=True, vertical_alignment="center"):
            for name, (label, icon) in PRESETS.items():
                st.button(label, on_click=_preset, args=(name,), icon=f":material/{icon}:")
        methods = page.methods_control()
        held, placement, rate = page.control_row("held", "placement", "lr")
        controls.control("seeds", label="Seeds when run here")
    server.wait_for_tensorflow()
    if not methods:
        return
    base = replace(sweeps.SMALL, placement=placement, learning_rate=rate)
    values = sweeps.PAPER_SIZES if _is_paper() else sweeps.SIZES
    plan = Sweep("batch_size", values, methods, live_sweep.SEEDS, base, held)
    live_sweep.show(plan, "sizes", _draw)
    if _is_paper():
        _beside_the_paper(plan, len(server.data().train_labels))


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


def _draw(plan: Sweep, outcomes: Outcomes, images: int) -> None:
    picture = sweeps.rows(plan, outcomes)
    rows = [
        {"method": row.method, "batch size": row.value}
        | {"error": 1 - row.mean, "low": 1 - row.high, "high": 1 - row.low}
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
    charts.show(
        charts.curves(rows, *axes, log=True, percent=True, points=True, places=plan.values),
        f"Error on all test images at the end · {held_equal(plan, images)} · learning rate "
        f"{plan.base.learning_rate:g} for every batch size · {seeds}.",
        "sizes",
    )
    if live_sweep.complete(plan, picture):
        page.answer(text)


def _beside_the_paper(plan: Sweep, images: int) -> None:
    """The layer-norm paper's experiment beside ours. images: how many the training set holds."""
    rows = conditions(plan, images)
    st.subheader("The paper's experiment, and ours", anchor=False)
    columns = ("", "Layer-norm paper", "Here")
    table = charts.frame([dict(zip(columns, row, strict=True)) for row in rows])
    st.table(table, hide_index=True, border="horizontal")
    st.caption(
        f"{sum(theirs != ours for _, theirs, ours in rows)} of {len(rows)} conditions deviate: "
        "this asks the paper's question of another network. "
        "Ba, Kiros and Hinton, 2016, arXiv:1607.06450, section 6.6 and figure 6."
    )


def conditions(plan: Sweep, images: int) -> list[tuple[str, str, str]]:
    """(what, the paper's, ours) for every condition of the experiment."""
    base = plan.base
    where = {
        "conv": "after the convolution only",
        "conv and dense": "after the convolution and the hidden layer",
    }[base.placement]
    methods = ", ".join(map(words.in_sentence, plan.methods))
    held = "equal updates" if plan.held == "updates" else words.count(base.epochs, "epoch")
    return [
        ("Network", "784–1000–1000–10, dense layers only", f"convolution, {base.hidden_units}–10"),
        ("Normalized", "both hidden layers, not the output", where),
        ("Methods", "batch norm, layer norm", methods),
        ("Batch sizes", "128 and 4", " and ".join(f"{v:g}" for v in reversed(plan.values))),
        ("Optimizer", "Adam", f"plain SGD, learning rate {base.learning_rate:g}"),
        ("Training images", "55,000", f"{min(base.train_size, images):,}"),
        ("Trained for", "60 epochs, as drawn", held),
        ("Batch norm's variance at batch 4", "unbiased", "biased, as at every size"),
        ("Batch norm at test time", "not said", f"{base.inference_statistics} statistics"),
        ("Shown", "loss and test error per epoch", "test error at the end"),
        ("Seeds", "not said", f"{len(plan.seeds)}"),
    ]
