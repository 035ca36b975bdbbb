"""The runs that ship with the package belong to this code, these settings and the real MNIST."""

from dataclasses import replace

import numpy as np
import pytest
import streamlit as st
from live_pages import Ready, charts, data, metrics, opened, pressed, words

from normlib.config import TrainConfig
from normlib.mnist import MNIST_CHECKSUM
from normlib.run import Run
from normlib.training import train
from pages.components import controls, page, server
from pages.components.lesson_list import LESSONS
from pages.lab import recorded as recorded_runs
from pages.lab.queue import Experiments
from pages.lab.store import Store

STEPS = 12


@pytest.fixture
def server_with(drawn, serve, monkeypatch, tmp_path):
    """A server whose data call themselves MNIST, or not."""

    def start(checksum: str, train=None) -> Experiments:
        which = np.arange(10_000) % len(drawn.test_labels)
        test = {"test_images": drawn.test_images[which], "test_labels": drawn.test_labels[which]}
        data = replace(drawn, name="MNIST", checksum=checksum, **test)
        monkeypatch.setattr(server, "_warm_up", Ready(data))
        st.cache_resource.clear()
        return serve(Experiments(data, Store(tmp_path), train=train))

    return start


def test_the_keys_are_those_of_todays_code_and_of_the_settings_pages_open_with():
    configs = [one for name in recorded_runs.RUNS for one in recorded_runs.configs(name)]
    keys = [config.key(MNIST_CHECKSUM) for config in configs]
    assert list(recorded_runs.trainings()) == keys
    for method in controls.FOUR_METHODS:
        first = controls.to_train_config({}, normalization=method)
        shipped = recorded_runs.trainings()[first.key(MNIST_CHECKSUM)]
        assert shipped.run.config.only_used() == first.only_used()
        assert shipped.run.data_checksum == MNIST_CHECKSUM


def test_each_is_whole(mnist):
    for shipped in recorded_runs.trainings().values():
        run = shipped.run
        if run.status == "diverged":
            assert run.config.learning_rate == 1.0 and run.test_accuracy is None
            continue
        assert run.status == "finished" and len(run.epochs) == recorded_runs.EPOCHS
        assert len(run.losses) == recorded_runs.EPOCHS * -(-recorded_runs.IMAGES // 64)
        right = np.mean(run.predictions == mnist.test_labels)
        assert run.test_accuracy == pytest.approx(right, abs=1e-5)
        assert run.epochs[0].train_loss == pytest.approx(np.mean(run.losses[:94]), rel=0.03)


@pytest.mark.parametrize("method", recorded_runs.METHODS)
def test_todays_code_takes_the_recorded_steps(mnist, method):
    config = TrainConfig(normalization=method, train_size=6_000, epochs=2)
    shipped = recorded_runs.trainings()[config.key(MNIST_CHECKSUM)].run
    seen = []
    run = train(
        config,
        mnist,
        lambda event: seen.extend(getattr(event, "losses", ())),
        should_stop=lambda: len(seen) >= STEPS,
    )
    np.testing.assert_allclose(run.losses[:STEPS], shipped.losses[:STEPS], rtol=1e-3)


def test_a_recording_reads_what_it_writes(drawn, tmp_path, monkeypatch):
    run = train(TrainConfig(train_size=128, epochs=1, hidden_units=8), drawn)
    monkeypatch.setattr(recorded_runs, "FOLDER", tmp_path)
    origin = recorded_runs.origin(drawn.name, drawn.checksum, run.versions)
    recorded_runs.write("some", {"origin": origin, **recorded_runs.to_content([run])}, tmp_path)
    content = recorded_runs.read("some")
    back = recorded_runs.from_content(content)[run.key]
    assert content["origin"] == origin and origin["data"]["checksum"] == drawn.checksum
    assert back.origin == f"{origin['date']}, {origin['machine']}"
    assert back.run.config == run.config and back.run.key == run.key
    np.testing.assert_allclose(back.run.losses, run.losses, rtol=1e-4)
    assert (back.run.predictions == run.predictions).all()


@pytest.mark.parametrize("file", sorted(recorded_runs.FOLDER.iterdir()), ids=lambda one: one.stem)
def test_every_recording_is_in_the_one_format(file):
    content = recorded_runs.read(file.stem)
    assert next(iter(content)) == "origin"
    assert set(content["origin"]) == {"date", "machine", "data", "versions"}
    assert content["origin"]["data"] == {"name": "MNIST", "checksum": MNIST_CHECKSUM}
    assert recorded_runs.as_json(content) == file.read_text(encoding="utf-8")
    assert len(file.read_bytes()) < 384 * 1024


def test_train_and_compare_open_on_the_recorded_result(server_with):
    server_with(MNIST_CHECKSUM)
    key = controls.to_train_config({}).key(MNIST_CHECKSUM)
    batch = recorded_runs.trainings()[key].run
    app = opened("train")
    assert "Recorded: " in words(app) and charts(app) >= 2
    assert metrics(app)["Test accuracy"] == f"{batch.test_accuracy:.2%}"
    assert not app.button(key="_train").disabled

    app = opened("compare")
    assert "all done. Recorded: " in words(app) and charts(app) == 3
    assert not app.button(key="_train_all").disabled


def test_other_data_and_other_settings_show_no_recording(server_with):
    server_with(MNIST_CHECKSUM)
    others = [opened(name, lr="0.1") for name in ("train", "compare")]
    server_with("f" * 64)
    others += [opened(name) for name in ("train", "compare")]
    for app in others:
        assert charts(app) == 0 and "Recorded" not in words(app)


def test_the_button_trains_what_is_only_recorded(server_with):
    asked = []

    def at_once(config, data, **watching) -> Run:
        asked.append(config.normalization)
        return Run(config, data.name, data.checksum, "stopped", "Stopped at step 1.", [2.5])

    queue = server_with(MNIST_CHECKSUM, at_once)
    app = pressed(opened("train"), "_train")
    key = controls.to_train_config({}).key(MNIST_CHECKSUM)
    assert queue.find(key).wait_until_over(10)
    assert asked == ["batch"] and not queue.find(key).recorded
    assert not app.exception


def test_the_lesson_on_the_learning_rate_opens_on_its_recorded_trainings(server_with):
    server_with(MNIST_CHECKSUM)
    (lesson,) = (one for one in LESSONS if one.name == "rate")
    link = controls.link_parameters(page.PAGES["compare"].controls, lesson.state)
    app = opened("compare", **link, lesson="rate")
    assert "12 trainings" in words(app) and "all done. Recorded: " in words(app)
    assert "Here: **Batch and layer norm**" in words(app)
    kernels = next(one.value for one in app.table if "η / ‖w‖²" in one.value)
    batch = kernels.set_index("Method").loc["Batch norm"]
    start, first = float(batch["‖W‖ at the start"]), float(batch["After one step"])
    assert start == pytest.approx(76.6, abs=0.1) and 1 < first / start < 1.01
    assert float(batch["η / ‖w‖²"]) == pytest.approx(0.017, abs=5e-4)


def test_three_recorded_seeds_are_compared_with_no_normalization_pair_by_pair(server_with):
    server_with(MNIST_CHECKSUM)
    app = opened("compare", seeds="3")
    assert "12 trainings" in words(app) and "all done. Recorded: " in words(app)
    right = {
        (run.config.normalization, run.config.seed): 100 * run.test_accuracy
        for run in (one.run for one in recorded_runs.trainings().values())
        if run.config.learning_rate == 0.01
    }
    drawn = next(rows for rows in data(app) if "difference" in rows)
    batch = drawn[drawn["method"] == "batch"]["difference"].tolist()
    expected = [right["batch", seed] - right["none", seed] for seed in range(3)]
    assert batch == pytest.approx(expected)
