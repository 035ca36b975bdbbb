"""The pictures: colours that can be seen, numbers that are the data's, specs made once."""

import tomllib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from normlib.config import METHODS
from pages.components import charts, image_grids, theme
from pages.lessons.train.mistakes import confusion

CONFIG = tomllib.loads((Path(__file__).parents[1] / ".streamlit" / "config.toml").read_text())


def _luminance(color: str) -> float:
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _mixed(front: str, back: str, share: float) -> str:
    pairs = ((int(front[i : i + 2], 16), int(back[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02X}" for a, b in pairs)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_lines_and_words_stand_out_in_both_themes(mode):
    colors = CONFIG["theme"][mode]
    for method in METHODS:
        assert _contrast(theme.COLORS[method], colors["backgroundColor"]) >= 3, method
    for surface in ("backgroundColor", "secondaryBackgroundColor"):
        for words in ("textColor", "linkColor", "primaryColor"):
            assert _contrast(colors[words], colors[surface]) >= 4.5, (words, surface)
        faded = _mixed(colors["textColor"], colors[surface], 0.6)  # captions
        assert _contrast(faded, colors[surface]) >= 4.5, surface
    on_button = {"light": "#FFFFFF", "dark": "#121212"}[mode]  # CSS's Canvas
    assert _contrast(on_button, colors["primaryColor"]) >= 4.5


def test_every_method_has_a_look_of_its_own():
    looks = [(theme.COLORS[method], tuple(theme.DASHES[method])) for method in METHODS]
    assert all(a != b and x != y for (a, x), (b, y) in combinations(looks, 2))


def test_a_chart_keeps_its_data_out_of_its_spec():
    chart = charts.accuracy_curves([{"method": "layer", "epoch": 1, "accuracy": 0.9}])
    again = charts.accuracy_curves([{"method": "layer", "epoch": 1, "accuracy": 0.901}])
    assert chart.panels[0][0] is again.panels[0][0]
    assert "data" not in str(chart.panels[0][0]).replace("datum", "")
    assert "90.10%" in again.summary


def test_a_zero_on_a_log_axis_is_drawn_at_its_end_and_nothing_else_moves():
    rows = {
        "method": ["batch"] * 3,
        "step": [1, 2, 3],
        "loss": [2.0, 0.0, 1.19e-7],
        "smoothed": [2.0, 1.0, 0.5],
    }
    chart = charts.loss_curves(rows)
    drawn = chart.panels[0][1]
    assert drawn["loss"].tolist() == [2.0, 1e-7, 1.19e-7]
    assert drawn["smoothed"].tolist() == [2.0, 1.0, 0.5]
    assert chart.table["loss"].tolist() == [2.0, 0.0, 1.19e-7]
    band = {"method": ["batch"], "step": [1], "low": [0.0], "mid": [3e-9], "high": [1.0]}
    drawn = charts.bands(band, "step", "Step", "Loss", log=True).panels[0][1]
    assert drawn[["low", "mid", "high"]].values.tolist() == [[3e-9, 3e-9, 1.0]]
    assert charts.bands(band, "step", "Step", "Loss").panels[0][1]["low"][0] == 0


def test_a_training_without_a_step_has_a_picture_too():
    nothing = {"method": [], "step": [], "loss": [], "smoothed": []}
    assert charts.loss_curves(nothing).summary == "No step yet."


def test_the_confusion_names_the_worst_mistake():
    counts = np.diag(np.full(10, 90))
    counts[4, 9] = 7
    chart = confusion(counts)
    assert chart.summary == (
        "900 of 907 images were read correctly. "
        "The most frequent mistake: a 4 read as a 9, 7 times."
    )
    assert chart.table["images"].sum() == 907


def test_digits_become_one_picture():
    images = np.zeros((5, 28, 28, 1), np.uint8)
    images[3, 0, 0] = 255
    sheet = image_grids.digits(images, columns=3, scale=2)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (2 * 59, 3 * 59)
    assert np.argwhere(sheet == 0).tolist() == [[59, 0], [59, 1], [60, 0], [60, 1]]


def test_filters_stand_six_in_a_row_on_one_scale():
    kernel = np.arange(5 * 5 * 8.0).reshape(5, 5, 1, 8)
    spec, data = image_grids.filters(kernel, limit=500.0)
    pixel = data[(data["top"] == 5 + 4) & (data["left"] == 5 + 2)]  # of the eighth, row 5, column 3
    assert pixel["weight"].tolist() == [kernel[4, 2, 0, 7]] and pixel["filter"].tolist() == [7]
    color = spec["layer"][0]["encoding"]["color"]
    assert color["scale"]["domain"] == [-500.0, 0, 500.0] and color["legend"]
    methods = {theme.color(method) for method in ("none", "batch", "weight", "layer")}
    assert not {*color["scale"]["range"]} & methods


def test_dots_outside_the_axis_stand_at_its_end():
    rows = [{"label": "a", "series": "one", "value": value} for value in (0.0, 1e-3, 50.0)]
    chart = charts.dots(rows, "Difference", x_range=(1e-10, 1.0))
    assert chart.panels[0][1]["drawn"].tolist() == [1e-10, 1e-3, 1.0]
    assert chart.table["value"].tolist() == [0.0, 1e-3, 50.0]


def test_the_dotted_line_lies_on_top_and_keeps_its_place_in_the_legend():
    rows = [{"method": m, "epoch": e, "accuracy": 0.8} for m in ("none", "weight") for e in (1, 2)]
    chart = charts.accuracy_curves(rows, epochs=2)
    ((spec, data),) = chart.panels
    assert data["method"].tolist() == ["weight", "weight", "none", "none"]
    color = spec["layer"][-1]["encoding"]["color"]
    assert color["scale"]["domain"][0] == "No normalization"
    shapes = spec["layer"][-1]["encoding"]["shape"]["scale"]["range"]
    assert len(set(shapes)) == 2
    # A legend switched off for one channel of a field is off for all of that field.
    assert spec["layer"][-1]["encoding"]["shape"]["field"] != color["field"]


def test_a_data_table_has_the_names_of_the_picture():
    rows = {"method": ["layer", "fast"], "smoothed_loss": [1.0, 2.0], "p85": [3.0, 4.0]}
    table = charts.titled(charts.frame(rows))
    assert list(table) == ["Method", "Smoothed loss", "p85"]
    assert list(table["Method"]) == ["Layer norm", "fast"]
