"""The gradient in x as three terms: direct, through the mean, through the root."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.components import charts, controls, number_table, page, source
from pages.components.charts import Chart
from pages.lab import arithmetic, backward, words
from pages.lab.backward import BackwardSteps
from pages.lessons.backward_pass import term_bars
from pages.lessons.step_by_step import parts

QUESTION = (
    "The loss would rise if every z grew by the same amount (dz: All 1). How far does that move x?"
)
CONSTANTS = "statistics as constants"


def show() -> None:
    first, second, third = page.control_columns(1.1, 2.2, 1.6)
    method = controls.control("method", first, choices=("batch", "layer", "rms"))
    kind = controls.control("dz", second)
    constants = controls.control("mistake", third, choices=("none", CONSTANTS)) == CONSTANTS
    x = parts.stored_table()
    epsilon, gamma = controls.get("eps"), controls.get("gamma")
    picture = st.container()
    cell = number_table.choose(*x.shape)
    forward = arithmetic.normalization_steps(method, x, gamma, 0.0, epsilon)
    dz = backward.incoming(kind, forward, cell, controls.get("seed"))
    steps = backward.backward_steps(method, x, dz, gamma, epsilon, constants)
    with picture:
        caption = (
            f"The table of {x.shape[0]} × {x.shape[1]} of Step by step · {words.title(method)} · "
            f"ε {words.number(epsilon)} · γ {words.number(gamma)}"
        )
        charts.show(
            terms_chart(steps, cell),
            caption + (f" · dz from seed {controls.get('seed')}" if kind == "random" else ""),
            number_table.chart_key("terms"),
            widths=[1, 1, 1.5],
            on_select=number_table.take_click,
        )
    lines = [line.replace("=", "&=", 1) for line in backward.written_backward(steps, cell)]
    st.latex(r"\begin{aligned}" + r"\\[6pt]".join(lines) + r"\end{aligned}")
    page.answer(answer(steps, cell, kind, constants))
    from normlib import gradients

    mean = "" if method == "rms" else r"- \overline{\gamma\,dz} "
    source.show_source(
        gradients.backward_terms,
        formula=r"dx = \frac{1}{r}\left(\gamma\,dz "
        + mean
        + r"- \hat{x}\;\overline{\gamma\,dz\,\hat{x}}\right)",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("The bar over a product is its mean over the highlighted cells. Another x:")
        page.link("steps", label="Edit the table")


def terms_chart(steps: BackwardSteps, cell: tuple[int, int]) -> Chart:
    """dz, dx, and the terms of the chosen dx."""
    forward = steps.forward
    shared = forward.shares(cell)
    bars = steps.terms(cell) | {"dx, their sum": float(steps.dx[cell])}
    arrays = {**steps.parts, "dx": steps.dx}
    drawn = {
        title: number_table.table(values, highlighted=shared, chosen=cell)
        for title, values in (("dz, what comes in", steps.dz), ("dx, what goes out", steps.dx))
    }
    reach = max(float(np.abs(term[shared]).max()) for term in arrays.values())
    terms = term_bars.panel(f"dx of E{cell[0] + 1}, F{cell[1] + 1}", bars, reach)
    told = ", ".join(f"{label} {words.rounded(value)}" for label, value in bars.items())
    return number_table.chart(
        forward.method,
        drawn,
        f"Example {cell[0] + 1}, feature {cell[1] + 1}: {told}.",
        {"averaged with the chosen cell": shared, "x_hat": forward.x_hat, "dz": steps.dz} | arrays,
        terms,
    )


def answer(steps: BackwardSteps, cell: tuple[int, int], kind: str, constants: bool) -> str:
    forward, dx = steps.forward, words.rounded(steps.dx[cell], 3)
    shared = forward.shares(cell)
    count = int(shared.sum())
    if not steps.direct[shared].any():
        cells = words.count(count, "highlighted cell")
        return f"γ dz is 0 in the {cells}, and so is dx."
    if constants:
        right = backward.backward_steps(
            forward.method, forward.x, steps.dz, forward.gamma, forward.epsilon
        )
        return (
            "With mean and root taken for constants only the direct term is left: dx is "
            f"{dx} where {words.rounded(right.dx[cell], 3)} is right. "
            "The z on screen would be the same, and no error message says so."
        )
    terms = {name: words.rounded(value, 3) for name, value in steps.terms(cell).items()}
    mean = f"the mean contributes {terms['through the mean']} and " if len(terms) > 2 else ""
    text = (
        f"The direct term is {terms['direct']}; {mean}the root "
        f"{'' if mean else 'contributes '}{terms['through the root']}: dx is {dx}. "
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
        wish = f"No change of x can shift all {count} z together"
        if kind != "equal":
            wish = f"No change of x has this effect on the {count} z"
        return text + f"{wish}: normalizing takes it away again."
    if forward.method == "rms":
        text += "RMS norm subtracts no mean and has no term for it; multiplied by x̂ the dx add up "
    else:
        total = words.rounded(steps.total(steps.dx, cell), 2)
        text += f"The {count} highlighted dx add up to {total}; multiplied by x̂ they add up "
    along = steps.total(steps.dx * forward.x_hat, cell)
    small = 0 < abs(along) < 1e-4 * np.abs(steps.direct[shared]).max()
    return f"{text}to {words.rounded(along, 2)}{', which is 0 but for ε' if small else ''}."
