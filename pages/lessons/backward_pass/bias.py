"""A bias before batch norm: the mean takes it away, and no gradient reaches it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from pages.components import charts, controls, number_table, page, server, source, turns
from pages.components.charts import Chart
from pages.components.control_table import CONTROLS
from pages.lab import backward, words
from pages.lab.arithmetic import Steps, equal, extent, normalization_steps
from pages.lessons.backward_pass import panels
from pages.lessons.step_by_step import parts

QUESTION = "A bias is added to one feature before the normalization. Which z does it move?"
OPTIONS = {
    "None": lambda seen: seen["moved"] == "none",
    "Those of its feature": lambda seen: seen["moved"] in ("column", "cell"),
    "Those of one example": lambda seen: seen["moved"] == "row",
    "All, or some of each feature": lambda seen: seen["moved"] in ("all", "some"),
}
Z_ENDS = (-2.2, 2.2)  # of 4 numbers that are normalized together none is beyond 3 ** 0.5


@st.cache_resource(max_entries=16, show_spinner="One step of the network for each method.")
def bias_norms(seed: int, checksum: str, _data: Dataset) -> dict[str, float]:
    return backward.bias_gradients(TrainConfig(seed=seed), _data, controls.FOUR_METHODS)


def show() -> None:
    first, second, third = page.control_columns(1, 1.5, 1)
    method = controls.control("method", first, choices=("batch", "layer"))
    bias = controls.control("bias", second, step=0.5)
    x = parts.stored_table()
    column = controls.control("column", third, choices=number_table.counted(x.shape[1]))
    epsilon, own = controls.get("eps"), int(column) - 1
    before = normalization_steps(method, x, epsilon=epsilon)
    moved = x + bias * (np.arange(x.shape[1]) == own)
    after = normalization_steps(method, moved, epsilon=epsilon)
    charts.show(
        bias_chart(before, after, bias, own),
        f"The table of Step by step · {words.title(method)} · ε {words.number(epsilon)}",
        "bias_table",
        main=True,
    )
    data, seed = server.data(), controls.get("seed")
    with turns.let_others():
        norms = bias_norms(seed, data.checksum, data)
    page.answer(answer(before, after, bias, own, norms), moved=extent(~equal(after.z, before.z)))
    charts.show(
        charts.bars(
            [{"method": one, "value": value} for one, value in norms.items()],
            "Norm of the bias's gradient in the network",
            format=".2~g",
        ),
        f"Bias of the convolution, first step · {server.data_words()} · 32 images · float64 · "
        f"seed {seed}",
        "bias_bars",
    )
    with page.more_settings():
        controls.control("seed")
    source.show_source(backward.bias_gradients)


def bias_chart(before: Steps, after: Steps, bias: float, own: int) -> Chart:
    """x and z: each number as it was and as it is with the bias."""
    same, limit = equal(after.z, before.z), CONTROLS["bias"]
    ends = (float(before.x.min()) + limit.low - 1, float(before.x.max()) + limit.high + 1)
    added = f"x, {words.rounded(bias)} added to F{own + 1} (circle: before)"
    drawn = (
        panels.moved(added, before.x, after.x, own, ends),
        panels.moved("z (circle: before)", before.z, after.z, own, Z_ENDS),
    )
    listed = {"x": before.x, "x with the bias": after.x, "z": before.z, "z with the bias": after.z}
    listed["change of z"] = after.z - before.z
    places = dict(zip(("example", "feature"), np.indices(same.shape) + 1, strict=True))
    table = {title: values.ravel().tolist() for title, values in (places | listed).items()}
    told = f"With the bias {same.sum()} of {same.size} z are what they were without."
    return Chart(drawn, told, charts.frame(table))


def answer(before: Steps, after: Steps, bias: float, own: int, norms: dict[str, float]) -> str:
    same = equal(after.z, before.z)
    moves = f"none of the {same.size} z"
    if not same.all():
        most = words.rounded(float(np.abs(after.z - before.z).max()), 3)
        moves = f"{(~same).sum()} of {same.size} z, the most by {most}"
    none, batch, layer = (words.rounded(norms[one], 2) for one in ("none", "batch", "layer"))
    why = (
        "batch norm subtracts with the mean what the bias adds, and its β takes over"
        if before.method == "batch"
        else "a bias per channel does not shift all the averaged numbers equally"
    )
    return (
        f"A bias of {words.rounded(bias)} on feature {own + 1} moves {moves}: {why}. In the "
        f"network the gradient of the convolution's bias is {none} without normalization, "
        f"{layer} with layer norm and {batch} with batch norm, which is 0 but for rounding."
    )
