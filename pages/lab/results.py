"""Runs as tidy rows and facts: what the pictures and answers of the app are made of.

A "method" column names the series: a key of `METHODS`, or any other name. Nothing here needs
TensorFlow; pandas is imported late, because on Apple silicon TensorFlow has to come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from normlib.config import TrainConfig
from normlib.run import Run
from pages.lab.experiment import LIVE, Snapshot

if TYPE_CHECKING:
    import pandas as pd

GUESSING = 0.15  # a test accuracy below: one digit in ten is right by chance
SMOOTHED_SHARE, SMOOTHED_LEAST = 0.04, 5
MOST_POINTS = 400  # a line on a screen shows no more

Watched = Run | Snapshot


def grade(run: Run) -> str | None:
    """How much of the test a run reads: "diverged", "guessing", "some" (less than 80 %), "most"
    (less than 95 %) or "nearly all"; None where it was stopped."""
    right = run.test_accuracy
    if right is None:
        return "diverged" if run.status == "diverged" else None
    bounds = {GUESSING: "guessing", 0.8: "some", 0.95: "most"}
    return next((name for bound, name in bounds.items() if right < bound), "nearly all")


# ---- curves ----------------------------------------------------------------------------------


class Curve(NamedTuple):
    """A loss curve as a screen shows it: at most `MOST_POINTS` steps, the last among them."""

    steps: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray


def curve(losses: Sequence[float], steps: int | None = None) -> Curve:
    """The curve of the first `steps` losses (all, if None), one per step.

    It is thinned before anything is built of it.
    """
    count = len(losses) if steps is None else steps
    values = np.fromiter(islice(losses, count), float, count)
    shown = np.linspace(0, len(values) - 1, min(len(values), MOST_POINTS)).round().astype(int)
    return Curve(shown + 1, values[shown], _smoothed(values, shown))


def shared_length(steps: int) -> int:
    """`steps` rounded down by at most 1 %, so that all who watch a training read the same part."""
    unit = 1 << max(0, steps.bit_length() - 8)
    return steps - steps % unit


def _smoothed(values: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """At each index shown the mean over the last 4 % of the steps (5 at least), over fewer at the
    start. Each window is summed by itself, so that a spike leaves no trace after it."""
    window = max(SMOOTHED_LEAST, int(len(values) * SMOOTHED_SHARE))
    ends = shown + 1
    starts = np.maximum(0, ends - window)
    edges = np.column_stack([starts, ends]).ravel()
    sums = np.add.reduceat(np.append(values, 0.0), edges)[::2] if len(edges) else np.zeros(0)
    return sums / (ends - starts)


def losses(curves: Mapping[str, Curve]) -> pd.DataFrame:
    """Loss per step. Columns: method, step (from 1), loss, smoothed."""
    columns = ("step", "loss", "smoothed")
    return _stacked(columns, dict(curves))


def loss_bands(seeds: Mapping[str, Sequence[Curve]]) -> pd.DataFrame:
    """Smoothed loss over several seeds. Columns: method, step, low, mid, high.

    seeds: for each series curves of one length. mid is the mean over the seeds, low and high are
    the smallest and the largest.
    """
    spread = (np.min, np.mean, np.max)
    series = {
        name: (curves[0].steps, *(of([one.smoothed for one in curves], axis=0) for of in spread))
        for name, curves in seeds.items()
        if curves
    }
    return _stacked(("step", "low", "mid", "high"), series)


def accuracies(runs: Mapping[str, Watched]) -> pd.DataFrame:
    """Validation accuracy per epoch. Columns: method, epoch, accuracy (0 to 1)."""
    rows = (
        (name, result.epoch, result.validation_accuracy)
        for name, run in runs.items()
        for result in run.epochs
    )
    return _rows(("method", "epoch", "accuracy"), rows)


def accuracy_bands(runs: Mapping[str, Sequence[Watched]]) -> pd.DataFrame:
    """Validation accuracy over several seeds. Columns: method, epoch, low, mid, high, seeds.

    A training under way holds the others of its series up; one that ended early does not, and is
    missing among the `seeds` of the later epochs.
    """
    rows = []
    for name, all_seeds in runs.items():
        reached = [len(run.epochs) for run in all_seeds if run.status in LIVE]
        last = min(reached, default=max((len(run.epochs) for run in all_seeds), default=0))
        for epoch in range(last):
            values = [
                run.epochs[epoch].validation_accuracy
                for run in all_seeds
                if len(run.epochs) > epoch
            ]
            spread = (min(values), float(np.mean(values)), max(values))
            rows.append((name, epoch + 1, *spread, len(values)))
    return _rows(("method", "epoch", "low", "mid", "high", "seeds"), rows)


# ---- what was recorded on the probe images ---------------------------------------------------


def percentiles(runs: Mapping[str, Watched], layer: str, unit: int | None = None) -> pd.DataFrame:
    """What ReLU gets while networks train. Columns: method, step, low, mid, high.

    layer: "conv" or "hidden". unit: the 15th, 50th and 85th percentile of this one over the probe
    images; None for the quartiles, over all units, of their medians.
    """
    rows = []
    for name, run in runs.items():
        for step, triples in _recorded(run, f"{layer}_units"):
            of_units = np.array(triples)  # (3, units)
            shown = np.percentile(of_units[1], (25, 50, 75)) if unit is None else of_units[:, unit]
            rows.append((name, step, *shown.tolist()))
    return _rows(("method", "step", "low", "mid", "high"), rows)


def drift(runs: Mapping[str, Watched], layer: str) -> dict[str, np.ndarray]:
    """How far the median of each unit wandered over training, in widths of its band.

    A band reaches from 15 to 85 %; its width is the median one of the run, so that a method is not
    judged by its scale. Returns by method (units,), without units that have no width.
    """
    moved = {}
    for name, run in runs.items():
        values = np.array([triples for _, triples in _recorded(run, f"{layer}_units")])
        if len(values):
            width = np.median(values[:, 2] - values[:, 0], axis=0)
            wandered = np.ptp(values[:, 1], axis=0)
            moved[name] = wandered[width > 0] / width[width > 0]
    return moved


def dead_units(runs: Mapping[str, Watched], layer: str) -> pd.DataFrame:
    """The share of units that are 0 for every probe image. layer: "conv" or "hidden".

    Columns: method, step, share (0 to 1).
    """
    rows = ((name, *row) for name, run in runs.items() for row in _recorded(run, f"dead_{layer}"))
    return _rows(("method", "step", "share"), rows)


LAYERS = ("Convolution", "Dense layer", "Output layer")


def by_layer(run: Watched, name: str) -> pd.DataFrame:
    """What was recorded of each layer's kernel. Columns: method (the layer), step, value.

    name: "gradient_norms", of the loss's gradient; "updates", how far a step moved the kernel,
    ‖Δw‖ / ‖w‖; "kernel_lengths", ‖w‖ before that step.
    """
    rows = (
        (layer, step, values[index])
        for index, layer in enumerate(LAYERS)
        for step, values in _recorded(run, name)
        if values[index] > 0
    )
    return _rows(("method", "step", "value"), rows)


def used_statistics(config: TrainConfig) -> tuple[str, ...]:
    """Which moving statistics a batch norm normalizes with at the end.

    "mean", and "variance", or "mean square" where the mean stays in; none of what a half of the
    normalization that is switched off would need. A run records both square ones as "variance".
    """
    squares = ("variance" if config.center else "mean square",) if config.scale else ()
    return ("mean",) * config.center + squares


def moving_statistics(run: Watched, statistic: str, channel: int) -> pd.DataFrame:
    """The moving statistic of a channel beside the batch's own. statistic: of `used_statistics`.

    Columns: method ("Moving", "The batch's own"), step, value.
    """
    kept = "mean" if statistic == "mean" else "variance"
    rows = (
        (name, step, values[channel])
        for name, kind in (("The batch's own", "batch"), ("Moving", "moving"))
        for step, values in _recorded(run, f"{kind}_{kept}")
    )
    return _rows(("method", "step", "value"), rows)


def moving_distance(run: Watched) -> tuple[float, float]:
    """How far the moving means are from the batch's, in the batch's standard deviations.

    Root mean square over the channels; at the first and at the last recorded step.
    """
    moving, batch, variance = (
        np.array(run.recorded[name])[[0, -1]]
        for name in ("moving_mean", "batch_mean", "batch_variance")
    )
    first, last = np.sqrt(np.mean((moving - batch) ** 2 / (variance + 1e-12), axis=1))
    return float(first), float(last)


def _recorded(run: Watched, name: str) -> Iterable[tuple]:
    """(step, what was recorded then), ..."""
    return zip(run.recorded.get("step", ()), run.recorded.get(name, ()), strict=False)


# ---- mistakes --------------------------------------------------------------------------------


def confusion(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How often each digit was read as each. Returns (10, 10), true digit by read digit."""
    pairs = 10 * labels.astype(int) + predictions
    return np.bincount(pairs, minlength=100).reshape(10, 10)


def misread(predictions: np.ndarray, labels: np.ndarray, true: int, read: int) -> np.ndarray:
    """Where a digit was read as another: (count,) of indices."""
    return np.flatnonzero((labels == true) & (predictions == read))


def frequent_mistakes(counts: np.ndarray, most: int = 5) -> list[tuple[int, int, int]]:
    """The most frequent mistakes: (true digit, read digit, how often), the worst first."""
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [(int(i), int(j), int(wrong[i, j])) for i, j in pairs if wrong[i, j]]


# ---- how it went -----------------------------------------------------------------------------


class Course(NamedTuple):
    """How the loss went: its first value, its smoothed peak and end, and whether it exploded."""

    first: float
    peak: float
    last: float

    @property
    def exploded(self) -> bool:
        """Whether it was more than ten times as high as at either end, and as guessing is."""
        return self.peak > 10 * max(self.first, self.last, float(np.log(10)))


def course(run: Run) -> Course:
    """How the loss of a run with at least one step went."""
    smooth = curve(run.losses).smoothed
    return Course(run.losses[0], float(smooth.max()), float(smooth[-1]))


# ---- rows ------------------------------------------------------------------------------------


def _stacked(columns: Sequence[str], series: Mapping[str, Sequence[np.ndarray]]) -> pd.DataFrame:
    """The columns of all series one below the other, "method" before them."""
    import pandas as pd

    parts = [
        pd.DataFrame({"method": name, **dict(zip(columns, one, strict=True))})
        for name, one in series.items()
    ]
    empty = pd.DataFrame(columns=["method", *columns])
    return pd.concat(parts, ignore_index=True) if parts else empty


def _rows(columns: Sequence[str], rows: Iterable[Sequence]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns))
