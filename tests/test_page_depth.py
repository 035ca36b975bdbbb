"""The depth lab: a signal before training, the recorded map, and trainings of one's own."""

import re

import numpy as np
import pytest
from live_pages import Ready, data, opened, pressed, ran

from normlib.deep import BINS
from pages.components import server
from pages.lab import depth
from pages.lab.sweeps import Outcome


@pytest.fixture(autouse=True)
def warm(drawn, monkeypatch) -> None:
    monkeypatch.setattr(server, "_warm_up", Ready(drawn))


def answer(app) -> str:
    return app.success[0].value


def test_the_signal_is_told_beside_what_theory_says(queue):
    app = opened("depth", deep="signal", depth="12", sigma="0.05")
    up = re.search(r"No normalization: activations × (\S+) per layer", answer(app))[1]
    theory = re.search(r"√\(n σ²/2\) = (\S+) per layer", answer(app))[1]
    assert float(theory) == pytest.approx(0.354, abs=5e-4)
    assert float(up) == pytest.approx(float(theory), rel=0.1)
    rows = data(app)[0]
    assert sorted(rows["layer"].unique()) == list(range(1, 13))
    app.segmented_control(key="residual").set_value("pre")
    told = answer(ran(app))
    assert "Theory" not in told and "A residual layer adds to what it gets" in told


def test_a_deep_network_is_trained_watched_and_looked_at_layer_by_layer(queue):
    link = {"depth": "3", "lr": "0.1", "methods": "batch,none", "method": "batch"}
    app = opened("depth", deep="curves", **link)
    assert app.button(key="_train_deep").label == "Train 2 methods"
    pressed(app, "_train_deep")
    for method in ("batch", "none"):
        config = depth.config(method, 3, 0.1, 0.1)
        assert queue.find(config.key(queue.data.checksum)).wait_until_over(60)
    told = answer(ran(app))
    assert "Batch norm" in told
    app = opened("depth", deep="layers", measure="histogram", layer="3", **link)
    rows = data(app)[0]
    assert len(rows["row"].unique()) == BINS
    assert rows.groupby("step")["value"].sum().to_numpy() == pytest.approx(1.0)
    assert "From layer 1 to layer 3 the spread goes from" in answer(app)


def test_the_best_rate_is_chosen_on_validation_and_told_on_the_test():
    def outcome(test: float | None, validation: float | None) -> Outcome:
        return Outcome("finished" if test else "diverged", test, 188, 1.0, validation)

    found = depth.cell(
        ("batch", 20, 0.1),
        {
            (0.03, 0): outcome(0.70, 0.80),
            (0.03, 1): outcome(0.60, 0.70),
            (0.3, 0): outcome(0.90, 0.72),
            (0.3, 1): outcome(None, None),
        },
    )
    assert (found.rate, found.low, found.high) == (0.03, 0.60, 0.70)
    assert found.accuracy == pytest.approx(0.65)
    assert found.by_rate[0.3] == pytest.approx(0.5)  # one seed diverged: it guesses


def test_the_map_shows_where_normalization_decides():
    cells = depth.cells()
    plain = cells["none", 20, 0.1]
    assert max(plain.by_rate.values()) <= 0.25
    assert cells["batch", 20, 0.1].accuracy >= 0.75
    shallow = [cells[method, 1, 0.1].accuracy for method in depth.FOUR]
    assert max(shallow) - min(shallow) <= 0.03
    assert depth.deepest(0.1)["none"] < depth.deepest(0.1)["batch"]
    app = opened("depth", deep="map", depth="19", sigma="0.1")
    assert f"batch norm {cells['batch', 20, 0.1].accuracy:.0%}" in answer(app)


def test_heat_is_a_row_for_each_layer_without_the_logits():
    recorded = {
        "step": [5, 13],
        "spread": [[1.0, 2.0], [3.0, 4.0]],
        "gradient_norms": [[0.1, 0.2, 9.0], [0.3, 0.4, 9.0]],
        "histograms": np.ones((2, 2, BINS)).tolist(),
    }
    heat = depth.heat(recorded, "gradients", 1)
    assert heat == {"step": [5, 5, 13, 13], "row": [1, 2, 1, 2], "value": [0.1, 0.2, 0.3, 0.4]}
    assert depth.heat(recorded, "histogram", 2)["value"] == pytest.approx([1 / BINS] * 2 * BINS)
