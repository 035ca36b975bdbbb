"""The report's small convolutional network, every stage of it by name.

28x28x1 -> conv 5x5, 30 filters -> [norm] -> ReLU -> max pool 2x2
        -> dense 100 -> [norm] -> ReLU -> dense 10
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from normlib.config import CONV_FILTERS, TrainConfig
from normlib.fast import fast_product
from normlib.layers import BatchNorm, Identity, Kernel, WeightNorm, activations_norm, layer_kernel
from normlib.normalize import AXES, standardize

CLASSES = 10
SIDE, CONV_SIDE = 28, 5
POOLED = SIDE // 2
# A unit that is the same for every example has no scale to start from; this keeps it finite.
FLAT = 1e-6


class Network(tf.Module):
    """What the networks of the lab have in common: layers, and weights by name."""

    config: TrainConfig

    def layers(self) -> list[tuple[str, Kernel | WeightNorm, tf.Variable]]:
        """The stage, the kernel and the bias of each layer, from the input to the output."""
        raise NotImplementedError

    def forward(
        self, images: tf.Tensor, training: bool, own_statistics: int = 0
    ) -> dict[str, tf.Tensor]:
        """Every stage by name, in order, "logits" at last."""
        raise NotImplementedError

    def seen(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is recorded while it trains, of how it sees these images."""
        raise NotImplementedError

    def start_from(self, images: tf.Tensor) -> None:
        """The data-dependent start, where the config asks for it: unit pre-activations on `images`.

            t = v·x / ||v||,   g = 1 / std(t),   b = -mean(t) / std(t)

        Source: Salimans and Kingma, 2016, arXiv:1602.07868, section 3.
        """
        if self.config.weight_norm_start != "data":
            return
        for stage, kernel, bias in self.layers():
            if isinstance(kernel, WeightNorm):
                t = self.forward(images, training=False)[stage]
                _, mean, variance = standardize(t, AXES["batch"](t.shape.rank), 0.0)
                std = tf.sqrt(tf.reshape(variance, bias.shape) + FLAT)
                kernel.g.assign(kernel.g / std)
                bias.assign(-tf.reshape(mean, bias.shape) / std)

    def state(self) -> dict[str, tf.Variable]:
        """Every variable by name: "conv_bias", "conv_kernel/w", "conv_norm/moving_mean", ..."""
        named = {}
        for part, owner in vars(self).items():
            if isinstance(owner, tf.Variable):
                named[part] = owner
            elif isinstance(owner, tf.Module):
                variables = vars(owner).items()
                named |= {f"{part}/{n}": v for n, v in variables if isinstance(v, tf.Variable)}
        return named

    def weights(self) -> dict[str, np.ndarray]:
        """A copy of the state as arrays."""
        return {name: variable.numpy() for name, variable in self.state().items()}

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Take over what `weights` gave; ValueError if the names are not this network's."""
        state = self.state()
        if set(state) != set(weights):
            raise ValueError("These weights belong to a network of another shape.")
        for name, variable in state.items():
            variable.assign(weights[name])


class SmallCNN(Network):
    """The report's network: weights from N(0, start_scale²), biases 0.

    config: what is normalized, how, the width of the dense layer, and the seed of the initial
    weights; each layer draws from a stream of its own, so a change to one leaves the others as
    they were. Without one the network is plain.
    """

    def __init__(self, config: TrainConfig | None = None, dtype: tf.DType = tf.float32):
        super().__init__(name="small_cnn")
        self.config = config = config or TrainConfig(normalization="none")
        self.dtype = tf.as_dtype(dtype)
        everywhere = config.placement == "conv and dense"

        def kernel(layer: int, normalized: bool, *shape: int) -> Kernel | WeightNorm:
            normal = np.random.default_rng([config.seed, layer]).standard_normal(shape)
            scale = config.start_scale * (1.0 if layer else config.first_scale)
            initial = (scale * normal).astype(self.dtype.as_numpy_dtype)
            return layer_kernel(config, initial) if normalized else Kernel(initial)

        def bias(units: int, name: str) -> tf.Variable:
            return tf.Variable(tf.zeros([units], dtype), name=name)

        units = config.hidden_units
        self.conv_kernel = kernel(0, True, CONV_SIDE, CONV_SIDE, 1, CONV_FILTERS)
        self.conv_bias = bias(CONV_FILTERS, "conv_bias")
        self.conv_norm = activations_norm(config, (SIDE, SIDE, CONV_FILTERS), dtype)
        self.dense_kernel = kernel(1, everywhere, POOLED * POOLED * CONV_FILTERS, units)
        self.dense_bias = bias(units, "dense_bias")
        self.dense_norm = activations_norm(config, (units,), dtype) if everywhere else Identity()
        # The output's activations are the answer and are never normalized; its kernel may be.
        self.output_kernel = kernel(2, everywhere, units, CLASSES)
        self.output_bias = bias(CLASSES, "output_bias")
        norms = {"conv": self.conv_norm, "hidden": self.dense_norm}
        after = config.position == "after ReLU"
        self.after_relu = {n: after and not isinstance(norms[n], Identity) for n in norms}

    def layers(self) -> list[tuple[str, Kernel | WeightNorm, tf.Variable]]:
        return [
            ("conv", self.conv_kernel, self.conv_bias),
            ("hidden", self.dense_kernel, self.dense_bias),
            ("logits", self.output_kernel, self.output_bias),
        ]

    def seen(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """What ReLU gets in each unit, of the convolution at the middle of the image; the share of
        units that are 0 for all images; batch norm's moving statistics beside those of these
        images, by which it normalizes them."""
        stages = self.forward(images, training=False, own_statistics=True)
        middle = SIDE // 2
        seen = {
            "conv_units": stages[self.relu_input("conv")][:, middle, middle],
            "hidden_units": stages[self.relu_input("hidden")],
            "dead_conv": share(tf.reduce_max(stages["conv_relu"], [0, 1, 2]) == 0),
            "dead_hidden": share(tf.reduce_max(stages["hidden_relu"], 0) == 0),
        }
        norm = self.conv_norm
        if isinstance(norm, BatchNorm):
            _, mean, variance = norm.normalized(stages[self.norm_input("conv")])
            seen |= {
                "moving_mean": tf.identity(norm.moving_mean),
                "moving_variance": tf.identity(norm.moving_variance),
                "batch_mean": tf.reshape(mean, [-1]),
                "batch_variance": tf.reshape(variance, [-1]),
            }
        return seen

    @classmethod
    def from_config(cls, config: TrainConfig, dtype: tf.DType = tf.float32) -> SmallCNN:
        """The network that a config describes, with its initial weights."""
        return cls(config, dtype)

    def forward(
        self, images: tf.Tensor, training: bool, own_statistics: int = 0, last: str = "logits"
    ) -> dict[str, tf.Tensor]:
        """Every stage of the network by name, in order.

        images: (N, 28, 28, 1), uint8 0..255 or floats 0..1. training: batch norm uses the
        batch's own statistics and moves its moving ones; otherwise it uses the moving ones, or,
        with own_statistics=True, the batch's own without touching the moving ones (with a larger
        number those of each of so many parts of the batch).
        last: the stage to stop after, as soon as its layer is through.
        Raises ValueError for another shape.
        """
        stages: dict[str, tf.Tensor] = {}
        x = as_images(images, self.dtype)
        convolved = tf.nn.conv2d(x, self.conv_kernel(), 1, "SAME")
        stages["conv"] = tf.nn.bias_add(convolved, self.conv_bias)
        self._activate("conv", self.conv_norm, stages, training, own_statistics)
        if last in stages:
            return stages
        # Where ReLU comes last, it is taken of the pooled: the same, from a quarter of the numbers.
        pooled = tf.nn.max_pool2d(stages["conv_normalized"], 2, 2, "VALID")
        stages["pooled"] = pooled if self.after_relu["conv"] else tf.nn.relu(pooled)
        flat = tf.reshape(stages["pooled"], [-1, POOLED * POOLED * CONV_FILTERS])
        stages["hidden"] = fast_product(flat, self.dense_kernel()) + self.dense_bias
        x = self._activate("hidden", self.dense_norm, stages, training, own_statistics)
        stages["logits"] = x @ self.output_kernel() + self.output_bias
        return stages

    def _activate(self, layer: str, norm, stages, training, own_statistics) -> tf.Tensor:
        """Add `<layer>_normalized` and `<layer>_relu` to the stages; return the later one."""
        x, normalized, relu = stages[layer], f"{layer}_normalized", f"{layer}_relu"
        if self.after_relu[layer]:
            stages[relu] = tf.nn.relu(x)
            stages[normalized] = norm(stages[relu], training, own_statistics)
            return stages[normalized]
        stages[normalized] = norm(x, training, own_statistics)
        stages[relu] = tf.nn.relu(stages[normalized])
        return stages[relu]

    def norm_input(self, layer: str) -> str:
        """The stage that is normalized in a layer, "conv" or "hidden"."""
        return f"{layer}_relu" if self.after_relu[layer] else layer

    def relu_input(self, layer: str) -> str:
        """The stage that a layer's ReLU gets."""
        return layer if self.after_relu[layer] else f"{layer}_normalized"


def as_images(images: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Images as numbers 0..1 of this dtype; ValueError unless they are (N, 28, 28, 1)."""
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4 or images.shape[1:] != (SIDE, SIDE, 1):
        raise ValueError(f"Images must be (N, 28, 28, 1), and these are {images.shape}.")
    x = tf.cast(images, dtype)
    return x / 255 if images.dtype == tf.uint8 else x


def share(true: tf.Tensor) -> tf.Tensor:
    """The share of these that are true, 0 to 1."""
    return tf.reduce_mean(tf.cast(true, tf.float32))
