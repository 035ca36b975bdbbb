"""The main part of an exported script: read the data, train, print each loss.

`script.write` puts it below the definitions that it uses, and sets the three constants.
"""

from __future__ import annotations

import argparse
import hashlib

import numpy as np
import tensorflow as tf

from normlib.config import TrainConfig
from normlib.deep import network
from normlib.training import batches, sgd_step

CONFIG = TrainConfig()
VALIDATION_IMAGES = 5_000
CHECKSUM = ""


def load(path: str | None) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """(images, labels) to train on, for validation, for the test; images uint8 (N, 28, 28, 1)."""
    if path:
        with np.load(path) as file:
            arrays = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    else:
        train, test = tf.keras.datasets.mnist.load_data()
        arrays = [*train, *test]
    if hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest() != CHECKSUM:
        print("These are not the data that the lab used: expect other losses.")
    x, y, x_test, y_test = arrays
    x, x_test, cut = x[..., None], x_test[..., None], VALIDATION_IMAGES
    return (x[cut:], y[cut:]), (x[:cut], y[:cut]), (x_test, y_test)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", help="an .npz file in the layout of Keras's mnist.npz")
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    chosen = parser.parse_args()
    (images, labels), validation, test = load(chosen.data)
    images, labels = images[: CONFIG.train_size], labels[: CONFIG.train_size]
    net = network(CONFIG)
    net.start_from(tf.constant(images[:500]))
    own_statistics = CONFIG.inference_statistics == "batch"

    images_of_any_batch = tf.TensorSpec([None, 28, 28, 1], tf.uint8)
    labels_of_any_batch = tf.TensorSpec([None], tf.uint8)

    @tf.function(input_signature=[images_of_any_batch, labels_of_any_batch])
    def train_step(images, labels):
        return sgd_step(net, images, labels, CONFIG.learning_rate)[0]

    @tf.function(input_signature=[images_of_any_batch])
    def predict(images):
        logits = net.forward(images, training=False, own_statistics=own_statistics)["logits"]
        return tf.argmax(logits, 1)

    def accuracy(images, labels):
        parts = [predict(tf.constant(images[i : i + 500])) for i in range(0, len(images), 500)]
        return np.mean(np.concatenate(parts) == labels)

    step = 0
    for epoch in range(CONFIG.epochs):
        order, losses = batches(CONFIG, len(images), epoch), []
        for at in range(0, len(order), CONFIG.batch_size):
            batch = order[at : at + CONFIG.batch_size]
            losses.append(float(train_step(tf.constant(images[batch]), tf.constant(labels[batch]))))
            step += 1
            print(f"step {step}  loss {losses[-1]:.9g}")
            if not np.isfinite(losses[-1]):
                print(f"Diverged at step {step}.")
                return
            if step == chosen.steps:
                return
        print(
            f"epoch {epoch + 1}  loss in the report's unit {sum(losses) / len(images):.4f}"
            f"  validation accuracy {accuracy(*validation):.2%}"
        )
    print(f"test accuracy {accuracy(*test):.2%}")
