"""The curves of several trainings in one picture, a line or, of several seeds, a band each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import charts, controls, trainings
from pages.lab import results, words
from pages.lab.experiment import LIVE, Experiment, Snapshot

if TYPE_CHECKING:
    import pandas as pd


def watch(asked: Mapping[str, Sequence[Experiment]]) -> None:
    """Progress and curves of each series, again and again while one of its trainings runs."""
    named = [(words.title(name), one) for name, seeds in asked.items() for one in seeds]
    caption = caption_for(asked)

    def draw() -> None:
        trainings.progress_of_all(named)
        for name, one in named:
            if one.status not in (*LIVE, "finished"):
                st.markdown(f"{name}, seed {one.config.seed}: {one.message or one.status}")
        seen = {name: [one.snapshot() for one in seeds] for name, seeds in asked.items()}
        several = max(map(len, seen.values())) > 1
        losses(seen, several, caption)
        accuracies(seen, several)

    trainings.follow([one for _, one in named], draw, "live")


def losses(seen: Mapping[str, Sequence[Snapshot]], several: bool, caption: str) -> None:
    steps = max(one.steps for seeds in seen.values() for one in seeds) or None
    begun = {name: seeds for name, seeds in seen.items() if all(one.losses for one in seeds)}
    if several:
        # A band ends where the seed that is furthest behind is.
        bands = {}
        for name, seeds in begun.items():
            reached = min(map(trainings.steps_shown, seeds))
            bands[name] = [trainings.curve_of(one, reached) for one in seeds]
        chart = charts.curves(
            *(results.loss_bands(bands), "step", "mid", "Step", "Loss"),
            log=True,
            x_range=(0, steps) if steps else None,
        )
    else:
        lines = {name: trainings.curve_of(seeds[0]) for name, seeds in begun.items()}
        chart = charts.loss_curves(results.losses(lines), steps=steps)
    if any(one.losses for seeds in seen.values() for one in seeds):
        charts.show(chart, caption, "loss")


def accuracies(seen: Mapping[str, Sequence[Snapshot]], several: bool) -> None:
    if several:
        rows = results.accuracy_bands(seen)
    else:
        rows = results.accuracies({name: seeds[0] for name, seeds in seen.items()})
    if not len(rows):
        return
    epochs = next(iter(seen.values()))[0].config.epochs
    chart = charts.accuracy_curves(rows, y="mid" if several else "accuracy", epochs=epochs)
    told = "Share of the validation images read correctly after each epoch."
    charts.show(chart, told + (missing(rows, seen) if several else ""), "accuracy")


def missing(rows: pd.DataFrame, seen: Mapping[str, Sequence[Snapshot]]) -> str:
    """Which bands are of fewer seeds than there are, because the others ended early."""
    fewest = rows.groupby("method", sort=False)["seeds"].min()
    short = [
        f"{words.title(name)}: {fewest[name]} of {len(seeds)} seeds."
        for name, seeds in seen.items()
        if name in fewest and fewest[name] < len(seeds)
    ]
    return " ".join(["", *short])


def caption_for(asked: Mapping[str, Sequence[Experiment]]) -> str:
    """The data, the seeds and the settings that all have in common; which are recorded."""
    first, count = next(iter(asked.values()))[0], max(map(len, asked.values()))
    config = first.config
    seed = f"seed {config.seed}"
    if count > 1:
        last = config.seed + count - 1
        seed = f"seeds {config.seed} to {last} · line: mean, band: smallest to largest"
    parts = [
        trainings.data_words(first),
        f"batch size {config.batch_size}",
        f"learning rate {config.learning_rate:g}",
        f"{config.train_size:,} images",
        seed,
    ]
    shipped = [name for name, seeds in asked.items() if any(one.recorded for one in seeds)]
    if shipped:
        every = len(shipped) == len(asked)
        parts.append(
            "recorded" + ("" if every else f": {words.listed(map(words.in_sentence, shipped))}")
        )
    if controls.get("among") == "surgery":
        parts.append(f"changes to {words.in_sentence(controls.get('method'))}")
    return " · ".join(parts)
