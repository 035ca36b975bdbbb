"""How far the loss and its gradient change along the way that gradient descent takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pages.components import charts, controls, page, source
from pages.lab import why, words
from pages.lessons.why_it_works import common

WAITS = True
QUESTION = "Steps along the gradient: with which method do the loss and its gradient change least?"
OPTIONS = page.which("smoothest", "none", "batch", "weight", "layer")
ENDS = {"range": (1e-3, 1e3), "change": (1e-2, 1e4), "relative": (1e-2, 1e3)}
TITLES = {
    "range": "Range of the loss along the gradient",
    "change": "Largest change of the gradient",
    "relative": "The same, over the gradient's length",
}


def show() -> None:
    first, second, _ = page.control_columns(2.2, 1, 0.5)
    rough = controls.control("rough", first)
    depth = int(controls.control("deepness", second))
    found = [one for one in why.probes("roughness") if one.depth == depth]
    along = words.listed(f"{one:g}" for one in why.STEPS_ALONG)
    charts.show(
        common.bands(why.band(found, rough), TITLES[rough], ENDS[rough]),
        f"At {along} steps along the negative gradient · {words.count(depth, 'layer')}, start "
        f"scale {words.number(why.ROUGH.start_scale)}, learning rate "
        f"{words.number(why.ROUGH.learning_rate)} · line: mean, band: smallest to largest of seeds "
        f"{common.listed_seeds()}",
        "roughness",
        main=True,
    )
    values, right = why.medians(found, rough), why.accuracies(found)
    means = why.means(values)
    order = sorted(means, key=means.__getitem__)
    page.answer(
        answer(order, values, right, depth),
        table=common.table(values, right, order[0]),
        smoothest=order[0],
    )
    common.origin()
    source.show_source(why.along_gradient, why.roughness)


def answer(
    order: Sequence[str],
    values: Mapping[str, Sequence[float]],
    right: Mapping[str, Sequence[float]],
    depth: int,
) -> str:
    """order: the methods, the smoothest first. values, right: of each the medians and the test
    accuracies, by seed."""
    means = why.means(values)
    told = words.listed(
        f"{words.in_sentence(name)} {words.rounded(means[name], 2)}" for name in order
    )
    pairs = common.paired(order[0], "none" if order[0] != "none" else order[1], values, "Smoothest")
    return (
        f"Median over the training, {words.count(depth, 'layer')}: {told}. {pairs}. "
        f"Test accuracy: {common.accuracies(right)}."
    )
