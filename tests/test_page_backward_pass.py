"""The page Backward pass: cold, from a link, and what its sentences say."""

import re

import live_pages
import pytest
from streamlit.testing.v1 import AppTest

from pages.components.control_table import MISTAKES
from pages.lab import backward, gradient_check
from pages.lessons.backward_pass import training


def opened(view: str = "terms", **parameters: str) -> AppTest:
    return live_pages.opened("backward", **parameters, **{"pass": view})


def answer(view: str = "terms", **parameters: str) -> str:
    return opened(view, **parameters).success[0].value


def test_a_cold_page_shows_the_three_terms():
    app = live_pages.opened("backward")
    assert not app.warning
    assert len(app.get("vega_lite_chart")) == 3
    assert "The 4 highlighted dx add up to 0" in app.success[0].value
    app.session_state["code_of_backward_terms"] = True
    assert any("def backward_terms(" in one.value for one in app.run().code)


@pytest.mark.parametrize("method", ["batch", "layer"])
def test_a_common_shift_never_reaches_x(method):
    assert "No change of x can shift all" in answer(method=method, dz="equal")
    wrong = answer(method=method, dz="equal", mistake="statistics-as-constants")
    assert "where 0 is right" in wrong


@pytest.mark.parametrize("dz", ["random", "one", "equal", "along"])
@pytest.mark.parametrize("method", ["batch", "layer", "rms"])
def test_every_incoming_gradient_is_shown(method, dz):
    assert answer(method=method, dz=dz, x="6_-3_3")


def test_the_list_of_mistakes_is_that_of_the_package():
    planted = {**gradient_check.MISTAKES, **gradient_check.WEIGHT_MISTAKES}
    assert tuple(planted) == MISTAKES


def test_the_check_is_green_without_a_mistake():
    for method in ("batch", "weight"):
        assert "All four ways agree" in answer("check", method=method)


def test_constants_pass_on_gamma_and_beta_and_fail_on_x():
    app = opened("check", mistake="statistics-as-constants")
    text = app.success[0].value
    assert "shows in the gradient of x," in text
    assert "A check of γ and β alone passes and proves nothing" in text
    assert app.session_state["_facts"]["wrong"] == {"x"}
    cells = app.table[0].value.set_index("Gradient")
    crossed = [(row, way) for row in cells.index for way in cells if "✗" in cells.loc[row, way]]
    assert crossed == [("**dx**", "Tape")]


def test_of_weight_norm_it_is_said_how_often_v_shrank():
    text = answer("weight", lr="0.1")
    assert "to 1.50678 and shrank in 0:" in text
    assert "it shrank in 136 steps, with Adam in 42" in text
    assert "weight norm lowers its own learning rate" in text


def test_a_verdict_on_weight_norm_is_not_given_where_v_has_hardly_grown():
    text = answer("weight", lr="0.001")
    assert "from 1 to 1.0001 and" in text
    assert "lowers its own learning rate" not in text
    share = backward.walk((0.001,), 200, 0).slowed[-1]
    assert f"the same dw still turns it {100 * share:.2f}%" in text


def test_a_rate_that_leaves_the_frame_is_cut_at_its_end():
    app = opened("weight", lr="3")
    assert live_pages.data(app)[1]["norm"].max() == 8
    app.session_state["walks_numbers"] = True  # the table has the numbers themselves
    assert app.run().dataframe[0].value.max(numeric_only=True).max() > 47


def test_of_a_stretch_epsilons_share_is_named():
    # The variance of feature 2 is 25: with epsilon 1, 1/26 of the direct term is left.
    text = answer(dz="along", eps="1")
    assert "= 0.0385 of it" in text and "rounding" not in text


def test_the_axis_of_the_terms_holds_while_epsilon_moves():
    def ends(**parameters):
        spec = opened(**parameters).get("vega_lite_chart")[2].proto.spec
        return re.findall(r'"domain": \[-?[\d.]+, [\d.]+\]', spec)

    assert ends(dz="along", eps="1") == ends(dz="along", eps="1e-8") != []
    # Of equal x the terms grow as 1/√ε: their bars are cut, and the number has an arrow.
    terms = live_pages.data(opened(dz="one", x="6_-3_4_2_3_4_2_11_4_6_5_4", column="3"))[2]
    assert terms["text"][0] == "316→" and terms["drawn"].max() < terms["value"].max()


@pytest.mark.parametrize(
    ("parameters", "reached"),
    [
        ({}, "column"),
        ({"method": "layer"}, "row"),
        ({"mistake": "statistics-as-constants"}, "cell"),
    ],
)
def test_the_lesson_of_one_gradient_is_judged_by_the_picture(parameters, reached):
    app = opened(dz="one", **parameters)
    assert app.session_state["_facts"]["reached"] == reached


def test_the_check_of_weight_norm_asks_about_weight_norm():
    app = opened("check", method="weight")
    assert any("gradients of v and g" in one.value for one in app.markdown)
    planted = opened("check", method="weight", mistake="norm-as-a-constant")
    assert any("of v and g?" in one.value for one in planted.markdown)
    foreign = opened("check", method="weight", mistake="wrong-axes")  # weight norm has none
    assert not any("Planted" in one.value for one in foreign.markdown)
    assert not any("ε" in one.value for one in app.caption)


def test_the_bias_has_no_gradient():
    assert "moves none of the 12 z" in answer("bias")
    assert "moves 12 of 12 z" in answer("bias", method="layer")


def test_the_bias_slider_moves_x_on_axes_that_hold():
    one, other = opened("bias", bias="1"), opened("bias", bias="-4.5")
    x, z = live_pages.data(other)[:2]
    own = x["feature"] == "F2"
    assert ((x["after"] - x["before"])[own] == -4.5).all()
    assert (z["after"] - z["before"]).abs().max() < 1e-9
    specs = [
        [
            re.findall(r'"domain": \[[^]]*\]', chart.proto.spec)
            for chart in app.get("vega_lite_chart")
        ]
        for app in (one, other)
    ]
    assert specs[0] == specs[1]


@pytest.mark.parametrize(
    "link", [{"method": "group", "groups": "7"}, {"placement": "conv-and-dense"}]
)
def test_settings_of_another_page_that_do_not_go_together_leave_what_is_possible(link, mnist):
    app = opened("training", **{"method": "instance"} | link)
    assert app.get("vega_lite_chart") or any("Not trained yet" in one.value for one in app.markdown)


def test_the_recorded_training_is_shown_without_the_short_batches(mnist):
    app = opened("training")
    assert "a step moves the convolution's kernel most with" in app.success[0].value
    told = " ".join(one.value for one in app.caption)
    assert "comes with the lab" in told
    assert sorted(set(live_pages.data(app)[0]["step"])) == [1, 2, 5, 55, 93, 144, 187]


def test_a_gradient_of_0_is_not_so_many_times_less():
    moved = {"batch": [2.0, 2.0, 2.0], "none": [1.0, 0.0, 0.0]}
    text = training.answer(moved, {"batch": 2.0, "none": 0.0}, "kernel")
    assert "no normalization (0)." in text and "times" not in text and "Weight" not in text
    moved, late = {"batch": [2.0], "weight": [0.5]}, {"batch": 2.0, "weight": 0.5}
    assert "4 times less" in training.answer(moved, late, "kernel")


def test_training_waits_for_the_button():
    app = opened("training", seed="123456")
    assert live_pages.charts(app) == 1  # the empty frame
    assert any("Not trained yet" in one.value for one in app.markdown)


def test_a_hostile_link_gets_a_sentence():
    app = opened("nothing", x="1_2", row="9", mistake="everything")
    assert app.warning
    assert app.success
