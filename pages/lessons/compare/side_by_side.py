"""What both lessons share: several trainings asked for at once, each with one or three seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from normlib.config import LIMITS, TrainConfig
from pages.components import charts, classroom, controls, page, server, trainings
from pages.lab import words
from pages.lab.experiment import FINAL, LIVE, Experiment
from pages.lessons.compare import answer, curves, settings

WIDTHS = (1.9, 1.8, 2.6, 1.1, 0.9)
QUICK = ("none", "weight")  # they normalize no activations: two thirds of the others' time
Series = Mapping[str, Sequence[TrainConfig]]  # name -> one training per seed


def show(
    draw_choice: Callable[[DeltaGenerator], tuple[str, ...]],
    wanted: Callable[[], dict[str, TrainConfig]],
) -> None:
    """The whole lesson.

    draw_choice: draws the controls of this lesson alone in the place given; returns the methods
    whose settings to show. wanted: series -> its training with the first seed; ValueError where
    there is none.
    """
    rate, layers, choice, train, stop = page.control_columns(*WIDTHS, aligned="bottom")
    controls.control("lr", rate)
    controls.control("placement", layers)
    methods = draw_choice(choice)
    main = st.container(gap="xsmall")  # the picture, before the settings that are drawn first
    with page.more_settings():
        settings.more(methods)
    with main:
        try:
            series, refused = with_seeds(wanted()), ""
        except ValueError as error:
            series, refused = {}, str(error)
        server.wait_for_tensorflow()
        if not series:
            with page.picture():
                st.warning(refused or "Choose at least one method.", icon=":material/tune:")
            return
        act(series)
        found = {name: [trainings.find(one) for one in seeds] for name, seeds in series.items()}
        buttons(series, list(chain.from_iterable(found.values())), train, stop)
        asked = {name: [one for one in seeds if one] for name, seeds in found.items()}
        asked = {name: seeds for name, seeds in asked.items() if seeds}
        if not asked:
            with page.picture():
                st.markdown("Nothing on screen yet. Press **Train all**, and the curves grow here.")
                charts.get_ready()
            status(series, found)
            return
        curves.watch(asked)
        status(series, found)
        ended = {
            name: [one.run for one in seeds if one.run is not None and one.status not in LIVE]
            for name, seeds in asked.items()
        }
        answer.tell({name: runs for name, runs in ended.items() if runs}, series)


def with_seeds(bases: Mapping[str, TrainConfig]) -> dict[str, list[TrainConfig]]:
    first = controls.get("seed")
    last = min(first + int(controls.get("seeds")) - 1, int(LIMITS["seed"][1]))
    return {
        name: [replace(base, seed=seed) for seed in range(first, last + 1)]
        for name, base in bases.items()
    }


def act(series: Series) -> None:
    """Do what was asked for by a button in the run before."""
    if trainings.wished("train_all"):
        # What takes longest first, so that all workers end at nearly the same time; seed by seed,
        # so that every series has its first run before any has its second.
        longest_first = sorted(series.values(), key=lambda seeds: seeds[0].normalization in QUICK)
        asked = list(chain.from_iterable(zip(*longest_first, strict=True)))
        trainings.submit(asked)
        classroom.keep_runs(asked)
    if trainings.wished("stop_all"):
        checksum = server.data().checksum
        trainings.stop(trainings.key_of(one, checksum) for one in chain(*series.values()))


def buttons(
    series: Series, found: Sequence[Experiment | None], train: DeltaGenerator, stop: DeltaGenerator
) -> None:
    done = [one is not None and one.status in FINAL for one in found]
    mine = [one is not None and trainings.watches(one) for one in found]
    with train:
        trainings.button(
            "Train all",
            "train_all",
            type="primary",
            icon=":material/play_arrow:",
            disabled=any(mine) and all(a or b for a, b in zip(done, mine, strict=True)),
        )
    with stop:
        trainings.button("Stop", "stop_all", icon=":material/stop:", disabled=not any(mine))


def status(series: Series, found: Mapping[str, Sequence[Experiment | None]]) -> None:
    """How many trainings there are, of what, how many are over, and where they come from."""
    every = list(chain.from_iterable(found.values()))
    done = [one is not None and one.status in FINAL for one in every]
    config = next(iter(series.values()))[0]
    images = min(config.train_size, len(server.data().train_labels)) * config.epochs
    told = f"{words.count(len(every), 'training')} of {images:,} images, "
    told += "all done." if all(done) else f"{sum(done)} done."
    origin = next((one.recorded for one in every if one is not None and one.recorded), "")
    if origin:
        told += f" Recorded: {origin}. Press Train all to run them here, live."
    st.caption(told)
    trainings.keeping()
