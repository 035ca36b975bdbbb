"""Every gradient in four ways, and mistakes to plant."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.components import controls, page, source, turns
from pages.lab import words

METHODS = ("batch", "layer", "group", "instance", "rms", "weight")
SHAPE, KERNEL_SHAPE = (3, 2, 2, 4), (3, 3, 2, 4)
GROUPS = 2
NAMES = {"x": "x", "gamma": "γ", "beta": "β", "v": "v", "g": "g"}


def QUESTION() -> str:
    if controls.get("method") == "weight":
        return (
            "Plant a mistake: treat ‖v‖ as a constant. Which gradients still pass the check: "
            "v's, g's?"
        )
    learned = "γ's" if controls.get("method") == "rms" else "γ's, β's"
    return (
        "Plant a mistake: treat the statistics as constants. Which gradients still pass the "
        f"check: {learned}, x's?"
    )


@st.cache_resource(max_entries=128, show_spinner="Calculating the gradients in four ways.")
def checked(method: str, epsilon: float, mistake: str, seed: int) -> list[dict]:
    """One row per gradient: the largest relative difference of each way from the one by hand."""
    from pages.lab import gradient_check

    shape = KERNEL_SHAPE if method == "weight" else SHAPE
    x = np.random.default_rng(seed).normal(1.0, 2.0, shape)
    planted = None if mistake == "none" else mistake
    found = gradient_check.check(
        method, x, epsilon=epsilon, groups=GROUPS, mistake=planted, seed=seed
    )
    hand, *others = gradient_check.WAYS
    return [
        {"name": row.name, "worst": row.worst} | {way: row.differences[hand, way] for way in others}
        for row in found
    ]


def show() -> None:
    from normlib import gradients
    from pages.lab import gradient_check

    first, second, third, fourth = page.control_columns(1.1, 1.5, 1.5, 1.1)
    method = controls.control("method", first, choices=METHODS)
    mistakes = ("none", *gradient_check.mistakes(method))
    mistake = controls.control("mistake", second, choices=mistakes)
    epsilon = controls.control("eps", third, disabled=method == "weight")
    seed = controls.control("seed", fourth)
    with turns.let_others():
        rows = checked(method, epsilon, mistake, seed)
    kernel, tolerance = method == "weight", gradient_check.TOLERANCE
    ways = {
        "tape": "Tape",
        "central differences": "Differences",
        "library": "TensorFlow" if kernel else "Keras",
    }
    st.table(
        [
            {"Gradient of": f"**{NAMES[row['name']]}**"}
            | {title: verdict(row[way], tolerance) for way, title in ways.items()}
            for row in rows
        ],
        hide_index=True,
    )
    shape = " × ".join(map(str, KERNEL_SHAPE if kernel else SHAPE))
    st.caption(
        "Largest difference from the hand-derived gradient, relative to its largest entry: of "
        "TensorFlow's tape, of central differences and of "
        f"{'tf.nn.l2_normalize' if kernel else 'the layer of Keras'}. ✓ means at most "
        f"{words.rounded(tolerance, 1)}. {words.title(method)} on {shape} random numbers · float64"
        + ("" if kernel else f" · ε {words.minus(words.number(epsilon))}")
        + f" · seed {seed}"
    )
    page.answer(answer(rows, mistake, tolerance))
    if kernel:
        source.show_source(gradients.weight_norm_backward, label="By hand")
    else:
        functions = (gradients.backward, gradients.backward_terms)
        source.show_source(*functions, label="By hand", key="by_hand")
    if mistake != "none":
        planted = gradient_check.mistakes(method)[mistake]
        source.show_source(planted, label="The planted mistake", key="planted")
    source.show_source(gradient_check.check, label="The check", key="the_check")


def verdict(difference: float, tolerance: float) -> str:
    """The difference with a green check or a red cross."""
    if difference <= tolerance:
        return f":green[:material/check: {words.rounded(difference, 1)}]"
    return f":red[:material/close: **{words.rounded(difference, 2)}**]"


def answer(rows: list[dict], mistake: str, tolerance: float) -> str:
    worst = max(row["worst"] for row in rows)
    right = [NAMES[row["name"]] for row in rows if row["worst"] <= tolerance]
    wrong = [NAMES[row["name"]] for row in rows if not row["worst"] <= tolerance]
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
        text += "β never notices: its gradient is the sum of dz, whatever happens to x. "
    elif right:
        text += f"A check of {words.listed(right)} alone passes and proves nothing. "
    if max(row["central differences"] for row in rows) <= tolerance:
        text += (
            "Central differences stay right: the layer gives the right values, and only the tape "
            "was told to look away."
        )
    return text
