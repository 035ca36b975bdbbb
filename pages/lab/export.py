"""A run taken away as files: its history as CSV, its settings as JSON, its data.

The script that repeats it is written by `pages.lab.script`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

import numpy as np

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import Run

_LAYERS = ("conv", "dense", "output")
# Of each channel or unit; thirty columns more would bury the rest. The JSON of the run has them.
_TOO_WIDE = {
    *("moving_mean", "moving_variance", "batch_mean", "batch_variance"),
    *("conv_units", "hidden_units", "histograms"),
}


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Rows as CSV; without `columns`, those of all rows in the order in which they come up.

    Not by pandas, for which a loss that is "nan" is a missing one.
    """
    text = io.StringIO()
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def steps_per_epoch(run: Run) -> int:
    """How many steps one pass took; where none was completed, all that there were.

    A run that ended early has it in its losses: those of an epoch's steps, summed up and divided
    by the report's loss, are the number of images, which fill as many batches as there are steps.
    """
    losses, passes = np.array(run.losses), len(run.epochs)
    if not passes:
        return max(1, len(losses))
    if run.status == "finished":
        return len(losses) // passes
    report_losses = np.array([epoch.report_loss for epoch in run.epochs])
    known = report_losses > 0

    def miss(steps: int) -> float:
        sums = losses[: passes * steps].reshape(passes, steps).sum(axis=1)
        images = sums[known] / report_losses[known]
        whole = np.rint(images)
        fits = np.ceil(whole / run.config.batch_size) == steps
        return float(np.abs(images - whole).max(initial=0.0)) if fits.all() else np.inf

    fewest, most = -(-len(losses) // (passes + 1)), len(losses) // passes
    return min(range(fewest, most + 1), key=miss)


def history_csv(run: Run) -> str:
    """One line per step: its loss, its batch's accuracy, and what else was measured there.

    The results of an epoch stand in the line of its last step, and what was recorded on the
    probe images in the line of the step before it; elsewhere these cells are empty.
    """
    per_epoch = steps_per_epoch(run)
    accuracies = run.recorded.get("batch_accuracies", [""] * len(run.losses))
    rows: list[dict[str, Any]] = [
        {"step": step, "epoch": (step - 1) // per_epoch + 1, "loss": loss, "batch_accuracy": right}
        for step, (loss, right) in enumerate(zip(run.losses, accuracies, strict=True), start=1)
    ]
    for result in run.epochs:
        rows[result.epoch * per_epoch - 1] |= asdict(result)
    left_out = {"step", "batch_accuracies"} | _TOO_WIDE
    for name in (name for name in run.recorded if name not in left_out):
        depth = run.config.depth
        parts = [*(f"layer_{one + 1}" for one in range(depth)), "output"] if depth else _LAYERS
        for step, value in zip(run.recorded["step"], run.recorded[name], strict=True):
            cells = {name: value}
            if isinstance(value, (list, tuple)):
                cells = {f"{name}_{part}": one for part, one in zip(parts, value, strict=False)}
            rows[int(step) - 1] |= cells
    return as_csv(rows)


def config_json(config: TrainConfig) -> str:
    """The settings, one per line; `TrainConfig.from_json` reads them back."""
    return json.dumps(asdict(config), indent=2, sort_keys=True) + "\n"


def run_json(run: Run) -> str:
    """The whole run but its arrays, as `Run.from_dict` reads it back."""
    return json.dumps(run.to_dict(), allow_nan=False)


def runs_json(runs: Sequence[Run]) -> str:
    """Several runs as one JSON list."""
    return json.dumps([run.to_dict() for run in runs], allow_nan=False)


def losses_csv(runs: Mapping[str, Sequence[Run]]) -> str:
    """One line per step, one column per run: "Batch norm, seed 0"."""
    named = {
        f"{name}, seed {run.config.seed}": run.losses
        for name, seeds in runs.items()
        for run in seeds
    }
    columns = ("step", *named)
    lines = enumerate(zip_longest(*named.values(), fillvalue=""), start=1)
    return as_csv([dict(zip(columns, (step, *line), strict=True)) for step, line in lines], columns)


def data_npz(data: Dataset) -> bytes:
    """The data as a file in Keras's layout, for a script on data that Keras does not have."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        x_train=np.concatenate([data.validation_images, data.train_images])[..., 0],
        y_train=np.concatenate([data.validation_labels, data.train_labels]),
        x_test=data.test_images[..., 0],
        y_test=data.test_labels,
    )
    return file.getvalue()
