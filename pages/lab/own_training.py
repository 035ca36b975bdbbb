"""The small network, trained with a function of one's own in place of the lab's normalization.

Op by op and not in a graph: some seconds for fifty steps. Start, batches and steps are those of
`normlib.train`, so the two curves can be laid over each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from normlib.cnn import SmallCNN
from normlib.config import TrainConfig
from normlib.exercises.checks import Stopped, in_words
from normlib.mnist import Dataset
from normlib.run import Event, Progress, Run, Started
from normlib.runtime import DEVICE, versions
from normlib.training import batches, sgd_step
from pages.lab.interpreter import TRAINING, function_of

# Exercise -> the lab's method that does the same.
STANDS_FOR = {
    "batch_norm_conv": "batch",
    "layer_norm": "layer",
    "weight_norm": "weight",
    "weight_norm_zero": "weight",
}


class _OwnNorm(tf.Module):
    """z by the student's function."""

    def __init__(self, function: Callable[..., Any], shape: tuple[int, ...], epsilon: float):
        super().__init__(name="own_norm")
        self.function, self.epsilon = function, epsilon
        self.gamma, self.beta = tf.Variable(tf.ones(shape)), tf.Variable(tf.zeros(shape))

    def __call__(self, x: tf.Tensor, training: bool, own_statistics: int = 1) -> tf.Tensor:
        parameters = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return _fitting(self.function(x, *parameters, self.epsilon), x, *parameters)


class _OwnKernel(tf.Module):
    """w by the student's function, from the lab's v and g."""

    def __init__(self, function: Callable[..., Any], kernel: Any):
        super().__init__(name="own_kernel")
        self.function, self.v, self.g = function, kernel.v, kernel.g

    def __call__(self) -> tf.Tensor:
        v, g = tf.convert_to_tensor(self.v), tf.convert_to_tensor(self.g)
        return _fitting(self.function(v, g), v, v, g)


def _fitting(returned: Any, like: tf.Tensor, *parameters: tf.Tensor) -> tf.Tensor:
    """What the function returned, if the network can go on with it.

    A parameter that it does not use gets the gradient 0.
    """
    if not isinstance(returned, tf.Tensor) or returned.shape != like.shape:
        raise Stopped(f"What it returns does not have the shape {tuple(like.shape)}.")
    if returned.dtype != like.dtype:
        raise Stopped(f"What it returns is {returned.dtype.name}: keep {like.dtype.name}.")
    return returned + tf.add_n([0.0 * tf.reduce_sum(one) for one in parameters])


def train_own(
    exercise: str,
    text: str,
    config: TrainConfig,
    data: Dataset,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> Run:
    """Train the convolution with the text's solution of this exercise; as `normlib.train`.

    No image is read afterwards. A text that stops ends the run as "stopped", with its sentence.
    """
    run = Run(config, data.name, data.checksum, "stopped", versions=versions())
    began = time.perf_counter()
    try:
        with tf.device(DEVICE):
            network = _network(exercise, function_of(text, exercise, TRAINING), config)
            ended = _trained(run, network, data, on_event, should_stop)
    except Exception as error:  # whatever the text does is a result
        at = f"Step {len(run.losses) + 1}. " if run.losses else ""
        ended = replace(run, message=f"{at}{in_words(error)}")
    seconds = time.perf_counter() - began
    speed = len(run.losses) * config.batch_size / seconds
    return replace(ended, seconds=seconds, images_per_second=speed)


def _network(exercise: str, function: Callable[..., Any], config: TrainConfig) -> SmallCNN:
    network = SmallCNN(config)
    if STANDS_FOR[exercise] == "weight":
        network.conv_kernel = _OwnKernel(function, network.conv_kernel)
    else:
        shape = (28, 28, 30) if exercise == "layer_norm" else (30,)
        network.conv_norm = _OwnNorm(function, shape, config.epsilon)
    return network


def _trained(
    run: Run,
    network: SmallCNN,
    data: Dataset,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> Run:
    """The run with its losses, which `run` has too, as far as it came."""
    config, began = run.config, time.perf_counter()
    count = min(config.train_size, len(data.train_images))
    starts = range(0, count, config.batch_size)
    steps = len(starts) * config.epochs
    on_event(Started(steps, len(starts)))
    orders = (batches(config, count, epoch) for epoch in range(config.epochs))
    in_turn = (order[at : at + config.batch_size] for order in orders for at in starts)
    for step, batch in enumerate(in_turn):
        if should_stop():
            return replace(run, message=f"Stopped at step {step:,}.")
        images, labels = (tf.constant(a[batch]) for a in (data.train_images, data.train_labels))
        loss = float(sgd_step(network, images, labels, config.learning_rate)[0])
        run.losses.append(loss)
        seconds = time.perf_counter() - began
        speed = len(run.losses) * config.batch_size / seconds
        on_event(Progress(step + 1, steps, [loss], [], seconds, speed))
        if not np.isfinite(loss):
            return replace(run, status="diverged", message=f"Diverged at step {step + 1:,}.")
    return replace(run, status="finished")
