"""The reproduction of the report: its settings, its numbers, and what they say."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import tensorflow as tf

import normlib
from normlib import normalize
from normlib.config import TrainConfig
from normlib.mnist import MNIST_CHECKSUM
from normlib.run import Run
from normlib.training import train
from pages.lab import recorded as recordings
from pages.lab import report, reproduce, train_all
from pages.lab.store import Store

# ---- the settings ----------------------------------------------------------------------------


def test_as_run_trains_no_scale_and_as_written_trains_everything() -> None:
    for column in report.COLUMNS:
        run, written = (report.config(column, one, seed=2, epochs=3) for one in report.SETTINGS)
        shared = {"normalization": column, "seed": 2, "epochs": 3, "epsilon": 1e-8}
        shared |= {"batch_size": 64, "learning_rate": 0.01, "train_size": 55_000}
        assert shared.items() <= asdict(run).items() and shared.items() <= asdict(written).items()
        assert (run.learn_scale_shift, written.learn_scale_shift) == (False, True)
        assert (run.inference_statistics, written.inference_statistics) == ("batch", "moving")
        assert (run.weight_norm_start, written.weight_norm_start) == ("constant", "norm")
        assert run.placement == "conv"
        assert (written.placement == "conv and dense") == (column == "weight")


def test_unknown_setting_is_refused() -> None:
    for ask in (lambda: report.config("batch", "as-hoped"), lambda: report.recorded("../config")):
        with pytest.raises(ValueError, match="as-run, as-written"):
            ask()


# ---- the recorded results --------------------------------------------------------------------


@pytest.mark.parametrize("setting", report.SETTINGS)
def test_recorded_file_is_three_full_seeds_of_todays_configs(setting: str) -> None:
    recorded = report.recorded(setting)
    assert (recorded["setting"], recorded["seeds"], recorded["epochs"]) == (setting, [0, 1, 2], 4)
    assert recorded["data"] == {"name": "MNIST", "checksum": MNIST_CHECKSUM}
    assert recorded["versions"]["normlib"] == normlib.__version__
    assert np.shape(recorded["filters"]) == (30, 5, 5)
    for column in report.COLUMNS:
        own = recorded["columns"][column]
        wanted = [report.config(column, setting, seed, 4) for seed in (0, 1, 2)]
        assert own["keys"] == [one.key(MNIST_CHECKSUM) for one in wanted]
        assert TrainConfig.from_dict(own["config"]) == wanted[0].only_used()
        assert np.shape(own["loss"]) == (3, 4)
        assert np.shape(own["accuracy"]) == np.shape(own["seconds"]) == (3,)
        assert own["status"] == ["finished"] * 3


@pytest.mark.parametrize("column", report.COLUMNS)
def test_recorded_as_run_gives_the_published_numbers(column: str) -> None:
    own, published = report.recorded("as-run")["columns"][column], report.PUBLISHED[column]
    assert np.mean(own["accuracy"]) == pytest.approx(published.accuracy, abs=0.01)
    first, *later = np.mean(own["loss"], axis=0)
    assert first == pytest.approx(published.loss[0], abs=0.0015)
    assert later == pytest.approx(published.loss[1:], abs=0.0004)


def test_recorded_filters_show_the_mistake() -> None:
    run, written = (np.array(report.recorded(setting)["filters"]) for setting in report.SETTINGS)
    assert np.unique(run).tolist() == [round(750**-0.5, 4)]
    assert len(np.unique(written.reshape(30, 25), axis=0)) == 30


def assert_same_training(again: list[float], recorded: list[float]) -> None:
    """The same first losses, but for what another processor rounds otherwise.

    Every step passes on what the last one rounded, about twice as large: hence two tolerances.
    """
    assert len(again) == len(recorded) == reproduce.FIRST_STEPS
    assert again[:2] == pytest.approx(recorded[:2], rel=1e-4)
    assert again == pytest.approx(recorded, rel=0.03)


@pytest.mark.parametrize("setting", report.SETTINGS)
def test_recorded_file_belongs_to_the_code_on_drawn_digits(setting: str) -> None:
    again = reproduce.drawn_digits_losses(setting)
    for column, losses in report.recorded(setting)["drawn_digits_losses"].items():
        assert_same_training(again[column], losses)
    assert tuple(again) == report.COLUMNS


@pytest.mark.parametrize(
    ("setting", "column"),
    [("as-run", "none"), ("as-run", "weight"), ("as-written", "batch"), ("as-written", "weight")],
)
def test_recorded_file_belongs_to_the_code_on_mnist(setting: str, column: str, mnist) -> None:
    seen: list[float] = []
    run = train(
        report.config(column, setting),
        mnist,
        lambda event: seen.extend(getattr(event, "losses", [])),
        lambda: len(seen) >= reproduce.FIRST_STEPS,
    )
    recorded = report.recorded(setting)["columns"][column]["first_losses"]
    assert_same_training(reproduce.first_losses(run), recorded)


# ---- the reproduction ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(drawn, tmp_path_factory):
    """A reproduction on 1,000 drawn digits, with the store it was made into."""
    store = Store(tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproduce, "_TIMED_TURNS", 1)
        patch.setattr(reproduce, "_TIMED_IMAGES", 640)
        patch.setattr(reproduce, "drawn_digits_losses", lambda setting: {})
        return reproduce.reproduce("as-run", [0, 1], 2, drawn, store), store


def test_reproduction_holds_the_numbers_of_its_runs(small, drawn) -> None:
    result, _ = small
    assert json.loads(recordings.as_json(result)) == result
    assert (result["setting"], result["seeds"]) == ("as-run", [0, 1])
    assert result["data"]["name"] == "drawn digits"
    assert tuple(result["columns"]) == report.COLUMNS
    for column in result["columns"].values():
        assert np.shape(column["loss"]) == (2, 2)
        assert column["milliseconds_per_step"] > 0
    run = train(report.config("layer", "as-run", seed=1, epochs=2), drawn)
    column = result["columns"]["layer"]
    assert column["accuracy"][1] == run.test_accuracy
    assert column["loss"][1] == [round(epoch.report_loss, 7) for epoch in run.epochs]
    # 16 batches of at most 64 of 1,000 images: the report's unit.
    assert column["loss"][1][0] == pytest.approx(sum(run.losses[:16]) / 1_000, abs=1e-7)


def test_what_is_finished_is_not_trained_again(small, drawn, untimed) -> None:
    result, store = small
    again = reproduce.reproduce("as-run", [0, 1], 2, drawn, store)
    # Wall-clock seconds that agree to the last digit were not measured twice.
    for column, old in result["columns"].items():
        assert again["columns"][column] == old | {"milliseconds_per_step": 4.0}


def test_dropped_weights_are_trained_again(small, drawn, untimed, tmp_path, monkeypatch) -> None:
    result, full = small
    store = Store(tmp_path)
    for summary in full.list():
        store.save(replace(full.load(summary.key), weights=[]))
    trained = []

    def counted(config, *others):
        trained.append(config)
        return train(config, *others)

    monkeypatch.setattr("normlib.training.train", counted)
    again = reproduce.reproduce("as-run", [0, 1], 2, drawn, store)
    assert trained == [report.config("weight", "as-run", seed=0, epochs=2)]
    assert again["filters"] == result["filters"]


def test_tables_in_text_and_markdown_hold_the_same_numbers(small) -> None:
    result, _ = small
    for written in (reproduce.text(result), reproduce.markdown(result)):
        for table in report.tables(result["columns"], result["epochs"]):
            for label, cells in table.rows:
                assert label in written
                for cell in cells:
                    assert cell.ours in written
                    assert cell.off in written


def test_filters_are_the_kernel_that_ran(drawn) -> None:
    config = replace(report.config("weight", "as-written", epochs=1), train_size=128)
    run = train(config, drawn)
    v, g = (run.weights[-1][f"conv_kernel/{name}"] for name in "vg")
    expected = normalize.weight_norm(tf.constant(v), tf.constant(g)).numpy()[:, :, 0]
    np.testing.assert_allclose(reproduce.filters(run), np.moveaxis(expected, -1, 0), rtol=1e-6)
    with pytest.raises(ValueError, match="kept no weights"):
        reproduce.filters(replace(run, weights=[]))


# ---- many trainings at once ------------------------------------------------------------------


def test_a_failing_training_is_told_once_and_costs_no_other(
    drawn, tmp_path, monkeypatch, capsys
) -> None:
    tried = []

    def fails_with_batch_norm(config, *others):
        tried.append(config.normalization)
        if config.normalization == "batch":
            raise MemoryError("no room\nfor it")
        return Run(config, drawn.name, drawn.checksum, "finished", test_accuracy=0.5)

    monkeypatch.setattr("normlib.training.train", fails_with_batch_norm)
    store = Store(tmp_path)
    configs = [report.config(name, "as-run") for name in ("none", "batch", "layer")]
    with pytest.raises(RuntimeError, match=r"Batch norm.* failed \(MemoryError: no room\)"):
        train_all.train_all(configs, drawn, store, lambda run: run)
    assert sorted(tried) == ["batch", "layer", "none"]
    assert capsys.readouterr().err.count("MemoryError") == 1
    kept = {summary.config.normalization for summary in store.list()}
    assert kept == {"none", "layer"}


# ---- what the numbers say --------------------------------------------------------------------


def test_steps_to_a_level_count_to_the_end_of_the_window() -> None:
    accuracies = [0.0] * 30 + [1.0] * 100
    assert reproduce.steps_to(accuracies, 0.9) == 30 + 45
    assert reproduce.steps_to(accuracies, 1.0) == 30 + 50
    assert reproduce.steps_to([1.0] * 49, 0.9) is None
    assert reproduce.steps_to([0.5] * 200, 0.9) is None


def test_a_race_is_run_in_pairs() -> None:
    def column(steps):
        return {"steps_to": {"0.90": steps}}

    found = report.race(column([100, 200, 400]), column([210, 400, 790]), 0.9)
    assert (found.first, found.second) == (pytest.approx(700 / 3), pytest.approx(1400 / 3))
    assert found.factor == pytest.approx((2.1 * 2.0 * 1.975) ** (1 / 3))
    assert found.verdict.differs and found.verdict.mean == pytest.approx(-math.log(2), abs=0.02)
    never = report.race(column([100, 200, None]), column([210, 400, 790]), 0.9)
    assert (never.first, never.verdict) == (None, None)


def test_verdicts_on_the_recorded_runs_are_paired() -> None:
    """Weight norm as written lies above none with every seed, by less than the seeds differ."""
    written = report.recorded("as-written")
    none, batch, weight, layer = (report.column(written, one) for one in report.METHODS)
    above = report.accuracy_verdict(weight, none)
    assert above.differences == pytest.approx((0.25, 0.24, 0.29), abs=1e-6)
    assert above.settled == "in every pair"
    assert max(none["accuracy"]) - min(none["accuracy"]) > 0.005
    assert report.accuracy_verdict(batch, layer).settled == "in 2 of 3 pairs: not settled"
    assert report.change("weight").mean == pytest.approx(3.24, abs=0.01)
    assert report.change("none").differences == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("kind", "published", "values", "printed", "ours", "off"),
    [
        ("accuracy", 0.9461, (0.95, 0.96), "94.61%", "95.50 ±0.50%", "+0.89 points"),
        ("loss", 0.0087, (0.0080,), "0.0087", "0.0080", "−0.0007"),
        ("loss", 0.0087, (0.0080, 0.0082), "0.0087", "0.0081 ±0.0001", "−0.0006"),
        ("seconds", 698.54, (60.0, 62.0), "698.5 s", "61.0 ±1.0 s", "−637.5 s"),
        ("loss", 0.0087, (0.00868,), "0.0087", "0.0087", "0.0000"),
        ("loss", 0.0087, (0.00872,), "0.0087", "0.0087", "0.0000"),
        ("loss", None, (), "–", "–", "–"),
        ("accuracy", None, (0.95,), "–", "95.00%", "–"),
    ],
)
def test_a_cell_says_ours_the_spread_and_the_difference(
    kind, published, values, printed, ours, off
) -> None:
    assert report.cell(kind, published, values) == (printed, ours, off)


def test_the_third_table_prints_batch_norm_as_the_report_did() -> None:
    first, second, third = report.tables({})
    assert [cell.printed for cell in third.rows[2][1]] == ["0.0020", "0.0021"]
    assert [cell.printed for cell in first.rows[2][1]] == ["0.0034", "0.0021", "0.0051", "0.0021"]
    assert [cell.printed for cell in second.rows[0][1]] == ["94.61%", "96.84%", "92.22%", "96.41%"]
