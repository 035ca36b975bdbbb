"""The answer of the lesson on batch sizes, and what is equal for all sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pages.lab import sweeps, words
from pages.lab.sweeps import Outcomes, Row, Sweep


def answer(plan: Sweep, picture: Sequence[Row], outcomes: Outcomes, images: int) -> str:
    """What the picture says. images: how many there are to train on."""
    sentences = [_extremes(method, rows) for method, rows in sweeps.by_method(picture).items()]
    small, large = min(plan.values), max(plan.values)
    if changes := sweeps.changes(plan, picture):
        worst = min(changes, key=changes.__getitem__)
        sentences.append(
            f"From {large:g} images per step down to {small:g}, {words.in_sentence(worst)} "
            f"{_gained(changes[worst] > 0, alone=len(changes) == 1)}: "
            f"{abs(100 * changes[worst]):.1f} points of accuracy."
        )
    sentences += [_ahead(picture, value) for value in (small, large)]
    if lost := sum(row.diverged for row in picture):
        stand = "stands" if lost == 1 else "stand"
        sentences.append(f"{words.count(lost, 'training')} diverged and {stand} in no line.")
    sentences.append(_both_held(plan, outcomes, images))
    return "\n\n".join(filter(None, sentences))


def _gained(more: bool, alone: bool) -> str:
    if alone:
        return "gains" if more else "loses"
    return "gains least" if more else "loses most"


def _extremes(method: str, rows: Sequence[Row]) -> str:
    found = sweeps.extremes(rows)
    if found is None:
        return ""
    first = next(row for row in rows if row.learned)
    error = {row.value: words.percent(1 - row.mean) for row in rows if row.learned}
    best, worst = (row.value for row in found)
    also = "" if first in found else f" At {first.value:g} it is {error[first.value]}."
    return (
        f"**{words.title(method)}:** the error is least at batch size {best:g}, "
        f"{error[best]}, and greatest at {worst:g}, {error[worst]}.{also}"
    )


def _ahead(picture: Sequence[Row], value: float) -> str:
    """Which method is ahead at one batch size, and of which others with every seed."""
    found = sweeps.ahead(picture, value)
    if found is None:
        return ""
    text = f"At batch size {value:g} {words.in_sentence(found.best.method)} has the least error"
    if found.best.done == 1:
        return f"{text}; with one seed that says little."
    beaten, close = (
        words.listed(map(words.in_sentence, each)) for each in (found.beaten, found.overlapping)
    )
    if beaten:
        text += f", less than {beaten} with every seed"
    if close:
        text += f"{'; but' if beaten else ', but'} its seeds overlap those of {close}"
    return f"{text}."


def held_equal(plan: Sweep, images: int) -> str:
    """What is equal for all batch sizes, and what therefore is not."""
    updates = sweeps.updates(plan, images)
    small, large = min(updates), max(updates)
    read = [min(plan.config(plan.methods[0], at, 0).train_size, images) for at in (small, large)]
    if plan.held == "images":
        return (
            f"equal images and epochs: {read[0]:,} images, "
            f"{words.count(plan.base.epochs, 'epoch')}; updates {updates[small]:,} down to "
            f"{updates[large]:,}"
        )
    fewer = [f"{count} at {size:g}" for size, count in updates.items() if count < updates[small]]
    less = f" (but {words.listed(fewer)}: there are only {images:,} images)" if fewer else ""
    return f"equal updates: {updates[small]}{less}; images {read[0]:,} to {read[1]:,}"


def _both_held(plan: Sweep, outcomes: Outcomes, images: int) -> str:
    """Equal images against equal updates, where all the numbers of both are there."""
    plans = {held: replace(plan, held=held) for held in sweeps.HELD}
    wanted = (config.only_used() for one in plans.values() for config in one.configs())
    steps = set(sweeps.updates(plans["updates"], images).values())
    if len(steps) > 1 or not all(config in outcomes for config in wanted):
        return ""
    better = {}
    for held, one in plans.items():
        gains = sweeps.changes(one, sweeps.rows(one, outcomes)).values()
        better[held], count = sum(gain > 0 for gain in gains), len(gains)
    small, large = min(plan.values), max(plan.values)
    if count < 2:
        return ""
    return (
        f"Of {count} methods, {better['images']} do better at {small:g} than at {large:g} with "
        f"equal images, {better['updates']} with equal updates. The learning rate was the same for "
        "every size: with equal images a small batch takes more steps of it, with equal updates it "
        "sees fewer images. A rate that grows with the batch was not tried."
    )
