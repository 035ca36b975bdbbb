"""The normalizations as layers: they hold the variables, and leave the maths to `normalize`.

A layer that normalizes activations is called with `(x, training)`; a kernel is called with
nothing and returns w. In a graph, where trainings run, `fast` takes the place of the plain
formulas. `own_statistics` with `training=False` normalizes a batch by statistics of its own and
leaves the moving ones alone; only batch norm can tell the difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from normlib.config import TrainConfig
from normlib.fast import fast_batch_norm, fast_normalized, fast_weight_norm
from normlib.normalize import (
    AXES,
    batch_norm,
    direction,
    scale_shift,
    split_channels,
    standardize,
    weight_norm,
)


class Identity(tf.Module):
    """No normalization: gives back what it gets."""

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: int = 1) -> tf.Tensor:
        return x


class Norm(tf.Module):
    """z = gamma * standardize(x) + beta, over the axes of the config's method.

    shape: of one example, (H, W, C) or (C,).
    """

    def __init__(self, config: TrainConfig, shape: Sequence[int], dtype: tf.DType = tf.float32):
        method = config.normalization.removeprefix("tf_")
        super().__init__(name=f"{method}_norm")
        self.config, self.method, self.shape = config, method, tuple(shape)
        self.epsilon = config.epsilon
        self.center, self.scale = config.center and method != "rms", config.scale
        # Layer and RMS norm own one for each number of an example, the others one per channel.
        owned = self.shape if method in ("layer", "rms") else self.shape[-1:]
        learn = config.learn_scale_shift
        self.gamma = tf.Variable(tf.ones(owned, dtype), trainable=learn, name="gamma")
        self.beta = None
        if method != "rms":
            self.beta = tf.Variable(tf.zeros(owned, dtype), trainable=learn, name="beta")

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: int = 1) -> tf.Tensor:
        return self.normalized(x)[0]

    def normalized(self, x: tf.Tensor, parts: int = 1) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """z, and the mean and variance of x that it was normalized by (those of its view).

        parts: so many parts of the batch have statistics of their own; a batch that cannot be
        split evenly, such as a short last one, stays whole.
        """
        view, gamma, beta, axes = x, self.gamma, self.beta, AXES[self.method](len(self.shape) + 1)
        if self.method == "group":
            view, gamma, beta = (split_channels(t, self.config.groups) for t in (x, gamma, beta))
        if parts > 1:
            even = tf.shape(x)[0] % parts == 0
            view = tf.reshape(x, [tf.where(even, parts, 1), -1, *self.shape])
            axes = tuple(axis + 1 for axis in axes)
        if tf.executing_eagerly():
            x_hat, mean, variance = standardize(view, axes, self.epsilon, self.center)
            z = scale_shift(x_hat if self.scale else view - mean, gamma, beta)
        else:
            z, mean, variance = fast_normalized(
                view, gamma, beta, self.epsilon, axes, self.center, self.scale
            )
        return tf.reshape(z, tf.shape(x)), mean, variance


class BatchNorm(Norm):
    """Batch norm: one mean and variance per channel, shared by the batch and all positions.

        training:   the batch's own;   moving = momentum * moving + (1 - momentum) * batch
        inference:  the moving ones

    momentum is Keras's (PyTorch's is 1 minus it), and the moving variance is the biased one, as
    in Keras: it is the very number that training divides by.
    In training each of the config's ghost batches has statistics of its own.
    """

    def __init__(self, config: TrainConfig, shape: Sequence[int], dtype: tf.DType = tf.float32):
        super().__init__(config, shape, dtype)
        self.momentum = config.momentum
        mean, variance = tf.zeros_like(self.gamma), tf.ones_like(self.gamma)
        self.moving_mean = tf.Variable(mean, trainable=False, name="moving_mean")
        self.moving_variance = tf.Variable(variance, trainable=False, name="moving_variance")

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: int = 0) -> tf.Tensor:
        """own_statistics: of the whole batch (1, True), or of each of so many parts of it."""
        if training:
            z, mean, variance = self.normalized(x, self.config.ghost_batches)
            self.update(mean, variance)
            return z
        if own_statistics:
            return self.normalized(x, own_statistics)[0]
        mean = self.moving_mean if self.center else tf.zeros_like(self.moving_mean)
        # Dividing by sqrt(1 + 0) is how "do not divide" reads in terms of batch_norm.
        variance = self.moving_variance if self.scale else tf.ones_like(mean)
        epsilon = self.epsilon if self.scale else 0.0
        op = batch_norm if tf.executing_eagerly() else fast_batch_norm
        return op(x, self.gamma, self.beta, epsilon, mean, variance)

    def update(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        """Move the moving statistics one step towards these (the average over ghost batches)."""
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            batch = tf.reduce_mean(tf.reshape(batch, [-1, self.shape[-1]]), 0)
            moving.assign(self.momentum * moving + (1 - self.momentum) * batch)


class TensorFlowBatchNorm(BatchNorm):
    """Batch norm by `tf.nn.moments` and `tf.nn.batch_normalization`, to set ours beside it."""

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: int = 0) -> tf.Tensor:
        mean, variance = self.moving_mean, self.moving_variance
        if training or own_statistics:
            mean, variance = tf.nn.moments(x, AXES["batch"](len(x.shape)))
        if training:
            self.update(mean, variance)
        return tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, self.epsilon)


class Kernel(tf.Module):
    """A kernel as it is: w is the variable."""

    def __init__(self, initial: np.ndarray, trainable: bool = True):
        super().__init__(name="kernel")
        self.w = tf.Variable(initial, trainable=trainable, name="w")

    def __call__(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.w)


class WeightNorm(tf.Module):
    """A kernel by direction and length: w = g * v / ||v||, one g per output channel.

    initial: (..., C_out), becomes v. length: the start of g; None takes ||v||, so that wrapping
    a kernel changes nothing.
    """

    def __init__(self, initial: np.ndarray, length: float | None = None):
        super().__init__(name="weight_norm")
        self.v = tf.Variable(initial, name="v")
        _, norm = direction(self.v)
        self.g = tf.Variable(norm if length is None else length * tf.ones_like(norm), name="g")

    def __call__(self) -> tf.Tensor:
        op = weight_norm if tf.executing_eagerly() else fast_weight_norm
        return op(self.v, self.g)


def constant_kernel(initial: np.ndarray) -> Kernel:
    """The report's mistake: v = g = 1, one norm over the whole kernel, and never trained.

    Every output channel gets the same box of 1 / sqrt(number of weights).
    """
    return Kernel(np.full_like(initial, initial.size**-0.5), trainable=False)


def layer_kernel(config: TrainConfig, initial: np.ndarray) -> Kernel | WeightNorm:
    """The kernel of a layer that is normalized as the config says."""
    if config.normalization != "weight":
        return Kernel(initial)
    if config.weight_norm_start == "constant":
        return constant_kernel(initial)
    return WeightNorm(initial, length=None if config.weight_norm_start == "norm" else 1.0)


def activations_norm(config: TrainConfig, shape: Sequence[int], dtype: tf.DType) -> Identity | Norm:
    """What acts on the activations, of this shape, of a layer normalized as the config says."""
    if config.normalization in ("none", "weight"):
        return Identity()
    kinds = {"batch": BatchNorm, "tf_batch": TensorFlowBatchNorm}
    return kinds.get(config.normalization, Norm)(config, shape, dtype)
