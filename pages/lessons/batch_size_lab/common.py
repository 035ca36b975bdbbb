"""What lessons of this page share: training the networks they look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from normlib.config import TrainConfig
from pages.components import live_sweep, page, server, trainings
from pages.lab import words
from pages.lab.sweeps import MNIST_IMAGES

if TYPE_CHECKING:
    from normlib.run import Run


def ask_for_a_method() -> None:
    """What stands in the place of the picture where no method is chosen."""
    with page.picture():
        st.markdown("Choose at least one method in **More settings**.")


def image_counts(which: str, config: TrainConfig) -> tuple[int, int]:
    """How many images were trained on, and how many are classified: as many as there are.

    which: "recorded", which was done on MNIST, or "live", on this session's data.
    """
    from pages.lab.inference import EVALUATED

    if which == "recorded":
        return min(config.train_size, MNIST_IMAGES), EVALUATED
    data = server.data()
    return min(config.train_size, len(data.train_labels)), min(EVALUATED, len(data.test_labels))


def trained_here(configs: Sequence[TrainConfig], wish: str) -> list[tuple[str, Run]]:
    """Key and run of each of these networks, trained on this machine, weights and all.

    Nothing while one is missing; `buttons` asks for them.
    """
    if trainings.wished(f"train_{wish}"):
        trainings.submit(configs, weights=True)
    if trainings.wished(f"stop_{wish}"):
        trainings.stop(config.key(server.data().checksum) for config in configs)
    asked = [one for one in map(trainings.find, configs) if one is not None]
    done = [one for one in asked if one.status == "finished" and one.run and one.run.weights]
    return [(one.key, one.run) for one in done if one.run] if len(done) == len(configs) else []


def buttons(configs: Sequence[TrainConfig], wish: str, has_recorded: bool) -> None:
    """Buttons that train these networks on this machine, and how far they are."""
    asked = [one for one in map(trainings.find, configs) if one is not None]
    live = [one for one in asked if one.status in trainings.LIVE]
    with st.container(horizontal=True, vertical_alignment="center", key=f"{wish}_buttons"):
        live_sweep.ask_button(
            "Train here",
            f"train_{wish}",
            icon=":material/play_arrow:",
            type="secondary" if has_recorded else "primary",
            disabled=bool(live),
        )
        trainings.button("Stop", f"stop_{wish}", icon=":material/stop:", disabled=not live)
        many = f"{len(configs)} small networks, some seconds each."
        st.caption(many if len(configs) > 1 else "One small network, some seconds.")
    trainings.keeping()
    for one in asked:
        if one.status in ("stopped", "failed", "diverged"):
            st.caption(f"{words.title(one.config.normalization)}: {one.message}")

    def draw() -> None:
        for one in live:
            trainings.progress(one, words.title(one.config.normalization))

    if live:
        trainings.follow(live, draw, f"{wish}_live")
