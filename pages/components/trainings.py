"""Where pages meet the queue of trainings: ask, watch, stop, look up, take away.

A page never trains in its own script. It submits, and a fragment looks in once a second for as
long as something is under way, so leaving or reloading the page changes nothing.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from normlib.config import TrainConfig, reads
from normlib.mnist import Dataset
from normlib.run import Run
from pages.components import controls, page, server, turns
from pages.lab import words
from pages.lab.experiment import LIVE, Experiment
from pages.lab.results import Curve, Watched, curve, shared_length

if TYPE_CHECKING:
    from pages.lab.queue import Own

TICK_SECONDS = 1.0
# Somebody who has just pressed a button looks at the screen: sooner, until the curve begins.
FIRST_TICK_SECONDS, FIRST_SECONDS = 0.1, 4.0
_KEY = re.compile(r"[0-9a-f]{32}")


# ---- the settings of a training --------------------------------------------------------------


def more_controls(methods: Iterable[str], left_out: Iterable[str], *first: str) -> None:
    """`first`, then the controls of a training that one of these methods reads; `left_out`: those
    that stand elsewhere."""
    read = [name for name in page.TRAINING if any(_reads(method, name) for method in methods)]
    with page.control_box("more"):
        page.control_grid([*first, *(name for name in read if name not in left_out)])


def _reads(method: str, name: str) -> bool:
    return reads(method, controls.CONTROLS[name].config_field)


# ---- who asks --------------------------------------------------------------------------------


def session() -> str:
    """Names whoever is watching: the browser, so that after a reload Stop still works.

    Streamlit has no name for a browser. What stays the same in it is the random token against
    forged requests; only a hash of it is used. Without one (a test, a load client) each session
    counts.
    """
    if "_session" not in st.session_state:
        cookie = st.context.cookies.get("_streamlit_xsrf", "")
        # AppTest hands out a mock where a browser has text.
        token = _unmasked(cookie) if isinstance(cookie, str) else b""
        name = hashlib.sha256(token).hexdigest()[:16] if token else uuid.uuid4().hex[:16]
        st.session_state["_session"] = name
    return st.session_state["_session"]


def _unmasked(cookie: str) -> bytes:
    """The constant part of Tornado's cookie `2|mask|masked token|time`; empty if it is none.

    Every answer brings the same token under another mask, so the cookie as it is would not do.
    """
    found = re.fullmatch(r"2\|([0-9a-f]{8})\|([0-9a-f]+)\|\d+", cookie.strip('"'))
    if not found or len(found[2]) % 2:
        return b""
    mask, token = bytes.fromhex(found[1]), bytes.fromhex(found[2])
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(token))


# ---- asking ----------------------------------------------------------------------------------


def button(label: str, wish: str, **widget) -> None:
    """A button whose click the script finds in `wished`, even if another rerun comes between."""
    st.button(label, key=f"_{wish}", on_click=_wish, args=(wish,), **widget)


def _wish(wish: str) -> None:
    st.session_state.setdefault("_wishes", set()).add(wish)


def wished(wish: str) -> bool:
    """Whether that button was pressed since this was last asked."""
    wishes = st.session_state.setdefault("_wishes", set())
    pressed = wish in wishes
    wishes.discard(wish)
    return pressed


def submit(configs: Iterable[TrainConfig], weights: bool = False, own: Own | None = None) -> None:
    """Ask for these trainings; a full queue answers with its sentence.

    weights: train again what is known, but of whose weights nothing is left.
    own: train them in this way, and for this browser alone.
    """
    from pages.lab.queue import QueueFull

    queue, data = server.experiments(), server.data()
    for config in configs:
        try:
            queue.submit(config, session(), data, weights, own)
        except QueueFull as full:
            st.warning(str(full), icon=":material/hourglass_disabled:")
            return


def ask_for_missing(
    wanted: Mapping[str, TrainConfig], place: DeltaGenerator, wish: str
) -> tuple[dict[str, Experiment], list[str]]:
    """A button for the trainings that are missing; those that there are, and the missing ones.

    wanted: by method. wish: as in `button`.
    """
    if wished(wish):
        submit(wanted.values())
    found = {method: find(config) for method, config in wanted.items()}
    missing = [m for m, one in found.items() if one is None or not (one.run or one.status in LIVE)]
    live = any(one is not None and one.status in LIVE for one in found.values())
    with place:
        button(
            f"Train {words.count(len(missing), 'method')}"
            if missing
            else ("Training" if live else "Trained"),
            wish,
            icon=":material/play_arrow:" if missing else None,
            type="primary",
            disabled=not missing,
            width="stretch",
        )
    return {method: one for method, one in found.items() if one is not None}, missing


def stop(keys: Iterable[str]) -> None:
    """Stop watching these; a training ends when nobody watches it any more."""
    for key in keys:
        server.experiments().unwatch(key, session())


def show_stop_class(keys: Collection[str]) -> None:
    """For a lecturer: a button that ends these trainings of the class, if any is under way."""
    queue = server.queue_so_far()
    live = [one.key for one in queue.live(keys)] if queue else []
    if live:
        st.button(
            f"Stop the class's trainings: {len(live)} under way or waiting",
            icon=":material/stop:",
            key="_stop_class",
            on_click=_stop_for_all,
            args=(live,),
            help="What they have is kept, and whoever asks again goes on from there.",
        )


def _stop_for_all(keys: list[str]) -> None:
    server.experiments().stop(keys)


def watches(experiment: Experiment) -> bool:
    """Whether this browser keeps the training alive."""
    return server.experiments().watching(experiment.key, session())


# ---- looking up ------------------------------------------------------------------------------


def find(config: TrainConfig) -> Experiment | None:
    """The experiment for these settings on this session's data, if there ever was one."""
    return at(key_of(config, server.data().checksum))


@lru_cache(maxsize=1024)
def key_of(config: TrainConfig, checksum: str) -> str:
    """`config.key(checksum)`, computed once."""
    return config.key(checksum)


def at(key: str) -> Experiment | None:
    """The experiment with this key. Looking at one does not keep it going: only `submit` does."""
    return server.experiments().find(key) if _KEY.fullmatch(key) else None


def note_link(names: Iterable[str]) -> None:
    """Note a run that the link names without any of these settings: it means that run's own.

    Called before `page.show`, which adds what the link leaves out; `adopt_noted` does the rest.
    """
    link = st.query_params
    if "run" in link and not any(name in link for name in names):
        st.session_state["_run_in_link"] = link["run"]


def adopt_noted(names: Iterable[str]) -> None:
    """Set the controls `names` to the settings of the run that `note_link` found, if it is here."""
    experiment = at(st.session_state.pop("_run_in_link", ""))
    if experiment is None:
        return
    for name in names:
        field = controls.CONTROLS[name].config_field
        if field and _reads(experiment.config.normalization, name):
            # A run from the command line may lie beyond what this page's controls can show; the
            # page then says what differs.
            with suppress(ValueError):
                controls.put(name, getattr(experiment.config, field))


def data_of(run: Run) -> Dataset | None:
    """The data that the run was trained on, where this session has them."""
    data = server.data()
    return data if data.checksum == run.data_checksum else None


def data_words(experiment: Experiment) -> str:
    """How a caption names the data of a training, which this session may have changed since."""
    name = experiment.data_name
    return name if name == "MNIST" else f"{name} (not MNIST)"


# ---- curves ----------------------------------------------------------------------------------


def steps_shown(watched: Watched) -> int:
    """How many steps of a training to draw: all, or, while it runs, as many as all who watch share
    at this moment."""
    steps = len(watched.losses)
    return shared_length(steps) if watched.status in LIVE else steps


def curve_of(watched: Watched, steps: int | None = None) -> Curve:
    """The loss curve of a training as a screen shows it, of its first `steps` (`steps_shown`)."""
    steps = steps_shown(watched) if steps is None else steps
    losses = watched.losses
    return _curve(watched.key, steps, losses[steps - 1] if steps else 0.0, losses)


@st.cache_resource(max_entries=256, show_spinner=False)
def _curve(key: str, steps: int, last: float, _losses: Sequence[float]) -> Curve:
    # The last loss tells a training from another one with its settings on another machine.
    return curve(_losses, steps)


# ---- watching --------------------------------------------------------------------------------


def follow(experiments: Sequence[Experiment], draw: Callable[[], None], key: str) -> None:
    """Draw now, and again each second while one of these is under way; then the whole page."""
    live = any(one.status in LIVE for one in experiments)
    just_asked = live and _about_to_begin(experiments)
    every = (FIRST_TICK_SECONDS if just_asked else TICK_SECONDS) if live else None
    st.fragment(_look, run_every=every, key=key)(tuple(experiments), draw, live, just_asked)


def _look(
    experiments: Sequence[Experiment],
    draw: Callable[[], None],
    was_live: bool,
    was_just_asked: bool,
) -> None:
    with turns.take("watching"):
        server.experiments().seen(session())
        still_live = any(one.status in LIVE for one in experiments)
        still_to_begin = _about_to_begin(experiments)
        draw()
    if (was_live and not still_live) or (was_just_asked and not still_to_begin):
        st.rerun()


def _about_to_begin(experiments: Sequence[Experiment]) -> bool:
    """Whether one of these was asked for a moment ago and is next, and none has a curve yet."""
    live = [one for one in experiments if one.status in LIVE]
    return any(
        0 <= time.time() - one.created < FIRST_SECONDS and not one.position for one in live
    ) and not any(one.snapshot().losses for one in live)


def progress(experiment: Experiment, name: str = "") -> None:
    """A bar and one line: where the training is, how fast, how long still; or why it waits.

    One that is over has no bar, only its line.
    """
    snapshot = experiment.snapshot()
    text = f"{name}: {_state(experiment)}" if name else _state(experiment)
    if snapshot.status in LIVE:
        st.progress(_share(experiment), text=text)
    else:
        st.markdown(text)


def progress_of_all(named: Sequence[tuple[str, Experiment]]) -> None:
    """One bar for several trainings: which run, which wait; nothing once none is under way."""
    live = [(name, one) for name, one in named if one.status in LIVE]
    if not live:
        return
    parts = [f"{len(named) - len(live)} of {len(named)} done"]
    for name, one in live:
        if one.status == "running":
            left = one.snapshot().seconds_left
            parts.append(f"{name} starts" if left is None else f"{name} {words.seconds(left)} left")
    if waiting := sum(one.status == "queued" for _, one in live):
        parts.append(f"{waiting} waiting")
    share = sum(_share(one) for _, one in named) / len(named)
    st.progress(min(share, 1.0), text=" · ".join(parts))


def _share(experiment: Experiment) -> float:
    """How much of a training is done, 0 to 1."""
    snapshot = experiment.snapshot()
    if snapshot.status not in LIVE:
        return 1.0
    return min(snapshot.step / snapshot.steps, 1.0) if snapshot.steps else 0.0


def _state(experiment: Experiment) -> str:
    snapshot = experiment.snapshot()
    if snapshot.status == "queued":
        position = experiment.position
        if position is None:
            return "Starting."
        before = f"{words.count(position, 'training')} before this one"
        at = f" at step {snapshot.step:,}" if snapshot.step else ""  # it stepped aside
        return f"Waiting{at}, {before if position else 'next in the queue'}."
    if snapshot.status == "running":
        if not snapshot.step:
            return "Preparing the network."
        speed = f"{snapshot.images_per_second:,.0f} images per second"
        left = snapshot.seconds_left
        return f"Step {snapshot.step:,} of {snapshot.steps:,} · {speed}" + (
            "" if left is None else f" · {words.seconds(left)} left"
        )
    return snapshot.message or {
        "finished": f"Done in {words.seconds(snapshot.seconds)}.",
        "interrupted": "Interrupted: the server stopped. Train again to start over.",
    }.get(snapshot.status, snapshot.status.capitalize())


def keeping() -> None:
    """Say so where the server cannot keep its runs, or had to set earlier ones aside."""
    store = server.experiments().store
    for sentence in filter(None, (store.problem, store.notice) if store is not None else ()):
        st.warning(sentence, icon=":material/save_as:")


# ---- choosing among what is there ------------------------------------------------------------


def choose(
    name: str,
    label: str,
    options: Mapping[str, str],
    *,
    several: int = 0,
    long: bool = False,
    help: str = "",
) -> list[str]:
    """A choice whose options only this moment knows, kept in the text setting `name`.

    options: value -> what the reader sees. several: at most so many; 0 is exactly one, from a
    row of buttons or, where the list is long, from a drop-down list.
    Returns the chosen values. In the link they stand with commas between.
    """
    chosen = [one for one in controls.get(name).split(",") if one in options]
    chosen = chosen[: several or 1] or ([] if several else list(options)[:1])
    key = f"_{name}"
    kept = st.session_state.get(key)
    if kept is None or any(one not in options for one in (kept if several else [kept])):
        st.session_state[key] = chosen if several else (chosen or [None])[0]
    if not controls.visible(name):
        return chosen
    common: dict[str, Any] = {
        "format_func": lambda value: options.get(value, value),
        "key": key,
        "help": help or None,
        "on_change": _chosen,
        "args": (name, key),
    }
    if several:
        st.multiselect(label, list(options), max_selections=several, **common)
    elif long:
        st.selectbox(label, list(options), **common)
    else:
        st.segmented_control(label, list(options), required=True, **common)
    return chosen


def _chosen(name: str, key: str) -> None:
    value = st.session_state[key]
    controls.put(name, ",".join(value) if isinstance(value, list) else value or "")
