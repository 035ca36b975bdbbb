"""Sweeps on a page: recorded or live, fed into the queue a few at a time, stopped when asked.

A sweep may be larger than what one session may have waiting, so the page keeps a few of its
trainings in the queue and adds the next as they end. Leaving the page pauses that; what was
submitted goes on, and pressing the button again goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from normlib.config import TrainConfig
from pages.components import controls, page, server, trainings
from pages.lab import sweeps, words
from pages.lab.experiment import FINAL, LIVE
from pages.lab.sweeps import Outcome, Outcomes, Sweep

if TYPE_CHECKING:
    from pages.lab.queue import Experiment

AT_A_TIME = 8  # trainings of a sweep that wait or run
SEEDS = (0, 1, 2)
# draw(sweep, outcomes, how many training images there are, what its caption says first)
Draw = Callable[[Sweep, Outcomes, int, str], None]
_ended: dict[str, Outcome] = {}  # of trainings that have ended, by key: small, unlike the runs


@dataclass
class State:
    """What this server knows of the trainings of a sweep."""

    outcomes: dict[TrainConfig, Outcome] = field(default_factory=dict)
    under_way: list[Experiment] = field(default_factory=list)
    failed: list[Experiment] = field(default_factory=list)
    missing: list[TrainConfig] = field(default_factory=list)


def show(plan: Sweep, wish: str, draw: Draw) -> None:
    """Picture, source and buttons of a sweep: recorded at once, live as it comes.

    wish: names its buttons; unique on the page.
    """
    try:
        configs = plan.configs()
    except ValueError as error:
        with page.picture():
            st.warning(str(error), icon=":material/tune:")
        return
    kept = sweeps.recorded_outcomes()
    has_recorded = all(config.only_used() in kept for config in configs)
    here = replace(plan, seeds=plan.seeds[:1] if controls.get("seeds") == "1" else SEEDS)
    state = _asked_for(here, wish)
    has_live = bool(state.outcomes or state.under_way or state.failed)
    which = source_of(has_recorded, has_live)
    near, told = (plan, "") if which else _nearest(plan)
    if which == "live":
        _watch(here, draw, wish)
    else:
        draw(near, kept, sweeps.MNIST_IMAGES, told)
    _buttons(here, state, wish, has_recorded)
    seeds = (here if which == "live" else near).seeds
    told = f"Seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}."
    mark(which or "recorded", sweeps.origin(near), told, choose=has_recorded and has_live)


def complete(plan: Sweep, picture: list[sweeps.Row]) -> bool:
    """Whether every training has come; if not, say so instead of drawing conclusions."""
    total, done = len(plan.configs()), sum(row.done for row in picture)
    if done < total:
        st.caption(f"{done} of {total} trainings. The answer comes with the last one.")
    return done == total


def _nearest(plan: Sweep) -> tuple[Sweep, str]:
    """The recorded sweep that comes nearest to this one, and what it is."""
    near = min(
        (one for one in sweeps.PLANS.values() if one.along == plan.along),
        key=lambda one: (
            one.values != plan.values,
            one.base.placement != plan.base.placement,
            one.held != plan.held,
        ),
    )
    there = tuple(method for method in plan.methods if method in near.methods)
    where = controls.CONTROLS["layers"].words(near.base.placement).lower()
    if near.along == "batch_size":
        equal = controls.CONTROLS["held"].words(near.held).lower()
        where += f", equal {equal}, learning rate {words.number(near.base.learning_rate)}"
    told = f"**Not recorded for these settings.** The picture shows what comes nearest: {where}. "
    return replace(near, methods=there or near.methods), told


# ---- recorded or live ------------------------------------------------------------------------


def source_of(has_recorded: bool, has_live: bool) -> str:
    """Which numbers to show, "recorded", "live" or "" where there are none; as chosen if both."""
    if has_recorded and has_live:
        return controls.get("from")
    return "recorded" if has_recorded else "live" if has_live else ""


def mark(source: str, origin: dict[str, Any], more: str, choose: bool = False) -> None:
    """The badge that says where the numbers come from, and words about it.

    choose: whether there are recorded and live ones to choose from.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="source"):
        if choose:
            controls.control("from", label_visibility="collapsed", width="content")
        if source == "recorded":
            st.badge("Recorded", icon=":material/inventory_2:", color="blue")
            st.caption(
                f"{origin['data']['name']}, normlib {origin['versions']['normlib']}, TensorFlow "
                f"{origin['versions']['tensorflow']}, {origin['date']}, {origin['machine']}. {more}"
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


# ---- what is known, and what is asked for ----------------------------------------------------


def known(sweep: Sweep) -> State:
    """What this server knows of its trainings."""
    state, checksum = State(), server.data().checksum
    for config in sweep.configs():
        found = _look_up(trainings.key_of(config, checksum))
        if isinstance(found, Outcome):
            state.outcomes[config.only_used()] = found
        elif found is not None and found.status in LIVE:
            state.under_way.append(found)
        elif found is not None and found.status == "failed":
            state.failed.append(found)
        else:
            state.missing.append(config)
    return state


def _look_up(key: str) -> Outcome | Experiment | None:
    if key in _ended:
        return _ended[key]
    store = server.experiments().store
    # A summary is a line; the run itself would bring its weights along.
    summary = store.summary(key) if store is not None else None
    if summary is not None and summary.status in FINAL:
        found = Outcome(summary.status, summary.test_accuracy, summary.steps, summary.seconds)
    else:
        experiment = trainings.at(key)
        if experiment is None or experiment.run is None or experiment.status not in FINAL:
            return experiment
        found = Outcome.of(experiment.run)
    return _ended.setdefault(key, found)


def _wanted() -> set[Sweep]:
    """The sweeps that this session wants finished."""
    return st.session_state.setdefault("_sweeping", set())


def _feed(sweep: Sweep) -> State:
    """Submit the next trainings, as far as there is room; what is known then.

    One that failed is not tried again: that would go on for ever.
    """
    state = known(sweep)
    if sweep not in _wanted():
        return state
    room = AT_A_TIME - len(state.under_way)
    if room > 0 and state.missing:
        trainings.submit(state.missing[:room])
        return known(sweep)
    if not state.missing and not state.under_way:
        _wanted().discard(sweep)
    return state


def _watch(sweep: Sweep, draw: Draw, key: str) -> None:
    """Draw what has come, again each second while it goes on."""
    images = len(server.data().train_labels)

    def look_again() -> None:
        state = _feed(sweep)
        draw(sweep, state.outcomes, images, "")
        if state.under_way:
            running = [
                f"{words.in_sentence(one.config.normalization)}, "
                f"{getattr(one.config, sweep.along):g}"
                for one in state.under_way
                if one.status == "running"
            ]
            now = "; ".join(running) or "waiting for a turn"
            total, done = len(sweep.configs()), len(state.outcomes)
            st.progress(
                min(done / total, 1.0), text=f"{done} of {total} trainings are done. Now: {now}."
            )
        if state.failed:
            failed = words.count(len(state.failed), "training")
            st.warning(f"{failed} failed. {state.failed[0].message}", icon=":material/error:")

    trainings.follow(_feed(sweep).under_way, look_again, key)


def _asked_for(sweep: Sweep, wish: str) -> State:
    """Do what the buttons of this sweep were pressed for; what is known of it then."""
    if trainings.wished(f"run_{wish}"):
        _wanted().add(sweep)
        trainings.submit(one.config for one in known(sweep).failed[:AT_A_TIME])
        _feed(sweep)
    if trainings.wished(f"stop_{wish}"):
        _wanted().discard(sweep)
        trainings.stop(one.key for one in known(sweep).under_way)
    return known(sweep)


def _buttons(sweep: Sweep, state: State, wish: str, has_recorded: bool) -> None:
    """Run and Stop for a sweep, and how large it is."""
    total = len(sweep.configs())
    going = sweep in _wanted() or any(trainings.watches(one) for one in state.under_way)
    done = len(state.outcomes) == total
    with st.container(horizontal=True, vertical_alignment="center", key=f"{wish}_buttons"):
        ask_button(
            "Run here",
            f"run_{wish}",
            icon=":material/play_arrow:",
            type="secondary" if has_recorded else "primary",
            disabled=done or going,
        )
        trainings.button("Stop", f"stop_{wish}", icon=":material/stop:", disabled=done or not going)
        st.caption(
            f"All {total} trainings are done on this machine."
            if done
            else f"{total} small trainings on this machine. Leaving the page pauses the rest."
            if going
            else f"{total} small trainings, a few seconds each."
        )
    trainings.keeping()
