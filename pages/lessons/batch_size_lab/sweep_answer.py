"""The answer of the lesson on batch sizes, and what is equal for all sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pages.lab import studies, sweeps, words
from pages.lab.sweeps import Outcomes, Row, Sweep

HELD = {held: f"equal {title.lower()}" for held, title in sweeps.HELD.items()}


def answer(plan: Sweep, picture: Sequence[Row], outcomes: Outcomes) -> str:
    """What the picture says; of the other things that can be held equal too, where known."""
    small, large = min(plan.values), max(plan.values)
    changes = "; ".join(
        f"{words.in_sentence(method)} {words.points(100 * change, 1)}"
        for method, change in sweeps.changes(plan, picture).items()
    )
    sentences = [
        f"**From {large:g} images per step down to {small:g}**, the accuracy changes: {changes}."
        if changes
        else "",
        _ahead(picture, small),
        _each_held(plan, outcomes),
    ]
    return "\n\n".join(filter(None, sentences))


def _ahead(picture: Sequence[Row], value: float) -> str:
    """Which method is ahead at one batch size, and of which others with every seed."""
    found = sweeps.ahead(picture, value)
    if found is None:
        return ""
    text = f"**At batch size {value:g}** {words.in_sentence(found.best.method)} has the least error"
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


def _each_held(plan: Sweep, outcomes: Outcomes) -> str:
    """Which methods gain by the smallest batch, by what is held equal: where all of it is known."""
    found = {}
    for held in HELD:
        one = replace(plan, held=held)
        try:
            known = all(config.only_used() in outcomes for config in one.configs())
        except ValueError:  # a learning rate beyond the limit
            return ""
        if known:
            found[held] = sweeps.changes(one, sweeps.rows(one, outcomes))
    if len(found) < 2 or len(plan.methods) < 2:
        return ""
    told = "; ".join(f"with {HELD[held]} {_gaining(of)}" for held, of in found.items())
    small, large = min(plan.values), max(plan.values)
    return f"**Better at {small:g} than at {large:g}:** {told}."


def _gaining(changes: dict[str, float]) -> str:
    gaining = [words.in_sentence(method) for method, change in changes.items() if change > 0]
    if len(gaining) in (0, len(changes)):
        return "all" if gaining else "none"
    return words.listed(gaining)


def held_equal(plan: Sweep, images: int) -> str:
    """What is equal for all batch sizes, and what therefore is not."""
    updates = sweeps.updates(plan, images)
    small, large = min(updates), max(updates)
    first, last = (plan.config(plan.methods[0], at, 0) for at in (small, large))
    rate = f"learning rate {words.number(plan.base.learning_rate)}"
    if plan.held == "updates":
        fewer = [f"{n} at {size:g}" for size, n in updates.items() if n < updates[small]]
        less = f" (but {words.listed(fewer)}: there are only {images:,} images)" if fewer else ""
        read = [min(one.train_size, images) for one in (first, last)]
        return (
            f"{words.count(updates[small], 'update')}{less}, {rate}; not equal: images, "
            f"{read[0]:,} to {read[1]:,}"
        )
    same = f"{min(first.train_size, images):,} images, {words.count(first.epochs, 'epoch')}"
    steps = f"updates, {updates[small]:,} down to {updates[large]:,}"
    if plan.held == "rate":
        per = words.rounded(plan.base.learning_rate / plan.base.batch_size)
        rates = " to ".join(words.rounded(one.learning_rate) for one in (first, last))
        return f"{same}, learning rate per image {per}; not equal: rate, {rates}, and {steps}"
    return f"{same}, {rate}; not equal: {steps}"


def numbers_per_mean(plan: Sweep) -> str:
    """Over how many numbers batch norm averages in its smallest batch."""
    small = int(min(plan.values))
    text = (
        f"Batch norm at batch size {small}: each mean of the convolution is over {small} × "
        f"{studies.POSITIONS} positions = {small * studies.POSITIONS:,} numbers"
    )
    if plan.base.placement == "conv and dense":
        return f"{text}, each of the dense layer over {small}."
    return f"{text}; a dense layer, not normalized here, would have {small}."
