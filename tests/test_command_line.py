"""The commands, as a shell calls them."""

import json

import pytest

from normlib import __main__
from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.training import train


@pytest.fixture
def small(monkeypatch, drawn) -> Dataset:
    monkeypatch.setattr(__main__, "load_mnist", lambda: drawn)
    return drawn


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
    ],
)
def test_bad_input_gets_one_sentence(options, sentence, small, capsys):
    assert __main__.main(options) == 2
    printed = capsys.readouterr().err.strip()
    assert sentence in printed and "\n" not in printed


@pytest.mark.parametrize("target", [".", "/proc/run.json"])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    target, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(__main__, "load_mnist", lambda: pytest.fail("the work began"))
    assert __main__.main(["train", "--json", str(tmp_path / target)]) == 2
    printed = capsys.readouterr().err.strip()
    assert "cannot be written" in printed and "\n" not in printed


def test_a_refused_training_leaves_no_file_behind(small, tmp_path):
    file = tmp_path / "run.json"
    __main__.try_writing(file)
    assert not file.exists()
    file.write_text("kept")
    __main__.try_writing(file)
    assert file.read_text() == "kept"


def test_data_tells_what_would_be_used(small, capsys):
    assert __main__.main(["data"]) == 0
    assert "Data: drawn digits, drawn for the tests" in capsys.readouterr().out
