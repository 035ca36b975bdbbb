"""A small table of numbers, and every step from x to z."""

from __future__ import annotations

from functools import partial

import streamlit as st

from pages.components import charts, controls, number_table, page
from pages.components.charts import Chart
from pages.lab import arithmetic, words
from pages.lab.arithmetic import Steps
from pages.lessons.step_by_step import parts, weight


def QUESTION() -> str:
    if controls.get("method") == "weight":
        return weight.QUESTION
    return (
        "Change one number of the table. Which results change with it: "
        "those in its row, those in its column, or all?"
    )


def show() -> None:
    first, second, third, fourth = page.control_columns(1.2, 1.4, 1, 1)
    method = parts.method_control(first)
    if method == "weight":
        weight.show()
        return
    controls.control("eps", second)
    gamma = controls.control("gamma", third, step=0.1)
    beta = controls.control("beta", fourth, step=0.1, disabled=method == "rms")
    left, right = st.columns([1.1, 2.5], gap="medium")
    with left:
        x = parts.edit_table()
    cell = number_table.choose(*x.shape)
    steps = parts.taken_apart(method, x, gamma, beta, cell[0])
    with right:
        chart, widths = steps_chart(steps, cell)
        charts.show(
            chart,
            parts.caption(x, method),
            number_table.chart_key("steps"),
            widths=widths,
            on_select=number_table.take_click,
        )
    parts.show_arithmetic(arithmetic.written_out(steps, cell))
    page.answer(answer(steps, cell))
    parts.show_code(method)


def steps_chart(steps: Steps, cell: tuple[int, int]) -> tuple[Chart, list[float]]:
    """x with its statistics where they belong, x_hat, and z with its gamma and beta."""
    shared = steps.shares(cell)
    rows, columns = steps.x.shape
    table = partial(number_table.table, highlighted=shared, chosen=cell)
    statistics = {"mean": steps.mean, "var.": steps.variance, "root": steps.root}
    if steps.method == "rms":
        statistics = {"mean sq.": steps.variance, "root": steps.root}
    if steps.method == "batch":
        x = table(steps.x, below={title: of[0] for title, of in statistics.items()})
    else:
        x = table(steps.x, beside={title: of[:, 0] for title, of in statistics.items()})
    drawn = {
        "x and its statistics": x,
        "x̂": table(steps.x_hat),
        parts.formula(steps.method): table(steps.z, below=parts.parameters(steps)),
    }
    listed = {"averaged with the chosen cell": shared} | {
        one: getattr(steps, one) for one in ("x", "mean", "variance", "root", "x_hat", "z")
    }
    summary = (
        f"{words.title(steps.method)} on {words.count(rows, 'example')} of {columns} features. "
        f"Highlighted: {words.count(int(shared.sum()), 'cell')}, averaged with {name(cell)}: "
        f"x = {words.rounded(steps.x[cell])}, x̂ = {words.rounded(steps.x_hat[cell])}, "
        f"z = {words.rounded(steps.z[cell])}."
    )
    chart = number_table.chart(steps.method, drawn, summary, listed)
    return chart, [number_table.width(marks) for marks in drawn.values()]


def name(cell: tuple[int, int]) -> str:
    return f"example {cell[0] + 1}, feature {cell[1] + 1}"


def answer(steps: Steps, cell: tuple[int, int]) -> str:
    count = int(steps.shares(cell).sum())
    if steps.method != "rms" and not steps.variance[cell]:
        return constant_answer(steps, cell, count)
    changed = steps.changed_by(cell)
    only = "not only" if changed[~steps.shares(cell)].any() else "only"
    return (
        f"{distance(steps, cell, count)} Adding 1 to the x of {name(cell)} changes "
        f"{int(changed.sum())} of the {steps.z.size} z: {only} those in "
        f"{'its column' if steps.method == 'batch' else 'its row'}. "
        f"{words.title(steps.method)} has {steps.sets} "
        f"{'mean squares' if steps.method == 'rms' else 'means'} here, each over {count} numbers."
    )


def distance(steps: Steps, cell: tuple[int, int], count: int) -> str:
    """Where x lies among the numbers that it is averaged with."""
    away, others = steps.standard_deviations(cell), f"the {count} highlighted numbers."
    if steps.method == "rms":
        return f"x is {words.rounded(away, 3)} times the root mean square of {others}"
    if not away:
        return f"x equals the mean of {others}"
    side = "above" if away > 0 else "below"
    return f"x is {words.rounded(abs(away), 3)} standard deviations {side} the mean of {others}"


def constant_answer(steps: Steps, cell: tuple[int, int], count: int) -> str:
    """What is left where the variance is 0."""
    why = "is averaged with nothing but itself"
    if count > 1:
        why = f"equals the {words.count(count - 1, 'number')} that it is averaged with"
    text = (
        f"The number of {name(cell)} {why}: it is its own mean, the variance is 0, x̂ is 0, and z "
        f"is β = {words.rounded(steps.beta[cell])}, "
        f"whatever x {'is' if count == 1 else 'they all share'}. Only ε keeps the root at "
        f"{words.rounded(steps.root[cell])} and away from 0."
    )
    if steps.method == "batch" and len(steps.x) == 1:
        text += (
            " So from a batch of one batch norm learns β and nothing else: no gradient reaches γ "
            "or x. Layer norm averages within the example and needs no second one."
        )
    return text
