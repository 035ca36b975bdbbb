"""The controls: what the table promises, and how values travel between links, widgets and pages."""

import pytest
from streamlit.testing.v1 import AppTest

from normlib.config import TrainConfig
from pages.components import control_table, controls, page
from pages.components.controls import CONTROLS


@pytest.mark.parametrize(
    ("name", "text"), [("batch", ""), ("method", "<script>"), ("methods", "batch,unknown")]
)
def test_an_impossible_value_is_refused_in_words(name, text):
    with pytest.raises(ValueError, match=r"^it takes "):
        CONTROLS[name].parse(text)


@pytest.mark.parametrize("setting", CONTROLS.values(), ids=CONTROLS)
def test_every_row_reads_what_it_writes(setting):
    # A page may raise the limit, and then shows marks beyond it.
    values = [setting.default, *(mark for mark in setting.steps if mark <= setting.high)]
    kind = type(setting.default)
    values += {
        "choice": [*setting.choices],
        "many": [(), *((choice,) for choice in setting.choices)],
        "flag": [True, False],
        "text": [],
    }.get(setting.kind) or [kind(setting.low), kind(setting.high)]
    for value in values:
        assert setting.parse(setting.format(value)) == value
        assert setting.words(value) or value in ((), "")


def test_the_table_reaches_every_field_of_a_training():
    fields = {setting.config_field for setting in CONTROLS.values()} - {""}
    # What makes a network deep would follow a student to the pages of the small one; the first
    # kernel's factor is one curve of Compare.
    assert fields == set(vars(TrainConfig())) - {"depth", "residual", "first_scale"}


def test_the_defaults_are_those_of_a_training_but_for_the_faster_size():
    assert controls.to_train_config({}) == TrainConfig(train_size=6000, epochs=2)


def test_settings_become_a_training():
    config = controls.to_train_config({"batch": 8, "eps": 0.1}, normalization="layer")
    assert config == TrainConfig(
        batch_size=8, epsilon=0.1, normalization="layer", train_size=6000, epochs=2
    )
    with pytest.raises(ValueError, match="groups must divide"):
        controls.to_train_config({"method": "group", "groups": 7})


def test_no_two_settings_share_a_name():
    with pytest.raises(ValueError, match="Two settings are called 'batch'"):
        control_table._table(CONTROLS["batch"], CONTROLS["batch"])


def test_every_page_names_known_settings_once():
    for one in page.PAGES.values():
        assert set(one.controls) <= set(CONTROLS)
        assert len(set(one.controls)) == len(one.controls)
        assert set(one.limits) <= set(one.controls)


def _lesson(name):
    import streamlit as st

    from pages.components import controls, page

    chosen = st.session_state.get("go", name)
    controls.begin(chosen, page.PAGES[chosen].controls, page.PAGES[chosen].limits)
    for sentence in controls.notices():
        st.warning(sentence)
    for control in page.PAGES[chosen].controls:
        choices = ("batch", "layer") if (chosen, control) == ("backward", "method") else ()
        st.text(f"{control} = {controls.control(control, choices=choices)!r}")


def _open(page_name="activations", **parameters) -> AppTest:
    app = AppTest.from_function(_lesson, args=(page_name,), default_timeout=30)
    app.query_params.update(parameters)
    return app.run()


def _go(app: AppTest, page_name: str) -> AppTest:
    """To another page, by a link that says nothing."""
    app.session_state["go"] = page_name
    app.query_params.clear()
    return app.run()


def _says(app: AppTest) -> set[str]:
    assert not app.exception
    return {text.value for text in app.text}


def _address(app: AppTest) -> dict[str, str]:
    # AppTest gives back a list, except for what the test itself put in.
    given = app.query_params.items()
    return {key: text if isinstance(text, str) else text[-1] for key, text in given}


def test_a_bare_link_shows_the_defaults_and_then_the_whole_state():
    app = _open()
    assert "batch = 64" in _says(app)
    shown = _address(app)
    assert tuple(shown) == page.PAGES["activations"].controls
    wanted = {"batch": "64", "eps": "1e-5", "methods": "none,batch,weight,layer"}
    assert wanted.items() <= shown.items()
    assert not app.warning


def test_a_link_sets_the_widgets_even_between_their_marks():
    app = _open(batch="7", eps="0,0025", methods="layer, Batch norm", seed="41")
    methods = "methods = ('batch', 'layer')"
    assert {"batch = 7", "eps = 0.0025", "seed = 41", methods} <= _says(app)
    assert app.select_slider(key="batch").value == 7
    assert app.select_slider(key="eps").value == 0.0025
    assert _address(app)["eps"] == "0.0025"
    assert "eps = 0.0025" in _says(app.run())


def test_moving_a_control_changes_the_link_and_nothing_else():
    app = _open(batch="7", seed="41")
    app.select_slider(key="batch").set_value(8).run()
    assert {"batch = 8", "eps = 1e-05", "seed = 41"} <= _says(app)
    assert _address(app)["batch"] == "8"
    assert _address(app)["seed"] == "41"


def test_an_impossible_value_gets_one_sentence_until_a_control_moves():
    app = _open(batch="0", eps="1e-3", seed="`**<b>**")
    assert {"batch = 64", "eps = 0.001", "seed = 0"} <= _says(app)
    sentences = [warning.value for warning in app.warning]
    assert sentences == [
        "Batch size cannot be `0`: it takes whole numbers from 1 to 128. This page uses 64.",
        "Seed cannot be `` `**<b>** ``: it takes whole numbers from 0 to 2,147,483,647. "
        "This page uses 0.",
    ]
    assert app.run().warning
    assert not app.select_slider(key="batch").set_value(3).run().warning


def test_values_travel_to_the_next_page_and_back():
    app = _open(batch="7", eps="0.5")
    _go(app, "train")
    assert {"batch = 7", "eps = 0.5"} <= _says(app)
    assert _address(app)["batch"] == "7"
    app.select_slider(key="batch").set_value(12).run()
    assert {"batch = 12", "eps = 0.5"} <= _says(_go(app, "activations"))


def test_a_value_too_large_for_the_next_page_is_lowered_in_words():
    app = _open("train", batch="1000")
    assert "batch = 1000" in _says(app)
    assert "batch = 128" in _says(_go(app, "activations"))
    assert [warning.value for warning in app.warning] == [
        "Batch size was 1,000: this page goes up to 128 and uses that."
    ]
    assert "batch = 1000" in _says(_go(app, "train"))


def test_a_value_the_page_cannot_show_is_given_back_unless_another_is_chosen():
    app = _open("train", batch="1000")
    _go(app, "activations")
    app.select_slider(key="batch").set_value(64).run()
    assert "batch = 64" in _says(_go(app, "train"))


def test_the_link_may_hide_controls_but_not_their_values():
    app = _open(batch="7", hide="batch,eps,nonsense")
    assert "batch = 7" in _says(app)
    assert not app.slider
    assert not app.select_slider
    assert _address(app)["hide"] == "batch,eps"


def test_a_control_moved_while_the_server_was_away_is_not_lost():
    """A new session gets the old link, and widgets that were moved since."""
    app = _open(batch="7", eps="0.01")
    app.select_slider(key="batch").set_value(12)
    again = AppTest.from_function(_lesson, args=("activations",), default_timeout=30)
    again.query_params.update(batch="7", eps="0.01")
    again._run(app._tree.get_widget_states())
    assert {"batch = 12", "eps = 0.01"} <= _says(again)
    assert "batch = 12" in _says(again.run())
    assert {"batch": "12", "eps": "0.01"}.items() <= _address(again).items()


def test_what_a_new_link_asks_for_stays_on_the_next_page():
    app = _open("train", batch="1000")
    _go(app, "activations")
    app.query_params["batch"] = "16"
    assert "batch = 16" in _says(app.run())
    assert "batch = 16" in _says(_go(app, "train"))


def test_a_choice_the_page_has_not_is_given_back():
    app = _open("train", method="none")
    for go, shown in (("backward", "batch"), ("train", "none")):
        assert f"method = {shown!r}" in _says(_go(app, go))


def test_back_in_the_browser_is_not_mistaken_for_a_late_address():
    """Two quick moves: the second arrives with the address that the first had not yet changed."""
    app = _open(batch="7")
    app.select_slider(key="batch").set_value(8).run()
    app.query_params["batch"] = "7"
    app.select_slider(key="batch").set_value(12).run()
    assert "batch = 12" in _says(app)
    assert _address(app)["batch"] == "12"
