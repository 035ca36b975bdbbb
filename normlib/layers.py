"""The normalizations as layers: they hold the variables, and leave the maths to `fast`.

A layer that normalizes activations is called with `(x, training)`; a kernel is called with
nothing and returns w. `normalization(config)` is the one place where a method's name becomes
objects. `own_statistics=True` with `training=False` normalizes a batch by its own statistics and
leaves the moving ones alone; only batch norm can tell the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from normlib import fast
from normlib.config import TrainConfig
from normlib.normalize import AXES, direction, split_channels, weight_norm


class Identity(tf.Module):
    """No normalization: gives back what it gets."""

    def __init__(self, shape: Sequence[int], dtype: tf.DType = tf.float32):
        super().__init__(name="identity")

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: bool = True) -> tf.Tensor:
        return x


class Norm(tf.Module):
    """z = gamma * standardize(x) + beta, where a subclass says over which axes.

    shape: of one example, (H, W, C) or (C,). epsilon: inside the root.
    learn: train gamma and beta; False keeps them at 1 and 0.
    center, scale: whether the mean is subtracted, and the root divided by.
    """

    has_beta = True

    def __init__(
        self,
        shape: Sequence[int],
        *,
        epsilon: float,
        learn: bool = True,
        center: bool = True,
        scale: bool = True,
        dtype: tf.DType = tf.float32,
    ):
        super().__init__(name=type(self).__name__.lower())
        self.shape = tuple(shape)
        self.epsilon, self.center, self.scale = epsilon, center, scale
        owned = self.parameter_shape
        self.gamma = tf.Variable(tf.ones(owned, dtype), trainable=learn, name="gamma")
        self.beta = (
            tf.Variable(tf.zeros(owned, dtype), trainable=learn, name="beta")
            if self.has_beta
            else None
        )

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        """The shape of gamma and beta: one of each per channel."""
        return self.shape[-1:]

    @property
    def axes(self) -> tuple[int, ...]:
        """The averaged axes of (N, *shape)."""
        raise NotImplementedError

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: bool = True) -> tf.Tensor:
        return self.normalized(x)[0]

    def normalized(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """z, mean and variance of x, with the statistics of its own."""
        seen, gamma, beta = self.view(x)
        z, mean, variance = fast.normalized(
            seen, gamma, beta, self.epsilon, self.axes, self.center, self.scale
        )
        return tf.reshape(z, tf.shape(x)), mean, variance

    def view(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """x, gamma and beta in the shape whose `axes` are averaged."""
        return x, self.gamma, self.beta


class BatchNorm(Norm):
    """Batch norm: one mean and variance per channel, shared by the batch and all positions.

        training:   the batch's own;   moving = momentum * moving + (1 - momentum) * batch
        inference:  the moving ones

    momentum is Keras's (PyTorch's is 1 minus it), and the moving variance is the biased one, as
    in Keras: it is the very number that training divides by.
    ghost_batches: the batch is split into so many parts with statistics of their own; one that
        cannot be split evenly, such as a short last one, stays whole.
    Source: Ioffe and Szegedy, 2015, arXiv:1502.03167.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        momentum: float = 0.9,
        ghost_batches: int = 1,
        dtype: tf.DType = tf.float32,
        **options,
    ):
        super().__init__(shape, dtype=dtype, **options)
        self.momentum, self.ghost_batches = momentum, ghost_batches
        channels = self.shape[-1:]
        self.moving_mean = tf.Variable(
            tf.zeros(channels, dtype), trainable=False, name="moving_mean"
        )
        self.moving_variance = tf.Variable(
            tf.ones(channels, dtype), trainable=False, name="moving_variance"
        )

    @property
    def axes(self) -> tuple[int, ...]:
        ghosts = int(self.ghost_batches > 1)
        return tuple(range(ghosts, ghosts + len(self.shape)))

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: bool = False) -> tf.Tensor:
        if not (training or own_statistics):
            mean = self.moving_mean if self.center else tf.zeros_like(self.moving_mean)
            # Dividing by sqrt(1 + 0) is how "do not divide" reads in terms of batch_norm.
            variance = self.moving_variance if self.scale else tf.ones_like(mean)
            epsilon = self.epsilon if self.scale else 0.0
            return fast.with_statistics(x, self.gamma, self.beta, epsilon, mean, variance)
        z, mean, variance = self.normalized(x)
        if training:
            self.update(mean, variance)
        return z

    def view(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        if self.ghost_batches > 1:
            even = tf.shape(x)[0] % self.ghost_batches == 0
            x = tf.reshape(x, [tf.where(even, self.ghost_batches, 1), -1, *self.shape])
        return x, self.gamma, self.beta

    def update(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        """Move the moving statistics one step towards these (the average over ghost batches)."""
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            batch = tf.reduce_mean(tf.reshape(batch, [-1, self.shape[-1]]), 0)
            moving.assign(self.momentum * moving + (1 - self.momentum) * batch)


class LayerNorm(Norm):
    """Layer norm: one mean and variance per example; gamma and beta for every number in it.

    Source: Ba, Kiros and Hinton, 2016, arXiv:1607.06450.
    """

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        return self.shape

    @property
    def axes(self) -> tuple[int, ...]:
        return tuple(range(1, len(self.shape) + 1))


class RMSNorm(LayerNorm):
    """RMS norm: layer norm without the mean and without beta.

    Source: Zhang and Sennrich, 2019, arXiv:1910.07467.
    """

    has_beta = False

    def __init__(self, shape: Sequence[int], **options):
        super().__init__(shape, **{**options, "center": False})


class InstanceNorm(Norm):
    """Instance norm: one mean and variance per channel of each example.

    Source: Ulyanov, Vedaldi and Lempitsky, 2016, arXiv:1607.08022.
    """

    @property
    def axes(self) -> tuple[int, ...]:
        return tuple(range(1, len(self.shape)))


class GroupNorm(Norm):
    """Group norm: one mean and variance per group of channels of each example.

    Source: Wu and He, 2018, arXiv:1803.08494.
    """

    def __init__(self, shape: Sequence[int], *, groups: int, **options):
        super().__init__(shape, **options)
        self.groups = groups

    @property
    def axes(self) -> tuple[int, ...]:
        return AXES["group"](len(self.shape) + 1)

    def view(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        return tuple(split_channels(t, self.groups) for t in (x, self.gamma, self.beta))


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
    Source: Salimans and Kingma, 2016, arXiv:1602.07868.
    """

    def __init__(self, initial: np.ndarray, length: float | None = None):
        super().__init__(name="weight_norm")
        self.v = tf.Variable(initial, name="v")
        _, norms = direction(self.v)
        start = norms if length is None else length * tf.ones_like(norms)
        self.g = tf.Variable(start, name="g")

    def __call__(self) -> tf.Tensor:
        return weight_norm(self.v, self.g)


def constant_kernel(initial: np.ndarray) -> Kernel:
    """The report's mistake: v = g = 1, one norm over the whole kernel, and never trained.

    Every output channel gets the same box of 1 / sqrt(number of weights).
    """
    return Kernel(np.full_like(initial, initial.size**-0.5), trainable=False)


@dataclass(frozen=True)
class Normalization:
    """How one layer of a network is normalized: what acts on its activations, and its kernel.

    activations(shape, dtype) makes the module called with (x, training); kernel(initial) the
    module that returns w; after_relu says where the activations are normalized;
    starts_from_data says that the first batch sets the scale of the layer.
    """

    activations: Callable[..., tf.Module] = Identity
    kernel: Callable[[np.ndarray], tf.Module] = Kernel
    after_relu: bool = False
    starts_from_data: bool = False

    def relu_input(self, layer: str) -> str:
        """The name of the stage that this layer's ReLU gets."""
        return layer if self.after_relu else f"{layer}_normalized"


def normalization(config: TrainConfig) -> Normalization:
    """The method that a config names, with the config's options."""
    if config.normalization == "none":
        return Normalization()
    if config.normalization == "weight":
        return Normalization(
            kernel={
                "norm": WeightNorm,
                "one": lambda initial: WeightNorm(initial, length=1.0),
                "data": lambda initial: WeightNorm(initial, length=1.0),
                "constant": constant_kernel,
            }[config.weight_norm_start],
            starts_from_data=config.weight_norm_start == "data",
        )
    options: dict[str, object] = {
        "epsilon": config.epsilon,
        "learn": config.learn_scale_shift,
        "center": config.center,
        "scale": config.scale,
    }
    running = {"momentum": config.momentum}
    layer, own = {
        "batch": (BatchNorm, {**running, "ghost_batches": config.ghost_batches}),
        "layer": (LayerNorm, {}),
        "group": (GroupNorm, {"groups": config.groups}),
        "instance": (InstanceNorm, {}),
        "rms": (RMSNorm, {}),
        "tf_batch": (TensorFlowBatchNorm, running),
    }[config.normalization]

    def activations(shape: Sequence[int], dtype: tf.DType) -> tf.Module:
        return layer(shape, dtype=dtype, **options, **own)

    return Normalization(activations, after_relu=config.position == "after ReLU")


class TensorFlowBatchNorm(BatchNorm):
    """Batch norm by `tf.nn.moments` and `tf.nn.batch_normalization`, to set ours beside it."""

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: bool = False) -> tf.Tensor:
        mean, variance = self.moving_mean, self.moving_variance
        if training or own_statistics:
            mean, variance = tf.nn.moments(x, self.axes)
        if training:
            self.update(mean, variance)
        return tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, self.epsilon)
