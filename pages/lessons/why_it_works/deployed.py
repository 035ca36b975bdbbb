"""A trained batch norm in another place: folded, frozen, or by another framework's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pages.components import charts, controls, live_sweep, page, source
from pages.lab import deployed, recorded, words
from pages.lab.deployed import FOLDED, FROZEN, KINDS, RULES, TRAINED, TUNED, Deployed
from pages.lab.verdict import Verdict

WAITS = True  # recorded: nothing here needs TensorFlow
QUESTION = "A trained batch norm moves to another framework. Which of these changes costs most?"
OPTIONS = page.which("kind", *dict.fromkeys(KINDS.values()))


def show() -> None:
    first, _ = page.control_columns(1, 1)
    batch = int(controls.control("ported", first))
    found = deployed.trainings(batch)
    config, seeds = deployed.CONFIG, words.listed(str(one.seed) for one in found)
    charts.show(
        charts.dots(rows(found), "Test accuracy", x_range=(0.0, 1.0), percent=True),
        f"Batch norm behind both layers, trained on {config.train_size:,} images in batches of "
        f"{batch} · learning rate {words.number(config.learning_rate)} · a mark for each of the "
        f"seeds {seeds}",
        "deployed",
        main=True,
    )
    changes = deployed.changes(found)
    worst, off = deployed.costliest(changes), max(one.difference for one in found)
    told = answer(found, changes, worst, off)
    page.answer(told, table=table(found, changes, off), kind=KINDS[worst])
    live_sweep.mark("recorded", recorded.read("deployed")["origin"], f"Seeds {seeds}.")
    source.show_source(
        deployed.fold,
        deployed.tune,
        formula=r"w' = w\,\frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} \qquad "
        r"b' = (b - \mu)\,\frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} + \beta",
    )


def rows(found: Sequence[Deployed]) -> list[dict[str, str | float]]:
    """A mark for each way and seed; the shape tells what is the same function."""
    series = {TRAINED: "The same function", FOLDED: "The same function"}
    series |= {TUNED: "Trained on", FROZEN: "Trained on"}
    names = [TRAINED, FOLDED, *list(RULES)[1:], TUNED, FROZEN]
    return [
        {"label": name, "series": series.get(name, "Another rule"), "value": one.accuracies[name]}
        for name in names
        for one in found
    ]


def table(
    found: Sequence[Deployed], changes: Mapping[str, Verdict], off: float
) -> list[dict[str, str]]:
    """The mean accuracy by each way, and what it is more than as trained. off: the largest
    difference of an output, folded."""
    return [
        {
            "": name,
            "Test accuracy": words.percent(deployed.mean(found, name), 2),
            "Against as trained": words.points(change.mean),
            "Pairs": change.settled,
            "An output differs by": words.rounded(off, 2) if name == FOLDED else "",
        }
        for name, change in changes.items()
    ]


def answer(
    found: Sequence[Deployed], changes: Mapping[str, Verdict], worst: str, off: float
) -> str:
    changed = max(one.changed for one in found)
    tuned, frozen = (words.percent(deployed.mean(found, name), 2) for name in (TUNED, FROZEN))
    return (
        f"**Folded** into the kernels, no output differs by more than {words.rounded(off, 2)}, and "
        f"of the test images {f'{changed} change' if changed else 'none changes'} class: at "
        f"inference batch norm is part of the layer before it. **{worst}** costs most: "
        f"{words.points(changes[worst].mean)}, {changes[worst].settled}.\n\n"
        f"**Trained on** for {deployed.TUNED_STEPS} steps in batches of {deployed.TUNED_BATCH}, it "
        f"reads {tuned}; frozen, by the moving statistics, {frozen}."
    )
