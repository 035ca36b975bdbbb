"""The trainings that ship with the package, so that a page of trainings opens on a result.

    python -m pages.lab.recorded pages/lab/recordings/runs.json      # records them again

Each is a `Run` without its weights, its numbers cut to five digits, under the key that the run
had: after a change of normlib's version, or on other data, none of them is found. Nothing here
needs TensorFlow, apart from recording.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from normlib.config import TrainConfig
from normlib.run import Run

METHODS, IMAGES, EPOCHS = ("none", "batch", "weight", "layer"), 6_000, 2
DIGITS = 5


@dataclass(frozen=True)
class Recorded:
    """A run that ships with the package; `origin` says in words when and on what it ran."""

    key: str
    run: Run
    origin: str


def configs() -> list[TrainConfig]:
    """What is recorded: the settings with which the pages of trainings begin."""
    return [TrainConfig(normalization=m, train_size=IMAGES, epochs=EPOCHS) for m in METHODS]


def find(key: str) -> Recorded | None:
    """The recorded run with this key: of these very settings, data and version of normlib."""
    return recorded().get(key)


@lru_cache
def recorded() -> dict[str, Recorded]:
    """Every recorded run by its key."""
    file = Path(__file__).parent / "recordings" / "runs.json"
    return from_json(file.read_text(encoding="utf-8"))


def to_json(runs: Sequence[Run], origin: Mapping[str, str]) -> str:
    """Runs as a file, one line for each. origin: "date" and "machine"."""
    lines = []
    for run in runs:
        one = {"key": run.key, **_cut(run.to_dict())}
        if run.predictions is not None:
            one["predictions"] = base64.b64encode(run.predictions.tobytes()).decode()
        lines.append(json.dumps(one, allow_nan=False, separators=(",", ":")))
    head = json.dumps(dict(origin))
    return f'{{"origin": {head},\n "runs": [\n' + ",\n".join(lines) + "\n ]}\n"


def from_json(text: str) -> dict[str, Recorded]:
    """What `to_json` wrote, by key."""
    content = json.loads(text)
    origin = "{date}, {machine}".format(**content["origin"])
    found = {}
    for one in content["runs"]:
        arrays = {}
        if "predictions" in one:
            arrays["predictions"] = np.frombuffer(base64.b64decode(one["predictions"]), np.uint8)
        found[one["key"]] = Recorded(one["key"], Run.from_dict(one, arrays), origin)
    return found


def _cut(value: Any) -> Any:
    """`value` with every fraction in it cut to `DIGITS` significant digits."""
    if isinstance(value, dict):
        return {name: _cut(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def main(arguments: Sequence[str]) -> int:
    """Train what is recorded, one after the other, and write it to the file that is named."""
    import datetime

    from normlib.mnist import describe_source, load_mnist
    from normlib.training import train
    from pages.lab.report import machine

    (file,) = arguments
    data = load_mnist()
    print(describe_source(data))
    runs = [train(config, data) for config in configs()]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    Path(file).write_text(to_json(runs, {"date": today, "machine": machine()}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
