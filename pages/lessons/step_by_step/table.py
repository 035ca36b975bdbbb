"""A small table of numbers, and every step from x to z."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from pages.components import charts, controls, number_table, page
from pages.components.charts import Chart
from pages.lab import arithmetic, words
from pages.lab.arithmetic import Steps
from pages.lessons.step_by_step import parts, presets, weight

OPTIONS = page.options_of("outlier")


def QUESTION() -> str:
    if controls.get("method") == "weight":
        return weight.QUESTION
    return "Change one number. Which results change with it: its row, its column, or all of them?"


def show() -> None:
    first, second, third, fourth = page.control_columns(1.2, 1.2, 2.3, 1.1)
    method = parts.method_control(first)
    if method == "weight":
        weight.show(second, third, fourth)
        return
    presets.preset_control("x", second)
    x = parts.stored_table()
    with third:
        cell = number_table.choose(len(x), parts.FEATURES, title="")
    presets.number_control("x", f"x of E{cell[0] + 1}, F{cell[1] + 1}", x, cell, fourth)
    picture = st.container()
    with page.more_settings():
        controls.control("eps")
        controls.control("gamma", step=0.1)
        controls.control("beta", step=0.1, disabled=method == "rms")
        number_table.edit("x", parts.EXAMPLES, parts.FEATURES, "Example", "Feature")
    steps, last = (parts.taken_apart(method, one) for one in (x, parts.last("x", x)))
    with picture:
        chart, widths = steps_chart(steps, cell, last)
        charts.show(
            chart,
            f"{parts.caption(x, method)} · click a cell to choose it",
            number_table.chart_key("steps"),
            main=True,
            widths=widths,
            on_select=number_table.take_click,
        )
    edited = int((~np.isnan(arithmetic.before(steps.x, last.x))).sum()) == 1
    changed = ~np.isnan(arithmetic.before(steps.z, last.z)) if edited else steps.changed_by(cell)
    away = {"Standard deviations from the mean": words.rounded(steps.standard_deviations(cell), 3)}
    page.answer(answer(steps, cell), table=[away], spoils=arithmetic.extent(changed))
    st.markdown("**The chosen cell, by hand**")
    parts.show_arithmetic(arithmetic.written_out(steps, cell))
    parts.show_code(method)


def steps_chart(steps: Steps, cell: tuple[int, int], last: Steps) -> tuple[Chart, list[float]]:
    """x with its statistics where they belong, x_hat, and z with its gamma and beta.

    last: the same before the last change; a number that is another now has its old one below.
    """
    shared = steps.shares(cell)
    rows, columns = steps.x.shape
    table = partial(number_table.table, highlighted=shared, chosen=cell)
    was = {
        one: arithmetic.before(getattr(steps, one), getattr(last, one))
        for one in ("x", "x_hat", "z")
    }
    square = "mean x²" if steps.method == "rms" else "σ²"
    statistics = {"mean": steps.mean, square: steps.variance, f"√({square}+ε)": steps.root}
    if steps.method == "rms":
        statistics = {square: steps.variance, "√(…+ε)": steps.root}
    if steps.method == "batch":
        x = table(steps.x, was=was["x"], below={title: of[0] for title, of in statistics.items()})
    else:
        beside = {title: of[:, 0] for title, of in statistics.items()}
        x = table(steps.x, was=was["x"], beside=beside)
    z = table(steps.z, below=parts.parameters(steps), was=was["z"])
    drawn = {
        "x; highlighted: averaged together": x,
        f"x̂{parts.counted_changes(was['x_hat'])}": table(steps.x_hat, was=was["x_hat"]),
        f"{parts.formula(steps.method)}{parts.counted_changes(was['z'])}": z,
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
    where = {"cell": ", that one alone", "row": ", all in its row", "column": ", all in its column"}
    return (
        f"{distance(steps, cell, count)} Adding 1 to the x of {name(cell)} changes "
        f"{int(changed.sum())} of the {steps.z.size} z"
        f"{where.get(arithmetic.extent(changed), '')}. {words.title(steps.method)} has "
        f"{words.count(steps.sets, 'mean square' if steps.method == 'rms' else 'mean')} here, over "
        f"{words.count(count, 'number')} each."
    )


def distance(steps: Steps, cell: tuple[int, int], count: int) -> str:
    """Where x lies among the numbers that it is averaged with."""
    away, others = steps.standard_deviations(cell), f"the {count} highlighted numbers."
    if steps.method == "rms":
        return f"x is {words.rounded(away, 3)} times the root mean square of {others}"
    if count == 2:
        return (
            "Of two numbers only the sign of their difference is left: but for ε, x̂ is 1 or −1, "
            f"here {words.rounded(steps.x_hat[cell], 6)}, however far apart they are."
        )
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
        f"whatever x {'is' if count == 1 else 'they all share'}. Only ε keeps √(σ² + ε) at "
        f"{words.rounded(steps.root[cell])} and away from 0."
    )
    learns = " So from a batch of one batch norm learns β alone: no gradient reaches γ or x."
    return text + learns * (steps.method == "batch" and count == 1)
