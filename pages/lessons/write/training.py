"""The small network with the student's function beside the lab's: two curves from one start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import streamlit as st

from normlib.config import TrainConfig
from normlib.run import Run
from pages.components import charts, server, trainings
from pages.lab import results, words
from pages.lab.experiment import Experiment

IMAGES = 3_000


def show(exercise: str, text: str) -> None:
    from pages.lab.own_training import STANDS_FOR
    from pages.lab.queue import Own

    if exercise not in STANDS_FOR:
        return
    method = STANDS_FOR[exercise]
    config = TrainConfig(normalization=method, train_size=IMAGES, epochs=1)
    digest = hashlib.sha256(text.encode()).hexdigest()
    own = Own(f"{exercise} {digest}", _own_train(exercise, text))
    with st.container(horizontal=True, vertical_alignment="center"):
        trainings.button("Train with mine", "train_own", icon=":material/play_arrow:")
        st.caption(
            f"Beside the lab's {words.in_sentence(method)}, {IMAGES:,} images; some seconds."
        )
    if trainings.wished("train_own"):
        trainings.submit([config])
        trainings.submit([config], own=own)
    mine, labs = trainings.at(own.key(config, server.data().checksum)), trainings.find(config)
    if mine is not None:
        both = {"Mine": mine} | ({f"The lab's {words.in_sentence(method)}": labs} if labs else {})
        trainings.follow(list(both.values()), lambda: draw(both), "own_live")


def draw(both: dict[str, Experiment]) -> None:
    for name, one in both.items():
        if one.status in trainings.LIVE:
            trainings.progress(one, name)
    mine, *labs = both.values()
    if mine.message:
        st.error(words.verbatim(mine.message), icon=":material/search:")
    curves = {
        name: trainings.curve_of(snapshot)
        for name, snapshot in ((name, one.snapshot()) for name, one in both.items())
        if snapshot.losses
    }
    if curves:
        caption = f"{trainings.data_words(mine)} · same first weights · same batches"
        charts.show(charts.loss_curves(results.losses(curves)), caption, "own_curves")
    if mine.status == "finished" and mine.run and labs and labs[0].run:
        st.markdown(compared(mine.run, labs[0].run))


def compared(mine: Run, labs: Run) -> str:
    apart = [abs(a - b) for a, b in zip(mine.losses, labs.losses, strict=False)]
    first = [words.rounded(run.losses[0]) for run in (mine, labs)]
    return (
        f"The first losses are {words.listed(first)}; "
        f"afterwards the two differ by no more than {words.rounded(max(apart), 2)}. Where both are "
        "right that is rounding, which grows from step to step."
    )


def _own_train(exercise: str, text: str) -> Callable[..., Run]:
    """What trains with this text: as `normlib.training.train`, for the queue."""

    def train(*arguments: Any, **named: Any) -> Run:
        from pages.lab.own_training import train_own

        return train_own(exercise, text, *arguments, **named)

    return train
