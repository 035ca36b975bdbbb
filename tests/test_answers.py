"""What a page says agrees with what it shows, in every view at states drawn at random.

    STATES=20 python -m pytest tests/test_answers.py     # more of them

Each number of an answer also stands in a table, a chart or a caption of the page; where the answer
compares, it may be the difference or the ratio of two numbers of its tables. Each method that it
names is on the page.
"""

import os
import random
import re
from itertools import combinations, permutations

import pytest
from streamlit.testing.v1 import AppTest
from test_frozen_views import blocks, everything, frames, in_frame, in_text, known, said, slack

from normlib.config import METHODS
from pages.components.controls import CONTROLS
from pages.components.page import PAGES, ROOT
from pages.lab import words

STATES = int(os.environ.get("STATES", "1"))
VIEWS = [
    (page.name, view)
    for page in PAGES.values()
    if page.views
    for view in CONTROLS[page.controls[0]].choices
]
# What a training or a table of the reader's own decides is left as it is.
KEPT = {"run", "over", "weights", "x", "v", "g", "images", "epochs"}
# The views whose answers compare.
COMPARES = {("report", "tables"), ("report", "layer"), ("report", "weight"), ("backward", "weight")}
ROUNDING = 1e-5  # smaller numbers measure rounding, and are named once, in the answer


def state(name: str, view: str, seed: int) -> dict[str, str]:
    """Some of the page's controls at random, the others at their default."""
    draw = random.Random(f"{name} {view} {seed}")
    page = PAGES[name]
    chosen = {page.controls[0]: view}
    for key in page.controls[1:]:
        if key not in KEPT and draw.random() < 0.6:
            chosen[key] = drawn(draw, key, page.limits.get(key, CONTROLS[key].high))
    return {key: CONTROLS[key].format(value) for key, value in chosen.items()}


def drawn(draw: random.Random, key: str, high: float):
    row = CONTROLS[key]
    if row.kind == "many":
        return tuple(one for one in row.choices if draw.random() < 0.5)
    if row.choices:
        return draw.choice(list(row.choices))
    if row.kind == "flag":
        return draw.random() < 0.5
    if row.steps:
        return draw.choice([step for step in row.steps if row.low <= step <= high])
    if row.kind == "float":
        return round(draw.uniform(row.low, high), 1)
    return draw.randint(int(row.low), int(min(high, 5)))


def shown(name: str, parameters: dict[str, str]) -> AppTest:
    """The page with its answers and with everything unfolded."""
    app = AppTest.from_file(ROOT / PAGES[name].file, default_timeout=60)
    app.query_params.update({"answers": "on"} | parameters)
    app.run()
    folded = [one.key for one in blocks(app.main) if one.type == "expander" and one.key]
    for key in folded:
        app.session_state[key] = True
    return app.run() if folded else app


@pytest.mark.parametrize(("name", "view"), VIEWS)
def test_an_answer_says_what_the_page_shows(name, view, mnist, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NORMLAB_HOME", str(tmp_path_factory.getbasetemp() / "answers"))
    for seed in range(STATES):
        parameters = state(name, view, seed)
        app = shown(name, parameters)
        assert not app.exception, (parameters, app.exception)
        shows = ranges(everything(app))
        tables = [number for table in frames(app)[:3] for number in in_frame(table)][:60]
        pairs = ranges(tables) if (name, view) in COMPARES else []
        there = named(" ".join([*said(app), *(one.to_string() for one in frames(app))]))
        for answer in app.success:
            where = (parameters, answer.value)
            assert not re.search(r"\b(nan|inf|None)\b", answer.value), where
            strange = [text for text in in_text(answer.value) if not stands(text, shows, pairs)]
            assert not strange, (strange, *where)
            assert named(answer.value) <= there | named(str(parameters)), where


def ranges(numbers: list[str]) -> list[tuple[float, float]]:
    """Each number, without its sign, and how far it may be off."""
    return [(abs(float(text)), slack(text, 3)) for text in dict.fromkeys(numbers)]


def stands(text: str, shows: list[tuple[float, float]], pairs: list[tuple[float, float]]) -> bool:
    """Whether a number is among those shown, or is the difference or the ratio of a pair."""
    value, off = abs(float(text)), slack(text, 2)
    if known(text) < 2 or value < ROUNDING:
        return True
    apart = [(abs(one - other), a + b) for (one, a), (other, b) in combinations(pairs, 2)]
    times = [(one / other, a / other) for (one, a), (other, _) in permutations(pairs, 2) if other]
    return any(
        abs(value - number * unit) <= off + own * unit
        for number, own in (*shows, *apart, *times)
        for unit in (1, 100, 0.01)
    )


def named(text: str) -> set[str]:
    """The methods that a text names."""
    return {one for one in METHODS if words.title(one).lower() in text.lower()}
