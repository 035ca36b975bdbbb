"""Scripts draw one at a time, in the order in which they came, and nobody waits for a waiter."""

import threading

import pytest

from pages.components import turns
from pages.lab import holds

PATIENCE = 10.0


def in_line(work) -> threading.Thread:
    """Do it in a thread that has taken its place behind those who wait already."""
    before = len(turns._line)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    for _ in range(1000):
        if len(turns._line) > before:
            return thread
        threading.Event().wait(PATIENCE / 1000)
    raise AssertionError("It never came.")


def test_one_at_a_time_in_the_order_of_coming():
    drawing, most, order = [], [], []

    def draw(number: int) -> None:
        with turns.take():
            drawing.append(number)
            most.append(len(drawing))
            order.append(number)
            drawing.remove(number)

    with turns.take():
        threads = [in_line(lambda number=number: draw(number)) for number in range(8)]
    for thread in threads:
        thread.join(PATIENCE)
    assert order == list(range(8))
    assert set(most) == {1}


def test_who_waits_for_something_else_lets_others_draw():
    drawn = threading.Event()

    def draw() -> None:
        with turns.take():
            drawn.set()

    with turns.take():
        other = in_line(draw)
        assert not drawn.is_set()
        with turns.let_others():
            assert drawn.wait(PATIENCE)
        assert turns._holds()
    other.join(PATIENCE)
    assert not turns._holds()


def test_a_turn_within_a_turn_is_the_same_one_and_an_error_gives_it_back():
    with pytest.raises(KeyboardInterrupt), turns.take(), turns.take():
        raise KeyboardInterrupt
    assert not turns._line
    with turns.let_others():  # without a turn there is nothing to give up
        assert not turns._holds()
    assert not turns._line


def test_the_longest_time_that_a_turn_is_held_is_noted_by_cause(monkeypatch):
    clock = iter([10.0, 10.5, 20.0, 20.25, 30.0, 30.2, 40.0, 40.1])
    monkeypatch.setattr(turns.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(holds, "_longest", {})
    with turns.take("page train"), turns.let_others():  # what it does meanwhile holds nobody up
        pass
    for _ in range(2):
        with turns.take("watching"), turns.take("page train"):
            pass
    assert holds.longest() == pytest.approx({"page train": 0.5, "watching": 0.2})
