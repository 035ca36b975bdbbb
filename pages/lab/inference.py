"""What a trained batch norm does outside training: which statistics it uses, and who shares them.

The network of a run classifies test images with three kinds of statistics: those of the very batch
in which an image stands, the moving ones that training left behind, and recomputed ones. And one
image is classified in hundreds of batches, to see how far its batch-mates move its logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import tensorflow as tf

from normlib import normalize
from normlib.cnn import CLASSES, SmallCNN
from normlib.layers import BatchNorm
from normlib.mnist import Dataset
from normlib.run import Run
from normlib.runtime import DEVICE
from pages.lab import studies
from pages.lab.activations import trained
from pages.lab.studies import Mates, Study

EVALUATED = 2_000  # test images, the first of them
RECOMPUTED_FROM = 4_096  # training images, the first of them
TEST_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BATCHES = 200
_AT_ONCE = 512
_MATES_STREAM = 200


def network(run: Run) -> SmallCNN:
    """The network as a run left it, with variables of its own."""
    with tf.device(DEVICE):
        net = SmallCNN(run.config)
        net.set_weights(trained(run).weights)
        return net


def evaluated(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The images that are classified here, at most `EVALUATED`, and their labels."""
    return data.test_images[:EVALUATED], data.test_labels[:EVALUATED]


def logits(net: SmallCNN, images: np.ndarray, size: int = 0) -> np.ndarray:
    """The logits of images, (N, 10). Batch norm uses its moving statistics.

    size: of the batches, each of which is normalized by its own statistics instead; N is a
    multiple of it.
    """
    at_once = max(1, _AT_ONCE // size) * size if size else _AT_ONCE
    with tf.device(DEVICE):
        parts = [
            net.forward(part, False, own_statistics=len(part) // size if size else 0)["logits"]
            for part in _chunks(images, at_once)
        ]
        return tf.concat(parts, 0).numpy()


def _chunks(images: np.ndarray, size: int = _AT_ONCE) -> Iterator[np.ndarray]:
    for start in range(0, len(images), size):
        yield images[start : start + size]


# ---- three kinds of statistics ---------------------------------------------------------------


def accuracy(net: SmallCNN, images: np.ndarray, labels: np.ndarray, size: int = 0) -> float:
    """The share classified correctly, 0..1, with the statistics that `logits` uses."""
    return float(np.mean(logits(net, images, size).argmax(1) == labels))


def accuracy_in_batches(
    net: SmallCNN, images: np.ndarray, labels: np.ndarray, size: int, one_class: bool = False
) -> float | None:
    """The share classified correctly by the statistics of batches of `size`; None if none is full.

    The images are shuffled, or with one_class sorted by their class, and cut into batches; those
    left over are not counted.
    """
    groups = [np.random.default_rng([0, size]).permutation(len(images))]
    if one_class:
        groups = [np.flatnonzero(labels == digit) for digit in range(CLASSES)]
    order = np.concatenate([group[: len(group) // size * size] for group in groups])
    return accuracy(net, images[order], labels[order], size) if len(order) else None


def recalibrate(net: SmallCNN, images: np.ndarray, size: int) -> int:
    """Replace the moving statistics by the plain average over these batches of `size` images.

        moving_k = k/(k+1) · moving_{k-1} + 1/(k+1) · batch_k,   k = 0, 1, 2, ...

    Whatever training left in them is gone after the first batch. Returns the number of batches.
    Changes `net`.
    """
    norms = [norm for norm in (net.conv_norm, net.dense_norm) if isinstance(norm, BatchNorm)]
    batches = max(1, len(images) // size)
    with tf.device(DEVICE):
        for k in range(batches):
            for norm in norms:
                norm.momentum = k / (k + 1)
            net.forward(images[k * size : (k + 1) * size], training=True)
    return batches


def study(run: Run, data: Dataset, sizes: Sequence[int] = TEST_SIZES) -> Study:
    """A trained batch norm with each kind of statistics.

    sizes: of the test batches; one for which there are too few images is replaced by all of them.
    """
    images, labels = evaluated(data)
    net = network(run)
    norm = net.conv_norm
    own = {
        size: right
        for size in sorted({min(size, len(images)) for size in sizes})
        if (right := accuracy_in_batches(net, images, labels, size)) is not None
    }
    moving = accuracy(net, images, labels)
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    trained_on = data.train_images[: min(run.config.train_size, RECOMPUTED_FROM)]
    batches = recalibrate(net, trained_on, run.config.batch_size)
    ratio = (variance + norm.epsilon) / (norm.moving_variance + norm.epsilon)
    shift = np.abs(mean - norm.moving_mean) / np.sqrt(norm.moving_variance + norm.epsilon)
    return Study(
        run.config,
        own,
        moving,
        len(run.losses),
        batches,
        accuracy(net, images, labels),
        {"mean": float(shift.max()), "variance": float(np.exp(np.abs(np.log(ratio)).max()))},
    )


# ---- batch-mates -----------------------------------------------------------------------------


def draw_mates(labels: np.ndarray, pinned: int, size: int, digit: int | None = None) -> np.ndarray:
    """Who shares a batch with the pinned image, in each of 200 batches: (200, size - 1) indices.

    digit: only images of this class; None: any. No image twice in a batch, and the pinned one
    only once. ValueError if the class has too few.
    """
    candidates = np.flatnonzero(labels == digit) if digit is not None else np.arange(len(labels))
    candidates = candidates[candidates != pinned]
    if len(candidates) < size - 1:
        raise ValueError(f"There are only {len(candidates)} such images to draw from.")
    chance = np.random.default_rng([0, _MATES_STREAM, size])
    drawn = [chance.choice(len(candidates), size - 1, replace=False) for _ in range(BATCHES)]
    return candidates[np.array(drawn, int).reshape(BATCHES, size - 1)]


def channel_moments(net: SmallCNN, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each channel of the convolution in each image alone: two (N, C)."""
    means, variances = [], []
    with tf.device(DEVICE):
        for part in _chunks(images):
            x = net.forward(part, training=False, last="conv")["conv"]
            _, mean, variance = normalize.standardize(x, (1, 2), 0.0)
            means.append(mean[:, 0, 0].numpy())
            variances.append(variance[:, 0, 0].numpy())
    return np.concatenate(means), np.concatenate(variances)


def pooled(
    moments: tuple[np.ndarray, np.ndarray], batches: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A batch's mean and variance from those of its images: two (B, C), batches (B, m) indices.

    mean = mean of the means;  variance = mean of the variances + variance of the means
    """
    mean, variance = (each.astype(np.float64)[batches] for each in moments)
    return mean.mean(1), variance.mean(1) + mean.var(1)


def cloud(
    net: SmallCNN,
    images: np.ndarray,
    pinned: int,
    mates: np.ndarray,
    moments: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """The logits of one image in each of B batches with its mates: (B, 10).

    mates: (B, m - 1) indices into images. moments: `channel_moments` of the images, if at hand.
    Where batch norm stands on the convolution alone, nothing of the mates matters but their share
    in its mean and variance, so only the pinned image goes through the network.
    """
    batches = np.concatenate([np.full((len(mates), 1), pinned), mates], 1)
    if isinstance(net.dense_norm, BatchNorm):
        size = batches.shape[1]
        return logits(net, images[batches.ravel()], size)[::size]
    norm = net.conv_norm
    mean, variance = (
        each[:, None, None].astype(np.float32)
        for each in pooled(moments or channel_moments(net, images), batches)
    )
    twin: Any = copy(net)
    twin.conv_norm = lambda x, *_: normalize.batch_norm(
        x, norm.gamma, norm.beta, norm.epsilon, mean, variance
    )
    copies = np.repeat(images[pinned][None], len(batches), 0)
    with tf.device(DEVICE):
        return twin.forward(copies, training=False)["logits"].numpy()


def mates(
    nets: Mapping[str, SmallCNN],
    data: Dataset,
    pinned: int,
    size: int,
    digit: int | None,
    moments: tuple[np.ndarray, np.ndarray] | None = None,
) -> Mates:
    """One test image in 200 batches of `size`, and what each network makes of it alone.

    nets: by method. moments: `channel_moments` of the test images under batch norm, if at hand.
    ValueError where the class of mates has too few images.
    """
    images, labels = evaluated(data)
    pinned = min(pinned, len(images) - 1)
    drawn = draw_mates(labels, pinned, size, digit)
    return Mates(
        pinned,
        int(labels[pinned]),
        size,
        digit,
        cloud(nets["batch"], images, pinned, drawn, moments),
        {method: logits(net, images[pinned][None])[0] for method, net in nets.items()},
        accuracy_in_batches(nets["batch"], images, labels, size),
        accuracy_in_batches(nets["batch"], images, labels, size, one_class=True),
    )


def mates_view(runs: Sequence[Run], data: Dataset) -> dict[str, Any]:
    """Everything that the batch-mates picture shows of these networks, as a recording.

    "alone": {method: 10 logits at test time}; "cloud": {"random" | digit: {size: 200 times 10
    logits of batch norm, times 100}}; "accuracy": {"random" | "sorted": {size: ...}}.
    """
    nets = {run.config.normalization: network(run) for run in runs}
    groups = {"random": None, str(studies.ONE_CLASS): studies.ONE_CLASS}
    seen = {
        who: {str(m): mates(nets, data, studies.PINNED, m, digit) for m in studies.MATES_SIZES}
        for who, digit in groups.items()
    }
    first, *_ = seen["random"].values()
    return {
        "placement": runs[0].config.placement,
        "pinned": first.pinned,
        "label": first.label,
        "alone": {method: [round(float(x), 3) for x in ten] for method, ten in first.alone.items()},
        "cloud": {
            who: {size: np.rint(100 * one.cloud).astype(int).tolist() for size, one in each.items()}
            for who, each in seen.items()
        },
        "accuracy": {
            how: {size: getattr(one, how) for size, one in seen["random"].items()}
            for how in ("random", "sorted")
        },
    }
