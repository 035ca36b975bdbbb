"""Several methods, or variants of one, side by side: facts, and the report's first two tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from normlib.run import Run
from pages.lab import words
from pages.lab.verdict import Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd


class Comparison(NamedTuple):
    """What finished series say, each by its mean over the seeds that all of them have.

    losses: of the last epoch, in the report's unit; accuracies: of the test, 0 to 1.
    against: the other series -> the loss of `lowest` minus theirs, seed by seed.
    """

    epochs: int
    seeds: int
    losses: dict[str, float]
    accuracies: dict[str, float]
    lowest: str
    highest: str
    best: str
    worst: str
    against: dict[str, Verdict]


def compare(runs: Mapping[str, Sequence[Run]]) -> Comparison | None:
    """Compare the series whose runs all finished; None where there are fewer than two.

    runs: by series, one per seed.
    """
    whole = {
        name: {run.config.seed: run for run in seeds}
        for name, seeds in runs.items()
        if seeds and all(run.status == "finished" for run in seeds)
    }
    shared = sorted(set.intersection(*map(set, whole.values()))) if whole else []
    if len(whole) < 2 or not shared:
        return None
    paired = {name: [seeds[seed] for seed in shared] for name, seeds in whole.items()}
    ends = {name: [run.epochs[-1].report_loss for run in runs] for name, runs in paired.items()}
    losses = {name: float(np.mean(values)) for name, values in ends.items()}
    right = {
        name: float(np.mean([run.test_accuracy for run in runs])) for name, runs in paired.items()
    }
    lowest = min(losses, key=losses.__getitem__)
    return Comparison(
        epochs=len(paired[lowest][0].epochs),
        seeds=len(shared),
        losses=losses,
        accuracies=right,
        lowest=lowest,
        highest=max(losses, key=losses.__getitem__),
        best=max(right, key=right.__getitem__),
        worst=min(right, key=right.__getitem__),
        against={name: verdict(ends[lowest], ends[name]) for name in whole if name != lowest},
    )


# ---- tables, in the form of the report's first two --------------------------------------------


def report_losses(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Loss per epoch in the report's unit, one column per series; several seeds: the mean.

    The report's unit is the sum of the batch means over the number of images: the mean loss over
    the batch size. Columns: Epoch, then the names of the series, as text. Where not every seed
    came so far, the cell says how many did.
    """
    import pandas as pd

    epochs = range(max((len(run.epochs) for seeds in runs.values() for run in seeds), default=0))
    table = {"Epoch": [str(epoch + 1) for epoch in epochs]}
    for name, seeds in runs.items():
        ends = [[one.report_loss for one in run.epochs] for run in seeds]
        reached = ([each[epoch] for each in ends if epoch < len(each)] for epoch in epochs)
        table[words.title(name)] = [_span(values, len(seeds), loss) for values in reached]
    return pd.DataFrame(table)


def accuracy_and_time(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Test accuracy and total time, one column per series, as the report's second table."""
    import pandas as pd

    table = {"": ["Test accuracy", "Total time", "Images per second"]}
    for name, seeds in runs.items():
        right = [run.test_accuracy for run in seeds if run.test_accuracy is not None]
        accuracy = _span(right, len(seeds), lambda share: words.percent(share, 2))
        if len(right) < len(seeds):
            statuses = (one.status for one in seeds if one.test_accuracy is None)
            ends = ", ".join(dict.fromkeys(statuses))
            accuracy = f"{accuracy}, the rest {ends}" if right else ends
        table[words.title(name)] = [
            accuracy,
            f"{np.mean([run.seconds for run in seeds]):.1f} s",
            f"{np.mean([run.images_per_second for run in seeds]):,.0f}",
        ]
    return pd.DataFrame(table)


def _span(values: Sequence[float], seeds: int, text: Callable[[float], str]) -> str:
    """`0.0050 (0.0040–0.0060)`; `…, 2 of 3 seeds` where not all have a value."""
    if not values:
        return "–"
    mean = text(float(np.mean(values)))
    if len(values) > 1:
        mean += f" ({text(min(values))}–{text(max(values))})"
    return mean if len(values) == seeds else f"{mean}, {len(values)} of {seeds} seeds"


def loss(value: float) -> str:
    """`0.0064`; one that exploded in few digits."""
    return f"{value:.4f}" if abs(value) < 1000 else words.rounded(value, 3)
