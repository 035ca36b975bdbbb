"""Whether gamma and beta can undo a normalization."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.components import charts, controls, number_table, page
from pages.components.charts import Chart
from pages.lab import words
from pages.lab.arithmetic import Steps, equal
from pages.lessons.step_by_step import parts, weight


def QUESTION() -> str:
    if controls.get("method") == "weight":
        return weight.QUESTION
    if controls.get("method") == "rms":
        return "RMS norm divides by the root mean square. Can γ give it back?"
    return "Normalizing takes away the mean and the spread. Can γ and β give both back?"


def show() -> None:
    first, second, third, fourth = page.control_columns(1.1, 1.6, 1, 1)
    method = parts.method_control(first)
    label = {"weight": "g", "rms": "Gamma"}.get(method, "")
    undo = controls.control("affine", second, label=label) == "undo"
    if method != "weight" and not undo:
        controls.control("gamma", third, step=0.1)
        controls.control("beta", fourth, step=0.1, disabled=method == "rms")
    if method == "weight":
        weight.show()
        return
    x = parts.stored_table()
    row = parts.chosen_row(x)
    steps = parts.taken_apart(method, x, controls.get("gamma"), controls.get("beta"), row)
    charts.show(undone_chart(steps), parts.caption(x, method), "undo")
    goal, usual = "γ = root, β = mean", "γ = 1, β = 0"
    if method == "rms":
        goal, usual = "γ = root", "γ = 1"
    st.button(
        f"Set {usual}" if undo else f"Undo: set {goal}",
        icon=":material/undo:",
        type="primary",
        key="undo_button",
        on_click=_set_affine,
        args=(not undo,),
    )
    page.answer(answer(steps, undo, row))
    parts.show_code(method)


def _set_affine(undo: bool) -> None:
    controls.put("affine", "undo" if undo else "own")
    if not undo:
        controls.put("gamma", 1.0)
        controls.put("beta", 0.0)


def undone_chart(steps: Steps) -> Chart:
    """x, x_hat and z, in which the numbers that equal their x are highlighted."""
    back = equal(steps.z, steps.x)
    z = number_table.table(steps.z, highlighted=back, below=parts.parameters(steps))
    drawn = {
        "x": number_table.table(steps.x),
        "x̂, normalized": number_table.table(steps.x_hat),
        f"{parts.formula(steps.method)}; highlighted: equals x": z,
    }
    listed = {one: getattr(steps, one) for one in ("x", "x_hat", "gamma", "beta", "z")}
    summary = f"{back.sum()} of {back.size} z equal their x."
    return number_table.chart(steps.method, drawn, summary, listed)


def answer(steps: Steps, undo: bool, example: int) -> str:
    back = equal(steps.z, steps.x)
    parameters = "γ = root" if steps.method == "rms" else "γ = root and β = mean"
    per_example = steps.method != "batch"
    if not undo:
        learned = "γ is learned" if steps.method == "rms" else "γ and β are learned"
        return (
            f"{back.sum()} of {back.size} z equal their x. {learned}, and nothing stops training "
            f"from reaching {parameters}{', those of one example' if per_example else ''}."
        )
    if per_example and len(steps.x) > 1:
        one, are = "a mean and a root", "γ and β are per feature: here they are those"
        if steps.method == "rms":
            one, are = "a root", "γ is per feature: here it is that"
        return (
            f"{back.sum()} of {back.size} z equal their x. {words.title(steps.method)} has {one} "
            f"per example, and {are} of example {example + 1}. No setting gives back all examples "
            "at once."
        )
    if len(steps.x) == 1:
        return (
            f"{back.sum()} of {back.size} z equal their x, because there is but one example. "
            + (
                f"Another would have another root, and {parameters} would have to change with it."
                if per_example
                else "In a batch of one x̂ is 0 and z is β: it would be the same for any other x."
            )
        )
    off = float(np.abs(steps.z - steps.x).max())
    rounding = f", but for {words.rounded(off, 1)} of rounding" if off else ""
    return (
        f"With {parameters} {back.sum()} of {back.size} z equal their x{rounding}. So for fixed "
        "statistics normalizing takes no function away; but in training the next batch has "
        "another mean and root, which the same γ and β do not give back."
    )
