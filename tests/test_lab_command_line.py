"""`python -m pages.lab`: report, sweep, record and runs, as a shell calls them."""

import csv
import json
from dataclasses import replace

import pytest

from normlib.config import TrainConfig
from normlib.run import Run
from normlib.training import train
from pages.lab import __main__ as lab
from pages.lab import export, record, recorded, report, reproduce, studies, sweeps
from pages.lab.store import Store
from pages.lab.sweeps import Sweep


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, drawn):
    """A store of the test's own, and drawn digits for MNIST."""
    monkeypatch.setenv("NORMLAB_HOME", str(tmp_path / "runs"))
    monkeypatch.setattr(lab, "load_mnist", lambda: drawn)
    return tmp_path


@pytest.fixture
def kept(home, drawn) -> Run:
    run = train(TrainConfig(train_size=320, batch_size=32, epochs=2), drawn)
    store = Store()
    assert store.save(run)
    store.close()
    return run


@pytest.fixture
def untrained(monkeypatch) -> None:
    """Whoever trains fails the test."""

    def train(*arguments):
        raise AssertionError("trained")

    monkeypatch.setattr("normlib.training.train", train)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("report --seeds 0", "seeds must be a whole number from 1 to 100, not 0."),
        ("report --epochs 51", "epochs must be"),
        ("report --json no/such/folder/report.json", "There is no folder no/such/folder"),
        ("report --json .", "cannot be written: Is a directory."),
        ("report --markdown /proc/report.md", "cannot be written"),
        ("runs --csv /proc/runs.csv", "cannot be written"),
        ("sweep rates --folder no/such/folder", "There is no folder no/such/folder"),
        ("sweep paper --folder /proc", "cannot be written"),
        ("record mates --folder /proc", "cannot be written"),
        ("record all", "There is no recording 'all'; there are report-as-run"),
        ("runs zzz", "No run has a key starting with 'zzz'"),
    ],
)
def test_bad_input_gets_one_sentence_before_the_work(command, words, untrained, capsys):
    assert lab.main(command.split()) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_report_writes_both_files_and_says_that_these_are_other_images(
    home, drawn, untimed, capsys
):
    numbers, tables = home / "report.json", home / "report.md"
    options = f"--seeds 1 --epochs 1 --json {numbers} --markdown {tables}"
    assert lab.main(["report", *options.split()]) == 0
    written = json.loads(numbers.read_text(encoding="utf-8"))
    assert {"setting", "seeds", "columns", "versions"} <= set(written)
    assert tuple(written["columns"]) == report.COLUMNS
    assert tables.read_text(encoding="utf-8") == reproduce.markdown(written)
    printed = capsys.readouterr()
    assert "These are not the report's images" in printed.out
    assert report.tables(written["columns"], 1)[0].rows[0][1][0].ours in printed.out
    # Every training is kept, as the app keeps its own.
    for column in report.COLUMNS:
        key = report.config(column, "as-run", epochs=1).key(drawn.checksum)
        assert Store().load(key).test_accuracy == written["columns"][column]["accuracy"][0]


def test_a_sweep_is_recorded_and_its_trainings_are_kept(home, drawn, monkeypatch):
    base = TrainConfig(train_size=64, epochs=1, hidden_units=8)
    sweep = Sweep("batch_size", (16, 64), ("none", "batch"), (0,), base)
    make = record.RECORDINGS["sweep-paper"]
    monkeypatch.setitem(record.RECORDINGS, "sweep-paper", lambda *on: make.func(sweep, *on))
    assert lab.main(["sweep", "paper", "--folder", str(home)]) == 0
    content = json.loads((home / "sweep-paper.json").read_text(encoding="utf-8"))
    assert content["origin"]["data"] == {"name": drawn.name, "checksum": drawn.checksum}
    found = sweeps.from_content(sweep, content)
    assert len(found) == 4
    taken = {one.batch_size: found[one.only_used()].steps for one in sweep.configs()}
    assert taken == sweeps.updates(sweep, len(drawn.train_labels)) == {16: 4, 64: 1}
    config = sweep.config("batch", 16, 0)
    accuracy = train(config, drawn).test_accuracy
    assert found[config.only_used()].accuracy == accuracy
    assert Store().load(config.key(drawn.checksum)).test_accuracy == accuracy


def test_every_recording_has_its_maker():
    assert set(record.RECORDINGS) == {file.stem for file in recorded.FOLDER.iterdir()}


@pytest.mark.parametrize("name", ["inference", "mates", "runs"])
def test_a_recording_made_anew_has_the_shape_of_the_shipped_one(name, home, drawn, monkeypatch):
    short = replace(TrainConfig(), train_size=64, batch_size=16, hidden_units=8)
    nets = {method: replace(short, normalization=method) for method in sweeps.FOUR}
    monkeypatch.setattr(studies, "inference_configs", lambda: [short])
    monkeypatch.setattr(studies, "mates_configs", lambda placement: nets)
    monkeypatch.setattr(studies, "PINNED", 7)
    monkeypatch.setattr(recorded, "configs", lambda name: list(nets.values()))
    file = record.record(name, drawn, Store(), home)
    made, shipped = json.loads(file.read_text(encoding="utf-8")), recorded.read(name)
    assert set(made) == set(shipped)
    (rows,) = set(made) - {"origin"}
    assert set(made[rows][0]) == set(shipped[rows][0])


def test_runs_lists_shows_and_exports(kept, home, capsys):
    table, history, whole = (home / name for name in ("list.csv", "run.csv", "run.json"))
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


def test_no_runs_yet_is_said(capsys):
    assert lab.main(["runs"]) == 0
    assert "No runs are kept" in capsys.readouterr().out
