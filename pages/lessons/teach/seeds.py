"""Two methods with the same seeds, trained by a whole class: two distributions, and the pairs."""

from __future__ import annotations

from pages.components import charts
from pages.lab import words
from pages.lab.class_runs import Pairs
from pages.lab.verdict import CONFIDENCE
from pages.lessons.compare import differences


def show(found: Pairs | None) -> None:
    """Nothing where no two methods share two seeds."""
    if found is None:
        return
    first, second = found.accuracies
    rows = [
        {"label": words.title(method), "series": "A seed", "value": value}
        for method, by_seed in found.accuracies.items()
        for value in by_seed.values()
    ]
    values = [value for by_seed in found.accuracies.values() for value in by_seed.values()]
    lowest, highest = min(values), max(values)
    room = max(0.01, 0.1 * (highest - lowest))
    setting = (
        f"Learning rate {words.number(found.setting.learning_rate)}, batch size "
        f"{found.setting.batch_size}, {words.count(len(found.verdict.differences), 'seed')}"
    )
    ends = (max(0.0, lowest - room), min(1.0, highest + room))
    dots = charts.dots(rows, "Test accuracy", x_range=ends, percent=True)
    charts.show(dots, f"{setting} · a mark for each seed", "class_seeds")
    charts.show(
        differences.chart({second: found.verdict}, (first, second), base=first),
        f"The same seeds in pairs · line: interval of the mean ({CONFIDENCE:.0%}) · "
        f"{words.title(second)} against {words.in_sentence(first)}: "
        f"{words.points(found.verdict.mean)}, {found.verdict.settled}",
        "class_differences",
    )
