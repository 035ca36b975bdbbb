"""The answer of the lesson on batch-mates."""

from __future__ import annotations

import numpy as np

from pages.lab import studies, words
from pages.lab.studies import Mates
from pages.lessons.batch_size_lab.mates_charts import ALONE


def answer(seen: Mates) -> str:
    """What the pictures say, from their numbers."""
    label, read = seen.label, seen.classified_as
    wrong = [
        f", as {digit} in {read[digit]}"
        for digit in np.argsort(-read, kind="stable")
        if read[digit] and digit != label
    ]
    mates = "random mates" if seen.digit is None else f"only {seen.digit}s as mates"
    alone = [
        f"{'moving statistics' if method == 'batch' else words.in_sentence(method)} "
        f"{studies.margin(seen.alone[method], label):.2f}"
        for method in ALONE
    ]
    return (
        f"**Batch norm, with {mates}:** this {label} is read as {label} in {read[label]} of "
        f"{len(seen.cloud)} batches{''.join(wrong)}. Its margin goes from "
        f"{seen.margins.min():.2f} to {seen.margins.max():.2f}.\n\n"
        "**The others** do not look at the mates, so each gives one margin: "
        f"{', '.join(alone)}.\n\n**All test digits:** {_all_digits(seen)}"
    )


def _all_digits(seen: Mates) -> str:
    if seen.random is None or seen.sorted is None:
        kind = "batch" if seen.random is None else "batch of one class"
        return f"there are too few for a {kind} of {seen.size}."
    gap = 100 * (seen.sorted - seen.random)
    return (
        f"{seen.random:.1%} are read correctly in random batches of {seen.size}, "
        f"{seen.sorted:.1%} in batches of one class, {abs(gap):.1f} points "
        f"{'more' if gap > 0 else 'fewer'}."
    )
