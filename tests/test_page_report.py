"""The Report page: complete when it opens, marked recorded or live, words from its numbers."""

import threading
import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from normlib.config import METHODS
from normlib.run import EpochEnd, EpochResult, Progress, Run, Started
from pages.components import page, server
from pages.lab import report
from pages.lab.queue import Experiments

PAGE = page.ROOT / page.PAGES["report"].file


class Ready:
    """A server that has warmed up, on drawn digits."""

    def __init__(self, dataset) -> None:
        self.dataset = dataset

    def data_is_here(self) -> bool:
        return True

    def tensorflow_is_here(self) -> bool:
        return True


class Puppet:
    """Trains at once, in steps that a test lets go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, config, data, on_event, should_stop) -> Run:
        on_event(Started(4, 1))
        epochs = [EpochResult(e, 0.0071 / e, 0.5 / e, 0.9, 1.0) for e in (1, 2, 3, 4)]
        on_event(Progress(1, 4, [0.5], [0.9], 1.0, 64.0))
        on_event(EpochEnd(epochs[0]))
        while not self.go.wait(0.02):
            if should_stop():
                return Run(config, data.name, data.checksum, "stopped", epochs=epochs[:1])
        for epoch in epochs[1:]:
            on_event(EpochEnd(epoch))
        return Run(
            config,
            data.name,
            data.checksum,
            "finished",
            losses=[0.5] * 4,
            epochs=epochs,
            test_accuracy=0.9345,
            seconds=12.3,
        )


@pytest.fixture
def puppet(drawn, monkeypatch) -> Puppet:
    puppet = Puppet()
    monkeypatch.setattr(server, "_warm_up", Ready(drawn))
    monkeypatch.setattr(server, "_experiments", Experiments(drawn, train=puppet, workers=5))
    yield puppet
    puppet.go.set()


def opened(**parameters: str) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["_session"] = "one browser"
    for name, text in parameters.items():
        app.query_params[name] = text
    app.run()
    assert not app.exception
    return app


def tables(app: AppTest) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def words(app: AppTest) -> str:
    return " ".join(element.value for element in (*app.success, *app.info, *app.caption))


@pytest.mark.parametrize("setting", report.SETTINGS)
def test_every_published_and_recorded_number_is_on_the_page(setting, puppet) -> None:
    app = opened(setting=setting)
    shown = tables(app)
    for table in report.tables(report.recorded(setting)["columns"]):
        assert f"{table.name}. " in shown
        for _, cells in table.rows:
            for cell in cells:
                assert f"<td>{cell.words(cell.published)}</td>" in shown
                assert f"<td>{cell.ours}</td>" in shown
    assert "Recorded" in shown
    assert "This machine" not in shown


def test_the_answer_names_the_column_that_changed_most(puppet) -> None:
    change = {}
    for method in report.COLUMNS[:4]:
        run, written = (
            np.mean(report.recorded(setting)["columns"][method]["accuracy"])
            for setting in ("as-run", "as-written")
        )
        change[method] = 100 * (written - run)
    most = max(change, key=lambda method: abs(change[method]))
    (answer,) = opened().success
    assert f"“as written”: {METHODS[most].title} +" in answer.value
    assert f"{change[most]:+.2f} points" in answer.value


def test_this_machine_fills_in_its_rows_as_they_come(puppet) -> None:
    app = opened()
    app.button(key="_run_report").click().run()
    for experiment in running("as-run"):
        for _ in range(500):
            if experiment.snapshot().epochs:
                break
            time.sleep(0.02)
    shown = tables(app.run())
    assert "This machine" in shown
    assert shown.count("<td>0.0071</td>") == 6  # epoch 1 of four columns, and of two in Fig 3
    assert "93.45%" not in shown
    puppet.go.set()
    for experiment in running("as-run"):
        assert experiment.wait_until_over(10)
    app = opened()  # another session, or this one reloaded
    shown = tables(app)
    assert shown.count("<td>93.45%</td>") == 6
    assert "<td>12.3 s</td>" in shown
    assert "other images than the recorded ones" in words(app)


def test_stop_gives_the_button_back(puppet) -> None:
    app = opened()
    app.button(key="_run_report").click().run()
    experiments = running("as-run")
    app.button(key="_stop_report").click().run()
    for experiment in experiments:
        assert experiment.wait_until_over(10)
    assert {experiment.status for experiment in experiments} == {"stopped"}
    assert app.run().button(key="_run_report")


def running(setting: str):
    data, experiments = server.data(), server.experiments()
    return [
        experiments.find(report.config(column, setting).key(data.checksum))
        for column in report.COLUMNS
    ]


def test_drawn_digits_are_said_to_be_no_mnist(puppet) -> None:
    assert "drawn digits (not MNIST): its numbers cannot be the report's" in words(opened())


def test_batch_against_layer_answers_from_the_recorded_runs(puppet) -> None:
    for setting in report.SETTINGS:
        app = opened(part="layer", setting=setting)
        none, batch, layer = report.convergence(
            report.recorded(setting), ("none", "batch", "layer")
        )
        (answer,) = app.success
        for level in report.LEVELS:
            assert report.speed_words(batch, layer, level) in answer.value
        assert report.accuracy_words(batch, layer) in answer.value
        assert report.cost_words(layer, none) in answer.value
        assert len(app.get("vega_lite_chart")) == 1


def test_the_detective_story_counts_the_filters(puppet) -> None:
    app = opened(part="weight")
    (answer,) = app.success
    assert "the same filter 30 times" in answer.value
    assert "1/√750 = 0.0365" in answer.value
    assert "30 different filters" in answer.value
    for setting in report.SETTINGS:
        accuracy = np.mean(report.recorded(setting)["columns"]["weight"]["accuracy"])
        assert f"{accuracy:.2%}" in answer.value
    assert len(app.get("image")) == 2


def test_own_ops_are_compared_live(puppet) -> None:
    app = opened(part="library", batch="4", numbers="random")
    answer, training = app.success
    assert "It is rounding" in answer.value
    assert "Live: Random numbers · batch size 4" in words(app)
    assert "points apart" in training.value
    app.toggle(key="defaults").set_value(True).run()
    assert not app.exception
    answer, _ = app.success
    assert "two things of the same name differ by" in answer.value


@pytest.mark.parametrize("quantity", ["dx", "dgamma", "dbeta", "moving-mean", "moving-variance"])
def test_every_quantity_has_its_picture(quantity, puppet) -> None:
    app = opened(part="library", batch="4", numbers="random", quantity=quantity)
    assert len(app.get("vega_lite_chart")) == 3
    assert f"largest difference in {quantity.replace('-', ' ')} is" in app.success[0].value


def test_a_wrong_link_says_what_is_possible(puppet) -> None:
    (warning,) = opened(setting="as-hoped").warning
    assert "as-run, as-written" in warning.value
