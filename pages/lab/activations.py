"""What a layer makes of one batch: its activations before and after a normalization, summed up.

    x = conv(batch)    z = normalize.apply(method, x, gamma, beta, epsilon)    ReLU: max(z, 0)

Everything is computed with the plain functions of `normlib.normalize`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from normlib import normalize
from normlib.cnn import SmallCNN
from normlib.config import TrainConfig
from normlib.run import Run
from normlib.runtime import DEVICE

if TYPE_CHECKING:
    import pandas as pd

Tensor = tf.Tensor  # for the pages, which do not know TensorFlow
PERCENTILES = (15, 50, 85)
# A histogram's cells: so many on each side of zero. Their width is a power of two, and dividing
# a float by that is exact: no value is ever counted in its neighbor's cell.
_HALF = 2048
_CELLS = 2 * _HALF
_FINER = 16  # each cell is counted in so many parts: the codes of all parts fill 16 bits
_SMALLEST = 2.0**-100  # below this everything is as good as zero, and float32 near its end
# Numbers handled at once, so that the steps of the one pass meet in the processor's cache; as
# fewer than 256 rows are counted at once, a byte holds each count.
_AT_ONCE = 100_000


# ---- the network -----------------------------------------------------------------------------


class Network(NamedTuple):
    """The weights of a CNN, named as in `SmallCNN.weights`, and the config they belong to."""

    config: TrainConfig
    weights: Mapping[str, np.ndarray]


@lru_cache(maxsize=8)
def fresh(seed: int) -> Network:
    """The first weights of a seed, from which every method starts."""
    config = TrainConfig(normalization="none", placement="conv and dense", seed=seed)
    with tf.device(DEVICE):
        return Network(config, SmallCNN(config).weights())


def data_dependent(seed: int, images: np.ndarray) -> Network:
    """Where weight norm starts if its g and biases are set by these images: each unit then has
    mean 0 and standard deviation 1 on them."""
    everywhere = TrainConfig(normalization="weight", placement="conv and dense", seed=seed)
    config = replace(everywhere, weight_norm_start="data")
    with tf.device(DEVICE):
        net = SmallCNN(config)
        net.start_from(tf.constant(images))
        return Network(config, net.weights())


def never_on(relu: tf.Tensor) -> np.ndarray:
    """Which channels or units are 0 for every image and position: (C,) bool. relu: (N, ..., C)."""
    axes = list(range(relu.shape.rank - 1))
    return (tf.reduce_max(relu, axes) == 0).numpy()


def trained(run: Run, epoch: int = -1) -> Network:
    """The weights that a run had learned after an epoch (an index into `run.weights`)."""
    if not run.weights or not run.weights[epoch]:
        raise ValueError("This run has kept no weights.")
    return Network(run.config, run.weights[epoch])


def refusal(network: Network, layer: str, method: str) -> str:
    """Why a method cannot stand in this layer, as a sentence; "" where it can."""
    placement = network.config.placement if layer == "hidden" else "conv"
    try:
        replace(network.config, normalization=method, placement=placement, ghost_batches=1)
    except ValueError as error:
        return str(error)
    return ""


def divides(network: Network, layer: str, method: str) -> bool:
    """Whether the method divides the activations of this layer by a root."""
    placed = layer == "conv" or network.config.placement == "conv and dense"
    return placed and network.config.scale and method in normalize.AXES


def kernel(network: Network, part: str, method: str) -> tf.Tensor:
    """The kernel w of "conv" or "dense"; weight normalization rebuilds it from v and g.

    Where the weights have no v and g of their own, v = w and g = ||w||, which changes nothing.
    """
    v, g = (network.weights.get(f"{part}_kernel/{name}") for name in ("v", "g"))
    if v is None:
        v = network.weights[f"{part}_kernel/w"]
        if method != "weight":
            return tf.constant(v)
        g = np.linalg.norm(v.reshape(-1, v.shape[-1]), axis=0)
    return normalize.weight_norm(v, g)


def convolve(network: Network, images: np.ndarray, method: str) -> tf.Tensor:
    """x of the convolution, (N, 28, 28, 30). images: (N, 28, 28, 1), 0 to 255."""
    with tf.device(DEVICE):
        pixels = tf.cast(images, tf.float32) / 255
        x = tf.nn.conv2d(pixels, kernel(network, "conv", method), 1, "SAME")
        return x + network.weights["conv_bias"]


def flattened(network: Network, method: str, conv: tf.Tensor, epsilon: float) -> tf.Tensor:
    """What the hidden layer gets, (N, 5880), above a convolution that is normalized too."""
    with tf.device(DEVICE):
        *_, last = steps(network, "conv", method, conv, epsilon).values()
        return tf.reshape(tf.nn.max_pool2d(last, 2, 2, "VALID"), [len(conv), -1])


def hidden(network: Network, method: str, conv: tf.Tensor, epsilon: float) -> tf.Tensor:
    """x of the hidden layer, (N, units)."""
    with tf.device(DEVICE):
        flat = flattened(network, method, conv, epsilon)
        return flat @ kernel(network, "dense", method) + network.weights["dense_bias"]


def steps(
    network: Network, layer: str, method: str, x: tf.Tensor, epsilon: float
) -> dict[str, tf.Tensor]:
    """ "before", "normalized" and "relu" in the order in which the network takes them.

    layer: "conv" or "hidden", of which x is. Batch norm takes the batch's own statistics, as in
    training. Where nothing normalizes, "normalized" is the very tensor before it.
    """
    with tf.device(DEVICE):
        if network.config.position == "after ReLU" and method in normalize.AXES:
            relu = tf.nn.relu(x)
            z = normalized(network, layer, method, relu, epsilon)
            return {"before": x, "relu": relu, "normalized": z}
        z = normalized(network, layer, method, x, epsilon)
        return {"before": x, "normalized": z, "relu": tf.nn.relu(z)}


def normalized(
    network: Network, layer: str, method: str, x: tf.Tensor, epsilon: float
) -> tf.Tensor:
    """z of this layer; x itself where the method leaves its activations alone.

    gamma and beta are those that the network has learned with this method, else 1 and 0.
    """
    config = network.config
    if method not in normalize.AXES or (layer == "hidden" and config.placement == "conv"):
        return x
    own = network.weights if method == config.normalization else {}
    part = {"conv": "conv_norm", "hidden": "dense_norm"}[layer]
    gamma, beta = own.get(f"{part}/gamma"), own.get(f"{part}/beta")
    if config.center and config.scale:
        return normalize.apply(method, x, gamma, beta, epsilon, config.groups)
    view, x_hat, mean, _ = _standardized(network, method, x, epsilon)
    z = x_hat if config.scale else view - mean
    return normalize.scale_shift(tf.reshape(z, tf.shape(x)), gamma, beta)


def _standardized(
    network: Network, method: str, x: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """x as the method sees it, then what `normalize.standardize` returns for that."""
    view = normalize.split_channels(x, network.config.groups) if method == "group" else x
    center = network.config.center and method != "rms"
    axes = normalize.AXES[method](x.shape.rank)
    return view, *normalize.standardize(view, axes, epsilon, center)


def variances(network: Network, method: str, x: tf.Tensor) -> np.ndarray:
    """The variances under the method's roots, before epsilon: (how many,).

    Batch norm has one per channel, layer norm one per example, group norm one per group of an
    example, instance norm one per channel of an example; RMS norm one mean square per example.
    """
    with tf.device(DEVICE):
        seen = tf.nn.relu(x) if network.config.position == "after ReLU" else x
        return _standardized(network, method, seen, 0.0)[3].numpy().ravel()


def shrink_factors(variances: np.ndarray, epsilon: float) -> np.ndarray:
    """The standard deviation that normalizing leaves: 1 if epsilon were 0, less the larger it is.

    sqrt(variance / (variance + ε)),    0 where the variance is 0
    """
    variances = np.asarray(variances, np.float64)
    with np.errstate(invalid="ignore"):  # of an infinite variance nothing can be said
        return np.sqrt(variances / np.maximum(variances + epsilon, np.finfo(np.float64).tiny))


def typical_variance(before: Summary, per_channel: bool) -> float:
    """The median channel's variance, or that of all values."""
    std = before.std if per_channel else np.array(before.overall_std)
    return float(np.median(np.square(std)))


# ---- what the pictures need of an array ------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Summary:
    """Everything the pictures need of one array of activations (N, ..., C), without the array.

    count: values per channel. mean, std, minimum, maximum: (C,) float64, std dividing by count.
    zeros, positive: (C,) how many values are exactly 0, and above 0.
    relu_mean, relu_std: (C,) of max(x, 0).
    percentiles: the 15th, 50th and 85th of all values, by counting: off by no more than
        2**exponent / 32768, and exactly 0 where it is 0.
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
    percentiles: np.ndarray
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

    @property
    def against_standard(self) -> str:
        """What stands here against a mean of 0 and a deviation of 1: "kept", "nothing" where all is
        0, else whether the deviation is "smaller" than 1 or not, "larger"."""
        mean, std = round(abs(self.overall_mean), 2), round(self.overall_std, 2)
        if not (mean or std):
            return "nothing"
        return "kept" if (mean, std) == (0, 1) else "smaller" if std < 1 else "larger"

    def is_level(self, tolerance: float) -> bool:
        """Whether all channels have one mean and one deviation, but for `tolerance`."""
        return all(float(np.ptp(each)) < tolerance for each in (self.mean, self.std))

    @cached_property
    def overall_std(self) -> float:
        """The standard deviation of all values: that within the channels and between them."""
        between = self.mean - self.overall_mean
        return float(np.sqrt(np.mean(np.square(self.std) + np.square(between))))

    @property
    def zero_share(self) -> float:
        """The share of all values that is exactly 0."""
        return float(self.zeros.sum() / self.values)

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
            percentiles=np.maximum(self.percentiles, 0),
            cells=cells,
        )

    def half_width(self, outside: float = 0.005) -> float:
        """The smallest power of two w with at most this share of the values beyond -w and w."""
        enough = self.cells.sum() - outside * self.values
        cells = 1
        while self.cells[_HALF - cells : _HALF + cells].sum() < enough:
            cells *= 2
        return 2.0**self.exponent * cells / _HALF

    def histogram(self, half_width: float, bins: int = 64) -> np.ndarray:
        """Counts in `bins` equal bins from -half_width to half_width; the outermost take the rest.

        half_width: a power of two (`half_width` finds one). bins: a power of two, from 2 up.
        A bin is a whole number of cells, or a cell a whole number of bins: a cell that is wider
        than a bin, as next to a far outlier, is counted where it begins.
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


def summaries(tensors: Mapping[str, tf.Tensor], before: Summary) -> dict[str, Summary]:
    """The summary of each of the `steps`; before: that of the first, which methods share."""
    found: dict[str, Summary] = {}
    last: tuple[tf.Tensor, Summary] = tensors["before"], before
    for step, tensor in tensors.items():
        if step == "relu":
            last = tensor, last[1].after_relu()
        elif tensor is not last[0]:
            last = tensor, summarize(tensor.numpy())
        found[step] = last[1]
    return found


def summarize(x: np.ndarray) -> Summary:
    """Everything worth knowing of activations (N, ..., C), in one pass over float32.

    Sums are taken in float32 over a few rows at a time and from there on in float64, about a
    center close to each channel's mean, so that a mean a thousand times the spread costs no digit.
    Raises ValueError for an empty array or one without channels.
    """
    x = np.ascontiguousarray(x, np.float32)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"Activations must be (N, ..., C), and these are {x.shape}.")
    channels, rows = x.shape[-1], x.reshape(len(x), -1)
    width = rows.shape[1]
    minimum = _by_channel(np.minimum, rows.min(0), channels)
    maximum = _by_channel(np.maximum, rows.max(0), channels)
    largest = max(-minimum.min(), maximum.max())
    if not np.isfinite(largest):
        return _summarize_with_gaps(x)
    exponent = int(np.frexp(max(float(largest), _SMALLEST))[1])  # largest < 2**exponent
    scale = np.float32(_HALF * _FINER) * np.float32(2.0) ** np.float32(-exponent)

    step = int(np.clip(_AT_ONCE // width, 1, 128))
    center = rows[:step].mean(0, dtype=np.float64).reshape(-1, channels).mean(0) * float(scale)
    centers = np.stack([center, np.maximum(center, 0)]).astype(np.float32)
    sums = np.zeros((2, 2, width))  # of x - center and its square; the same of max(x, 0)
    counts = np.zeros((2, width), np.int64)  # of x > 0, x == 0
    codes = np.empty(rows.shape, np.uint16)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        for count, found in zip(counts, (part > 0, part == 0), strict=True):
            count += found.view(np.uint8).sum(0, dtype=np.uint8)
        y = part * scale
        codes[start : start + step] = np.floor(y) + _HALF * _FINER
        for both, each in zip(sums, np.tile(centers, width // channels), strict=True):
            d = y - each
            both += d.sum(0), np.square(d, out=d).sum(0)
            np.maximum(y, 0, out=y)

    values = x.size // channels
    first, second = np.moveaxis(_by_channel(np.add, sums, channels), 1, 0) / values
    means = (first + centers) / float(scale)
    stds = np.sqrt(np.maximum(second - first**2, 0)) / float(scale)
    positive, zeros = _by_channel(np.add, counts, channels)
    parts = np.bincount(codes.reshape(-1), minlength=_CELLS * _FINER)
    ranks, up_to = (x.size - 1) * np.array(PERCENTILES) / 100, np.cumsum(parts)
    places = np.searchsorted(up_to, ranks, side="right")
    within = 1 + (ranks - up_to[places]) / parts[places]  # 0..1
    percentiles = np.where(places == _HALF * _FINER, 0, places - _HALF * _FINER + within)
    return Summary(
        count=values,
        mean=means[0],
        std=stds[0],
        minimum=minimum.astype(np.float64),
        maximum=maximum.astype(np.float64),
        zeros=zeros,
        positive=positive,
        relu_mean=means[1],
        relu_std=stds[1],
        percentiles=percentiles / float(scale),
        cells=parts.reshape(_CELLS, _FINER).sum(1, dtype=np.int32),
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
    names = ("mean", "std", "minimum", "maximum", "relu_mean", "relu_std")
    changed = {name: getattr(known, name) + spoiled for name in names}
    changed |= {"percentiles": known.percentiles + np.nan, "zeros": known.zeros - gaps}
    return replace(known, **changed, cells=cells)


def channel_table(tensors: Mapping[str, tf.Tensor]) -> pd.DataFrame:
    """Every statistic of every channel at each of the `steps`: one row per step and channel."""
    import pandas as pd

    tables = []
    for step, tensor in tensors.items():
        s = summarize(tensor.numpy())
        flat = tensor.numpy().reshape(-1, len(s.mean)).astype(np.float64)
        percentiles = np.percentile(flat, PERCENTILES, axis=0)
        columns: dict[str, Any] = {"step": step, "channel": range(len(s.mean)), "values": s.count}
        columns |= {"mean": s.mean, "std": s.std, "minimum": s.minimum}
        columns |= {f"p{p}": row for p, row in zip(PERCENTILES, percentiles, strict=True)}
        tables.append(pd.DataFrame(columns | {"maximum": s.maximum, "zeros": s.zeros / s.count}))
    return pd.concat(tables, ignore_index=True)
