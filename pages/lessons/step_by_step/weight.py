"""Weight norm: a kernel from directions v and lengths g."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pages.components import arrow_chart, charts, number_table, page
from pages.components.charts import Chart
from pages.lab import arithmetic, words
from pages.lab.arithmetic import WeightSteps
from pages.lessons.step_by_step import parts, presets

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "One number of v changes. Which numbers of the kernel w change with it?"
PLANE = ((-3.5, 8.5), (-2.0, 10.0))  # x and y of the arrows: room for v and for v doubled


def show(*places: AbstractContextManager, undo: bool = False) -> None:
    """places: of the ready-made tables, of the chosen cell and of its number.

    undo: with the g that gives back v.
    """
    first, second, third = places
    presets.preset_control("v", first)
    v = number_table.table_of("v", (2, 4), parts.FEATURES)
    g = number_table.table_of("g", (1,), parts.FEATURES)[0]
    with second:
        cell = number_table.choose(len(v), parts.FEATURES, "Input", "Output", title="")
    presets.number_control("v", f"v of I{cell[0] + 1}, O{cell[1] + 1}", v, cell, third)
    steps = arithmetic.weight_norm_steps(v, g)
    undone = arithmetic.weight_norm_steps(v, steps.norm)
    shown = undone if undo else steps
    chart = kernel_chart(shown, cell, arithmetic.before(v, parts.last("v", v)))
    charts.show(
        chart,
        f"A kernel of {v.shape[0]} inputs × {v.shape[1]} outputs · Weight norm · click a cell to "
        "choose it",
        number_table.chart_key("weights"),
        main=True,
        widths=[1, 1, 1.08][: len(chart.panels)],
        on_select=number_table.take_click,
    )
    with page.more_settings():
        number_table.edit("v", (2, 4), parts.FEATURES, "Input", "Output")
        number_table.edit("g", (1,), parts.FEATURES, "g", "Output")
    back = bool(arithmetic.equal(undone.w, v).all())
    spoils = arithmetic.extent(steps.changed_by(cell))
    # No batch takes part: what g gives back, it gives back for each.
    page.answer(answer(shown, cell[1]), spoils=spoils, here=back, next=back)
    parts.show_arithmetic(arithmetic.written_weight(shown, cell))
    parts.show_code("weight")


def kernel_chart(steps: WeightSteps, cell: tuple[int, int], was: np.ndarray) -> Chart:
    """v with its lengths and g, w, and, where there are two inputs, both as arrows.

    was: v before its last change, nan where it is the same.
    """
    rows, columns = steps.v.shape
    same_output = np.broadcast_to(np.arange(columns) == cell[1], steps.v.shape)
    table = partial(number_table.table, row="I", column="O", highlighted=same_output, chosen=cell)
    lengths_of = {"‖v‖": steps.norm, "g": steps.g}
    lengths, new_lengths = (
        ", ".join(words.rounded(one) for one in values) for values in (steps.norm, steps.length)
    )
    summary = (
        f"Weight norm of {columns} outputs. The lengths of v are {lengths}; those of w are "
        f"{new_lengths}."
    )
    return number_table.chart(
        "weight",
        {
            "v; highlighted: share one ‖v‖": table(steps.v, below=lengths_of, was=was),
            "w = g v / ‖v‖": table(steps.w),
        },
        summary,
        {"v": steps.v} | lengths_of | {"w": steps.w},
        *([arrows(steps)] if rows == 2 else []),
        axes=("input", "output"),
    )


def arrows(steps: WeightSteps) -> tuple[dict[str, Any], pd.DataFrame]:
    """v and w of each output from the origin; an arrow of length 0 is left out."""
    drawn = [
        (f"{name}{number}", number, (0.0, 0.0), of)
        for index, number in enumerate(number_table.counted(parts.FEATURES))
        for name, of in (("v", steps.v[:, index]), ("w", steps.w[:, index]))
        if of.any()
    ]
    return arrow_chart.panel("Arrows: v dashed, w thick", drawn, thick="w", domain=PLANE)


def answer(steps: WeightSteps, column: int) -> str:
    if not steps.v[:, column].any():
        return (
            f"The v of output {column + 1} is 0 and has no direction: its w is 0, "
            f"and g = {words.rounded(steps.g[column])} has nothing to stretch. No gradient reaches "
            "it, so it stays 0."
        )
    doubled = arithmetic.weight_norm_steps(2 * steps.v, steps.g)
    change = float(np.abs(doubled.w - steps.w).max())
    changes = f"w by at most {words.rounded(change, 1)}" if change else "no w"
    return (
        f"Output {column + 1}: ‖v‖ = {words.rounded(steps.norm[column])} is divided away, and "
        f"‖w‖ = {words.rounded(steps.length[column])} is |g|. Doubling every v changes {changes}: "
        "only the direction of v counts."
    )
