"""Runs as rows, facts and sentences: what a page says must follow from the numbers alone."""

from dataclasses import replace

import numpy as np
import pytest

from normlib.cnn import SmallCNN
from normlib.config import TrainConfig
from normlib.run import EpochResult, Run
from pages.lab import comparison, results, run_names
from pages.lessons.compare.answer import verdict
from pages.lessons.train.outcome import outcome


def run(losses=(2.0, 1.0), report=0.01, accuracy=0.9, status="finished", message="", **config):
    epochs = [EpochResult(1, report, report * 64, 0.8, 1.0)] if report else []
    result = (status, message, list(losses), epochs, accuracy, 2.0, 100.0)
    return Run(TrainConfig(**config), "MNIST", "0" * 64, *result)


def seeds(*reports, **more):
    return [run(report=report, seed=seed, **more) for seed, report in enumerate(reports)]


# ---- rows ------------------------------------------------------------------------------------


def test_a_curve_is_thinned_and_smoothed_over_the_last_steps_only():
    steps, losses, smoothed = results.curve(range(1000))
    assert len(steps) == results.MOST_POINTS and steps[0] == 1 and steps[-1] == 1000
    assert (losses == steps - 1).all()
    assert smoothed[0] == 0.0
    assert smoothed[2] == np.mean(range(steps[2]))  # fewer at the start
    assert smoothed[-1] == np.mean(range(960, 1000))  # 4 % of 1,000
    assert results.curve([3.0]).smoothed.tolist() == [3.0]
    assert [len(column) for column in results.curve([])] == [0, 0, 0]


def test_a_spike_leaves_no_trace_once_it_has_passed():
    assert results.curve([2.3, 1e17] + [2.3026] * 20).smoothed[-1] == pytest.approx(2.3026)


def test_all_who_watch_share_a_curve_that_is_at_most_one_percent_behind():
    assert [results.shared_length(steps) for steps in (0, 1, 255, 257)] == [0, 1, 255, 256]
    lengths = {results.shared_length(steps) for steps in range(10_000, 20_000)}
    assert len(lengths) < 200
    assert all(0.99 * n < results.shared_length(n) <= n for n in range(1, 300_000, 997))


def test_a_band_spans_its_seeds():
    curves = {"batch": [results.curve([4.0] * 7), results.curve([2.0] * 7)], "layer": []}
    rows = results.loss_bands(curves)
    assert set(rows["method"]) == {"batch"} and rows["step"].max() == 7
    assert (rows["low"] == 2).all() and (rows["mid"] == 3).all() and (rows["high"] == 4).all()


def test_a_seed_that_ended_early_does_not_hide_the_others_and_is_counted_out():
    ended = run(status="diverged", report=0)
    rows = results.accuracy_bands({"batch": [run(), ended]})
    assert rows.values.tolist() == [["batch", 1, 0.8, 0.8, 0.8, 1]]
    under_way = replace(ended, status="running")
    assert not len(results.accuracy_bands({"batch": [run(), under_way]}))


def test_confusion_counts_rows_by_the_true_digit():
    labels, read = np.array([4, 4, 4, 9], np.uint8), np.array([9, 9, 4, 9], np.uint8)
    counts = results.confusion(read, labels)
    assert counts[4, 9] == 2 and counts[4, 4] == 1 and counts[9, 9] == 1 and counts.sum() == 4
    assert results.frequent_mistakes(counts) == [(4, 9, 2)]
    assert results.misread(read, labels, 4, 9).tolist() == [0, 1]
    assert results.frequent_mistakes(np.eye(10, dtype=int)) == []


def test_drift_is_measured_in_widths_of_the_band():
    units = [[[-1, 7], [0, 7], [1, 7]], [[-1, 7], [1, 7], [1, 7]], [[0, 7], [4, 7], [2, 7]]]
    runs = {"batch": replace(run(), recorded={"step": [1, 2, 3], "conv_units": units})}
    moved = results.drift(runs, "conv")
    assert moved["batch"].tolist() == [2.0]  # the second unit has no width
    quartiles = results.percentiles(runs, "conv")
    assert quartiles.iloc[-1].tolist() == ["batch", 3, 4.75, 5.5, 6.25]
    assert results.percentiles(runs, "conv", 0).iloc[-1].tolist() == ["batch", 3, 0, 4, 2]


def test_only_the_statistics_that_batch_norm_uses_are_compared():
    used = results.used_statistics
    assert used(TrainConfig()) == ("mean", "variance")
    assert used(TrainConfig(scale=False)) == ("mean",)
    assert used(TrainConfig(center=False)) == ("mean square",)
    assert used(TrainConfig(center=False, scale=False)) == ()


# ---- one run ---------------------------------------------------------------------------------


def test_the_outcome_of_a_run_speaks_of_its_own_numbers():
    words = outcome(run([2.3, 0.5], accuracy=0.9))
    assert "In 2 steps the loss went from 2.30 to 1.40" in words
    assert "90.00% are read correctly, one in 10 is misread" in words
    words = outcome(run([2.3, float("nan")], status="diverged", message="Diverged."))
    assert words.startswith("Diverged.") and "nan" not in words


def test_an_explosion_on_the_way_is_told():
    exploded = run(accuracy=0.1135, losses=[2.3] * 5 + [1e6] * 5 + [2.3] * 90)
    assert "from 2.30 by way of 1,000,000 to 2.30" in outcome(exploded)
    assert "has learned nothing" in outcome(exploded)
    assert "by way of" not in outcome(run(losses=[2.4, 2.0, 1.0]))
    beyond = outcome(run(losses=[2.3] * 5 + [1e31] * 5 + [2.3] * 90))
    assert "from 2.30 by way of 1e31 to 2.30" in beyond


# ---- several ---------------------------------------------------------------------------------


def test_one_seed_is_said_to_prove_little():
    words = verdict({"batch": [run(report=0.005, accuracy=0.91)], "none": [run()]})
    assert "**Batch norm** ends at the lowest loss (0.3200)" in words  # mean cross-entropy
    assert "**No normalization** at the highest (0.6400)" in words
    assert words.startswith("At learning rate 0.01, after 1 epoch")
    assert "reads 91.00% of the test images correctly" in words and "1.00 points" in words
    assert "one seed proves little" in words


def test_seeds_are_compared_pair_by_pair():
    best, paired = seeds(0.004, 0.005, 0.006), seeds(0.0051, 0.006, 0.0071)
    words = verdict({"batch": best, "none": paired})
    assert "ompared seed by seed, batch norm ends below no normalization." in words
    across = seeds(0.0055, 0.008, 0.009)
    words = verdict({"batch": best, "none": paired, "layer": across})
    not_told_apart = "below no normalization; 3 seeds are not enough to tell batch norm and layer"
    assert not_told_apart in words


def test_only_seeds_that_all_have_are_compared():
    found = comparison.compare({"batch": seeds(0.004, 0.002), "none": seeds(0.008)})
    assert found.seeds == 1 and found.losses == {"batch": 0.256, "none": 0.512}


def test_of_several_seeds_the_one_that_diverged_is_named():
    broken = run(accuracy=None, status="diverged", message="Diverged at step 3.", seed=2)
    words = verdict({"none": [run(), broken], "batch": [run()], "layer": [run()]})
    assert "batch norm and layer norm learned with every seed that is over" in words
    assert "no normalization diverged (1 of 2 seeds)" in words


def test_all_that_read_the_same_are_named():
    tied = {"none": [run(report=0.02)], "batch": [run()], "layer": [run(report=0.03)]}
    assert "**No normalization**, **Batch norm** and **Layer norm** read 90.00%" in verdict(tied)


def test_who_survived_is_computed():
    lost, guessing = run(accuracy=None, status="diverged", seed=1), run(accuracy=0.114)
    runs = {"none": [run(), lost], "weight": [guessing], "batch": [run()], "layer": []}
    assert comparison.survivors(runs) == {"batch"}


def test_gamma_and_beta_are_counted():
    counts = {
        method: comparison.learned(TrainConfig(normalization=method))
        for method in ("none", "batch", "layer", "rms", "weight")
    }
    assert counts == {"none": 0, "batch": 60, "layer": 47_040, "rms": 23_520, "weight": 30}


@pytest.mark.parametrize("method", ["none", "batch", "layer", "rms", "weight"])
def test_what_is_counted_is_what_the_network_has(method):
    config = TrainConfig(normalization=method, placement="conv and dense")
    state = SmallCNN(config).state()
    own = [v for n, v in state.items() if n.rpartition("/")[2] in ("gamma", "beta", "g")]
    assert comparison.learned(config) == sum(int(np.prod(v.shape)) for v in own)


def test_no_winner_is_named_where_none_learned():
    words = verdict({"batch": [run(accuracy=0.1135)], "none": [run(accuracy=0.098)]})
    assert "none finished and learned: batch norm read 11.35%" in words


def test_a_series_that_diverged_is_named_and_not_compared():
    broken = run(report=0, accuracy=None, status="diverged", message="Diverged at step 3.")
    words = verdict({"none": [broken], "batch": [run()], "layer": [run(report=0.02)]})
    assert "no normalization diverged." in words
    assert "**Layer norm** at the highest" in words
    assert comparison.accuracy_and_time({"none": [broken]})["No normalization"][0] == "diverged"
    assert verdict({"none": [broken]}).endswith("learned: no normalization diverged.")


def test_the_report_table_has_a_column_per_series_and_a_row_per_epoch():
    table = comparison.epoch_losses({"batch": seeds(0.004), "Center only": seeds(0.02)})
    assert table.columns.tolist() == ["Epoch", "Batch norm", "Center only"]
    assert table.iloc[0].tolist() == ["1", "0.2560", "1.2800"]
    several = comparison.epoch_losses({"batch": seeds(0.004, 0.006)})
    assert several["Batch norm"][0] == "0.3200 (0.2560\u2060–\u20600.3840)"


def test_a_table_says_where_seeds_are_missing_and_keeps_exploded_numbers_short():
    broken = run(report=0, accuracy=None, status="diverged", seed=2)
    runs = {"weight": [*seeds(57933.9115, 2.327917184773896e18), broken]}
    losses, ends = comparison.epoch_losses(runs), comparison.accuracy_and_time(runs)
    assert losses["Weight norm"][0] == "7.45e19 (3,710,000\u2060–\u20601.49e20), 2 of 3 seeds"
    told = "90.00% (90.00%\u2060–\u206090.00%), 2 of 3 seeds; diverged with seed 2"
    assert ends["Weight norm"][0] == told


# ---- names -----------------------------------------------------------------------------------


def test_the_name_of_a_curve_tells_only_what_differs_and_counts():
    base = TrainConfig(train_size=500)
    for changes, name in (
        ({"normalization": "layer"}, "Layer norm"),
        ({"batch_size": 8}, "Batch norm, batch 8"),
        ({"normalization": "none", "epsilon": 0.5, "momentum": 0.1}, "No normalization"),
        ({"center": False, "scale": False}, "Batch norm, neither centered nor scaled"),
    ):
        assert run_names.describe(replace(base, **changes), base) == name


@pytest.mark.parametrize(("change", "name"), run_names.SURGERY.items())
def test_each_surgery_changes_the_training_and_is_called_the_same_everywhere(change, name):
    base = TrainConfig()
    changed = run_names.surgery(base, change)
    assert changed.only_used() != base.only_used()
    assert (changed.seed, changed.batch_size, changed.normalization) == (0, 64, "batch")
    assert run_names.describe(changed, base).lower() == f"batch norm, {name.lower()}"
