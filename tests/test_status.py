"""What a server says of itself, and how the command line reads it."""

import time

import numpy as np
import pytest
from streamlit import runtime

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from pages.components import server
from pages.lab import holds, status
from pages.lab.__main__ import main
from pages.lab.queue import Experiments
from pages.lab.store import Store


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMLAB_HOME", str(tmp_path))
    return tmp_path


def test_the_command_line_tells_what_a_server_is_doing(home, drawn, puppet, capsys, monkeypatch):
    queue, ended = Experiments(drawn, Store(home), workers=1, train=puppet), TrainConfig(seed=3)
    monkeypatch.setattr(holds, "_longest", {"page train": 0.1234})
    queue.submit(ended, "a")
    for seed in (4, 5):
        queue.submit(TrainConfig(seed=seed, epochs=1), "b")
    status.write(home, status.of(queue, 30, 7 * 2**20))
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    lines = dict(line.rstrip().split(None, 1) for line in told.splitlines() if line[0] != " ")
    assert lines["sessions"] == "30" and lines["waiting"] == "2"
    assert lines["running"].endswith(", 1 watching")
    assert "one session  2" in told and "page train: 123" in told and "uploads: 7" in told
    assert str(home / "runs.sqlite3") in told and "it has ended" not in told
    later = time.time() + 60
    monkeypatch.setattr(status.time, "time", lambda: later)
    assert main(["status"]) == 0
    assert "60 s ago: it has ended, or it hangs" in capsys.readouterr().out
    queue.close(0)


def test_where_no_server_was_it_says_so(home, capsys):
    assert main(["status"]) == 2
    assert f"No server has said anything in {home}." in capsys.readouterr().err


def test_uploads_of_all_sessions_have_a_budget_in_bytes(drawn, monkeypatch):
    def upload(number: int) -> Dataset:
        images, labels = np.zeros((10, 28, 28, 1), np.uint8), np.zeros(10, np.uint8)
        return Dataset("uploaded", "", (), str(number), *3 * [images], *3 * [labels])

    monkeypatch.setattr(server.st, "session_state", {})
    monkeypatch.setattr(server, "UPLOAD_BYTES", 50_000)  # two of them
    kept = [upload(1), upload(2)]
    for each in (*kept, *kept):
        server.use_data(each)
    assert server.upload_bytes() == 2 * 3 * 7_850
    assert not runtime.exists()
    with pytest.raises(ValueError, match="no room for one more file"):
        server.use_data(upload(3))
    kept.clear()
    del each
    server.use_data(None)
    server.use_data(upload(3))  # theirs have gone with their sessions
    assert server.upload_bytes() == 3 * 7_850
