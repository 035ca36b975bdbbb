"""The curves of one training, which grow while it runs, with earlier ones laid over them."""

from __future__ import annotations

import streamlit as st

from normlib.config import METHODS, TrainConfig, reads
from pages.components import charts, page, trainings
from pages.lab import results
from pages.lab.experiment import Experiment
from pages.lessons.train import overlay

NOTHING = " without both its halves: nothing is normalized, only γ and β act"
STATUS_HEIGHT = 48  # a bar with its line, or the line alone


def watch(experiment: Experiment) -> None:
    """The curves, with earlier runs laid over them; they grow while the training runs."""
    picture = st.container(gap="xsmall")
    laid = overlay.choose(experiment)
    name, *others = overlay.names([experiment.config, *(run.config for run in laid)])

    def draw() -> None:
        snapshot = experiment.snapshot()
        shown: dict[str, results.Watched] = {name: snapshot, **dict(zip(others, laid, strict=True))}
        curves = {name: trainings.curve_of(one) for name, one in shown.items() if one.losses}
        ends = {one: "diverged" for one, of in shown.items() if of.status == "diverged"}
        if curves:
            steps = max(snapshot.steps, *(len(one.losses) for one in shown.values()))
            loss = charts.loss_curves(results.losses(curves), steps=steps, ends=ends)
            charts.show(loss, caption_for(experiment), "loss", main=True)
        else:
            with page.picture():
                charts.get_ready()
        with st.container(height=STATUS_HEIGHT, border=False):
            trainings.progress(experiment)
        right = results.accuracies(shown)
        if len(right):
            charts.show(
                charts.accuracy_curves(right, epochs=max(o.config.epochs for o in shown.values())),
                "Share of the validation images classified correctly after each epoch.",
                "accuracy",
            )

    with picture:
        trainings.follow([experiment], draw, "live")


def nothing_is_normalized(config: TrainConfig) -> bool:
    """Whether both halves of a normalization of activations are switched off."""
    read = (reads(config.normalization, name) for name in ("center", "scale"))
    return all(read) and not (config.center or config.scale)


def caption_for(experiment: Experiment) -> str:
    """The data, the seed and the settings of what is drawn, which may not be those above."""
    config = experiment.config
    parts = [
        trainings.data_words(experiment),
        METHODS[config.normalization].title + NOTHING * nothing_is_normalized(config),
        f"batch size {config.batch_size}",
        f"learning rate {config.learning_rate:g}",
        f"{config.train_size:,} images",
        f"seed {config.seed}",
        *(["recorded"] if experiment.recorded else []),
        "thin: single steps, thick: their running mean",
    ]
    return " · ".join(parts)
