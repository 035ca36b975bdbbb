"""The length of a kernel that batch norm follows: it decides how far a step turns it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from pages.components import charts, controls, page, source
from pages.components.charts import Chart
from pages.lab import why, words
from pages.lessons.why_it_works import common

WAITS = True
QUESTION = "Batch norm undoes the length of a kernel. What becomes of the length by plain SGD?"
OPTIONS = page.within("longer", {0.99: "It shrinks", 1.01: "It stays, within 1%"}, "It grows")
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
    sgd = why.turned("sgd")
    page.answer(answer(rules), longer=sgd.last / sgd.first)
    common.origin()
    source.show_source(
        why.turning,
        why.settles,
        formula=r"\lVert w \rVert^4 = \frac{\eta\,\overline{G^2}}{2\lambda}, \quad "
        r"G = \lVert w \rVert \cdot \lVert \partial L / \partial w \rVert",
    )


def chart(rules: tuple[str, ...]) -> Chart:
    """The length, with where theory lets it settle, and the angle of each step."""
    probes = [one for one in why.probes("turning") if one.name in rules]
    found = [replace(one, name=why.RULES[one.name]) for one in probes]
    lengths = why.band(found, "length")
    if "decay" in rules:
        settled = why.turned("decay").settled
        ends = {"low": min(settled), "mid": sum(settled) / len(settled), "high": max(settled)}
        steps = (found[0].steps[0], found[0].steps[-1])
        lengths += [{"method": THEORY, "step": step, **ends} for step in steps]
    left = common.bands(lengths, "Length of the kernel, ‖w‖", LENGTHS)
    right = common.bands(why.band(found, "angle"), "Turn of a step, degrees", ANGLES)
    return replace(left, panels=(*left.panels, *right.panels))


def answer(rules: tuple[str, ...]) -> str:
    found = {why.RULES[rule]: why.turned(rule) for rule in rules}
    told = "; ".join(
        f"{name}: ‖w‖ from {words.rounded(one.first, 3)} to {words.rounded(one.last, 3)}, a turn "
        f"of {words.rounded(one.angle, 2)}° a step in the second half"
        for name, one in found.items()
    )
    sentences = [f"{told}."]
    if "decay" in rules:
        settled = why.turned("decay").settled
        theory = words.rounded(sum(settled) / len(settled), 3)
        sentences.append(f"Theory lets the length settle at {theory}.")
    if len(found) > 1:
        most = max(found, key=lambda name: found[name].angle)
        longest = max(found, key=lambda name: found[name].last)
        sentences.append(f"Longest at the end: {longest}. It turns most by {most}.")
    return " ".join(sentences)
