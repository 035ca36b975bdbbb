"""Every control of the app: one row of a table, one widget, one URL parameter.

A page names its controls in `page.PAGES` and draws each with `control("batch")`, which returns the
value. `page.set_up` calls `begin`, which reads the address bar, then keeps it showing the whole
state of the page. Values travel from page to page in a copy of their own, because Streamlit drops
the state of a widget that the next page does not draw.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from normlib import report, sweeps
from normlib.config import LIMITS, METHODS, TrainConfig
from normlib.steps import KERNELS, TABLES
from normlib.tables import SURGERY

FOUR_METHODS = ("none", "batch", "weight", "layer")
EPSILONS = tuple(float(f"1e{power}") for power in range(-8, 1))
LEARNING_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
# As in `normlib.gradients`, which needs TensorFlow.
MISTAKES = (
    "statistics as constants",
    "wrong axes",
    "epsilon outside the root",
    "unbiased variance",
    "norm as a constant",
    "one norm for the kernel",
    "a constant outside the root",
    "mean of the squares",
)
_COUNTED = {str(number): str(number) for number in range(1, 5)}
METHOD_TITLES = {name: method.title for name, method in METHODS.items()}


@dataclass(frozen=True)
class Setting:
    """One control.

    name: its URL parameter and its widget's key.
    config_field: its name in `TrainConfig`, if any; a link may use it too.
    kind: "int", "float", "choice", "many" (several choices), "flag" or "text".
    low, high: the limits of a number; steps: the marks of a log slider.
    choices: value -> what the reader sees.
    """

    name: str
    label: str
    kind: str
    default: Any
    help: str = ""
    config_field: str = ""
    low: float = 0
    high: float = 0
    steps: tuple[float, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    widget: str = ""

    def parse(self, text: str) -> Any:
        """The value that a link means, or a `ValueError` that says what is possible."""
        return self.check(_PARSERS[self.kind](self, text.strip()[:200]))

    def check(self, value: Any) -> Any:
        """The value itself, or a `ValueError` that says what is possible."""
        if self.kind in ("int", "float") and not self.low <= value <= self.high:
            raise ValueError(self.possible())
        return value

    def format(self, value: Any) -> str:
        """The value as a link writes it; `parse` reads it back."""
        if self.kind == "many":
            return ",".join(map(_code, value))
        if self.kind == "choice":
            return _code(value)
        if self.kind == "flag":
            return "on" if value else "off"
        return number(value) if self.kind == "float" else str(value)

    def words(self, value: Any) -> str:
        """The value as a sentence writes it."""
        if self.kind == "many":
            return ", ".join(self.choices[one] for one in value)
        if self.kind == "choice":
            return self.choices[value]
        return f"{value:,}" if self.kind == "int" else self.format(value)

    def possible(self) -> str:
        """What this control takes, as the end of a sentence."""
        if self.kind == "int":
            return f"it takes whole numbers from {self.low:,} to {self.high:,}"
        if self.kind == "float":
            return f"it takes numbers from {number(self.low)} to {number(self.high)}"
        if self.kind == "flag":
            return "it takes on or off"
        return f"it takes {', '.join(map(_code, self.choices))}"


def number(value: float) -> str:
    """A float in as few characters as read back exactly: 0.01, 1e-5."""
    if value and not 1e-3 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    return repr(float(value)).removesuffix(".0")


def minus(text: str) -> str:
    """The text with the minus sign of print, −, before its numbers and in their exponents.

    A hyphen within a word, a range, code or a link's query stays one.
    """
    return re.sub(r"(?<![\w)`[=&?/.-])-(?=\.?\d)|(?<=\de)-(?=\d)", "−", text)


def _code(choice: str) -> str:
    return choice.lower().replace(" ", "-")


def _plain(text: str) -> str:
    return re.sub(r"[\s_+]+", "-", text.strip().lower())


def _parse_int(setting: Setting, text: str) -> int:
    # In a whole number a comma, point, space or quote before three digits only groups them.
    if re.fullmatch(r"[1-9]\d{0,2}([,. '_ ]\d{3})+", text):
        text = re.sub(r"\D", "", text)
    value = _parse_float(setting, text)
    if value != int(value):
        raise ValueError(setting.possible())
    return int(value)


def _parse_float(setting: Setting, text: str) -> float:
    try:
        value = float(text.replace(",", ".").replace("−", "-"))  # 0,001 is 0.001 to half the world
    except ValueError:
        raise ValueError(setting.possible()) from None
    if not math.isfinite(value):
        raise ValueError(setting.possible())
    return value


def _parse_choice(setting: Setting, text: str) -> str:
    for choice, title in setting.choices.items():
        if _plain(text) in (_plain(choice), _plain(title)):
            return choice
    raise ValueError(setting.possible())


def _parse_many(setting: Setting, text: str) -> tuple[str, ...]:
    chosen = {_parse_choice(setting, part) for part in re.split(r"[,;|]", text) if part.strip()}
    return tuple(choice for choice in setting.choices if choice in chosen)


def _parse_flag(setting: Setting, text: str) -> bool:
    if text.lower() in ("on", "1", "true", "yes"):
        return True
    if text.lower() in ("off", "0", "false", "no"):
        return False
    raise ValueError(setting.possible())


_PARSERS: dict[str, Callable[[Setting, str], Any]] = {
    "int": _parse_int,
    "float": _parse_float,
    "choice": _parse_choice,
    "many": _parse_many,
    "flag": _parse_flag,
    "text": lambda setting, text: text,
}


def _from_config(name: str, config_field: str, label: str, **others: Any) -> Setting:
    """A row whose default and limits are those of `TrainConfig`, unless said otherwise."""
    default = others.pop("default", getattr(TrainConfig(), config_field))
    kind = {bool: "flag", int: "int", float: "float", str: "choice"}[type(default)]
    if config_field in LIMITS:
        low, high = LIMITS[config_field]
        others = {"low": low, "high": high} | others
    return Setting(name, label, kind, default, config_field=config_field, **others)


def _table(rows: Iterable[Setting]) -> dict[str, Setting]:
    """The rows by name; two with one name are an error, since a value travels by its name."""
    table: dict[str, Setting] = {}
    for row in rows:
        if row.name in table:
            raise ValueError(f"Two settings are called {row.name!r}: {table[row.name].label} …")
        table[row.name] = row
    return table


SETTINGS: dict[str, Setting] = _table(
    [
        _from_config(
            "batch",
            "batch_size",
            "Batch size",
            high=512,
            help="How many images go through the network together.",
        ),
        _from_config(
            "eps",
            "epsilon",
            "Epsilon",
            low=1e-8,
            high=1.0,
            steps=EPSILONS,
            help="Added to the variance, inside the root, so that nothing is divided by zero.",
        ),
        _from_config(
            "seed", "seed", "Seed", help="Decides the first weights and the order of the images."
        ),
        Setting(
            "methods",
            "Methods",
            "many",
            FOUR_METHODS,
            choices=METHOD_TITLES,
            help="Which normalizations stand side by side.",
        ),
        _from_config(
            "method",
            "normalization",
            "Method",
            choices=METHOD_TITLES,
            widget="select",
            help="How the network normalizes.",
        ),
        Setting(
            "stage",
            "Layer",
            "choice",
            "conv",
            choices={"conv": "Convolution", "hidden": "Hidden layer"},
            help="Where in the network to look.",
        ),
        _from_config(
            "lr",
            "learning_rate",
            "Learning rate",
            steps=LEARNING_RATES,
            help="How far each step moves the weights.",
        ),
        _from_config(
            "momentum",
            "momentum",
            "Momentum of the moving statistics",
            steps=(0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999),
            help="How much of the moving mean and variance each step keeps.",
        ),
        _from_config(
            "epochs",
            "epochs",
            "Epochs",
            default=2,
            help="How often training sees every image once. The report used 4.",
        ),
        _from_config("hidden", "hidden_units", "Hidden units", help="The size of the dense layer."),
        _from_config(
            "placement",
            "placement",
            "Normalize",
            choices={"conv": "Convolution only", "conv and dense": "Convolution and dense"},
            widget="select",
            help="Which layers are normalized.",
        ),
        _from_config(
            "images",
            "train_size",
            "Training images",
            default=6000,
            steps=(500, 1000, 2000, 6000, 12_000, 25_000, 55_000),
            help="How many images to train on. The report used 55,000.",
        ),
        _from_config(
            "start",
            "weight_norm_start",
            "Weight norm starts at",
            choices={
                "norm": "g = ‖v‖",
                "one": "g = 1",
                "data": "First batch",
                "constant": "Constant (the report's)",
            },
            widget="select",
            help="g = ‖v‖ changes nothing at the start. The constant kernel is never trained.",
        ),
        _from_config(
            "learn",
            "learn_scale_shift",
            "Learn gamma and beta",
            help="Off: gamma stays 1 and beta 0, as the report ran it.",
        ),
        _from_config(
            "inference",
            "inference_statistics",
            "At test time use",
            choices={"moving": "Moving statistics", "batch": "The test batch's own"},
            widget="select",
            help="What batch norm normalizes with when it no longer trains.",
        ),
        _from_config("center", "center", "Subtract the mean"),
        _from_config("scale", "scale", "Divide by the root"),
        _from_config(
            "position",
            "position",
            "Position",
            choices={"before ReLU": "Before ReLU", "after ReLU": "After ReLU"},
        ),
        _from_config(
            "ghost",
            "ghost_batches",
            "Ghost batches",
            steps=(1, 2, 4, 8, 16, 32, 64),
            help="Batch norm only: the batch in parts, each with statistics of its own.",
        ),
        _from_config(
            "groups",
            "groups",
            "Groups",
            steps=(1, 2, 3, 5, 6, 10, 15, 30),
            help="Group norm only: how many groups the 30 channels form.",
        ),
        # Train, Compare
        Setting("run", "Run", "text", ""),
        Setting("over", "Earlier runs", "text", ""),
        Setting(
            "look",
            "Look at",
            "choice",
            "mistakes",
            choices={
                "mistakes": "Mistakes",
                "percentiles": "One unit's input",
                "dead": "Dead units",
                "gradients": "Gradients",
                "moving": "Moving statistics",
            },
        ),
        Setting("misread", "Mistake", "text", ""),
        Setting("channel", "Channel", "int", 0, "One filter of the convolution.", high=29),
        Setting(
            "among",
            "Compare",
            "choice",
            "methods",
            choices={"methods": "Methods", "surgery": "Surgery"},
        ),
        Setting(
            "cuts",
            "Changes",
            "many",
            ("center", "scale", "fixed"),
            choices=SURGERY,
            help="Each change alone is one more curve from the same start.",
        ),
        Setting(
            "seeds",
            "Seeds",
            "choice",
            "1",
            choices={"1": "One", "3": "Three"},
            help="Each has other first weights and another order of the images. Three give a "
            "band, and take three times as long.",
        ),
        # Step by step, Backward pass
        Setting(
            "show",
            "View",
            "choice",
            "table",
            choices={
                "table": "Table",
                "convolution": "Convolution",
                "relu": "ReLU",
                "undo": "Gamma and beta",
            },
        ),
        Setting("x", "Table", "text", TABLES["default"]),
        Setting("v", "Kernel", "text", KERNELS["two"]),
        Setting("g", "Lengths", "text", "2_1_1"),
        Setting("row", "Example", "choice", "3", choices=_COUNTED),
        Setting("column", "Feature", "choice", "2", choices=_COUNTED),
        Setting(
            "at",
            "Position",
            "choice",
            "1",
            choices={"1": "Top left", "2": "Top right", "3": "Bottom left", "4": "Bottom right"},
        ),
        Setting("gamma", "Gamma", "float", 1.0, "Multiplies every x̂.", low=-3.0, high=3.0),
        Setting("beta", "Beta", "float", 0.0, "Is added to every γ x̂.", low=-3.0, high=3.0),
        Setting(
            "affine",
            "Gamma and beta",
            "choice",
            "own",
            choices={"own": "Sliders", "undo": "γ = root, β = mean"},
        ),
        Setting(
            "pass",
            "View",
            "choice",
            "terms",
            choices={
                "terms": "Three terms",
                "weight": "Weight norm",
                "check": "Four-way check",
                "training": "During training",
                "bias": "The bias",
            },
        ),
        Setting(
            "dz",
            "Incoming gradient dz",
            "choice",
            "random",
            choices={
                "random": "Random",
                "one": "One cell",
                "equal": "All 1",
                "along": "Like x̂",
            },
            help="How much the loss would change with each z.",
        ),
        Setting(
            "mistake",
            "Planted mistake",
            "choice",
            "none",
            choices={"none": "None"} | {one: one.capitalize() for one in MISTAKES},
            widget="select",
            help="Put into the layer that the tape differentiates.",
        ),
        Setting("bias", "Bias added to the feature", "float", 2.0, low=-5.0, high=5.0),
        Setting(
            "view",
            "View",
            "choice",
            "histograms",
            choices={
                "histograms": "Histograms",
                "channels": "Channels",
                "microscope": "Epsilon microscope",
                "invariances": "Invariances",
            },
            help="Four ways to look at the same activations.",
        ),
        Setting(
            "weights",
            "Weights",
            "text",
            "fresh",
            help="The first weights of this seed, or those that a training has learned.",
        ),
        Setting(
            "part",
            "Part of the report",
            "choice",
            "tables",
            choices={
                "tables": "The three tables",
                "library": "Own ops against TensorFlow's",
                "layer": "Batch against layer",
                "weight": "Why weight norm lost",
            },
        ),
        Setting(
            "setting",
            "Trained",
            "choice",
            "as-run",
            choices=report.SETTINGS,
            help="The report left gamma, beta and weight norm's v and g untrained, and normalized "
            "the test images with their own statistics. Its equations say otherwise.",
        ),
        Setting(
            "numbers",
            "Numbers",
            "choice",
            "digits",
            choices={"digits": "A batch of digits", "random": "Random"},
            help="What both sides get: the convolution of the first images, or random numbers with "
            "mean 0 and standard deviation 1.",
        ),
        Setting(
            "quantity",
            "Compare",
            "choice",
            "output",
            choices={
                "output": "Output",
                "dx": "dx",
                "dgamma": "dgamma",
                "dbeta": "dbeta",
                "moving mean": "Moving mean",
                "moving variance": "Moving variance",
            },
            help="dx, dgamma and dbeta are gradients; for weight norm dv and dg take their place.",
        ),
        Setting(
            "defaults",
            "Library defaults",
            "flag",
            False,
            help="Leave epsilon, momentum and axes on the library's side as it has them.",
        ),
        # Batch size lab
        Setting(
            "lab",
            "View",
            "choice",
            "inference",
            choices={
                "inference": "Training against inference",
                "mates": "Batch-mates",
                "sweep": "Batch size sweep",
                "cliff": "Learning-rate cliff",
            },
        ),
        Setting(
            "against",
            "Along",
            "choice",
            "test",
            choices={
                "test": "Test batch",
                "momentum": "Momentum",
                "batch": "Training batch",
            },
            help="What changes from left to right.",
        ),
        Setting("recalibrated", "Recalibrated", "flag", False),
        Setting(
            "from",
            "Numbers",
            "choice",
            "recorded",
            choices={"recorded": "Recorded", "live": "This machine"},
        ),
        Setting(
            "crowd",
            "Batch size m",
            "int",
            8,
            low=2,
            high=32,
            steps=sweeps.MATES_SIZES,
            help="The pinned digit and its m − 1 mates.",
        ),
        Setting(
            "mates",
            "Mates",
            "choice",
            "random",
            choices={"random": "Random digits"} | {str(d): f"Only {d}s" for d in range(10)},
            widget="select",
        ),
        Setting(
            "pinned",
            "Pinned test digit",
            "int",
            sweeps.PINNED,
            "Its place among the first 2,000 test images.",
            high=1_999,
            widget="number",
        ),
        Setting(
            "held",
            "Equal for all",
            "choice",
            "images",
            choices=sweeps.HELD,
            help="Images: each training reads the same images once, so small batches take more "
            "steps. Updates: each takes the same number of steps, so large batches read more.",
        ),
    ]
)
_ALIASES = {
    setting.config_field: name for name, setting in SETTINGS.items() if setting.config_field
}
_FRAME = ("present", "hide")  # parameters of the frame around a page, not controls on it


@dataclass
class _State:
    """What a session keeps between runs and pages."""

    page: str = ""
    controls: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, tuple[float, ...]] = field(default_factory=dict)
    present: str = ""
    hide: tuple[str, ...] = ()
    written: list[dict[str, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    drawn: set[str] = field(default_factory=set)  # in this run
    drawn_before: set[str] = field(default_factory=set)  # in the run before
    touched: bool = False  # whether a control was moved since the page was opened


def _state() -> _State:
    return st.session_state.setdefault("_settings", _State())


def begin(page: str, controls: Sequence[str], limits: Mapping[str, float] | None = None) -> None:
    """Bring the address bar, the widgets and the session's copy of the values together.

    The address bar wins when it is news: a new session, another page, back or forward. Otherwise
    the widgets do. Called by `page.set_up` before anything is drawn.
    `limits` raises or lowers the upper limit of a number on this page.
    """
    state = _state()
    state.drawn, state.drawn_before = set(), state.drawn
    moved = page != state.page
    if moved:
        state.page, state.controls, state.limits = page, tuple(controls), dict(limits or {})
        state.notices, state.written, state.touched = [], [], False
    url = st.query_params.to_dict()
    context = get_script_run_ctx()
    back_or_forward = context is not None and context.is_history_navigation
    # A slider moved twice in a row arrives with the address of the move before: one that was
    # written here is no news.
    if moved or back_or_forward or _managed(url) not in state.written:
        _read(state, url)
        for name in state.controls:
            st.session_state[name] = _for_widget(name)
    else:
        for name in state.controls:
            if name in st.session_state:
                _remember(name, st.session_state[name])
    _write_url(state)


def _managed(url: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in url.items() if key in SETTINGS or key in _FRAME}


def _row(name: str) -> Setting:
    """The table's row with this page's limit in it."""
    setting = SETTINGS[name]
    high = _state().limits.get(name)
    return setting if high is None else Setting(**(vars(setting) | {"high": high}))


def _read(state: _State, url: Mapping[str, str]) -> None:
    for key, text in url.items():
        name = _ALIASES.get(key, key)
        if name not in SETTINGS:
            continue
        setting = _row(name)
        try:
            state.values[name] = setting.parse(text)
        except ValueError as error:
            state.values.pop(name, None)
            shown = re.sub(r"[^\w.,+\- ]", "?", text[:40])
            state.notices.append(
                f"{setting.label} cannot be “{shown}”: {error}. "
                f"This page uses {setting.words(setting.default)}."
            )
    for name in state.controls:
        setting = _row(name)
        if setting.kind in ("int", "float") and get(name) > setting.high:
            state.notices.append(
                f"{setting.label} was {setting.words(get(name))}: "
                f"this page goes up to {setting.words(setting.high)} and uses that."
            )
            state.values[name] = type(setting.default)(setting.high)
    state.present = url.get("present", state.present)[:200]
    hide = url.get("hide")
    if hide is not None:
        state.hide = tuple(part for part in re.split(r"[,;| ]", hide) if part in SETTINGS)


def _write_url(state: _State) -> None:
    ours = link_parameters(state.controls)
    others = {
        key: text
        for key, text in st.query_params.to_dict().items()
        if key not in _ALIASES and key not in SETTINGS and key not in _FRAME
    }
    if st.query_params.to_dict() != ours | others:
        st.query_params.from_dict(ours | others)
    if ours not in state.written:
        state.written = [*state.written[-19:], ours]


def link_parameters(
    controls: Iterable[str],
    values: Mapping[str, Any] | None = None,
    *,
    changed_only: bool = False,
) -> dict[str, str]:
    """The URL parameters that show these controls as they stand now.

    values: setting name -> value, in place of what this session has; the defaults for the rest.
    changed_only: leave out what is at its default.
    """
    state = _state()
    shown = {
        name: get(name) if values is None else values.get(name, SETTINGS[name].default)
        for name in controls
    }
    parameters = {
        name: SETTINGS[name].format(value)
        for name, value in shown.items()
        if not changed_only or value != SETTINGS[name].default
    }
    if state.present:
        parameters["present"] = state.present
    if state.hide:
        parameters["hide"] = ",".join(state.hide)
    return parameters


def drawn_controls() -> tuple[str, ...]:
    """The settings of the page on screen, in the order of its link."""
    return _state().controls


def notices() -> list[str]:
    """Sentences about what the link asked for and cannot have; kept until a control is moved."""
    return _state().notices


def presenting() -> bool:
    """Whether the page is shown to a class: large type, thick lines, few controls."""
    return _state().present.strip().lower() not in ("", "0", "off", "false", "no")


def set_presenting(on: bool) -> None:
    """Switch the presentation on or off; the next run shows it."""
    state = _state()
    state.present = "on" if on else ""
    _write_url(state)


def visible(name: str) -> bool:
    """Whether the link leaves this control on the page (`hide=`, and `present=` with names)."""
    state = _state()
    named = [part for part in re.split(r"[,;| ]", state.present) if part in SETTINGS]
    return name not in state.hide and (not named or name in named)


def get(name: str) -> Any:
    """The value of a setting in this session, drawn on this page or not."""
    return _state().values.get(name, SETTINGS[name].default)


def put(name: str, value: Any) -> None:
    """Set a value from code (a preset, a button's callback); the widget and the link follow."""
    state = _state()
    state.values[name] = _row(name).check(value)
    if name in state.controls:
        st.session_state[name] = _for_widget(name)
    _write_url(state)


def control(name: str, *, label: str = "", choices: Sequence[str] = (), **widget: Any) -> Any:
    """Draw the widget of a setting and return its value; a control the link hides is not drawn.

    choices: offer only these, in the table's order.
    widget: passed on to the Streamlit widget (`disabled`, `label_visibility`, `width`).
    """
    state = _state()
    if name not in state.controls:
        raise KeyError(f"Name {name!r} among the controls of page {state.page!r} in page.PAGES.")
    if not visible(name):
        return get(name)
    setting = _row(name)
    if choices:
        _keep_to(name, tuple(one for one in setting.choices if one in choices))
        setting = Setting(
            **(vars(setting) | {"choices": {one: setting.choices[one] for one in choices}})
        )
    # Streamlit tells the browser of a value only in the run that set it. A widget that first
    # appears in a later run (a view was opened) would show its lowest value instead; so would one
    # whose first run gives way to another before the browser has drawn it, as while a page opens.
    shown_before = name in state.drawn | state.drawn_before and name in st.session_state
    if not (state.touched and shown_before):
        st.session_state[name] = _for_widget(name)
    state.drawn.add(name)
    value = _WIDGETS[setting.widget or _usual_widget(setting)](
        setting,
        {"label": label or setting.label, "key": name, "help": setting.help or None, **widget},
    )
    _remember(name, value)  # in a fragment, `begin` has not seen it
    return get(name)


def _keep_to(name: str, allowed: tuple[str, ...]) -> None:
    """Leave only what this page offers in the value, or the first of it."""
    state = _state()
    if SETTINGS[name].kind == "many":
        # An emptied choice stays empty: the page asks for one.
        kept: Any = tuple(one for one in get(name) if one in allowed) or (get(name) and allowed)
    else:
        kept = get(name) if get(name) in allowed else allowed[0]
    if kept != get(name):
        state.values[name] = kept
        st.session_state[name] = _for_widget(name)
        _write_url(state)


def _remember(name: str, shown: Any) -> None:
    """Take over what a widget shows; an emptied choice keeps the value it had."""
    state = _state()
    setting = SETTINGS[name]
    if shown is None or (setting.kind == "choice" and shown not in setting.choices):
        return
    value = (
        tuple(one for one in setting.choices if one in shown) if setting.kind == "many" else shown
    )
    if value != get(name):
        state.values[name] = value
        state.notices, state.touched = [], True
        _write_url(state)


def _for_widget(name: str) -> Any:
    value = get(name)
    return list(value) if SETTINGS[name].kind == "many" else value


def _usual_widget(setting: Setting) -> str:
    if setting.steps:
        return "steps"
    if setting.kind == "choice":
        return "segments"
    if setting.kind == "int" and setting.high > 2000:
        return "number"
    return {"int": "slider", "float": "slider", "many": "pills", "flag": "toggle"}.get(
        setting.kind, "text"
    )


def _slider(setting: Setting, common: dict[str, Any]) -> Any:
    kind = type(setting.default)
    return st.slider(min_value=kind(setting.low), max_value=kind(setting.high), **common)


def _steps(setting: Setting, common: dict[str, Any]) -> Any:
    """A slider over marks; a value between them, from a link, becomes a mark for this session."""
    marks = _state().marks
    value = get(setting.name)
    known = marks.get(setting.name, setting.steps)
    if value not in known:
        known = marks[setting.name] = tuple(sorted({*known, value}))
    options = [mark for mark in known if setting.low <= mark <= setting.high]
    return st.select_slider(options=options, format_func=setting.words, **common)


def _number(setting: Setting, common: dict[str, Any]) -> Any:
    kind = type(setting.default)
    return st.number_input(
        min_value=kind(setting.low), max_value=kind(setting.high), step=kind(1), **common
    )


_WIDGETS: dict[str, Callable[[Setting, dict[str, Any]], Any]] = {
    "slider": _slider,
    "steps": _steps,
    "number": _number,
    "segments": lambda setting, common: st.segmented_control(
        options=list(setting.choices),
        format_func=setting.choices.__getitem__,
        required=True,
        **common,
    ),
    "select": lambda setting, common: st.selectbox(
        options=list(setting.choices), format_func=setting.choices.__getitem__, **common
    ),
    "pills": lambda setting, common: st.pills(
        options=list(setting.choices),
        format_func=setting.choices.__getitem__,
        selection_mode="multi",
        **common,
    ),
    "toggle": lambda setting, common: st.toggle(**common),
    "text": lambda setting, common: st.text_input(**common),
}


def to_train_config(values: Mapping[str, Any] | None = None, **changes: Any) -> TrainConfig:
    """The training that the settings describe.

    values: setting name -> value; the session's own where None.
    changes: fields of `TrainConfig` that this page decides (`normalization="layer"`).
    Raises `ValueError` with one sentence where the values do not go together.
    """
    fields = {
        setting.config_field: get(name) if values is None else values.get(name, setting.default)
        for name, setting in SETTINGS.items()
        if setting.config_field
    }
    return TrainConfig(**(fields | changes))
