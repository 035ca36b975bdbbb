"""The page Backward pass: cold, from a link, and what its sentences say."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components import controls
from pages.lab import backward as backward_steps
from pages.lab import gradient_check

PAGE = str(Path(__file__).parents[1] / "pages" / "6_Backward_pass.py")


def opened(**parameters) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=120)
    for key, text in parameters.items():
        app.query_params[key] = text
    app.run()
    assert not app.exception, app.exception[0].value
    return app


def test_a_cold_page_shows_the_three_terms():
    app = opened()
    assert not app.warning
    assert len(app.get("vega_lite_chart")) == 3
    assert "The 4 lit dx add up to 0" in app.success[0].value
    app.session_state["code_of_backward_terms"] = True
    assert any("def backward_terms(" in one.value for one in app.run().code)


@pytest.mark.parametrize("method", ["batch", "layer"])
def test_a_common_shift_never_reaches_x(method):
    assert "cannot be had by moving x" in opened(method=method, dz="equal").success[0].value
    wrong = opened(method=method, dz="equal", mistake="statistics-as-constants")
    assert "where 0 is right" in wrong.success[0].value


@pytest.mark.parametrize("dz", ["random", "one", "equal", "along"])
@pytest.mark.parametrize("method", ["batch", "layer", "rms"])
def test_every_incoming_gradient_is_shown(method, dz):
    assert opened(method=method, dz=dz, x="6_-3_3").success


def test_the_list_of_mistakes_is_that_of_the_package():
    planted = {**gradient_check.MISTAKES, **gradient_check.WEIGHT_MISTAKES}
    assert tuple(planted) == controls.MISTAKES


def test_the_check_is_green_without_a_mistake():
    for method in ("batch", "weight"):
        text = opened(method=method, **{"pass": "check"}).success[0].value
        assert "All four ways agree" in text


def test_constants_pass_on_gamma_and_beta_and_fail_on_x():
    app = opened(mistake="statistics-as-constants", **{"pass": "check"})
    text = app.success[0].value
    assert "shows in the gradient of x," in text
    assert "A check of γ and β alone passes and proves nothing" in text
    table = app.table[0].value
    assert "close" in table.iloc[0]["Tape"]
    assert all("check" in table.iloc[row]["Tape"] for row in (1, 2))


def test_weight_norm_grows():
    text = opened(lr="0.1", **{"pass": "weight"}).success[0].value
    assert "It never shrank" in text


def test_the_bias_has_no_gradient():
    app = opened(**{"pass": "bias"})
    assert "moves none of the 12 z" in app.success[0].value
    assert "moves 12 of 12 z" in opened(method="layer", **{"pass": "bias"}).success[0].value


def test_the_jags_of_the_short_last_batch_are_explained(monkeypatch):
    norms = {"step": [1, 2], "gradient_norms": [[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]]}
    monkeypatch.setattr(backward_steps, "recorded_norms", lambda config, checksum: norms)
    app = opened(**{"pass": "training"}, batch="48", images="1000")
    told = " ".join(one.value for one in app.caption)
    assert "of 40 instead of 48 images" in told and "every 21 steps" in told
    app = opened(**{"pass": "training"}, batch="50", images="1000")
    assert not any("instead of" in one.value for one in app.caption)


def test_training_waits_for_the_button():
    app = opened(**{"pass": "training"}, seed="123456")
    assert any("Not trained yet" in one.value for one in app.markdown)


@pytest.mark.parametrize(
    "link",
    [
        {"row": "9", "column": "x"},
        {"mistake": "everything"},
        {"x": "1_2"},
        {"dz": "<script>"},
        {"pass": "nothing"},
    ],
)
def test_a_hostile_link_gets_a_sentence(link):
    app = opened(**link)
    assert app.warning
    assert app.success
