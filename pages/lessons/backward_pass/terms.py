"""The gradient in x as three terms: direct, through the mean, through the denominator."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.components import charts, controls, number_table, page, source
from pages.components.charts import Chart
from pages.lab import arithmetic, backward, words
from pages.lab.backward import BackwardSteps
from pages.lessons.backward_pass import panels
from pages.lessons.step_by_step import parts

QUESTIONS = {
    "random": "A gradient dz comes in. What do the mean and √(σ² + ε) make of it on its way to x?",
    "one": "The loss depends on one z alone. Which x get a gradient?",
    "equal": "Every dz is 1: the loss would rise if all z grew alike. How much of that gets to x?",
    "along": "dz = x̂: the loss would rise if all z were stretched. How much of that gets to x?",
}
CONSTANTS = "statistics as constants"


def QUESTION() -> str:
    return QUESTIONS[controls.get("dz")]


def show() -> None:
    first, second, third, fourth = page.control_columns(1, 2.15, 1.15, 1.5)
    method = controls.control("method", first, choices=("batch", "layer", "rms"))
    kind = controls.control("dz", second)
    epsilon = controls.control("eps", third)
    constants = controls.control("mistake", fourth, choices=("none", CONSTANTS)) == CONSTANTS
    x = parts.stored_table()
    picture = st.container()
    cell = number_table.choose(len(x), parts.FEATURES, title="")
    gamma, seed = controls.get("gamma"), controls.get("seed")

    def steps_with(epsilon: float, constants: bool = False) -> BackwardSteps:
        forward = arithmetic.normalization_steps(method, x, gamma, 0.0, epsilon)
        dz = backward.incoming(kind, forward, cell, seed)
        return backward.backward_steps(method, x, dz, gamma, epsilon, constants)

    steps = steps_with(epsilon, constants)
    caption = f"The table of Step by step · {words.title(method)} · ε {words.number(epsilon)}"
    caption += f" · γ {words.number(gamma)}"
    with picture:
        charts.show(
            terms_chart(steps, cell, steps_with(1e-5).reach(cell)),  # one axis for every ε
            caption + (f" · dz from seed {seed}" if kind == "random" else ""),
            number_table.chart_key("terms"),
            main=True,
            widths=[1, 1, 1.5],
            on_select=number_table.take_click,
        )
    page.answer(answer(steps, cell, kind, constants), reached=steps.reached)
    with page.more_settings():
        controls.control("seed", label="Seed of dz", help="Decides the random dz.")
    lines = [line.replace("=", "&=", 1) for line in backward.written_backward(steps, cell)]
    st.latex(r"\begin{aligned}" + r"\\[6pt]".join(lines) + r"\end{aligned}")
    from normlib import gradients

    mean = "" if method == "rms" else r"- \overline{\gamma\,dz} "
    source.show_source(
        gradients.backward_terms,
        formula=r"dx = \frac{1}{r}\left(\gamma\,dz "
        + mean
        + r"- \hat{x}\;\overline{\gamma\,dz\,\hat{x}}\right)",
    )
    square = "mean of x²" if method == "rms" else "σ²"
    st.caption(
        f"r is the denominator, √({square} + ε); a bar over a product is its mean over the "
        "highlighted cells."
    )
    page.link("steps", label="Edit the table")


def terms_chart(steps: BackwardSteps, cell: tuple[int, int], reach: float) -> Chart:
    """dz, dx, and the terms of the chosen dx, on an axis that goes as far as `reach`."""
    forward = steps.forward
    shared = forward.shares(cell)
    bars = steps.terms(cell) | {"dx, their sum": float(steps.dx[cell])}
    drawn = {
        title: number_table.table(values, highlighted=shared, chosen=cell)
        for title, values in (("dz, what comes in", steps.dz), ("dx, what goes out", steps.dx))
    }
    title = f"dx of E{cell[0] + 1}, F{cell[1] + 1}"
    terms = panels.terms(title, bars, reach)
    told = f"{title}: " + ", ".join(
        f"{label} {words.rounded(value)}" for label, value in bars.items()
    )
    listed = {"averaged with the chosen cell": shared, "x_hat": forward.x_hat, "dz": steps.dz}
    listed |= {**steps.parts, "dx": steps.dx}
    return charts.tall(number_table.chart(forward.method, drawn, f"{told}.", listed, terms))


def answer(steps: BackwardSteps, cell: tuple[int, int], kind: str, constants: bool) -> str:
    forward, dx = steps.forward, words.rounded(steps.dx[cell], 3)
    shared, count = forward.shares(cell), int(forward.shares(cell).sum())
    if not steps.direct[shared].any():
        return f"γ dz is 0 in the {words.count(count, 'highlighted cell')}, and so is dx."
    if constants:
        right = backward.backward_steps(
            forward.method, forward.x, steps.dz, forward.gamma, forward.epsilon
        )
        return (
            "With the statistics treated as constants only the direct term is left: dx is "
            f"{dx} where {words.rounded(right.dx[cell], 3)} is right. "
            "The z on screen would be the same, and no error message says so."
        )
    terms = {name: words.rounded(value, 3) for name, value in steps.terms(cell).items()}
    mean = f"the mean contributes {terms['via the mean']} and " if len(terms) > 2 else ""
    text = (
        f"The direct term is {terms['direct']}; {mean}the denominator "
        f"{'' if mean else 'contributes '}{terms['via the denominator']}: dx is {dx}. "
    )
    if count == 1:
        return f"{text}A number averaged with nothing but itself has z = β, whatever x is."
    if kind == "along":
        square = "mean square" if forward.method == "rms" else "σ²"
        left = words.rounded(backward.stretch_left(forward, cell), 3)
        return text + (
            f"No change of x can stretch all {count} z together, but for ε: what is left of the "
            f"direct term is ε / ({square} + ε) = {left} of it."
        )
    if not steps.dx[shared].any():
        wish = "can shift all" if kind == "equal" else "has this effect on the"
        return f"{text}No change of x {wish} {count} z{' together' * (kind == 'equal')}."
    if kind == "one":
        places = {"cell": ", that one", "column": ", all in its column", "row": ", all in its row"}
        found = words.count(int(np.count_nonzero(steps.dx)), "cell") + places.get(steps.reached, "")
        return f"{text}dz is 1 in one cell; dx is not 0 in {found}."
    if forward.method == "rms":
        text += "RMS norm subtracts no mean and has no term for it; multiplied by x̂ the dx add up "
    else:
        total = words.rounded(steps.total(steps.dx, cell), 2)
        text += f"The {count} highlighted dx add up to {total}; multiplied by x̂ they add up "
    along = steps.total(steps.dx * forward.x_hat, cell)
    small = 0 < abs(along) < 1e-4 * np.abs(steps.direct[shared]).max()
    return f"{text}to {words.rounded(along, 2)}{', which is 0 but for ε' if small else ''}."
