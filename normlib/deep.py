"""A deep network of dense layers, in which normalization decides whether anything is learned."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import tensorflow as tf

from normlib.cnn import CLASSES, SIDE, Network, SmallCNN, as_images, share
from normlib.config import TrainConfig
from normlib.layers import Kernel, WeightNorm, activations_norm, layer_kernel

BINS, REACH = 40, 5.0  # of the histograms that are recorded


class DeepMLP(Network):
    """`config.depth` dense layers of equal width on the pixels, then ten logits.

        plain            h <- relu(norm(W h + b))
        residual, pre    h <- h + relu(W norm(h) + b)
        residual, post   h <- norm(h + relu(W h + b))

    The first layer, from 784 pixels to `config.hidden_units`, is plain. Weights N(0, start_scale²)
    from a stream of their own for each layer, biases 0.
    Source of pre and post: Xiong et al., 2020, arXiv:2002.04745, figure 1.
    """

    def __init__(self, config: TrainConfig, dtype: tf.DType = tf.float32):
        super().__init__(name="deep_mlp")
        self.config, self.dtype = config, tf.as_dtype(dtype)
        width = config.hidden_units
        widths = [SIDE * SIDE, *[width] * config.depth, CLASSES]
        for layer, (n_in, n_out) in enumerate(pairwise(widths)):
            normal = np.random.default_rng([config.seed, layer]).standard_normal((n_in, n_out))
            scale = config.start_scale * (1.0 if layer else config.first_scale)
            initial = (scale * normal).astype(self.dtype.as_numpy_dtype)
            normalized = layer < config.depth
            # Attributes, not lists: each part of the state has a name.
            setattr(
                self,
                f"kernel_{layer}",
                layer_kernel(config, initial) if normalized else Kernel(initial),
            )
            setattr(self, f"bias_{layer}", tf.Variable(tf.zeros([n_out], dtype)))
            if normalized:
                setattr(self, f"norm_{layer}", activations_norm(config, (width,), dtype))

    def layers(self) -> list[tuple[str, Kernel | WeightNorm, tf.Variable]]:
        """`layer_1` … and `logits`."""
        stages = [*(f"layer_{one}" for one in range(1, self.config.depth + 1)), "logits"]
        return [
            (stage, getattr(self, f"kernel_{at}"), getattr(self, f"bias_{at}"))
            for at, stage in enumerate(stages)
        ]

    def forward(
        self, images: tf.Tensor, training: bool, own_statistics: int = 0
    ) -> dict[str, tf.Tensor]:
        """Of each layer `layer_1` = W h + b, `input_1` and `relu_1` of its ReLU, and `output_1`,
        what the next one gets; then `logits`. Arguments as those of `SmallCNN.forward`."""
        stages: dict[str, tf.Tensor] = {}
        h = tf.reshape(as_images(images, self.dtype), [-1, SIDE * SIDE])
        *hidden, (_, output, output_bias) = self.layers()
        for at, (stage, kernel, bias) in enumerate(hidden):
            norm = getattr(self, f"norm_{at}")
            residual = self.config.residual if at else "none"
            x = norm(h, training, own_statistics) if residual == "pre" else h
            stages[stage] = z = x @ kernel() + bias
            if residual == "none":
                z = norm(z, training, own_statistics)
            number = at + 1
            stages[f"input_{number}"], stages[f"relu_{number}"] = z, tf.nn.relu(z)
            if residual == "none":
                h = stages[f"relu_{number}"]
            else:
                h = h + stages[f"relu_{number}"]
                h = norm(h, training, own_statistics) if residual == "post" else h
            stages[f"output_{number}"] = h
        stages["logits"] = h @ output() + output_bias
        return stages

    def seen(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """By layer: the root mean square of its output, the share of its units that are 0 for all
        images, and what its ReLU gets in `BINS` equal bins from -`REACH` to `REACH`, whatever lies
        beyond in the outer ones. Batch norm by the statistics of these images."""
        stages = self.forward(images, training=False, own_statistics=True)
        numbers = range(1, self.config.depth + 1)
        ends = [-REACH, REACH]
        # On the way out of the finite numbers there are infinities, which have no bin of their own.
        inputs = [tf.clip_by_value(stages[f"input_{one}"], *ends) for one in numbers]
        inputs = [tf.where(tf.math.is_nan(x), tf.zeros_like(x), x) for x in inputs]
        return {
            "spread": tf.stack([spread(stages[f"output_{one}"]) for one in numbers]),
            "dead": tf.stack(
                [share(tf.reduce_max(stages[f"relu_{one}"], 0) == 0) for one in numbers]
            ),
            "histograms": tf.stack([tf.histogram_fixed_width(x, ends, BINS) for x in inputs]),
        }


def spread(x: tf.Tensor) -> tf.Tensor:
    """The root mean square of all numbers: how far from 0 they lie."""
    return tf.sqrt(tf.reduce_mean(tf.square(x)))


def network(config: TrainConfig, dtype: tf.DType = tf.float32) -> Network:
    """The network that a config describes, with its initial weights."""
    return DeepMLP(config, dtype) if config.depth else SmallCNN(config, dtype)
