"""One training with chosen settings: its curves while it runs, then closer looks at it."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from normlib.config import TrainConfig
from normlib.run import Run
from pages.components import charts, classroom, controls, downloads, page, server, trainings
from pages.lab import results, words
from pages.lab.experiment import LIVE, Experiment
from pages.lessons.train import (
    curves,
    dead,
    gradients,
    mistakes,
    moving,
    one_image,
    peers,
    percentiles,
    status,
)
from pages.lessons.train.outcome import figures, outcome

QUESTION = "How many of a hundred test digits will this network classify correctly?"
OPTIONS = page.valued(
    "grade",
    {"diverged": "It diverges", "guessing": "As by guessing", "some": "Up to 80"}
    | {"most": "80 to 95", "nearly all": "More than 95"},
)
WAITS = True  # controls first
SETTINGS = ("method", *page.TRAINING)
FIRST = ("batch", "lr")  # above the picture
LOOKS = {
    "mistakes": mistakes,
    "percentiles": percentiles,
    "dead": dead,
    "gradients": gradients,
    "moving": moving,
}


def show() -> None:
    trainings.adopt_noted(SETTINGS)
    method, batch, rate, train, stop = page.control_columns(2.4, 2.4, 2.4, 1, 0.9, aligned="bottom")
    chosen = controls.control("method", method)
    controls.control("batch", batch)
    controls.control("lr", rate)
    picture, notes = st.container(gap="xsmall"), st.container()
    with page.more_settings():
        trainings.more_controls([chosen], FIRST)
    server.wait_for_tensorflow()
    with notes:
        try:
            config = controls.to_train_config()
        except ValueError as error:
            st.warning(str(error), icon=":material/tune:")
            with picture, page.picture():
                charts.get_ready()
            return
        one_image.warn(config)
        act(config)
        experiment = on_screen(config)
        trainings.keeping()
    buttons(config, experiment, train, stop)
    with picture:
        if experiment is None:
            with page.picture():
                name = words.in_sentence(config.normalization)
                st.markdown(
                    f"Nothing on screen yet. Press **Train**: the loss of {name} grows here."
                )
                charts.get_ready()
        else:
            curves.watch(experiment)
        st.caption(status.told(config, experiment))
    if experiment is not None and experiment.run is not None and experiment.status not in LIVE:
        examine(experiment.run)


def act(config: TrainConfig) -> None:
    """Do what was asked for by a button in the run before."""
    if trainings.wished("train"):
        trainings.submit([config])
        classroom.keep_runs([config])
    if trainings.wished("stop"):
        trainings.stop([controls.get("run")])
    shown = trainings.at(controls.get("run"))
    if trainings.wished("others") and shown is not None:
        trainings.submit(peers.four(shown.config))


def on_screen(config: TrainConfig) -> Experiment | None:
    """The run of these settings; where there is none, the one that the link names."""
    experiment = trainings.find(config)
    if experiment is not None:
        controls.put("run", experiment.key)
        return experiment
    key = controls.get("run")
    experiment = trainings.at(key)
    if experiment is not None:
        from pages.lab import run_names

        st.info(
            "These settings have not been trained yet. Below: "
            f"{run_names.describe(experiment.config, config)}.",
            icon=":material/history:",
        )
    elif key:
        controls.put("run", "")
        st.warning(
            "The run in this link is not on this server. Press Train to run its settings.",
            icon=":material/link_off:",
        )
    return experiment


def buttons(
    config: TrainConfig, experiment: Experiment | None, train: DeltaGenerator, stop: DeltaGenerator
) -> None:
    watched = experiment is not None and trainings.watches(experiment)
    with train:
        trainings.button(
            "Train",
            "train",
            type="primary",
            width="stretch",
            disabled=status.own(config, experiment) is not None and watched,
        )
    with stop:
        trainings.button("Stop", "stop", width="stretch", disabled=not watched)


def examine(run: Run) -> None:
    """What the finished run tells, closer looks at it, and its files."""
    if page.answer(outcome(run), grade=results.grade(run)) and run.status == "finished":
        figures(run)
    controls.control("look")
    LOOKS[controls.get("look")].show(run)
    st.header("Download", anchor=False)
    downloads.run_files(run, "run")
    downloads.curve_files(f"{run.config.normalization}_seed_{run.config.seed}", "run")
