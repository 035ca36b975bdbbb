"""The report's three tables: as published, as recorded, and as this machine trains them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.components import charts, controls, downloads, page, server, trainings
from pages.lab import report
from pages.lab.queue import Experiment
from pages.lab.verdict import Verdict
from pages.lab.words import in_sentence, listed, points, rounded, title

QUESTION = (
    "Which method's accuracy changes most when the report's equations are followed to the letter?"
)
OPTIONS = page.which("most", *report.METHODS, other="None")
WAITS = True  # the tables are there before TensorFlow is

SEED = 0  # of this machine's own trainings
ACCURACIES = (0.91, 0.98)  # of the picture: the published ones, and those of both settings


def show() -> None:
    with page.control_box():
        about, choice = st.columns((17, 10), vertical_alignment="bottom")
        about.caption(report.ABOUT)
        setting = controls.control("setting", choice)
    recorded = report.recorded(setting)
    dots = report.accuracy_dots(recorded)
    charts.show(
        charts.dots(dots, "Test accuracy", x_range=ACCURACIES, percent=True),
        report.caption(recorded),
        key="accuracy_dots",
        main=True,
    )
    changes = {method: report.change(method) for method in report.METHODS}
    most = max(changes, key=lambda method: abs(changes[method].mean))
    page.answer(answer(changes, most), table=list(map(report.change_row, changes)), most=most)
    place = st.empty()
    if not server.warm_up().tensorflow_is_here():
        with place.container():
            tables(setting, {})
        server.wait_for_tensorflow()
    with place.container():
        with_this_machine(setting)
    with st.expander("Reproduce it", icon=":material/replay:"):
        st.code(f"python -m pages.lab report --setting {setting}", language="bash", wrap_lines=True)
        name = f"report-{setting}.json"
        downloads.file("Recorded numbers", name, lambda: json.dumps(report.recorded(setting)))


def with_this_machine(setting: str) -> None:
    """The tables, with what this machine's own trainings gave so far."""
    wanted = {column: report.config(column, setting, SEED) for column in report.COLUMNS}
    if trainings.wished("run_report"):
        trainings.submit(wanted.values())
    if trainings.wished("stop_report"):
        checksum = server.data().checksum
        trainings.stop(config.key(checksum) for config in wanted.values())
    known = {column: trainings.find(config) for column, config in wanted.items()}
    found = {column: each for column, each in known.items() if each is not None}

    def draw() -> None:
        tables(setting, {column: so_far(each) for column, each in found.items()})
        for column, each in found.items():
            if each.status in trainings.LIVE:
                trainings.progress(each, title(column))

    trainings.follow(list(found.values()), draw, key="report_tables")
    machine_controls(setting, found)


def tables(setting: str, own: Mapping[str, Mapping[str, Any]]) -> None:
    """The three tables, with this machine's columns as far as they are."""
    recorded = report.recorded(setting)
    shown = report.tables(recorded["columns"])
    tabs = st.tabs([table.name for table in shown])
    for tab, table, mine in zip(tabs, shown, report.tables(own), strict=True):
        with tab:
            st.markdown(f"**{table.name}. {table.title}**")
            rows = charts.frame(report.table_rows(table, mine))
            st.table(rows, border="horizontal", hide_index=True, alt=table.title)
            unit = f" {report.unit_words()}" if table.name != "Fig 2" else ""
            st.caption(
                f"Recorded: {report.footer(recorded)} ± is half the range over the seeds.{unit}"
            )


def so_far(experiment: Experiment) -> dict[str, list]:
    """A column of a reproduction as far as this training has come."""
    run = experiment.run
    column: dict[str, list] = {
        "loss": [[epoch.report_loss for epoch in experiment.snapshot().epochs]]
    }
    if run is not None and run.test_accuracy is not None:
        column |= {"accuracy": [run.test_accuracy], "seconds": [run.seconds]}
    return column


def machine_controls(setting: str, found: Mapping[str, Experiment]) -> None:
    """The button that fills in this machine's columns, or what came of it."""
    if server.data().name != "MNIST":
        st.caption(f"This machine has {server.data_words()}: its numbers cannot be the report's.")
    status = [each.status for each in found.values()]
    with st.container(horizontal=True, vertical_alignment="center"):
        if any(one in trainings.LIVE for one in status):
            trainings.button("Stop", "stop_report", icon=":material/stop:")
        elif len(status) == len(report.COLUMNS) and set(status) <= {"finished", "diverged"}:
            st.badge("Live", icon=":material/memory:", color="green")
            st.caption(same_words(setting, found))
        else:
            trainings.button("Train them here", "run_report", icon=":material/play_arrow:")
            st.caption(report.cost(setting, SEED))
    trainings.keeping()


def same_words(setting: str, found: Mapping[str, Experiment]) -> str:
    """Whether this machine gave the recorded training of the same seed again."""
    recorded = report.recorded(setting)
    if server.data().checksum != recorded["data"]["checksum"]:
        return f"This machine, seed {SEED}, on other images than the recorded ones."
    off = report.furthest(recorded, {column: so_far(each) for column, each in found.items()})
    who = f"This machine, seed {SEED}. Its losses"
    if off < 1e-6:
        return f"{who} are those of the recorded seed {SEED} to the last digit printed."
    return f"{who} differ from those of the recorded seed {SEED} by at most {rounded(off, 2)}."


def answer(changes: Mapping[str, Verdict], most: str) -> str:
    """What following the equations changes, seed by seed, from both recorded settings."""
    others = [
        f"{in_sentence(method)} {points(one.mean)} ({one.settled})"
        for method, one in changes.items()
        if method != most
    ]
    one = changes[most]
    return (
        f"{title(most)} changes most when the equations are followed: {points(one.mean)} of test "
        f"accuracy on average, {one.settled}. The others: {listed(others)}. "
        "A pair is two trainings with the same seed."
    )
