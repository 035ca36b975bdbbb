"""Whether gamma and beta can undo a normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from pages.components import charts, controls, number_table, page
from pages.components.charts import Chart
from pages.lab import arithmetic, words
from pages.lab.arithmetic import Steps, equal
from pages.lessons.step_by_step import parts, presets, weight

# The next batch: other numbers, with other means and variances.
NEXT = np.array([[9, -2, 0], [3, 4, 6], [1, 8, 10], [7, 2, 4]], float)


OPTIONS = page.options_of("undo")


def QUESTION() -> str:
    if controls.get("method") == "weight":
        return "Weight norm divides each v by its length. Can some g give v back?"
    if controls.get("method") == "rms":
        return "RMS norm divides by √(mean x² + ε). Can γ give it back, in the next batch too?"
    return "Normalizing removes mean and variance. Can γ and β restore both, in the next batch too?"


def show() -> None:
    first, second, third, fourth, fifth = page.control_columns(1.1, 1.1, 1.3, 1, 1)
    method = parts.method_control(first)
    label = {"weight": "g", "rms": "Gamma"}.get(method, "")
    undo = controls.control("affine", third, label=label) == "undo"
    if method == "weight":
        weight.show(second, fourth, fifth, undo=undo)
        return
    presets.preset_control("x", second)
    controls.control("gamma", fourth, step=0.1, disabled=undo)
    controls.control("beta", fifth, step=0.1, disabled=undo or method == "rms")
    x = parts.stored_table()
    row = parts.chosen_row(x)
    own = parts.taken_apart(method, x)
    undone, later = both(own, *arithmetic.undoing(own, row))
    facts = given_back(undone, later)
    if not undo:
        undone, later = both(own, own.gamma[0], own.beta[0])
    charts.show(undone_chart(undone, later), parts.caption(x, method), "undo", main=True)
    page.answer(answer(undone, later, undo, row), **facts)
    parts.show_code(method)


def given_back(undone: Steps, later: Steps) -> dict[str, Any]:
    """Whether all of this batch's z equal their x, and all of the next one's."""
    here, after = (bool(equal(one.z, one.x).all()) for one in (undone, later))
    return {"here": here, "next": after}


def both(steps: Steps, gamma: np.ndarray, beta: np.ndarray) -> tuple[Steps, Steps]:
    """This batch and the next one, with the same gamma and beta."""
    this, later = (
        arithmetic.normalization_steps(steps.method, x, gamma, beta, steps.epsilon)
        for x in (steps.x, NEXT[: len(steps.x)])
    )
    return this, later


def undone_chart(steps: Steps, later: Steps) -> Chart:
    """x and z of this batch and of the next; the z that equal their x are highlighted."""
    back, back_later = (equal(one.z, one.x) for one in (steps, later))
    equals = f"{back.sum()} of {back.size} equal x"
    x, x_later = (number_table.table(one.x, below=statistics(one)) for one in (steps, later))
    drawn = {
        "This batch, x": x,
        f"{parts.formula(steps.method)}: {equals}": number_table.table(
            steps.z, highlighted=back, below=parts.parameters(steps)
        ),
        "Next batch, x": x_later,
        f"Its z: {back_later.sum()} of {back.size} equal x": number_table.table(
            later.z, highlighted=back_later, below=parts.parameters(later)
        ),
    }
    listed = {one: getattr(steps, one) for one in ("x", "x_hat", "gamma", "beta", "z")}
    listed |= {"next x": later.x, "next z": later.z}
    summary = (
        f"{back.sum()} of {back.size} z equal their x, and {back_later.sum()} of the next batch's."
    )
    return number_table.chart(steps.method, drawn, summary, listed)


def statistics(steps: Steps) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each feature, where the method has one of each."""
    if steps.method != "batch":
        return {}
    return {"mean": steps.mean[0], "σ": np.sqrt(steps.variance[0])}


def answer(steps: Steps, later: Steps, undo: bool, example: int) -> str:
    back, back_later = (equal(one.z, one.x) for one in (steps, later))
    denominator = f"√({'mean x²' if steps.method == 'rms' else 'σ²'} + ε)"
    parameters = f"γ = {denominator}" + ("" if steps.method == "rms" else " and β = μ")
    per_example = steps.method != "batch"
    counted = (
        f"{back.sum()} of {back.size} z equal their x, and {back_later.sum()} of {back.size} in "
        "the next batch"
    )
    if not undo:
        learned = "γ is learned" if steps.method == "rms" else "γ and β are learned"
        return f"{counted}. {learned}: training may reach {parameters}, which “Undo” sets."
    if per_example:
        return (
            f"{counted}. {words.title(steps.method)} has {parameters} per example, but γ "
            f"{'is' if steps.method == 'rms' else 'and β are'} per feature: here those of example "
            f"{example + 1}, and no setting gives back examples with different ones."
        )
    if len(steps.x) == 1:
        return f"{counted}. In a batch of one x̂ is 0 and z is β, whatever x is."
    return (
        f"{counted}: it has another mean and variance. With fixed statistics, as at inference, "
        f"{parameters} make the layer the identity; in training no γ and β do so for every batch, "
        "but they let it choose the mean and scale of z."
    )
