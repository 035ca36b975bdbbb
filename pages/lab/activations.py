"""What one forward pass looks like: exact statistics of every stage, and histograms, in one pass.

`describe` turns a batch, a network and a layer into tidy rows. A page that redraws while a slider
moves goes one level down: `look` gives a `Summary` of each step of a layer, small enough to keep,
and a `Memory` keeps the latest of them, so that nothing is computed twice.

What is described is what ran: plain NumPy on the arrays that the network returned.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import tensorflow as tf

from normlib.cnn import SmallCNN
from normlib.config import TrainConfig
from normlib.layers import GroupNorm
from normlib.normalize import direction, split_channels, standardize
from normlib.run import Run
from normlib.runtime import DEVICE

if TYPE_CHECKING:
    import pandas as pd

    T = TypeVar("T")

PERCENTILES = (15, 50, 85)
LAYERS = ("conv", "hidden")
# A histogram's finest cells: so many on each side of zero. Their width is a power of two, and
# dividing a float by that is exact: no value is ever counted in its neighbor's cell.
_HALF = 2048
_CELLS = 2 * _HALF
_SMALLEST = 2.0**-100  # below this everything is as good as zero, and float32 near its end
# Numbers handled at once, so that the steps of the one pass meet in the processor's cache; as
# fewer than 256 rows are counted at once, a byte holds each count.
_AT_ONCE = 100_000


@dataclass(frozen=True, eq=False)
class Summary:
    """Everything the pictures need of one array of activations (N, ..., C), without the array.

    count: values per channel. mean, std, minimum, maximum: (C,) float64, std dividing by count.
    zeros, positive: (C,) how many values are exactly 0, and above 0.
    relu_mean, relu_std: (C,) of max(x, 0).
    neighbors: (percentiles, 2), the two values between which each percentile of all values lies,
        and weights: (percentiles,), how far from the first to the second.
    cells: (4096,) how many values lie in each cell of width 2**exponent / 2048, from
        -2**exponent up; values that are not finite lie in none.
    """

    count: int
    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    zeros: np.ndarray
    positive: np.ndarray
    relu_mean: np.ndarray
    relu_std: np.ndarray
    neighbors: np.ndarray
    weights: np.ndarray
    cells: np.ndarray
    exponent: int

    @property
    def values(self) -> int:
        """How many values there are."""
        return self.count * len(self.mean)

    @cached_property
    def overall_mean(self) -> float:
        """The mean of all values."""
        return float(self.mean.mean())

    @cached_property
    def overall_std(self) -> float:
        """The standard deviation of all values: the spread in the channels and between them."""
        between = self.mean - self.overall_mean
        return float(np.sqrt(np.mean(np.square(self.std) + np.square(between))))

    @property
    def percentiles(self) -> np.ndarray:
        """The 15th, 50th and 85th percentile of all values, as `numpy.percentile` has them."""
        low, high = self.neighbors.T
        return low + self.weights * (high - low)

    @property
    def dead(self) -> np.ndarray:
        """(C,) whether a ReLU lets nothing of this channel through, for no example."""
        return self.positive == 0

    @property
    def finite(self) -> bool:
        """Whether every value is a finite number."""
        return bool(self.cells.sum() == self.values)

    def after_relu(self) -> Summary:
        """The summary of max(x, 0), which follows exactly from that of x."""
        cells = self.cells.copy()
        cells[_HALF] += cells[:_HALF].sum()
        cells[:_HALF] = 0
        return replace(
            self,
            mean=self.relu_mean,
            std=self.relu_std,
            minimum=np.maximum(self.minimum, 0),
            maximum=np.maximum(self.maximum, 0),
            zeros=self.count - self.positive,
            neighbors=np.maximum(self.neighbors, 0),
            cells=cells,
        )

    def half_width(self, outside: float = 0.005) -> float:
        """The smallest power of two w with at most this share of the values beyond -w and w."""
        ends = np.arange(-_HALF, _HALF) + 0.5
        reach = np.ceil(np.log2(np.abs(ends) / _HALF))  # the power of two that holds each cell
        powers = np.arange(reach.min(), 1)
        beyond = [self.cells[reach > power].sum() for power in powers]
        enough = np.flatnonzero(np.array(beyond) <= outside * self.values)[0]
        return float(2.0 ** (powers[enough] + self.exponent))

    def histogram(self, half_width: float, bins: int = 64) -> np.ndarray:
        """Counts in `bins` equal bins from -half_width to half_width; the outermost take the rest.

        half_width: a power of two (`half_width` finds one). bins: a power of two, from 2 up.
        Then every bin is a whole number of cells, or a cell a whole number of bins, and nothing is
        estimated unless a bin is narrower than a cell, which takes an outlier 2048 / bins times
        the width of the picture: such a cell is counted where it begins.
        Raises ValueError for other numbers.
        """
        mantissa, exponent = np.frexp(half_width)
        if mantissa != 0.5 or bins < 2 or bins & (bins - 1):
            raise ValueError("half_width and bins must be powers of two.")
        # where each cell begins, in bins from the left edge
        per_cell = 2.0 ** (self.exponent - int(exponent)) * bins / _HALF
        index = np.floor(np.arange(-_HALF, _HALF) * per_cell) + bins // 2
        index = index.clip(0, bins - 1).astype(np.int64)
        return np.bincount(index, self.cells, bins).astype(np.int64)


def summarize(x: np.ndarray) -> Summary:
    """Everything worth knowing of activations (N, ..., C), in one pass over float32.

    Sums are taken in float32 over a few rows at a time and from there on in float64, about a
    center close to each channel's mean, so that a mean a thousand times the spread costs no digit.
    Raises ValueError for an empty array or one without channels.
    """
    x = np.ascontiguousarray(x, np.float32)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"Activations must be (N, ..., C), and these are {x.shape}.")
    channels = x.shape[-1]
    rows = x.reshape(len(x), -1)
    width = rows.shape[1]
    minimum = _by_channel(np.minimum, rows.min(0), channels)
    maximum = _by_channel(np.maximum, rows.max(0), channels)
    largest = max(-minimum.min(), maximum.max())
    if not np.isfinite(largest):
        return _summarize_with_gaps(x)
    exponent = int(np.frexp(max(float(largest), _SMALLEST))[1])  # largest < 2**exponent
    scale = np.float32(2.0) ** np.float32(11 - exponent)  # _HALF / 2**exponent

    step = int(np.clip(_AT_ONCE // width, 1, 128))
    center = rows[:step].mean(0, dtype=np.float64).reshape(-1, channels).mean(0) * float(scale)
    center = np.tile(center.astype(np.float32), width // channels)
    relu_center = np.maximum(center, 0)
    sums = np.zeros((4, width))  # of x - center, its square; the same of max(x, 0)
    counts = np.zeros((2, width), np.int64)  # of x > 0, x == 0
    cells = np.zeros(_CELLS, np.int64)
    codes = np.empty(rows.shape, np.uint16)
    y, d = np.empty((2, step, width), np.float32)
    true = np.empty((step, width), bool)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        y, d, true = y[: len(part)], d[: len(part)], true[: len(part)]
        for count, compare in zip(counts, (np.greater, np.equal), strict=True):
            compare(part, 0, out=true)
            count += np.add.reduce(true.view(np.uint8), axis=0, dtype=np.uint8)
        np.multiply(part, scale, out=y)
        np.subtract(y, center, out=d)
        sums[0] += np.add.reduce(d, axis=0)
        sums[1] += np.add.reduce(np.square(d, out=d), axis=0)
        np.maximum(y, 0, out=d)
        d -= relu_center
        sums[2] += np.add.reduce(d, axis=0)
        sums[3] += np.add.reduce(np.square(d, out=d), axis=0)
        np.floor(y, out=y)
        y += _HALF
        code = codes[start : start + step]
        code[...] = y
        cells += np.bincount(code.reshape(-1), minlength=_CELLS)

    count = rows.size // channels
    first, second, relu_first, relu_second = _by_channel(np.add, sums, channels) / count
    positive, zeros = _by_channel(np.add, counts, channels)
    unit = 1 / float(scale)
    flat, codes, up_to = x.reshape(-1), codes.reshape(-1), np.cumsum(cells)
    stride = -(-len(flat) // 10_000)

    def find(rank: int) -> tuple[float, int]:
        cell = int(np.searchsorted(up_to, rank, side="right"))
        before, inside = int(up_to[cell] - cells[cell]), codes == cell
        # Half of all values can be one and the same number in this cell: look for it in place.
        sample = np.sort(flat[::stride][inside[::stride]])
        if len(sample) > 50:
            pivot = sample[(rank - before) * len(sample) // int(cells[cell])]
            lower = inside & (flat < pivot)
            start = before + np.count_nonzero(lower)
            end = start + np.count_nonzero(flat == pivot)
            if start <= rank < end:
                return float(pivot), end - 1
            inside, before = (lower, before) if rank < start else (inside & (flat > pivot), end)
        value, last = nth(flat[np.flatnonzero(inside)], rank - before)
        return value, last + before

    neighbors, weights = _neighbors(x.size, find)
    return Summary(
        count=count,
        mean=(first + center[:channels]) * unit,
        std=np.sqrt(np.maximum(second - first**2, 0)) * unit,
        minimum=minimum.astype(np.float64),
        maximum=maximum.astype(np.float64),
        zeros=zeros,
        positive=positive,
        relu_mean=(relu_first + relu_center[:channels]) * unit,
        relu_std=np.sqrt(np.maximum(relu_second - relu_first**2, 0)) * unit,
        neighbors=neighbors,
        weights=weights,
        cells=cells.astype(np.int32),
        exponent=exponent,
    )


def _by_channel(reduce: np.ufunc, rows: np.ndarray, channels: int) -> np.ndarray:
    """(..., positions * C) reduced to (..., C)."""
    return reduce.reduce(rows.reshape(*rows.shape[:-1], -1, channels), axis=-2)


def _summarize_with_gaps(x: np.ndarray) -> Summary:
    """The same where some values are not finite: those are left out of the cells and counts, and
    whatever they spoil is not a number."""
    finite = np.isfinite(x)
    known = summarize(np.where(finite, x, 0))
    gaps = _by_channel(np.add, (~finite).reshape(len(x), -1).sum(0), x.shape[-1])
    spoiled = np.where(gaps > 0, np.nan, 0.0)
    cells = known.cells.copy()
    cells[_HALF] -= gaps.sum()
    return replace(
        known,
        mean=known.mean + spoiled,
        std=known.std + spoiled,
        minimum=known.minimum + spoiled,
        maximum=known.maximum + spoiled,
        relu_mean=known.relu_mean + spoiled,
        relu_std=known.relu_std + spoiled,
        zeros=known.zeros - gaps,
        neighbors=np.full_like(known.neighbors, np.nan),
        cells=cells,
    )


def _neighbors(
    count: int, find: Callable[[int], tuple[float, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """The two neighbors of each percentile of `count` values, and the weight of the second.

    find(rank) gives the value at that rank and the last rank it fills, as `nth` does.
    """
    position = (count - 1) * np.array(PERCENTILES) / 100
    ranks = np.floor(position).astype(int)
    pairs = []
    for rank in ranks.tolist():
        low, last = find(rank)
        high = low if last > rank or rank + 1 == count else find(rank + 1)[0]
        pairs.append((low, high))
    return np.array(pairs), position - ranks


def nth(values: np.ndarray, rank: int) -> tuple[float, int]:
    """The value at `rank` (from 0) if `values`, (n,), were sorted, and the last rank it fills.

    Quickselect with three parts: activations repeat one value half a million times (the empty
    background of the digits), on which `numpy.partition` takes fifty times as long.
    """
    passed = 0
    while True:
        sample = np.sort(values[:: -(-len(values) // 64)])
        pivot = sample[rank * len(sample) // len(values)]
        below = np.count_nonzero(values < pivot)
        if rank < below:
            values = values[np.flatnonzero(values < pivot)]
            continue
        upper = below + np.count_nonzero(values == pivot)
        if rank < upper:
            return float(pivot), passed + upper - 1
        rank, passed = rank - upper, passed + upper
        values = values[np.flatnonzero(values > pivot)]


class Memory:
    """The latest results by key, at most so many: what a moved slider left alone is not redone.

    Whoever asks for a key first computes it, and all who ask meanwhile wait for that one result;
    an error goes to everybody who waited, and is forgotten. Where the one who computed was only
    called away (by an exception that is no `Exception`), the next who waited computes instead.
    """

    def __init__(self, most: int = 256):
        self.most = most
        self._results: OrderedDict[Hashable, Future] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: Hashable) -> bool:
        """Whether `get` would return at once, or wait for somebody who is computing already."""
        with self._lock:
            return key in self._results

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The result for this key, from `compute()` if it is not there."""
        while True:
            with self._lock:
                future = self._results.get(key)
                mine = future is None
                if mine:
                    future = self._results[key] = Future()
                    while len(self._results) > self.most:
                        self._results.popitem(last=False)
                self._results.move_to_end(key)
            if mine:
                return self._compute(key, future, compute)
            with suppress(_CalledAway):
                return future.result()

    def beside(self) -> _Beside:
        """The same memory, for whoever must not keep others waiting."""
        return _Beside(self)

    def _done(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._results and self._results[key].done()

    def _compute(self, key: Hashable, future: Future, compute: Callable[[], T]) -> T:
        try:
            result = compute()
        except BaseException as error:
            with self._lock:
                if self._results.get(key) is future:
                    del self._results[key]
            future.set_exception(error if isinstance(error, Exception) else _CalledAway())
            raise
        future.set_result(result)
        return result


class _Beside:
    """A memory in which nobody waits for what is computed here; some of it is computed twice."""

    def __init__(self, memory: Memory):
        self._memory = memory

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        if self._memory._done(key):
            return self._memory.get(key, compute)
        result = compute()
        return self._memory.get(key, lambda: result)


class _CalledAway(Exception):
    """Whoever was computing a result had to go, for a reason that is nobody else's."""


def build(config: TrainConfig, run: Run | None = None, epoch: int = -1) -> SmallCNN:
    """The network of a config with its first weights, or with those that a run had learned.

    epoch: which of the run's weights, as an index. Every method gets the run's kernels and biases;
    gamma, beta, v and g only the run's own method, if it is normalized in the same places.
    Raises ValueError where the run kept no weights, or those of a network of another shape.
    """
    with tf.device(DEVICE):
        network = SmallCNN.from_config(config)
        if run is None:
            return network
        if not run.weights:
            raise ValueError("This run has kept no weights.")
        if config.hidden_units != run.config.hidden_units:
            raise ValueError("These weights belong to a network of another shape.")
        source = SmallCNN.from_config(run.config)
        source.set_weights(run.weights[epoch])
        own = (run.config.normalization, run.config.placement)
        if (config.normalization, config.placement) == own:
            network.set_weights(run.weights[epoch])
            return network
        for part in ("conv", "dense", "output"):
            kernel, w = getattr(network, f"{part}_kernel"), getattr(source, f"{part}_kernel")()
            if hasattr(kernel, "w"):
                kernel.w.assign(w)
            else:
                kernel.v.assign(w)
                kernel.g.assign(direction(w)[1])
            getattr(network, f"{part}_bias").assign(getattr(source, f"{part}_bias"))
        return network


def with_epsilon(network: SmallCNN, epsilon: float) -> SmallCNN:
    """The same network, sharing its variables, with another epsilon in its normalizations."""
    twin = copy(network)
    for part in ("conv_norm", "dense_norm"):
        norm = copy(getattr(network, part))
        if hasattr(norm, "epsilon"):
            norm.epsilon = epsilon
        setattr(twin, part, norm)
    return twin


def look(
    network: SmallCNN,
    images: np.ndarray,
    layer: str = "conv",
    memory: Memory | _Beside | None = None,
    name: Hashable = None,
) -> dict[str, Summary]:
    """The three steps of one layer on one batch, in the order in which the network takes them.

        {layer} -> {layer}_normalized -> {layer}_relu     (the last two swapped where it says so)

    images: (N, 28, 28, 1). layer: one of `LAYERS`. Batch norm uses the batch's own statistics, as
    in training, and leaves its moving ones alone.
    memory, name: where to keep the convolution's output, which is the same for every method that
    starts from these weights, and what to call these images there.
    """
    stages = _forward(network, images, layer)
    summaries: dict[str, Summary] = {}
    previous = ""
    for stage in _steps(stages, layer):
        if stage == layer and layer == "conv" and memory is not None:
            weights = (network.conv_kernel().numpy(), network.conv_bias.numpy())
            digest = hashlib.sha256(b"".join(array.tobytes() for array in weights)).digest()
            summary = memory.get((name, digest), lambda: summarize(stages["conv"].numpy()))
        elif stage == f"{layer}_relu":
            summary = summaries[previous].after_relu()
        elif previous and stages[stage] is stages[previous]:  # nothing normalizes here
            summary = summaries[previous]
        else:
            summary = summarize(stages[stage].numpy())
        summaries[stage], previous = summary, stage
    return summaries


def describe(
    network: SmallCNN, images: np.ndarray, layer: str = "conv", *, per_channel: bool = False
) -> pd.DataFrame:
    """What a layer of a network makes of a batch, as tidy rows: one for each step.

    per_channel: one row for each step and channel instead.
    Columns: stage, channel ("all" or 0, 1, ...), values (how many), mean, std (dividing by the
    count), minimum, p15, p50, p85, maximum, zeros (share of values that are exactly 0), dead
    (after ReLU: share of the channels that are 0 everywhere; one channel has 0 or 1).
    """
    summaries = look(network, images, layer)
    if not per_channel:
        return tabulate(summaries)
    stages = _forward(network, images, layer)
    parts = {stage: channel_percentiles(stages[stage].numpy()) for stage in summaries}
    return tabulate(summaries, parts)


def tabulate(
    summaries: dict[str, Summary], percentiles: dict[str, np.ndarray] | None = None
) -> pd.DataFrame:
    """The rows of `describe`; percentiles: (3, C) for each stage makes them rows per channel."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for stage, s in summaries.items():
        relu = stage.endswith("_relu")
        if percentiles is None:
            columns: dict[str, Any] = {
                "channel": ["all"],
                "values": s.values,
                "mean": s.overall_mean,
                "std": s.overall_std,
                "minimum": s.minimum.min(),
                **{f"p{p}": value for p, value in zip(PERCENTILES, s.percentiles, strict=True)},
                "maximum": s.maximum.max(),
                "zeros": s.zeros.sum() / s.values,
                "dead": s.dead.mean() if relu else np.nan,
            }
        else:
            parts = zip(PERCENTILES, percentiles[stage], strict=True)
            columns = {
                "channel": range(len(s.mean)),
                "values": s.count,
                "mean": s.mean,
                "std": s.std,
                "minimum": s.minimum,
                **{f"p{p}": value for p, value in parts},
                "maximum": s.maximum,
                "zeros": s.zeros / s.count,
                "dead": s.dead.astype(float) if relu else np.nan,
            }
        rows.append(pd.DataFrame({"stage": stage, **columns}))
    return pd.concat(rows, ignore_index=True)


def channel_percentiles(x: np.ndarray) -> np.ndarray:
    """The 15th, 50th and 85th percentile of each channel of (N, ..., C): (3, C)."""
    channels = np.ascontiguousarray(np.asarray(x).reshape(-1, x.shape[-1]).T)
    percentiles = []
    for values in channels:
        pairs, weights = _neighbors(len(values), lambda rank, values=values: nth(values, rank))
        percentiles.append(pairs[:, 0] + weights * (pairs[:, 1] - pairs[:, 0]))
    return np.array(percentiles).T


def divided_variances(
    network: SmallCNN, images: np.ndarray, layer: str = "conv"
) -> np.ndarray | None:
    """The variances under this layer's roots, before epsilon; None where nothing is divided.

    Batch norm has one per channel, (C,); layer norm one per example, (N,); group norm (N, G);
    instance norm (N, C); RMS norm the mean squares, (N,). They do not depend on epsilon.
    """
    norm = {"conv": network.conv_norm, "hidden": network.dense_norm}[layer]
    if not getattr(norm, "scale", False):
        return None
    how = {"conv": network.conv, "hidden": network.dense}[layer]
    stages = _forward(network, images, layer)
    x = stages[f"{layer}_relu" if how.after_relu else layer]
    if isinstance(norm, GroupNorm):
        x = split_channels(x, norm.groups)
    _, _, variance = standardize(x, norm.axes, 0.0, norm.center)
    variance = variance.numpy()
    kept = [size for size in variance.shape if size > 1]
    return variance.reshape(kept or [1])


def shrink_factors(variances: np.ndarray, epsilon: float) -> np.ndarray:
    """The standard deviation that normalizing leaves: 1 if epsilon were 0, less the larger it is.

    sqrt(variance / (variance + ε)),    0 where the variance is 0
    """
    variances = np.asarray(variances, np.float64)
    return np.sqrt(variances / np.maximum(variances + epsilon, np.finfo(np.float64).tiny))


def _forward(network: SmallCNN, images: np.ndarray, layer: str) -> dict[str, Any]:
    if layer not in LAYERS:
        raise ValueError(f"The layer must be one of {', '.join(LAYERS)}, not {layer!r}.")
    with tf.device(DEVICE):
        return network.forward(images, training=False, own_statistics=True, last=f"{layer}_relu")


def _steps(stages: dict[str, Any], layer: str) -> Sequence[str]:
    steps = (layer, f"{layer}_normalized", f"{layer}_relu")
    return [stage for stage in stages if stage in steps]
