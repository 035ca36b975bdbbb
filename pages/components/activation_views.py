"""What a view of the activations shows, made once for everybody, and ahead of the sliders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from normlib.config import TrainConfig
from pages.components import activation_charts, activation_words, activations, ahead, charts, server
from pages.components.activations import Asked
from pages.components.control_table import EPSILONS

if TYPE_CHECKING:
    import pyarrow as pa

    from pages.components.charts import Chart

Configs = Mapping[str, TrainConfig]


class Histograms(NamedTuple):
    chart: Chart
    dead: dict[str, tuple[int, int]]  # by method: how many units of how many
    answer: str
    table: pa.Table


class Channels(NamedTuple):
    chart: Chart
    answer: str


def histograms(configs: Configs, epsilon: float, asked: Asked) -> Histograms:
    return _kept("histograms", _make_histograms, configs, epsilon, asked)


def channels(configs: Configs, epsilon: float, asked: Asked) -> Channels:
    return _kept("channels", _make_channels, configs, epsilon, asked)


def _make_histograms(
    configs: Configs, epsilon: float, asked: Asked, hurry: bool = True
) -> Histograms:
    seen = activations.see(configs, asked, hurry)
    chart = activation_charts.histograms(seen, activation_words.stage_titles(seen))
    chart.sent  # noqa: B018 (converted now, and not when it is looked at)
    return Histograms(
        chart,
        {one.method: (int(one.relu.dead.sum()), len(one.relu.dead)) for one in seen},
        activation_words.histograms_answer(seen, asked, epsilon),
        charts.arrow(activation_words.statistics_table(seen)),
    )


def _make_channels(configs: Configs, epsilon: float, asked: Asked, hurry: bool = True) -> Channels:
    seen = activations.see(configs, asked, hurry)
    unit = activation_words.unit_of(asked.layer)
    return Channels(
        activation_charts.channels(seen, unit), activation_words.channels_answer(seen, unit)
    )


def _kept(view: str, make: Callable, configs: Configs, epsilon: float, asked: Asked):
    """The view; then, while nobody waits, the same view at the other marks of both sliders."""
    shown = activations.kept(view, asked, configs, lambda: make(configs, epsilon, asked))
    others = _at_other_marks(view, make, tuple(configs), epsilon, asked)
    name = ("others of", view, tuple(configs), epsilon, asked)
    activations.memory().get(name, lambda: ahead.prepare(others))  # once
    return shown


def _at_other_marks(
    view: str, make: Callable, methods: Sequence[str], epsilon: float, asked: Asked
) -> Iterator[Callable[[], object]]:
    """What makes the views that are not there yet, the nearest first."""
    others = [
        *((epsilon, size) for size in activations.BATCH_MARKS),
        *((mark, asked.batch) for mark in EPSILONS),
    ]

    def far(other: tuple[float, int]) -> float:
        here, there = max(epsilon, EPSILONS[0]), max(other[0], EPSILONS[0])
        return abs(np.log(there / here)) + abs(np.log(other[1] / asked.batch))

    for other_epsilon, size in sorted(others, key=far):
        if not server.has_data_with(asked.data):
            return  # whoever uploaded them has gone
        other = asked._replace(batch=size)
        configs, _ = activations.configs_of(methods, other_epsilon, other)
        if configs and not activations.is_kept(view, other, configs):
            made = partial(make, configs, other_epsilon, other, hurry=False)
            yield partial(activations.kept, view, other, configs, made, hurry=False)
