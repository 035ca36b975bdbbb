"""Exports: what is written must be readable by others."""

import csv
import io
import json

import numpy as np
import pytest

from normlib.config import TrainConfig
from normlib.run import Run
from normlib.training import train
from pages.lab import export


@pytest.fixture(scope="module")
def run(drawn) -> Run:
    return train(
        TrainConfig(epochs=2, train_size=200, batch_size=64, hidden_units=12, momentum=0.5), drawn
    )


def test_the_history_has_every_step_and_every_epoch(run):
    rows = list(csv.DictReader(io.StringIO(export.history_csv(run))))
    assert [float(row["loss"]) for row in rows] == run.losses
    assert [int(row["epoch"]) for row in rows] == [1] * 4 + [2] * 4
    ends = [row for row in rows if row["validation_accuracy"]]
    assert [int(row["step"]) for row in ends] == [4, 8]
    assert [float(row["report_loss"]) for row in ends] == [e.report_loss for e in run.epochs]
    recorded = [row for row in rows if row["conv_input_p50"]]
    assert [int(row["step"]) for row in recorded] == run.recorded["step"]
    median = [values[1] for values in run.recorded["conv_input"]]
    assert [float(row["conv_input_p50"]) for row in recorded] == median


def test_the_history_of_a_run_that_was_stopped(drawn):
    """Its epoch results stay in the lines of their own epochs."""
    seen = []
    config = TrainConfig(epochs=3, train_size=200, batch_size=64, hidden_units=8)
    run = train(config, drawn, seen.append, lambda: len(seen) > 4)
    assert run.status == "stopped" and len(run.epochs) == 1 and 4 < len(run.losses) < 12
    rows = list(csv.DictReader(io.StringIO(export.history_csv(run, len(drawn.train_labels)))))
    assert [row["step"] for row in rows if row["validation_accuracy"]] == ["4"]
    assert len(rows) == len(run.losses)


def test_the_history_of_a_run_that_diverged(drawn):
    # One value per channel has variance 0, and without an epsilon it is divided by 0.
    config = TrainConfig(batch_size=1, placement="conv and dense", epsilon=0.0, train_size=20)
    run = train(config, drawn)
    assert run.status == "diverged"
    rows = list(csv.DictReader(io.StringIO(export.history_csv(run, len(drawn.train_labels)))))
    assert len(rows) == len(run.losses) and not np.isfinite(float(rows[-1]["loss"]))


def test_settings_and_runs_are_read_back(run):
    assert TrainConfig.from_json(export.config_json(run.config)) == run.config
    again = Run.from_dict(json.loads(export.run_json(run)), run.arrays())
    assert again.losses == run.losses and again.config == run.config


def test_the_saved_data_are_the_data(drawn):
    with np.load(io.BytesIO(export.data_npz(drawn))) as file:
        np.testing.assert_array_equal(file["x_train"][200:], drawn.train_images[..., 0])
        np.testing.assert_array_equal(file["y_train"][:200], drawn.validation_labels)
        np.testing.assert_array_equal(file["x_test"], drawn.test_images[..., 0])
