"""Every view in random states: its answer says what its tables say, and one of its options holds.

`ANSWER_STATES=20 python -m pytest tests/test_answers.py` draws as many states of each view.
"""

import os
import re
from urllib.parse import urlencode

import numpy as np
import pytest
from test_frozen_views import PAGES, everything, frames, in_text, missing, page, said, telling

from normlib.config import METHODS
from pages.components import navigation
from pages.components.control_table import CONTROLS, FOUR_METHODS
from pages.lab.arithmetic import KERNELS, TABLES

# Named only to explain: what a batch of one does is what that method does.
EXPLAINING = "instance norm"

STATES = int(os.environ.get("ANSWER_STATES", "1"))
# The page's control that chooses a view, and what to leave at its default there: trainings with
# other settings are not recorded, so their views have no answer.
TRAINED = {"train", "compare", "backward training"}
KEPT = {"lr", "epochs", "images", "hidden", "placement", "scale0", "start", "learn", "inference"}
KEPT |= {"momentum", "position", "center", "scale", "ghost", "groups", "batch", "eps", "seed"}
KEPT |= {"method", "methods", "cuts", "rates", "bigger"}
TEXTS = {"x": [*TABLES.values()], "v": [*KERNELS.values()]}


def views() -> list[tuple[str, str]]:
    """(page, view) of all that have an answer without a training."""
    found = []
    for name in PAGES:
        own = navigation.PAGES[name.replace(" ", "_")]
        keys = CONTROLS[own.controls[0]].choices if own.views else ["train"]
        found += [(name, key) for key in keys if (name, key) not in UNTRAINED]
    return found


UNTRAINED = {("depth", "curves"), ("depth", "layers")}


def drawn(rng: np.random.Generator, name: str, view: str) -> str:
    """A random state of the view, as a link has it."""
    own = navigation.PAGES[name.replace(" ", "_")]
    kept = KEPT if name in TRAINED or f"{name} {view}" in TRAINED else {"lr", "from"}
    state = {own.controls[0]: view} if own.views else {"method": str(rng.choice(FOUR_METHODS))}
    for control in own.controls[1:] if own.views else own.controls:
        row = CONTROLS[control]
        if control in kept or control in state:
            continue
        if row.kind == "choice":
            state[control] = str(rng.choice(list(row.choices)))
        elif row.kind == "many":
            chosen = [one for one in row.choices if rng.random() < 0.5]
            state[control] = ",".join(chosen or row.default)
        elif row.kind == "flag":
            state[control] = str(rng.choice(["on", "off"]))
        elif row.kind == "text":
            if control in TEXTS:
                state[control] = str(rng.choice(TEXTS[control]))
        elif row.steps:
            limit = min(own.limits.get(control, row.high), 64 if control == "batch" else row.high)
            state[control] = f"{rng.choice([one for one in row.steps if one <= limit]):g}"
        else:
            value = rng.uniform(row.low, min(row.high, 9)) if row.high else rng.integers(10)
            state[control] = f"{value:.1f}" if row.kind == "float" else f"{int(value)}"
    return f"{name} {urlencode(state)}"


CASES = [
    (name, view, drawn(np.random.default_rng([number, at]), name, view))
    for number, (name, view) in enumerate(views())
    for at in range(STATES)
]


@pytest.mark.parametrize(("name", "view", "state"), CASES, ids=lambda value: value)
def test_an_answer_agrees_with_its_view(name, view, state, mnist, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NORMLAB_HOME", str(tmp_path_factory.getbasetemp() / "answers"))
    app = page(state)
    told = [element.value for element in app.success]
    facts, question = app.session_state["_facts"], app.session_state["_view"]
    if not told:
        assert app.warning or app.info or app.caption
        pytest.skip("nothing to answer in this state")
    if facts:
        right = question.right(facts)
        assert len(right) == 1, (right, facts)
    # Words say which way a difference goes: 0.9 below the mean is −0.9 in the table.
    numbers = telling([one.lstrip("-") for text in told for one in in_text(text)], 0.0)
    gone = missing(numbers, [number.lstrip("-") for number in everything(app)])
    assert not gone, (gone, told)
    shown = " ".join([*said(app), *(frame.to_csv() for frame in frames(app))]).lower()
    for method in METHODS.values():
        if method.title.lower() == EXPLAINING:
            continue
        if re.search(rf"\b{method.title.lower()}\b", " ".join(told).lower()):
            assert method.title.lower() in shown
