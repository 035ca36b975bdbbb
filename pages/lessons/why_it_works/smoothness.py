"""How far the loss and its gradient change along the way that gradient descent takes."""

from __future__ import annotations

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
    smoothest = why.order(rough, depth)[0]
    page.answer(
        answer(rough, depth),
        table=common.table(why.medians(found, rough), why.accuracies(found), smoothest),
        smoothest=smoothest,
    )
    common.origin()
    source.show_source(why.along_gradient, why.roughness)


def answer(rough: str, depth: int) -> str:
    found = [one for one in why.probes("roughness") if one.depth == depth]
    values = why.medians(found, rough)
    means = why.means(values)
    order = why.order(rough, depth)
    told = words.listed(
        f"{words.in_sentence(name)} {words.rounded(means[name], 2)}" for name in order
    )
    pairs = common.paired(order[0], "none" if order[0] != "none" else order[1], values, "Smoothest")
    return (
        f"Median over the training, {words.count(depth, 'layer')}: {told}. {pairs}. "
        f"Test accuracy: {common.accuracies(why.accuracies(found))}."
    )
