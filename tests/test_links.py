"""Sixty links and what they open: each page's parameters in the spellings that people type."""

from urllib.parse import parse_qsl

import pytest
import streamlit as st

from pages.components import controls, page

LINKS = [
    # page, link, the values that it opens
    ("activations", "", {"view": "histograms", "batch": 64, "eps": 1e-05, "weights": "fresh"}),
    ("activations", "view=channels", {"view": "channels"}),
    ("activations", "view=Channels", {"view": "channels"}),
    ("activations", "view=Epsilon+microscope", {"view": "microscope"}),
    ("activations", "view=epsilon-microscope", {"view": "microscope"}),
    ("activations", "batch=7&eps=0,001", {"batch": 7, "eps": 0.001}),
    ("activations", "batch=7.0&eps=1e-3", {"batch": 7, "eps": 0.001}),
    ("activations", "batch=1e1&eps=1E-03", {"batch": 10, "eps": 0.001}),
    ("activations", "eps=.001", {"eps": 0.001}),
    ("activations", "eps=%2B0.0025", {"eps": 0.0025}),
    ("activations", "batch_size=9&epsilon=0.5", {"batch": 9, "eps": 0.5}),
    ("activations", "methods=layer,batch", {"methods": ("batch", "layer")}),
    ("activations", "methods=Layer+norm;Batch+norm", {"methods": ("batch", "layer")}),
    ("activations", "methods=rms|none", {"methods": ("none", "rms")}),
    ("activations", "methods=", {"methods": ()}),
    ("activations", "stage=hidden", {"stage": "hidden"}),
    ("activations", "stage=Hidden+layer&seed=2147483647", {"stage": "hidden"}),
    ("activations", "weights=0123456789abcdef@2", {"weights": "0123456789abcdef@2"}),
    ("activations", "utm_source=mail&batch=3", {"batch": 3}),
    ("steps", "method=tf_batch", {"method": "tf_batch"}),
    ("steps", "show=ReLU&gamma=-1,5&beta=−2", {"show": "relu", "gamma": -1.5, "beta": -2.0}),
    ("steps", "show=Gamma+and+beta&affine=undo", {"show": "undo", "affine": "undo"}),
    ("steps", "x=1_2_3_4_5_6&v=1_0&g=2", {"x": "1_2_3_4_5_6", "v": "1_0", "g": "2"}),
    ("steps", "row=4&column=3&at=Bottom+left", {"row": "4", "column": "3", "at": "3"}),
    ("backward", "pass=check&mistake=wrong-axes", {"pass": "check", "mistake": "wrong axes"}),
    ("backward", "pass=Four-way+check", {"pass": "check"}),
    ("backward", "mistake=Mean+of+the+squares", {"mistake": "mean of the squares"}),
    ("backward", "dz=All+1&bias=-5", {"dz": "equal", "bias": -5.0}),
    ("backward", "pass=training&method=group&groups=7", {"pass": "training", "groups": 7}),
    ("train", "images=6.000&batch=1000", {"images": 6000, "batch": 1000}),
    ("train", "images=6,000", {"images": 6000}),
    ("train", "images=6'000", {"images": 6000}),
    ("train", "images=6+000", {"images": 6000}),
    ("train", "train_size=55000&learning_rate=3e-2", {"images": 55000, "lr": 0.03}),
    ("train", "normalization=weight&weight_norm_start=one", {"method": "weight"}),
    ("train", "position=before-relu", {"position": "before ReLU"}),
    ("train", "position=After+ReLU", {"position": "after ReLU"}),
    ("train", "placement=conv-and-dense", {"placement": "conv and dense"}),
    ("train", "placement=Convolution+and+dense", {"placement": "conv and dense"}),
    ("train", "start=g+%3D+1&learn=no", {"start": "one", "learn": False}),
    ("train", "inference=batch&center=0&scale=off", {"center": False, "scale": False}),
    ("train", "learn_scale_shift=TRUE", {"learn": True}),
    ("train", "run=0123456789abcdef0123456789abcdef&look=dead", {"look": "dead"}),
    ("train", "momentum=0,95&ghost=4&groups=15", {"momentum": 0.95, "ghost": 4, "groups": 15}),
    ("compare", "among=surgery&cuts=scale", {"among": "surgery", "cuts": ("scale",)}),
    ("compare", "seeds=Three&epochs=2", {"seeds": "3", "epochs": 2}),
    ("compare", "lr=1&placement=conv-and-dense", {"lr": 1.0}),
    ("batch_lab", "lab=sweep&held=updates", {"lab": "sweep", "held": "updates"}),
    ("batch_lab", "lab=Batch-mates&mates=Only+1s&crowd=32", {"mates": "1", "crowd": 32}),
    ("batch_lab", "pinned=1,999&from=This+machine", {"pinned": 1999, "from": "live"}),
    ("report", "part=weight&setting=as-written", {"setting": "as-written"}),
    ("report", "part=library&quantity=moving-mean&defaults=yes", {"defaults": True}),
]
REFUSED = [
    # page, link, what that control takes and what the page uses in its place
    *(
        ("activations", f"batch={text}", "whole numbers from 1 to 128", "64")
        for text in ("0", "129", "-3", "1.5", "nan", "513", "many", "1e400")
    ),
    ("activations", "eps=0", "numbers from 1e−8 to 1", "1e−5"),
    ("activations", "eps=inf", "numbers from 1e−8 to 1", "1e−5"),
    (
        *("activations", "view=[a](http://e.vi)"),
        *("histograms, channels, microscope, invariances", "Histograms"),
    ),
    ("steps", "row=9", "1, 2, 3, 4", "3"),
    ("steps", "gamma=4", "numbers from −3 to 3", "1"),
    ("train", "seed=9999999999999999999999", "whole numbers from 0 to 2,147,483,647", "0"),
    ("train", "learn=maybe", "on or off", "on"),
    ("train", "batch=1025", "whole numbers from 1 to 1,024", "64"),
    ("report", "batch=512", "whole numbers from 1 to 128", "64"),
]
FRAMES = [
    # link, whether it presents, what it hides of batch and eps, the sentences
    ("present=on", True, "", []),
    ("present=1", True, "", []),
    ("present=off", False, "", []),
    ("present=eps", True, "batch", []),
    ("hide=batch,nonsense", False, "batch", []),
    ("hide=batch;eps", False, "batch eps", []),
    ("present=foo", False, "", ["Present takes on, off, or the names of the controls to keep."]),
]


@pytest.fixture
def opened(monkeypatch):
    """Opens a link in a new session, without drawing a page."""

    def open_link(name: str, link: str) -> dict[str, str]:
        class Address(dict):
            to_dict = dict.copy

            def from_dict(self, parameters) -> None:
                self.clear()
                self.update(parameters)

        address = Address(parse_qsl(link, keep_blank_values=True))
        monkeypatch.setattr(st, "query_params", address)
        monkeypatch.setattr(st, "session_state", {})
        controls.begin(name, page.PAGES[name].controls, page.PAGES[name].limits)
        return address

    return open_link


@pytest.mark.parametrize(("name", "link", "values"), LINKS)
def test_a_link_opens_what_it_says(name, link, values, opened):
    address = opened(name, link)
    assert {key: controls.get(key) for key in values} == values
    assert not controls.notices()
    # The address bar then shows the whole state, and opens it again.
    assert set(page.PAGES[name].controls) <= set(address)
    state = {key: controls.get(key) for key in page.PAGES[name].controls}
    opened(name, "&".join(f"{key}={text}".replace("+", "%2B") for key, text in address.items()))
    assert {key: controls.get(key) for key in page.PAGES[name].controls} == state
    assert not controls.notices()


@pytest.mark.parametrize(("name", "link", "takes", "uses"), REFUSED)
def test_a_link_that_asks_for_the_impossible_gets_a_sentence(name, link, takes, uses, opened):
    opened(name, link)
    key, _, text = link.partition("=")
    row = controls.CONTROLS[key]
    sentence = f"{row.label} cannot be `{text}`: it takes {takes}. This page uses {uses}."
    assert controls.notices() == [sentence]
    assert controls.get(key) == row.default


@pytest.mark.parametrize(("link", "presents", "hidden", "notices"), FRAMES)
def test_a_link_presents_and_hides(link, presents, hidden, notices, opened):
    opened("activations", link)
    assert controls.presenting() == presents
    assert {name for name in ("batch", "eps") if not controls.visible(name)} == set(hidden.split())
    assert controls.notices() == notices


def test_parameters_of_others_stay_in_the_link(opened):
    assert opened("activations", "utm=x")["utm"] == "x"


def test_a_link_to_share_leaves_out_the_defaults(opened):
    opened("activations", "batch=7&eps=1e-5")
    assert controls.link_parameters(changed_only=True) == {"batch": "7"}


def test_settings_that_do_not_go_together_leave_the_methods_they_allow(opened):
    opened("backward", "pass=training&method=group&groups=7")
    configs, refused = controls.to_train_configs(("none", "batch", "group"))
    assert set(configs) == {"none", "batch"}
    assert set(refused) == {"group"}
    assert "groups must divide" in refused["group"]
