"""Runs as rows and sentences: what a page says must follow from the numbers alone."""

from dataclasses import replace

import numpy as np
import pytest

from normlib.config import TrainConfig
from normlib.run import EpochResult, Run
from pages.lab import results as tables


def run(losses=(2.0, 1.0), report=0.01, accuracy=0.9, status="finished", message="", **config):
    epochs = [EpochResult(1, report, report * 64, 0.8, 1.0)] if report else []
    return Run(
        TrainConfig(**config),
        "MNIST",
        "0" * 64,
        status,
        message=message,
        losses=list(losses),
        epochs=epochs,
        test_accuracy=accuracy,
        seconds=2.0,
        images_per_second=100.0,
    )


def test_smoothing_averages_the_last_steps_only():
    values = np.arange(1000.0)
    smooth = tables.smoothed(values)
    assert smooth[0] == 0.0
    assert smooth[2] == pytest.approx(1.0)  # of 0, 1, 2: fewer at the start
    assert smooth[-1] == pytest.approx(np.mean(values[-40:]))  # 4 % of 1,000
    assert tables.smoothed([3.0]).tolist() == [3.0]
    assert len(tables.smoothed([])) == 0


def test_a_band_ends_where_the_slowest_seed_is():
    rows = tables.loss_bands({"batch": [run([4.0] * 10), run([2.0] * 7)], "layer": [run([])]})
    assert set(rows["method"]) == {"batch"}
    assert rows["step"].max() == 7
    assert (rows["low"] == 2).all() and (rows["mid"] == 3).all() and (rows["high"] == 4).all()


def test_confusion_counts_rows_by_the_true_digit():
    labels, read = np.array([4, 4, 4, 9], np.uint8), np.array([9, 9, 4, 9], np.uint8)
    counts = tables.confusion(read, labels)
    assert counts[4, 9] == 2 and counts[4, 4] == 1 and counts[9, 9] == 1 and counts.sum() == 4
    assert tables.frequent_mistakes(counts) == [(4, 9, 2)]
    assert tables.misread(read, labels, 4, 9).tolist() == [0, 1]


def test_nothing_is_a_frequent_mistake_where_all_is_read_correctly():
    assert tables.frequent_mistakes(np.eye(10, dtype=int)) == []


def test_one_seed_is_said_to_prove_little():
    words = tables.verdict({"batch": [run(report=0.005, accuracy=0.91)], "none": [run()]})
    assert "**Batch norm** has the lowest loss (0.0050" in words
    assert "**No normalization** the highest (0.0100)" in words
    assert "reads 91.00% correctly" in words and "1.00 points" in words
    assert "one seed proves little" in words


def test_a_large_gap_of_one_seed_is_called_large_and_a_near_rival_named():
    best, far = [run(report=0.005, accuracy=0.95)], [run(accuracy=0.9)]
    words = tables.verdict({"batch": best, "none": far})
    assert "5.00 points, which is large" in words and "proves little" not in words
    assert "no other comes near" in words
    words = tables.verdict({"batch": best, "layer": [run(accuracy=0.94)], "none": far})
    assert "one seed does not tell batch norm from layer norm." in words


def test_three_seeds_decide_only_where_their_ranges_are_apart():
    low = [run(report=r) for r in (0.004, 0.005, 0.006)]
    apart = [run(report=r, accuracy=0.8) for r in (0.007, 0.008, 0.009)]
    across = [run(report=r, accuracy=0.8) for r in (0.0055, 0.008, 0.009)]
    words = tables.verdict({"batch": low, "none": apart})
    assert "With each of the 3 seeds batch norm ends below no normalization." in words
    words = tables.verdict({"batch": low, "none": across})
    assert "ts range overlaps that of no normalization" in words and "With each" not in words


def test_of_several_seeds_the_one_that_diverged_is_named():
    broken = run(accuracy=None, status="diverged", message="Diverged at step 3.", seed=2)
    words = tables.verdict({"none": [run(), broken], "batch": [run()], "layer": [run()]})
    assert "No normalization, seed 2: Diverged at step 3." in words


def test_no_winner_is_named_where_none_learned():
    words = tables.verdict({"batch": [run(accuracy=0.1135)], "none": [run(accuracy=0.098)]})
    assert words == "None learned: the best reads 11.35% of the test images, as guessing does."


def test_an_explosion_on_the_way_is_told():
    exploded = run(accuracy=0.1135, losses=[2.3] * 5 + [1e6] * 5 + [2.3] * 90)
    assert "from 2.30 by way of 1,000,000 to 2.30" in tables.outcome(exploded)
    assert "has learned nothing" in tables.outcome(exploded)
    assert "by way of" not in tables.outcome(run(losses=[2.4, 2.0, 1.0]))


def test_a_series_that_diverged_is_named_and_not_compared():
    broken = run(report=0, accuracy=None, status="diverged", message="Diverged at step 3.")
    words = tables.verdict({"none": [broken], "batch": [run()], "layer": [run(report=0.02)]})
    assert "No normalization: Diverged at step 3." in words
    assert "**Layer norm** the highest" in words
    assert tables.accuracy_and_time({"none": [broken]})["No normalization"][0] == "diverged"
    assert tables.verdict({"none": [broken]}) == "No normalization: Diverged at step 3."


def test_the_report_table_has_a_column_per_series_and_a_row_per_epoch():
    table = tables.report_losses({"batch": [run(report=0.004)], "Center only": [run(report=0.02)]})
    assert table.columns.tolist() == ["Epoch", "Batch norm", "Center only"]
    assert table.iloc[0].tolist() == ["1", "0.0040", "0.0200"]
    several = tables.report_losses({"batch": [run(report=0.004), run(report=0.006)]})
    assert several["Batch norm"][0] == "0.0050 (0.0040–0.0060)"


def test_the_name_of_a_curve_tells_only_what_differs_and_counts():
    base = TrainConfig(train_size=500)
    assert tables.describe(replace(base, normalization="layer"), base) == "Layer norm"
    assert tables.describe(replace(base, batch_size=8), base) == "Batch norm, batch 8"
    idle = replace(base, normalization="none", epsilon=0.5, momentum=0.1)
    assert tables.describe(idle, base) == "No normalization"


@pytest.mark.parametrize("change", tables.SURGERY)
def test_each_surgery_changes_the_training_and_nothing_else(change):
    base = TrainConfig()
    changed = tables.surgery(base, change)
    assert changed.only_used() != base.only_used()
    assert (changed.seed, changed.batch_size, changed.normalization) == (0, 64, "batch")


def test_drift_is_measured_in_widths_of_the_band():
    recorded = {"step": [1, 2, 3], "conv_input": [[-1, 0, 1], [-1, 1, 1], [0, 4, 2]]}
    moved = tables.drift({"batch": replace(run(), recorded=recorded)}, "conv_input")
    assert moved == {"batch": 2.0}


def test_the_outcome_of_a_run_speaks_of_its_own_numbers():
    words = tables.outcome(run([2.3, 0.5], accuracy=0.9))
    assert "In 2 steps the loss went from 2.30 to 1.40" in words
    assert "90.00% are read correctly, one in 10 is misread" in words
    words = tables.outcome(run([2.3, float("nan")], status="diverged", message="Diverged."))
    assert words.startswith("Diverged.") and "nan" not in words
