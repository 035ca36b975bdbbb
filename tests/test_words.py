"""Names, numbers and lists in sentences."""

import pytest

from pages.lab import words


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 4, "0"),
        (-0.0, 4, "0"),
        (11 / 3, 4, "3.667"),
        (-1821.69, 4, "−1822"),
        (123456.0, 4, "123500"),
        (1e6, 4, "1000000"),
        (2.5e7, 3, "2.5e7"),
        (-1.234e-5, 2, "−1.2e−5"),
        (2.7e-9, 1, "3e−9"),
    ],
)
def test_a_rounded_number_has_an_exponent_only_where_it_is_shorter(value, digits, text):
    assert words.rounded(value, digits) == text


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
