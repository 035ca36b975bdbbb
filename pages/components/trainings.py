"""Where pages meet the queue of trainings: ask, watch, stop, look up, take away.

A page never trains in its own script. It submits, and a fragment looks in once a second for as
long as something is under way, so leaving or reloading the page changes nothing.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import streamlit as st

from normlib.config import TrainConfig, reads
from normlib.mnist import Dataset
from normlib.run import Run
from pages.components import chart_files, controls, page, server, turns

if TYPE_CHECKING:
    from pages.lab.queue import Experiment

TICK_SECONDS = 1.0
# Somebody who has just pressed a button looks at the screen: sooner, until the curve begins.
FIRST_TICK_SECONDS, FIRST_SECONDS = 0.1, 4.0
MOST_EARLIER = 3
MAIN = ("batch", "lr", "epochs", "images", "eps", "hidden", "placement", "start", "seed")
LIVE = frozenset({"queued", "running"})
ENDED = frozenset({"finished", "stopped", "diverged"})
_KEY = re.compile(r"[0-9a-f]{32}")


# ---- the settings of a training --------------------------------------------------------------


def training_controls(methods: Iterable[str], first: Iterable[str] = MAIN) -> None:
    """Draw the controls that one of these methods reads: `first` openly, the others folded."""
    read = [name for name in page.TRAINING if any(_reads(method, name) for method in methods)]
    for name in read:
        if name in first:
            controls.control(name)
    folded = [name for name in read if name not in first and controls.visible(name)]
    if folded:
        with st.expander("More settings", icon=":material/tune:", type="compact"):
            for name in folded:
                controls.control(name)


def _reads(method: str, name: str) -> bool:
    return reads(method, controls.CONTROLS[name].config_field)


# ---- who asks --------------------------------------------------------------------------------


def session() -> str:
    """Names whoever is watching: the browser, so that after a reload Stop still works.

    The browser's own random token, which Streamlit gives it against forged requests, tells it
    apart; only a hash of it is used. Without one (a test, a load client) each session counts.
    """
    if "_session" not in st.session_state:
        cookie = st.context.cookies.get("_streamlit_xsrf", "")
        # AppTest hands out a mock where a browser has text.
        token = _unmasked(cookie) if isinstance(cookie, str) else b""
        name = hashlib.sha256(token).hexdigest()[:16] if token else uuid.uuid4().hex[:16]
        st.session_state["_session"] = name
    return st.session_state["_session"]


def _unmasked(cookie: str) -> bytes:
    """The constant part of Tornado's cookie `2|mask|masked token|time`; empty if it is none."""
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


def submit(configs: Iterable[TrainConfig], weights: bool = False) -> None:
    """Ask for these trainings; a full queue answers with its sentence.

    weights: train again what is known, but of whose weights nothing is left.
    """
    from pages.lab.queue import QueueFull

    queue, data = server.experiments(), server.data()
    for config in configs:
        try:
            queue.submit(config, session(), data, weights)
        except QueueFull as full:
            st.warning(str(full), icon=":material/hourglass_disabled:")
            return


def stop(keys: Iterable[str]) -> None:
    """Stop watching these; a training ends when nobody watches it any more."""
    for key in keys:
        server.experiments().unwatch(key, session())


def watches(experiment: Experiment) -> bool:
    """Whether this browser keeps the training alive."""
    return server.experiments().watching(experiment.key, session())


# ---- looking up ------------------------------------------------------------------------------


def find(config: TrainConfig) -> Experiment | None:
    """The experiment for these settings on this session's data, if there ever was one."""
    return at(config.key(server.data().checksum))


def at(key: str) -> Experiment | None:
    """The experiment with this key. Looking at one does not keep it going: only `submit` does."""
    return server.experiments().find(key) if _KEY.fullmatch(key) else None


def adopt(key: str, names: Iterable[str]) -> None:
    """Set the controls `names` to the settings of the run with this key, if there is one."""
    experiment = at(key)
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
    with turns.take():
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
    """A bar and one line: where the training is, how fast, how long still; or why it waits."""
    snapshot = experiment.snapshot()
    share = snapshot.step / snapshot.steps if snapshot.steps else 0.0
    st.progress(
        min(share, 1.0), text=f"{name}: {_state(experiment)}" if name else _state(experiment)
    )


def progress_of_all(named: Sequence[tuple[str, Experiment]]) -> None:
    """One bar for several trainings: which run, which wait; nothing once none is under way."""
    live = [(name, one) for name, one in named if one.status in LIVE]
    if not live:
        return
    share, words = 0.0, []
    for _, one in named:
        snapshot = one.snapshot()
        done = one.status not in LIVE
        share += 1.0 if done else snapshot.step / snapshot.steps if snapshot.steps else 0.0
    for name, one in live:
        snapshot = one.snapshot()
        if one.status == "running":
            left = snapshot.seconds_left
            words.append(f"{name} {seconds(left)} left" if left is not None else f"{name} starts")
    waiting = [one for _, one in live if one.status == "queued"]
    if waiting:
        wait = waiting[-1].expected_wait
        words.append(
            f"{len(waiting)} waiting" + (f", the last for {seconds(wait)}" if wait else "")
        )
    done = len(named) - len(live)
    st.progress(
        min(share / len(named), 1.0), text=f"{done} of {len(named)} done · {' · '.join(words)}"
    )


def _state(experiment: Experiment) -> str:
    snapshot = experiment.snapshot()
    if snapshot.status == "queued":
        position, wait = experiment.position, experiment.expected_wait
        if position is None:
            return "Starting."
        before = (
            "next in the queue"
            if position == 0
            else f"{position:,} training{'s' * (position != 1)} before this one"
        )
        return f"Waiting, {before}" + (f", about {seconds(wait)}." if wait is not None else ".")
    if snapshot.status == "running" and not snapshot.step:
        return "Preparing the network."
    if snapshot.status == "running":
        left = snapshot.seconds_left
        return (
            f"Step {snapshot.step:,} of {snapshot.steps:,}"
            f" · {snapshot.images_per_second:,.0f} images per second"
            + (f" · {seconds(left)} left" if left is not None else "")
        )
    return snapshot.message or {
        "finished": f"Finished in {seconds(snapshot.seconds)}.",
        "interrupted": "Interrupted: the server stopped. Train again to start over.",
    }.get(snapshot.status, snapshot.status.capitalize())


def seconds(value: float) -> str:
    """`4 s`, `2 min 5 s`."""
    whole = max(0, round(value))
    return f"{whole} s" if whole < 90 else f"{whole // 60} min {whole % 60} s"


def keeping() -> None:
    """Say so where the server cannot keep its runs."""
    store = server.experiments().store
    if store is not None and store.problem:
        st.warning(f"Runs are not being kept. {store.problem}", icon=":material/save_as:")


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
    common = {
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


def earlier(shown: TrainConfig, without: Iterable[str]) -> list[Run]:
    """Offer the runs that this server keeps, to lay over the one shown; returns the chosen."""
    from pages.lab import results as tables

    hidden, data = set(without), server.data()
    options = {}
    for summary in server.experiments().earlier(60):
        if summary.key in hidden or summary.status not in ENDED or not summary.steps:
            continue
        label = tables.describe(summary.config, shown)
        if summary.test_accuracy is not None:
            label += f" · {summary.test_accuracy:.1%}"
        else:
            label += f" · {summary.status}"
        if summary.data_checksum != data.checksum:
            label += f" · {summary.data_name}"
        options[summary.key] = label
    if not options:
        return []
    keys = choose(
        "over",
        "Lay earlier runs over this one",
        options,
        several=MOST_EARLIER,
        help=f"At most {MOST_EARLIER}. The name says what differs from the run on screen.",
    )
    found = [at(key) for key in keys]
    return [one.run for one in found if one is not None and one.run is not None]


def names(shown: Sequence[Run], base: TrainConfig) -> list[str]:
    """The name of each run's curve: its method where that is enough, else what differs."""
    from pages.lab import results as tables

    described = [tables.describe(run.config, base) for run in shown]
    named: list[str] = []
    for run, words in zip(shown, described, strict=True):
        method = run.config.normalization
        plain = words == tables.title(method) and method not in named
        name = method if plain else words
        while name in named:
            name += " (again)"
        named.append(name)
    return named


# ---- taking away -----------------------------------------------------------------------------


def downloads(run: Run, key: str) -> None:
    """The run as files: history, settings, everything, and a script that repeats it."""
    from pages.lab import export, script

    data = data_of(run)
    stem = script.file_name(run.config).removesuffix(".py")
    files: list[tuple[str, str, Callable[[], str | bytes], str, str]] = [
        (
            *("History (CSV)", f"{stem}_history.csv"),
            lambda: export.history_csv(run),
            *("text/csv", "One line per step; epoch results in the line of the epoch's end."),
        ),
        (
            *("Settings (JSON)", f"{stem}_settings.json"),
            lambda: export.config_json(run.config),
            *("application/json", "Every setting of this training."),
        ),
        (
            *("Whole run (JSON)", f"{stem}_run.json"),
            lambda: export.run_json(run),
            *("application/json", "Settings, every loss, and all that was recorded."),
        ),
    ]
    if data is not None:
        files.append(
            (
                *("Script (Python)", script.file_name(run.config)),
                lambda: script.write(run.config, data, run),
                *("text/x-python", "Plain TensorFlow that repeats this run without the lab."),
            )
        )
        if data.name != "MNIST":
            files.append(
                (
                    *("Data (NPZ)", "data.npz"),
                    lambda: export.data_npz(data),
                    *("application/octet-stream", "The images that the script needs."),
                )
            )
    with st.container(horizontal=True, key=f"{key}_downloads"):
        for label, name, content, mime, about in files:
            st.download_button(
                label,
                content,
                name,
                mime,
                key=f"{key}_{label}",
                help=about,
                on_click="ignore",
                icon=":material/download:",
            )


def curve_files(stem: str, key: str) -> None:
    """The two curves as vector graphics; as PNG each chart offers itself."""
    chart_files.save_buttons(
        {"loss": "Loss (SVG)", "accuracy": "Accuracy (SVG)"}, stem=stem, key=f"{key}_svg"
    )
    st.caption("As PNG: point at a chart, and press the arrow at its upper right corner.")
