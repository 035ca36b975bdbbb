"""Several methods, or variants of one, side by side: facts, and two tables.

A loss is the mean cross-entropy per image, as on every axis of the lab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from normlib.config import CONV_FILTERS, PIXELS, TrainConfig
from normlib.run import Run
from pages.lab import sweeps, words
from pages.lab.results import GUESSING
from pages.lab.verdict import Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd


FIRST_KERNEL = 5.6  # times the first kernel, the convolution's outputs have about unit variance


class Comparison(NamedTuple):
    """What finished series say, each by its mean over the seeds that all of them have.

    losses: of the last epoch; accuracies: of the test, 0 to 1. lowest, highest, best and worst:
    every series with that number, as it is shown. against: the other series -> the loss of the
    first `lowest` minus theirs, seed by seed.
    """

    epochs: int
    seeds: int
    losses: dict[str, float]
    accuracies: dict[str, float]
    lowest: tuple[str, ...]
    highest: tuple[str, ...]
    best: tuple[str, ...]
    worst: tuple[str, ...]
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
    ends = {name: [run.epochs[-1].train_loss for run in runs] for name, runs in paired.items()}
    losses = {name: float(np.mean(values)) for name, values in ends.items()}
    right = {
        name: float(np.mean([run.test_accuracy for run in runs])) for name, runs in paired.items()
    }
    first = min(losses, key=losses.__getitem__)
    return Comparison(
        epochs=len(paired[first][0].epochs),
        seeds=len(shared),
        losses=losses,
        accuracies=right,
        lowest=_all(losses, min, loss),
        highest=_all(losses, max, loss),
        best=_all(right, max, _share),
        worst=_all(right, min, _share),
        against={name: verdict(ends[first], ends[name]) for name in whole if name != first},
    )


def _all(
    values: Mapping[str, float],
    end: Callable[[Iterable[float]], float],
    shown: Callable[[float], str],
) -> tuple[str, ...]:
    """Every series whose number reads the same as the one at this end."""
    at = shown(end(values.values()))
    return tuple(name for name, value in values.items() if shown(value) == at)


def survivors(runs: Mapping[str, Sequence[Run]]) -> set[str]:
    """The series whose every seed finished and reads the test digits better than guessing."""
    return {
        name
        for name, seeds in runs.items()
        if seeds and all((run.test_accuracy or 0.0) >= GUESSING for run in seeds)
    }


def facts(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """survivors: as `survivors`. best, worst: the one series with the highest and with the lowest
    accuracy among these; "" where several are level, or fewer than two have one."""
    alive = survivors(runs)
    found = compare({name: seeds for name, seeds in runs.items() if name in alive})
    ends = (found.best, found.worst) if found else ((), ())
    best, worst = (one[0] if len(one) == 1 else "" for one in ends)
    return {"survivors": alive, "best": best, "worst": worst}


def learned(config: TrainConfig) -> int:
    """How many numbers the normalization learns: gamma and beta, or the g of each kernel."""
    method, learn = config.normalization, config.learn_scale_shift
    everywhere = config.placement == "conv and dense"
    width = config.hidden_units if everywhere else 0
    if method == "weight":  # its output layer has a g for each class too
        units = CONV_FILTERS + width + 10 * everywhere
        return units * (config.weight_norm_start != "constant")
    per_position = method in ("layer", "rms")
    each = CONV_FILTERS * (PIXELS if per_position else 1) + width
    return each * (1 if method == "rms" else 2) * learn * (method != "none")


def against(runs: Mapping[str, Sequence[Run]], base: str = "none") -> dict[str, Verdict]:
    """By series: its test accuracy minus that of `base`, seed by seed, in points.

    Of the seeds that finished on both sides; without a series of this name, nothing.
    """
    found = {}
    plain = {run.config.seed: run.test_accuracy for run in runs.get(base, ())}
    for name, seeds in runs.items():
        pairs = [
            (100 * run.test_accuracy, 100 * other)
            for run in seeds
            if run.test_accuracy is not None and (other := plain.get(run.config.seed)) is not None
        ]
        if name != base and pairs:
            found[name] = verdict([own for own, _ in pairs], [other for _, other in pairs])
    return found


def rates(runs: Mapping[str, Sequence[Run]]) -> dict[str, tuple[float, bool]]:
    """By series: the learning rate of its trainings, and whether it was chosen for this series.

    Chosen were those of the methods whose rates are recorded, with the usual first kernel.
    """
    found = {}
    for name, (run, *_) in runs.items():
        config = run.config
        best = sweeps.best_rates(config.placement).get(config.normalization)
        own = config.learning_rate == best and config.first_scale == TrainConfig.first_scale
        found[name] = (config.learning_rate, own)
    return found


# ---- tables, in the form of the report's first two --------------------------------------------


def epoch_losses(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Mean loss per epoch, one column per series; several seeds: their mean.

    Columns: Epoch, then the names of the series, as text. Where not every seed came so far, the
    cell says how many did.
    """
    import pandas as pd

    epochs = range(max((len(run.epochs) for seeds in runs.values() for run in seeds), default=0))
    table = {"Epoch": [str(epoch + 1) for epoch in epochs]}
    for name, seeds in runs.items():
        ends = [[one.train_loss for one in run.epochs] for run in seeds]
        reached = ([each[epoch] for each in ends if epoch < len(each)] for epoch in epochs)
        table[words.title(name)] = [_span(values, len(seeds), loss) for values in reached]
    return pd.DataFrame(table)


def accuracy_and_time(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Test accuracy and total time, one column per series, as the report's second table."""
    import pandas as pd

    table = {"": ["Test accuracy", "Total time", "Images per second"]}
    for name, seeds in runs.items():
        right = [run.test_accuracy for run in seeds if run.test_accuracy is not None]
        accuracy = _span(right, len(seeds), _share)
        if len(right) < len(seeds):
            seeds_of: dict[str, list[str]] = {}
            for run in seeds:
                if run.test_accuracy is None:
                    seeds_of.setdefault(run.status, []).append(str(run.config.seed))
            ends = ", ".join(
                f"{status} with seed {words.listed(own)}" if len(seeds) > 1 else status
                for status, own in seeds_of.items()
            )
            accuracy = f"{accuracy}; {ends}" if right else ends
        table[words.title(name)] = [
            accuracy,
            f"{np.mean([run.seconds for run in seeds]):.1f} s",
            f"{np.mean([run.images_per_second for run in seeds]):,.0f}",
        ]
    return pd.DataFrame(table)


def dense_kernels(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """What became of the dense kernel, of the first seed of each series, and of the units.

    Columns: Method; its length ‖W‖ at the start, after one step, and before the last step that was
    looked at; "η / ‖w‖²", the learning rate over the mean square of a unit's length at the start,
    which is how far a step turns weights whose length normalization undoes; the share of channels
    and of hidden units that are 0 for every probe image at the end.
    """
    import pandas as pd

    rows = []
    for name, (run, *_) in runs.items():
        lengths = [each[1] for each in run.recorded.get("kernel_lengths", ())]
        if len(lengths) < 2:
            continue
        squared = lengths[0] ** 2 / run.config.hidden_units
        rows.append(
            {
                "Method": words.title(name),
                "‖W‖ at the start": words.rounded(lengths[0], 4),
                "After one step": words.rounded(lengths[1], 4),
                "At the end": words.rounded(lengths[-1], 4),
                "η / ‖w‖²": words.rounded(run.config.learning_rate / squared, 3),
                "Dead channels": f"{run.recorded['dead_conv'][-1]:.0%}",
                "Dead hidden units": f"{run.recorded['dead_hidden'][-1]:.0%}",
            }
        )
    return pd.DataFrame(rows)


def _span(values: Sequence[float], seeds: int, text: Callable[[float], str]) -> str:
    """`0.0050 (0.0040–0.0060)`; `…, 2 of 3 seeds` where not all have a value."""
    if not values:
        return "–"
    mean = text(float(np.mean(values)))
    if len(values) > 1:
        # No break within the range: a word joiner on both sides of its dash.
        mean += f" ({text(min(values))}\u2060–\u2060{text(max(values))})"
    return mean if len(values) == seeds else f"{mean}, {len(values)} of {seeds} seeds"


def loss(value: float) -> str:
    """`0.4085`; one that exploded in few digits."""
    return f"{value:.4f}" if abs(value) < 1000 else words.rounded(value, 3)


def _share(value: float) -> str:
    return words.percent(value, 2)
