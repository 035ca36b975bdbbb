"""Every view of every page still shows the numbers that it once showed, wherever it shows them.

A recording holds, for each view in its default and in another state, numbers out of its tables: as
they stand there, so that their last digit tells how exactly they are known. Other columns, charts
and words are welcome, and more numbers; a number that is nowhere on the page any more is not.
"""

import io
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

import pandas as pd
import pyarrow as pa
import pytest
from frozen import RECORDING, freeze, frozen
from streamlit.testing.v1 import AppTest

PAGES = {
    "steps": "1_Step_by_step",
    "activations": "2_Activation_statistics",
    "train": "3_Train",
    "compare": "4_Compare",
    "report": "5_Report",
    "backward": "6_Backward_pass",
    "batch lab": "7_Batch_size_lab",
    "depth": "10_Depth_lab",
    "why": "11_Why_it_works",
}
STATES = [
    *("steps show=table", "steps show=table&method=layer&eps=0.1&gamma=2&beta=-1&row=1"),
    *("steps show=table&method=weight", "steps show=table&method=rms&column=3"),
    *("steps show=convolution", "steps show=convolution&method=group&seed=3&at=4"),
    *("steps show=relu", "steps show=relu&gamma=0.5&beta=1&method=layer"),
    *("steps show=undo", "steps show=undo&method=layer&row=2"),
    *("activations view=histograms", "activations view=histograms&stage=hidden&batch=16&seed=1"),
    *("activations view=channels", "activations view=channels&methods=group,instance&batch=8"),
    *("activations view=microscope", "activations view=microscope&eps=0.1&methods=batch,rms"),
    *("activations view=invariances", "activations view=invariances&batch=8&eps=0.01"),
    *("train look=mistakes", "train look=mistakes&method=layer"),
    *("train look=percentiles", "train look=percentiles&stage=hidden&method=none"),
    *("train look=dead", "train look=dead&stage=hidden&method=weight"),
    *("train look=gradients", "train look=gradients&method=layer"),
    *("train look=moving", "train look=moving&channel=7"),
    *("compare among=methods", "compare among=methods&methods=none,layer"),
    *("compare among=surgery", "compare among=surgery&method=layer"),
    *("report part=tables", "report part=tables&setting=as-written"),
    *("report part=library", "report part=library&defaults=on&batch=8&quantity=moving-variance"),
    *("report part=layer", "report part=layer&setting=as-written"),
    *("report part=weight",),
    *("backward pass=terms", "backward pass=terms&method=layer&dz=one&gamma=2&row=1"),
    *("backward pass=weight", "backward pass=weight&lr=0.1&seed=2"),
    *("backward pass=check&mistake=wrong-axes", "backward pass=check&mistake=unbiased-variance"),
    *("backward pass=training", "backward pass=training&stage=hidden"),
    *("backward pass=bias", "backward pass=bias&bias=-3&method=layer"),
    *("batch lab lab=inference", "batch lab lab=inference&against=momentum&recalibrated=on"),
    *("batch lab lab=mates", "batch lab lab=mates&mates=1&crowd=32&layers=conv"),
    *("batch lab lab=sweep&layers=conv", "batch lab lab=sweep&held=updates&layers=conv"),
    *("batch lab lab=cliff", "batch lab lab=cliff&layers=conv"),
    *("depth deep=signal", "depth deep=signal&depth=30&sigma=0.3&residual=post"),
    *("depth deep=map", "why why=shift&drift=std"),
    *("why why=smooth", "why why=turn&rules=momentum,adam"),
    *("why why=deployed", "why why=deployed&ported=2"),
]
MOST = 80
NUMBER = re.compile(r"(?<![\w.#])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
TIME = re.compile(r"(?i)second|time|\bms\b|per step|milli")
PLACE = re.compile(
    "(?i)step|epoch|batch|example|feature|channel|input|output|seed|row|column|left|right"
)
# What lies below is rounding, and so may be another on another processor: it is not frozen. Two
# float32 sides of the library view, with their long sums, differ by more than other numbers do.
ROUNDING, ROUNDING_OF_THE_LIBRARY = 1e-4, 0.1


@cache
def page(state: str) -> AppTest:
    """The page in this state, with everything on it unfolded."""
    name, _, query = state.rpartition(" ")
    file = Path(__file__).parents[1] / "pages" / f"{PAGES[name]}.py"
    app = AppTest.from_file(file, default_timeout=60)
    for key, value in parse_qsl(f"answers=on&{query}"):
        app.query_params[key] = value
    app.run()
    folded = [one.key for one in blocks(app.main) if one.type == "expander" and one.key]
    for key in folded:
        app.session_state[key] = True
    if folded:
        app.run()
    assert not app.exception, app.exception
    return app


def blocks(block) -> Iterator:
    for child in getattr(block, "children", {}).values():
        yield child
        yield from blocks(child)


def in_text(text: str) -> list[str]:
    plain = re.sub(r"(?<=\d)(?:,|\{,\}|\\,)(?=\d{3})", "", text.replace("−", "-"))
    return NUMBER.findall(plain)


def in_frame(table: pd.DataFrame, all_of_it: bool = False) -> list[str]:
    """The numbers of a table; without times and without those that only name a row."""
    if not all_of_it:
        table = table[[name for name in table if not TIME.search(str(name))]]
        table = table[[name for name in table if not PLACE.fullmatch(str(name))]]
        table = table[[not TIME.search(" ".join(map(str, row))) for row in table.values]]
    columns = (table[name].dropna() for name in table)
    numeric = pd.api.types.is_numeric_dtype
    return [
        number
        for column in columns
        for value in column
        for number in ([f"{value:.6g}"] if numeric(column) else in_text(str(value)))
    ]


def tables(app: AppTest) -> list[list[str]]:
    """The numbers of each table and figure on the page."""
    metrics = [one.value for one in app.metric if not TIME.search(one.label)]
    html = [
        " ".join(re.sub("<[^>]*>", " ", rows) for rows in groups if not TIME.search(rows))
        for _, *groups in (element.proto.body.split("<tbody") for element in app.get("html"))
    ]
    return [
        *(in_frame(table.value) for table in (*app.dataframe, *app.table)),
        *map(in_text, [*metrics, *html]),
    ]


def said(app: AppTest, *more: str) -> list[str]:
    """All texts of the page, its answers aside; `more`: of these kinds too, such as "success"."""
    kinds = ("markdown", "caption", "info", "warning", "latex", "metric", *more)
    texts = [str(element.value) for kind in kinds for element in getattr(app, kind)]
    texts += [re.sub("<[^>]*>", " ", element.proto.body) for element in app.get("html")]
    return texts + [chart.proto.spec for chart in app.get("vega_lite_chart")]


def frames(app: AppTest) -> list[pd.DataFrame]:
    """All tables of the page, and the data of its charts."""
    found = [table.value for table in (*app.dataframe, *app.table)]
    for chart in app.get("vega_lite_chart"):
        for data in (chart.proto.data, *(one.data for one in chart.proto.datasets)):
            if data.data:
                found.append(pa.ipc.open_stream(io.BytesIO(data.data)).read_pandas())
    return found


def everything(app: AppTest, *more: str) -> list[str]:
    """Every number that is somewhere on the page, in words and charts too; `more` as in `said`."""
    texts = [number for text in said(app, *more) for number in in_text(text)]
    return texts + [number for one in frames(app) for number in in_frame(one, all_of_it=True)]


def telling(numbers: list[str], floor: float) -> list[str]:
    """Those that say something: no small counts, nothing that is only rounding; each once."""
    values = {text: float(text) for text in numbers}
    kept = [
        text
        for text, value in values.items()
        if math.isfinite(value) and abs(value) > floor and known(text) > 1
        if value % 1 or abs(value) >= 100
    ]
    return sorted(kept, key=lambda text: values[text])


def spread(numbers: list[str], most: int) -> list[str]:
    step = max(1.0, len(numbers) / most)
    return [numbers[int(at * step)] for at in range(min(most, len(numbers)))]


def known(text: str) -> int:
    """How many digits of it are known."""
    return len(re.sub(r"e.*|\W", "", text.lower()).lstrip("0"))


def slack(text: str, least: int) -> float:
    """How far the number may lie from what is written; its last digit counts where it has `least`
    digits at least."""
    digits, _, power = text.lower().partition("e")
    last = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
    return max(1e-3 * abs(float(text)), 0.505 * last if known(text) >= least else 0.0)


def missing(wanted: list[str], shown: list[str]) -> list[str]:
    """Those that are not among the shown ones, where a share may be a percentage or the reverse."""
    exact = [(float(text), slack(text, 3)) for text in set(shown)]
    ranges = [(value * unit, off * unit) for value, off in exact for unit in (1, 0.01, 100)]
    return [
        text
        for text in wanted
        if not any(abs(float(text) - value) <= max(off, slack(text, 2)) for value, off in ranges)
    ]


@pytest.mark.parametrize("state", STATES)
def test_a_view_shows_its_frozen_numbers(state, mnist, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NORMLAB_HOME", str(tmp_path_factory.getbasetemp() / "frozen views"))
    app = page(state)
    if RECORDING:
        floor = ROUNDING_OF_THE_LIBRARY if "part=library" in state else ROUNDING
        parts = [part for part in (telling(one, floor) for one in tables(app)) if part]
        each = max(4, MOST // max(1, len(parts)))
        chosen = dict.fromkeys(text for part in parts for text in spread(part, each))
        freeze("views", list(chosen)[:MOST], state)
    wanted = frozen("views")[state]
    assert wanted
    gone = missing(wanted, everything(app, "success"))
    assert not gone, f"{len(gone)} of {len(wanted)} numbers are gone: {gone}"
