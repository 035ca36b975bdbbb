"""The answers of the activation page, in sentences and tables computed from what is on screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isclose
from typing import TYPE_CHECKING, Any

import numpy as np

from pages.components import charts, controls, theme
from pages.components.activations import Asked, Seen, divides

if TYPE_CHECKING:
    import pandas as pd

    from pages.lab.invariances import Invariance

NUMBERS = ("Mean", "Std", "Min", "15 %", "50 %", "85 %", "Max")
STEPS = {"before": "Before", "normalized": "Normalized", "relu": "After ReLU"}  # in a narrow column
EXACT = 1e-9  # in float64, a deviation below this is rounding


def short(value: float) -> str:
    """Two digits: 0.43, 5.3e-4."""
    text = controls.number(float(f"{value:.2g}")) if np.isfinite(value) else str(value)
    return controls.minus(text)


def unit_of(layer: str) -> str:
    """What a layer has many of."""
    return "channel" if layer == "conv" else "unit"


def variance_unit(method: str, layer: str) -> str:
    """What has one variance of its own, by the method."""
    channel = unit_of(layer)
    return {
        "batch": channel,
        "layer": "example",
        "rms": "example",
        "group": "group of an example",
        "instance": "channel of an example",
    }[method]


def stage_titles(seen: Sequence[Seen]) -> dict[str, str]:
    titles = {
        "before": "Before normalization",
        "normalized": "After normalization",
        "relu": "After ReLU",
    }
    return {step: titles[step] for step in seen[0].steps}


# ---- the tables ----------------------------------------------------------------------------------


def statistics_table(seen: Sequence[Seen]) -> pd.DataFrame:
    """One row per step; methods with the same numbers, but for rounding, share it."""
    rows: list[dict[str, Any]] = []
    owners: list[list[str]] = []
    titles = {step: STEPS[step] for step in stage_titles(seen)}
    for one in seen:
        for step, summary in one.steps.items():
            if step == "normalized" and summary is one.before:
                continue
            numbers = [
                summary.overall_mean,
                summary.overall_std,
                summary.minimum.min(),
                *summary.percentiles,
                summary.maximum.max(),
            ]
            row = {
                "Step": titles[step],
                "Method": "",
                # 5e-9 is 0 with the rounding of float32
                **{
                    name: round(float(x), 6) + 0.0 for name, x in zip(NUMBERS, numbers, strict=True)
                },
                "Zeros": float(summary.zeros.sum() / summary.values),
                "Dead": f"{int(summary.dead.sum())} of {len(summary.dead)}"
                if step == "relu"
                else "",
            }
            same = next((i for i, other in enumerate(rows) if alike(row, other)), len(rows))
            if same == len(rows):
                rows.append(row)
                owners.append([])
            owners[same].append(theme.title(one.method))
    for row, names in zip(rows, owners, strict=True):
        row["Method"] = owners_words(names, seen)
    order = list(titles.values())
    return charts.frame(sorted(rows, key=lambda row: order.index(row["Step"])))


def alike(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two rows of one step show the same numbers."""
    return (row["Step"], row["Dead"]) == (other["Step"], other["Dead"]) and all(
        isclose(row[name], other[name], rel_tol=1e-5, abs_tol=1e-5) for name in (*NUMBERS, "Zeros")
    )


def owners_words(owners: list[str], seen: Sequence[Seen]) -> str:
    others = [title for one in seen if (title := theme.title(one.method)) not in owners]
    if len(owners) > 1 and len(others) < 2:
        return f"All but {others[0]}" if others else "All"
    return ", ".join(owners)


def invariances_table(found: Mapping[str, Sequence[Invariance]]) -> pd.DataFrame:
    """One row per change, one column per method."""
    from pages.lab.invariances import TRANSFORMATIONS

    rows = []
    for index, change in enumerate(TRANSFORMATIONS):
        cells = {theme.title(m): cell_words(column[index]) for m, column in found.items()}
        rows.append({"What changes": change.capitalize(), **cells})
    return charts.frame(rows)


def cell_words(cell: Invariance) -> str:
    mark = ("✓" if cell.deviation < EXACT else "≈") if cell.holds else "✗"
    differs = " *" if cell.paper is not None and cell.paper != cell.holds else ""
    return f"{mark} {short(cell.deviation)}{differs}"


# ---- the answers ---------------------------------------------------------------------------------


def histograms_answer(seen: Sequence[Seen], asked: Asked, epsilon: float) -> str:
    sentences = []
    for one in seen:
        z, r = one.normalized, one.relu
        mean = round(z.overall_mean, 2) + 0.0  # no "-0.00"
        text = f"**{theme.title(one.method)}:** mean {mean:.2f}, std {z.overall_std:.2f}"
        if not z.finite:
            sentences.append(text + "; some values are not finite numbers.")
            continue
        text += (
            f"; after ReLU mean {r.overall_mean:.2f}, std {r.overall_std:.2f}, "
            f"{r.zeros.sum() / r.values:.0%} zeros."
        )
        sentences.append(text + "".join(f" {why}" for why in reasons(one, asked, epsilon)))
    if not any(one.relu.dead.any() for one in seen):
        sentences.append(
            f"No {unit_of(asked.layer)} is dead: after ReLU each lets something of some digit "
            "through."
        )
    return "\n\n".join(sentences)


def reasons(one: Seen, asked: Asked, epsilon: float) -> Iterable[str]:
    """What happened at the ends of the sliders, and why, where it did."""
    if one.method == "batch":
        per_mean = one.before.count
        if per_mean == 1:
            yield (
                "With one digit each unit has a single number. It is its own mean, its variance is "
                f"{np.square(one.before.std).max():.0f}, and (x − mean) / √(0 + ε) is 0 whatever "
                "the digit shows: only β is left."
            )
            return
        share = one.before.zeros.sum() / one.before.values
        if share > 0.2:
            yield (
                f"{share:.0%} of the values were exactly 0, over the empty background; now they "
                "are one value per channel, the teeth of the comb."
            )
        if asked.batch == 1:
            yield (
                f"With one digit a channel's mean is that of {per_mean:,} positions of this digit "
                "alone: batch norm does here what instance norm does."
            )
    if divides(one.method) and one.normalized.overall_std < 0.9:
        per_channel = one.method == "batch"
        variance = np.square(one.before.std if per_channel else one.before.overall_std)
        typical, whose = float(np.median(variance)), "median channel's" if per_channel else "whole"
        if epsilon > 0.1 * typical > 0:
            yield (
                f"ε = {controls.number(epsilon)} is {short(epsilon / typical)} times the {whose} "
                f"variance, {short(typical)}: the root is larger than the spread, and dividing by "
                "it leaves less than 1."
            )
    if one.method == "weight":
        yield "It rebuilds the kernel and leaves the activations alone."


def channels_answer(seen: Sequence[Seen], unit: str) -> str:
    sentences = []
    for one in seen:
        z = one.normalized
        apart, low, high = float(np.ptp(z.mean)), float(z.std.min()), float(z.std.max())
        if apart < 0.005 and high - low < 0.005:
            text = f"every {unit} has mean {z.overall_mean + 0.0:.2f} and std {low:.2f}."
        else:
            means = (
                f"every {unit} has mean {z.overall_mean + 0.0:.2f}"
                if apart < 0.005
                else f"the {unit}s' means lie up to {short(apart)} apart"
            )
            text = f"{means}; their std goes from {short(low)} to {short(high)}."
        sentences.append(f"**{theme.title(one.method)}:** {text}")
    return "\n\n".join(sentences)


def microscope_answer(
    method: str, variances: np.ndarray, factors: np.ndarray, epsilon: float, unit: str
) -> str:
    count, below = len(variances), variances < epsilon
    zero = int((variances == 0).sum())
    text = f"**{theme.title(method)}:** one variance, {short(variances[0])}. "
    if count > 1:
        text = (
            f"**{theme.title(method)}:** {count} variances, one per {unit}, "
            f"from {short(variances.min())} to {short(variances.max())}. "
        )
    if zero:
        text += (
            f"{zero} of them {'are' if zero > 1 else 'is'} 0: without epsilon that would be 0 / 0, "
            "and epsilon makes it 0. "
        )
    if below.sum() > zero:
        places = np.flatnonzero(below)
        who, names = f"{len(places)} of {count} lie", ""
        if below.all():
            who = f"All {count} {unit}s lie" if " " not in unit else f"All {count} lie"
            who = who if count > 1 else "It lies"
        elif len(places) <= 12 and " " not in unit:  # others have no number on the axis
            names = f" ({unit}{'s' if len(places) > 1 else ''} {', '.join(map(str, places))})"
        text += (
            f"{who} below ε = {controls.number(epsilon)}{names}: epsilon flattens "
            f"{'them' if len(places) > 1 else 'it'} to less than 71% of the spread."
        )
    elif not zero:
        left = np.floor(1e4 * factors.min()) / 1e4  # 99.99 % is not 100 %
        text += (
            f"{'All lie' if count > 1 else 'It lies'} above ε = {controls.number(epsilon)}; "
            f"at least {left:.2%} of the spread is left."
        )
    return text


def invariances_answer(found: Mapping[str, Sequence[Invariance]], epsilon: float) -> str:
    """How much each method does not notice, and what epsilon lets through."""
    counts = ", ".join(
        f"{theme.title(method)} {sum(cell.holds for cell in cells)}"
        for method, cells in found.items()
    )
    held = [cell for cells in found.values() for cell in cells if cell.holds]
    text = f"Of {len(next(iter(found.values())))} changes these go unnoticed: {counts}."
    if not held:
        return text
    worst = max(held, key=lambda cell: cell.deviation)
    if worst.deviation < EXACT:
        return f"{text} What is left of them is rounding, at most {short(worst.deviation)}."
    return (
        f"{text} Where it says ≈, ε = {controls.number(epsilon)} lets up to "
        f"{short(worst.deviation)} through ({theme.title(worst.method)}, {worst.transformation}): "
        "it does not grow with what it is added to."
    )
