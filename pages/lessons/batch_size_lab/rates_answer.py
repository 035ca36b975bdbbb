"""The answer of the lesson on the learning-rate cliff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pages.components import controls
from pages.lab import sweeps, words
from pages.lab.sweeps import NEAR, Row, Sweep, Usable

SAME = "stay the same"


def answer(plan: Sweep, picture: Sequence[Row]) -> str:
    """Which learning rates each method can use, and whether that or the accuracy differs more."""
    if not any(row.learned for row in picture):
        return "Every training diverged."
    found = sweeps.usable(picture)
    text = (
        f"**Usable** (every seed within {100 * NEAR:.0f} points of the method's own best): "
        f"{_ranges(found.values())}."
    )
    if "none" in found and len(found) > 1:
        text += f"\n\n{_against_none(found)}"
    return text + _elsewhere(plan)


def _ranges(found: Iterable[Usable]) -> str:
    return "; ".join(f"{words.in_sentence(one.method)} {_range(one)}" for one in found)


def _range(one: Usable) -> str:
    if one.low is None:
        return "nowhere" if one.best is not None else "nowhere, all diverged"
    return f"at {one.low:g} only" if one.low == one.high else f"from {one.low:g} to {one.high:g}"


def _against_none(found: Mapping[str, Usable]) -> str:
    """Where the usable rates begin and end against no normalization, then the best accuracies."""
    grouped: dict[str, list[str]] = {}
    for one in found.values():
        if one.method != "none":
            shift = _shift(one, found["none"])
            grouped.setdefault(shift, []).append(words.in_sentence(one.method))
    moved = "; ".join(f"with {words.listed(names)} they {how}" for how, names in grouped.items())
    peaks = {one.method: one for one in found.values() if one.peak is not None}
    best = max(peaks.values(), key=lambda one: one.peak or 0)
    gap = 100 * ((best.peak or 0) - min(one.peak or 0 for one in peaks.values()))
    return (
        f"**Against no normalization:** {moved}. At their own best rates the methods lie {gap:.1f} "
        f"points apart; the best is {words.in_sentence(best.method)}, {best.peak:.1%} at "
        f"{best.best:g}."
    )


def _shift(one: Usable, plain: Usable) -> str:
    """How a method's usable rates lie against those without normalization."""
    ends = one.against(plain)
    if ends is None:
        return SAME if one.low == plain.low else "vanish" if one.low is None else "appear"
    moved = [
        f"{verb} {'lower' if sign < 0 else 'higher'}"
        for verb, sign in zip(("begin", "end"), ends, strict=True)
        if sign
    ]
    return " and ".join(moved) or SAME


def _elsewhere(plan: Sweep) -> str:
    """The recorded usable rates of the same methods, normalized in the other places."""
    other = {"conv": "conv and dense", "conv and dense": "conv"}[plan.base.placement]
    there = replace(plan, base=replace(plan.base, placement=other), seeds=(0, 1))
    recorded = sweeps.recorded_outcomes()
    if not all(config.only_used() in recorded for config in there.configs()):
        return ""
    where = controls.CONTROLS["layers"].words(other)
    found = sweeps.usable(sweeps.rows(there, recorded)).values()
    return f"\n\n**{where}** (recorded on MNIST): {_ranges(found)}."
