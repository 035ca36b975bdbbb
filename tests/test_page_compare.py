"""The Compare page: the same start for all, tables and sentences from the runs, nothing lost."""

from dataclasses import replace

import numpy as np
import pytest
from live_pages import charts, opened, pressed, ran, words

from normlib.cnn import SmallCNN
from normlib.config import TrainConfig
from normlib.run import Run
from normlib.training import train
from pages.components import controls, server
from pages.lab import comparison
from pages.lab import words as naming
from pages.lab.experiment import Prefix, Snapshot
from pages.lab.queue import Experiments
from pages.lab.run_names import SURGERY
from pages.lab.store import Store
from pages.lessons.compare import answer, curves, methods

QUICK = {"images": "500", "epochs": "1", "hidden": "8"}


@pytest.fixture
def workers() -> int:
    return 2


def ended(queue: Experiments) -> list:
    """Wait for all that was submitted; the runs, oldest first."""
    known = list(queue._known.values())
    for experiment in known:
        assert experiment.wait_until_over(60)
    return [experiment.run for experiment in known]


def shown_tables(app) -> list:
    return [table.value for table in app.table]


def test_cold_it_asks_and_trains_nothing(puppet):
    app = opened("compare")
    assert methods.QUESTION in words(app)
    assert "4 trainings of 2,000 images, 0 done." in words(app)  # all 1,000 there are, twice
    assert charts(app) == 0 and puppet.trained == []


def test_tables_and_sentence_are_those_of_the_runs(queue):
    app = pressed(opened("compare", **QUICK), "_train_all")
    runs = {run.config.normalization: [run] for run in ended(queue)}
    assert list(runs) == ["batch", "layer", "none", "weight"]  # what takes longest first
    runs = {method: runs[method] for method in controls.FOUR_METHODS}  # as they are shown
    assert {run.config.seed for (run,) in runs.values()} == {0}
    app = ran(app)
    assert app.success[0].value == answer.verdict(runs)
    losses, accuracy, _ = shown_tables(app)
    assert losses.equals(comparison.epoch_losses(runs))
    assert accuracy.equals(comparison.accuracy_and_time(runs))
    assert losses.columns.tolist()[1:] == [naming.title(name) for name in runs]
    assert charts(app) == 3  # with the differences
    assert "all done" in words(app)
    # Mean cross-entropy, as on the axis: not the report's unit.
    (none,) = runs["none"]
    assert losses["No normalization"][0] == f"{none.epochs[0].train_loss:.4f}"


def test_curves_of_all_lie_in_one_picture_while_they_train(puppet):
    app = pressed(opened("compare"), "_train_all")
    for _ in range(2):
        assert puppet.began.acquire(timeout=10)
    app = ran(app)
    assert "0 of 4 done" in words(app) and "2 waiting" in words(app)
    assert charts(app) == 2
    assert not app.success
    assert not app.button(key="_stop_all").disabled
    puppet.go.set()
    ended(server.experiments())
    assert sorted(puppet.trained) == sorted(controls.FOUR_METHODS)
    assert ran(app).success


def test_stop_takes_back_what_runs_and_what_waits(puppet):
    app = pressed(opened("compare"), "_train_all")
    for _ in range(2):
        assert puppet.began.acquire(timeout=10)
    app = pressed(app, "_stop_all")
    for experiment in list(server.experiments()._known.values()):
        assert experiment.wait_until_over(10)
        assert experiment.status == "stopped"
    app = ran(app)
    assert "Stopped at step 1." in words(app)
    assert not app.button(key="_train_all").disabled
    pressed(app, "_train_all")
    puppet.go.set()
    ended(server.experiments())
    assert ran(app).success


def test_what_is_kept_is_on_screen_at_once_after_a_restart(queue, drawn, serve, tmp_path):
    pressed(opened("compare", **QUICK), "_train_all")
    ended(queue)
    serve(Experiments(drawn, Store(tmp_path)))
    app = opened("compare", "another browser", **QUICK)
    assert "all done" in words(app) and app.success and charts(app) == 3


def test_three_seeds_draw_a_band_and_speak_of_all_three(queue):
    app = opened("compare", methods="none,layer", seeds="3", **QUICK)
    pressed(app, "_train_all")
    runs = ended(queue)
    # Every series has its first run before any has its second.
    order = [(run.config.normalization, run.config.seed) for run in runs]
    assert order == [(m, s) for s in (0, 1, 2) for m in ("layer", "none")]
    app = ran(app)
    assert "3 seeds" in app.success[0].value
    assert "one seed" not in app.success[0].value
    assert "seeds 0 to 2" in words(app)
    loss = app.get("vega_lite_chart")[0].proto.spec
    assert '"area"' in loss
    assert "(" in shown_tables(app)[0]["No normalization"][0]  # the range over the seeds


def test_surgery_changes_one_thing_per_curve(puppet):
    puppet.go.set()
    app = pressed(opened("compare", among="surgery", cuts="center,scale,fixed,after"), "_train_all")
    runs = ended(server.experiments())
    base = next(run.config for run in runs if run.config == tables_base())
    changed = [
        [name for name in vars(base) if getattr(run.config, name) != getattr(base, name)]
        for run in runs
        if run.config != base
    ]
    # Two workers: which of two trainings ends first is open.
    assert sorted(changed) == [["center"], ["learn_scale_shift"], ["position"], ["scale"]]
    names = shown_tables(ran(app))[0].columns.tolist()
    assert names[1:] == ["Batch norm", *list(SURGERY.values())[:4]]


def tables_base() -> TrainConfig:
    values = {name: row.default for name, row in controls.CONTROLS.items()}
    return controls.to_train_config(values)


def test_a_change_that_does_not_fit_is_left_out_with_its_reason(puppet):
    app = opened("compare", among="surgery", cuts="center,ghost", batch="30")
    assert "30 images cannot be split into 4 equal parts" in words(app)
    assert "2 trainings" in words(app)
    app = opened("compare", among="surgery", cuts="fixed,after", position="after-relu")
    assert "that is how batch norm already runs here" in words(app)


def test_a_preset_says_what_it_changes_and_sets_it(puppet):
    app = opened("compare", lr="0.1", seed="4")
    assert "training images 55,000" in words(app) and "epsilon 1e−8" in words(app)
    report = next(button for button in app.button if button.label == "The report's settings")
    report.click()
    app = ran(app)
    config = settings_of(app)
    assert config["images"] == 55_000 and config["eps"] == 1e-8 and config["lr"] == 0.01
    assert config["start"] == "constant" and config["learn"] is False
    assert app.query_params["images"] == "55000"
    assert next(one for one in app.button if one.label == "The report's settings").disabled
    next(button for button in app.button if button.label == "The lab's own settings").click()
    config = settings_of(ran(app))
    assert config["images"] == 6000 and config["learn"] is True and config["start"] == "norm"


def settings_of(app) -> dict:
    state = app.session_state["_controls"]
    return {
        name: state.values.get(name, controls.CONTROLS[name].default) for name in controls.CONTROLS
    }


def test_no_method_gets_a_sentence(puppet):
    app = opened("compare", methods="")
    assert "at least one method" in words(app)
    assert charts(app) == 0


def test_a_loss_that_explodes_leaves_the_survivors_readable():
    losses = [2.3] * 5 + [1e24] * 4 + [float("inf")]
    gone = Snapshot(
        status="diverged", steps=20, losses=Prefix(losses), config=TrainConfig(), key="a"
    )
    well = Snapshot(
        status="finished", steps=20, losses=Prefix([2.3] * 20), config=TrainConfig(), key="b"
    )
    (spec, data), _ = curves.picture({"weight": [gone], "batch": [well]})[0].panels
    scale = spec["layer"][-1]["encoding"]["y"]["scale"]
    assert scale["domain"] == [0.01, 30.0] and scale["clamp"]
    assert data.loc[data["word"] != "", ["method", "step", "word"]].values.tolist() == [
        ["weight", 10, "diverged"]
    ]
    assert data.loc[data["word"] != "", "smoothed"].tolist() == [30.0]  # inf has no place
    assert "inf" in str(curves.picture({"weight": [gone]})[0].summary)  # the table stays true


@pytest.mark.parametrize(
    "parameters",
    [
        {"methods": "batch,<b>,none", "cuts": "everything", "among": "?", "seeds": "30"},
        {"batch": "0", "lr": "-1", "epochs": "1e9", "images": "x"},
        {"among": "surgery", "method": "weight"},
        {"among": "surgery", "method": "group", "groups": "4"},
        {"methods": "instance,batch", "placement": "conv-and-dense"},
        {"seed": "2147483647", "seeds": "3"},
        {"run": "%00", "present": "on", "hide": "methods,among"},
    ],
)
def test_hostile_links_get_a_page(parameters, puppet):
    app = opened("compare", **parameters)
    assert app.title[0].value == "Compare"


def test_students_who_press_the_same_button_share_its_trainings(puppet):
    """One training per method, however many ask."""
    apps = [opened("compare", f"student {number}") for number in range(6)]
    for app in apps:
        pressed(app, "_train_all")
    puppet.go.set()
    ended(server.experiments())
    assert sorted(puppet.trained) == sorted(controls.FOUR_METHODS)
    assert all(ran(app).success for app in apps)


def test_the_lesson_knows_who_survived_once_all_are_over(puppet):
    app = pressed(opened("compare", lesson="rate", methods="none,layer"), "_train_all")
    assert puppet.began.acquire(timeout=10)
    assert not ran(app).session_state["_facts"]
    puppet.go.set()
    ended(server.experiments())
    assert ran(app).session_state["_facts"] == {
        "survivors": {"none", "layer"},
        "best": "",  # the stand-in gives both the same
        "worst": "",
    }


def test_each_method_trains_at_its_own_best_rate_and_the_verdict_names_them(queue):
    link = QUICK | {"methods": "none,batch,rms", "rates": "best", "bigger": "on"}
    app = pressed(opened("compare", **link), "_train_all")
    configs = [run.config for run in ended(queue)]
    rates = {(one.normalization, one.first_scale): one.learning_rate for one in configs}
    # Best is only what was chosen: nobody looked for that of RMS norm or of the larger kernel.
    chosen = {("none", 1.0): 0.3, ("batch", 1.0): 0.03}
    assert rates == chosen | {("none", 5.6): 0.3, ("rms", 1.0): 0.01}
    told = ran(app).success[0].value
    best = "best learning rate on validation images (no normalization 0.3 and batch norm 0.03; "
    assert best + "not chosen for it: RMS norm 0.01 and first kernel × 5.6 0.3)" in told


def test_the_larger_first_kernel_gives_outputs_of_about_unit_variance(mnist):
    for seed in range(3):
        config = TrainConfig(normalization="none", seed=seed, first_scale=comparison.FIRST_KERNEL)
        conv = SmallCNN(config).forward(mnist.train_images[:500], training=False)["conv"]
        assert 0.9 < float(np.std(conv)) < 1.15


@pytest.mark.parametrize(("scale", "start", "grown"), [(0.1, 76.6, 1.0), (0.001, 0.766, 1.9)])
def test_at_a_rate_of_1_only_a_short_kernel_grows_at_once(mnist, scale, start, grown):
    changes = {"train_size": 128, "learning_rate": 1.0, "placement": "conv and dense", "epochs": 1}
    parts = ("validation_images", "validation_labels", "test_images", "test_labels")
    few = replace(mnist, **{part: getattr(mnist, part)[:100] for part in parts})
    run = train(TrainConfig(start_scale=scale, **changes), few)
    (row,) = comparison.dense_kernels({"batch": [run]}).to_dict("records")
    before, after = float(row["‖W‖ at the start"]), float(row["After one step"])
    assert before == pytest.approx(start, rel=0.002)
    assert after / before == pytest.approx(grown, rel=0.05)
    assert float(row["η / ‖w‖²"]) == pytest.approx(100 / start**2, rel=0.01)


def test_dead_units_are_those_after_the_last_step_that_was_looked_at():
    lengths = [[1.0, 3.0, 1.0], [1.0, 6.0, 1.0], [1.0, 12.5, 1.0]]
    recorded = {"kernel_lengths": lengths, "dead_conv": [0, 0, 0.1], "dead_hidden": [0, 0.5, 0.97]}
    run = Run(TrainConfig(), "digits", "0" * 64, "finished", recorded=recorded)
    (row,) = comparison.dense_kernels({"none": [run], "old": [replace(run, recorded={})]}).values
    assert row[1:4].tolist() == ["3", "6", "12.5"] and row[5:].tolist() == ["10%", "97%"]
