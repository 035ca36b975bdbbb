"""How far each step moves a kernel while a network trains, method by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from normlib.config import TrainConfig
from pages.components import charts, controls, page, server, source, trainings
from pages.components.charts import Chart
from pages.lab import backward, words

if TYPE_CHECKING:
    import pandas as pd

    from pages.lab.queue import Experiment

QUESTION = "How far does a step move the kernel: late in training, with which method most?"
OPTIONS = page.which("most", *controls.FOUR_METHODS)
ENDS = (1e-5, 0.3)  # of the axis; what lies beyond is drawn at its end


def show() -> None:
    first, second, third = page.control_columns(1.1, 1.5, 1.1, aligned="bottom")
    stage = controls.control("stage", first)
    controls.control("lr", second)
    wanted, refused = controls.to_train_configs(controls.FOUR_METHODS)
    here, missing = trainings.ask_for_missing(wanted, third, "train_missing")
    trainings.follow(list(here.values()), lambda: draw(here, stage, wanted), "updates")
    if missing:
        names = words.listed(map(words.in_sentence, missing))
        st.markdown(f"Not trained yet with these settings: {names}.")
    for sentence in dict.fromkeys(refused.values()):
        st.warning(sentence)
    with page.more_settings():
        controls.control("seed")
    from normlib.training import Graphs

    source.show_source(Graphs.step, label="The training step that measured it")


def draw(found: Mapping[str, Experiment], stage: str, wanted: Mapping[str, TrainConfig]) -> None:
    """The curves as far as they are, and what they say."""
    layer, images = ("conv", "hidden").index(stage), len(server.data().train_images)
    rows: list[tuple[str, int, float, bool]] = []
    for method, one in found.items():
        recorded = one.run.recorded if one.run is not None else one.snapshot().recorded
        measured = zip(recorded.get("step", ()), recorded.get("updates", ()), strict=False)
        for step, kernels in measured:
            full = backward.is_full_batch(wanted[method], images, step)
            rows.append((method, step, kernels[layer], full))
    columns = ("method", "step", "update", "full batch")
    table = charts.frame({name: [row[at] for row in rows] for at, name in enumerate(columns)})
    kernel = f"{controls.CONTROLS['stage'].choices[stage].lower()}'s kernel"
    told = f"The {kernel} · {charts.caption_for('batch', 'lr', 'epochs', 'images', 'seed')}"
    if any(one.recorded for one in found.values()):
        told += " · recorded, comes with the lab"
    steps = max((backward.all_steps(config, images) for config in wanted.values()), default=1)
    charts.show(chart(table, steps), f"{told}. Each mark is one full batch.", "updates", main=True)
    trainings.progress_of_all([(words.title(method), one) for method, one in found.items()])
    for method, one in found.items():
        if one.run is not None and one.run.message:
            st.caption(f"{words.title(method)}: {one.run.message}")
    moved: dict[str, list[float]] = {
        str(method): own["update"].tolist() for method, own in whole(table).groupby("method")
    }
    if len(moved) > 1 and not any(one.status in trainings.LIVE for one in found.values()):
        late = {method: backward.late_median(moved[method]) for method in found if method in moved}
        medians = [
            {
                "Method": words.title(method),
                "Median of the second half": words.rounded(median, 3),
                "Less than at the start": "yes" if backward.has_shrunk(moved[method]) else "no",
            }
            for method, median in late.items()
        ]
        most = max(late, key=late.__getitem__)
        page.answer(answer(moved, late, kernel), table=medians, most=most)


def whole(table: pd.DataFrame) -> pd.DataFrame:
    """Without the last batches of epochs where these are smaller than the others: their gradient
    would stand out for that alone."""
    return table[table["full batch"].astype(bool)]


def chart(table: pd.DataFrame, steps: int) -> Chart:
    """A mark for each full batch that was measured. The table has the others too."""
    full = whole(table)
    drawn = full.assign(update=full["update"].clip(*ENDS))
    beyond = " (at the axis's ends: beyond)" if (drawn["update"] != full["update"]).any() else ""
    title = f"Relative update, ‖Δw‖ / ‖w‖{beyond}"
    curves = charts.curves(
        *(drawn, "step", "update", "Step", title),
        log=True,
        points=True,
        y_range=ENDS,
        x_range=(0, steps),
    )
    return charts.tall(replace(curves, table=table))


def answer(moved: Mapping[str, Sequence[float]], late: Mapping[str, float], kernel: str) -> str:
    """moved: the relative updates of each method; late: their medians in the second half."""
    high, low = max(late, key=late.__getitem__), min(late, key=late.__getitem__)
    times = f", {words.rounded(late[high] / late[low], 2)} times less" if late[low] else ""
    shrunk = [words.in_sentence(one) for one in late if backward.has_shrunk(moved[one])]
    return (
        f"In the second half a step moves the {kernel} most with {words.in_sentence(high)} (median "
        f"{words.rounded(late[high], 3)} of its length) and least with {words.in_sentence(low)} "
        f"({words.rounded(late[low], 3)}){times}. "
        f"Less than at the start: {words.listed(shrunk) or 'none'}."
    )
