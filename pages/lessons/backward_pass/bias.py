"""A bias before batch norm: the mean takes it away, and no gradient reaches it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from pages.components import charts, controls, number_table, page, server, source, turns
from pages.components.charts import Chart
from pages.lab import backward, words
from pages.lab.arithmetic import Steps, equal, normalization_steps
from pages.lessons.step_by_step import parts

QUESTION = (
    "A convolution adds a bias, and then batch norm subtracts the mean. "
    "How large is the bias's gradient?"
)


@st.cache_resource(max_entries=16, show_spinner="One step of the network for each method.")
def bias_norms(seed: int, checksum: str, _data: Dataset) -> dict[str, float]:
    return backward.bias_gradients(TrainConfig(seed=seed), _data, controls.FOUR_METHODS)


def show() -> None:
    first, second, third = page.control_columns(1.1, 1.5, 1)
    method = controls.control("method", first, choices=("batch", "layer"))
    bias = controls.control("bias", second, step=0.5)
    seed = controls.control("seed", third)
    x = parts.stored_table()
    column = min(int(controls.get("column")), x.shape[1]) - 1
    epsilon = controls.get("eps")
    before = normalization_steps(method, x, epsilon=epsilon)
    moved = x + bias * (np.arange(x.shape[1]) == column)
    after = normalization_steps(method, moved, epsilon=epsilon)
    charts.show(
        bias_chart(before, after, bias, column),
        f"The table of Step by step · {words.title(method)} · ε {words.number(epsilon)}",
        "bias_table",
    )
    data = server.data()
    with turns.let_others():
        norms = bias_norms(seed, data.checksum, data)
    charts.show(
        charts.bars(
            [{"method": one, "value": value} for one, value in norms.items()],
            "Norm of the bias's gradient",
            format=".2~g",
        ),
        f"Bias of the convolution, first step · {server.data_words()} · 32 images · float64 · "
        f"seed {seed}",
        "bias_bars",
    )
    page.answer(answer(before, after, bias, column, norms))
    source.show_source(backward.bias_gradients)


def bias_chart(before: Steps, after: Steps, bias: float, column: int) -> Chart:
    """x, x with the bias, and z, in which the numbers that did not change are highlighted."""
    same = equal(after.z, before.z)
    biased = np.broadcast_to(np.arange(before.x.shape[1]) == column, before.x.shape)

    def table(steps: Steps) -> list[number_table.Mark]:
        means = {"mean": steps.mean[0]} if steps.method == "batch" else {}
        return number_table.table(steps.x, highlighted=biased, below=means, own_column=column)

    return number_table.chart(
        before.method,
        {
            "x": table(before),
            f"x with {words.rounded(bias)} added to F{column + 1}": table(after),
            "z; highlighted: as before": number_table.table(after.z, highlighted=same),
        },
        f"With the bias {same.sum()} of {same.size} z are what they were without.",
        {"x": before.x, "x with the bias": after.x, "z": before.z, "z with the bias": after.z},
    )


def answer(before: Steps, after: Steps, bias: float, column: int, norms: dict[str, float]) -> str:
    same = equal(after.z, before.z)
    moves = f"none of the {same.size} z"
    if not same.all():
        most = words.rounded(float(np.abs(after.z - before.z).max()), 3)
        moves = f"{(~same).sum()} of {same.size} z, the most by {most}"
    none, batch, layer = (words.rounded(norms[one], 2) for one in ("none", "batch", "layer"))
    return (
        f"A bias of {words.rounded(bias)} on feature {column + 1} moves {moves}. "
        f"In the network the gradient of the convolution's bias is {none} without normalization "
        f"and {batch} with batch norm: nothing but rounding. "
        "Batch norm subtracts what the bias adds; its β takes over. "
        f"With layer norm it is {layer}: there, a bias per channel does not shift all the "
        "averaged numbers equally."
    )
