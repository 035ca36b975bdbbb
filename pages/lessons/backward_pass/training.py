"""The norm of the gradient while a network trains, method by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from normlib.config import TrainConfig
from pages.components import charts, controls, page, server, source, trainings
from pages.lab import backward, words

if TYPE_CHECKING:
    from pages.lab.queue import Experiment

QUESTION = "Which method has the largest gradients, and do they shrink while the loss does?"
SMALLEST = 1e-12  # that a log axis shows


def show() -> None:
    first, second, third = page.control_columns(1.1, 1.5, 1)
    stage = controls.control("stage", first)
    controls.control("lr", second)
    controls.control("seed", third)
    wanted, refused = controls.to_train_configs(controls.FOUR_METHODS)
    for sentence in dict.fromkeys(refused.values()):
        st.warning(sentence)
    if not wanted:
        return
    config = next(iter(wanted.values()))
    if trainings.wished("train_missing"):
        trainings.submit(wanted.values())
    found = {method: trainings.find(config) for method, config in wanted.items()}
    missing = [
        method
        for method, one in found.items()
        if one is None or (one.run is None and one.status not in trainings.LIVE)
    ]
    if missing:
        names = words.listed(map(words.in_sentence, missing))
        st.markdown(f"Not trained yet with these settings: {names}.")
        trainings.button(
            f"Train {words.count(config.epochs, 'epoch')} on {config.train_size:,} images",
            "train_missing",
            icon=":material/play_arrow:",
            type="primary",
        )
    here = {method: one for method, one in found.items() if one is not None}
    trainings.follow(list(here.values()), lambda: draw(here, stage, config), "gradient_norms")
    from normlib.training import Graphs

    source.show_source(Graphs.step, label="The training step that measured it")


def draw(found: Mapping[str, Experiment], stage: str, config: TrainConfig) -> None:
    """The curves as far as they are, and what they say."""
    for method, one in found.items():
        if one.status in trainings.LIVE:
            trainings.progress(one, words.title(method))
    layer = ("conv", "hidden").index(stage)
    norms: dict[str, list[float]] = {}
    rows = []
    for method, one in found.items():
        recorded = one.run.recorded if one.run is not None else one.snapshot().recorded
        measured = recorded.get("gradient_norms", ())
        for step, kernels in zip(recorded.get("step", ()), measured, strict=False):
            norms.setdefault(method, []).append(kernels[layer])
            rows.append({"method": method, "step": step, "norm": max(kernels[layer], SMALLEST)})
    if not rows:
        return
    kernel = f"{controls.CONTROLS['stage'].choices[stage].lower()}'s kernel"
    origin = " · recorded, comes with the lab" if any(o.recorded for o in found.values()) else ""
    settings = charts.caption_for("batch", "lr", "epochs", "images", "seed")
    charts.show(
        charts.curves(rows, "step", "norm", "Step", "Norm of the gradient", log=True, points=True),
        f"The {kernel} · {settings}{origin}{jags(config)}",
        "norm_curves",
    )
    if len(norms) > 1:
        page.answer(answer(norms, kernel))


def jags(config: TrainConfig) -> str:
    """Why the curves are jagged, where each epoch ends with a smaller batch than the others."""
    short = backward.short_batch(config, len(server.data().train_images))
    if short is None:
        return ""
    images, steps = short
    return (
        f". Each mark is the gradient of one batch. The last batch of an epoch, of {images} "
        f"instead of {config.batch_size} images, has a mark of its own beside that of the batch "
        f"before: hence the jag every {steps:,} steps."
    )


def answer(norms: Mapping[str, Sequence[float]], kernel: str) -> str:
    late = {method: backward.late_median(values) for method, values in norms.items()}
    high, low = max(late, key=late.__getitem__), min(late, key=late.__getitem__)
    times = words.rounded(late[high] / max(late[low], SMALLEST), 2)
    shrunk = [words.in_sentence(one) for one in norms if backward.has_shrunk(norms[one])]
    return (
        f"In the second half the gradient of the {kernel} is largest with "
        f"{words.in_sentence(high)} (median {words.rounded(late[high], 3)}) and smallest with "
        f"{words.in_sentence(low)} ({words.rounded(late[low], 3)}), {times} times less. "
        f"Smaller than at the start: {words.listed(shrunk) or 'none'}."
    )
