"""What the lessons of Step by step share: the table, its presets, its arithmetic and its code."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import streamlit as st

from pages.components import controls, number_table, source
from pages.lab import arithmetic, latex, words
from pages.lab.arithmetic import Steps

FEATURES = 3
EXAMPLES = (1, 2, 3, 4)
METHODS = ("batch", "layer", "rms", "weight")
PRESETS = {
    "x": {
        "default": "Default",
        "outlier": "One outlier",
        "constant": "Constant column",
        "one": "Batch of one",
    },
    "v": {
        "two": "Two inputs",
        "doubled": "v doubled",
        "four": "Four inputs",
        "zero": "One v is 0",
    },
}
_TABLES = {"x": arithmetic.TABLES, "v": arithmetic.KERNELS}
_COLUMN_OF_PRESET = {"outlier": "2", "constant": "3", "zero": "2"}


def method_control(place: AbstractContextManager, offered: Sequence[str] = METHODS) -> str:
    """The method control, and a sentence where a link asks for one that this view has not."""
    asked = controls.get("method")
    with place:
        if asked not in offered:
            st.info(
                f"{words.title(asked)} has no steps in this view, so it shows "
                f"{words.in_sentence(offered[0])}."
            )
        return controls.control("method", choices=offered)


def stored_table() -> np.ndarray:
    """The table x of examples and features as the link or its editor has it."""
    return number_table.table_of("x", EXAMPLES, FEATURES)


def edit_table() -> np.ndarray:
    """The same, to edit, with its presets."""
    x = number_table.edit("x", EXAMPLES, FEATURES, "Example", "Feature")
    preset_buttons("x")
    return x


def preset_buttons(name: str) -> None:
    """One button for each ready-made table of the setting `name`."""
    with st.container(horizontal=True, gap="xsmall"):
        for preset, title in PRESETS[name].items():
            st.button(title, key=f"{name}_{preset}", on_click=_take_preset, args=(name, preset))


def _take_preset(name: str, preset: str) -> None:
    """Put the numbers in, and look at the column that they are about."""
    controls.put(name, _TABLES[name][preset])
    if preset in _COLUMN_OF_PRESET:
        controls.put("column", _COLUMN_OF_PRESET[preset])
        number_table.forget_click()


def chosen_row(x: np.ndarray) -> int:
    """The example of the link, counted from 0, as far as the table has it."""
    return min(int(controls.get("row")), len(x)) - 1


def taken_apart(method: str, x: np.ndarray, gamma: float, beta: float, example: int) -> Steps:
    """The steps with the gamma and beta of the sliders, or with those that undo normalizing."""
    steps = arithmetic.normalization_steps(method, x, gamma, beta, controls.get("eps"))
    if controls.get("affine") == "undo":
        undoing = arithmetic.undoing(steps, example)
        return arithmetic.normalization_steps(method, x, *undoing, controls.get("eps"))
    return steps


def caption(x: np.ndarray, method: str) -> str:
    """What a picture of the table is of."""
    return (
        f"{words.count(x.shape[0], 'example')} × {x.shape[1]} features · {words.title(method)} · "
        f"ε {words.number(controls.get('eps'))}"
    )


def formula(method: str) -> str:
    """What gamma and beta make of x̂."""
    return "z = γ x̂" if method == "rms" else "z = γ x̂ + β"


def parameters(steps: Steps) -> dict[str, np.ndarray]:
    """Gamma and, but for RMS norm, beta, one number per feature."""
    gamma = {"γ": steps.gamma[0]}
    return gamma if steps.method == "rms" else gamma | {"β": steps.beta[0]}


def show_arithmetic(lines: Sequence[str]) -> None:
    """The arithmetic of the chosen cell, in two columns where there is room."""
    half = 2 if len(lines) > 3 else 1
    with st.container(key="arithmetic"):
        parts = (lines[:half], lines[half:])
        for column, part in zip(st.columns([3, 2] if half == 2 else 2), parts, strict=True):
            for line in part:
                column.latex(line)


def show_code(method: str, averaged: str = "") -> None:
    """The functions that calculated what is on screen, next to the formula.

    averaged: which numbers share a mean, in words; those of a table where not given.
    """
    from normlib import normalize

    formula = latex.FORMULAS[method]
    if method == "weight":
        source.show_source(normalize.weight_norm, normalize.direction, formula=formula)
        return
    source.show_source(
        normalize.standardize, normalize.average, normalize.scale_shift, formula=formula
    )
    on_table = "all examples of one feature" if method == "batch" else "all features of one example"
    does = "takes the mean square over" if method == "rms" else "averages"
    st.caption(
        "All methods but weight norm run these three functions. "
        f"{words.title(method)} {does} {averaged or on_table}."
    )
