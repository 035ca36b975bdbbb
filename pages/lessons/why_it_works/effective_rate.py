"""The length of a kernel that batch norm follows: it decides how far a step turns it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from pages.components import charts, controls, page, source
from pages.components.charts import Chart
from pages.lab import effective_rate, why, words
from pages.lessons.why_it_works import common

WAITS = True
QUESTION = "Batch norm undoes the length of a kernel. What becomes of the length by plain SGD?"
OPTIONS = page.within("longer", {0.99: "It shrinks", 1.01: "It stays, within 1%"}, "It grows")
TIMES = 100  # the learning rate of the bold step, over that of the trainings
LENGTHS, ANGLES = (1.0, 30.0), (0.03, 30.0)
THEORY = "Theory: where decay settles"


def show() -> None:
    first, _ = page.control_columns(2, 1)
    rules = controls.control("rules", first)
    if not rules:
        with page.picture():
            st.warning("Choose at least one way to descend.", icon=":material/tune:")
        return
    config = why.TURN
    charts.show(
        chart(rules),
        f"The kernel of layer {why.TURNED} of {config.depth}, behind it batch norm · learning rate "
        f"{words.number(config.learning_rate)} (Adam 0.001) · line: mean, band: smallest to "
        f"largest of seeds {common.listed_seeds()}",
        "turns",
        main=True,
    )
    # Asked is what plain SGD does: not judged where it is not in the picture.
    sgd = effective_rate.turned("sgd")
    longer = sgd.last / sgd.first if "sgd" in rules else None
    page.answer(answer(rules), table=table(rules), longer=longer)
    common.origin()
    source.show_source(
        why.turning,
        effective_rate.settles,
        effective_rate.rate,
        effective_rate.one_step,
        formula=r"\lVert w \rVert^4 = \frac{\eta\,\overline{G^2}}{2\lambda}, \quad "
        r"G = \lVert w \rVert \cdot \lVert \partial L / \partial w \rVert",
    )


def chart(rules: tuple[str, ...]) -> Chart:
    """The length, with where theory lets it settle, and the angle of each step."""
    probes = [one for one in why.probes("turning") if one.name in rules]
    found = [replace(one, name=why.RULES[one.name]) for one in probes]
    lengths = why.band(found, "length")
    if "decay" in rules:
        ends = dict(zip(("low", "mid", "high"), effective_rate.turned("decay").theory, strict=True))
        steps = (found[0].steps[0], found[0].steps[-1])
        lengths += [{"method": THEORY, "step": step, **ends} for step in steps]
    left = common.bands(lengths, "Length of the kernel, ‖w‖", LENGTHS)
    right = common.bands(why.band(found, "angle"), "Turn of a step, degrees", ANGLES)
    return replace(left, panels=(*left.panels, *right.panels))


def table(rules: tuple[str, ...]) -> list[dict[str, str]]:
    """Means over the seeds; in the last row one step at a much larger rate, in theory."""
    rows = []
    for rule in rules:
        one = effective_rate.turned(rule)
        settles = {"Theory settles at": words.rounded(one.theory[1], 3) if rule == "decay" else "–"}
        rows.append(_row(why.RULES[rule], one.first, one.last, one.rates, one.angle) | settles)
    if "sgd" in rules:
        bold = effective_rate.bold_step(TIMES)
        rates = [TIMES * effective_rate.rate("sgd", each) for each in (bold.before, bold.after)]
        name = f"SGD, {TIMES} times the rate, one step"
        settles = {"Theory settles at": "–"}
        rows.append(_row(name, bold.before, bold.after, rates, bold.turn) | settles)
    return rows


def _row(
    name: str, first: float, last: float, rates: Sequence[float], turn: float
) -> dict[str, str]:
    return {
        "": name,
        "‖w‖, first": words.rounded(first, 3),
        "‖w‖, last": words.rounded(last, 3),
        "Effective rate, first": words.rounded(rates[0], 2),
        "Effective rate, last": words.rounded(rates[1], 2),
        "Last over first": f"{rates[1] / rates[0]:.0%}",
        "Turn of a step": f"{words.rounded(turn, 2)}°",
    }


def answer(rules: tuple[str, ...]) -> str:
    found = {why.RULES[rule]: effective_rate.turned(rule) for rule in rules}
    told = "; ".join(
        f"{name}: ‖w‖ from {words.rounded(one.first, 3)} to {words.rounded(one.last, 3)}, a turn "
        f"of {words.rounded(one.angle, 2)}° a step in the second half"
        for name, one in found.items()
    )
    sentences = [f"{told}."]
    if "decay" in rules:
        theory = words.rounded(effective_rate.turned("decay").theory[1], 3)
        sentences.append(f"Theory lets the length settle at {theory}.")
    if len(found) > 1:
        most = max(found, key=lambda name: found[name].angle)
        longest = max(found, key=lambda name: found[name].last)
        sentences.append(f"Longest at the end: {longest}. It turns most by {most}.")
    if "sgd" in rules:
        bold = effective_rate.bold_step(TIMES)
        after = effective_rate.rate("sgd", bold.after) / effective_rate.rate("sgd", bold.before)
        sentences.append(
            f"At {TIMES} times the rate one step of plain SGD turns it by "
            f"{words.rounded(bold.turn, 2)}° and stretches it from {words.rounded(bold.before, 3)} "
            f"to {words.rounded(bold.after, 3)}: the effective rate, rate/‖w‖², falls by itself to "
            f"{after:.0%}."
        )
    return " ".join(sentences)
