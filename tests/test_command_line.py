"""The commands, as a shell calls them."""

import csv
import json

import pytest

from normlib import __main__
from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import Run
from normlib.training import train
from pages.lab import __main__ as lab
from pages.lab import export
from pages.lab.store import Store


@pytest.fixture
def small(monkeypatch, drawn) -> Dataset:
    monkeypatch.setattr(__main__, "load_mnist", lambda: drawn)
    return drawn


@pytest.fixture
def kept(tmp_path, monkeypatch, drawn) -> Run:
    """A run in a store of its own."""
    monkeypatch.setenv("NORMLAB_HOME", str(tmp_path / "runs"))
    run = train(TrainConfig(train_size=320, batch_size=32, epochs=2), drawn)
    store = Store()
    assert store.save(run)
    store.close()
    return run


def test_train_trains_what_it_was_told_and_writes_it(small, tmp_path, capsys):
    file = tmp_path / "run.json"
    options = (
        "--normalization layer --epochs 2 --train-size 320 --batch-size 32 --no-learn-scale-shift"
    )
    assert __main__.main(["train", *options.split(), "--json", str(file)]) == 0
    written = json.loads(file.read_text())
    config = TrainConfig(
        normalization="layer", epochs=2, train_size=320, batch_size=32, learn_scale_shift=False
    )
    assert TrainConfig.from_dict(written["config"]) == config
    assert written["losses"] == train(config, small).losses
    assert {"config", "data", "status", "losses", "epochs", "test_accuracy", "seconds"} <= set(
        written
    )
    assert {"images_per_second", "recorded", "versions"} <= set(written)
    assert set(written["data"]) == {"name", "checksum"}
    names = {"epoch", "report_loss", "train_loss", "validation_accuracy", "seconds"}
    assert set(written["epochs"][1]) == names
    printed = capsys.readouterr()
    assert f"test accuracy {written['test_accuracy']:.2%}" in printed.out
    assert f"{written['epochs'][1]['report_loss']:.4f}" in printed.out
    assert "20/20" in printed.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["train", "--epochs", "0"], "epochs must be a whole number from 1 to 50, not 0."),
        (["train", "--ghost-batches", "3"], "ghost_batches must divide the batch"),
        (["train", "--json", "no/such/folder/run.json"], "There is no folder no/such/folder"),
        (["runs", "zzz"], "No run has a key starting with 'zzz'"),
    ],
)
def test_bad_input_gets_one_sentence(options, sentence, small, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NORMLAB_HOME", str(tmp_path))
    command = lab if options[0] == "runs" else __main__
    assert command.main(options) == 2
    printed = capsys.readouterr().err.strip()
    assert sentence in printed and "\n" not in printed


def test_data_tells_what_would_be_used(small, capsys):
    assert __main__.main(["data"]) == 0
    assert "Data: drawn digits, drawn for the tests" in capsys.readouterr().out


def test_runs_lists_shows_and_exports(kept, tmp_path, capsys):
    table, history, whole = (tmp_path / name for name in ("list.csv", "run.csv", "run.json"))
    assert lab.main(["runs", "--csv", str(table)]) == 0
    listed = capsys.readouterr().out
    assert kept.key[:10] in listed and f"{kept.test_accuracy:.2%}" in listed
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert row["key"] == kept.key and row["batch_size"] == "32"

    options = ["runs", kept.key[:6], "--csv", str(history), "--json", str(whole)]
    assert lab.main(options) == 0
    assert f"{kept.epochs[1].report_loss:.4f}" in capsys.readouterr().out
    assert history.read_text() == export.history_csv(kept)
    assert Run.from_dict(json.loads(whole.read_text())).losses == kept.losses


def test_no_runs_yet_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NORMLAB_HOME", str(tmp_path))
    assert lab.main(["runs"]) == 0
    assert "No runs are kept" in capsys.readouterr().out
