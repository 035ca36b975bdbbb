"""The ready-made tables of Step by step, and the number in the chosen cell."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
import streamlit as st

from pages.components import controls, number_table
from pages.lab import arithmetic

PRESETS = {
    "x": {
        "default": "Default",
        "outlier": "One outlier",
        "constant": "Constant column",
        "two": "Batch of two",
        "one": "Batch of one",
    },
    "v": {
        "two": "Two inputs",
        "doubled": "v doubled",
        "four": "Four inputs",
        "zero": "One v is 0",
    },
}
OWN = "own"
_TABLES = {"x": arithmetic.TABLES, "v": arithmetic.KERNELS}
_CELL_OF_PRESET = {"outlier": ("3", "2"), "constant": ("3", "3"), "zero": ("1", "2")}


def preset_control(name: str, place: AbstractContextManager) -> None:
    """Which of the ready-made tables the setting `name` has."""
    titles = PRESETS[name]
    preset = next((one for one in titles if _TABLES[name][one] == controls.get(name)), OWN)
    key = f"_{name}_preset"
    st.session_state[key] = preset
    with place:
        st.selectbox(
            "Numbers",
            [*titles, *([OWN] if preset == OWN else [])],
            format_func=lambda one: titles.get(one, "Your own"),
            key=key,
            on_change=_take_preset,
            args=(name, key),
        )


def _take_preset(name: str, key: str) -> None:
    """Put the numbers in, and look at the cell that they are about."""
    preset = st.session_state[key]
    if preset == OWN:
        return
    controls.put(name, _TABLES[name][preset])
    for axis, at in zip(("row", "column"), _CELL_OF_PRESET.get(preset, ()), strict=False):
        controls.put(axis, at)
    number_table.forget_click()


def number_control(
    name: str, label: str, numbers: np.ndarray, cell: tuple[int, int], place: AbstractContextManager
) -> None:
    """The number in the chosen cell, to change."""
    key, most = f"_{name}_{cell[0]}_{cell[1]}", arithmetic.LARGEST
    st.session_state[key] = float(numbers[cell])

    def take() -> None:
        number_table.put_cell(name, numbers, *cell, st.session_state[key])

    with place:
        st.number_input(label, -most, most, step=1.0, format="%.6g", key=key, on_change=take)
