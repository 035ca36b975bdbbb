"""Every gradient in four ways, and mistakes to plant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from pages.components import charts, controls, page, source, theme, turns
from pages.lab import words
from pages.lessons.backward_pass import panels

if TYPE_CHECKING:
    import altair as alt

    from pages.lab.gradient_check import CheckRow

METHODS = ("batch", "layer", "group", "instance", "rms", "weight")
SHAPE, KERNEL_SHAPE = (3, 2, 2, 4), (3, 3, 2, 4)
GROUPS = 2
NAMES = {"x": "x", "gamma": "γ", "beta": "β", "v": "v", "g": "g"}
LARGE = 17  # type of a table that is the whole picture


def QUESTION() -> str:
    method, mistake = controls.get("method"), controls.get("mistake")
    if mistake == "none":
        return "One gradient, found in four ways. Plant a mistake: which gradients still agree?"
    names = {"weight": "v and g", "rms": "x and γ"}.get(method, "x, γ and β")
    title = controls.CONTROLS["mistake"].choices[mistake].lower()
    return f"Planted: {title}. Which gradients does the check find wrong, of {names}?"


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
    charts.show(
        chart(rows, kernel, gradient_check.TOLERANCE),
        "Largest difference from the hand-derived gradient, relative to its largest entry; ✓ is at "
        f"most {words.rounded(gradient_check.TOLERANCE, 1)} · {words.title(method)} · {shape} "
        f"random numbers, seed {seed} · float64"
        + ("" if kernel else f" · ε {words.number(epsilon)}"),
        "checks",
        main=True,
    )
    wrong = {row.name for row in rows if not row.agrees}
    page.answer(answer(rows, mistake), wrong=wrong)
    with st.expander("More settings", icon=":material/tune:", key="more", type="compact"):
        controls.control("seed", help="Decides all the random numbers.")
    by_hand = [gradients.backward, gradients.backward_terms]
    source.show_source(
        *([gradients.weight_norm_backward] if kernel else by_hand),
        *([] if mistake == "none" else [mistakes[mistake]]),
        gradient_check.check,
        label="The code: by hand, the planted mistake, the check",
        key="code_of_check",
    )


def chart(rows: Sequence[CheckRow], kernel: bool, tolerance: float) -> charts.Chart:
    """A row for each gradient, a column for each way; what is wrong is filled and has a cross."""
    ways = {
        "tape": "TensorFlow's tape",
        "central differences": "Central differences",
        "library": "tf.nn.l2_normalize" if kernel else "Keras's layer",
    }
    cells: list[dict] = []
    for row in rows:
        for way, title in ways.items():
            off = row.differences["by hand", way]
            wrong = not off <= tolerance
            text = f"{'✗' if wrong else '✓'} {words.rounded(off, 2 if wrong else 1)}"
            cell = {"gradient": f"d{NAMES[row.name]}", "way": title, "difference": off}
            cells.append(cell | {"wrong": wrong, "text": text})
    told = "; ".join(f"{one['gradient']}, {one['way']}: {one['text']}" for one in cells)
    names = tuple(dict.fromkeys(one["gradient"] for one in cells))
    data = charts.frame(cells)
    panel = (_spec(names, tuple(ways.values())), data)
    return charts.Chart((panel,), f"{told}.", data.drop(columns="text"))


@charts.spec
def _spec(rows: tuple[str, ...], columns: tuple[str, ...]) -> alt.TopLevelMixin:
    import altair as alt

    axis: dict[str, Any] = {"labelFontSize": LARGE, "labelLimit": 300, "grid": False}
    top = alt.Axis(orient="top", labelAngle=0, **axis)
    base = alt.Chart().encode(
        x=alt.X("way:N", sort=list(columns), title=None, axis=top),
        y=alt.Y("gradient:N", sort=list(rows), title=None, axis=alt.Axis(**axis)),
    )
    filled = alt.condition("datum.wrong", alt.value(0.4), alt.value(0))
    boxes = base.mark_rect(fill=theme.color("", 0), stroke=theme.NEUTRAL)
    text = base.mark_text(fontSize=LARGE + 3).encode(text="text:N")
    return alt.layer(boxes.encode(fillOpacity=filled), text).properties(height=panels.HEIGHT)


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
