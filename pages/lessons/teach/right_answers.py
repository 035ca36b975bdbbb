"""What is right in each lesson as its link opens it, for the lecturer's plan: computed, not noted.

A lesson's page judges the options by what it draws. A plan draws none of it, so the same functions
of the engine are asked here; a test holds each of these to what the page itself says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pages.components import activations, controls, server, trainings
from pages.components.controls import CONTROLS
from pages.components.lesson_list import Facts, Lesson
from pages.lab import arithmetic, backward, comparison, depth, studies, why
from pages.lab.arithmetic import Steps
from pages.lessons.backward_pass import check
from pages.lessons.batch_size_lab import mates_parts
from pages.lessons.report import weight
from pages.lessons.step_by_step import gamma_beta, parts

State = Mapping[str, Any]


def right(lesson: Lesson) -> list[str]:
    """The options that hold; none where a training is missing that its page would ask for."""
    state = {name: row.default for name, row in CONTROLS.items()} | dict(lesson.state)
    facts = FACTS[lesson.name](state)
    return lesson.right(facts) if facts else []


def _steps(state: State) -> Steps:
    x = arithmetic.parse_table(state["x"], parts.EXAMPLES, parts.FEATURES)
    numbers = (state["gamma"], state["beta"], state["eps"])
    return arithmetic.normalization_steps(state["method"], x, *numbers)


def _cell(state: State) -> tuple[int, int]:
    return int(state["row"]) - 1, int(state["column"]) - 1


def _outlier(state: State) -> Facts:
    return {"spoils": arithmetic.extent(_steps(state).changed_by(_cell(state)))}


def _relu(state: State) -> Facts:
    return {"cut": float((_steps(state).z < 0).mean())}


def _undo(state: State) -> Facts:
    steps = _steps(state)
    undoing = arithmetic.undoing(steps, int(state["row"]) - 1)
    return gamma_beta.given_back(*gamma_beta.both(steps, *undoing))


def _one(state: State) -> Facts:
    about = (state["seed"], state["batch"], state["stage"], state["weights"])
    origin = activations.Origin(server.data().checksum, *about)
    seen = activations.look(origin, "batch", state["eps"])
    return {"batch": origin.batch, "std": seen["normalized"].overall_std}


def _inference(state: State) -> Facts:
    found = studies.recorded_studies()[studies.small(state["layers"]).only_used()]
    return {"lost": found.lost}


def _mates(state: State) -> Facts:
    asked = (state["layers"], state["crowd"], None, state["pinned"])
    return {"depends": mates_parts.depends(studies.recorded_mates(*asked))}


def _terms(state: State) -> Facts:
    steps = _steps(state)
    dz = backward.incoming(state["dz"], steps, _cell(state), state["seed"])
    about = (state["method"], steps.x, dz, state["gamma"], state["eps"])
    return {"reached": backward.backward_steps(*about).reached}


def _check(state: State) -> Facts:
    rows = check.checked(state["method"], state["eps"], state["mistake"], state["seed"])
    return {"wrong": {row.name for row in rows if not row.agrees}}


def _rate(state: State) -> Facts | None:
    runs = {}
    for method in state["methods"]:
        seeds = range(state["seed"], state["seed"] + int(state["seeds"]))
        asked = [{"normalization": method, "seed": seed} for seed in seeds]
        found = [trainings.find(controls.to_train_config(state, **one)) for one in asked]
        runs[method] = [one.run for one in found if one and one.run]
        if len(runs[method]) < len(found):
            return None
    return {"survivors": comparison.survivors(runs)}


def _depth(state: State) -> Facts:
    return {"read": depth.learned(depth.nearest(state["depth"], state["sigma"]))}


def _shift(state: State) -> Facts:
    return {"settled": why.noise_verdict().differs, "lead": why.noise_verdict().mean}


def _filters(state: State) -> Facts:
    return {"settled": weight.lead().differs, "lead": weight.lead().mean}


FACTS: Mapping[str, Callable[[State], Facts | None]] = {
    "outlier": _outlier,
    "relu": _relu,
    "undo": _undo,
    "one": _one,
    "inference": _inference,
    "mates": _mates,
    "terms": _terms,
    "check": _check,
    "rate": _rate,
    "depth": _depth,
    "shift": _shift,
    "filters": _filters,
}
