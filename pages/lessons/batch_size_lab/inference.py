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
from pages.lessons.batch_size_lab import common
from pages.lessons.batch_size_lab.inference_parts import answer, arrival, recalibration, table

if TYPE_CHECKING:
    from normlib.mnist import Dataset
    from normlib.run import Run

WAITS = True
QUESTION = (
    "A trained batch norm reads one image alone, with that image's own mean. How much is lost?"
)
OPTIONS = page.options_of("inference")
ALONG = {"test": "Test batch size", "momentum": "Momentum", "batch": "Training batch size"}
KINDS = {"moving": "Moving statistics", "own": "Own statistics", "recomputed": "Recalibrated"}


def show() -> None:
    with page.control_box():
        along, placement, momentum, _ = page.control_row(
            *("against", "layers", "momentum", "recalibrated"),
            widths=(10, 6, 5, 4),
            momentum="Momentum",
        )
    place = st.container()
    with page.control_box("more"), page.more_settings():
        batch = controls.control("batch", label="Training batch size")
    server.wait_for_tensorflow()
    config = replace(studies.small(placement), batch_size=batch, momentum=momentum)
    with place:
        _show(along, config)


def _show(along: str, config: TrainConfig) -> None:
    configs = _configs(along, config)
    kept = studies.recorded_studies()
    has_recorded = all(one.only_used() in kept for one in configs)
    runs = common.trained_here(configs, "study")
    which = live_sweep.source_of(has_recorded, bool(runs))
    near = studies.nearest(config, along)
    drawn = configs if which else _configs(along, near)
    if which == "live":
        with st.spinner("Reading test images with three kinds of statistics."), turns.let_others():
            found = [_study(key, along == "test", run, server.data()) for key, run in runs]
    else:
        found = [kept[one.only_used()] for one in drawn]
    at = next((drawn.index(one) for one in (config, near) if one in drawn), 0)
    _picture(which or "recorded", along, found, found[at])
    if not which:
        st.info(
            f"Not recorded for training batches of {config.batch_size} with momentum "
            f"{config.momentum:g}: the picture shows what comes nearest. **Train here** takes "
            "seconds.",
            icon=":material/inventory_2:",
        )
    if not runs:
        common.buttons(configs, "study", bool(which))
    train_images, _ = common.image_counts(which or "recorded", config)
    live_sweep.mark(
        which or "recorded",
        recorded.read("inference")["origin"],
        f"{train_images:,} images, {words.count(config.epochs, 'epoch')}, learning rate "
        f"{config.learning_rate:g}, seed {config.seed}.",
        choose=has_recorded and bool(runs),
    )
    _how(along, found[at])


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

    as_trained = (1, min(_run.config.batch_size, 256))
    return inference.study(_run, _data, inference.TEST_SIZES if every_size else as_trained)


def _picture(which: str, along: str, found: Sequence[Study], shown: Study) -> None:
    """Draw the accuracies and say what they show. shown: the study of the settings above."""
    _, test_images = common.image_counts(which, shown.config)
    recalibrated = controls.get("recalibrated")
    kinds = [kind for kind in KINDS if recalibrated or kind != "recomputed"]
    size, momentum = shown.config.batch_size, shown.config.momentum
    sizes, moving = f"training batches of {size}", f"momentum {momentum:g}"
    equal = {"test": f"{sizes}, {moving}", "momentum": sizes, "batch": moving}
    charts.show(
        accuracies(along, found, kinds),
        f"Batch norm on {test_images:,} test images · {equal[along]}.",
        "accuracies",
        main=True,
    )
    rows = table(along, found, shown)
    page.answer(answer(along, found, shown, recalibrated), table=rows, lost=shown.lost)
    if recalibrated:
        st.caption(recalibration(shown))


def _how(along: str, shown: Study) -> None:
    """How a moving average comes about, and the code."""
    from normlib import layers
    from pages.lab import inference

    if along == "momentum":
        charts.show(
            arrival(shown.config.momentum, shown.steps),
            "How much of the moving average is no longer its start value (mean 0, variance 1), by "
            f"momentum; blue: {shown.config.momentum:g}.",
            "arrival",
        )
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
    axes = ("x", "accuracy", ALONG[along], "Test accuracy")
    places = tuple(studies.curve(found, "own", along))
    return charts.curves(*(rows, *axes), points=True, percent=True, places=places, y_range=(0, 1))
