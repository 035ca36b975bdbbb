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


def history(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(export.history_csv(run).splitlines()))


def test_the_history_has_every_step_and_every_epoch(run):
    rows = history(run)
    assert [float(row["loss"]) for row in rows] == run.losses
    assert [int(row["epoch"]) for row in rows] == [1] * 4 + [2] * 4
    ends = [row for row in rows if row["validation_accuracy"]]
    assert [int(row["step"]) for row in ends] == [4, 8]
    assert [float(row["report_loss"]) for row in ends] == [e.report_loss for e in run.epochs]
    recorded = [row for row in rows if row["updates_dense"]]
    assert [int(row["step"]) for row in recorded] == run.recorded["step"]
    dense = [values[1] for values in run.recorded["updates"]]
    assert [float(row["updates_dense"]) for row in recorded] == dense


def test_a_deep_run_has_a_column_for_each_layer(drawn):
    config = TrainConfig(depth=2, train_size=64, epochs=1, hidden_units=8)
    (*_, row) = history(train(config, drawn))
    assert {"spread_layer_2", "dead_layer_1", "gradient_norms_layer_2", "updates_output"} <= set(
        row
    )


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [(200, 64, 3), (192, 64, 3), (1_000, 7, 2), (1_000, 1_000, 5), (55_000, 100, 4)],
)
def test_a_run_that_ended_early_keeps_its_steps_per_epoch(images, batch, epochs, drawn):
    """Whatever the data held: 1,000 images here, where the settings ask for up to 55,000."""
    config = TrainConfig(epochs=epochs, train_size=images, batch_size=batch, hidden_units=8)
    per_epoch = -(-min(images, len(drawn.train_images)) // batch)
    steps = []
    run = train(
        config,
        drawn,
        lambda event: steps.append(getattr(event, "step", 0)),
        lambda: max(steps) > per_epoch,
    )
    assert run.status == "stopped" and len(run.losses) > per_epoch
    assert export.steps_per_epoch(run) == per_epoch
    rows = history(run)
    ends = [int(row["step"]) for row in rows if row["validation_accuracy"]]
    assert ends == [per_epoch * (epoch + 1) for epoch in range(len(run.epochs))]
    assert len(rows) == len(run.losses)


def test_the_history_of_a_run_that_diverged(drawn):
    # One value per channel has variance 0, and without an epsilon it is divided by 0.
    config = TrainConfig(batch_size=1, placement="conv and dense", epsilon=0.0, train_size=20)
    run = train(config, drawn)
    assert run.status == "diverged"
    rows = history(run)
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


def test_every_loss_has_its_step_and_its_run():
    short, long = (
        Run(TrainConfig(seed=s), "", "", "stopped", "", [0.5] * n) for s, n in ((0, 1), (3, 2))
    )
    text = export.losses_csv({"Batch norm": [short, long]})
    assert text == 'step,"Batch norm, seed 0","Batch norm, seed 3"\n1,0.5,0.5\n2,,0.5\n'
    assert export.losses_csv({}) == "step\n"
