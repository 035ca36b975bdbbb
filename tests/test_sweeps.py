"""Sweeps: their trainings, the facts that are computed of the outcomes, and the shipped numbers."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from normlib.config import TrainConfig
from pages.lab import recorded, sweeps
from pages.lab.sweeps import Outcome, Sweep
from pages.lessons.batch_size_lab import rates_answer, sweep_answer
from pages.lessons.batch_size_lab.sweep import conditions

MNIST = sweeps.MNIST_IMAGES


def outcomes(sweep: Sweep, accuracy) -> dict[TrainConfig, Outcome]:
    """Made-up outcomes: accuracy(method, value, seed), None for one that diverged."""
    found = {}
    for config in sweep.configs():
        value = getattr(config, sweep.along)
        right = accuracy(config.normalization, value, config.seed)
        status = "diverged" if right is None else "finished"
        found[config.only_used()] = Outcome(status, right, 94, 1.0)
    return found


def rows(sweep: Sweep, accuracy) -> list[sweeps.Row]:
    return sweeps.rows(sweep, outcomes(sweep, accuracy))


def test_a_sweep_changes_nothing_but_method_value_and_seed():
    sweep = sweeps.PLANS["rates"]
    expected = [  # seed by seed, so that an interrupted one has whole seeds
        replace(sweep.base, normalization=method, learning_rate=rate, seed=seed)
        for seed in (0, 1)
        for rate in sweeps.RATES
        for method in sweeps.FOUR
    ]
    assert sweep.configs() == expected


def test_equal_images_means_unequal_updates_and_the_reverse():
    images, updates = sweeps.PLANS["images"], sweeps.PLANS["updates"]
    assert sweeps.updates(images, MNIST) == {2: 3000, 4: 1500, 8: 750, 32: 188, 128: 47, 256: 24}
    assert sweeps.updates(updates, MNIST) == dict.fromkeys(sweeps.SIZES, sweeps.UPDATES)
    assert {config.epochs for config in updates.configs()} == {1}


def test_updates_are_equal_only_as_far_as_there_are_images():
    sweep, drawn_digits = sweeps.PLANS["updates"], 11_000
    steps = sweeps.updates(sweep, drawn_digits)
    assert steps == {2: 94, 4: 94, 8: 94, 32: 94, 128: 86, 256: 43}
    text = sweep_answer.held_equal(sweep, drawn_digits)
    assert "94 updates (but 86 at 128 and 43 at 256: there are only 11,000 images)" in text
    assert "images, 188 to 11,000" in text
    told = "94 updates, learning rate 0.01; not equal: images, 188 to 24,064"
    assert sweep_answer.held_equal(sweep, MNIST) == told


def test_equal_rate_per_image_means_a_rate_that_grows_with_the_batch():
    sweep = Sweep("batch_size", sweeps.SIZES, held="rate")
    rates = {one.batch_size: one.learning_rate for one in sweep.configs()}
    assert {rate / size for size, rate in rates.items()} == {0.01 / 64}
    text = sweep_answer.held_equal(sweep, MNIST)
    assert "6,000 images, 1 epoch" in text and "rate, 0.0003125 to 0.04" in text
    assert "updates, 3,000 down to 24" in text


@pytest.mark.parametrize(
    ("placement", "told"),
    [
        ("conv", "2 × 784 positions = 1,568 numbers; a dense layer, not normalized here, would"),
        ("conv and dense", "1,568 numbers, each of the dense layer over 2."),
    ],
)
def test_over_how_many_numbers_a_mean_is_taken(placement, told):
    sweep = Sweep("batch_size", (2, 256), base=replace(sweeps.SMALL, placement=placement))
    assert told in sweep_answer.numbers_per_mean(sweep)


def test_rows_hold_the_mean_and_the_extremes_of_the_seeds():
    sweep = Sweep("batch_size", (4, 8), ("none", "batch"))
    found = outcomes(sweep, lambda method, value, seed: 0.5 + 0.1 * seed)
    picture = sweeps.rows(sweep, found)
    places = [(row.method, row.value) for row in picture]
    assert places == [("none", 4), ("none", 8), ("batch", 4), ("batch", 8)]
    for row in picture:
        assert (row.low, row.mean, row.high) == pytest.approx((0.5, 0.6, 0.7))
    del found[sweep.config("batch", 8, 2).only_used()]
    assert sweeps.rows(sweep, found)[-1].done == 2


def test_a_diverged_seed_is_counted_and_not_averaged():
    sweep = Sweep("learning_rate", (0.1, 3.0), ("none",), (0, 1))
    first, last = rows(sweep, lambda m, value, seed: None if value == 3 or seed else 0.8)
    assert (first.mean, first.done, first.diverged) == (0.8, 2, 1)
    assert (last.done, last.diverged, last.learned) == (2, 2, False)
    assert np.isnan([last.mean, last.low, last.high]).all()


# ---- batch sizes -----------------------------------------------------------------------------


def test_overlapping_seeds_are_not_called_a_difference():
    sweep = Sweep("batch_size", (2, 256), ("none", "batch"))
    apart = {"none": 0.1, "batch": 0.3}
    found = outcomes(sweep, lambda m, v, seed: 0.5 + apart[m] * (v == 256) + 0.05 * seed)
    picture = sweeps.rows(sweep, found)
    assert sweeps.ahead(picture, 256)[1:] == (("none",), ())
    assert sweeps.ahead(picture, 2)[1:] == ((), ("batch",))
    assert sweeps.changes(sweep, picture) == pytest.approx({"none": -0.1, "batch": -0.3})
    text = sweep_answer.answer(sweep, picture, found)
    assert "**At batch size 2** no normalization has the least error, but its seeds overlap" in text
    assert "changes: no normalization −10.0 points; batch norm −30.0 points." in text


def test_each_thing_that_can_be_held_equal_says_who_gains_by_a_small_batch():
    sweep = Sweep("batch_size", (2, 256), ("none", "batch"))
    small = {"images": {"none": 0.9, "batch": 0.9}, "updates": {"none": 0.1, "batch": 0.1}}
    small["rate"] = {"none": 0.9, "batch": 0.3}
    found = {}
    for held, at in small.items():
        one = replace(sweep, held=held)
        found |= outcomes(one, lambda m, value, seed, at=at: at[m] if value == 2 else 0.5)
    text = sweep_answer.answer(sweep, sweeps.rows(sweep, found), found)
    assert text.endswith(
        "**Better at 2 than at 256:** with equal images all; with equal updates none; "
        "with equal rate per image no normalization."
    )
    without = {config: one for config, one in found.items() if config.learning_rate == 0.01}
    assert "rate per image" not in sweep_answer.answer(sweep, sweeps.rows(sweep, found), without)


# ---- learning rates --------------------------------------------------------------------------


def rates(accuracies: dict[str, list[float | None]]) -> tuple[Sweep, list[sweeps.Row]]:
    values = (0.01, 0.1, 1.0)
    sweep = Sweep("learning_rate", values, tuple(accuracies), (0,))
    return sweep, rows(sweep, lambda m, value, seed: accuracies[m][values.index(value)])


def test_usable_is_an_unbroken_row_of_rates_near_the_best():
    _, picture = rates({"none": [0.85, 0.9, 0.2], "batch": [0.9, 0.5, 0.89]})
    found = sweeps.usable(picture)
    assert (found["none"].low, found["none"].high, found["none"].best) == (0.01, 0.1, 0.1)
    assert (found["batch"].low, found["batch"].high) == (0.01, 0.01)
    sweep = Sweep("learning_rate", (0.1, 1.0), ("none",), (0, 1))
    one_diverged = rows(sweep, lambda m, value, seed: None if value == 1 and seed else 0.9)
    assert sweeps.usable(one_diverged)["none"].high == 0.1


@pytest.mark.parametrize(
    ("batch", "ends", "words"),
    [
        ([0.2, 0.88, 0.9], (1, 1), "they begin higher and end higher"),
        ([0.9, 0.2, 0.2], (0, -1), "they end lower"),
        ([0.9, 0.88, 0.2], (0, 0), "they stay the same"),
    ],
)
def test_the_words_follow_the_numbers(batch, ends, words):
    sweep, picture = rates({"none": [0.85, 0.9, 0.2], "batch": batch})
    found = sweeps.usable(picture)
    assert found["batch"].against(found["none"]) == ends
    assert f"with batch norm {words}" in rates_answer.answer(sweep, picture)


def test_the_best_accuracies_are_told_with_their_rates():
    text = rates_answer.answer(*rates({"none": [0.5, 0.6, 0.2], "batch": [0.2, 0.2, 0.9]}))
    assert "30.0 points apart; the best is batch norm, 90.0% at 1." in text


def test_nothing_but_divergence_has_its_sentence():
    assert rates_answer.answer(*rates({"none": [None] * 3})) == "Every training diverged."
    text = rates_answer.answer(*rates({"none": [0.9, 0.9, 0.9], "batch": [None] * 3}))
    assert "batch norm nowhere, all diverged" in text
    assert "with batch norm they vanish" in text


# ---- files -----------------------------------------------------------------------------------


def test_a_sweep_reads_what_it_writes():
    sweep = Sweep("batch_size", (4, 128), ("batch", "layer"), (3,), held="updates")
    found = outcomes(sweep, lambda method, value, seed: 0.5 if method == "batch" else None)
    content = sweeps.to_content(sweep, list(found.values()))
    assert content["sweep"] == asdict(sweep)
    assert sweeps.from_content(sweep, content) == found


@pytest.mark.parametrize("plan", sweeps.PLANS)
def test_a_recorded_sweep_is_whole_and_says_where_it_comes_from(plan):
    sweep, content = sweeps.PLANS[plan], recorded.read(f"sweep-{plan}")
    kept = content["sweep"] | {"base": asdict(TrainConfig.from_dict(content["sweep"]["base"]))}
    assert kept == json.loads(json.dumps(asdict(sweep)))
    outcomes = sweeps.from_content(sweep, content)
    assert set(outcomes) == {config.only_used() for config in sweep.configs()}
    assert set(outcomes) <= set(sweeps.recorded_outcomes())
    for one in outcomes.values():
        assert one.status == "diverged" or 0 <= one.accuracy <= 1


def test_the_paper_is_set_beside_the_config_itself():
    sweep = sweeps.PLANS["paper"]
    table = {what: ours for what, _, ours in conditions(sweep, MNIST)}
    assert table["Optimizer"] == f"plain SGD, learning rate {sweep.base.learning_rate:g}"
    assert table["Training images"] == "6,000"
    assert table["Methods"] == "batch norm, layer norm"
    paper = {what: theirs for what, theirs, _ in conditions(sweep, MNIST)}
    assert paper["Batch norm on"].startswith("all layers")
    assert paper["Layer norm on"] == "all layers but the softmax"
    other = replace(sweep, base=replace(sweep.base, learning_rate=0.5, train_size=55_000))
    table = {what: ours for what, _, ours in conditions(other, 1_000)}
    assert "0.5" in table["Optimizer"]
    assert table["Training images"] == "1,000"


def test_a_picture_names_where_its_own_recording_comes_from():
    for name, plan in sweeps.PLANS.items():
        origin = recorded.read(f"sweep-{name}")["origin"]
        assert sweeps.origin(replace(plan, methods=("batch",), seeds=(0,))) == origin


def test_the_best_rate_is_that_of_the_validation_images():
    assert sweeps.best_rates("conv") == {"none": 0.3, "batch": 0.03, "weight": 0.3, "layer": 0.03}
    assert sweeps.best_rates("conv and dense")["batch"] == 1.0
