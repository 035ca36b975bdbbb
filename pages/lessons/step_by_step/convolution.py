"""A convolution's numbers: which of them each method averages together."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import streamlit as st

from pages.components import charts, controls, number_table, page
from pages.components.charts import Chart
from pages.components.number_table import GAP, Mark
from pages.lab import arithmetic, words
from pages.lab.arithmetic import Steps
from pages.lessons.step_by_step import parts

QUESTION = "Examples, positions, channels: which numbers of a convolution are averaged together?"
METHODS = ("batch", "layer", "group", "instance", "rms")
GROUPS = 2
EXAMPLES, HEIGHT, WIDTH, CHANNELS = SHAPE = (3, 2, 2, 4)
OPTIONS = page.valued(
    "shares",  # examples, channels
    {
        (EXAMPLES, 1): "A channel of all examples",
        (1, 1): "A channel of one example",
        (1, CHANNELS // GROUPS): "Some channels of one example",
        (1, CHANNELS): "All channels of one example",
    },
)
Cell = tuple[int, int, int, int]


def show() -> None:
    first, second, third, fourth = page.control_columns(1.2, 0.9, 2.7, 1.2)
    method = parts.method_control(first, METHODS)
    cell = choose(second, third, fourth)
    picture = st.container()
    answer_place = st.container()
    with page.more_settings():
        epsilon = controls.control("eps")
        seed = controls.control("seed", label="Seed of the numbers", help="Decides the numbers x.")
    x = np.random.default_rng(seed).integers(-4, 10, SHAPE).astype(float)
    every = {
        one: arithmetic.normalization_steps(one, x, epsilon=epsilon, groups=GROUPS)
        for one in METHODS
    }
    steps = every[method]
    with picture:
        charts.show(
            blocks_chart(steps, cell),
            f"E example, C channel, each block {HEIGHT} × {WIDTH} positions · "
            f"{words.title(method)} · ε {words.number(epsilon)} · seed {seed} · click a cell to "
            "choose it",
            number_table.chart_key("convolution"),
            main=True,
            on_select=number_table.take_click,
        )
    examples, *_, channels = arithmetic.counted(steps.shares(cell))
    with answer_place:
        page.answer(answer(steps, cell), shares=(examples, channels))
    parts.show_arithmetic(arithmetic.written_out(steps, cell))
    st.markdown("**All methods on these numbers**")
    rows = [
        {"Method": words.title(one), "Averages": averaged(one)}
        | {"Numbers in one set": x.size // found.sets, "Sets": found.sets}
        for one, found in every.items()
    ]
    st.table(rows, hide_index=True)
    parts.show_code(method, averaged(method))


def choose(*places: AbstractContextManager) -> Cell:
    """The chosen number (example, row, column, channel), counted from 0."""
    again: dict[str, Any] = {"on_change": number_table.forget_click, "width": "content"}
    examples, channels = map(number_table.counted, (EXAMPLES, CHANNELS))
    example = controls.control("row", places[0], choices=examples, **again)
    at = controls.control("at", places[1], **again)
    channel = controls.control("column", places[2], label="Channel", choices=channels, **again)
    row, column = divmod(int(at) - 1, WIDTH)
    return int(example) - 1, row, column, int(channel) - 1


def blocks_chart(steps: Steps, cell: Cell) -> Chart:
    """x and x_hat, a block of positions for each example and channel."""
    shared = steps.shares(cell)
    place = controls.CONTROLS["at"].choices[str(cell[1] * WIDTH + cell[2] + 1)].lower()
    summary = (
        f"{words.title(steps.method)} on {EXAMPLES} examples, {HEIGHT} × {WIDTH} positions and "
        f"{CHANNELS} channels. Highlighted: {shared.sum()} of {shared.size} cells, averaged with "
        f"example {cell[0] + 1}, {place}, channel {cell[3] + 1}."
    )
    return number_table.chart(
        steps.method,
        {
            "x; highlighted: averaged together": blocks(steps.x, shared, cell),
            "x̂": blocks(steps.x_hat, shared, cell),
        },
        summary,
        {"averaged with the chosen cell": shared, "x": steps.x, "x_hat": steps.x_hat},
        axes=("example", "row", "column", "channel"),
    )


def blocks(values: np.ndarray, shared: np.ndarray, cell: Cell) -> list[Mark]:
    """One block of positions for each example (down) and channel (across)."""
    marks = []
    for n in range(EXAMPLES):
        top = 1 + n * (HEIGHT + GAP)
        marks.append(number_table.label(f"E{n + 1}", top=top + (HEIGHT - 1) / 2))
        for c in range(CHANNELS):
            left = 1 + c * (WIDTH + GAP)
            if n == 0:
                marks.append(number_table.label(f"C{c + 1}", left=left + (WIDTH - 1) / 2))
            marks += number_table.cells(
                values[n, :, :, c],
                top=top,
                left=left,
                highlighted=shared[n, :, :, c],
                chosen=cell[1:3] if (n, c) == (cell[0], cell[3]) else None,
                clicks={
                    (h, w): f"{n + 1},{h * WIDTH + w + 1},{c + 1}"
                    for h, w in np.ndindex(HEIGHT, WIDTH)
                },
            )
    return marks


def averaged(method: str) -> str:
    """Which numbers share a mean, in words."""
    return {
        "batch": "all examples and positions of one channel",
        "group": f"all positions of one group of {CHANNELS // GROUPS} channels of one example",
        "instance": "all positions of one channel of one example",
    }.get(method, "all positions and channels of one example")


def answer(steps: Steps, cell: Cell) -> str:
    count = int(steps.shares(cell).sum())
    if steps.method == "rms":
        return (
            f"RMS norm divides {averaged('rms')} by one √(mean x² + ε): {count} numbers share "
            f"{words.rounded(steps.root[cell])}, and no mean is subtracted. "
            f"There are {steps.sets} such sets."
        )
    return (
        f"{words.title(steps.method)} averages {averaged(steps.method)}: {count} numbers share "
        f"the mean {words.rounded(steps.mean[cell])}. "
        f"There are {steps.sets} such sets in these {steps.x.size} numbers."
    )
