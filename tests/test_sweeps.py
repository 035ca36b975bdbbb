"""Sweeps: their trainings, what is made of the outcomes, and the shipped numbers."""

from dataclasses import replace

import numpy as np
import pytest

from normlib.config import METHODS, TrainConfig
from pages.lab import sweeps
from pages.lab.sweeps import Outcome, Sweep


def outcomes(sweep: Sweep, accuracy) -> dict[str, Outcome]:
    """Made-up outcomes: accuracy(method, value, seed), None for one that diverged."""
    found = {}
    for point in sweep.points():
        right = accuracy(point.method, point.value, point.seed)
        status = "diverged" if right is None else "finished"
        found[sweeps.name_of(point.config)] = Outcome(status, right, 94, 1.0)
    return found


def test_equal_images_means_equal_images_and_unequal_steps():
    configs = [point.config for point in sweeps.PLANS["images"].points()]
    assert len({(config.train_size, config.epochs) for config in configs}) == 1
    assert {config.batch_size for config in configs} == set(sweeps.SIZES)


def test_equal_updates_means_equal_steps_of_images_that_are_all_new():
    sweep = Sweep("batch_size", (2, 64, 256), held="updates")
    for point in sweep.points():
        config = point.config
        assert config.train_size / config.batch_size * config.epochs == sweeps.UPDATES
        assert config.epochs == 1


def test_nothing_but_method_value_and_seed_differs():
    sweep = sweeps.PLANS["rates"]
    for point in sweep.points():
        expected = replace(
            sweep.base,
            normalization=point.method,
            learning_rate=point.value,
            seed=point.seed,
        )
        assert point.config == expected


def test_an_interrupted_sweep_has_whole_seeds_first():
    seeds = [point.seed for point in sweeps.PLANS["images"].points()]
    assert seeds == sorted(seeds)


def test_rows_hold_the_mean_and_the_extremes_of_the_seeds():
    sweep = Sweep("batch_size", (4, 8), ("none", "batch"))
    found = outcomes(sweep, lambda method, value, seed: 0.5 + 0.1 * seed)
    rows = sweeps.rows(sweep, found)
    assert [(row.method, row.value) for row in rows] == [
        (method, value) for method in sweep.methods for value in sweep.values
    ]
    for row in rows:
        assert (row.low, row.mean, row.high) == pytest.approx((0.5, 0.6, 0.7))
    del found[sweeps.name_of(sweep.config("batch", 8, 2))]
    assert sweeps.rows(sweep, found)[-1].done == 2


def test_a_diverged_seed_is_counted_and_not_averaged():
    sweep = Sweep("learning_rate", (0.1, 3.0), ("none",), (0, 1))
    found = outcomes(sweep, lambda method, value, seed: None if value == 3 or seed else 0.8)
    first, last = sweeps.rows(sweep, found)
    assert (first.mean, first.done, first.diverged) == (0.8, 2, 1)
    assert (last.mean, last.low, last.diverged) == (None, None, 2)


# ---- words -----------------------------------------------------------------------------------


def rates(accuracies: dict[str, list[float | None]]) -> list[sweeps.Row]:
    values = (0.01, 0.1, 1.0)
    sweep = Sweep("learning_rate", values, tuple(accuracies), (0,))
    at = {
        (method, value): right
        for method, each in accuracies.items()
        for value, right in zip(values, each, strict=True)
    }
    return sweeps.rows(sweep, outcomes(sweep, lambda method, value, seed: at[method, value]))


def test_usable_is_an_unbroken_row_of_rates_near_the_best():
    found = sweeps.usable(rates({"none": [0.85, 0.9, 0.2], "batch": [0.9, 0.5, 0.89]}))
    assert (found["none"].low, found["none"].high, found["none"].best) == (0.01, 0.1, 0.1)
    assert (found["batch"].low, found["batch"].high) == (0.01, 0.01)


def test_a_rate_at_which_one_seed_diverges_is_not_usable():
    sweep = Sweep("learning_rate", (0.1, 1.0), ("none",), (0, 1))
    found = outcomes(sweep, lambda m, value, seed: None if value == 1 and seed else 0.9)
    assert sweeps.usable(sweeps.rows(sweep, found))["none"].words == "0.1 only"


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ([0.2, 0.88, 0.9], "they begin higher and end higher"),
        ([0.9, 0.2, 0.2], "they end lower"),
        ([0.9, 0.88, 0.2], "they stay the same"),
    ],
)
def test_the_words_follow_the_numbers(batch, words):
    text = sweeps.rate_words(rates({"none": [0.85, 0.9, 0.2], "batch": batch}))
    assert f"with batch norm {words}" in text
    changed = "it is the learning rate that normalization changes" in text
    assert changed == (words != "they stay the same")


def test_a_gap_in_accuracy_is_not_called_the_learning_rate():
    text = sweeps.rate_words(rates({"none": [0.5, 0.6, 0.2], "batch": [0.2, 0.2, 0.9]}))
    assert "30.0 points apart" in text
    assert "the accuracy differs, too" in text


def test_nothing_but_divergence_has_its_sentence():
    assert sweeps.rate_words(rates({"none": [None] * 3})) == "Every training diverged."
    text = sweeps.rate_words(rates({"none": [0.9, 0.9, 0.9], "batch": [None] * 3}))
    assert "**Batch norm:** usable none; all diverged." in text


def test_overlapping_seeds_are_not_called_a_difference():
    sweep = Sweep("batch_size", (2, 256), ("none", "batch"))
    apart = {"none": 0.1, "batch": 0.3}
    found = outcomes(sweep, lambda m, v, seed: 0.5 + apart[m] * (v == 256) + 0.05 * seed)
    text = sweeps.size_words(sweep, sweeps.rows(sweep, found))
    assert "At batch size 256 batch norm has the least error, less than no normalization" in text
    assert "At batch size 2 no normalization has the least error, but its seeds overlap" in text
    assert "From 256 images per step down to 2, batch norm loses most: 30.0 points" in text


def test_steps_decide_only_where_the_numbers_turn_round():
    images, updates = (Sweep("batch_size", (2, 256), held=held) for held in sweeps.HELD)
    small_wins = outcomes(images, lambda m, value, seed: 0.9 if value == 2 else 0.5)
    large_wins = outcomes(updates, lambda m, value, seed: 0.5 if value == 2 else 0.9)
    both = {"images": (images, sweeps.rows(images, small_wins))}
    turned = both | {"updates": (updates, sweeps.rows(updates, large_wins))}
    assert "So the number of steps decides" in sweeps.held_words(turned)
    small_too = outcomes(updates, lambda m, value, seed: 0.9 if value == 2 else 0.5)
    same = both | {"updates": (updates, sweeps.rows(updates, small_too))}
    assert "steps decides" not in sweeps.held_words(same)


def test_a_moving_average_arrives_as_the_recursion_says():
    moving = 0.0
    for step in range(1, 30):
        moving = 0.9 * moving + 0.1 * 1.0
        assert sweeps.arrived(0.9, step) == pytest.approx(moving)
    assert sweeps.arrived(1.0, 100) == 0.0
    assert sweeps.arrived(0.0, 1) == 1.0


# ---- files -----------------------------------------------------------------------------------


def test_a_sweep_reads_what_it_writes():
    sweep = Sweep("batch_size", (4, 128), ("batch", "layer"), (3,), held="updates")
    found = outcomes(sweep, lambda method, value, seed: 0.5 if method == "batch" else None)
    back = sweeps.from_content({"origin": {"date": "today"}, **sweeps.to_content(sweep, found)})
    assert (back.sweep, back.outcomes, back.origin) == (sweep, found, {"date": "today"})


@pytest.mark.parametrize("plan", sweeps.PLANS)
def test_a_recorded_sweep_is_whole_and_says_where_it_comes_from(plan):
    recorded = sweeps.recorded(plan)
    assert recorded.sweep == sweeps.PLANS[plan]
    names = {sweeps.name_of(point.config) for point in recorded.sweep.points()}
    assert set(recorded.outcomes) == names
    for one in recorded.outcomes.values():
        assert one.status == "diverged" or 0 <= one.accuracy <= 1
    assert recorded.origin["data"]["name"] == "MNIST"
    assert {"date", "machine", "versions"} <= set(recorded.origin)


def test_recorded_studies_are_those_that_the_page_asks_for():
    studies = sweeps.recorded_study("inference")["studies"]
    configs = [TrainConfig.from_dict(one["config"]) for one in studies]
    assert configs == sweeps.inference_configs()
    views = sweeps.recorded_study("mates")["views"]
    for view in views:
        assert view["pinned"] == sweeps.PINNED
        assert set(view["cloud"]) == {"random", str(sweeps.ONE_CLASS)}
        for sizes in view["cloud"].values():
            assert list(map(int, sizes)) == list(sweeps.MATES_SIZES)
            assert all(np.shape(cloud) == (200, 10) for cloud in sizes.values())


def test_momentum_left_the_recorded_weights_alone():
    by_training = {}
    for one in sweeps.recorded_study("inference")["studies"]:
        config = TrainConfig.from_dict(one["config"])
        training = (config.placement, config.batch_size)
        by_training.setdefault(training, []).append((one["own"], one["recomputed"]))
    assert max(map(len, by_training.values())) == len(sweeps.MOMENTA)
    for same in by_training.values():
        assert all(each == same[0] for each in same)


def test_the_paper_is_set_beside_the_config_itself():
    sweep = sweeps.PLANS["paper"]
    rows = {what: ours for what, _, ours in sweeps.paper_and_ours(sweep, 55_000)}
    assert rows["Optimizer"] == f"plain SGD, learning rate {sweep.base.learning_rate:g}"
    assert rows["Training images"] == "6,000"
    assert rows["Methods"] == "batch, layer"
    other = replace(sweep, base=replace(sweep.base, learning_rate=0.5, train_size=55_000))
    rows = {what: ours for what, _, ours in sweeps.paper_and_ours(other, 1_000)}
    assert "0.5" in rows["Optimizer"]
    assert rows["Training images"] == "1,000"


def test_titles_are_those_of_the_methods():
    assert {sweeps.title(method).lower() for method in METHODS} == {
        method.title.lower() for method in METHODS.values()
    }
