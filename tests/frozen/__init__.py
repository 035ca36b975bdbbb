"""What must not change, as the program once gave it.

    FROZEN=record python -m pytest tests/test_frozen_training.py      # records it again

The tests that compare with these files use only what a user does, so they outlive any change of
what is inside.
"""

import json
import os
from pathlib import Path
from typing import Any

RECORDING = os.environ.get("FROZEN") == "record"


def _file(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.json")


def frozen(name: str) -> dict[str, Any]:
    """What that file holds; nothing where it has never been recorded."""
    return json.loads(_file(name).read_text()) if _file(name).exists() else {}


def freeze(name: str, value: Any, *keys: str) -> None:
    """Put the value under these keys, each inside the one before, one line for each innermost."""
    content = inner = frozen(name)
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
    inner[keys[-1]] = value
    _file(name).write_text(_lines(content, len(keys)) + "\n")


def _lines(content: Any, depth: int) -> str:
    if depth == 0:
        return json.dumps(content)
    rows = (f"{json.dumps(key)}: {_lines(content[key], depth - 1)}" for key in sorted(content))
    return "{\n" + ",\n".join(rows) + "\n}"
