"""Gradient descent on weight norm's v: plain steps are at a right angle to it, so it only grows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from pages.components import charts, controls, page, source, turns
from pages.components.charts import Chart
from pages.lab import backward, words
from pages.lab.backward import DECAY, Walk
from pages.lessons.backward_pass import panels

QUESTION = "Plain gradient descent takes step after step on v. Does ‖v‖ shrink, stay or grow?"
OPTIONS = {
    "It shrinks in some steps": lambda seen: seen["shrank"] > 0,
    "It stays as it is": lambda seen: not seen["shrank"] and seen["grown"] < 1e-6,
    "It only grows": lambda seen: not seen["shrank"] and seen["grown"] >= 1e-6,
}
STEPS = 200
RULES = {"sgd": "Plain SGD", "decay": f"Weight decay {DECAY}", "adam": "Adam"}
FRAME, NORMS = 2.0, (0.8, 8.0)  # what the axes show, at every rate of the slider


@st.cache_resource(max_entries=32, show_spinner=False)
def walked(rate: float, seed: int) -> dict[str, Walk]:
    """The walk by each way to descend, by its title."""
    return {title: backward.walk((rate,), STEPS, seed, rule) for rule, title in RULES.items()}


def show() -> None:
    first, second = page.control_columns(2, 1)
    rate = controls.control("lr", first)
    seed = controls.control(
        *("seed", second), label="Seed of the gradients dw", help="Decides the random dw."
    )
    with turns.let_others():
        walks = walked(rate, seed)
    charts.show(
        chart(walks),
        f"{STEPS} steps at rate {words.number(rate)} · dw at random, the same for each way to "
        f"descend · g = 1 · seed {seed}",
        "walks",
        main=True,
        widths=[1, 1.7],
    )
    sgd = walks[RULES["sgd"]]
    page.answer(answer(walks, rate), shrank=int(sgd.shrank[0]), grown=float(sgd.norms[-1, 0]) - 1)
    from normlib import gradients

    source.show_source(
        gradients.weight_norm_backward,
        backward.walk,
        formula=r"\begin{gathered} dg = dw \cdot \frac{v}{\lVert v \rVert} \\[4pt] "
        r"dv = \frac{g}{\lVert v \rVert}\left(dw - dg\,\frac{v}{\lVert v \rVert}\right)"
        r"\end{gathered}",
    )


def chart(walks: Mapping[str, Walk]) -> Chart:
    """v on its way, and its length."""
    table = charts.frame(
        [
            {"method": title, "step": step, "norm": float(walk.norms[step, 0])}
            for title, walk in walks.items()
            for step in range(0, STEPS + 1, 2)
        ]
    )
    norms = charts.curves(
        *(table.assign(norm=table["norm"].clip(*NORMS)), "step", "norm", "Step"),
        f"‖v‖ (at {NORMS[1]:.0f}: or more)",
        log=True,
        y_range=NORMS,
        x_range=(0, STEPS),
    )
    paths = {title: walk.v[:, :, 0] for title, walk in walks.items()}
    panel = panels.path(f"Where v goes, up to {FRAME:.0f}; dotted: ‖v‖ = 1", paths, FRAME)
    return charts.tall(Chart((panel, *norms.panels), norms.summary, table))


def answer(walks: Mapping[str, Walk], rate: float) -> str:
    sgd, decay, adam = walks.values()
    grown = words.rounded(float(sgd.norms[-1, 0]), 6)
    return (
        f"After {STEPS} steps of plain SGD at rate {words.number(rate)} ‖v‖ has gone from 1 to "
        f"{grown} and shrank in {sgd.shrank[0]}: dv is at a right angle to v (cosine at most "
        f"{words.rounded(np.abs(sgd.cosines).max(), 1)}), so the new v is the longest side of a "
        f"triangle. With weight decay {DECAY} it shrank in {decay.shrank[0]} steps, with Adam in "
        f"{adam.shrank[0]}. {slowing(sgd)}"
    )


def slowing(walk: Walk) -> str:
    """Whether a longer v turns less, as far as the steps show it."""
    share = float(walk.slowed[-1])
    if share > 0.95:
        return (
            "A longer v turns less, but this one has hardly grown: the same dw still turns it "
            f"{words.percent(share, 2)} as far as at the start."
        )
    return (
        f"A longer v turns less, here {words.percent(share)} as far for the same dw as at the "
        "start: weight norm lowers its own learning rate."
    )
