"""Every gradient in four ways, and mistakes to plant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.components import controls, page, source, turns
from pages.components.control_table import MISTAKES
from pages.lab import words

if TYPE_CHECKING:
    from pages.lab.gradient_check import CheckRow

METHODS = ("batch", "layer", "group", "instance", "rms", "weight")
SHAPE, KERNEL_SHAPE = (3, 2, 2, 4), (3, 3, 2, 4)
GROUPS = 2
NAMES = {"x": "x", "gamma": "γ", "beta": "β", "v": "v", "g": "g"}
OPTIONS = {
    "None": lambda seen: not seen["wrong"],
    "That of x or v alone": lambda seen: len(seen["wrong"]) == 1 and seen["wrong"] <= {"x", "v"},
    "That of γ, β or g alone": lambda seen: (
        len(seen["wrong"]) == 1 and not seen["wrong"] <= {"x", "v"}
    ),
    "More than one": lambda seen: len(seen["wrong"]) > 1,
}
_AS_PICTURE = "<style>.st-key-picture table { height: 340px; font-size: 1.3rem; }</style>"


def QUESTION() -> str:
    method, mistake = controls.get("method"), controls.get("mistake")
    names = {"weight": "v and g", "rms": "x and γ"}.get(method, "x, γ and β")
    planted = MISTAKES[4:] if method == "weight" else MISTAKES[:4]
    if mistake not in planted:
        return f"The gradients of {names}, each found in four ways: which of them disagree?"
    return f"Planted: {mistake}. Which gradients does the check find wrong, of {names}?"


@st.cache_resource(max_entries=128, show_spinner="Calculating the gradients in four ways.")
def checked(method: str, epsilon: float, mistake: str, seed: int) -> list[CheckRow]:
    from pages.lab import gradient_check

    shape = KERNEL_SHAPE if method == "weight" else SHAPE
    x = np.random.default_rng(seed).normal(1.0, 2.0, shape)
    planted = None if mistake == "none" else mistake
    return gradient_check.check(
        method, x, epsilon=epsilon, groups=GROUPS, mistake=planted, seed=seed
    )


def show() -> None:
    from normlib import gradients
    from pages.lab import gradient_check

    first, second, third = page.control_columns(1.1, 1.5, 1.5)
    method = controls.control("method", first, choices=METHODS)
    mistakes = gradient_check.mistakes(method)
    mistake = controls.control("mistake", second, choices=("none", *mistakes))
    kernel = method == "weight"
    epsilon = controls.control("eps", third, disabled=kernel)
    seed = controls.get("seed")
    with turns.let_others():
        rows = checked(method, epsilon, mistake, seed)
    shape = " × ".join(map(str, KERNEL_SHAPE if kernel else SHAPE))
    ways = {"tape": "Tape", "central differences": "Differences"}
    ways |= {"library": "TensorFlow" if kernel else "Keras"}
    tolerance = gradient_check.TOLERANCE
    with page.picture():
        st.html(_AS_PICTURE)
        st.table(
            [
                {"Gradient": f"**d{NAMES[row.name]}**"}
                | {title: cell(row, way, tolerance) for way, title in ways.items()}
                for row in rows
            ],
            hide_index=True,
        )
    st.caption(
        "Largest difference from the hand-derived gradient, relative to its largest entry, of "
        "TensorFlow's tape, of central differences and of "
        f"{'tf.nn.l2_normalize' if kernel else 'the layer of Keras'}. ✓ means at most "
        f"{words.rounded(tolerance, 1)}. {words.title(method)} on {shape} random numbers · float64 "
        + ("" if kernel else f"· ε {words.minus(words.number(epsilon))} ")
        + f"· seed {seed}"
    )
    wrong = {row.name for row in rows if not row.agrees}
    page.answer(answer(rows, mistake), wrong=wrong)
    with page.more_settings():
        controls.control("seed", help="Decides all the random numbers.")
    by_hand = [gradients.backward, gradients.backward_terms]
    source.show_source(
        *([gradients.weight_norm_backward] if kernel else by_hand),
        *([] if mistake == "none" else [mistakes[mistake]]),
        gradient_check.check,
        label="The code: by hand, the planted mistake, the check",
        key="code_of_check",
    )


def cell(row: CheckRow, way: str, tolerance: float) -> str:
    """The difference with a check, or with a cross and filled."""
    off = row.differences["by hand", way]
    if off <= tolerance:
        return f"✓ {words.rounded(off, 1)}"
    return f":violet-background[**✗ {words.rounded(off, 2)}**]"


def answer(rows: Sequence[CheckRow], mistake: str) -> str:
    worst = max(row.worst for row in rows)
    right = [NAMES[row.name] for row in rows if row.agrees]
    wrong = [NAMES[row.name] for row in rows if not row.agrees]
    if not wrong:
        more = "No gradient here notices this mistake."
        if mistake == "none":
            more = "Now plant a mistake and see which gradients notice."
        return (
            f"All four ways agree on {words.listed(right)}: the largest difference is "
            f"{words.rounded(worst, 1)}. {more}"
        )
    text = (
        f"The mistake shows in the gradient of {words.listed(wrong)}, off by up to "
        f"{words.rounded(worst, 2)}. "
    )
    if right == ["β"]:
        text += "β's passes: it is the sum of dz, whatever happens to x. "
    elif right:
        text += f"A check of {words.listed(right)} alone passes and proves nothing. "
    if mistake in ("statistics as constants", "norm as a constant"):
        text += (
            "Central differences stay right: the layer's values are, and only the tape was told to "
            "treat something as constant."
        )
    return text
