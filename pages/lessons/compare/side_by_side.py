"""What both lessons share: several trainings asked for at once, each with one or three seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import streamlit as st

from normlib.config import LIMITS, TrainConfig
from pages.components import charts, controls, page, server, trainings
from pages.lab import recorded, report, words
from pages.lab.experiment import FINAL, LIVE, Experiment
from pages.lessons.compare import answer, curves

QUICK = ("none", "weight")  # they normalize no activations: two thirds of the others' time
Series = Mapping[str, Sequence[TrainConfig]]  # name -> one training per seed


def show(
    draw_choice: Callable[[], tuple[str, ...]], wanted: Callable[[], dict[str, TrainConfig]]
) -> None:
    """The whole lesson.

    draw_choice: draws the controls of this lesson alone; returns the methods whose settings to
    show. wanted: series -> its training with the first seed; ValueError where there is none.
    """
    left, right = st.columns([1, 2.2])  # two pills side by side in a window of 1280
    with left, page.control_box():
        methods = draw_choice()
        controls.control("seeds")
        presets()
        trainings.training_controls(methods, first=("batch", "lr", "epochs", "images", "seed"))
    with right:
        try:
            series = with_seeds(wanted())
        except ValueError as error:
            st.warning(str(error), icon=":material/tune:")
            series = {}
        server.wait_for_tensorflow()
        if not series:
            return
        act(series)
        found = {name: [trainings.find(one) for one in seeds] for name, seeds in series.items()}
        buttons(series, list(chain.from_iterable(found.values())))
        trainings.keeping()
        asked = {name: [one for one in seeds if one] for name, seeds in found.items()}
        asked = {name: seeds for name, seeds in asked.items() if seeds}
        if not asked:
            st.markdown("Nothing on screen yet. Press **Train all**, and the curves grow here.")
            charts.get_ready()
            return
        curves.watch(asked)
        ended = {
            name: [one.run for one in seeds if one.run is not None and one.status not in LIVE]
            for name, seeds in asked.items()
        }
        answer.tell({name: runs for name, runs in ended.items() if runs}, len(series))


def presets() -> None:
    fast, as_reported = st.columns(2)
    fast.button(
        "Fast",
        on_click=preset,
        args=(recorded.configs()[0],),
        help=f"{recorded.IMAGES:,} images, {recorded.EPOCHS} epochs, everything else as the lab "
        "begins. Takes seconds.",
        width="stretch",
    )
    as_reported.button(
        "Report",
        on_click=preset,
        args=(report.config("batch", "as-run"),),
        help="The report's own setting: 55,000 images, batch 64, learning rate 0.01, 4 epochs, "
        "epsilon 1e-8; gamma, beta, v and g are not trained. Takes minutes.",
        width="stretch",
    )


def preset(config: TrainConfig) -> None:
    """Set every control of a training to this config's value."""
    for name in page.TRAINING:
        controls.put(name, getattr(config, controls.CONTROLS[name].config_field))


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
        trainings.submit(chain.from_iterable(zip(*longest_first, strict=True)))
    if trainings.wished("stop_all"):
        checksum = server.data().checksum
        trainings.stop(trainings.key_of(one, checksum) for one in chain(*series.values()))


def buttons(series: Series, found: Sequence[Experiment | None]) -> None:
    done = [one is not None and one.status in FINAL for one in found]
    mine = [one is not None and trainings.watches(one) for one in found]
    with st.container(horizontal=True, vertical_alignment="center", key="buttons"):
        trainings.button(
            "Train all",
            "train_all",
            type="primary",
            icon=":material/play_arrow:",
            disabled=any(mine) and all(a or b for a, b in zip(done, mine, strict=True)),
        )
        trainings.button("Stop", "stop_all", icon=":material/stop:", disabled=not any(mine))
        config = next(iter(series.values()))[0]
        images = min(config.train_size, len(server.data().train_labels)) * config.epochs
        told = f"{words.count(len(found), 'training')} of {images:,} images, "
        told += "all done." if all(done) else f"{sum(done)} done."
        origin = next((one.recorded for one in found if one is not None and one.recorded), "")
        if origin:
            told += f" Recorded: {origin}. Press Train all to run them here, live."
        st.caption(told)
