"""The activation page: every view, the ends of every slider, links of any kind, saved weights."""

import io
import re
from functools import wraps

import numpy as np
import pyarrow as pa
import pytest
import streamlit as st
from live_pages import Ready, ran
from live_pages import opened as open_page
from streamlit.testing.v1 import AppTest

from normlib import normalize
from normlib.cnn import SmallCNN
from normlib.config import TrainConfig
from normlib.run import EpochResult, Run
from normlib.training import batches
from pages.components import server
from pages.lab import activations
from pages.lab.queue import Experiments
from pages.lab.store import Store
from pages.lessons.activation_statistics import charts as lesson_charts

VIEWS = ("histograms", "channels", "microscope", "invariances")


@pytest.fixture(autouse=True)
def warm(drawn, monkeypatch, tmp_path) -> Experiments:
    st.cache_resource.clear()
    experiments = Experiments(drawn, store=Store(tmp_path))
    monkeypatch.setattr(server, "_warm_up", Ready(drawn))
    monkeypatch.setattr(server, "_experiments", experiments)
    return experiments


def opened(**parameters: str) -> AppTest:
    return open_page("activations", **parameters)


def answer(app: AppTest) -> str:
    return app.success[0].value


def about(app: AppTest, method: str) -> str:
    """The paragraph of the answer about one method."""
    return next(part for part in answer(app).split("\n\n") if part.startswith(f"**{method}"))


def shown_images(drawn, batch: int, seed: int = 0) -> np.ndarray:
    return drawn.train_images[batches(TrainConfig(seed=seed), len(drawn.train_images), 0)[:batch]]


def expected(drawn, batch: int, method: str) -> dict[str, activations.Summary]:
    """The summaries of the convolution's steps at the first weights of seed 0."""
    network = activations.fresh(0)
    x = activations.convolve(network, shown_images(drawn, batch), method)
    steps = activations.steps(network, "conv", method, x, 1e-5)
    return activations.summaries(steps, activations.summarize(x.numpy()))


def statistics(app: AppTest):
    return next(table.value for table in app.dataframe if "Zeros" in table.value)


def before_std(app: AppTest) -> float:
    return statistics(app).query("Step == 'Before'")["Std"].iloc[0]


def test_cold_it_shows_four_methods_and_numbers_that_agree_with_normlib(drawn) -> None:
    app = opened()
    assert len(app.get("vega_lite_chart")) == 4
    shown = statistics(app).set_index(["Step", "Method"])
    relu = expected(drawn, 64, "layer")["relu"]
    row = shown.loc[("After ReLU", "Layer norm")]
    assert row["Mean"] == pytest.approx(relu.overall_mean, abs=2e-6)
    assert row["Std"] == pytest.approx(relu.overall_std, abs=2e-6)
    assert row["85 %"] == pytest.approx(relu.percentiles[2], abs=2e-6)
    assert row["Zeros"] == pytest.approx(relu.zero_share)
    assert f"std {relu.overall_std:.2f}" in about(app, "Layer norm")
    assert f"{relu.zero_share:.0%} exactly 0" in about(app, "Layer norm")


def test_the_convolution_is_one_row_for_all_that_share_it() -> None:
    shown = statistics(opened())
    assert shown.query("Step == 'Before'")["Method"].to_list() == ["All"]
    after = shown.query("Step == 'After ReLU'")["Method"].to_list()
    assert "No normalization, Weight norm" in after  # it starts from the same kernel


@pytest.mark.parametrize("stage", ["conv", "hidden"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_every_layer_opens_by_link_up_to_the_ends_of_its_sliders(view, stage) -> None:
    app = opened(view=view, stage=stage, batch="7", eps="0,001", methods="batch;layer;rms")
    assert app.select_slider(key="batch").value == 7
    assert app.select_slider(key="eps").value == 1e-3
    assert app.query_params["view"] == [view] or app.query_params["view"] == view
    assert "Layer norm" in answer(app)
    for batch, epsilon in ((1, 1e-8), (128, 1.0)):
        app.select_slider(key="batch").set_value(batch)
        app.select_slider(key="eps").set_value(epsilon)
        assert "Layer norm" in answer(ran(app))


def test_one_digit_through_batch_norm_on_the_hidden_layer_leaves_nothing() -> None:
    app = opened(batch="1", stage="hidden")
    told = about(app, "Batch norm")
    assert "100% exactly 0" in told and "only β is left" in told
    assert app.metric[1].value == "100 of 100" and "is dead" not in answer(app)
    assert "only β is left" not in answer(opened(batch="2", stage="hidden"))
    alive = opened()
    assert not alive.metric and "No channel is off" in answer(alive)


def test_off_for_this_batch_is_not_dead(warm) -> None:
    app = opened(batch="1", stage="hidden", methods="layer")
    off = int(app.metric[0].value.split()[0])
    assert off > 20
    told = int(app.metric[0].delta.split()[2])
    network = activations.fresh(0)
    probe = warm.data.validation_images[:128]
    conv = activations.convolve(network, probe, "layer")
    x = activations.hidden(network, "layer", conv, 1e-5)
    silent = activations.steps(network, "hidden", "layer", x, 1e-5)["relu"].numpy().max(0) == 0
    assert told <= silent.sum() < off


def test_weight_norm_from_its_data_dependent_start_normalizes_a_new_batch(warm) -> None:
    rows = statistics(opened(batch="128", methods="weight", start="data"))
    row = rows.query("Step == 'Before'").iloc[0]
    assert abs(row["Mean"]) < 0.03 and row["Std"] == pytest.approx(1.0, abs=0.05)
    usual = statistics(opened(batch="128", methods="weight")).query("Step == 'Before'").iloc[0]
    assert usual["Std"] < 0.5


def test_one_digit_in_the_convolution_is_instance_norm() -> None:
    app = opened(batch="1", methods="batch,instance")
    assert "that of this digit's positions alone" in about(app, "Batch norm")
    shown = statistics(app).query("Step == 'Normalized'")
    assert shown["Method"].to_list() == ["All"]  # the same numbers share a row


def test_a_large_epsilon_says_how_large_and_a_small_one_says_nothing() -> None:
    told = about(opened(eps="1"), "Batch norm")
    variance = float(re.search(r"variance, ([\d.e−]+):", told)[1].replace("−", "-"))
    assert variance < 1 and "ε = 1 is more than the median channel's variance" in told
    assert "ε" not in about(opened(eps="1e-8"), "Batch norm")


def test_the_microscope_counts_the_variances_below_the_line(drawn) -> None:
    app = opened(view="microscope", eps="0.01", methods="batch")
    images = shown_images(drawn, 64)
    conv = SmallCNN(TrainConfig()).forward(images, training=False)["conv"].numpy()
    below = int((conv.astype(np.float64).var((0, 1, 2)) < 0.01).sum())
    assert 0 < below < 30
    assert f"{below} of 30 lie below ε = 0.01" in answer(app)
    assert "All lie above" in answer(opened(view="microscope", eps="1e-8", methods="batch"))
    app = opened(view="microscope", eps="1", methods="batch,weight")
    assert "All 30 channels lie below ε = 1:" in answer(app)
    assert not any("lVert" in one.value for one in app.latex)  # weight norm has no epsilon


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ("none,weight", "No normalization and weight norm are not shown: nothing"),
        ("batch,weight", "Weight norm is not shown: nothing is divided"),
    ],
)
def test_the_microscope_without_a_root_says_so(methods, said) -> None:
    assert any(said in one.value for one in opened(view="microscope", methods=methods).caption)


def test_the_invariances_follow_the_equations() -> None:
    app = opened(view="invariances", eps="1e-8", methods="none,weight")
    cells = app.table[0].value.set_index("What changes")
    assert cells["Weight norm"].str[0].to_list() == ["✓", "✗", "✓", "✗", "✗", "✗"]
    assert cells["No normalization"].str[0].to_list() == ["✗"] * 6
    app = opened(view="invariances", eps="0.1", methods="batch")
    assert "Batch norm 4." in answer(app) and "lets up to" in answer(app)
    # Batch norm's exact invariances are only approximate next to an epsilon.
    assert app.table[0].value["Batch norm"].str[0].to_list() == ["≈", "✗", "≈", "≈", "✓", "✗"]


def test_a_moved_slider_shows_the_new_batch_by_moving_the_marks_that_are_there(drawn) -> None:
    app = opened(methods="batch")
    old = app.get("vega_lite_chart")[0].proto
    app.select_slider(key="batch").set_value(3)
    new = ran(app).get("vega_lite_chart")[0].proto
    assert (old.spec, old.alt) == (new.spec, new.alt)  # the browser builds on these
    assert old.data.data != new.data.data
    assert app.query_params["batch"] in ("3", ["3"])
    found = statistics(app).set_index("Step").loc["After ReLU", "Std"]
    assert found == pytest.approx(expected(drawn, 3, "batch")["relu"].overall_std, abs=2e-6)


def test_a_smaller_batch_is_the_beginning_of_a_larger_one() -> None:
    small, large = opened(batch="8"), opened(batch="16")
    pictures = [app.get("image")[0].proto.imgs for app in (small, large)]
    assert len(pictures[0]) == 1 and len(pictures[1]) == 2
    assert pictures[0][0].url == pictures[1][0].url


@pytest.mark.parametrize(
    ("name", "text"), [("batch", "0"), ("eps", "nan"), ("stage", "logits"), ("methods", "batch,x")]
)
def test_an_impossible_link_gets_a_sentence_and_a_page(name, text) -> None:
    app = opened(**{name: text})
    assert "cannot be" in app.warning[0].value
    assert "Batch norm" in answer(app)


@pytest.mark.parametrize("weights", ["0123456789abcdef@3", "fresh@2", "../../etc/passwd", ""])
def test_weights_that_are_not_here_become_fresh_ones(weights) -> None:
    app = opened(weights=weights)
    assert "Batch norm" in answer(app)
    assert app.query_params["weights"] in ("fresh", ["fresh"])


def test_what_cannot_be_shown_is_said() -> None:
    app = opened(methods="none,batch,weight,layer,group,rms")
    assert any("Not shown: group norm and RMS norm" in one.value for one in app.caption)
    assert len(app.get("vega_lite_chart")) == 4
    app.button_group(key="methods").set_value([])
    ran(app)
    assert "Choose at least one method" in app.info[-1].value
    assert not app.get("vega_lite_chart")
    app = opened(stage="hidden", methods="batch,instance")
    assert any("Instance norm averages over positions" in one.value for one in app.caption)
    assert len(app.get("vega_lite_chart")) == 1


def saved(warm: Experiments, drawn, weights: list[dict[str, np.ndarray]]) -> Run:
    """A finished run that has kept these weights, by epoch."""
    run = Run(
        TrainConfig(normalization="none", epochs=len(weights)),
        drawn.name,
        drawn.checksum,
        "finished",
        losses=[0.5],
        epochs=[EpochResult(e, 0.01, 0.6, 0.9, 1.0) for e in range(1, len(weights) + 1)],
        test_accuracy=0.9,
        weights=weights,
    )
    assert warm.store.save(run)
    return run


def test_a_saved_run_lends_its_weights_at_any_epoch(drawn, warm) -> None:
    first_weights = activations.fresh(0).weights
    kernel = first_weights["conv_kernel/w"]
    run = saved(warm, drawn, [{**first_weights, "conv_kernel/w": k * kernel} for k in (10, 100)])
    app = opened()
    fresh = before_std(app)
    box = app.selectbox(key="_run")
    assert "Trained: No normalization, seed 0, 90.0%" in box.options
    box.set_value(run.key)
    ran(app)
    assert run.key in str(app.query_params["weights"])
    assert before_std(app) == pytest.approx(100 * fresh, rel=1e-4)
    app.slider(key="_epoch").set_value(1)
    ran(app)
    assert before_std(app) == pytest.approx(10 * fresh, rel=1e-4)
    linked = opened(weights=f"{run.key}@1", view="microscope")
    assert linked.selectbox(key="_run").value == run.key
    assert "Batch norm" in answer(linked)


def test_a_long_run_begins_with_the_first_epoch_that_is_kept(drawn, warm) -> None:
    kept = dict(activations.fresh(0).weights)
    run = saved(warm, drawn, [{}, kept, kept])
    app = opened(weights=f"{run.key}@1")
    assert (app.slider(key="_epoch").min, app.slider(key="_epoch").value) == (2, 2)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("stage", ["conv", "hidden"])
def test_weights_of_a_run_that_overflowed_are_no_error(view, stage, drawn, warm) -> None:
    weights = dict(activations.fresh(0).weights)
    for value in (np.nan, 1e30):
        weights["conv_bias"] = np.r_[np.float32(value), np.zeros(29, np.float32)]
        run = saved(warm, drawn, [dict(weights)] * (1 if value == 1e30 else 2))
        app = opened(weights=f"{run.key}@1", view=view, stage=stage)
        assert app.selectbox(key="_run").value == run.key
        specs = [chart.proto.spec for chart in app.get("vega_lite_chart")]
        assert not any("NaN" in spec or "Infinity" in spec for spec in specs)  # no JSON


def test_the_table_of_every_channel_opens(drawn) -> None:
    app = opened(view="channels", methods="batch")
    app.session_state["each"] = True
    ran(app)
    rows = next(table.value for table in app.dataframe if "p85" in table.value)
    assert len(rows) == 3 * 30


def calls_of(monkeypatch, owner: object, name: str) -> list[tuple]:
    """The arguments of the calls of a function from now on."""
    calls: list[tuple] = []
    function = getattr(owner, name)

    @wraps(function)
    def call(*arguments, **named):
        calls.append(arguments)
        return function(*arguments, **named)

    monkeypatch.setattr(owner, name, call)
    return calls


def test_what_was_asked_before_is_not_computed_again(monkeypatch) -> None:
    app = opened(eps="1e-3")
    calls = calls_of(monkeypatch, activations, "summarize")
    ran(app)
    assert not calls
    app.select_slider(key="eps").set_value(0.1)
    ran(app)
    assert len(calls) == 2  # after batch and after layer norm: nothing else depends on epsilon
    opened(eps="0.1")
    assert len(calls) == 2  # another session


@pytest.mark.parametrize("view", ["histograms", "channels"])
def test_the_code_that_is_shown_is_the_code_that_ran(view, monkeypatch) -> None:
    names = ("apply", "standardize", "scale_shift", "weight_norm")
    calls = {name: calls_of(monkeypatch, normalize, name) for name in names}
    app = opened(view=view, eps="0.1")
    # twice for batch norm and layer norm
    assert [len(calls[name]) for name in names] == [2, 2, 2, 1]
    assert [epsilon for _, _, epsilon, *_ in calls["standardize"]] == [0.1, 0.1]
    app.session_state["code"] = True
    shown = "".join(block.value for block in ran(app).code)
    assert all(f"def {name}(" in shown for name in names)


def test_the_bar_after_relu_counts_what_the_words_count(drawn) -> None:
    app = opened(methods="layer")
    app.session_state["histograms_numbers"] = True
    ran(app)
    shares = next(table.value for table in app.dataframe if "Share" in table.value)
    after = shares[shares["Step"] == "After ReLU"].set_index("Values")["Share"]
    zeros = expected(drawn, 64, "layer")["relu"].zero_share
    assert after["exactly 0"] == pytest.approx(zeros)
    assert after.sum() == pytest.approx(1)
    assert f"{zeros:.0%} exactly 0" in about(app, "Layer norm")
    table = pa.ipc.open_stream(io.BytesIO(app.get("vega_lite_chart")[0].proto.data.data))
    assert f"{zeros:.0%} are 0" in table.read_pandas()["words"].to_list()


def test_a_bar_that_is_cut_off_has_its_share_beside_it_and_rows_share_their_axes() -> None:
    x = np.zeros((10, 8), np.float32)
    x[0] = 0.3 * np.arange(8)
    full = np.full((10, 8), 2.6, np.float32)
    seen = {
        method: {"before": activations.summarize(values)}
        for method, values in (("none", x), ("layer", full))
    }
    chart = lesson_charts.histograms(seen, {"before": "Before"})
    none, layer = (data for _, data in chart.panels)
    assert {"Before", "1.5%", "91%"} <= set(none["words"])  # 73 of 80 values are 0
    assert {"Before", "1.5%", "100%"} <= set(layer["words"])
    bars = none[none["left"] != none["right"]]
    assert bars["height"].max() == pytest.approx(0.72)  # cut off at the top of the row
    assert "0 to 0.125: 91.25%" in set(bars["words"])
    assert "the tallest bar (2.5 to 2.62) holds 100%" in chart.summary


def test_a_method_that_a_link_asks_for_beside_a_hidden_control_is_not_shown():
    app = opened(view="invariances", methods="layer,tf_batch", hide="methods")
    assert not app.exception and "TensorFlow" not in str([table.value for table in app.table])
