"""Names, numbers and lists in sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pages.lab import words


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 4, "0"),
        (-0.0, 4, "0"),
        (11 / 3, 4, "3.667"),
        (-1821.69, 4, "−1,822"),
        (999.96, 4, "1,000"),
        (-12.5, 4, "−12.5"),
        (1234.5, 6, "1,234.5"),
        (123456.0, 4, "123,500"),
        (1e6, 4, "1,000,000"),
        (2.5e7, 3, "2.5e7"),
        (-1.234e-5, 2, "−1.2e−5"),
        (2.7e-9, 1, "3e−9"),
    ],
)
def test_a_rounded_number_has_an_exponent_only_where_it_is_shorter(value, digits, text):
    assert words.rounded(value, digits) == text


def test_shares_and_points_have_no_space_no_hyphen_and_no_signed_zero():
    shares = (0.968, -0.0316, -0.0001, 1.0)
    assert [words.percent(share) for share in shares] == ["96.8%", "−3.2%", "0.0%", "100.0%"]
    differences = (0.254, -0.254, -0.001, 0.0)
    told = ["+0.25 points", "−0.25 points", "0.00 points", "0.00 points"]
    assert [words.points(difference) for difference in differences] == told


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("[a](http://e.vi)", "`[a](http://e.vi)`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
    ],
)
def test_what_somebody_typed_is_no_markup(typed, shown):
    assert words.verbatim(typed) == shown


@given(some.floats(min_value=1e-12, max_value=1e12))
def test_a_short_number_reads_back_exactly(value):
    assert float(words.number(value)) == value


def test_numbers_are_written_short():
    values = (1e-8, 0.00025, 0.001, 0.5, 1.0)
    assert [words.number(value) for value in values] == ["1e-8", "2.5e-4", "0.001", "0.5", "1"]


def test_the_minus_of_print_stands_before_numbers_only():
    text = "-3 to -.5, (-2), x = -1e-5, 1e-8; leave-one-out, 5-10, `x[-1]`, 2026-01-02, ?x=-3"
    assert words.minus(text) == (
        "−3 to −.5, (−2), x = −1e−5, 1e−8; leave-one-out, 5-10, `x[-1]`, 2026-01-02, ?x=-3"
    )
