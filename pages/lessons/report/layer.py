"""Batch norm against layer norm: which learns faster, and what a step costs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.components import charts, controls, page
from pages.lab import report
from pages.lab.report import LEVELS, Column
from pages.lab.verdict import CONFIDENCE
from pages.lab.words import in_sentence, listed, minus, percent, points, title

QUESTION = "Batch norm or layer norm: which one learns faster on this small convolutional network?"
# Fewer steps are faster, so batch norm is where the lead is below 0.
OPTIONS = page.leading("Batch norm: settled", "Layer norm: settled", "These seeds cannot tell")
METHODS = ("none", "batch", "layer")


def show() -> None:
    with page.control_box():
        recorded = report.recorded(controls.control("setting"))
    charts.show(
        charts.curves(
            report.accuracy_rows(recorded, METHODS),
            *("step", "accuracy", "Step", f"Accuracy on the last {report.ACCURACY_WINDOW} batches"),
            percent=True,
            y_range=(report.SHOWN_FROM, 1.0),
        ),
        report.caption(recorded, "bands: the seeds"),
        key="convergence",
        main=True,
    )
    columns = {method: report.column(recorded, method) for method in METHODS}
    none, batch, layer = columns.values()
    sentences = [speed(batch, layer, LEVELS[-1]), accuracy(batch, layer), cost(batch, layer, none)]
    told = "\n".join(f"- {sentence}" for sentence in sentences)
    race = report.race(batch, layer, LEVELS[-1]).verdict
    page.answer(
        *(told, "", differences(batch, layer, recorded["seeds"])),
        settled=bool(race and race.differs),
        lead=race.mean if race else 0.0,
    )
    rows = [row(column, none) for column in columns.values()]
    st.table(charts.frame(rows), border="horizontal", hide_index=True)
    st.caption(
        "Recorded. Steps and accuracy are means over the seeds. A step's time is that of the "
        f"fastest fifty in a row, trained alone ({recorded['machine'].rpartition(', ')[0]}). A "
        "pair is two trainings with the same seed: the same start and the same mini-batches."
    )
    st.caption(report.ABOUT)
    st.caption(
        "Its section 1.3 says that layer normalization “offers a speedup over the baseline model "
        "without normalization, but batch normalization outperforms the other methods”. That is, "
        "word for word, a sentence of the layer-norm paper (Ba, Kiros and Hinton, 2016, section "
        "6.7) on that paper's own preliminary experiments; the report's own evidence is its tables."
    )


def row(column: Column, without: Column) -> dict[str, str]:
    """One method; `without`: the column without normalization."""
    cells = {"Method": title(column["method"])}
    for level in LEVELS:
        mean = report.mean_steps(column, level)
        cells[f"Steps to {level:.0%}"] = "never" if mean is None else f"{mean:,.0f}"
    cells["Test accuracy"] = percent(report.mean_accuracy(column), 2)
    cost = column["milliseconds_per_step"]
    times = cost / without["milliseconds_per_step"]
    return cells | {"Per step": f"{cost:.1f} ms", "Times none": f"{times:.1f}"}


def differences(one: Column, other: Column, seeds: Sequence[int]) -> list[dict[str, str]]:
    """The first method's accuracy minus the other's, in points: by seed, the mean, its interval."""
    found = report.accuracy_verdict(one, other)
    by_seed = zip(seeds, found.differences, strict=True)
    cells = {f"Seed {seed}": f"{value:+.2f}" for seed, value in by_seed}
    cells |= {"Mean": f"{found.mean:+.2f}", f"{CONFIDENCE:.0%} interval, from": f"{found.low:+.2f}"}
    names = f"{title(one['method'])} minus {in_sentence(other['method'])}, points"
    told = {"": names} | cells | {"to": f"{found.high:+.2f}"}
    return [{name: minus(cell) for name, cell in told.items()}]


def speed(one: Column, other: Column, level: float) -> str:
    """Which of two methods reaches the level sooner, and whether the pairs settle it."""
    a, b = in_sentence(one["method"]), in_sentence(other["method"])
    race = report.race(one, other, level)
    if race.first is None and race.second is None:
        return f"To {level:.0%}: neither {a} nor {b} gets there with every seed."
    if race.verdict is None:
        there, not_there = (b, a) if race.first is None else (a, b)
        return f"To {level:.0%}: only {there} gets there with every seed, not {not_there}."
    faster = title(one["method"] if race.verdict.mean < 0 else other["method"])
    by = f" by a factor of {race.factor:.1f}," if race.verdict.differs else ""
    return (
        f"To {level:.0%}: {race.first:,.0f} steps with {a}, {race.second:,.0f} with {b}. "
        f"{faster} is faster{by} {race.verdict.settled}."
    )


def accuracy(one: Column, other: Column) -> str:
    """Which of two methods ends up more accurate, and whether the pairs settle it."""
    a, b = in_sentence(one["method"]), in_sentence(other["method"])
    found = report.accuracy_verdict(one, other)
    each = listed(f"{difference:+.2f}" for difference in found.differences)
    return (
        f"Test accuracy: {a} minus {b} is {each} by seed, {points(found.mean)} on average, "
        f"{found.settled} ({CONFIDENCE:.0%} interval {found.low:+.2f} to {found.high:+.2f})."
    )


def cost(one: Column, other: Column, without: Column) -> str:
    """What a step costs with each of two methods, and without any."""
    first, second, bare = (each["milliseconds_per_step"] for each in (one, other, without))
    return (
        f"A step costs {first:.1f} ms with {in_sentence(one['method'])} and {second:.1f} ms with "
        f"{in_sentence(other['method'])}: {first / bare:.1f} and {second / bare:.1f} times the "
        f"{bare:.1f} ms without."
    )
