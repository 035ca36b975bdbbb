"""The floors of the house: imports go down, never up."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the ground up; a file may import from its own floor and from those before it.
FLOORS = ("normlib", "pages.lab", "pages.components", "pages.lessons", "pages")
# What a floor must not know, wherever it comes from.
STRANGERS = {
    "normlib": {"streamlit", "altair", "pandas", "segno", "sqlalchemy"},
    "pages.lab": {"streamlit", "altair"},
    "pages.components": {"tensorflow"},
    "pages.lessons": {"tensorflow"},
    "pages": {"tensorflow"},
}
FILES = [
    ROOT / "app.py",
    *sorted(ROOT.glob("normlib/**/*.py")),
    *sorted(ROOT.glob("pages/**/*.py")),
]


def floor_of(module: str) -> int | None:
    """The floor that a module stands on; None for a module from elsewhere."""
    on = [i for i, floor in enumerate(FLOORS) if f"{module}.".startswith(f"{floor}.")]
    return min(on, default=None)


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports anywhere in it, `from a import b` as both a and a.b."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_down(file):
    own = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    floor = len(FLOORS) - 1 if own == "app" else floor_of(own)
    modules = set(imported(file))
    upwards = {name for name in modules if name != "pages" and (floor_of(name) or 0) > floor}
    assert not upwards - {"pages.lab", "pages.components", "pages.lessons"}, f"{own} looks up"
    strangers = {name.split(".")[0] for name in modules} & STRANGERS[FLOORS[floor]]
    assert not strangers, f"{own} must not know {strangers}"
