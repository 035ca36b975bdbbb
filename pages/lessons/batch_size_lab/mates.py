"""One test digit in 200 batches: for which methods its answer depends on its batch-mates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from normlib.config import TrainConfig
from pages.components import charts, controls, live_sweep, page, server, source, turns
from pages.lab import recorded, studies
from pages.lab.studies import Mates
from pages.lessons.batch_size_lab import common
from pages.lessons.batch_size_lab.mates_answer import answer, logits_in_words, mates_in_words, share
from pages.lessons.batch_size_lab.mates_charts import logit_cloud, margins, show_first_batch

if TYPE_CHECKING:
    from normlib.cnn import SmallCNN
    from normlib.mnist import Dataset
    from normlib.run import Run

WAITS = True
QUESTION = (
    "One test digit goes through the same trained network 200 times, each time with different "
    "batch-mates. For which methods does the answer depend on them?"
)


def show() -> None:
    size, who, placement = _controls()
    server.wait_for_tensorflow()
    digit, pinned = None if who == "random" else int(who), controls.get("pinned")
    configs = list(studies.mates_configs(placement).values())
    kept = studies.recorded_mates(placement, size, digit, pinned)
    has_recorded = (kept.pinned, kept.size, kept.digit) == (pinned, size, digit)
    runs = common.trained_here(configs, "mates", has_recorded)
    which = live_sweep.source_of(has_recorded, bool(runs))
    if which == "live":
        try:
            with st.spinner("Classifying the digit in 200 batches."):
                seen = _mates(runs, pinned, size, digit)
        except ValueError as error:
            st.warning(str(error), icon=":material/group_off:")
            return
    else:
        seen = kept
    if not which:
        st.info(
            f"Not recorded for test digit {pinned} with {mates_in_words(digit)}, {size} in a "
            "batch: press **Train here**, which takes four networks some seconds each. Until then, "
            f"what comes nearest: test digit {seen.pinned} with {mates_in_words(seen.digit)}, "
            f"{seen.size} in a batch.",
            icon=":material/inventory_2:",
        )
    _picture(seen, configs[0], which or "recorded")


def _controls() -> tuple[int, str, str]:
    with page.control_box():
        first, second, third, fourth = st.columns([3, 3, 2, 3], vertical_alignment="bottom")
        with first:
            size = controls.control("crowd")
        with second:
            who = controls.control("mates")
        with third:
            controls.control("pinned", label="Test digit")
        with fourth:
            return size, who, controls.control("placement")


def _picture(seen: Mates, config: TrainConfig, which: str) -> None:
    train_images, test_images = common.image_counts(which, config)
    origin = recorded.read("mates")["origin"]
    live_sweep.mark(
        which,
        origin,
        f"Four networks, each {train_images:,} images in batches of {config.batch_size}, "
        f"learning rate {config.learning_rate:g}, seed {config.seed}.",
    )
    text = answer(seen)
    left, right = st.columns([3, 2])
    with left:
        charts.show(
            margins(seen, text.replace("**", "")),
            f"Test digit {seen.pinned}: right of 0 it is classified correctly. {len(seen.cloud)} "
            f"batches of {seen.size}, {mates_in_words(seen.digit)}.",
            "margins",
        )
    with right:
        charts.show(
            logit_cloud(seen, logits_in_words(seen)),
            f"All ten logits under batch norm, one dot per batch; blue: the right class, "
            f"{seen.label}. Purple bar: with moving statistics.",
            "logits",
        )
    if which == "recorded" and server.data().checksum != origin["data"]["checksum"]:
        st.caption("The recorded numbers are about MNIST, which this server does not have.")
    else:
        show_first_batch(seen, server.data())
    first, second = st.columns(2)
    first.metric(f"Accuracy in random batches of {seen.size}", share(seen.random))
    second.metric(f"In batches of {seen.size} of one class", share(seen.sorted))
    st.caption(
        f"{test_images:,} test images under batch norm, each read with the statistics of its own "
        "batch."
    )
    page.answer(text)
    from pages.lab import inference

    source.show_source(
        inference.pooled,
        inference.cloud,
        formula=r"\mu = \overline{\mu_n} \qquad "
        r"\sigma^2 = \overline{\sigma_n^2} + \operatorname{var}(\mu_n)",
    )


def _mates(runs: list[tuple[str, Run]], pinned: int, size: int, digit: int | None) -> Mates:
    keys, data = tuple(key for key, _ in runs), server.data()
    with turns.let_others():
        return _kept_mates(keys, pinned, size, digit, [run for _, run in runs], data)


@st.cache_resource(max_entries=48, show_spinner=False)
def _kept_mates(
    keys: tuple[str, ...],
    pinned: int,
    size: int,
    digit: int | None,
    _runs: list[Run],
    _data: Dataset,
) -> Mates:
    from pages.lab import inference

    nets, moments = _kept_networks(keys, _runs, _data)
    return inference.mates(nets, _data, pinned, size, digit, moments)


@st.cache_resource(max_entries=8, show_spinner=False)
def _kept_networks(
    keys: tuple[str, ...], _runs: list[Run], _data: Dataset
) -> tuple[dict[str, SmallCNN], tuple[np.ndarray, np.ndarray]]:
    """The networks by method, and `channel_moments` of the test images under batch norm."""
    from pages.lab import inference

    nets = {run.config.normalization: inference.network(run) for run in _runs}
    return nets, inference.channel_moments(nets["batch"], inference.evaluated(_data)[0])
