"""The batch size lab: recorded at once, live on demand, words from its numbers, hostile links."""

import re
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from normlib.config import METHODS
from normlib.run import Progress, Run, Started
from normlib.training import train
from pages.components import live_sweep, page, server
from pages.lab import sweeps
from pages.lab.queue import Experiments

PAGE = page.ROOT / page.PAGES["batch_lab"].file


class Ready:
    """A server that has warmed up, on drawn digits."""

    def __init__(self, dataset) -> None:
        self.dataset = dataset

    def data_is_here(self) -> bool:
        return True

    def tensorflow_is_here(self) -> bool:
        return True


class Puppet:
    """Trains in no time once a test lets it; its accuracy tells the settings apart."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.configs = []

    def __call__(self, config, data, on_event, should_stop) -> Run:
        self.configs.append(config)
        on_event(Started(10, 10))
        on_event(Progress(1, 10, [2.3], [0.1], 0.1, 64.0))
        while not self.go.wait(0.01):
            if should_stop():
                return Run(config, data.name, data.checksum, "stopped", "Stopped.")
        if config.learning_rate == 3:
            return Run(config, data.name, data.checksum, "diverged", "Diverged.", [2.3])
        right = 0.5 + 0.1 * list(METHODS).index(config.normalization)
        return Run(config, data.name, data.checksum, "finished", "", [2.3] * 10, [], right, 1.0)


@pytest.fixture
def puppet(drawn, monkeypatch) -> Puppet:
    puppet = Puppet()
    monkeypatch.setattr(server, "_warm_up", Ready(drawn))
    monkeypatch.setattr(server, "_experiments", Experiments(drawn, train=puppet, workers=2))
    live_sweep._ended.clear()
    yield puppet
    puppet.go.set()


@pytest.fixture
def trained(drawn, monkeypatch) -> None:
    """Real trainings, on drawn digits; small ones, as these are the first thousand."""

    def shorter(config, data, **watching):
        run = train(replace(config, train_size=256, hidden_units=10), data, **watching)
        return replace(run, config=replace(config, hidden_units=10))

    monkeypatch.setattr(server, "_warm_up", Ready(drawn))
    monkeypatch.setattr(server, "_experiments", Experiments(drawn, train=shorter, workers=2))
    live_sweep._ended.clear()


def opened(**parameters: str) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["_session"] = "one browser"
    for name, text in parameters.items():
        app.query_params[name] = text
    app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    elements = (*app.success, *app.info, *app.warning, *app.caption, *app.markdown)
    return " ".join(element.value for element in elements)


def until(app: AppTest, done) -> AppTest:
    """Run the page again until `done(app)`."""
    for _ in range(400):
        if done(app.run()):
            assert not app.exception
            return app
        time.sleep(0.05)
    raise AssertionError(words(app))


# ---- recorded, at once -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "charts"), [("inference", 2), ("mates", 2), ("sweep", 1), ("cliff", 1)]
)
@pytest.mark.parametrize("placement", ["conv", "conv-and-dense"])
def test_a_cold_link_shows_a_recorded_picture_and_its_answer(view, charts, placement, puppet):
    held = {"lr": "0.1", "methods": "batch,layer"} if view == "sweep" and "d" in placement else {}
    app = opened(lab=view, placement=placement, **held)
    assert len(app.get("vega_lite_chart")) == charts
    assert len(app.success) == 1
    assert "Recorded" in " ".join(element.value for element in app.markdown)
    assert not puppet.configs
    assert not app.warning


def test_the_page_opens_on_training_against_inference(puppet):
    app = opened()
    (study,) = [
        one
        for one in sweeps.recorded_study("inference")["studies"]
        if one["config"] == vars(sweeps.small("conv"))
    ]
    (answer,) = app.success
    assert f"{study['own']['1']:.1%} in batches of 1" in answer.value
    assert f"**The moving ones:** {study['moving']:.1%}" in answer.value
    assert "784 positions" in answer.value


def test_recalibrating_brings_the_third_line_and_its_gain(puppet):
    app = opened(placement="conv-and-dense", momentum="0.99")
    assert "Recalibrated" not in app.success[0].value
    app.button(key="recalibrate").click().run()
    config = replace(sweeps.small("conv and dense"), momentum=0.99)
    (study,) = [
        one
        for one in sweeps.recorded_study("inference")["studies"]
        if one["config"] == vars(config)
    ]
    words = app.success[0].value.replace("−", "-")
    numbers = re.search(r"batches: ([\d.]+)% becomes ([\d.]+)%, ([+-][\d.]+) points", words)
    before, after, gain = map(float, numbers.groups())
    assert before == pytest.approx(100 * study["moving"], abs=0.005)
    assert after == pytest.approx(100 * study["recomputed"], abs=0.005)
    assert gain == pytest.approx(after - before, abs=1e-9)
    assert app.query_params["recalibrated"] == "on"
    app.button(key="recalibrate").click().run()
    assert "Recalibrated" not in app.success[0].value


@pytest.mark.parametrize("along", ["momentum", "batch"])
def test_the_other_axes_are_recorded_too(along, puppet):
    app = opened(against=along, recalibrated="on")
    assert len(app.get("vega_lite_chart")) == 2
    assert "Recalibrated" in app.success[0].value


def test_a_batch_of_one_on_a_dense_layer_is_explained_with_its_number(puppet):
    (answer,) = opened(placement="conv-and-dense").success
    assert "A batch of 1 on a dense layer" in answer.value
    assert "9.6% is the share of that digit" in answer.value


def test_mates_are_counted_from_the_recorded_cloud(puppet):
    for view in sweeps.recorded_study("mates")["views"]:
        for who, sizes in view["cloud"].items():
            app = opened(
                lab="mates", mates=who, crowd="8", placement=view["placement"].replace(" ", "-")
            )
            right = sum(np.argmax(ten) == view["label"] for ten in sizes["8"])
            label = view["label"]
            assert f"this {label} is read as {label} in {right} of 200" in app.success[0].value
            assert f"{view['accuracy']['sorted']['8']:.1%}" in app.metric[1].value


def test_what_is_not_recorded_says_so_and_offers_to_train(puppet):
    for parameters in (
        {"lab": "inference", "batch": "61"},
        {"lab": "mates", "pinned": "5"},
        {"lab": "mates", "mates": "3"},
        {"lab": "sweep", "lr": "0.5"},
        {"lab": "cliff", "methods": "group"},
    ):
        app = opened(**parameters)
        assert not app.get("vega_lite_chart"), parameters
        assert "ecorded" in words(app)
        assert not app.success


def test_the_paper_preset_shows_its_two_sizes_beside_its_setting(puppet):
    app = opened(lab="sweep")
    app.button[1].click().run()
    assert not app.exception
    assert app.query_params["placement"] == "conv-and-dense"
    plan = sweeps.PLANS["paper"]
    rows = sweeps.rows(plan, sweeps.recorded_outcomes())
    assert sweeps.size_words(plan, rows) in app.success[0].value
    assert "Adam" in app.table[0].value.to_string()
    app.button[0].click().run()
    assert not app.table
    assert "Recorded" in " ".join(element.value for element in app.markdown)


def test_recorded_mnist_is_not_shown_as_the_servers_digits(puppet):
    app = opened(lab="mates")
    assert "about MNIST, which this server does not have" in words(app)
    assert not app.get("image")


# ---- live ------------------------------------------------------------------------------------


def test_a_sweep_runs_a_few_at_a_time_fills_in_and_ends(puppet):
    app = opened(lab="cliff", methods="none,batch")
    app.button(key="_run_cliff").click().run()
    assert app.query_params["from"] == "live"
    queue = server.experiments()
    points = replace(sweeps.PLANS["rates"], methods=("none", "batch"), seeds=(0,)).points()
    keys = [point.config.key(server.data().checksum) for point in points]
    asked = [key for key in keys if queue.find(key) is not None]
    assert 0 < len(asked) <= live_sweep.AT_A_TIME < len(keys)
    assert not app.success
    puppet.go.set()
    until(app, lambda app: "All 16 trainings are done" in words(app))
    assert "Live" in " ".join(element.value for element in app.markdown)
    (answer,) = app.success
    assert "**No normalization:** usable 0.001 to 1; best at 0.001, 50.0%." in answer.value
    assert "**Batch norm:** usable 0.001 to 1; best at 0.001, 60.0%." in answer.value
    assert {config.seed for config in puppet.configs} == {0}
    trained = len(puppet.configs)
    again = opened(lab="cliff", methods="none,batch", **{"from": "live"})
    assert "All 16 trainings are done" in words(again)
    assert len(puppet.configs) == trained


def test_stop_stops_feeding_and_training(puppet):
    app = opened(lab="sweep")
    app.button(key="_run_sizes").click().run()
    queue = server.experiments()
    assert [one for one in queue.earlier(100) if one.status in ("queued", "running")]
    app.button(key="_stop_sizes").click().run()
    for _ in range(200):
        under_way = [one for one in queue.earlier(100) if one.status in ("queued", "running")]
        if not under_way:
            break
        time.sleep(0.02)
    assert not under_way
    started = len(puppet.configs)
    assert started <= live_sweep.AT_A_TIME
    app.run()
    assert len(puppet.configs) == started
    assert not app.button(key="_run_sizes").disabled


def test_half_a_sweep_draws_no_conclusion(puppet):
    app = opened(lab="cliff", methods="none,batch")
    app.button(key="_run_cliff").click().run()
    puppet.go.set()
    for experiment in server.experiments().earlier(100):
        found = server.experiments().find(experiment.key)
        assert found.wait_until_over(10)
    app.button(key="_stop_cliff").click().run()
    assert app.get("vega_lite_chart")
    assert not app.success
    assert "The answer comes with the last one" in words(app)


def test_after_a_stop_the_recorded_picture_is_back(puppet):
    app = opened(lab="sweep")
    app.button(key="_run_sizes").click().run()
    app.button(key="_stop_sizes").click().run()
    until(app, lambda app: "Recorded" in " ".join(e.value for e in app.markdown))
    assert len(app.success) == 1


def test_batch_norms_statistics_are_studied_on_a_network_of_this_machine(trained):
    app = opened(batch="32", recalibrated="on")
    app.button(key="_train_study").click().run()
    until(app, lambda app: app.success)
    assert "Live" in " ".join(element.value for element in app.markdown)
    assert "drawn digits (not MNIST)" in words(app)
    assert "over 31 training batches" in app.success[0].value


def test_any_digit_meets_any_company_on_this_machine(trained):
    app = opened(lab="mates", pinned="1999", mates="3")
    app.button(key="_train_mates").click().run()
    until(app, lambda app: app.success)
    assert "drawn digits" in words(app)
    assert "with only 3s for company" in app.success[0].value
    assert len(app.get("vega_lite_chart")) == 2
    app.select_slider(key="crowd").set_value(32).run()
    assert not app.exception
    few = "There are only" in words(app)
    assert few != bool(app.get("vega_lite_chart"))


# ---- hostile ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"lab": "nowhere"},
        {"lab": "mates", "crowd": "1"},
        {"lab": "mates", "crowd": "1e9"},
        {"lab": "mates", "pinned": "-1"},
        {"lab": "mates", "mates": "<script>"},
        {"momentum": "2"},
        {"momentum": "nan"},
        {"against": "'; DROP TABLE runs"},
        {"from": "elsewhere"},
        {"held": "nothing"},
        {"recalibrated": "perhaps"},
    ],
)
def test_an_impossible_link_gets_a_sentence_and_a_page(parameters, puppet):
    app = opened(**parameters)
    assert "it takes" in app.warning[0].value
    assert app.get("vega_lite_chart")


@pytest.mark.parametrize(
    "parameters",
    [
        {"lab": "cliff", "methods": "instance", "placement": "conv-and-dense"},
        {"lab": "cliff", "methods": ""},
        {"lab": "sweep", "methods": "none,batch,weight,layer,group"},
        {"lab": "mates", "crowd": "5"},
        {"lab": "inference", "momentum": "0.123", "against": "momentum"},
        {"lab": "inference", "batch": "512"},
        {"lab": "sweep", "from": "live"},
        {"lab": "inference", "hide": "batch,momentum,placement,against,lab"},
        {"lab": "mates", "present": "on"},
    ],
)
def test_a_possible_but_odd_link_shows_a_page_without_a_fault(parameters, puppet):
    opened(**parameters)
