"""Train the small CNN: a pure function of its config and its data, to the last bit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from normlib.cnn import Network, share
from normlib.config import TrainConfig
from normlib.deep import network
from normlib.mnist import Dataset
from normlib.run import EpochEnd, EpochResult, Event, Progress, Run, Started
from normlib.runtime import DEVICE, versions

# One call into the graph takes at most so many steps and images: few enough that Stop is
# obeyed and a curve grows several times a second, enough that the call itself costs nothing.
_STEPS_PER_CALL, _IMAGES_PER_CALL = 50, 3_200
_FIRST_CALLS = (1, 1, 3)  # the first steps change most
_DEEP_STEPS_PER_CALL = 8  # after each call a deep network is looked at, layer by layer
# Of each unit's input, as in figure 1 of the batch-norm paper.
PERCENTILES = (15, 50, 85)
# Images read at once: so many that they fit a processor's cache, or, where they are normalized by
# statistics of their own, so many that these are those of the whole.
_EVALUATED_AT_ONCE, _EVALUATED_TOGETHER = 100, 500
# The weights of a run's last epochs are kept, as many as fit; the largest network has 24 MB.
WEIGHT_BYTES = 32 * 2**20
# Of a long training the pictures' numbers are recorded after so many calls at most, in even steps.
MOST_RECORDED = 2_000
# Streams of random numbers apart from those of the weights, which are 0, 1 and 2.
_ORDER_STREAM = 100
_LARGEST = "largest pre-activation"  # beside the network's variables in a stopped run's state


def train(
    config: TrainConfig,
    data: Dataset,
    on_event: Callable[[Event], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    so_far: Run | None = None,
) -> Run:
    """Train by plain stochastic gradient descent on softmax cross-entropy.

    on_event is called after every few dozen steps, in this thread; should_stop is asked then,
    and True ends the run as "stopped". A loss that leaves the finite numbers ends it as
    "diverged", with the step and the cause in `message`: a result, not an error.
    so_far: the stopped run to go on from (see `goes_on`). But for the seconds, the result is that
    of a training that was never stopped, to the last bit; on_event hears only what is new.
    """
    began = time.perf_counter()
    if so_far and not (goes_on(so_far) and so_far.key == config.key(data.checksum)):
        raise ValueError("Only this very training, stopped with its state, can go on.")
    with tf.device(DEVICE), lent(config, data) as graphs:
        training = _Training(config, data, graphs, on_event or (lambda event: None), began)
        if so_far:
            training.go_on(so_far)
        return training.run(should_stop or (lambda: False))


def goes_on(run: Run) -> bool:
    """Whether `train` can go on from this run: one that it stopped, with these versions."""
    return run.status == "stopped" and bool(run.state) and run.versions == versions()


def batches(config: TrainConfig, images: int, epoch: int) -> np.ndarray:
    """The order in which an epoch (from 0) visits the images: (images,) int32, from the seed."""
    order = np.random.default_rng([config.seed, _ORDER_STREAM, epoch])
    return order.permutation(images).astype(np.int32)


def sgd_step(
    net: Network, images: tf.Tensor, labels: tf.Tensor, learning_rate: float
) -> tuple[tf.Tensor, list[tf.Tensor], dict[str, tf.Tensor]]:
    """One step of gradient descent on softmax cross-entropy: w <- w - learning_rate * dw.

    images: (N, 28, 28, 1). labels: (N,). Returns the mean loss, the gradients in the order of
    `net.trainable_variables`, and the stages, all of them from before the step.
    """
    variables = net.trainable_variables
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        stages = net.forward(images, training=True)
        labels = tf.cast(labels, tf.int32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, stages["logits"])
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        # one pass over the numbers instead of two
        tf.raw_ops.ResourceApplyGradientDescent(
            var=variable.handle, alpha=learning_rate, delta=gradient
        )
    return loss, gradients, stages


class _Training:
    """One run under way; what it has given so far stands in `so_far`."""

    def __init__(self, config: TrainConfig, data: Dataset, graphs: Graphs, tell, began: float):
        self.data, self.graphs, self.tell, self.began = data, graphs, tell, began
        self.count = min(config.train_size, len(data.train_images))
        self.per_epoch = -(-self.count // config.batch_size)
        self.steps = self.per_epoch * config.epochs
        calls = config.epochs * sum(1 for _ in self._calls(config, 1)) + len(_FIRST_CALLS)
        self.record_every = -(-calls // MOST_RECORDED)
        self.so_far = Run(config, data.name, data.checksum, "finished", versions=versions())
        self.accuracies: list[float] = []
        self.largest: float | None = None  # pre-activation that was still a number
        self.training_seconds = 0.0

    def go_on(self, run: Run) -> None:
        """Take over a stopped run and its network; the run itself stays as it is."""
        state = dict(run.state)
        largest = float(state.pop(_LARGEST))
        self.largest = largest if np.isfinite(largest) else None
        self.graphs.net.set_weights(state)
        lists = {name: list(rows) for name, rows in run.recorded.items()}
        self.accuracies = lists.pop("batch_accuracies")
        self.so_far = replace(
            self.so_far,
            losses=list(run.losses),
            epochs=list(run.epochs),
            recorded=lists,
            weights=[dict(kept) for kept in run.weights],
        )
        self.began -= run.seconds
        if run.images_per_second:
            self.training_seconds = self._images_seen() / run.images_per_second

    def run(self, should_stop: Callable[[], bool]) -> Run:
        losses, calls, reached = self.so_far.losses, 0, 0
        done = len(losses)
        self.tell(Started(self.steps, self.per_epoch))
        for epoch in range(self.so_far.config.epochs):
            for indices in self._calls(self.so_far.config, epoch):
                calls, reached = calls + 1, reached + len(indices)
                if reached <= done:  # the calls are the same each time, so are their ends
                    continue
                if should_stop():
                    return self._stopped()
                first = calls <= len(_FIRST_CALLS)
                self._advance(indices, first or calls % self.record_every == 0)
                if not np.isfinite(losses[-1]):
                    finite = "no pre-activation was finite"
                    if self.largest is not None:
                        finite = f"largest pre-activation {self.largest:.0e}"
                    return self._ended("diverged", f"Diverged at step {len(losses):,}, {finite}.")
            if epoch == len(self.so_far.epochs):
                self._end_epoch(epoch)
        predictions = self._evaluate(self.data.test_images)
        accuracy = float(np.mean(predictions == self.data.test_labels))
        return self._ended("finished", "", predictions=predictions, test_accuracy=accuracy)

    def _stopped(self) -> Run:
        largest = np.array(np.nan if self.largest is None else self.largest)
        state = self.graphs.net.weights() | {_LARGEST: largest}
        return self._ended("stopped", f"Stopped at step {len(self.so_far.losses):,}.", state=state)

    def _calls(self, config: TrainConfig, epoch: int) -> Iterator[np.ndarray]:
        """The epoch's batches as (steps, batch) index arrays; a short last batch comes alone."""
        size = config.batch_size
        order = batches(config, self.count, epoch)
        whole = len(order) // size
        most = _DEEP_STEPS_PER_CALL if config.depth else _STEPS_PER_CALL
        together = max(1, min(most, _IMAGES_PER_CALL // size))
        full = order[: whole * size].reshape(whole, size)
        start = 0
        for calls in _FIRST_CALLS if epoch == 0 else ():
            steps = min(calls, together, whole - start)
            if steps:
                yield full[start : start + steps]
            start += steps
        for at in range(start, whole, together):
            yield full[at : at + together]
        if whole * size < len(order):
            yield order[None, whole * size :]

    def _advance(self, indices: np.ndarray, record: bool) -> None:
        """Take these steps, up to one whose loss is no number, and tell the watcher.

        record: what the pictures need, after these steps.
        """
        began = time.perf_counter()
        taken = self.graphs.take_steps(indices).numpy()
        self.training_seconds += time.perf_counter() - began
        finite = np.isfinite(taken[:, 0])
        if not finite.all():
            taken = taken[: np.argmin(finite) + 1]
        losses, accuracies, largest = taken[:, :3].T
        self.largest = next(filter(np.isfinite, largest[::-1]), self.largest)
        run = self.so_far
        run.losses.extend(losses.tolist())
        self.accuracies.extend(accuracies.tolist())
        row: dict[str, object] = {}
        if record and finite.all():
            bias_gradient, *by_kernel = taken[-1, 3:].tolist()
            row = {"step": len(run.losses), "bias_gradient": bias_gradient}
            names = ("gradient_norms", "kernel_lengths", "updates")
            row |= zip(names, np.reshape(by_kernel, (len(names), -1)).tolist(), strict=True)
            row |= self._seen()
        for name, value in row.items():
            run.recorded.setdefault(name, []).append(value)
        seconds, speed = time.perf_counter() - self.began, self._images_per_second()
        new = {name: [value] for name, value in row.items()}
        done = len(run.losses), self.steps, losses.tolist(), accuracies.tolist(), seconds, speed
        self.tell(Progress(*done, new))

    def _seen(self) -> dict[str, object]:
        seen = {name: value.numpy() for name, value in self.graphs.look(self.graphs.probe).items()}
        for units in seen.keys() & {"conv_units", "hidden_units"}:
            seen[units] = np.percentile(seen[units], PERCENTILES, axis=0)
        return {name: value.tolist() for name, value in seen.items()}

    def _end_epoch(self, epoch: int) -> None:
        run = self.so_far
        seconds = self.training_seconds - sum(earlier.seconds for earlier in run.epochs)
        sizes = np.full(self.per_epoch, run.config.batch_size)
        sizes[-1] = self.count - sizes[:-1].sum()
        losses = np.array(run.losses[-self.per_epoch :])
        right = self._evaluate(self.data.validation_images) == self.data.validation_labels
        report_loss, train_loss = losses.sum() / self.count, (losses * sizes).sum() / self.count
        numbers = map(float, (report_loss, train_loss, np.mean(right), seconds))
        result = EpochResult(epoch + 1, *numbers)
        run.epochs.append(result)
        run.weights.append(self.graphs.net.weights())
        for earlier in run.weights[:-1]:
            if sum(array.nbytes for kept in run.weights for array in kept.values()) > WEIGHT_BYTES:
                earlier.clear()
        self.tell(EpochEnd(result))

    def _evaluate(self, images: np.ndarray) -> np.ndarray:
        """The predicted class of each image, (N,) uint8."""
        own = self.so_far.config.only_used().inference_statistics == "batch"
        size = _EVALUATED_TOGETHER if own else _EVALUATED_AT_ONCE
        parts = (tf.constant(images[at : at + size]) for at in range(0, len(images), size))
        read = [self.graphs.predict(part).numpy() for part in parts]
        return np.concatenate(read).astype(np.uint8)

    def _images_per_second(self) -> float:
        seconds = self.training_seconds
        return self._images_seen() / seconds if seconds else 0.0

    def _images_seen(self) -> int:
        config, steps = self.so_far.config, len(self.so_far.losses)
        return min(steps * config.batch_size, self.count * config.epochs)

    def _ended(self, status, message: str, **result) -> Run:
        return replace(
            self.so_far,
            status=status,
            message=message,
            seconds=time.perf_counter() - self.began,
            images_per_second=self._images_per_second(),
            recorded={**self.so_far.recorded, "batch_accuracies": self.accuracies},
            **result,
        )


# --- the graphs ---------------------------------------------------------------------------------

# Writing down graphs takes a third of a second, in which no page can be drawn; so they are kept for
# the next training that differs in nothing but these. Some 20 MB each, so many for each data set.
_MAY_DIFFER = ("seed", "batch_size", "epochs", "train_size")
_KEPT = 6
_PROBE_IMAGES = 128
_START_IMAGES = 500

_lock = threading.Lock()
_idle: WeakKeyDictionary[Dataset, list[Graphs]] = WeakKeyDictionary()
_tensors: WeakKeyDictionary[Dataset, tuple[tf.Tensor, tf.Tensor]] = WeakKeyDictionary()


@contextmanager
def lent(config: TrainConfig, data: Dataset) -> Iterator[Graphs]:
    """The graphs of a training, for it alone, its network at the weights that it starts from."""
    key = {k: v for k, v in asdict(config.only_used()).items() if k not in _MAY_DIFFER}
    with _lock:
        idle = _idle.setdefault(data, [])
        graphs = next((one for one in idle if one.key == key), None)
        if graphs is not None:
            idle.remove(graphs)
    if graphs is None:
        graphs = Graphs(config, data, key)
    else:
        graphs.net.set_weights(network(config).weights())
    graphs.net.start_from(graphs.images[: min(_START_IMAGES, config.train_size)])
    yield graphs  # after an error they are not used again
    with _lock:
        idle.append(graphs)
        del idle[: max(0, len(idle) - _KEPT)]


class Graphs:
    """A network, and the graphs that train it, look at it, and let it read images.

    take_steps: one step for each row of indices. look: what is recorded after some of them.
    predict: the class of each image.
    """

    def __init__(self, config: TrainConfig, data: Dataset, key: dict):
        with _lock:  # one copy of the images for all graphs
            if data not in _tensors:
                _tensors[data] = tf.constant(data.train_images), tf.constant(data.train_labels)
            self.images, self.labels = _tensors[data]
        self.probe = tf.constant(data.validation_images[:_PROBE_IMAGES])
        self.config, self.key, self.net = config, key, network(config)
        indices = tf.TensorSpec([None, None], tf.int32)
        images = tf.TensorSpec([None, *data.train_images.shape[1:]], tf.uint8)
        self.take_steps = tf.function(self._take_steps).get_concrete_function(indices)
        self.look = tf.function(self.net.seen, autograph=False).get_concrete_function(self.probe)
        self.predict = tf.function(self._predict, autograph=False).get_concrete_function(images)

    def _take_steps(self, indices: tf.Tensor) -> tf.Tensor:
        """One SGD step for each row of indices; each row what `step` gives."""
        steps = tf.shape(indices)[0]
        taken = tf.TensorArray(tf.float32, steps)
        for step in tf.range(steps):
            taken = taken.write(step, self.step(indices[step], step == steps - 1))
        return taken.stack()

    @tf.autograph.experimental.do_not_convert  # no loops inside: tracing takes half the time
    def step(self, indices: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
        """Take a step: its loss, the batch's accuracy, the largest pre-activation.

        Of the last of a call also the norm of the gradient of the first layer's bias, and of each
        kernel the norm of the gradient, its length ‖w‖ before the step, and how far the step moves
        it, ‖Δw‖ / ‖w‖; 0 elsewhere.
        """
        images, labels = tf.gather(self.images, indices), tf.gather(self.labels, indices)
        layers = self.net.layers()
        kernels, first_bias = [kernel for _, kernel, _ in layers], layers[0][2]

        def read() -> list[tf.Tensor]:
            return [tf.identity(kernel()) for kernel in kernels]

        before = tf.cond(last, read, lambda: [tf.zeros([0])] * len(kernels))
        loss, gradients, stages = sgd_step(self.net, images, labels, self.config.learning_rate)
        accuracy = share(tf.argmax(stages["logits"], 1, tf.int32) == tf.cast(labels, tf.int32))
        largest = tf.reduce_max([tf.reduce_max(tf.abs(stages[name])) for name, *_ in layers[1:]])
        variables = self.net.trainable_variables
        of = {v.ref(): gradient for v, gradient in zip(variables, gradients, strict=True)}

        def measured() -> tf.Tensor:
            norms = [_norm(of[v.ref()] for v in kernel.trainable_variables) for kernel in kernels]
            lengths = [_norm([w]) for w in before]
            moves = [_norm([now - w]) for now, w in zip(read(), before, strict=True)]
            updates = [tf.math.divide_no_nan(*both) for both in zip(moves, lengths, strict=True)]
            return tf.stack([_norm([of[first_bias.ref()]]), *norms, *lengths, *updates])

        more = tf.cond(last, measured, lambda: tf.zeros([1 + 3 * len(kernels)]))
        return tf.concat([tf.stack([loss, accuracy, largest]), more], 0)

    def _predict(self, images: tf.Tensor) -> tf.Tensor:
        own = self.config.inference_statistics == "batch"
        logits = self.net.forward(images, training=False, own_statistics=own)["logits"]
        return tf.argmax(logits, 1, tf.int32)


def _norm(tensors: Iterable[tf.Tensor]) -> tf.Tensor:
    """The length of all these numbers taken as one vector."""
    lengths = [tf.math.reduce_euclidean_norm(t) for t in tensors]
    return tf.math.reduce_euclidean_norm(tf.stack(lengths))
