"""One test digit in 200 batches: for which methods its answer depends on its batch-mates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.components import charts, controls, image_grids, live_sweep, page, server, source, turns
from pages.lab import recorded, studies
from pages.lab.studies import Mates
from pages.lab.words import percent
from pages.lessons.batch_size_lab import common
from pages.lessons.batch_size_lab.mates_parts import answer, depends, margins

if TYPE_CHECKING:
    from normlib.mnist import Dataset
    from normlib.run import Run

WAITS = True
QUESTION = (
    "One test digit, 200 batches: for which methods does its answer depend on its batch-mates?"
)
OPTIONS = page.options_of("mates")
DIGITS_SHOWN = 16


def show() -> None:
    with page.control_box():
        size, who, placement = page.control_row("crowd", "mates", "layers")
    place = st.container()
    with page.control_box("more"), page.more_settings():
        pinned = controls.control("pinned", label="Test image (0 to 1,999)")
    server.wait_for_tensorflow()
    with place:
        _show(placement, size, None if who == "random" else int(who), pinned)


def _show(placement: str, size: int, digit: int | None, pinned: int) -> None:
    configs = list(studies.mates_configs(placement).values())
    seen = studies.recorded_mates(placement, size, digit, pinned)
    has_recorded = (seen.pinned, seen.size, seen.digit) == (pinned, size, digit)
    runs = common.trained_here(configs, "mates")
    which = live_sweep.source_of(has_recorded, bool(runs))
    if which == "live":
        keys, all_runs = zip(*runs, strict=True)
        try:
            with st.spinner("Classifying the digit in 200 batches."), turns.let_others():
                seen = _mates(keys, (pinned, size, digit), all_runs, server.data())
        except ValueError as error:
            with page.picture():
                st.warning(str(error), icon=":material/group_off:")
            return
    origin = recorded.read("mates")["origin"]
    charts.show(margins(seen, placement), _caption(seen), "margins", main=True)
    page.answer(answer(seen), depends=depends(seen))
    if not which:
        st.info(
            f"Not recorded for test image {pinned} with {_in_words(digit)}, {size} in a batch: "
            "the picture shows what comes nearest. **Train here** takes four networks some "
            "seconds each.",
            icon=":material/inventory_2:",
        )
    if not runs:
        common.buttons(configs, "mates", has_recorded)
    _more(seen, which or "recorded", origin)
    train_images, test_images = common.image_counts(which or "recorded", configs[0])
    live_sweep.mark(
        which or "recorded",
        origin,
        f"Four networks, each {train_images:,} images in batches of {configs[0].batch_size}, "
        f"learning rate {configs[0].learning_rate:g}, seed {configs[0].seed}; {test_images:,} test "
        "images.",
        choose=has_recorded and bool(runs),
    )


def _in_words(digit: int | None) -> str:
    """Who is in the batch beside the digit."""
    return "random batch-mates" if digit is None else f"batch-mates that are all {digit}s"


def _caption(seen: Mates) -> str:
    chosen = (
        " It was chosen because batch norm's answer for it is close."
        if seen.pinned == studies.PINNED
        else ""
    )
    return (
        f"Test image {seen.pinned}, a {seen.label}, in {len(seen.cloud)} batches of {seen.size}, "
        f"{_in_words(seen.digit)}; right of 0 it is classified correctly.{chosen}"
    )


def _more(seen: Mates, which: str, origin: dict[str, Any]) -> None:
    """The digits of the first batch, and the accuracy in all batches."""
    from pages.lab import inference

    if which == "recorded" and server.data().checksum != origin["data"]["checksum"]:
        st.caption("The recorded numbers are about MNIST, which this server does not have.")
    else:
        _show_first_batch(seen, server.data())
    shares = (
        ("Batch norm in random batches of {}", seen.random),
        ("In batches of {} of one class", seen.sorted),
    )
    for column, (label, share) in zip(st.columns(2), shares, strict=True):
        text = "too few images" if share is None else percent(share)
        column.metric(label.format(seen.size), text)
    source.show_source(
        inference.pooled,
        inference.cloud,
        formula=r"\mu = \overline{\mu_n} \qquad "
        r"\sigma^2 = \overline{\sigma_n^2} + \operatorname{var}(\mu_n)",
    )


def _show_first_batch(seen: Mates, data: Dataset) -> None:
    """Draw the digit and its batch-mates in the first batch."""
    from pages.lab import inference

    _, labels = inference.evaluated(data)
    mates = inference.draw_mates(labels, seen.pinned, seen.size, seen.digit)[0]
    shown = mates[: DIGITS_SHOWN - 1]
    some = f"{len(shown)} of its {len(mates)}" if len(shown) < len(mates) else "its"
    text = f"Test image {seen.pinned}, a {seen.label}, and {some} batch-mates in the first batch."
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
