"""A trained batch norm reads test images: with the batch's own statistics, or the moving ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from normlib.config import TrainConfig
from pages.components import charts, controls, live_sweep, page, server, source, turns
from pages.lab import recorded, studies, words
from pages.lab.studies import Study
from pages.lab.sweeps import SMALL
from pages.lessons.batch_size_lab import common
from pages.lessons.batch_size_lab.inference_parts import answer, arrival

if TYPE_CHECKING:
    from normlib.mnist import Dataset
    from normlib.run import Run

WAITS = True
QUESTION = (
    "A network with batch norm has learned. Now it reads one single image. Whose mean and variance "
    "should it use, and what becomes of its accuracy if it uses the image's own?"
)
ALONG = {"test": "Test batch size", "momentum": "Momentum", "batch": "Training batch size"}
KINDS = {"moving": "Moving", "own": "The batch's own", "recomputed": "Recomputed"}


def show() -> None:
    with page.control_box():
        along, placement = page.control_row("against", "placement")
        moved = ["momentum", *["batch"] * (along != "batch")]
        page.control_row(*moved, widths=(1, 1)[: len(moved)], batch="Training batch size")
    server.wait_for_tensorflow()
    config = replace(
        studies.small(placement),
        batch_size=controls.get("batch"),
        momentum=controls.get("momentum"),
    )
    configs = _configs(along, config)
    kept = studies.recorded_studies()
    has_recorded = all(one.only_used() in kept for one in configs)
    runs = common.trained_here(configs, "study", has_recorded)
    which = live_sweep.source_of(has_recorded, bool(runs))
    if not which:
        sizes = words.listed(map(str, studies.TRAINED_SIZES))
        st.markdown(
            f"Recorded are training batches of {sizes} with momentum {SMALL.momentum:g}, and "
            f"batches of {SMALL.batch_size} with any momentum on the slider. For these settings, "
            "press **Train here**: it takes seconds."
        )
        return
    found = [kept[one.only_used()] for one in configs] if which == "recorded" else []
    if which == "live":
        with st.spinner("Reading test images with three kinds of statistics."), turns.let_others():
            found = [_study(key, along == "test", run, server.data()) for key, run in runs]
    _picture(which, along, found, config)


def _configs(along: str, config: TrainConfig) -> list[TrainConfig]:
    """The trainings in the picture, from left to right."""
    if along == "momentum":
        momenta = sorted({*studies.MOMENTA, config.momentum})
        return [replace(config, momentum=one) for one in momenta]
    if along == "batch":
        return [replace(config, batch_size=one) for one in studies.TRAINED_SIZES]
    return [config]


@st.cache_resource(max_entries=48, show_spinner=False)
def _study(key: str, every_size: bool, _run: Run, _data: Dataset) -> Study:
    from pages.lab import inference

    sizes = inference.TEST_SIZES if every_size else (min(_run.config.batch_size, 256),)
    return inference.study(_run, _data, sizes)


def _picture(which: str, along: str, found: Sequence[Study], config: TrainConfig) -> None:
    from normlib import layers
    from pages.lab import inference

    train_images, test_images = common.image_counts(which, config)
    where = controls.CONTROLS["placement"].words(config.placement).lower()
    live_sweep.mark(
        which,
        recorded.read("inference")["origin"],
        f"{train_images:,} images, {words.count(config.epochs, 'epoch')}, learning rate "
        f"{config.learning_rate:g}, seed {config.seed}; normalized: {where}.",
    )
    recalibrated = controls.get("recalibrated")
    kinds = [kind for kind in KINDS if recalibrated or kind != "recomputed"]
    shown = next((one for one in found if one.config == config), found[0])
    left, right = st.columns([3, 2])
    with left:
        charts.show(
            accuracies(along, found, kinds),
            f"Batch norm. {test_images:,} test images, read with "
            f"{'three' if recalibrated else 'two'} kinds of statistics.",
            "accuracies",
        )
    with right:
        charts.show(
            arrival(config.momentum, shown.steps),
            f"How far the moving average has come, by momentum; blue: {config.momentum:g}.",
            "arrival",
        )
    _recalibrate_button(recalibrated, shown.batches)
    page.answer(answer(along, found, shown, config.momentum, recalibrated))
    source.show_source(
        layers.BatchNorm.update,
        inference.recalibrate,
        formula=r"\text{moving} \leftarrow m \cdot \text{moving} + (1 - m) \cdot \text{batch}"
        r"\qquad \text{arrived after } t \text{ steps: } 1 - m^t",
    )


def accuracies(along: str, found: Sequence[Study], kinds: Sequence[str]) -> charts.Chart:
    """The accuracy with each kind of statistics, along one of `ALONG`."""
    rows: list[dict[str, Any]] = [
        {"method": KINDS[kind], "x": x, "accuracy": right}
        for kind in kinds
        for x, right in studies.curve(found, kind, along).items()
    ]
    places = tuple(studies.curve(found, "own", along))
    axes = ("x", "accuracy", ALONG[along], "Test accuracy")
    return charts.curves(rows, *axes, points=True, percent=True, places=places)


def _recalibrate_button(recalibrated: bool, batches: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Back to the moving average" if recalibrated else "Recalibrate",
            icon=":material/undo:" if recalibrated else ":material/auto_fix_high:",
            type="secondary" if recalibrated else "primary",
            key="recalibrate",
            on_click=controls.put,
            args=("recalibrated", not recalibrated),
            help="Recompute the moving statistics: the plain average over many training batches, "
            "with the weights as they are.",
        )
        if recalibrated:
            st.caption(f"The plain average over {batches} training batches; no weight changed.")
