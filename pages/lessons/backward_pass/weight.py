"""Gradient descent on weight norm's v: each step is at a right angle, so ||v|| only grows."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.components import arrow_chart, charts, controls, page, source, turns
from pages.components.charts import Chart
from pages.lab import backward, words
from pages.lab.backward import Turn, Walk

QUESTION = "Gradient descent takes step after step on v. Does ‖v‖ shrink, stay or grow?"
STEPS = 200
TIMES = (1.0, 3.0, 10.0)  # the learning rate of the slider


@st.cache_resource(max_entries=32, show_spinner=False)
def walked(rates: tuple[float, ...], seed: int) -> Walk:
    return backward.walk(rates, STEPS, seed)


def show() -> None:
    first, second = page.control_columns(1, 1)
    rate = controls.control("lr", first)
    seed = controls.control("seed", second, label="Seed of the gradients dw")
    rates = tuple(float(f"{rate * times:.6g}") for times in TIMES)
    with turns.let_others():
        walk = walked(rates, seed)
    left, right = st.columns([1, 1.5], gap="medium")
    with left:
        charts.show(turn_chart(backward.first_turn(seed)), f"g = 1 · seed {seed}", "turn")
    with right:
        rows = [
            {
                "method": f"Rate {words.number(one)}",
                "step": step,
                "norm": float(walk.norms[step, index]),
            }
            for index, one in enumerate(rates)
            for step in range(0, STEPS + 1, 2)
        ]
        charts.show(
            charts.curves(rows, "step", "norm", "Step", "‖v‖"),
            "The rate of the slider, 3 and 10 times as much · dw at random, the same for each "
            f"rate · g = 1 · seed {seed}",
            "norms",
        )
    page.answer(answer(walk, rates))
    from normlib import gradients

    source.show_source(
        gradients.weight_norm_backward,
        backward.walk,
        formula=r"\begin{gathered} dg = dw \cdot \frac{v}{\lVert v \rVert} \\[4pt] "
        r"dv = \frac{g}{\lVert v \rVert}\left(dw - dg\,\frac{v}{\lVert v \rVert}\right)"
        r"\end{gathered}",
    )


def turn_chart(turn: Turn) -> Chart:
    """v, dw and dv, and v after one step."""
    v, dw, dv = turn.v, turn.dw, turn.dv
    after = v - dv
    lines = {"v": (0 * v, v), "v − dv": (0 * v, after), "−dw": (v, v - dw), "−dv": (v, after)}
    arrows = [(name, name, *ends) for name, ends in lines.items()]
    named = {"v": v, "dw": dw, "along v": turn.along, "dv": dv, "v − dv": after}
    summary = (
        f"From v = (1, 0) the gradient dw = ({dw[0]:.3g}, {dw[1]:.3g}) leaves "
        f"dv = ({dv[0]:.3g}, {dv[1]:.3g}), at a right angle to v. "
        f"‖v‖ goes from {np.linalg.norm(v):.4g} to {np.linalg.norm(after):.4g}."
    )
    listed = [{"arrow": name, "x": float(x), "y": float(y)} for name, (x, y) in named.items()]
    panel = arrow_chart.panel("One step, learning rate 1", arrows, thick="v")
    return Chart((panel,), summary, charts.frame(listed))


def answer(walk: Walk, rates: tuple[float, ...]) -> str:
    ends = words.listed(
        f"{length(norm)} at {words.number(rate)}"
        for norm, rate in zip(walk.norms[-1], rates, strict=True)
    )
    change = float(np.diff(walk.norms, axis=0).min())
    shrank = f"Its smallest change is {words.rounded(change, 1)}."
    if change > -1e-12:
        shrank = f"It never shrank: the smallest change is {words.rounded(change, 1)}."
    return (
        f"After {STEPS} steps ‖v‖ has grown from 1 {ends}. {shrank} "
        "dv is at a right angle to v (cosine at most "
        f"{words.rounded(np.abs(walk.cosines).max(), 1)}), so each step is the short side of a "
        f"triangle and the new v its long side. {slowing(walk, rates[-1])}"
    )


def length(norm: float) -> str:
    """What ‖v‖ = 1 has grown to; or by how much, where that is too little to be seen."""
    if norm >= 1.001:
        return f"to {words.rounded(norm)}"
    return f"by {words.rounded(norm - 1, 1)}"


def slowing(walk: Walk, rate: float) -> str:
    """Whether a longer v turns less at the largest rate, as far as the steps show it."""
    share = walk.slowed[-1]
    first, last = walk.turns[:20, -1].mean(), walk.turns[-20:, -1].mean()
    turned = (
        f"On average a step turned v by {words.rounded(first, 3)}° in the first 20 and by "
        f"{words.rounded(last, 3)}° in the last 20"
    )
    if share > 0.95:
        return (
            f"A longer v turns less, but at {words.number(rate)} it has hardly grown: the same dw "
            f"still turns it {words.percent(share, 2)} as far as at the start. {turned}: "
            "that is the chance of the dw."
        )
    text = (
        f"A longer v turns less: at {words.number(rate)} the same dw turns it only "
        f"{words.percent(share)} as far as at the start. So weight norm lowers its own learning "
        f"rate. {turned}"
    )
    return text + ("." if last < first else ", where the dw happen to be larger.")
