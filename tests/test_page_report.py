"""The Report page: complete when it opens, marked recorded or live, words from its numbers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import live_pages
import pytest
from live_pages import Ready, pressed, words
from streamlit.testing.v1 import AppTest

from normlib.config import METHODS
from normlib.run import EpochEnd, EpochResult, Progress, Run, Started
from pages.components import server
from pages.lab import report
from pages.lab.queue import Experiments
from pages.lessons.report import layer, library


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
        over = {"losses": [0.5] * 4, "epochs": epochs, "test_accuracy": 0.9345, "seconds": 12.3}
        return Run(config, data.name, data.checksum, "finished", **over)


@pytest.fixture
def puppet(drawn, monkeypatch) -> Puppet:
    puppet = Puppet()
    monkeypatch.setattr(server, "_warm_up", Ready(drawn))
    monkeypatch.setattr(server, "_experiments", Experiments(drawn, train=puppet, workers=5))
    yield puppet
    puppet.go.set()


def opened(**parameters: str) -> AppTest:
    return live_pages.opened("report", **parameters)


def tables(app: AppTest) -> str:
    """The cells of the three tables, each between bars."""
    return "|".join(
        text for table in app.table for row in table.value.values for text in ("", *row, "")
    )


@pytest.mark.parametrize("setting", report.SETTINGS)
def test_every_published_and_recorded_number_is_on_the_page(setting, puppet) -> None:
    app = opened(setting=setting)
    for table, shown in zip(
        report.tables(report.recorded(setting)["columns"]), app.table, strict=True
    ):
        assert f"**{table.name}. {table.title}**" in [one.value for one in app.markdown]
        wanted = []
        for label, cells in table.rows:
            wanted.append([f"**{label}**", "", "", ""])
            for name, cell in zip(table.columns, cells, strict=True):
                wanted.append([METHODS[name].title, cell.printed, cell.ours, cell.off])
        assert list(shown.value) == ["", "Published", "Recorded", "Difference"]
        assert shown.value.values.tolist() == wanted


def test_the_answer_names_the_column_that_changed_most(puppet) -> None:
    changes = {METHODS[method].title: report.change(method).mean for method in report.METHODS}
    most = max(changes, key=lambda method: abs(changes[method]))
    (answer,) = opened().success
    assert answer.value.startswith(f"{most} changes most")
    assert f"{changes[most]:+.2f} points of test accuracy on average, in every" in answer.value


def test_this_machine_fills_in_its_rows_as_they_come(puppet) -> None:
    app = pressed(opened(), "_run_report")
    for _ in range(500):
        if all(experiment.snapshot().epochs for experiment in running("as-run")):
            break
        time.sleep(0.02)
    shown = tables(app.run())
    assert shown.count("|0.0071|") == 6  # epoch 1 of four columns, and of two in Fig 3
    assert "93.45%" not in shown
    puppet.go.set()
    for experiment in running("as-run"):
        assert experiment.wait_until_over(10)
    app = opened()  # another session, or this one reloaded
    shown = tables(app)
    assert shown.count("|93.45%|") == 6
    assert "|12.3 s|" in shown
    assert "other images than the recorded ones" in words(app)


def test_stop_gives_the_button_back(puppet) -> None:
    app = pressed(opened(), "_run_report")
    experiments = running("as-run")
    pressed(app, "_stop_report")
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


@pytest.mark.parametrize("setting", report.SETTINGS)
def test_batch_against_layer_answers_from_the_recorded_runs(setting, puppet) -> None:
    app = opened(part="layer", setting=setting)
    recorded = report.recorded(setting)
    none, batch, layer = (report.column(recorded, one) for one in ("none", "batch", "layer"))
    (answer,) = app.success
    for one, other in ((batch, layer), (batch, none), (layer, none)):
        race = report.race(one, other, 0.95)
        assert f"{race.first:,.0f} steps with" in answer.value
        by = f" by a factor of {race.factor:.1f}," if race.verdict.differs else ""
        assert f" is faster{by} {race.verdict.settled}." in answer.value
    found = report.accuracy_verdict(batch, layer)
    assert f"{found.mean:+.2f} points on average, in 2 of 3 pairs: not settled" in answer.value
    cost = batch["milliseconds_per_step"] / none["milliseconds_per_step"]
    assert f"{cost:.1f} times as much" in answer.value
    assert len(app.get("vega_lite_chart")) == 1


def _column(method, steps, accuracy, milliseconds=4.0):
    return {
        "method": method,
        "steps_to": dict.fromkeys(("0.90", "0.95"), steps),
        "accuracy": accuracy,
        "milliseconds_per_step": milliseconds,
    }


def test_words_follow_the_numbers() -> None:
    quick = _column("batch", [100, 110, 105], [0.97, 0.971, 0.972], 8.0)
    slow = _column("layer", [300, 330, 317], [0.94, 0.9412, 0.942])
    for pair in ((quick, slow), (slow, quick)):
        sentence = layer.speed(*pair, 0.9)
        assert "Batch norm is faster by a factor of 3.0, in every pair." in sentence
    assert "+2.99 points on average, in every pair" in layer.accuracy(quick, slow)
    assert "−2.99 points" in layer.accuracy(slow, quick)
    assert "8.0 ms with batch norm and 4.0 ms without: 2.0 times" in layer.cost(quick, slow)
    never = _column("layer", [110, None, 120], [0.9, 0.9, 0.9])
    for pair in ((quick, never), (never, quick)):
        assert "only batch norm gets there" in layer.speed(*pair, 0.95)
    assert "neither" in layer.speed(never, never, 0.95)
    mixed = _column("layer", [90, 150, 104], [0.969, 0.972, 0.97])
    assert "Batch norm is faster in 1 of 3 pairs: not settled." in layer.speed(quick, mixed, 0.9)
    assert "in 2 of 3 pairs: not settled" in layer.accuracy(quick, mixed)


def test_the_detective_story_counts_the_filters(puppet) -> None:
    app = opened(part="weight")
    (answer,) = app.success
    assert "the same filter 30 times" in answer.value
    assert "1/√750 = 0.0365" in answer.value
    assert "30 different filters" in answer.value
    for setting in report.SETTINGS:
        accuracy = report.mean_accuracy(report.recorded(setting)["columns"]["weight"])
        assert f"{accuracy:.2%}" in answer.value
    assert "+0.26 points, in every pair" in answer.value
    assert len(app.get("image")) == 2


def test_own_ops_are_compared_live(puppet) -> None:
    app = opened(part="library", batch="4", numbers="random")
    answer, training = app.success
    assert "It is rounding" in answer.value
    assert "Live: Random numbers · batch size 4" in words(app)
    assert "points apart" in training.value
    assert len(app.dataframe[0].value) == 11
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


def test_thirty_equal_comparisons_are_one_and_two_others_wait_for_each_other(
    drawn, puppet, monkeypatch
) -> None:
    under_way, most, made = [0], [0], []

    def slow(images, batch, seed, **options):
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.05)
        made.append(seed)
        under_way[0] -= 1
        return []

    monkeypatch.setattr(library.library, "compare", slow)
    library.compare.clear()
    with ThreadPoolExecutor(6) as pool:
        for seed in (1, 1, 2, 1, 3, 2):
            pool.submit(library.compare, drawn.checksum, "random", 4, 1e-5, seed, False)
    library.compare.clear()
    assert sorted(made) == [1, 2, 3] and most == [1]


def test_a_link_asks_for_no_more_images_than_the_page_compares(puppet) -> None:
    app = opened(part="layer", batch="512")
    assert "128" in app.warning[0].value
