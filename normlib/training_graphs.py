"""What a training does with its network, in TensorFlow graphs that serve one after another.

Writing down these graphs takes a third of a second, in which no page can be drawn; so one that is
no longer used is kept for the next training that differs in nothing but seed, batches and length.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from weakref import WeakKeyDictionary

import tensorflow as tf

from normlib.cnn import SmallCNN
from normlib.config import TrainConfig
from normlib.layers import BatchNorm
from normlib.mnist import Dataset

_KEPT = 6  # for each data set; some 20 MB each
_PROBE_IMAGES = 128
_START_IMAGES = 500
# What a training may differ in and still use the same graphs.
_MAY_DIFFER = ("seed", "batch_size", "epochs", "train_size")

_lock = threading.Lock()
_idle: WeakKeyDictionary[Dataset, list[tuple[tuple, Graphs]]] = WeakKeyDictionary()
_tensors: WeakKeyDictionary[Dataset, tuple[tf.Tensor, tf.Tensor]] = WeakKeyDictionary()


@contextmanager
def lent(config: TrainConfig, data: Dataset) -> Iterator[Graphs]:
    """The graphs of a training, for it alone, its network at the weights that it starts from."""
    settings = asdict(config.only_used())
    key = tuple(value for name, value in settings.items() if name not in _MAY_DIFFER)
    with _lock:
        idle = _idle.setdefault(data, [])
        place = next((i for i, (other, _) in enumerate(idle) if other == key), None)
        graphs = None if place is None else idle.pop(place)[1]
    if graphs is None:
        graphs = Graphs(config, data)
    else:
        graphs.net.set_weights(SmallCNN.from_config(config).weights())
    graphs.net.start_from(graphs.images[: min(_START_IMAGES, config.train_size)])
    yield graphs  # after an error they are not used again
    with _lock:
        idle.append((key, graphs))
        del idle[: max(0, len(idle) - _KEPT)]


class Graphs:
    """A network, and the graphs that train it, look at it, and let it read images.

    take_steps: one step for each row of indices. look: what is recorded after some of them.
    predict: the class of each image.
    """

    def __init__(self, config: TrainConfig, data: Dataset):
        self.images, self.labels = _as_tensors(data)
        self.probe = tf.constant(data.validation_images[:_PROBE_IMAGES])
        self.net = SmallCNN.from_config(config)
        self.kernels = (self.net.conv_kernel, self.net.dense_kernel, self.net.output_kernel)
        self._learning_rate = config.learning_rate
        self._own_statistics = config.inference_statistics == "batch"
        self.take_steps = tf.function(
            self._take_steps, input_signature=[tf.TensorSpec([None, None], tf.int32)]
        ).get_concrete_function()
        self.look = tf.function(self._look, autograph=False).get_concrete_function()
        self.predict = tf.function(
            self._predict,
            input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.uint8)],
            autograph=False,
        ).get_concrete_function()

    def _take_steps(self, indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """One SGD step for each row of indices; per step: loss, batch accuracy, largest
        pre-activation; and the gradient norms of the last: three kernels, the conv's bias."""
        steps = tf.shape(indices)[0]
        losses = tf.TensorArray(tf.float32, steps)
        accuracies = tf.TensorArray(tf.float32, steps)
        largest = tf.TensorArray(tf.float32, steps)
        norms = tf.zeros([4])
        for step in tf.range(steps):
            loss, accuracy, magnitude, norms = self.step(indices[step])
            losses = losses.write(step, loss)
            accuracies = accuracies.write(step, accuracy)
            largest = largest.write(step, magnitude)
        return losses.stack(), accuracies.stack(), largest.stack(), norms

    @tf.autograph.experimental.do_not_convert  # no loops inside: tracing takes half the time
    def step(self, indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        images, labels = tf.gather(self.images, indices), tf.gather(self.labels, indices)
        variables = self.net.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            stages = self.net.forward(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    tf.cast(labels, tf.int32), stages["logits"]
                )
            )
        gradients = tape.gradient(loss, variables)
        for variable, gradient in zip(variables, gradients, strict=True):
            # variable -= rate * gradient, in one pass over the numbers instead of two
            tf.raw_ops.ResourceApplyGradientDescent(
                var=variable.handle, alpha=self._learning_rate, delta=gradient
            )
        accuracy = _share(tf.argmax(stages["logits"], 1, tf.int32) == tf.cast(labels, tf.int32))
        magnitude = tf.maximum(_largest(stages["hidden"]), _largest(stages["logits"]))
        of = {v.ref(): gradient for v, gradient in zip(variables, gradients, strict=True)}
        norms = [_norm(of[v.ref()] for v in kernel.trainable_variables) for kernel in self.kernels]
        return loss, accuracy, magnitude, tf.stack([*norms, _norm([of[self.net.conv_bias.ref()]])])

    def _look(self) -> dict[str, tf.Tensor]:
        """How the network sees the probe images now, batch norm by the probe's statistics."""
        stages = self.net.forward(self.probe, training=False, own_statistics=True)
        middle = stages["conv"].shape[1] // 2
        seen = {
            "conv_input": stages[self.net.relu_input("conv")][:, middle, middle, 0],
            "hidden_input": stages[self.net.relu_input("hidden")][:, 0],
            "dead_conv": _share(tf.reduce_max(stages["conv_relu"], [0, 1, 2]) == 0),
            "dead_hidden": _share(tf.reduce_max(stages["hidden_relu"], 0) == 0),
            "kernel_norms": tf.stack([_norm([kernel()]) for kernel in self.kernels]),
        }
        norm = self.net.conv_norm
        if isinstance(norm, BatchNorm):
            _, mean, variance = norm.normalized(stages[self.net.norm_input("conv")])
            seen |= {
                "moving_mean": tf.identity(norm.moving_mean),
                "moving_variance": tf.identity(norm.moving_variance),
                "batch_mean": tf.reshape(mean, [-1]),
                "batch_variance": tf.reshape(variance, [-1]),
            }
        return seen

    def _predict(self, images: tf.Tensor) -> tf.Tensor:
        own = self._own_statistics
        logits = self.net.forward(images, training=False, own_statistics=own)["logits"]
        return tf.argmax(logits, 1, tf.int32)


def _as_tensors(data: Dataset) -> tuple[tf.Tensor, tf.Tensor]:
    """The images and labels to train on, once for all graphs."""
    with _lock:
        if data not in _tensors:
            _tensors[data] = tf.constant(data.train_images), tf.constant(data.train_labels)
        return _tensors[data]


def _share(true: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(true, tf.float32))


def _norm(tensors: Iterable[tf.Tensor]) -> tf.Tensor:
    """The length of all these numbers taken as one vector."""
    lengths = [tf.math.reduce_euclidean_norm(t) for t in tensors]
    return tf.math.reduce_euclidean_norm(tf.stack(lengths))


def _largest(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.abs(x))
