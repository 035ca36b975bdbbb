"""The one verdict on two methods: what it says of chance, of a difference and of none."""

from itertools import permutations

import numpy as np
import pytest

from pages.lab.verdict import quantile, verdict


@pytest.mark.parametrize(
    ("freedom", "confidence", "known"),  # from a printed table of Student's t
    [(1, 0.95, 12.706), (2, 0.95, 4.303), (2, 0.98, 6.965), (10, 0.98, 2.764), (30, 0.95, 2.042)],
)
def test_the_quantile_is_students(freedom, confidence, known):
    assert quantile(freedom, confidence) == pytest.approx(known, abs=1e-3)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("kind", ["standard_normal", "uniform", "standard_exponential", "counts"])
def test_equal_methods_are_told_apart_in_at_most_5_of_100(seeds, kind):
    rng = np.random.default_rng(0)
    told_apart = 0
    for _ in range(1_000):
        start = rng.normal(size=seeds)  # what both share with their seed
        noise = (
            rng.binomial(10_000, 0.96, size=(2, seeds)) / 100
            if kind == "counts"
            else getattr(rng, kind)(size=(2, seeds))
        )
        told_apart += verdict(*(start + noise)).differs
    assert told_apart <= 50


def test_a_steady_difference_is_settled_where_the_seeds_alone_differ_by_more():
    one, other = [94.0, 96.0, 95.0], [93.5, 95.4, 94.45]
    found = verdict(one, other)
    assert found.differences == pytest.approx((0.5, 0.6, 0.55))
    assert found.mean == pytest.approx(0.55)
    assert found.low == pytest.approx(0.55 - 5.643 * 0.05 / 3**0.5, abs=1e-4)
    assert found.high == pytest.approx(0.55 + 5.643 * 0.05 / 3**0.5, abs=1e-4)
    assert (found.status, found.settled) == ("differs", "in every pair")
    assert verdict(other, one).status == "differs"
    assert verdict(other, one).high == -found.low


@pytest.mark.parametrize(
    ("one", "margin", "status", "settled"),
    [
        ([0.24, -0.03, 0.34], 0.2, "not settled", "in 2 of 3 pairs: not settled"),
        ([1.3, 0.1, 0.4], 0.2, "not settled", "in every pair, too few to settle it"),
        ([0.01, -0.01, 0.02], 0.2, "level", "level within ±0.2"),
        ([0.0, 0.0, 0.0], 0.0, "level", "no difference"),
        ([0.3, 0.3, 0.3], 0.2, "differs", "in every pair"),
        ([5.0, 5.0], 0.2, "not settled", "in every pair, too few to settle it"),
        ([5.0], 0.2, "not settled", "in the one pair, too few to settle it"),
    ],
)
def test_what_is_said(one, margin, status, settled):
    found = verdict(one, [0.0] * len(one), margin)
    assert (found.status, found.settled) == (status, settled)


def test_the_order_of_the_seeds_changes_nothing():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 5))
    wanted = verdict(one, other)
    for order in permutations(range(5)):
        found = verdict(one[list(order)], other[list(order)])
        assert (found.mean, found.low, found.high) == (wanted.mean, wanted.low, wanted.high)
        assert sorted(found.differences) == sorted(wanted.differences)


def test_other_seeds_are_no_pairs():
    with pytest.raises(ValueError, match="zip"):
        verdict([1.0, 2.0, 3.0], [1.0, 2.0])
