"""Each variance against epsilon: where epsilon is the larger one, it decides the result."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.components import activations, charts, page
from pages.components.activations import Origin
from pages.lab.words import in_sentence, listed, number, percent, rounded, title
from pages.lessons.activation_statistics.channel_charts import variances

QUESTION = "Epsilon decides the result where a variance is smaller. How many variances are?"
OPTIONS = page.within(
    "below", {1e-9: "None", 0.5: "Less than half", 1.0: "Half or more, not all"}, "All"
)


def show() -> None:
    origin, methods, epsilon, caption = activations.draw_controls()
    if methods:
        show_variances(origin, methods, epsilon, caption)
        activations.show_digits(origin)
        activations.show_code([method for method in methods if method not in ("none", "weight")])
    activations.draw_origin_controls()


def show_variances(origin: Origin, methods: tuple[str, ...], epsilon: float, caption: str) -> None:
    from pages.lab.activations import shrink_factors

    found, answers = {}, []
    for method in methods:
        under = activations.variances(origin, method, epsilon)
        if under.size:
            unit, factors = unit_of(method, origin), shrink_factors(under, epsilon)
            found[method] = under, factors, unit
            answers.append(answer_to(method, under, factors, epsilon, unit))
    if found:
        more = "filled: variance above epsilon, hollow: below"
        charts.show(variances(found, epsilon), f"{caption} · {more}", "microscope", main=True)
        every = np.concatenate([under for under, *_ in found.values()])
        page.answer("\n\n".join(answers), below=float((every < epsilon).mean()))
    else:
        with page.picture():
            st.caption("Choose batch, layer, group, instance or RMS norm.")
    if without := [method for method in methods if method not in found]:
        names = listed([title(without[0]), *map(in_sentence, without[1:])])
        st.caption(
            f"{names} {'is' if len(without) == 1 else 'are'} not shown: nothing is divided there, "
            "so epsilon plays no part."
        )


def unit_of(method: str, origin: Origin) -> str:
    """What has one variance of its own, by the method."""
    return {
        "batch": origin.unit,
        "layer": "example",
        "rms": "example",
        "group": "group of an example",
        "instance": "channel of an example",
    }[method]


def answer_to(
    method: str, variances: np.ndarray, factors: np.ndarray, epsilon: float, unit: str
) -> str:
    text = f"**{title(method)}:** one variance, {rounded(variances[0], 2)}."
    if len(variances) > 1:
        text = (
            f"**{title(method)}:** {len(variances)} variances, one per {unit}, "
            f"from {rounded(variances.min(), 2)} to {rounded(variances.max(), 2)}."
        )
    zero = int((variances == 0).sum())
    if zero:
        text += (
            f" {zero} of them {'are' if zero > 1 else 'is'} 0: without epsilon that would be "
            "0 / 0, and epsilon makes it 0."
        )
    below = np.flatnonzero(variances < epsilon)
    if len(below) > zero:
        text += (
            f" {who_lies_below(below, len(variances), unit)} below ε = {number(epsilon)}"
            f"{names_of(below, len(variances), unit)}: epsilon shrinks "
            f"{'them' if len(below) > 1 else 'it'} to less than 71% of the standard deviation."
        )
    elif not zero:
        left = np.floor(1e4 * factors.min()) / 1e4  # 99.99 % is not 100 %
        text += (
            f" {'All lie' if len(variances) > 1 else 'It lies'} above ε = {number(epsilon)}; "
            f"at least {percent(left, 2)} of the standard deviation is left."
        )
    return text


def who_lies_below(below: np.ndarray, count: int, unit: str) -> str:
    if count == 1:
        return "It lies"
    if len(below) < count:
        return f"{len(below)} of {count} lie"
    return f"All {count} {unit}s lie" if " " not in unit else f"All {count} lie"


def names_of(below: np.ndarray, count: int, unit: str) -> str:
    """Which they are, where they are few; "group of an example" has no number on the axis."""
    if len(below) in (0, count) or len(below) > 12 or " " in unit:
        return ""
    return f" ({unit}{'s' if len(below) > 1 else ''} {listed(map(str, below))})"
