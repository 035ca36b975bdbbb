"""The assignment as a Python file or a notebook, and a student's functions out of one."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

IMPORT = "import tensorflow as tf\n"


def assignment(suffix: str, texts: Mapping[str, str] | None = None) -> str:
    """All exercises as a .py or .ipynb: these texts, or what one begins with."""
    from normlib.exercises import EXERCISES

    texts = texts or {}
    written = _apart({name: texts.get(name, one.starter) for name, one in EXERCISES.items()})
    if suffix != ".ipynb":
        return "\n\n".join([IMPORT, *written.values()])
    cells = [_cell("code", IMPORT)]
    for name, one in EXERCISES.items():
        words = f"## {one.title}\n{one.task}\n\n$${one.formula}$$\n{one.source}"
        cells += [_cell("markdown", words), _cell("code", written[name])]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


def _apart(texts: dict[str, str]) -> dict[str, str]:
    """The texts with helper functions of one name made different where they are."""
    seen: dict[str, str] = {}
    for exercise, text in texts.items():
        for name, lines in _parts(text).items():
            if name not in texts and seen.setdefault(name, lines) != lines:
                text = re.sub(rf"\b{name}\b", f"{name}_for_{exercise}", text)
        texts[exercise] = text
    return texts


def _cell(kind: str, text: str) -> dict[str, Any]:
    code: dict[str, Any] = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True), **code}


def source_of(file: str, text: str) -> str:
    """The Python of a file; of a notebook, its code cells. ValueError with a sentence if none."""
    if file.endswith(".ipynb"):
        try:
            cells = json.loads(text)["cells"]
            code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{file} is not a notebook that can be read.") from None
        lines = "\n\n".join(code).splitlines()
        text = "\n".join("" if re.match(r"\s*[%!]", line) else line for line in lines)
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"{file}, line {error.lineno}: {error.msg}.") from None
    except (ValueError, RecursionError, MemoryError):
        raise ValueError(f"{file} cannot be read as Python.") from None
    return text


def part_of(text: str, name: str) -> str:
    """The function of this name, with what else of the text it uses; "" if there is none."""
    parts = _parts(text)
    reached, waiting = set(), [name]
    while waiting:
        one = waiting.pop()
        if one in parts and one not in reached:
            reached.add(one)
            waiting += re.findall(r"\w+", parts[one])
    chosen = dict.fromkeys(lines for one, lines in parts.items() if one in reached)
    return "\n\n".join(chosen) if name in reached else ""


def _parts(text: str) -> dict[str, str]:
    """What a text defines at its left margin: name -> its lines."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    lines = text.splitlines()
    parts: dict[str, str] = {}
    for node in body:
        names: list[str] = []
        if isinstance(node, ast.FunctionDef):
            names = [node.name]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [one.asname or one.name for one in node.names]
        elif isinstance(node, ast.Assign):
            names = [n.id for to in node.targets for n in ast.walk(to) if isinstance(n, ast.Name)]
        for name in names:
            parts.pop(name, None)  # the last one counts, where it stands
            parts[name] = "\n".join(lines[node.lineno - 1 : node.end_lineno]) + "\n"
    return parts
