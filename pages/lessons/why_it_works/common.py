"""What the lessons of this page share: a band over steps, and where the numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pages.components import charts, live_sweep
from pages.components.charts import Chart
from pages.lab import recorded, why, words
from pages.lab.verdict import verdict


def bands(
    rows: Sequence[Mapping[str, Any]], y_title: str, y_range: tuple[float, float], log: bool = True
) -> Chart:
    """A line per curve with a band around it. rows: method, step, low, mid, high."""
    last = max(row["step"] for row in rows)
    axes = (rows, "step", "mid", "Step", y_title)
    return charts.tall(charts.curves(*axes, log=log, y_range=y_range, x_range=(0, last)))


def origin(seeds: Sequence[int] = why.SEEDS) -> None:
    told = f"Seeds {listed_seeds(seeds)}."
    live_sweep.mark("recorded", recorded.read("why")["origin"], told)


def listed_seeds(seeds: Sequence[int] = why.SEEDS) -> str:
    """`0 to 9`."""
    return f"{seeds[0]} to {seeds[-1]}"


def paired(first: str, second: str, values: Mapping[str, Sequence[float]], what: str) -> str:
    """`Batch norm's median range is 0.06 times that of no normalization, in every pair.`"""
    ratios = [a / b for a, b in zip(values[first], values[second], strict=True)]
    times = sum(ratios) / len(ratios)
    settled = verdict(values[first], values[second]).settled
    return (
        f"{what}: {words.in_sentence(first)} {words.rounded(times, 2)} times "
        f"{words.in_sentence(second)} ({settled})"
    )


def accuracies(found: Mapping[str, Sequence[float]]) -> str:
    """`no normalization 88.7%, batch norm 91.1%`, means over the seeds."""
    return words.listed(
        f"{words.in_sentence(name)} {sum(each) / len(each):.1%}" for name, each in found.items()
    )
