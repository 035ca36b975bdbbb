"""The curves of several trainings in one picture, a line or, of several seeds, a band each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from normlib.config import TrainConfig
from pages.components import charts, controls, page, trainings
from pages.lab import results, words
from pages.lab.experiment import LIVE, Experiment, Snapshot

if TYPE_CHECKING:
    import pandas as pd

PROGRESS = 44  # pixels of the line of progress, which keeps its place


def watch(asked: Mapping[str, Sequence[Experiment]]) -> None:
    """Curves and progress of each series, again and again while one of its trainings runs."""
    named = [(words.title(name), one) for name, seeds in asked.items() for one in seeds]
    caption = caption_for(asked)

    def draw() -> None:
        seen = {name: [one.snapshot() for one in seeds] for name, seeds in asked.items()}
        if any(one.losses for seeds in seen.values() for one in seeds):
            chart, missing = picture(seen)
            charts.show(chart, caption + missing, "curves", main=True)
        else:
            with page.picture():
                st.markdown("The first step is being computed.")
        if any(one.status in LIVE for _, one in named):
            trainings.progress_of_all(named)
        else:
            st.space(PROGRESS)
        for name, one in named:
            if one.status not in (*LIVE, "finished"):
                st.markdown(f"{name}, seed {one.config.seed}: {one.message or one.status}")

    trainings.follow([one for _, one in named], draw, "live")


def picture(seen: Mapping[str, Sequence[Snapshot]]) -> tuple[charts.Chart, str]:
    """Loss and accuracy side by side, and which seeds the accuracy lacks."""
    import pandas as pd

    several = max(map(len, seen.values())) > 1
    # Of several seeds those that are over; until one is, the first.
    drawn = {
        name: ([one for one in begun if one.status not in LIVE] or begun[:1])
        for name, seeds in seen.items()
        if (begun := [one for one in seeds if one.losses])
    }
    loss = losses(drawn, seen, several)
    if several:
        right = results.accuracy_bands(drawn)
    else:
        right = results.accuracies({name: seeds[0] for name, seeds in drawn.items()})
    epochs = next(iter(seen.values()))[0].config.epochs
    accuracy = charts.accuracy_curves(right, y="mid" if several else "accuracy", epochs=epochs)
    table = pd.concat([loss.table, right], ignore_index=True) if len(right) else loss.table
    summary = f"{loss.summary} {accuracy.summary}"
    chart = charts.Chart((*loss.panels, *accuracy.panels), summary, table)
    return charts.tall(chart), missing(right, seen) if several else ""


def losses(
    drawn: Mapping[str, Sequence[Snapshot]], seen: Mapping[str, Sequence[Snapshot]], several: bool
) -> charts.Chart:
    steps = max(one.steps for seeds in seen.values() for one in seeds) or None
    ends = {}
    for name, seeds in drawn.items():
        if diverged := sum(one.status == "diverged" for one in seeds):
            every = diverged == len(seen[name])
            ends[name] = "diverged" if every else f"{diverged} of {len(seen[name])} diverged"
    if not several:
        lines = {name: trainings.curve_of(seeds[0]) for name, seeds in drawn.items()}
        return charts.loss_curves(results.losses(lines), steps=steps, ends=ends)
    bands = {}
    for name, seeds in drawn.items():
        # A band ends where its first seed ends.
        reached = min(map(trainings.steps_shown, seeds))
        bands[name] = [trainings.curve_of(one, reached) for one in seeds]
    return charts.loss_curves(results.loss_bands(bands), steps=steps, ends=ends)


def missing(rows: pd.DataFrame, seen: Mapping[str, Sequence[Snapshot]]) -> str:
    """Which bands are of fewer seeds than there are, because the others ended early."""
    if not len(rows):
        return ""
    fewest = rows.groupby("method", sort=False)["seeds"].min()
    short = [
        f"{words.title(name)}: accuracy of {fewest[name]} of {len(seeds)} seeds"
        for name, seeds in seen.items()
        if name in fewest and fewest[name] < len(seeds)
    ]
    return "".join(f" · {one}" for one in short)


def caption_for(asked: Mapping[str, Sequence[Experiment]]) -> str:
    """The data, the seeds and the settings that all have in common; which are recorded."""
    first, count = next(iter(asked.values()))[0], max(map(len, asked.values()))
    config = first.config
    seed = f"seed {config.seed}"
    if count > 1:
        last = config.seed + count - 1
        seed = f"seeds {config.seed} to {last} · line: mean, band: smallest to largest"
    rates = dict.fromkeys(seeds[0].config.learning_rate for seeds in asked.values())
    start = f"start scale {words.number(config.start_scale)}"
    unusual = config.depth or config.start_scale != TrainConfig.start_scale
    parts = [
        trainings.data_words(first),
        *([f"{config.depth} layers"] if config.depth else []),
        *([start] if unusual else []),
        f"batch size {config.batch_size}",
        f"learning rate {words.listed(f'{rate:g}' for rate in rates)}",
        f"{config.train_size:,} images",
        seed,
    ]
    shipped = [name for name, seeds in asked.items() if any(one.recorded for one in seeds)]
    if shipped:
        every = len(shipped) == len(asked)
        parts.append(
            "recorded" + ("" if every else f": {words.listed(map(words.in_sentence, shipped))}")
        )
    if controls.page() == "compare" and controls.get("among") == "surgery":
        parts.append(f"changes to {words.in_sentence(controls.get('method'))}")
    return " · ".join(parts)
