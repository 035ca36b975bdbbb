"""The test error of each method over the batch size, and what is held equal for all sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from pages.components import charts, controls, live_sweep, page, server
from pages.lab import sweeps, words
from pages.lab.sweeps import Outcomes, Row, Sweep
from pages.lessons.batch_size_lab import common
from pages.lessons.batch_size_lab.sweep_answer import answer, held_equal, numbers_per_mean

WAITS = True
QUESTION = "From the largest batch to the smallest: which methods get better?"
OPTIONS = {
    "All": lambda seen: seen["better"] == seen["shown"],
    "All but batch norm": lambda seen: (
        seen["better"] == seen["shown"] - {"batch"} and seen["better"] not in (set(), seen["shown"])
    ),
    "None": lambda seen: not seen["better"],
    "Others": lambda seen: seen["better"] not in (set(), seen["shown"], seen["shown"] - {"batch"}),
}
ERRORS = (0.03, 1.0)  # the axis, whatever is drawn


def show() -> None:
    with page.control_box():
        first, second = st.columns([2, 1], vertical_alignment="bottom")
        held = controls.control("held", first)
        placement = controls.control("layers", second, disabled=held == "paper")
    place = st.container()
    with page.control_box("more"), page.more_settings():
        if held == "paper":
            st.caption(
                "As in the paper: its two batch sizes and two methods, at a rate of our own."
            )
            plan = sweeps.PLANS["paper"]
        else:
            plan = _plan(held, placement)
        controls.control("seeds", label="Seeds when run here")
    server.wait_for_tensorflow()
    with place:
        if not plan.methods:
            common.ask_for_a_method()
            return
        live_sweep.show(plan, "sizes", _draw)
        if held == "paper":
            _beside_the_paper(plan, len(server.data().train_labels))


def _plan(held: str, placement: str) -> Sweep:
    methods = page.methods_control()
    at = f" at batch size {sweeps.SMALL.batch_size}" if held == "rate" else ""
    usual = words.number(sweeps.SMALL.learning_rate)
    rate = controls.control("lr", label=f"Learning rate{at} (recorded: {usual})")
    base = replace(sweeps.SMALL, placement=placement, learning_rate=rate)
    return Sweep("batch_size", sweeps.SIZES, methods, live_sweep.SEEDS, base, held)


def _draw(plan: Sweep, outcomes: Outcomes, images: int, told: str) -> None:
    picture = sweeps.rows(plan, outcomes)
    rows = [
        {"method": row.method, "batch size": row.value}
        | {"error": 1 - row.mean, "low": 1 - row.high, "high": 1 - row.low}
        for row in picture
        if row.learned
    ]
    if not rows:
        with page.picture():
            st.caption("Nothing has come yet.")
        return
    count = max(row.done for row in picture)
    seeds = f"{count} seeds (line: mean, band: min to max)" if count > 1 else "1 seed"
    lost = sum(row.diverged for row in picture)
    axes = ("batch size", "error", "Batch size", "Test error")
    chart = charts.curves(
        rows, *axes, log=True, percent=True, points=True, places=plan.values, y_range=ERRORS
    )
    charts.show(
        chart,
        f"{told}Error on all test images · equal for all sizes: {held_equal(plan, images)} · "
        + seeds
        + f" · diverged, and in no line: {lost}" * (lost > 0),
        "sizes",
        main=True,
    )
    if live_sweep.complete(plan, picture):
        changes = sweeps.changes(plan, picture)
        better = {method for method, change in changes.items() if change > 0}
        shown = set(changes) or None
        table = [row(method, plan, picture) for method in changes]
        page.answer(answer(plan, picture, outcomes), table=table, better=better, shown=shown)
    if "batch" in plan.methods:
        st.caption(numbers_per_mean(plan))


def row(method: str, plan: Sweep, picture: Sequence[Row]) -> dict[str, str]:
    """A method's accuracy at the largest and at the smallest batch, and the change."""
    ends = (max(plan.values), min(plan.values))
    right = {one.value: one.mean for one in picture if one.method == method}
    cells = {f"Accuracy at {size:g}": words.percent(right[size]) for size in ends}
    change = sweeps.changes(plan, picture)[method]
    return {"Method": words.title(method)} | cells | {"Change": words.points(100 * change, 1)}


def _beside_the_paper(plan: Sweep, images: int) -> None:
    """The layer-norm paper's experiment beside ours. images: how many the training set holds."""
    rows = conditions(plan, images)
    st.header("The paper's experiment, and ours", anchor=False)
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
        ("Batch norm on", "all layers, the output too", where),
        ("Layer norm on", "all layers but the softmax", where),
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
