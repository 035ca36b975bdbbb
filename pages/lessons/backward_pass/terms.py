"""The gradient in x as three terms: direct, through the mean, through the denominator."""

from __future__ import annotations

import streamlit as st

from pages.components import charts, controls, number_table, page, source
from pages.components.charts import Chart
from pages.lab import arithmetic, backward, words
from pages.lab.backward import BackwardSteps
from pages.lessons.backward_pass import panels
from pages.lessons.backward_pass.terms_answer import answer, table
from pages.lessons.step_by_step import parts

QUESTIONS = {
    "random": "A gradient dz comes in. How much of it gets through mean and √(σ² + ε) to x?",
    "one": "The loss depends on one z alone. Which x get a gradient?",
    "equal": "Every dz is 1: the loss would rise if all z grew alike. How much of that gets to x?",
    "along": "dz = x̂: the loss would rise if all z were stretched. How much of that gets to x?",
}
CONSTANTS = "statistics as constants"


LEFT = page.within("left", {1e-9: "Nothing", 0.01: "Less than 1%", 0.999: "A part"}, "All of it")


def QUESTION() -> str:
    return QUESTIONS[controls.get("dz")]


def OPTIONS() -> page.Options:
    return page.options_of("terms") if controls.get("dz") == "one" else LEFT


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
    set_to = f"ε {words.number(epsilon)} · γ {words.number(gamma)}"
    caption = f"The table of Step by step · {words.title(method)} · {set_to}"
    with picture:
        charts.show(
            terms_chart(steps, cell, steps_with(1e-5).reach(cell)),  # one axis for every ε
            caption + (f" · dz from seed {seed}" if kind == "random" else ""),
            number_table.chart_key("terms"),
            main=True,
            widths=[1, 1, 1.5],
            on_select=number_table.take_click,
        )
    told = answer(steps, cell, kind, constants)
    page.answer(told, table=table(steps, cell), reached=steps.reached, left=steps.left)
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
