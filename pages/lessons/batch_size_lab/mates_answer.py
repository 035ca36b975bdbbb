"""The answer of the lesson on batch-mates, and its words."""

from __future__ import annotations

import numpy as np

from pages.lab import words
from pages.lab.studies import Mates, margin
from pages.lessons.batch_size_lab.mates_charts import ALONE


def answer(seen: Mates) -> str:
    """What the pictures say, from their numbers."""
    return "\n\n".join((_cloud(seen), _alone(seen), _all_digits(seen)))


def _cloud(seen: Mates) -> str:
    label, read = seen.label, seen.classified_as
    wrong = [
        f", as {digit} in {read[digit]}"
        for digit in np.argsort(-read, kind="stable")
        if read[digit] and digit != label
    ]
    mates = "random mates" if seen.digit is None else f"only {seen.digit}s as mates"
    return (
        f"**Batch norm, with {mates}:** this {label} is read as {label} in {read[label]} of "
        f"{len(seen.cloud)} batches{''.join(wrong)}. Its margin goes from "
        f"{seen.margins.min():.2f} to {seen.margins.max():.2f}."
    )


def _alone(seen: Mates) -> str:
    parts = []
    for method in ALONE:
        name = "moving statistics" if method == "batch" else words.in_sentence(method)
        parts.append(f"{name} {margin(seen.alone[method], seen.label):.2f}")
    return f"**The others** do not look at the mates, so each gives one margin: {', '.join(parts)}."


def _all_digits(seen: Mates) -> str:
    if seen.random is None or seen.sorted is None:
        kind = "batch" if seen.random is None else "batch of one class"
        return f"**All test digits:** there are too few for a {kind} of {seen.size}."
    gap = 100 * (seen.sorted - seen.random)
    return (
        f"**All test digits:** {seen.random:.1%} are read correctly in random batches of "
        f"{seen.size}, {seen.sorted:.1%} in batches of one class, {abs(gap):.1f} points "
        f"{'more' if gap > 0 else 'fewer'}."
    )


def logits_in_words(seen: Mates) -> str:
    """From where to where each logit goes."""
    parts = [
        f"class {digit} from {ten.min():.2f} to {ten.max():.2f}"
        for digit, ten in enumerate(seen.cloud.T)
    ]
    return f"Logits under batch norm: {', '.join(parts)}."


def mates_in_words(digit: int | None) -> str:
    """Whose company it is: mates of one class, or random ones."""
    return "random mates" if digit is None else f"mates that are all {digit}s"


def share(accuracy: float | None) -> str:
    """An accuracy (0..1) as a percentage."""
    return "too few images" if accuracy is None else words.percent(accuracy)
