"""What a trained batch norm does outside training: which statistics it uses, and who shares them.

The network of a run reads test images with three kinds of statistics: those of the very batch an
image stands in, the moving ones that training left behind, and recomputed ones. And one pinned
image is read in hundreds of batches, to see how far its batch-mates move its logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from pages.lab import sweeps
from pages.lab.activations import trained

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


# ---- three kinds of statistics ---------------------------------------------------------------


def accuracy(net: SmallCNN, images: np.ndarray, labels: np.ndarray) -> float:
    """The share read correctly with the moving statistics; 0..1."""
    return float(np.mean(_read(net, images, own_statistics=0) == labels))


def accuracy_in_batches(
    net: SmallCNN, images: np.ndarray, labels: np.ndarray, size: int, seed: int = 0
) -> float:
    """The share read correctly where each image is normalized with `size` that came with it.

    The images are shuffled and cut into batches; those left over are not counted.
    """
    order = np.random.default_rng([seed, size]).permutation(len(images))
    return _right_in_batches(net, images, labels, order[: len(order) // size * size], size)


def accuracy_in_sorted_batches(
    net: SmallCNN, images: np.ndarray, labels: np.ndarray, size: int
) -> float:
    """As `accuracy_in_batches`, but each batch holds one class only. NaN if no class fills one."""
    classes = [np.flatnonzero(labels == digit) for digit in range(CLASSES)]
    order = np.concatenate([each[: len(each) // size * size] for each in classes])
    return _right_in_batches(net, images, labels, order, size) if len(order) else float("nan")


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


def study(run: Run, data: Dataset, sizes: Sequence[int] = TEST_SIZES) -> dict[str, Any]:
    """A trained batch norm with each kind of statistics, as plain numbers.

    "own": {test batch size: accuracy}; "moving", "recomputed": accuracies;
    "batches": how many were averaged for the recomputed ones; "steps": of the training;
    "off": how far the moving mean and variance lie from the recomputed ones, as the largest
    difference over the channels of the convolution in standard deviations, and as the largest
    factor between variances.
    """
    images, labels = data.test_images[:EVALUATED], data.test_labels[:EVALUATED]
    net = network(run)
    found: dict[str, Any] = {
        "own": {size: accuracy_in_batches(net, images, labels, size) for size in sizes},
        "moving": accuracy(net, images, labels),
        "steps": len(run.losses),
    }
    mean, variance = (t.numpy() for t in (net.conv_norm.moving_mean, net.conv_norm.moving_variance))
    trained_on = data.train_images[: min(run.config.train_size, RECOMPUTED_FROM)]
    found["batches"] = recalibrate(net, trained_on, run.config.batch_size)
    found["recomputed"] = accuracy(net, images, labels)
    true_mean, true_variance = net.conv_norm.moving_mean, net.conv_norm.moving_variance
    ratio = (variance + net.conv_norm.epsilon) / (true_variance + net.conv_norm.epsilon)
    shift = np.abs(mean - true_mean) / np.sqrt(true_variance + net.conv_norm.epsilon)
    found["off"] = {
        "mean": float(shift.max()),
        "variance": float(np.exp(np.abs(np.log(ratio)).max())),
    }
    return found


def _right_in_batches(
    net: SmallCNN, images: np.ndarray, labels: np.ndarray, order: np.ndarray, size: int
) -> float:
    together = max(1, _AT_ONCE // size)
    right = 0
    for start in range(0, len(order), together * size):
        part = order[start : start + together * size]
        read = _read(net, images[part], own_statistics=len(part) // size)
        right += int(np.sum(read == labels[part]))
    return right / len(order) if len(order) else float("nan")


def _read(net: SmallCNN, images: np.ndarray, own_statistics: int) -> np.ndarray:
    parts = [images] if own_statistics else list(_chunks(images))
    with tf.device(DEVICE):
        logits = [net.forward(part, False, own_statistics)["logits"].numpy() for part in parts]
    return np.concatenate(logits).argmax(1)


def _chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _AT_ONCE):
        yield images[start : start + _AT_ONCE]


# ---- batch-mates -----------------------------------------------------------------------------


def draw_mates(
    labels: np.ndarray, pinned: int, size: int, digit: int | None = None, seed: int = 0
) -> np.ndarray:
    """Who shares a batch with the pinned image, in each of 200 batches: (200, size - 1) indices.

    digit: only images of this class; None: whoever comes. Nobody twice in a batch, and the pinned
    image only once. ValueError if the class has too few.
    """
    candidates = np.flatnonzero(labels == digit) if digit is not None else np.arange(len(labels))
    candidates = candidates[candidates != pinned]
    if len(candidates) < size - 1:
        raise ValueError(f"There are only {len(candidates)} such images to draw from.")
    chance = np.random.default_rng([seed, _MATES_STREAM, size])
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
        return _cloud_of_whole_batches(net, images, batches)
    moments = channel_moments(net, images) if moments is None else moments
    twin = copy(net)
    twin.conv_norm = _Given(net.conv_norm, *pooled(moments, batches))
    copies = np.repeat(images[pinned][None], len(batches), 0)
    with tf.device(DEVICE):
        return twin.forward(copies, training=False)["logits"].numpy()


def _cloud_of_whole_batches(net: SmallCNN, images: np.ndarray, batches: np.ndarray) -> np.ndarray:
    size = batches.shape[1]
    together = max(1, _AT_ONCE // size)
    found = []
    with tf.device(DEVICE):
        for start in range(0, len(batches), together):
            part = batches[start : start + together]
            stages = net.forward(images[part.ravel()], False, own_statistics=len(part))
            found.append(stages["logits"].numpy()[::size])
    return np.concatenate(found)


class _Given(tf.Module):
    """Batch norm whose every example brings its own statistics along."""

    def __init__(self, norm: BatchNorm, mean: np.ndarray, variance: np.ndarray):
        super().__init__(name="given")
        self.norm = norm
        self.mean, self.variance = (
            each[:, None, None, :].astype(norm.gamma.dtype.as_numpy_dtype)
            for each in (mean, variance)
        )

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: bool = False) -> tf.Tensor:
        norm = self.norm
        return normalize.batch_norm(
            x, norm.gamma, norm.beta, norm.epsilon, self.mean, self.variance
        )


def logits(net: SmallCNN, images: np.ndarray) -> np.ndarray:
    """The logits as at test time, (N, 10): batch norm by its moving statistics."""
    with tf.device(DEVICE):
        parts = [net.forward(part, training=False)["logits"].numpy() for part in _chunks(images)]
    return np.concatenate(parts)


def margin(logits: np.ndarray, label: int) -> np.ndarray:
    """The right class's logit minus the largest other: above 0 the image is read correctly.

    logits: (..., 10). Returns (...).
    """
    logits = np.asarray(logits)
    others = np.delete(logits, label, axis=-1)
    return logits[..., label] - others.max(-1)


def mates_view(runs: Sequence[Run], data: Dataset) -> dict[str, Any]:
    """Everything that the batch-mates picture shows of these networks, as plain numbers.

    "alone": {method: 10 logits at test time}; "cloud": {"random" | digit: {size: 200 times 10
    logits of batch norm, times 100}}; "accuracy": {"random" | "sorted": {size: ...}} of the
    first test images in batches.
    """
    nets = {run.config.normalization: network(run) for run in runs}
    net, pinned = nets["batch"], sweeps.PINNED
    images, labels = data.test_images[:EVALUATED], data.test_labels[:EVALUATED]
    clouds: dict[str, dict[str, Any]] = {}
    for digit in (None, sweeps.ONE_CLASS):
        clouds["random" if digit is None else str(digit)] = {
            str(size): np.rint(
                100 * cloud(net, images, pinned, draw_mates(labels, pinned, size, digit))
            )
            .astype(int)
            .tolist()
            for size in sweeps.MATES_SIZES
        }
    return {
        "placement": runs[0].config.placement,
        "pinned": pinned,
        "label": int(labels[pinned]),
        "alone": {
            method: [round(float(x), 3) for x in logits(one, images[pinned][None])[0]]
            for method, one in nets.items()
        },
        "cloud": clouds,
        "accuracy": {
            how: {str(size): right(net, images, labels, size) for size in sweeps.MATES_SIZES}
            for how, right in (
                ("random", accuracy_in_batches),
                ("sorted", accuracy_in_sorted_batches),
            )
        },
    }
