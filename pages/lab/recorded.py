"""What ships with the lab as numbers: one format, one reader, one writer.

Every file in `recordings/` is a JSON object

    {"origin": {"date", "machine", "data": {"name", "checksum"}, "versions"}, ...content}

with one line for each list or row, so that a change of one shows as one. `read(name)` gives it
back, `write(name, content)` writes it, and `python -m pages.lab record [NAME ...]` makes them all
again. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from normlib.config import TrainConfig
from normlib.run import Run

FOLDER = Path(__file__).parent / "recordings"

# The trainings with which the pages of trainings open; their numbers are cut to five digits.
METHODS, IMAGES, EPOCHS, DIGITS = ("none", "batch", "weight", "layer"), 6_000, 2, 5


# ---- every recording -------------------------------------------------------------------------


@lru_cache
def read(name: str) -> dict[str, Any]:
    """The recording of this name, such as "report-as-run"; the same object each time."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def write(name: str, content: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Write a recording, as `read` reads it; returns its file."""
    file = folder / f"{name}.json"
    file.write_text(as_json(content), encoding="utf-8")
    return file


def origin(name: str, checksum: str, versions: Mapping[str, str]) -> dict[str, Any]:
    """Where numbers on these data come from that are made now."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "data": {"name": name, "checksum": checksum},
        "versions": dict(versions),
    }


def machine() -> str:
    """This machine in words."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = named[0].partition(":")[2].strip() if named else name
    return f"{cores()} cores, {name}, {platform.system()}"


def cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def as_json(value: Any) -> str:
    """JSON with one line for each list of numbers and each flat dictionary."""
    return _lines(value, "") + "\n"


def _lines(value: Any, indent: str) -> str:
    inner = indent + " "
    if isinstance(value, dict) and any(isinstance(one, (dict, list)) for one in value.values()):
        items = [f"{inner}{json.dumps(name)}: {_lines(one, inner)}" for name, one in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return "[\n" + ",\n".join(inner + _lines(one, inner) for one in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


# ---- recorded trainings ----------------------------------------------------------------------


class Recorded(NamedTuple):
    """A training that ships with the lab; `origin` says in words when and on what it ran."""

    run: Run
    origin: str


def configs(name: str = "runs") -> list[TrainConfig]:
    """What is recorded under this name: the settings with which the pages of trainings begin
    ("runs"), with two seeds more ("runs-seeds"), and the lesson on the learning rate
    ("runs-rate")."""
    usual = TrainConfig(train_size=IMAGES, epochs=EPOCHS)
    fast = replace(usual, learning_rate=1.0, placement="conv and dense")
    base, seeds = {
        "runs": (usual, (0,)),
        "runs-seeds": (usual, (1, 2)),
        "runs-rate": (fast, (0, 1, 2)),
    }[name]
    return [replace(base, normalization=m, seed=seed) for seed in seeds for m in METHODS]


RUNS = ("runs", "runs-seeds", "runs-rate")


@lru_cache
def trainings() -> dict[str, Recorded]:
    """Every recorded training by its key: of these very settings, data and version of normlib."""
    return {key: one for name in RUNS for key, one in from_content(read(name)).items()}


def to_content(runs: Iterable[Run]) -> dict[str, Any]:
    """Runs without their weights, every fraction cut to `DIGITS` digits, as a recording."""
    found = []
    for run in runs:
        content = {"key": run.key, **run.to_dict()}
        if (run.config.seed, run.config.placement) != (0, "conv"):  # half of it, for Train alone
            for units in ("conv_units", "hidden_units"):
                content["recorded"].pop(units, None)
        text = json.dumps(content, allow_nan=False)
        one = json.loads(text, parse_float=lambda number: float(f"{float(number):.{DIGITS}g}"))
        if run.predictions is not None:
            one["predictions"] = base64.b64encode(run.predictions.tobytes()).decode()
        found.append(one)
    return {"runs": found}


def from_content(content: Mapping[str, Any]) -> dict[str, Recorded]:
    """The runs of a recording, by key."""
    words = "{date}, {machine}".format(**content["origin"])
    found = {}
    for one in content["runs"]:
        arrays = {}
        if "predictions" in one:
            arrays["predictions"] = np.frombuffer(base64.b64decode(one["predictions"]), np.uint8)
        found[one["key"]] = Recorded(Run.from_dict(one, arrays), words)
    return found
