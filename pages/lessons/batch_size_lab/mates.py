"""One test digit in 200 batches: for which methods its answer depends on its batch-mates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from normlib.config import TrainConfig
from pages.components import charts, image_grids, live_sweep, page, server, source, turns
from pages.lab import recorded, studies
from pages.lab.studies import Mates
from pages.lab.words import percent
from pages.lessons.batch_size_lab import common
from pages.lessons.batch_size_lab.mates_parts import answer, logit_cloud, margins

if TYPE_CHECKING:
    from normlib.mnist import Dataset
    from normlib.run import Run

WAITS = True
QUESTION = (
    "One test digit goes through the same trained network 200 times, each time with different "
    "batch-mates. For which methods does the answer depend on them?"
)
DIGITS_SHOWN = 16


def show() -> None:
    with page.control_box():
        size, who, pinned, placement = page.control_row(
            *("crowd", "mates", "pinned", "placement"), widths=(3, 3, 2, 3), pinned="Test digit"
        )
    server.wait_for_tensorflow()
    digit = None if who == "random" else int(who)
    configs = list(studies.mates_configs(placement).values())
    seen = studies.recorded_mates(placement, size, digit, pinned)
    has_recorded = (seen.pinned, seen.size, seen.digit) == (pinned, size, digit)
    runs = common.trained_here(configs, "mates", has_recorded)
    which = live_sweep.source_of(has_recorded, bool(runs))
    if which == "live":
        keys, all_runs = zip(*runs, strict=True)
        try:
            with st.spinner("Classifying the digit in 200 batches."), turns.let_others():
                seen = _mates(keys, (pinned, size, digit), all_runs, server.data())
        except ValueError as error:
            st.warning(str(error), icon=":material/group_off:")
            return
    elif not which:
        st.info(
            f"Not recorded for test digit {pinned} with {_in_words(digit)}, {size} in a "
            "batch: press **Train here**, which takes four networks some seconds each. Until then, "
            f"what comes nearest: test digit {seen.pinned} with {_in_words(seen.digit)}, "
            f"{seen.size} in a batch.",
            icon=":material/inventory_2:",
        )
    _picture(seen, configs[0], which or "recorded")


def _in_words(digit: int | None) -> str:
    """Whose company it is: mates of one class, or random ones."""
    return "random mates" if digit is None else f"mates that are all {digit}s"


def _picture(seen: Mates, config: TrainConfig, which: str) -> None:
    from pages.lab import inference

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
            f"batches of {seen.size}, {_in_words(seen.digit)}.",
            "margins",
        )
    with right:
        charts.show(
            logit_cloud(seen),
            f"All ten logits under batch norm, one dot per batch; blue: the right class, "
            f"{seen.label}. Purple bar: with moving statistics.",
            "logits",
        )
    if which == "recorded" and server.data().checksum != origin["data"]["checksum"]:
        st.caption("The recorded numbers are about MNIST, which this server does not have.")
    else:
        _show_first_batch(seen, server.data())
    shares = (
        ("Accuracy in random batches of {}", seen.random),
        ("In batches of {} of one class", seen.sorted),
    )
    for column, (label, share) in zip(st.columns(2), shares, strict=True):
        column.metric(
            label.format(seen.size), "too few images" if share is None else percent(share)
        )
    st.caption(
        f"{test_images:,} test images under batch norm, each read with the statistics of its own "
        "batch."
    )
    page.answer(text)
    source.show_source(
        inference.pooled,
        inference.cloud,
        formula=r"\mu = \overline{\mu_n} \qquad "
        r"\sigma^2 = \overline{\sigma_n^2} + \operatorname{var}(\mu_n)",
    )


def _show_first_batch(seen: Mates, data: Dataset) -> None:
    """Draw the pinned digit and its mates in the first batch."""
    from pages.lab import inference

    _, labels = inference.evaluated(data)
    mates = inference.draw_mates(labels, seen.pinned, seen.size, seen.digit)[0]
    shown = mates[: DIGITS_SHOWN - 1]
    some = f"{len(shown)} of its {len(mates)}" if len(shown) < len(mates) else "its"
    text = f"Test digit {seen.pinned}, a {seen.label}, and {some} mates in the first batch."
    images = data.test_images[[seen.pinned, *shown]]
    image_grids.show(image_grids.digits(images, 8, 1), text, text)


@st.cache_resource(max_entries=48, show_spinner=False)
def _mates(
    keys: tuple[str, ...], asked: tuple[int, int, int | None], _runs: Sequence[Run], _data: Dataset
) -> Mates:
    from pages.lab import inference

    nets, moments = _networks(keys, _runs, _data)
    return inference.mates(nets, _data, *asked, moments)


@st.cache_resource(max_entries=8, show_spinner=False)
def _networks(keys: tuple[str, ...], _runs: Sequence[Run], _data: Dataset) -> tuple[Any, Any]:
    """The networks by method, and `channel_moments` of the test images under batch norm."""
    from pages.lab import inference

    nets = {run.config.normalization: inference.network(run) for run in _runs}
    return nets, inference.channel_moments(nets["batch"], inference.evaluated(_data)[0])
