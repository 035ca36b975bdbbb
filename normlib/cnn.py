"""The report's small convolutional network, every stage of it by name.

    28x28x1 -> conv 5x5, 30 filters -> [norm] -> ReLU -> max pool 2x2
            -> dense 100 -> [norm] -> ReLU -> dense 10

It takes normalization objects and asks no method for its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import tensorflow as tf

from normlib.config import CONV_FILTERS, TrainConfig
from normlib.layers import Normalization, normalization
from normlib.normalize import standardize
from normlib.runtime import custom_gradient

WEIGHT_STD = 0.1
CLASSES = 10
_SIDE, _CONV_SIDE = 28, 5
_POOLED = _SIDE // 2
# A unit that is the same for every example has no scale to start from; this keeps it finite.
_FLAT = 1e-6


@lru_cache(maxsize=6)
def _normal(seed: int, layer: int, shape: tuple[int, ...]) -> np.ndarray:
    """N(0, 1) from the layer's own stream. Kept, as the methods of one seed start from the same."""
    return np.random.default_rng([seed, layer]).standard_normal(shape)


@custom_gradient
def _product(x: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """x @ w, with dx as a batch of one product: TensorFlow has a faster op for batches."""

    def backward(dz):
        dx = tf.matmul(dz[None], w[None], transpose_b=True)[0]
        return dx, tf.matmul(x, dz, transpose_a=True)

    return x @ w, backward


def _max_pool(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(x, 2, 2, "VALID")


class SmallCNN(tf.Module):
    """The report's network: weights from N(0, 0.1), biases 0.

    conv, dense, output: how each layer is normalized. hidden_units: width of the dense layer.
    seed: of the initial weights; each layer draws from a stream of its own, so a change to one
    leaves the others as they were.
    """

    def __init__(
        self,
        conv: Normalization | None = None,
        dense: Normalization | None = None,
        output: Normalization | None = None,
        *,
        hidden_units: int = 100,
        seed: int = 0,
        dtype: tf.DType = tf.float32,
    ):
        super().__init__(name="small_cnn")
        plain = Normalization()
        self.conv, self.dense, self.output = conv or plain, dense or plain, output or plain
        self.hidden_units, self.dtype = hidden_units, tf.as_dtype(dtype)

        def draw(layer: int, *shape: int) -> np.ndarray:
            return (WEIGHT_STD * _normal(seed, layer, shape)).astype(self.dtype.as_numpy_dtype)

        def bias(units: int, name: str) -> tf.Variable:
            return tf.Variable(tf.zeros([units], self.dtype), name=name)

        self.conv_kernel = self.conv.kernel(draw(0, _CONV_SIDE, _CONV_SIDE, 1, CONV_FILTERS))
        self.conv_bias = bias(CONV_FILTERS, "conv_bias")
        self.conv_norm = self.conv.activations((_SIDE, _SIDE, CONV_FILTERS), dtype=self.dtype)
        pooled = _POOLED * _POOLED * CONV_FILTERS
        self.dense_kernel = self.dense.kernel(draw(1, pooled, hidden_units))
        self.dense_bias = bias(hidden_units, "dense_bias")
        self.dense_norm = self.dense.activations((hidden_units,), dtype=self.dtype)
        self.output_kernel = self.output.kernel(draw(2, hidden_units, CLASSES))
        self.output_bias = bias(CLASSES, "output_bias")

    @classmethod
    def from_config(cls, config: TrainConfig, dtype: tf.DType = tf.float32) -> SmallCNN:
        """The network that a config describes, with its initial weights."""
        chosen = normalization(config)
        dense = chosen if config.placement == "conv and dense" else Normalization()
        # The output's activations are the answer and are never normalized; its kernel may be.
        output = Normalization(kernel=dense.kernel, starts_from_data=dense.starts_from_data)
        return cls(
            chosen, dense, output, hidden_units=config.hidden_units, seed=config.seed, dtype=dtype
        )

    def forward(
        self,
        images: tf.Tensor,
        training: bool,
        own_statistics: bool | None = None,
        last: str = "logits",
    ) -> dict[str, tf.Tensor]:
        """Every stage of the network by name, in order (`normlib.config.STAGES`).

        images: (N, 28, 28, 1), uint8 0..255 or floats 0..1. training: batch norm uses the
        batch's own statistics and moves its moving ones; otherwise it uses the moving ones, or,
        with own_statistics=True, the batch's own without touching the moving ones.
        last: the stage to stop after, as soon as its layer is through.
        Raises ValueError for another shape.
        """
        own = training if own_statistics is None else own_statistics
        stages = {}
        stages["conv"] = self._convolve(self._input(images))
        x = self._activate("conv", self.conv, self.conv_norm, stages, training, own)
        if last in stages:
            return stages
        if self.conv.after_relu:
            stages["pooled"] = _max_pool(x)
        else:  # the same as _max_pool(x), from a quarter of the numbers
            stages["pooled"] = tf.nn.relu(_max_pool(stages["conv_normalized"]))
        flat = tf.reshape(stages["pooled"], [-1, _POOLED * _POOLED * CONV_FILTERS])
        stages["hidden"] = _product(flat, self.dense_kernel()) + self.dense_bias
        x = self._activate("hidden", self.dense, self.dense_norm, stages, training, own)
        stages["logits"] = x @ self.output_kernel() + self.output_bias
        return stages

    def start_from(self, images: tf.Tensor) -> None:
        """The data-dependent start, where a layer asks for it: unit pre-activations on `images`.

            t = v·x / ||v||,   g = 1 / std(t),   b = -mean(t) / std(t)

        Source: Salimans and Kingma, 2016, arXiv:1602.07868, section 3.
        """
        layers = (
            ("conv", self.conv, self.conv_kernel, self.conv_bias),
            ("hidden", self.dense, self.dense_kernel, self.dense_bias),
            ("logits", self.output, self.output_kernel, self.output_bias),
        )
        for stage, how, kernel, bias in layers:
            if how.starts_from_data:
                t = self.forward(images, training=False)[stage]
                _, mean, variance = standardize(t, range(t.shape.rank - 1), 0.0)
                std = tf.sqrt(tf.reshape(variance, bias.shape) + _FLAT)
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

    def _convolve(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(tf.nn.conv2d(x, self.conv_kernel(), 1, "SAME"), self.conv_bias)

    def _input(self, images: tf.Tensor) -> tf.Tensor:
        images = tf.convert_to_tensor(images)
        if images.shape.rank != 4 or images.shape[1:] != (_SIDE, _SIDE, 1):
            raise ValueError(f"Images must be (N, 28, 28, 1), and these are {images.shape}.")
        if images.dtype == tf.uint8:
            return tf.cast(images, self.dtype) / 255
        return tf.cast(images, self.dtype)

    @staticmethod
    def _activate(layer, how: Normalization, norm, stages, training, own) -> tf.Tensor:
        """Add `<layer>_normalized` and `<layer>_relu` to the stages; return the later one."""
        x, normalized, relu = stages[layer], f"{layer}_normalized", f"{layer}_relu"
        if how.after_relu:
            stages[relu] = tf.nn.relu(x)
            stages[normalized] = norm(stages[relu], training, own)
            return stages[normalized]
        stages[normalized] = norm(x, training, own)
        stages[relu] = tf.nn.relu(stages[normalized])
        return stages[relu]
