"""One training with chosen settings: its curves while it runs, then closer looks at it."""

from __future__ import annotations

import streamlit as st

from normlib.config import TrainConfig
from normlib.run import Run
from pages.components import charts, controls, downloads, page, server, trainings
from pages.lab import words
from pages.lab.experiment import FINAL, LIVE, Experiment
from pages.lessons.train import (
    curves,
    dead,
    gradients,
    mistakes,
    moving,
    one_image,
    peers,
    percentiles,
)
from pages.lessons.train.outcome import outcome

QUESTION = (
    "Predict before you look: how many of a hundred test digits will this network read "
    "correctly, and which digit will it mistake for which?"
)
WAITS = True  # controls first
SETTINGS = ("method", *page.TRAINING)
LOOKS = {
    "mistakes": mistakes,
    "percentiles": percentiles,
    "dead": dead,
    "gradients": gradients,
    "moving": moving,
}


def show() -> None:
    trainings.adopt_noted(SETTINGS)
    left, right = st.columns([1, 2.4])
    with left, page.control_box():
        controls.control("method")
        trainings.training_controls([controls.get("method")])
    with right:
        try:
            config = controls.to_train_config()
        except ValueError as error:
            st.warning(str(error), icon=":material/tune:")
            return
        server.wait_for_tensorflow()
        one_image.warn(config)
        act(config)
        experiment = on_screen(config)
        buttons(config, experiment)
        trainings.keeping()
        if experiment is None:
            method = words.in_sentence(config.normalization)
            st.markdown(
                f"Nothing on screen yet. Press **Train**, and the loss of {method} grows here."
            )
            charts.get_ready()
            return
        curves.watch(experiment)
    if experiment.run is not None and experiment.status not in LIVE:
        examine(experiment.run)


def act(config: TrainConfig) -> None:
    """Do what was asked for by a button in the run before."""
    if trainings.wished("train"):
        trainings.submit([config])
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


def buttons(config: TrainConfig, experiment: Experiment | None) -> None:
    data = server.data()
    key = trainings.key_of(config, data.checksum)
    own = experiment if experiment is not None and experiment.key == key else None
    watched = experiment is not None and trainings.watches(experiment)
    with st.container(horizontal=True, vertical_alignment="center", key="buttons"):
        trainings.button(
            "Train",
            "train",
            type="primary",
            icon=":material/play_arrow:",
            disabled=own is not None and watched,
        )
        trainings.button("Stop", "stop", icon=":material/stop:", disabled=not watched)
        images = min(config.train_size, len(data.train_labels))
        steps = -(-images // config.batch_size) * config.epochs
        told = f"{steps:,} steps, {images * config.epochs:,} images in all."
        st.caption(told if own is None else f"{told} {state_of(own, watched)}")


def state_of(experiment: Experiment, watched: bool) -> str:
    if experiment.status in LIVE and not watched:
        return "It trains for somebody else. Press Train, and it goes on for you too."
    if experiment.status not in FINAL:
        return ""
    if experiment.recorded:
        return f"Recorded: {experiment.recorded}. Press Train to run it here, live."
    return "Done: the same settings give the same numbers."


def examine(run: Run) -> None:
    """What the finished run tells, closer looks at it, and its files."""
    page.answer(outcome(run))
    controls.control("look")
    LOOKS[controls.get("look")].show(run)
    st.header("Download", anchor=False)
    downloads.run_files(run, "run")
    downloads.curve_files(f"{run.config.normalization}_seed_{run.config.seed}", "run")
