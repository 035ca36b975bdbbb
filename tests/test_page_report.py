"""The Report page: complete when it opens, marked recorded or live, words from its numbers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import live_pages
import numpy as np
import pyarrow as pa
import pytest
from live_pages import pressed, words
from streamlit.testing.v1 import AppTest

from normlib.config import METHODS
from normlib.run import EpochEnd, EpochResult, Progress, Run, Started
from normlib.training import train
from pages.components import server
from pages.components.lesson_list import LESSONS
from pages.lab import library as lab_library
from pages.lab import report
from pages.lab.queue import Experiments
from pages.lab.reference import Comparison
from pages.lessons.report import layer, library, tables, weight


@pytest.fixture(autouse=True)
def go(drawn, serve):
    """Trainings that stop after their first of four epochs until a test lets them go."""
    go = threading.Event()

    def train(config, data, on_event, should_stop) -> Run:
        epochs = [EpochResult(e, 0.0071 / e, 0.5 / e, 0.9, 1.0) for e in (1, 2, 3, 4)]
        on_event(Started(4, 1))
        on_event(Progress(1, 4, [0.5], [0.9], 1.0, 64.0))
        on_event(EpochEnd(epochs[0]))
        while not go.wait(0.02):
            if should_stop():
                return Run(config, data.name, data.checksum, "stopped", epochs=epochs[:1])
        over = {"losses": [0.5] * 4, "epochs": epochs, "test_accuracy": 0.9345, "seconds": 12.3}
        return Run(config, data.name, data.checksum, "finished", **over)

    serve(Experiments(drawn, train=train, workers=5))
    yield go
    go.set()


def opened(**parameters: str) -> AppTest:
    return live_pages.opened("report", **parameters)


def answer(app: AppTest) -> str:
    return app.success[0].value


# ---- the tables ------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", report.SETTINGS)
def test_every_published_and_recorded_number_is_on_the_page(setting) -> None:
    app = opened(setting=setting)
    changes, *tables = app.table  # the answer's comes first
    assert changes.value.to_dict("records") == list(map(report.change_row, report.METHODS))
    for table, shown in zip(
        report.tables(report.recorded(setting)["columns"]), tables, strict=True
    ):
        assert f"**{table.name}. {table.title}**" in [one.value for one in app.markdown]
        wanted = []
        for label, cells in table.rows:
            wanted.append([f"**{label}**", "", "", ""])
            for name, cell in zip(table.columns, cells, strict=True):
                wanted.append([METHODS[name].title, cell.printed, cell.ours, cell.off])
        assert list(shown.value) == ["Method", "Published", "Recorded", "Difference"]
        assert shown.value.values.tolist() == wanted


def test_the_answer_names_the_column_that_changed_most() -> None:
    changes = {METHODS[method].title: report.change(method).mean for method in report.METHODS}
    most = max(changes, key=lambda method: abs(changes[method]))
    app = opened()
    assert answer(app).startswith(f"{most} changes most")
    assert f"{changes[most]:+.2f} points of test accuracy on average, in every" in answer(app)
    assert "drawn digits (not MNIST): its numbers cannot be the report's" in words(app)


@pytest.mark.parametrize("setting", report.SETTINGS)
def test_every_accuracy_is_within_the_picture(setting) -> None:
    low, high = tables.ACCURACIES
    dots = report.accuracy_dots(report.recorded(setting))
    assert len(dots) == 4 * (1 + 3)
    assert all(low < dot["value"] < high for dot in dots)


def test_the_reports_unit_is_said_in_the_unit_of_the_other_pages() -> None:
    assert "0.0029 is 0.19" in words(opened())  # 64 times as much
    assert "0.0029 is 0.19" not in words(opened(part="layer"))


@pytest.mark.parametrize("part", ["tables", "library", "layer", "weight"])
def test_the_report_is_introduced_where_it_is_named(part) -> None:
    shown = words(opened(part=part, numbers="random", batch="4"))
    assert "IST 597" in shown and "Assignment 01000" in shown


def test_five_trainings_for_the_whole_room_are_no_first_choice() -> None:
    app = opened()
    assert app.button(key="_run_report").proto.type == "secondary"
    assert "3 min 14 s of training where they were recorded" in words(app)


def asked_for():
    """The trainings of this machine."""
    checksum = server.data().checksum
    keys = [report.config(column, "as-run").key(checksum) for column in report.COLUMNS]
    return [server.experiments().find(key) for key in keys]


def cells(app: AppTest) -> list[str]:
    return [text for table in app.table for row in table.value.values for text in row]


def test_this_machine_fills_in_its_rows_as_they_come(go) -> None:
    app = pressed(opened(), "_run_report")
    while not all(experiment.snapshot().epochs for experiment in asked_for()):
        time.sleep(0.02)
    shown = cells(app.run())
    assert shown.count("0.0071") == 6  # epoch 1 of four columns, and of two in Fig 3
    assert "93.45%" not in shown
    go.set()
    for experiment in asked_for():
        assert experiment.wait_until_over(10)
    app = opened()  # another session, or this one reloaded
    assert cells(app).count("93.45%") == 6 and "12.3 s" in cells(app)
    assert "other images than the recorded ones" in words(app)


def test_stop_gives_the_button_back() -> None:
    app = pressed(opened(), "_run_report")
    experiments = asked_for()
    pressed(app, "_stop_report")
    for experiment in experiments:
        assert experiment.wait_until_over(10)
    assert {experiment.status for experiment in experiments} == {"stopped"}
    assert app.run().button(key="_run_report")


@pytest.mark.parametrize(
    ("link", "possible"),
    [({"setting": "as-hoped"}, "as-run, as-written"), ({"part": "layer", "batch": "512"}, "128")],
)
def test_a_wrong_link_says_what_is_possible(link, possible) -> None:
    assert possible in opened(**link).warning[0].value


# ---- batch norm against layer norm -----------------------------------------------------------


@pytest.mark.parametrize("setting", report.SETTINGS)
def test_batch_against_layer_answers_from_the_recorded_runs(setting) -> None:
    app = opened(part="layer", setting=setting)
    recorded = report.recorded(setting)
    none, batch, layer = (report.column(recorded, one) for one in ("none", "batch", "layer"))
    race = report.race(batch, layer, 0.95)
    assert f"{race.first:,.0f} steps with" in answer(app)
    by = f" by a factor of {race.factor:.1f}," if race.verdict.differs else ""
    assert f"Batch norm is faster{by} {race.verdict.settled}." in answer(app)
    found = report.accuracy_verdict(batch, layer)
    assert f"{found.mean:+.2f} points on average, in 2 of 3 pairs: not settled" in answer(app)
    costs = [one["milliseconds_per_step"] / none["milliseconds_per_step"] for one in (batch, layer)]
    assert f"{costs[0]:.1f} and {costs[1]:.1f} times the" in answer(app)
    assert len(app.get("vega_lite_chart")) == 1
    assert "word for word, a sentence of the layer-norm paper" in words(app)


def test_words_follow_the_numbers() -> None:
    def column(method, steps, accuracy, milliseconds=4.0):
        to = dict.fromkeys(("0.90", "0.95"), steps)
        found = {"method": method, "steps_to": to, "accuracy": accuracy}
        return found | {"milliseconds_per_step": milliseconds}

    quick = column("batch", [100, 110, 105], [0.97, 0.971, 0.972], 8.0)
    slow = column("layer", [300, 330, 317], [0.94, 0.9412, 0.942])
    never = column("layer", [110, None, 120], [0.9, 0.9, 0.9])
    mixed = column("layer", [90, 150, 104], [0.969, 0.972, 0.97])
    for pair in ((quick, slow), (slow, quick)):
        sentence = layer.speed(*pair, 0.9)
        assert "Batch norm is faster by a factor of 3.0, in every pair." in sentence
    for pair in ((quick, never), (never, quick)):
        assert "only batch norm gets there" in layer.speed(*pair, 0.95)
    assert "neither" in layer.speed(never, never, 0.95)
    assert "Batch norm is faster in 1 of 3 pairs: not settled." in layer.speed(quick, mixed, 0.9)
    assert "+2.99 points on average, in every pair" in layer.accuracy(quick, slow)
    assert "−2.99 points" in layer.accuracy(slow, quick)
    assert "in 2 of 3 pairs: not settled" in layer.accuracy(quick, mixed)
    bare = column("none", [1], [0.9], 2.0)
    told = layer.cost(quick, slow, bare)
    assert "8.0 ms with batch norm and 4.0 ms with layer norm: 4.0 and 2.0 times" in told


# ---- weight norm, and the library ------------------------------------------------------------


@pytest.mark.parametrize("setting", report.SETTINGS)
def test_the_detective_story_counts_the_filters(setting) -> None:
    app = opened(part="weight", setting=setting)
    accuracies = [
        f"{report.mean_accuracy(report.recorded(setting)['columns']['weight']):.2%}"
        for setting in report.SETTINGS
    ]
    wanted = ["the same filter 30 times", "1/√750,", "30 different filters", *accuracies]
    for words_of_it in (*wanted, "only the biases and the two layers", "+0.26 points, in every"):
        assert words_of_it in answer(app)
    filters, curves = app.get("vega_lite_chart")
    weights = pa.ipc.open_stream(filters.proto.data.data).read_pandas()["weight"]
    assert weights.nunique() == 1 if setting == "as-run" else weights.nunique() > 300
    assert ("Constant kernel" in curves.proto.spec) == (setting == "as-run")


def test_the_constant_kernel_trains_its_biases(drawn) -> None:
    config = replace(report.config("weight", "as-run", epochs=1), train_size=128)
    trained = train(config, drawn).weights[-1]
    assert np.allclose(trained["conv_kernel/w"], 750**-0.5)
    assert np.all(trained["conv_bias"] != 0)


def test_the_lesson_is_judged_by_the_recorded_pairs() -> None:
    lesson = next(one for one in LESSONS if one.name == "filters")
    found = weight.lead()
    assert found.mean == pytest.approx(0.26, abs=0.005) and found.differs
    for facts, wanted in (
        ({"lead": found.mean, "settled": found.differs}, 1),
        ({"lead": -0.3, "settled": True}, 0),
        ({"lead": 0.3, "settled": False}, 2),
    ):
        assert [holds(facts) for holds in lesson.options.values()].index(True) == wanted
    app = opened(part="weight", lesson="filters")
    assert "**The program's: trained, it is ahead**" in words(app)


def test_own_ops_are_compared_live() -> None:
    app = opened(part="library", batch="4", numbers="random")
    assert "It is rounding: the own ops are" in answer(app)
    assert "points apart" in app.success[1].value
    assert "Live: Random numbers · batch size 4" in words(app)
    assert len(app.dataframe[0].value) == 11
    app.toggle(key="defaults").set_value(True).run()
    assert not app.exception
    assert "differ in axes (H, W, C against C)" in answer(app)


def pair(own: str, of_library: str, quantity: str = "output", *numbers: float) -> Comparison:
    """numbers: the difference, and the errors of the two sides."""
    each = ({quantity: one} for one in numbers or (1e-6, 1e-6, 1e-6))
    return Comparison("norm", "keras Norm", own, of_library, *each, 1.0, 1.0)


@pytest.mark.parametrize(
    ("own", "of_library", "quantity", "different"),
    [
        ("over H, W, C, epsilon 1e-05", "over C, epsilon 0.001", "output", "axes and epsilon"),
        ("over H, W, C, epsilon 1e-05", "1 group, epsilon 0.001", "output", "epsilon"),
        ("momentum 0.9, epsilon 1e-05", "momentum 0.99, epsilon 0.001", "output", "epsilon"),
        ("momentum 0.9, epsilon 1e-05", "momentum 0.99, epsilon 0.001", "moving mean", "momentum"),
        ("over H, W, C, epsilon 1e-05", "over C, epsilon 0.001", "dbeta", ""),
    ],
)
def test_a_difference_is_put_down_to_what_can_make_it(own, of_library, quantity, different) -> None:
    found = lab_library.different(pair(own, of_library), quantity)
    assert " and ".join(one.partition(" ")[0] for one in found) == different


def test_what_is_no_rounding_is_not_called_so_without_defaults_either() -> None:
    momentum = "momentum 0.9"
    own, of_library = f"{momentum}, epsilon 1e-05", f"{momentum}, moving variance unbiased"
    unbiased = pair(own, of_library, "moving variance", 1.7e-5, 5.2e-8, 5.4e-8)
    told = library.answer(lab_library.found([unbiased], "moving variance"), "moving variance")
    assert "That is not rounding, which explains 1.1e−7 at most" in told
    assert "differ in n − 1 in place of n" in told
    one = library.answer(lab_library.found([pair("", "")], "output"), "output")
    assert one.endswith("in 0 of 1 pair, the library in 0, and 1 is level.")


@pytest.mark.parametrize("quantity", ["dx", "dgamma", "dbeta", "moving-mean", "moving-variance"])
def test_every_quantity_has_its_picture(quantity) -> None:
    app = opened(part="library", batch="4", numbers="random", quantity=quantity)
    assert len(app.get("vega_lite_chart")) == 3
    assert f"largest difference in {quantity.replace('-', ' ')} is" in answer(app)


def test_thirty_equal_comparisons_are_one_and_two_others_wait_for_each_other(
    drawn, monkeypatch
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
