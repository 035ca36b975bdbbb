"""What the lessons of Step by step share: the table, its arithmetic and its code."""

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


def last(name: str, numbers: np.ndarray) -> np.ndarray:
    """The table of the setting `name` before its last change; a link changes the default one."""
    text, default = arithmetic.format_table(numbers), controls.CONTROLS[name].default
    seen = st.session_state.setdefault(f"_{name}_seen", {"now": default, "last": default})
    if seen["now"] != text:
        seen.update(last=seen["now"], now=text)
    return arithmetic.parse_table(seen["last"], EXAMPLES, numbers.shape[1])


def counted_changes(was: np.ndarray) -> str:
    """`: 4 of 12 changed`, where some did."""
    changed = int((~np.isnan(was)).sum())
    return f": {changed} of {was.size} changed" if changed else ""


def chosen_row(x: np.ndarray) -> int:
    """The example of the link, counted from 0, as far as the table has it."""
    return min(int(controls.get("row")), len(x)) - 1


def taken_apart(method: str, x: np.ndarray) -> Steps:
    """The steps with the ε, gamma and beta of the sliders."""
    chosen = map(controls.get, ("gamma", "beta", "eps"))
    return arithmetic.normalization_steps(method, x, *chosen)


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
    does = "takes the mean square of" if method == "rms" else "averages"
    st.caption(
        "All methods but weight norm run these three functions. "
        f"{words.title(method)} {does} {averaged or on_table}."
    )
