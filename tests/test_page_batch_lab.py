"""The batch size lab: recorded at once, live on demand, words from its numbers, hostile links."""

import json
import re
import time
from dataclasses import replace

import live_pages
import numpy as np
import pytest
from live_pages import charts, pressed, ran, words
from streamlit.testing.v1 import AppTest

from normlib.config import METHODS
from normlib.run import Progress, Run, Started
from normlib.training import train
from pages.components import live_sweep, server
from pages.components.control_table import CONTROLS
from pages.lab import studies, sweeps
from pages.lab.queue import Experiments

RECORDED, LIVE = "badge[:material/inventory_2: Recorded]", "badge[:material/memory: Live]"


class Puppet(live_pages.Puppet):
    """Trains in no time once a test lets it; its accuracy tells the settings apart."""

    def __init__(self) -> None:
        super().__init__()
        self.configs = []
        self.failing = None

    def __call__(self, config, data, on_event, should_stop) -> Run:
        self.configs.append(config)
        on_event(Started(10, 10))
        on_event(Progress(1, 10, [2.3], [0.1], 0.1, 64.0))
        while not self.go.wait(0.01):
            if should_stop():
                return Run(config, data.name, data.checksum, "stopped", "Stopped.")
        if config == self.failing:
            raise RuntimeError("no room")
        if config.learning_rate == 3:
            return Run(config, data.name, data.checksum, "diverged", "Diverged.", [2.3])
        right = 0.5 + 0.1 * list(METHODS).index(config.normalization)
        return Run(config, data.name, data.checksum, "finished", "", [2.3] * 10, [], right, 1.0)


@pytest.fixture(autouse=True)
def puppet(drawn, serve):
    live_sweep._ended.clear()
    puppet = Puppet()
    serve(Experiments(drawn, train=puppet, workers=2))
    yield puppet
    puppet.go.set()


@pytest.fixture
def small_upload(drawn, serve, monkeypatch) -> None:
    """Real trainings on 1,000 drawn digits, with 100 to test."""

    def shorter(config, data, **watching):
        run = train(replace(config, train_size=256, hidden_units=10), data, **watching)
        return replace(run, config=replace(config, hidden_units=10))

    test = {"test_images": drawn.test_images[:100], "test_labels": drawn.test_labels[:100]}
    few = replace(drawn, checksum="1" * 64, **test)
    monkeypatch.setattr(server, "_warm_up", live_pages.Ready(few))
    serve(Experiments(few, train=shorter, workers=2))


def opened(**parameters: str) -> AppTest:
    return live_pages.opened("batch_lab", **parameters)


def answer(app: AppTest) -> str:
    (found,) = app.success
    return found.value


def until(app: AppTest, done) -> AppTest:
    """Run the page again until `done(app)`."""
    for _ in range(400):
        if done(ran(app)):
            return app
        time.sleep(0.05)
    raise AssertionError(words(app))


# ---- recorded, at once -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "link", [*("lab=inference", "lab=mates", "lab=sweep", "lab=cliff"), "lab=sweep&held=paper"]
)
@pytest.mark.parametrize("layers", ["conv", "conv-and-dense"])
def test_a_cold_link_shows_a_recorded_picture_and_its_answer(link, layers, puppet):
    app = at(f"{link}&layers={layers}")
    assert charts(app) == 1 and answer(app)
    assert RECORDED in words(app)
    assert not puppet.configs and not app.warning


def test_the_page_opens_on_the_dense_layer_where_one_image_alone_says_nothing():
    study = studies.recorded_studies()[studies.small("conv and dense").only_used()]
    app = opened()
    assert f"{study.own[1]:.1%} in batches of 1" in answer(app)
    assert f"**Moving statistics:** {study.moving:.1%}, whatever else is" in answer(app)
    assert "9.6% is the share of that digit" in answer(app)
    assert app.session_state["_facts"]["lost"] == pytest.approx(study.moving - study.own[1])


@pytest.mark.parametrize(
    ("layers", "batch", "told"),
    [
        ("conv-and-dense", "64", "Nearly everything"),
        ("conv", "64", "A few points"),
        ("conv", "4", "Nothing"),
    ],
)
def test_what_one_image_alone_loses_decides_the_options_of_its_lesson(layers, batch, told):
    app = opened(lesson="inference", layers=layers, batch=batch)
    assert f"Here: **{told}**" in words(app)


@pytest.mark.parametrize("link", ["", "against=momentum", "against=batch", "recalibrated=on"])
@pytest.mark.parametrize("layers", ["conv", "conv-and-dense"])
def test_accuracies_stand_on_one_axis_from_0_to_100_percent(link, layers):
    app = at("&".join(filter(None, [link, f"layers={layers}"])))
    first = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    (domain,) = {
        tuple(layer["encoding"]["y"]["scale"]["domain"])
        for layer in first["layer"]
        if "y" in layer["encoding"]
    }
    assert domain == (0, 1)


def test_recalibrating_brings_the_third_line_its_gain_and_the_factor_it_leaves_out():
    app = opened(momentum="0.99")
    assert "Recalibrated" not in answer(app)
    app.toggle(key="recalibrated").set_value(True)
    study = studies.recorded_studies()[
        replace(studies.small("conv and dense"), momentum=0.99).only_used()
    ]
    text = answer(ran(app)).replace("−", "-")
    numbers = re.search(r"batches: ([\d.]+)% becomes ([\d.]+)%, ([+-][\d.]+) points", text)
    before, after, gain = map(float, numbers.groups())
    assert before == pytest.approx(100 * study.moving, abs=0.005)
    assert after == pytest.approx(100 * study.recomputed, abs=0.005)
    assert gain == pytest.approx(after - before, abs=1e-9)
    assert app.query_params["recalibrated"] == "on"
    assert "in the dense layer m is 64, the factor 1.016" in words(app)
    assert "m is 64 · 784, the factor 1.00002" in words(app)
    app.toggle(key="recalibrated").set_value(False)
    assert "Recalibrated" not in answer(ran(app))


def test_the_other_axes_are_recorded_too():
    app = opened(against="batch", recalibrated="on")
    assert charts(app) == 1 and "Recalibrated" in answer(app)
    assert charts(opened(against="momentum")) == 2  # how far the moving average has come


@pytest.mark.parametrize("placement", ["conv", "conv and dense"])
@pytest.mark.parametrize("digit", [None, 1])
def test_mates_are_counted_from_the_recorded_cloud(placement, digit):
    seen = studies.recorded_mates(placement, 8, digit, studies.PINNED)
    who = "random" if digit is None else str(digit)
    app = opened(lab="mates", mates=who, crowd="8", layers=placement.replace(" ", "-"))
    right = sum(np.argmax(ten) == seen.label for ten in seen.cloud)
    read = f"this {seen.label} is classified as {seen.label} in {right} of 200"
    assert read in answer(app)
    assert f"{seen.sorted:.1%}" in app.metric[1].value
    assert "chosen because batch norm's answer for it is close" in words(app)
    assert app.session_state["_facts"]["depends"] == {"batch"}


def test_recorded_layer_norm_reads_the_4_as_a_network_trained_now_does():
    seen = studies.recorded_mates("conv", 8, None, studies.PINNED)
    assert studies.margin(seen.alone["layer"], seen.label) == pytest.approx(0.2, abs=0.05)


def test_the_margins_keep_their_axis_whoever_is_in_the_batch():
    def axes(**link: str) -> set[tuple[float, ...]]:
        app = opened(lab="mates", **link)
        spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
        scales = (layer["encoding"]["x"].get("scale") for layer in spec["layer"])
        return {tuple(scale["domain"]) for scale in scales if scale}

    assert axes(mates="random", crowd="2") == axes(mates="1", crowd="32") == {(-10, 10)}


@pytest.mark.parametrize(
    ("link", "near"),
    [
        ("lab=sweep&lr=0.5&layers=conv", "convolution only, equal images, learning rate 0.01"),
        ("lab=sweep&held=updates&layers=conv&methods=rms", "convolution only, equal updates"),
        ("lab=cliff&methods=group", "convolution and dense"),
    ],
)
def test_a_sweep_that_is_not_recorded_shows_the_nearest_and_offers_to_train(link, near):
    app = at(link)
    told = f"**Not recorded for these settings.** The picture shows what comes nearest: {near}"
    assert told in words(app)
    assert charts(app) == 1 and RECORDED in words(app)
    assert not app.button(key="_run_sizes" if "sweep" in link else "_run_cliff").disabled


@pytest.mark.parametrize(
    ("link", "batch", "momentum"),
    [
        ("batch=48", 64, 0.9),
        ("momentum=0.95", 64, 0.99),
        ("batch=2&momentum=0.5", 4, 0.9),
        ("against=batch&momentum=0.99", 64, 0.9),
        ("against=momentum&batch=4", 64, 0.9),
    ],
)
def test_every_mark_of_the_sliders_has_a_picture_at_once(link, batch, momentum):
    app = at(link)
    assert charts(app) >= 1
    assert "the picture shows what comes nearest. **Train here**" in app.info[0].value
    shown = studies.small("conv and dense")
    study = studies.recorded_studies()[replace(shown, batch_size=batch, momentum=momentum)]
    assert app.session_state["_facts"]["lost"] == study.moving - study.own[1]


@pytest.mark.parametrize("parameters", [{"mates": "0"}, {"pinned": "5"}, {"crowd": "5"}])
def test_mates_that_are_not_recorded_show_the_nearest_that_are(parameters):
    app = opened(lab="mates", **parameters)
    assert "**Train here** takes four networks" in app.info[0].value
    assert not app.button(key="_train_mates").disabled
    mates = "only 1s as batch-mates" if "mates" in parameters else "random batch-mates"
    assert charts(app) == 1 and f"with {mates}:** this 4" in answer(app)
    assert "about MNIST, which this server does not have" in words(app)
    assert not app.get("image")


def test_the_list_of_batch_mates_says_which_are_to_be_trained_here():
    choices = CONTROLS["mates"].choices
    assert [title for title in choices.values() if "train here" not in title] == [
        "Random digits",
        f"Only {studies.ONE_CLASS}s",
    ]


def test_as_in_the_paper_shows_its_two_sizes_beside_its_setting():
    app = opened(lab="sweep", held="paper", layers="conv", methods="none,weight")
    plan = sweeps.PLANS["paper"]
    change = sweeps.changes(plan, sweeps.rows(plan, sweeps.recorded_outcomes()))["batch"]
    told = "From 128 images per step down to 4**, the accuracy changes: batch norm "
    assert told + f"{100 * change:+.1f}".replace("-", "−") in answer(app)
    assert app.selectbox(key="layers").disabled
    changes, conditions = (one.value.to_string() for one in app.table)
    assert f"{100 * change:+.1f} points".replace("-", "−") in changes
    table = conditions
    assert "Adam" in table and "all layers, the output too" in table
    assert "all layers but the softmax" in table


def test_the_cliff_tells_what_is_usable_where_it_is_normalized_elsewhere():
    found = {
        plan: sweeps.usable(sweeps.rows(sweeps.PLANS[plan], sweeps.recorded_outcomes()))["batch"]
        for plan in ("rates-dense", "rates")
    }
    here, there = answer(opened(lab="cliff")).split("**Convolution only** (recorded on MNIST)")
    for text, one in ((here, found["rates-dense"]), (there, found["rates"])):
        assert f"batch norm from {one.low:g} to {one.high:g}" in text


# ---- live ------------------------------------------------------------------------------------


def test_a_sweep_runs_a_few_at_a_time_fills_in_and_ends(puppet):
    app = opened(lab="cliff", methods="none,batch")
    pressed(app, "_run_cliff")
    assert app.query_params["from"] == "live"
    queue = server.experiments()
    configs = replace(sweeps.PLANS["rates-dense"], methods=("none", "batch"), seeds=(0,)).configs()
    keys = [config.key(server.data().checksum) for config in configs]
    asked = [key for key in keys if queue.find(key) is not None]
    assert 0 < len(asked) <= live_sweep.AT_A_TIME < len(keys)
    assert not app.success
    puppet.go.set()
    until(app, lambda app: "All 16 trainings are done" in words(app))
    assert LIVE in words(app)
    assert "no normalization from 0.001 to 1; batch norm from 0.001 to 1." in answer(app)
    assert "10.0 points apart; the best is batch norm, 60.0% at 0.001." in answer(app)
    assert {config.seed for config in puppet.configs} == {0}
    trained = len(puppet.configs)
    again = opened(lab="cliff", methods="none,batch", **{"from": "live"})
    assert "All 16 trainings are done" in words(again)
    assert len(puppet.configs) == trained


def test_a_training_that_fails_is_told_once_and_not_asked_for_again(puppet):
    plan = replace(sweeps.PLANS["rates-dense"], methods=("none",), seeds=(0,))
    puppet.failing = plan.configs()[0]
    puppet.go.set()
    app = opened(lab="cliff", methods="none")
    pressed(app, "_run_cliff")
    until(app, lambda app: not app.button(key="_run_cliff").disabled)
    for _ in range(3):
        app.run()
    (warning,) = app.warning
    assert warning.value.startswith("1 training failed. The training failed on the server")
    assert puppet.configs.count(puppet.failing) == 1
    assert len(puppet.configs) == len(sweeps.RATES)
    assert not app.success
    failing, puppet.failing = puppet.failing, None
    pressed(app, "_run_cliff")  # asked for again by hand
    until(app, lambda app: app.success)
    assert puppet.configs.count(failing) == 2
    assert not app.warning


def test_stop_stops_feeding_and_training(puppet):
    app = opened(lab="sweep", layers="conv")
    pressed(app, "_run_sizes")
    assert {one.status for one in server.experiments().earlier(100)} & {"queued", "running"}
    pressed(app, "_stop_sizes")
    finish()
    started = len(puppet.configs)
    assert started <= live_sweep.AT_A_TIME
    ran(app)
    assert len(puppet.configs) == started
    assert not app.button(key="_run_sizes").disabled
    assert RECORDED in words(app) and answer(app)


def test_half_a_sweep_draws_no_conclusion(puppet):
    app = opened(lab="cliff", methods="none,batch")
    pressed(app, "_run_cliff")
    puppet.go.set()
    finish()
    pressed(app, "_stop_cliff")
    assert charts(app) and not app.success
    assert "The answer comes with the last one" in words(app)


def finish() -> None:
    """Wait for what is in the queue."""
    for one in server.experiments().earlier(100):
        found = server.experiments().find(one.key)
        assert found is None or found.wait_until_over(120)


def trained(app: AppTest, button: str) -> AppTest:
    """The page after its networks were trained for real."""
    pressed(app, button)
    finish()
    assert LIVE in words(ran(app))
    assert "drawn digits (not MNIST)" in words(app)
    assert "nan" not in words(app)
    return app


def test_batch_norms_statistics_are_studied_on_a_network_of_this_machine(small_upload):
    app = trained(opened(batch="256", recalibrated="on"), "_train_study")
    assert "over 3 training batches" in answer(app) and "in batches of 100." in answer(app)
    assert "100 test images" in words(app) and "1,000 images" in words(app)


def test_any_digit_meets_any_mates_on_this_machine(small_upload):
    app = trained(opened(lab="mates", pinned="1999", mates="3"), "_train_mates")
    assert "with only 3s as batch-mates" in answer(app) and "Test image 99" in words(app)
    assert charts(app) == 1
    app.select_slider(key="crowd").set_value(32)
    assert "There are only" in words(ran(app))
    app.selectbox(key="mates").set_value("random").run()
    assert "too few for a batch of one class of 32" in answer(app)
    assert app.metric[1].value == "too few images"


# ---- hostile ---------------------------------------------------------------------------------

IMPOSSIBLE = """
    lab=nowhere   lab=mates&crowd=1   lab=mates&crowd=1e9   lab=mates&pinned=-1
    lab=mates&mates=<script>   momentum=2   momentum=nan   against=';DROP_TABLE_runs
    from=elsewhere   held=nothing   recalibrated=perhaps
"""
ODD = """
    lab=cliff&methods=instance&layers=conv   lab=cliff&methods=
    lab=sweep&methods=none,batch,weight,layer,group   lab=sweep&from=live
    lab=sweep&held=rate&lr=3   lab=sweep&held=rate&methods=batch   lab=sweep&held=paper&from=live
    lab=mates&crowd=5   lab=mates&present=on   lab=inference&batch=512
    lab=inference&momentum=0.123&against=momentum   lab=inference&against=batch&batch=48
    lab=inference&hide=batch,momentum,layers,against,lab
"""


def at(link: str) -> AppTest:
    return opened(**dict(part.split("=") for part in link.split("&")))


@pytest.mark.parametrize("link", IMPOSSIBLE.split())
def test_an_impossible_link_gets_a_sentence_and_a_page(link):
    app = at(link)
    assert "it takes" in app.warning[0].value
    assert charts(app)


@pytest.mark.parametrize("link", ODD.split())
def test_a_possible_but_odd_link_shows_a_page_without_a_fault(link):
    at(link)
