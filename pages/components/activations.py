"""What each method makes of one batch of digits: asked for by a page, kept for everybody.

Numbers are computed once per question, however many sessions ask it, and only looked up after
that, so that a class that moves the same slider waits for one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import streamlit as st

from normlib.config import TrainConfig
from pages.components import page, server
from pages.components.control_table import BATCH_SIZES

if TYPE_CHECKING:
    import pandas as pd

    from normlib.cnn import SmallCNN
    from normlib.run import Run
    from pages.lab.activations import Memory, Summary
    from pages.lab.invariances import Invariance

    T = TypeVar("T")

MOST_IMAGES = int(page.PAGES["activations"].limits["batch"])
BATCH_MARKS = tuple(size for size in BATCH_SIZES if size <= MOST_IMAGES)
INVARIANCE_IMAGES = 64


class Asked(NamedTuple):
    """Everything that decides the numbers, but for the method and epsilon."""

    data: str  # checksum
    seed: int
    batch: int
    layer: str
    weights: str  # "fresh", or a run's key and an epoch: "0f3a…@4"


@dataclass(frozen=True)
class Seen:
    """What one method makes of the batch: a summary of each step, in the network's order."""

    method: str
    steps: dict[str, Summary]  # "before", "normalized", "relu"

    @property
    def before(self) -> Summary:
        return self.steps["before"]

    @property
    def normalized(self) -> Summary:
        return self.steps["normalized"]

    @property
    def relu(self) -> Summary:
        return self.steps["relu"]


# ---- what the server keeps ---------------------------------------------------------------------


@st.cache_resource(show_spinner=False)
def memory() -> Memory:
    """The latest summaries, shared by all sessions: a class that looks at one thing computes once.

    A summary is some 20 kB.
    """
    from pages.lab.activations import Memory

    return Memory(most=512)


@st.cache_resource(show_spinner=False)
def networks() -> Memory:
    """The latest networks, 2.4 MB each."""
    from pages.lab.activations import Memory

    return Memory(most=24)


@st.cache_resource(show_spinner=False)
def pictures() -> Memory:
    """The latest pictures ready to be sent, with their words and tables; some 60 kB each."""
    from pages.lab.activations import Memory

    return Memory(most=384)


@st.cache_resource(show_spinner=False)
def workers() -> ThreadPoolExecutor:
    """Two methods at a time, however many sessions ask."""
    return ThreadPoolExecutor(2, thread_name_prefix="activations")


def kept(
    view: str,
    asked: Asked,
    configs: Mapping[str, TrainConfig],
    make: Callable[[], T],
    hurry: bool = True,
) -> T:
    """What a view shows of these methods: made for the first who asks, looked up for the others.

    hurry: somebody waits; otherwise nobody may be kept waiting for it either.
    """
    return _as_fast(pictures(), hurry).get(_name(view, asked, configs), make)


def _as_fast(memory: Memory, hurry: bool) -> Any:
    return memory if hurry else memory.beside()


def _name(view: str, asked: Asked, configs: Mapping[str, TrainConfig]) -> tuple:
    shown = tuple((m, c.epsilon if divides(m) else None) for m, c in configs.items())
    return view, asked, shown


def is_kept(view: str, asked: Asked, configs: Mapping[str, TrainConfig]) -> bool:
    """Whether `kept` would not make it, or somebody is making it already."""
    return _name(view, asked, configs) in pictures()


# ---- the batch and the networks -----------------------------------------------------------------


def batch_images(asked: Asked) -> np.ndarray:
    """The first batch that a training with this seed sees; a smaller one is its beginning."""
    from normlib.training import batches

    images = server.data_with(asked.data).train_images

    def order() -> np.ndarray:
        return batches(TrainConfig(seed=asked.seed), len(images), 0)[:MOST_IMAGES].copy()

    return images[memory().get(("order", asked.data, asked.seed), order)[: asked.batch]]


def saved_run(weights: str) -> tuple[Run | None, int]:
    """The run that the weights come from and the index of the epoch; None for fresh ones."""
    key, _, epoch = weights.partition("@")
    if key == "fresh":
        return None, -1
    experiment = server.experiments().find(key)
    run = experiment.run if experiment is not None else None
    if run is None or not any(run.weights):
        return None, -1
    wanted = int(epoch) if epoch.isdecimal() else len(run.weights)
    return run, min(max(wanted, first_epoch(run)), len(run.weights)) - 1


def first_epoch(run: Run) -> int:
    """The first epoch, from 1, whose weights are kept: those of a long run's early ones are not."""
    return next(number for number, weights in enumerate(run.weights, 1) if weights)


def config_of(method: str, epsilon: float, asked: Asked) -> TrainConfig:
    """The network of a method; ValueError where the method cannot stand in it."""
    run, _ = saved_run(asked.weights)
    if run is not None:
        return replace(run.config, normalization=method, epsilon=epsilon, ghost_batches=1)
    placement = "conv and dense" if asked.layer == "hidden" else "conv"
    return TrainConfig(normalization=method, epsilon=epsilon, seed=asked.seed, placement=placement)


def configs_of(
    methods: Iterable[str], epsilon: float, asked: Asked
) -> tuple[dict[str, TrainConfig], dict[str, str]]:
    """The networks of these methods; and, by method, a sentence for each that cannot be shown."""
    configs, refused = {}, {}
    for method in methods:
        try:
            configs[method] = config_of(method, epsilon, asked)
        except ValueError as error:
            refused[method] = str(error)
    return configs, refused


def divides(method: str) -> bool:
    """Whether the method divides activations by a root with epsilon in it."""
    return method not in ("none", "weight")


def network_of(config: TrainConfig, run: Run | None, epoch: int, hurry: bool = True) -> SmallCNN:
    """The network with its first, or with the run's learned, weights; only to be looked at.

    The one that is kept serves every epsilon.
    """
    from pages.lab.activations import build, with_epsilon

    kept = replace(config, epsilon=TrainConfig().epsilon)
    name = (kept, None if run is None else run.key, epoch)
    built = _as_fast(networks(), hurry).get(name, lambda: build(kept, run, epoch))
    return with_epsilon(built, config.epsilon)


# ---- the numbers ---------------------------------------------------------------------------------


def see(configs: Mapping[str, TrainConfig], asked: Asked, hurry: bool = True) -> list[Seen]:
    """Each method's summaries, from memory where somebody has asked before.

    hurry: somebody waits, so trainings wait meanwhile; otherwise all is done in this thread.
    """
    from pages.lab.activations import look

    kept, images = _as_fast(memory(), hurry), batch_images(asked)
    run, epoch = saved_run(asked.weights)
    names = dict(zip(("", "_normalized", "_relu"), ("before", "normalized", "relu"), strict=True))

    def seen(method: str) -> Seen:  # in a thread of its own: no session here
        config = configs[method]

        def compute() -> dict[str, Summary]:
            network = network_of(config, run, epoch, hurry)
            # Methods that start from the same weights share the convolution, wherever one looks.
            steps = look(network, images, asked.layer, kept, asked._replace(layer=""))
            return {names[stage.removeprefix(asked.layer)]: s for stage, s in steps.items()}

        epsilon = config.epsilon if divides(method) else None
        return Seen(method, kept.get((asked, method, epsilon), compute))

    if not hurry:
        return list(map(seen, configs))
    with server.experiments().interactive():
        return list(workers().map(seen, configs))


def variances_of(config: TrainConfig, asked: Asked) -> np.ndarray:
    """What stands under the method's roots, (n,), whatever epsilon is; empty where it has none."""
    from pages.lab.activations import divided_variances

    images, (run, epoch) = batch_images(asked), saved_run(asked.weights)

    def compute() -> np.ndarray:
        found = divided_variances(network_of(config, run, epoch), images, asked.layer)
        return np.zeros(0) if found is None else found.ravel()

    return memory().get(("variances", asked, config.normalization), compute)


def deviations(configs: Mapping[str, TrainConfig], asked: Asked) -> dict[str, list[Invariance]]:
    """What each method does not notice, on this batch and these weights."""
    from pages.lab import invariances

    images = batch_images(asked)[:INVARIANCE_IMAGES]
    run, epoch = saved_run(asked.weights)

    def column(method: str) -> list[Invariance]:
        config = configs[method]

        def compute() -> list[Invariance]:
            network = network_of(replace(config, normalization="none"), run, epoch)
            x, kernel = images / 255, network.conv_kernel()
            if asked.layer == "hidden":
                pooled = network.forward(images, training=False)["pooled"].numpy()
                x, kernel = pooled.reshape(len(images), -1), network.dense_kernel()
            return invariances.table(x, kernel, config.epsilon, [method], groups=config.groups)

        return kept("invariances", asked, {method: config}, compute)

    methods = [method for method in configs if method in invariances.HOLDS]
    with server.experiments().interactive():
        return dict(zip(methods, workers().map(column, methods), strict=True))


def every_channel(configs: Mapping[str, TrainConfig], asked: Asked) -> dict[str, pd.DataFrame]:
    """Every statistic of every channel, percentiles and all, by method."""
    from pages.lab.activations import describe

    images, (run, epoch) = batch_images(asked), saved_run(asked.weights)
    tables = {}
    for method, config in configs.items():

        def compute(config: TrainConfig = config) -> pd.DataFrame:
            return describe(network_of(config, run, epoch), images, asked.layer, per_channel=True)

        tables[method] = kept("every channel", asked, {method: config}, compute)
    return tables
