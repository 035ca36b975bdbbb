"""Sweeps on a page: recorded or live, fed into the queue a few at a time, stopped when asked.

A sweep may be larger than what one session may have waiting, so the page keeps a few of its
trainings in the queue and adds the next as they end. Leaving the page pauses that; what was
submitted goes on, and pressing the button again goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import streamlit as st

from normlib.config import TrainConfig
from pages.components import controls, server, trainings
from pages.lab import sweeps
from pages.lab.sweeps import Outcome, Point, Sweep

if TYPE_CHECKING:
    from pages.lab.activations import Memory
    from pages.lab.queue import Experiment

AT_A_TIME = 8  # trainings of a sweep that wait or run
ENDED = ("finished", "diverged")
SOURCES = {"recorded": "Recorded", "live": "This machine"}


# ---- recorded or live ------------------------------------------------------------------------


def source_of(has_recorded: bool, has_live: bool) -> str:
    """Which numbers to show, "recorded", "live" or "" where there are none; a choice if both."""
    if has_recorded and has_live:
        return controls.control("from", label_visibility="collapsed")
    return "recorded" if has_recorded else "live" if has_live else ""


def mark(source: str, origin: dict[str, Any], more: str = "") -> None:
    """The badge that says where the numbers come from, beside the words about it."""
    with st.container(horizontal=True, vertical_alignment="center", key="source"):
        if source == "recorded":
            st.badge("Recorded", icon=":material/inventory_2:", color="blue")
            machine = f"{origin['date']}, {origin['machine']}"
            st.caption(
                f"{origin['data']['name']}, normlib {origin['versions']['normlib']}, TensorFlow "
                f"{origin['versions']['tensorflow']}, {machine}. {more}"
            )
        else:
            st.badge("Live", icon=":material/memory:", color="green")
            st.caption(f"This machine, {server.data_words()}. {more}")


def ask_button(label: str, wish: str, **widget: Any) -> None:
    """A button that asks for trainings; from then on the page shows this machine's numbers."""
    st.button(label, key=f"_{wish}", on_click=_asked, args=(wish,), **widget)


def _asked(wish: str) -> None:
    st.session_state.setdefault("_wishes", set()).add(wish)
    controls.put("from", "live")


# ---- what has come ---------------------------------------------------------------------------


@st.cache_resource(show_spinner=False)
def _ended() -> Memory:
    """The outcomes of trainings that have ended, by key: small, unlike the runs."""
    from pages.lab.activations import Memory

    return Memory(most=20_000)


class _NotYet(Exception):
    """This training has not ended; says which experiment is under way, if one is."""

    def __init__(self, experiment: Experiment | None):
        super().__init__()
        self.experiment = experiment


@lru_cache(maxsize=64)
def keyed(sweep: Sweep, checksum: str) -> tuple[tuple[Point, str, str], ...]:
    """Each point with `sweeps.name_of` its config and its run's key."""
    return tuple(
        (point, sweeps.name_of(point.config), point.config.key(checksum))
        for point in sweep.points()
    )


def look(key: str) -> Outcome | Experiment | None:
    """What this server knows of a training: its outcome, the experiment under way, or nothing."""

    def find() -> Outcome:
        queue = server.experiments()
        # A summary is a line; the run itself would bring its weights along.
        summary = queue.store.summary(key) if queue.store is not None else None
        if summary is not None and summary.status in ENDED:
            return Outcome(summary.status, summary.test_accuracy, summary.steps, summary.seconds)
        experiment = trainings.at(key)
        if experiment is not None and experiment.run is not None and experiment.status in ENDED:
            return Outcome.of(experiment.run)
        raise _NotYet(experiment)

    try:
        return _ended().get(key, find)
    except _NotYet as not_yet:
        return not_yet.experiment


def live(sweep: Sweep) -> tuple[dict[str, Outcome], list[Experiment]]:
    """The outcomes that this server has, by name, and the experiments under way."""
    outcomes, under_way = {}, []
    for _, name, key in keyed(sweep, server.data().checksum):
        known = look(key)
        if isinstance(known, Outcome):
            outcomes[name] = known
        elif known is not None and known.status in trainings.LIVE:
            under_way.append(known)
    return outcomes, under_way


# ---- asking and stopping ---------------------------------------------------------------------


def _sweeping() -> set[Sweep]:
    """The sweeps that this session wants finished."""
    return st.session_state.setdefault("_sweeping", set())


def stop(sweep: Sweep) -> None:
    """Stop feeding it, and stop watching what is under way."""
    _sweeping().discard(sweep)
    keys = {key for _, _, key in keyed(sweep, server.data().checksum)}
    trainings.stop(key for key in keys if not isinstance(look(key), Outcome))


def feed(sweep: Sweep, outcomes: dict[str, Outcome], under_way: Sequence[Experiment]) -> bool:
    """Submit the next trainings, as far as there is room; whether any was submitted."""
    if sweep not in _sweeping():
        return False
    busy = {experiment.key for experiment in under_way}
    room = AT_A_TIME - len(busy)
    missing = [
        point.config
        for point, name, key in keyed(sweep, server.data().checksum)
        if name not in outcomes and key not in busy
    ]
    if not missing and not busy:
        _sweeping().discard(sweep)
    if room > 0 and missing:
        trainings.submit(missing[:room])
    return room > 0 and bool(missing)


def run(sweep: Sweep, draw: Callable[[dict[str, Outcome]], None], key: str) -> None:
    """Feed and watch a sweep; `draw(outcomes)` draws it, again each second while it goes on."""
    outcomes, under_way = live(sweep)
    if feed(sweep, outcomes, under_way):
        outcomes, under_way = live(sweep)

    def look_again() -> None:
        now, going = live(sweep)
        if feed(sweep, now, going):
            now, going = live(sweep)
        if going:
            progress(sweep, now, going)
        draw(now)

    trainings.follow(under_way, look_again, key)


def progress(sweep: Sweep, outcomes: dict[str, Outcome], under_way: Sequence[Experiment]) -> None:
    """How many trainings are done, and which ones run."""
    total, done = len(sweep.points()), len(outcomes)
    training = [
        f"{sweeps.title(one.config.normalization)}, {getattr(one.config, sweep.along):g}"
        for one in under_way
        if one.status == "running"
    ]
    words = f"{done} of {total} trainings are done"
    st.progress(
        min(done / total, 1.0), text=f"{words}. Now: {'; '.join(training) or 'waiting for a turn'}."
    )


def buttons(sweep: Sweep, wish: str, has_recorded: bool) -> None:
    """Run and Stop for a sweep, and how large it is."""
    if trainings.wished(f"run_{wish}"):
        _sweeping().add(sweep)
        feed(sweep, *live(sweep))
    if trainings.wished(f"stop_{wish}"):
        stop(sweep)
    outcomes, under_way = live(sweep)
    total = len(sweep.points())
    going = sweep in _sweeping() or any(trainings.watches(one) for one in under_way)
    complete = len(outcomes) == total
    with st.container(horizontal=True, vertical_alignment="center", key=f"{wish}_buttons"):
        ask_button(
            "Run on this machine",
            f"run_{wish}",
            icon=":material/play_arrow:",
            type="secondary" if has_recorded else "primary",
            disabled=complete or going,
        )
        trainings.button(
            "Stop", f"stop_{wish}", icon=":material/stop:", disabled=complete or not going
        )
        st.caption(
            f"All {total} trainings are done on this machine."
            if complete
            else f"{total} small trainings on this machine. Leaving the page pauses the rest."
            if going
            else f"{total} small trainings, a few seconds each."
        )
    trainings.keeping()


# ---- a few trainings whose networks are looked at --------------------------------------------


def trained(configs: Sequence[TrainConfig]) -> list[Experiment] | None:
    """Their finished runs, weights and all; None while one is missing."""
    found = [trainings.find(config) for config in configs]
    whole = all(one is not None and one.status == "finished" and one.run.weights for one in found)
    return found if whole else None
