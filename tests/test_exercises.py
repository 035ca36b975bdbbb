"""Every right solution passes, every planted mistake gets its own name."""

import pytest

from normlib.exercises import EXERCISES, MISTAKES, check, mistakes


@pytest.mark.parametrize("name", EXERCISES)
def test_the_truth_passes(name):
    result = check(name, EXERCISES[name].truth)
    assert result.passed, [tick for tick in result.ticks if not tick.passed]


@pytest.mark.parametrize("name", EXERCISES)
def test_each_planted_mistake_gets_its_own_name(name):
    for mistake, function in mistakes.of(name).items():
        result = check(name, function)
        assert not result.passed
        assert result.mistake == MISTAKES[mistake]


def test_there_are_many_mistakes_and_each_belongs_somewhere():
    assert len(MISTAKES) >= 28
    told = {mistake for name in EXERCISES for mistake in mistakes.of(name)}
    assert told | {"E[x²] - E[x]²", "float32 in between", "0 / 0"} == set(MISTAKES)
