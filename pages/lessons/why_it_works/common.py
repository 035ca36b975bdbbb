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
    times = why.share(values[first], values[second])
    settled = verdict(values[first], values[second]).settled
    return (
        f"{what}: {words.in_sentence(first)} {words.rounded(times, 2)} times "
        f"{words.in_sentence(second)} ({settled})"
    )


def table(
    medians: Mapping[str, Sequence[float]],
    right: Mapping[str, Sequence[float]],
    smoothest: str = "",
) -> list[dict[str, str]]:
    """Means over the seeds: the median of what the picture shows, the test accuracy, how much more
    that is than without normalization, and the smoothest's median as a share of each."""
    plain, middle, read = right["none"], why.means(medians), why.means(right)
    rows = [
        {
            "": words.title(name),
            "Median over the training": words.rounded(middle[name], 2),
            "Test accuracy": words.percent(read[name]),
            "Against no normalization": words.points(100 * verdict(right[name], plain).mean),
        }
        for name in medians
    ]
    for row, each in zip(rows, medians.values() if smoothest else (), strict=False):
        row[f"{words.title(smoothest)}'s share"] = words.rounded(
            why.share(medians[smoothest], each), 2
        )
    return rows


def accuracies(found: Mapping[str, Sequence[float]]) -> str:
    """`no normalization 88.7%, batch norm 91.1%`, means over the seeds."""
    return words.listed(
        f"{words.in_sentence(name)} {mean:.1%}" for name, mean in why.means(found).items()
    )
