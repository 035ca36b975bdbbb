"""The Train page: one run live, brought back by its link, never lost, never stuck."""

from dataclasses import replace

import numpy as np
import pytest
from live_pages import charts, metrics, opened, pressed, ran, words

from normlib.config import TrainConfig
from normlib.run import Progress, Started
from normlib.training import train
from pages.components import controls, server, trainings
from pages.lab import queue as training_queue
from pages.lab import results
from pages.lab.queue import Experiments
from pages.lab.store import Store
from pages.lessons.train import curves

QUICK = {"images": "500", "epochs": "1", "hidden": "8"}
CONFIG = TrainConfig(train_size=500, epochs=1, hidden_units=8)


def over(config: TrainConfig = CONFIG):
    """Wait for the end of a training; its run."""
    queue = server.experiments()
    experiment = queue.find(config.key(queue.data.checksum))
    assert experiment.wait_until_over(60)
    return experiment.run


def as_opened(**changes) -> TrainConfig:
    """What the page trains as it opens."""
    values = {name: row.default for name, row in controls.CONTROLS.items()}
    return controls.to_train_config(values, **changes)


def begun(puppet, browser: str = "first"):
    """The page with a training that has taken its first step."""
    app = pressed(opened("train", browser), "_train")
    assert puppet.began.acquire(timeout=10)
    return app


# ---- asking, watching, stopping ---------------------------------------------------------------


def test_cold_it_asks_offers_and_trains_nothing(puppet):
    app = opened("train")
    assert "Press **Train**" in words(app)
    assert app.button(key="_stop").disabled and not app.button(key="_train").disabled
    assert charts(app) == 0 and puppet.trained == []


def test_training_shows_the_numbers_that_train_gives(queue, drawn):
    app = pressed(opened("train", **QUICK), "_train")
    run = over()
    assert run.losses == train(CONFIG, drawn).losses
    app = ran(app)
    assert metrics(app)["Test accuracy"] == f"{run.test_accuracy:.2%}"
    assert f"{run.test_accuracy:.2%} are read correctly" in app.success[0].value
    assert charts(app) == 3  # loss, accuracy, confusion
    assert app.query_params["run"] == CONFIG.key(drawn.checksum)
    assert len(app.get("download_button")) == 5  # the drawn digits are a file of their own
    assert "Done. The same settings give the same numbers" in words(app)


def test_while_it_runs_the_page_tells_how_far_it_is(puppet):
    app = ran(begun(puppet))
    assert "Step 1 of 2 · 64 images per second" in words(app)
    assert app.button(key="_train").disabled and not app.button(key="_stop").disabled
    assert charts(app) == 1


def test_equal_settings_in_another_browser_are_the_same_training(puppet):
    begun(puppet)
    app = pressed(opened("train", "second"), "_train")
    puppet.go.set()
    over(as_opened())
    assert puppet.trained == ["batch"]
    assert metrics(ran(app))["Test accuracy"] == "87.50%"


def test_a_second_student_sees_the_place_in_the_queue_and_a_full_one_says_so(puppet, monkeypatch):
    begun(puppet)
    pressed(opened("train", "second", seed="1"), "_train")
    app = pressed(opened("train", "third", seed="2"), "_train")
    assert "Waiting, 1 training before this one" in words(app)
    monkeypatch.setattr(training_queue, "QUEUE_LIMIT", 2)
    app = pressed(opened("train", "third", seed="3"), "_train")
    assert "already waiting on this server" in words(app)


def test_stop_ends_a_training_that_nobody_else_watches(puppet):
    begun(puppet)
    app = pressed(opened("train"), "_stop")  # after a reload: a new session of the same browser
    assert over(as_opened()).status == "stopped"
    app = ran(app)
    assert "Stopped at step 1." in words(app)
    assert not app.button(key="_train").disabled
    assert not app.get("progress")


def test_stop_only_detaches_where_somebody_else_watches(puppet):
    app = begun(puppet)
    other = pressed(opened("train", "second"), "_train")
    app = pressed(app, "_stop")
    assert "It trains for somebody else" in words(app)
    assert "It trains for somebody else" in words(ran(app))  # looking does not attach again
    puppet.go.set()
    assert over(as_opened()).status == "finished"
    assert metrics(ran(other))["Test accuracy"] == "87.50%"


def test_who_only_looks_does_not_keep_a_training_going(puppet):
    app = begun(puppet)
    onlooker = opened("train", "second")
    assert "It trains for somebody else" in words(onlooker) and charts(onlooker) == 1
    pressed(app, "_stop")
    assert over(as_opened()).status == "stopped"


def test_a_look_at_a_long_training_builds_no_more_than_a_screen_shows(puppet, monkeypatch):
    begun(puppet)
    experiment = server.experiments().find(as_opened().key(server.data().checksum))
    experiment._add(Started(100_000, 1_000))
    losses = np.linspace(2, 1, 50_000).tolist()
    experiment._add(Progress(50_001, 100_000, losses, losses, 1.0, 64.0))
    read = []
    monkeypatch.setattr(
        trainings, "curve", lambda *part: read.append(part[1]) or results.curve(*part)
    )
    for browser in ("first", "second", "third"):
        app = opened("train", browser)
    assert read == [results.shared_length(50_001)]  # once for all three
    data = app.get("vega_lite_chart")[0].proto
    assert len(trainings.curve_of(experiment.snapshot()).steps) == results.MOST_POINTS
    assert data.ByteSize() < 50_000


# ---- coming back ------------------------------------------------------------------------------


def test_the_link_brings_back_the_run_with_its_settings(queue, drawn, serve, tmp_path):
    app = pressed(opened("train", lr="0.05", method="layer", seed="7", **QUICK), "_train")
    run = over(replace(CONFIG, normalization="layer", learning_rate=0.05, seed=7))
    key = ran(app).query_params["run"]
    serve(Experiments(drawn, Store(tmp_path)))  # the server was started again
    again = opened("train", "another browser", run=key)
    assert metrics(again)["Test accuracy"] == f"{run.test_accuracy:.2%}"
    assert again.selectbox(key="method").value == "layer"
    assert again.number_input(key="seed").value == 7
    assert charts(again) == 3


def test_a_training_that_died_with_its_server_is_shown_and_can_start_again(drawn, serve, tmp_path):
    dead = Store(tmp_path)
    dead.mark_started(CONFIG.key(drawn.checksum), CONFIG, drawn.name, drawn.checksum)
    dead.close()
    serve(Experiments(drawn, Store(tmp_path)))
    app = opened("train", **QUICK)
    assert "can be started again" in words(app)
    pressed(app, "_train")
    assert over().status == "finished"


def test_moved_settings_leave_the_old_run_on_screen_and_say_so(queue):
    app = pressed(opened("train", **QUICK), "_train")
    over()
    app = ran(app)
    app.select_slider(key="lr").set_value(0.1)
    app = ran(app)
    assert "have not been trained yet. Below: Batch norm, learning rate 0.01." in words(app)
    assert charts(app) == 3
    app.select_slider(key="lr").set_value(0.01)
    assert "have not been trained yet" not in words(ran(app))


def test_other_data_do_not_rename_those_of_a_training_under_way(puppet, drawn):
    app = ran(begun(puppet))
    app.session_state["_dataset"] = replace(drawn, name="uploaded data", checksum="1" * 64)
    app = ran(app)
    assert "drawn digits (not MNIST) · Batch norm" in words(app)
    assert "uploaded data (not MNIST)" not in words(app)


def test_an_earlier_run_lies_over_the_new_one_and_says_what_differs(queue):
    pressed(opened("train", **QUICK), "_train")
    first = over()
    pressed(opened("train", batch="100", **QUICK), "_train")
    over(replace(CONFIG, batch_size=100))
    app = opened("train", batch="100", over=first.key, **QUICK)
    picker = app.multiselect(key="_over")
    assert picker.value == [first.key]
    assert any("batch 64" in option for option in picker.options)
    loss = app.get("vega_lite_chart")[0]
    assert "Batch norm, batch 64" in loss.proto.spec and "Batch norm" in loss.proto.spec


# ---- looks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["batch", "weight"])
def test_every_look_at_a_finished_run(method, queue):
    queue.submit(replace(CONFIG, normalization=method), "first")
    over(replace(CONFIG, normalization=method))
    for look in controls.CONTROLS["look"].choices:
        app = opened("train", method=method, look=look, **QUICK)
        if look == "moving" and method == "weight":
            assert "Only batch norm keeps moving statistics." in words(app)
        else:
            assert charts(app) >= 3, look


def test_a_mean_left_in_is_compared_by_its_mean_square(queue):
    config = replace(CONFIG, center=False, momentum=0.1)
    queue.submit(config, "first")
    run = over(config)
    app = opened("train", center="off", momentum="0.1", look="moving", **QUICK)
    assert charts(app) == 3
    assert "root of the mean square" in words(app)
    for channel in range(30):
        rows = results.moving_statistics(run, "mean square", channel)
        own, moving = (rows["value"][rows["method"] == one] for one in rows["method"].unique())
        # With so little momentum the moving one is nearly the last batch's.
        assert moving.iloc[-1] / own.iloc[-1] == pytest.approx(1, abs=0.1)


def test_the_missing_methods_are_offered_and_trained(puppet):
    puppet.go.set()
    pressed(opened("train"), "_train")
    over(as_opened())
    app = opened("train", look="percentiles")
    assert app.button(key="_others").label == (
        "Train no normalization, weight norm, layer norm too"
    )
    app = pressed(app, "_others")
    for method in controls.FOUR_METHODS:
        over(as_opened(normalization=method))
    app = ran(app)
    assert sorted(puppet.trained) == sorted(controls.FOUR_METHODS)
    assert "_others" not in [button.key for button in app.button]


def test_a_run_that_diverged_is_a_result_with_its_sentence(queue):
    config = TrainConfig(
        batch_size=1, placement="conv and dense", epsilon=0.0, epochs=1, train_size=500
    )
    queue.submit(config, "first")
    run = over(config)
    assert run.status == "diverged"
    app = opened("train", run=run.key)
    assert "Diverged at step" in app.success[0].value
    assert "float32" in app.success[0].value and "nan" not in app.success[0].value
    assert charts(app) >= 1


# ---- what does not go -------------------------------------------------------------------------


def test_one_image_per_batch_is_explained(puppet):
    app = opened("train", batch="1", placement="conv-and-dense")
    assert "Its variance is 0" in app.warning[0].value
    assert "784 positions" in words(opened("train", batch="1"))
    assert "784 positions" not in words(opened("train", batch="1", method="layer"))


@pytest.mark.parametrize(
    "parameters",
    [
        {"run": "../../etc/passwd", "over": "x,y,z", "misread": "99-99"},
        {"run": "0" * 32, "over": "0" * 32},
        {"batch": "1000000000", "epochs": "-3", "lr": "nan", "images": "inf", "seed": "1e99"},
        {"method": "<script>", "look": "nowhere", "channel": "300", "hidden": "0"},
        {"ghost": "5", "batch": "64"},
        {"method": "group", "groups": "7"},
        {"hide": "batch,lr,method,run", "present": "on"},
        {"train_size": "١٢", "epsilon": "0,001", "momentum": "2"},
    ],
)
def test_hostile_links_get_a_sentence_and_a_page(parameters, puppet):
    app = opened("train", **parameters)
    assert app.title[0].value == "Train"
    if "present" not in parameters:
        assert app.warning, words(app)


def test_only_a_normalization_without_both_halves_is_said_to_normalize_nothing():
    off = replace(CONFIG, center=False, scale=False)
    assert curves.nothing_is_normalized(off)
    assert not curves.nothing_is_normalized(replace(off, center=True))
    assert not curves.nothing_is_normalized(replace(off, scale=True))
    for method in ("none", "weight"):  # they read neither
        assert not curves.nothing_is_normalized(replace(off, normalization=method))


def test_settings_that_do_not_go_together_name_the_reason(puppet):
    app = opened("train", method="instance", placement="conv-and-dense")
    assert "a dense layer has none" in app.warning[0].value
    assert not [button for button in app.button if button.key == "_train"]


def test_the_browser_is_known_by_the_constant_part_of_its_cookie():
    def cookie(mask: str) -> str:
        masked = bytes(a ^ b for a, b in zip(b"a token.", bytes.fromhex(mask) * 2, strict=True))
        return f"2|{mask}|{masked.hex()}|17"

    for mask in ("0a0b0c0d", "01020304"):
        assert trainings._unmasked(cookie(mask)) == b"a token."
    for broken in ("", "2|zz|zz|1", "1|00", "2|0a0b0c0d|abc|1"):
        assert trainings._unmasked(broken) == b""
