"""Does batch norm help because the inputs of a layer move less? A network where they move more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pages.components import charts, controls, page, source
from pages.lab import why, words
from pages.lab.verdict import Verdict
from pages.lessons.why_it_works import common

WAITS = True  # recorded: nothing here needs TensorFlow
QUESTION = (
    "Noise moves a layer's inputs at each step. Is batch norm still better than no normalization?"
)
OPTIONS = page.options_of("shift")
ENDS = (1e-4, 3.0)
TITLES = {
    "mean": "Shift of a unit's mean, in standard deviations",
    "std": "Change of a unit's standard deviation, as a logarithm",
}


def show() -> None:
    first, _ = page.control_columns(1, 1)
    drift = controls.control("drift", first)
    found = why.probes("shift")
    chart = common.bands(why.band(found, drift), TITLES[drift], ENDS)
    config = why.SHIFT
    charts.show(
        chart,
        f"What ReLU gets in layer {config.depth} of {config.depth}, from one look to the next, "
        f"{why.EVERY} steps later · line: median over all {config.hidden_units} units, band: "
        f"quartiles, means of seeds {common.listed_seeds(why.SHIFT_SEEDS)} · learning rate "
        f"{words.number(config.learning_rate)}",
        "drifts",
        main=True,
    )
    moved, right, noisy = why.medians(found, drift), why.accuracies(found), why.noise_verdict()
    page.answer(
        answer(why.means(moved), right, noisy),
        table=common.table(moved, right),
        settled=noisy.differs,
        lead=noisy.mean,
    )
    common.origin(why.SHIFT_SEEDS)
    source.show_source(why.noisy, why.shift)


def answer(moved: Mapping[str, float], right: Mapping[str, Sequence[float]], noisy: Verdict) -> str:
    """moved: by curve, in the mean over the seeds. right: by curve the test accuracies. noisy:
    those with the noise against those without normalization."""
    read = why.means(right)
    most = max(moved, key=lambda name: moved[name])
    best = max(read, key=lambda name: read[name])
    told = words.listed(
        f"{words.in_sentence(name)} {words.rounded(each, 2)}" for name, each in moved.items()
    )
    return (
        f"Median over the training: {told}; most with {words.in_sentence(most)}. Test accuracy: "
        f"{common.accuracies(right)}; highest with {words.in_sentence(best)}. "
        f"With the noise against no normalization: {words.points(100 * noisy.mean)}, "
        f"{noisy.settled}. "
        + (
            "So what moves most need not train worse: this shift is not what decides."
            if most == why.NOISY and noisy.mean > 0
            else "Here the network whose inputs move most also reads worst."
            if min(read, key=lambda name: read[name]) == most
            else ""
        )
    )
