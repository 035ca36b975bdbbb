"""The page Step by step: cold, from a link, and against hostile hands."""

import json
from functools import partial

import live_pages
import pyarrow as pa
import pytest
from live_pages import pressed, ran
from streamlit.testing.v1 import AppTest

from pages.components import number_table
from pages.lab.arithmetic import KERNELS, TABLES, format_table, normalization_steps, parse_table
from pages.lessons.step_by_step.gamma_beta import NEXT

OFFERED = {
    "table": ("batch", "layer", "rms", "weight"),
    "convolution": ("batch", "layer", "group", "instance", "rms"),
    "relu": ("batch", "layer", "rms"),
    "undo": ("batch", "layer", "rms", "weight"),
}


def opened(**parameters: str) -> AppTest:
    return live_pages.opened("steps", **parameters)


def answer(**parameters: str) -> str:
    return opened(**parameters).success[0].value


def address(app: AppTest, name: str) -> str:
    value = app.query_params[name]
    return value if isinstance(value, str) else value[-1]


def typed(app: AppTest, table: str, row: int, column: str, text: str | None) -> AppTest:
    """Edit one cell of a table, as the browser reports it."""
    editor = next(one.proto for one in app.get("dataframe") if f"-{table}_" in one.proto.id)
    states = app._tree.get_widget_states()
    states.widgets.add(
        id=editor.id,
        string_value=json.dumps(
            {"edited_rows": {row: {column: text}}, "added_rows": [], "deleted_rows": []}
        ),
    )
    app._tree = app._run(states)._tree
    assert not app.exception
    return app


def test_a_cold_page_shows_the_whole_lesson():
    app = opened()
    assert not app.warning
    assert "x is 1.4 standard deviations above the mean of the 4 highlighted" in (
        app.success[0].value
    )
    assert "changes 4 of the 12 z, all in its column" in app.success[0].value
    assert len(app.get("vega_lite_chart")) == 3
    written = [one.value for one in app.latex]
    assert any(r"\mu = \frac{-3 + 3 + 11 + 5}{4} = 4" in one for one in written)
    assert address(app, "x") == TABLES["default"]
    app.session_state["code_of_standardize"] = True
    assert any("def standardize(" in one.value for one in app.run().code)


def test_the_answer_of_a_view_waits_until_it_is_asked_for():
    app = opened(answers="off")
    assert not app.success
    app = pressed(app, "_reveal_steps/table")
    assert "1.4 standard deviations above the mean" in app.success[0].value
    assert ran(app.button_group(key="row").set_value("1")).success  # once asked for, it stays
    assert not ran(app.button_group(key="show").set_value("relu")).success
    assert ran(app.button_group(key="show").set_value("table")).success
    assert "answers" not in app.query_params
    assert address(opened(answers="on"), "answers") == "on"


@pytest.mark.parametrize(
    ("show", "method"), [(show, one) for show, methods in OFFERED.items() for one in methods]
)
def test_every_view_shows_every_method_it_offers(show, method):
    app = opened(show=show, method=method)
    assert app.success
    assert not app.warning
    assert address(app, "method") == method
    for table in ("one", "constant"):
        assert answer(show=show, method=method, x=TABLES[table], affine="undo")


def test_a_method_without_steps_in_a_view_is_replaced_in_words():
    app = opened(method="group")
    sentences = [one.value for one in app.info]
    assert any("Group norm has no steps in this view" in one for one in sentences)
    assert app.selectbox(key="method").value == "batch"


def test_the_chosen_cell_follows_the_link_and_the_selectors():
    app = opened(row="2", column="3", method="layer")
    assert "example 2, feature 3" in app.success[0].value
    ran(app.button_group(key="row").set_value("4"))
    assert "example 4, feature 3" in app.success[0].value
    assert address(app, "row") == "4"


def test_a_batch_of_one_is_explained():
    app = opened(x=TABLES["one"])
    assert "from a batch of one batch norm learns β alone" in app.success[0].value
    assert app.button_group(key="row").value == "1"
    assert "changes 3 of the 3 z" in answer(x=TABLES["one"], method="layer")


def test_presets_and_edits_reach_the_link():
    app = ran(opened(row="1").selectbox(key="_x_preset").set_value("outlier"))
    assert address(app, "x") == TABLES["outlier"]
    assert [address(app, name) for name in ("row", "column")] == ["3", "2"]
    app = ran(app.selectbox(key="_x_preset").set_value("constant"))
    assert address(app, "x") == TABLES["constant"]
    assert address(app, "column") == "3"  # the constant one
    app = typed(app, "x", 0, "Feature 1", "7,5")
    assert address(app, "x").startswith("7.5_")
    assert app.selectbox(key="_x_preset").value == "own"
    assert not app.warning


def was(app: AppTest, panel: int) -> list[str]:
    data = pa.ipc.open_stream(app.get("vega_lite_chart")[panel].proto.data.data).read_pandas()
    return [f"{cell}: {text}" for cell, text in zip(data["cell"], data["was"], strict=True) if text]


def test_an_edit_chooses_its_cell_and_marks_what_it_changed():
    app = typed(opened(), "x", 0, "Feature 2", "50")
    assert [address(app, name) for name in ("row", "column")] == ["1", "2"]
    assert "example 1, feature 2" in app.success[0].value
    assert was(app, 0) == ["1,2: was −3"]
    assert was(app, 1) == ["1,2: was −1.4", "2,2: was −0.2", "3,2: was 1.4", "4,2: was 0.2"]
    app = ran(app.selectbox(key="method").set_value("layer"))
    assert [one[:3] for one in was(app, 2)] == ["1,1", "1,2", "1,3"]
    app = ran(app.number_input(key="_x_0_1").set_value(-3.0))
    assert address(app, "x") == TABLES["default"]
    assert was(app, 0) == ["1,2: was 50"]


@pytest.mark.parametrize(
    ("method", "x", "extent"),
    [
        ("batch", "outlier", "column"),
        ("layer", "outlier", "row"),
        ("rms", "outlier", "row"),
        ("batch", "one", "none"),
        ("layer", "one", "row"),
        ("weight", "default", "column"),
    ],
)
def test_the_lesson_on_an_outlier_is_judged_by_the_results_that_change(method, x, extent):
    app = opened(method=method, x=TABLES[x])
    assert app.session_state["_facts"]["spoils"] == extent


def test_the_lesson_on_relu_is_judged_by_what_is_cut():
    def cut(**parameters: str) -> float:
        return opened(show="relu", **parameters).session_state["_facts"]["cut"]

    assert cut() == 6 / 12
    assert cut(beta="-3") == 1
    assert cut(beta="3") == 0


@pytest.mark.parametrize(
    ("method", "x", "here", "later"),
    [
        ("batch", "default", True, False),
        ("batch", "one", True, False),
        ("layer", "default", False, False),
        ("rms", "default", False, False),
        ("layer", "one", True, False),
        ("batch", "next", True, True),
        ("weight", "default", True, True),
    ],
)
def test_the_lesson_on_undoing_is_judged_by_what_can_be_given_back(method, x, here, later):
    table = TABLES.get(x) or format_table(NEXT)
    for affine in ("own", "undo"):
        facts = opened(show="undo", method=method, x=table, affine=affine).session_state["_facts"]
        assert (facts["here"], facts["next"]) == (here, later)


def test_of_a_batch_of_two_only_the_sign_is_left():
    text = answer(x=TABLES["two"], row="1", column="1")
    assert "only the sign of their difference is left" in text and "here 0.999999" in text


def test_gamma_and_beta_of_the_sliders_hold_where_undoing_was_chosen_before():
    told = answer(show="relu", beta="3", affine="undo")
    assert "0 of the z" in told


@pytest.mark.parametrize(
    ("text", "reason"), [("<b>", "`<b>` is not a number"), (None, "it is empty")]
)
def test_a_hostile_cell_gets_a_sentence_and_keeps_its_number(text, reason):
    app = typed(opened(), "x", 1, "Feature 2", text)
    (warning,) = app.warning
    assert f"Example 2, feature 2: {reason}" in warning.value
    assert warning.value.endswith("It stays 3.")
    assert address(app, "x") == TABLES["default"]
    editor = next(one for one in app.dataframe if "Feature 2" in one.value)
    assert editor.value["Feature 2"].tolist() == ["-3", "3", "11", "5"]
    assert editor.proto.id != typed(opened(), "x", 1, "Feature 2", "4").dataframe[0].proto.id


@pytest.mark.parametrize("name", ["x", "v", "g"])
@pytest.mark.parametrize("text", ["", "1_2", "[a](b)_b_c", "1e999_1_1", "nan_1_1", "9" * 300])
def test_a_hostile_link_gets_a_sentence(name, text):
    app = opened(method="weight" if name != "x" else "batch", **{name: text})
    assert "cannot be used" in app.warning[0].value
    assert app.success


def test_the_arrows_keep_their_scale_while_v_doubles():
    def arrows(v: str) -> tuple[list, dict]:
        chart = opened(method="weight", v=v).get("vega_lite_chart")[2].proto
        scale = json.loads(chart.spec)["layer"][0]["encoding"]["x"]["scale"]["domain"]
        data = pa.ipc.open_stream(chart.data.data).read_pandas()
        return scale, dict(zip(data["series"], zip(data["x"], data["y"], strict=True), strict=True))

    (scale, once), (same, doubled) = arrows(KERNELS["two"]), arrows(KERNELS["doubled"])
    assert scale == same and max(scale) >= 8
    assert once["v1"] == (3, 4) and doubled["v1"] == (6, 8)
    assert once["w1"] == pytest.approx((1.2, 1.6))
    assert doubled["w1"] == pytest.approx((1.2, 1.6))


def test_a_kernel_of_zeros_has_no_arrows_and_an_answer():
    app = opened(method="weight", v="0_0_0_0_0_0")
    assert "has no direction" in app.success[0].value
    assert len(app.get("vega_lite_chart")) == 3


@pytest.mark.parametrize("show", ["table", "relu", "undo"])
def test_rms_norm_has_no_beta(show):
    app = opened(method="rms", show=show, beta="1", affine="undo" if show == "undo" else "own")
    specs = [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]
    words = [
        app.success[0].value,
        *(spec.get("title", json.dumps(spec, ensure_ascii=False)) for spec in specs),
    ]
    assert not [one for one in words if "β" in one.replace("has no β", "") or "mean." in one]
    assert any("z = γ x̂" in one for one in words)


def test_gamma_and_beta_undo_one_batch_and_no_other():
    undone = partial(answer, show="undo", affine="undo")
    assert "12 of 12 z equal their x, and 0 of 12 in the next batch" in undone()
    assert "z is β, whatever x is" in undone(x=TABLES["one"])
    layer = undone(method="layer")
    assert "3 of 12 z" in layer and "those of example 3" in layer


def test_huge_and_tiny_numbers_stay_readable():
    assert "nan" not in answer(x="1e6_1e-6_0_-1e6_1e-6_0_1e6_0_0_1_1_1", eps="1e-8")
    app = opened(x="_".join(["0.1"] * 12), eps="1e-8")
    assert "equals the 3 numbers that it is averaged with" in app.success[0].value
    assert r"\frac{0.1 - 0.1}{0.0001} = 0" in app.latex[3].value


def test_a_slider_opened_with_a_later_view_shows_its_value():
    """A widget that is new to the browser starts at its default."""
    app = opened(show="convolution", beta="1.5")
    ran(app.button_group(key="show").set_value("relu"))
    slider = app.slider(key="beta")
    assert slider.value == 1.5
    assert list(slider.proto.default) == [1.5]


def test_relu_counts_what_it_cuts():
    x = parse_table(TABLES["default"], (4,), 3)
    z = normalization_steps("batch", x).z
    text = answer(show="relu")
    assert f"cuts {(x < 0).sum()} of the 12 numbers x, {(z < 0).sum()} of the normalized" in text
    assert "it would be 50%" in text
    assert "it would be 16%" in answer(show="relu", beta="1")
    assert "β/γ" not in answer(show="relu", gamma="0")


def test_the_choice_undoes_the_normalization():
    app = opened(show="undo")
    assert "0 of 12 z equal their x" in app.success[0].value
    chosen = ran(app.button_group(key="affine").set_value("undo"))
    assert "12 of 12 z equal their x" in chosen.success[0].value
    assert address(chosen, "affine") == "undo"


def test_numbers_fit_their_cells():
    values = (0, -0.7071, 12.667, 1e-7, -123456.0, 99.999, 5, 1.5, 100.5, -1821.69, 1800)
    texts = " ".join(map(number_table.cell_text, values))
    assert texts == "0 −0.71 12.67 1e−7 −1.2e5 100 5 1.5 100.5 −1822 1800"
