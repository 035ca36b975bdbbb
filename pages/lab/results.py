"""Runs as tidy rows and sentences: what the pictures, tables and answers of the app are made of.

A "method" column names the series: a key of `METHODS`, or any other name. Nothing here needs
TensorFlow; pandas is imported late, because on Apple silicon TensorFlow has to come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from normlib.config import METHODS, TrainConfig, reads
from normlib.run import EpochResult, Run

if TYPE_CHECKING:
    import pandas as pd

# Closer than so many points of test accuracy, other first weights may turn two methods round.
CLOSE = 2.0
GUESSING = 0.15  # a test accuracy below: one digit in ten is right by chance
SMOOTHED_SHARE, SMOOTHED_LEAST, MOST_POINTS = 0.04, 5, 300
# In words, how a setting is called in the name of a curve.
_WORDS = {
    "batch_size": "batch {}",
    "learning_rate": "learning rate {:g}",
    "epsilon": "epsilon {:g}",
    "momentum": "momentum {:g}",
    "epochs": "{} epochs",
    "hidden_units": "{} hidden units",
    "train_size": "{:,} images",
    "seed": "seed {}",
    "ghost_batches": "{} ghost batches",
    "groups": "{} groups",
    "weight_norm_start": "start: {}",
}
_FLAGS = {
    "placement": {"conv": "convolution only", "conv and dense": "dense layer too"},
    "learn_scale_shift": {True: "gamma and beta learned", False: "gamma and beta fixed"},
    "inference_statistics": {"moving": "moving statistics", "batch": "the test batch's own"},
    "center": {True: "mean subtracted", False: "mean left in"},
    "scale": {True: "divided by the root", False: "not divided"},
    "position": {"before ReLU": "before ReLU", "after ReLU": "after ReLU"},
}


class Watched(Protocol):
    """What a run and a snapshot of one under way have in common."""

    config: TrainConfig
    losses: Sequence[float]
    epochs: Sequence[EpochResult]
    recorded: Mapping[str, Sequence]


# ---- curves ----------------------------------------------------------------------------------


def losses(runs: Mapping[str, Watched]) -> pd.DataFrame:
    """Loss per step. Columns: method, step (from 1), loss."""
    return _rows(
        ("method", "step", "loss"),
        (
            (name, step, loss)
            for name, run in runs.items()
            for step, loss in enumerate(run.losses, start=1)
        ),
    )


def loss_bands(runs: Mapping[str, Sequence[Watched]]) -> pd.DataFrame:
    """Smoothed loss over several seeds. Columns: method, step, low, mid, high.

    mid is the mean over the seeds, low and high the smallest and the largest, up to the last step
    that all of them have reached.
    """
    rows: list[tuple] = []
    for name, seeds in runs.items():
        reached = min((len(run.losses) for run in seeds), default=0)
        if reached:
            smooth = np.array([smoothed(run.losses[:reached]) for run in seeds])
            shown = np.linspace(0, reached - 1, min(reached, MOST_POINTS)).round().astype(int)
            values = (smooth.min(0), smooth.mean(0), smooth.max(0))
            rows += zip(
                [name] * len(shown), shown + 1, *(value[shown] for value in values), strict=True
            )
    return _rows(("method", "step", "low", "mid", "high"), rows)


def smoothed(values: Sequence[float]) -> np.ndarray:
    """The mean over the last 4 % of the steps (5 at least), over fewer at the start."""
    values = np.asarray(values, float)
    window = max(SMOOTHED_LEAST, int(len(values) * SMOOTHED_SHARE))
    sums = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return (sums[ends] - sums[starts]) / (ends - starts)


def accuracies(runs: Mapping[str, Watched]) -> pd.DataFrame:
    """Validation accuracy per epoch. Columns: method, epoch, accuracy (0 to 1)."""
    return _rows(
        ("method", "epoch", "accuracy"),
        (
            (name, result.epoch, result.validation_accuracy)
            for name, run in runs.items()
            for result in run.epochs
        ),
    )


def accuracy_bands(runs: Mapping[str, Sequence[Watched]]) -> pd.DataFrame:
    """Validation accuracy over several seeds. Columns: method, epoch, low, mid, high."""
    rows = []
    for name, seeds in runs.items():
        for results in zip(*(run.epochs for run in seeds), strict=False):
            values = [result.validation_accuracy for result in results]
            rows.append((name, results[0].epoch, min(values), float(np.mean(values)), max(values)))
    return _rows(("method", "epoch", "low", "mid", "high"), rows)


# ---- what was recorded on the probe images ---------------------------------------------------


def percentiles(runs: Mapping[str, Watched], unit: str) -> pd.DataFrame:
    """15th, 50th and 85th percentile of one unit's input to its ReLU.

    unit: "conv_input" or "hidden_input". Columns: method, step, low, mid, high.
    """
    return _rows(
        ("method", "step", "low", "mid", "high"),
        (
            (name, step, *values)
            for name, run in runs.items()
            for step, values in _recorded(run, unit)
        ),
    )


def drift(runs: Mapping[str, Watched], unit: str) -> dict[str, float]:
    """How far the median wandered over training, in units of the spread between 15 and 85 %.

    The spread is the median one of the run, so that a method is not judged by its scale.
    """
    moved = {}
    for name, run in runs.items():
        values = np.array([values for _, values in _recorded(run, unit)])
        if len(values):
            spread = float(np.median(values[:, 2] - values[:, 0]))
            if spread > 0:
                moved[name] = float(np.ptp(values[:, 1])) / spread
    return moved


def dead_units(runs: Mapping[str, Watched], layer: str) -> pd.DataFrame:
    """The share of units that are 0 for every probe image. layer: "conv" or "hidden".

    Columns: method, step, share (0 to 1).
    """
    return _rows(
        ("method", "step", "share"),
        (
            (name, step, share)
            for name, run in runs.items()
            for step, share in _recorded(run, f"dead_{layer}")
        ),
    )


def gradient_norms(run: Watched) -> pd.DataFrame:
    """The length of the loss's gradient in each layer's kernel. Columns: method, step, norm."""
    layers = ("Convolution", "Dense layer", "Output layer")
    return _rows(
        ("method", "step", "norm"),
        (
            (layer, step, norms[index])
            for index, layer in enumerate(layers)
            for step, norms in _recorded(run, "gradient_norms")
            if norms[index] > 0
        ),
    )


def moving_statistics(run: Watched, statistic: str, channel: int) -> pd.DataFrame:
    """The moving statistic of a channel beside the batch's own. statistic: "mean", "variance".

    Columns: method ("Moving", "The batch's own"), step, value.
    """
    names = {"The batch's own": f"batch_{statistic}", "Moving": f"moving_{statistic}"}
    return _rows(
        ("method", "step", "value"),
        (
            (name, step, values[channel])
            for name, key in names.items()
            for step, values in _recorded(run, key)
        ),
    )


def moving_distance(run: Watched) -> tuple[float, float]:
    """How far the moving means are from the batch's, in the batch's standard deviations.

    Root mean square over the channels; at the first and at the last recorded step.
    """
    distances = []
    for index in (0, -1):
        moving, batch = (np.array(run.recorded[f"{kind}_mean"][index]) for kind in _MOVING)
        variance = np.array(run.recorded["batch_variance"][index])
        distances.append(float(np.sqrt(np.mean((moving - batch) ** 2 / (variance + 1e-12)))))
    return distances[0], distances[1]


_MOVING = ("moving", "batch")


def _recorded(run: Watched, name: str) -> Iterable[tuple[int, Any]]:
    return zip(run.recorded.get("step", ()), run.recorded.get(name, ()), strict=False)


# ---- mistakes --------------------------------------------------------------------------------


def confusion(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How often each digit was read as each. Returns (10, 10), true digit by read digit."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels.astype(int), predictions.astype(int)), 1)
    return counts


def misread(predictions: np.ndarray, labels: np.ndarray, true: int, read: int) -> np.ndarray:
    """Where a digit was read as another: (count,) of indices."""
    return np.flatnonzero((labels == true) & (predictions == read))


def frequent_mistakes(counts: np.ndarray, most: int = 5) -> list[tuple[int, int, int]]:
    """The most frequent mistakes: (true digit, read digit, how often), the worst first."""
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [(int(i), int(j), int(wrong[i, j])) for i, j in pairs if wrong[i, j]]


def outcome(run: Run) -> str:
    """What became of one training, in sentences."""
    if not run.losses:
        return run.message
    curve = smoothed(run.losses)
    first, last, peak = run.losses[0], float(curve[-1]), float(curve.max())
    sentences = [run.message] if run.message else []
    if run.status == "diverged":
        sentences.append(
            "The numbers grew beyond what float32 can hold. A smaller learning rate, or another "
            "normalization, may keep them in bounds."
        )
        return " ".join(sentences)
    over = f" by way of {peak:,.0f}" if peak > 10 * max(first, last, np.log(10)) else ""
    sentences.append(
        f"In {_count(len(run.losses), 'step')} the loss went from {first:,.2f}{over} to "
        f"{last:,.2f} (guessing gives 2.30)."
    )
    if run.test_accuracy is not None and run.test_accuracy < GUESSING:
        sentences.append(
            f"Of the test images {run.test_accuracy:.2%} are read correctly, as by guessing: the "
            "network has learned nothing."
        )
    elif run.test_accuracy is not None:
        wrong = 1 - run.test_accuracy
        one_in = f", one in {1 / wrong:,.0f} is misread" if 0 < wrong < 0.5 else ""
        sentences.append(f"Of the test images {run.test_accuracy:.2%} are read correctly{one_in}.")
    return " ".join(sentences)


def moving_words(run: Run) -> str:
    """How near the moving statistics have come, in sentences; batch norm only."""
    first, last = moving_distance(run)
    momentum, steps = run.config.momentum, len(run.losses)
    kept = momentum**steps
    share = f"{kept:.2%}" if kept >= 1e-4 else "less than 0.01%"
    return (
        f"The moving means are {last:.2f} standard deviations from those of the probe images, "
        f"after {first:.2f} at the first look. With momentum {momentum:g}, {share} of the start "
        f"value is left after {_count(steps, 'step')}."
    )


# ---- tables, in the form of the report's first two --------------------------------------------


def report_losses(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Loss per epoch in the report's unit, one column per series; several seeds: the mean.

    The report's unit is the sum of the batch means over the number of images: the mean loss over
    the batch size. Columns: Epoch, then the names of the series, as text with four digits.
    """
    epochs = max((len(run.epochs) for seeds in runs.values() for run in seeds), default=0)
    table: dict[str, list[str]] = {"Epoch": [str(epoch + 1) for epoch in range(epochs)]}
    for name, seeds in runs.items():
        table[title(name)] = [
            _span([run.epochs[epoch].report_loss for run in seeds if epoch < len(run.epochs)])
            for epoch in range(epochs)
        ]
    return _frame(table)


def _span(values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.4f}–{max(values):.4f})"


def accuracy_and_time(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Test accuracy and total time, one column per series, as the report's second table."""
    table = {"": ["Test accuracy", "Total time", "Images per second"]}
    for name, seeds in runs.items():
        right = [100 * run.test_accuracy for run in seeds if run.test_accuracy is not None]
        accuracy = f"{np.mean(right):.2f}%" if right else _ending(seeds)
        if len(right) > 1:
            accuracy += f" ({min(right):.2f}–{max(right):.2f})"
        table[title(name)] = [
            accuracy,
            f"{np.mean([run.seconds for run in seeds]):.1f} s",
            f"{np.mean([run.images_per_second for run in seeds]):,.0f}",
        ]
    return _frame(table)


def _ending(seeds: Sequence[Run]) -> str:
    return ", ".join(dict.fromkeys(run.status for run in seeds)) or "–"


def verdict(runs: Mapping[str, Sequence[Run]]) -> str:
    """What the result says, and how little that is: computed sentences.

    runs: by series, one per seed. A difference counts only where every seed of one series lies
    on the same side of every seed of the other; with one seed, where they lie `CLOSE` points of
    accuracy apart.
    """
    whole = {
        name: list(seeds)
        for name, seeds in runs.items()
        if seeds and all(run.status == "finished" for run in seeds)
    }
    sentences = [
        f"{title(name)}{f', seed {run.config.seed}' * (len(seeds) > 1)}: {run.message}"
        for name, seeds in runs.items()
        for run in seeds
        if run.status != "finished" and run.message
    ]
    if len(whole) < 2:
        return " ".join(sentences) or "One curve says nothing about the others."
    final = {name: [run.epochs[-1].report_loss for run in seeds] for name, seeds in whole.items()}
    right = {name: [100 * run.test_accuracy for run in seeds] for name, seeds in whole.items()}
    low, high = _ends(final)
    most, least = _ends(right)[::-1]
    best = max(map(max, right.values()))
    if best < 100 * GUESSING:
        guess = f"None learned: the best reads {best:.2f}% of the test images, as guessing does."
        return " ".join([guess, *sentences])
    epochs = len(next(iter(whole.values()))[0].epochs)
    sentences = [
        f"After {_count(epochs, 'epoch')}, **{title(low)}** has the lowest loss "
        f"({np.mean(final[low]):.4f} in the report's unit) and **{title(high)}** the highest "
        f"({np.mean(final[high]):.4f}).",
        f"Of the test images, **{title(most)}** reads {np.mean(right[most]):.2f}% correctly, "
        f"**{title(least)}** {np.mean(right[least]):.2f}%.",
        *sentences,
    ]
    count = min(map(len, whole.values()))
    if count == 1:
        gap = np.mean(right[most]) - np.mean(right[least])
        if gap < CLOSE:
            tested = "but one seed proves little: other first weights would move these numbers too"
        else:
            tested = f"which is large; {_between(right, most)}"
        sentences.append(f"The gap is {gap:.2f} points, {tested}.")
    else:
        sentences.append(_separated(final, low, count))
    return " ".join(sentences)


def _between(right: Mapping[str, Sequence[float]], most: str) -> str:
    """Which series one seed cannot tell from the best."""
    best = np.mean(right[most])
    near = [name for name in right if name != most and best - np.mean(right[name]) < CLOSE]
    if not near:
        return "no other comes near the best"
    return f"one seed does not tell {_lower(most)} from {_list(map(_lower, near))}"


def _separated(final: Mapping[str, Sequence[float]], low: str, seeds: int) -> str:
    """Which series the best one beats with every seed."""
    others = [name for name in final if name != low]
    beaten = [name for name in others if max(final[low]) < min(final[name])]
    close = [name for name in others if name not in beaten]
    parts = []
    if beaten:
        parts.append(
            f"With each of the {seeds} seeds {_lower(low)} ends below {_list(map(_lower, beaten))}"
        )
    if close:
        parts.append(
            f"its range overlaps that of {_list(map(_lower, close))}, so {seeds} seeds do not "
            "tell which is better"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _ends(values: Mapping[str, Sequence[float]]) -> tuple[str, str]:
    """The series with the smallest mean and that with the largest."""
    means = {name: float(np.mean(each)) for name, each in values.items()}
    return min(means, key=means.__getitem__), max(means, key=means.__getitem__)


# ---- names -----------------------------------------------------------------------------------


def title(name: str) -> str:
    """The series as a table heads it."""
    return METHODS[name].title if name in METHODS else name


def _lower(name: str) -> str:
    words = title(name)
    return words if words[:3] in ("RMS", "Ten") else words[0].lower() + words[1:]


def describe(config: TrainConfig, base: TrainConfig | None = None) -> str:
    """The name of a curve: its method, and each setting that is not that of `base`.

    base: the default settings with as many images and epochs, unless given.
    """
    base = base or TrainConfig(train_size=config.train_size, epochs=config.epochs)
    words = [title(config.normalization)]
    for name, value in asdict(config).items():
        told = reads(config.normalization, name) and name != "normalization"
        if told and value != getattr(base, name):
            words.append(_FLAGS[name][value] if name in _FLAGS else _WORDS[name].format(value))
    return ", ".join(words)


def surgery(config: TrainConfig, change: str) -> TrainConfig:
    """The same training with one change; ValueError where it does not go with the settings.

    change: "center", "scale" (only that half of normalizing), "fixed" (no gamma, no beta),
    "after" (the other side of ReLU), "ghost" (each batch in four parts).
    """
    changes: dict[str, Any] = {
        "center": {"center": True, "scale": False},
        "scale": {"center": False, "scale": True},
        "fixed": {"learn_scale_shift": False},
        "after": {"position": "after ReLU"},
        "ghost": {"ghost_batches": 4},
    }[change]
    return replace(config, **changes)


SURGERY = {
    "center": "Center only",
    "scale": "Scale only",
    "fixed": "No gamma and beta",
    "after": "After ReLU",
    "ghost": "4 ghost batches",
}


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)


def _rows(columns: Sequence[str], rows: Iterable[Sequence]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns))


def _frame(columns: Mapping[str, Sequence]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns)
