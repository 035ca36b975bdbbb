"""Which changes of weights or data each method does not notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import activations, charts, page, source, turns
from pages.components.activations import Origin
from pages.lab.words import count, in_sentence, minus, number, rounded, title

if TYPE_CHECKING:
    import pandas as pd

    from pages.lab.invariances import Invariance

QUESTION = "All weights become three times as large. With which methods does the output change?"
OPTIONS = {
    "With none": lambda seen: not seen["notices"],
    "Without normalization only": lambda seen: seen["notices"] == {"none"} != seen["shown"],
    "With all": lambda seen: seen["notices"] == seen["shown"],
    "With others": lambda seen: seen["notices"] not in (set(), {"none"}, seen["shown"]),
}
EXACT = 1e-9  # in float64, a deviation below this is rounding
IMAGES = 64
LEGEND = (
    "✓ nothing changes · ≈ only epsilon lets it change · ✗ it changes · \\* the layer-norm paper "
    "says otherwise, of dense layers. Each number is the largest change of an output, relative to "
    "the largest output, in float64. A convolution is applied without padding here: padded zeros "
    "would not move with the rest."
)


def show() -> None:
    from pages.lab import invariances

    origin, methods, epsilon, caption = activations.draw_controls()
    if methods:
        with turns.let_others():
            found = {method: deviations(origin, method, epsilon) for method in methods}
            padded = {
                method: deviations(origin, method, epsilon, "SAME")
                for method in methods
                if origin.layer == "conv"
            }
        with page.picture():
            st.table(table_of(found), hide_index=True, alt="Which method notices which change")
        st.caption(LEGEND + broken_by_padding(found, padded))
        st.caption(minus(f"{caption} · {count(min(origin.batch, IMAGES), 'digit')}"))
        notices = {method for method, cells in found.items() if not cells[0].holds}
        page.answer(answer_to(found, epsilon), notices=notices, shown=set(found))
        source.show_source(invariances.table, label="The code that changed weights and data")
        activations.show_digits(origin)
        activations.show_code(methods)
    activations.draw_origin_controls()


@st.cache_resource(max_entries=256, show_spinner=False)
def deviations(
    origin: Origin, method: str, epsilon: float, padding: str = "VALID"
) -> list[Invariance]:
    """How much of each change the method lets through, on this batch and these weights."""
    from pages.lab import invariances

    x, kernel, groups = activations.plain_layer(origin._replace(batch=min(origin.batch, IMAGES)))
    return invariances.table(x, kernel, epsilon, [method], groups=groups, padding=padding)


def broken_by_padding(
    found: Mapping[str, Sequence[Invariance]], padded: Mapping[str, Sequence[Invariance]]
) -> str:
    """What holds without padding and changes ten times as much or more with it, as in the CNN."""
    told = [
        f"{in_sentence(method)}, {with_it.transformation}: {rounded(with_it.deviation, 2)}"
        for method, cells in padded.items()
        for without, with_it in zip(found[method], cells, strict=True)
        if without.holds and with_it.deviation > max(EXACT, 10 * without.deviation)
    ]
    return f" With padding, as in the network: {'; '.join(told)}." if told else ""


def table_of(found: Mapping[str, Sequence[Invariance]]) -> pd.DataFrame:
    """One row per change, one column per method."""
    from pages.lab.invariances import TRANSFORMATIONS

    return charts.frame(
        [
            {"What changes": change.capitalize()}
            | {title(method): cell_of(column[index]) for method, column in found.items()}
            for index, change in enumerate(TRANSFORMATIONS)
        ]
    )


def cell_of(cell: Invariance) -> str:
    mark = ("✓" if cell.deviation < EXACT else "≈") if cell.holds else "✗"
    differs = " *" if cell.paper is not None and cell.paper != cell.holds else ""
    return f"{mark} {rounded(cell.deviation, 2)}{differs}"


def answer_to(found: Mapping[str, Sequence[Invariance]], epsilon: float) -> str:
    """How much each method does not notice, and what epsilon lets through."""
    counts = ", ".join(
        f"{title(method)} {sum(cell.holds for cell in cells)}" for method, cells in found.items()
    )
    held = [cell for cells in found.values() for cell in cells if cell.holds]
    text = f"Of {len(next(iter(found.values())))} changes these go unnoticed: {counts}."
    if not held:
        return text
    worst = max(held, key=lambda cell: cell.deviation)
    if worst.deviation < EXACT:
        return f"{text} What is left of them is rounding, at most {rounded(worst.deviation, 2)}."
    return (
        f"{text} Where it says ≈, ε = {number(epsilon)} lets up to {rounded(worst.deviation, 2)} "
        f"through ({title(worst.method)}, {worst.transformation}): it does not grow with what it "
        "is added to."
    )
