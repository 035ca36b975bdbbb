"""A script of plain TensorFlow that repeats one training, and needs nothing of this project.

It is written out for one config; `pages.lab.script_normalization` writes its normalization.
"""

from __future__ import annotations

import textwrap

from normlib.config import METHODS, TrainConfig
from normlib.mnist import Dataset
from normlib.run import Run
from pages.lab.script_normalization import (
    counts,
    function_name,
    has_moving,
    is_normalized,
    on_activations,
    variables_of,
)
from pages.lab.script_normalization import parts as normalization


def write(config: TrainConfig, data: Dataset, run: Run | None = None) -> str:
    """A Python script of plain TensorFlow that repeats the training of `config` on `data`.

    It draws the same weights, visits the same batches, takes the same steps, and prints the loss
    of each. run: its result is quoted in the script's first lines.
    """
    used = config.only_used()
    parts = [
        _head(used, data, run),
        _imports(used) + "\n" + _settings(used, data),
        _LOAD,
        _variables(used),
        *normalization(used),
        _PRODUCT,
        _forward(used),
        _start(used),
        _step(used),
        _main(used),
    ]
    head, rest = parts[0], parts[1:]
    code = "\n\n\n".join(part.strip("\n") for part in rest if part)
    return f"{head}\n\n{code}\n"


def file_name(config: TrainConfig) -> str:
    """`batch_norm_seed_0.py`: what the script is called when it is saved."""
    words = METHODS[config.normalization].title.lower().replace("'", "").split()
    return f"{'_'.join(words)}_seed_{config.seed}.py"


# The parts, in their order.


def _head(config: TrainConfig, data: Dataset, run: Run | None) -> str:
    name = file_name(config)
    if data.name == "MNIST":
        usage = [
            f"    python {name}               takes MNIST from Keras (a download)",
            f"    python {name} mnist.npz     takes it from a file in Keras's layout",
            f"    python {name} --steps 100   stops after so many steps",
        ]
    else:
        usage = [
            f"    python {name} data.npz     the {data.name}, as the lab saves them",
            "    ... data.npz --steps 100     stops after so many steps",
        ]
    result = ""
    if run is not None:
        ended = run.message.rstrip(".") or "finished"
        result = f"The lab's run: {ended[0].lower()}{ended[1:]}"
        if run.test_accuracy is not None:
            result += f", test accuracy {run.test_accuracy:.2%}"
        if run.losses:
            result += f", loss of its last step {run.losses[-1]:.9g}"
        result = "\n" + textwrap.fill(result + ".", 96) + "\n"
    made_with = (run.versions if run else {}).get("tensorflow", "")
    same = textwrap.fill(
        "The weights, batches and steps are the lab's, and so are the losses: to the last bit "
        f"with {f'TensorFlow {made_with}' if made_with else 'the same TensorFlow'} on the same "
        "kind of machine, to a few digits elsewhere.",
        96,
    )
    title = METHODS[config.normalization].title
    return "\n".join(
        [f'"""{title} in a small CNN, in plain TensorFlow.', "", *usage, "", same, result + '"""']
    )


def _imports(config: TrainConfig) -> str:
    math = "import math\n" * (config.weight_norm_start == "constant" or counts(config))
    return f"""
import argparse
import hashlib
{math}import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

# How an op splits its sums over threads or a graphics card decides their last bits.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.set_visible_devices([], "GPU")
"""


def _settings(config: TrainConfig, data: Dataset) -> str:
    lines = [
        f"SEED = {config.seed}",
        f"BATCH_SIZE = {config.batch_size}",
        f"LEARNING_RATE = {config.learning_rate!r}",
        f"EPOCHS = {config.epochs}",
        f"TRAIN_SIZE = {config.train_size}",
        f"HIDDEN_UNITS = {config.hidden_units}",
    ]
    if on_activations(config) and (config.scale or config.normalization == "tf_batch"):
        lines.append(f"EPSILON = {config.epsilon!r}")
    if has_moving(config):
        lines.append(f"MOMENTUM = {config.momentum!r}  # moving = m * moving + (1 - m) * batch")
    if config.ghost_batches > 1:
        lines.append(f"GHOST_BATCHES = {config.ghost_batches}")
    if config.normalization == "group":
        lines.append(f"GROUPS = {config.groups}")
    lines += [
        f"VALIDATION_IMAGES = {len(data.validation_labels)}  # the first of the training images",
        f'DATA = "{data.checksum}"  # SHA-256 of the arrays',
    ]
    return "\n".join(lines)


_LOAD = """
def load(path):
    \"\"\"(images, labels) to train on, for validation, for the test; images (N, 28, 28, 1).\"\"\"
    if path:
        with np.load(path) as file:
            arrays = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    else:
        train, test = tf.keras.datasets.mnist.load_data()
        arrays = [*train, *test]
    if hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest() != DATA:
        print("These are not the data that the lab used: expect other losses.")
    x, y, x_test, y_test = arrays
    x, x_test = x[..., None], x_test[..., None]
    cut = VALIDATION_IMAGES
    return (x[cut:], y[cut:]), (x[:cut], y[:cut]), (x_test, y_test)
"""


def _variables(config: TrainConfig) -> str:
    both = config.placement == "conv and dense"
    lines = []
    constant = config.normalization == "weight" and config.weight_norm_start == "constant"
    if not (constant and both):
        lines += [
            "def draw(layer, *shape):",
            '    """Weights from N(0, 0.1); each layer has random numbers of its own."""',
            "    normal = np.random.default_rng([SEED, layer]).standard_normal(shape)",
            "    return (0.1 * normal).astype(np.float32)",
            "",
            "",
        ]
    if constant:
        lines += [
            "def constant(*shape):",
            '    """A kernel of length 1 whose weights are all the same; it is never trained."""',
            "    return np.full(shape, math.prod(shape) ** -0.5, np.float32)",
            "",
            "",
        ]
    if config.normalization == "weight" and config.weight_norm_start != "constant":
        lines += [
            "def inverse_norm(v):",
            '    """1 / ||v||, one norm per output channel; the tiny number keeps it finite."""',
            "    squares = tf.reduce_sum(tf.square(v), list(range(v.shape.rank - 1)))",
            "    return tf.math.rsqrt(squares + 1e-30)",
            "",
            "",
        ]
    trained: list[str] = []
    shapes = {
        "conv": ("5, 5, 1, 30", "30"),
        "dense": ("14 * 14 * 30, HIDDEN_UNITS", "HIDDEN_UNITS"),
        "output": ("HIDDEN_UNITS, 10", "10"),
    }
    for index, (layer, (shape, units)) in enumerate(shapes.items()):
        initial = f"draw({index}, {shape})"
        if config.normalization != "weight" or not (both or layer == "conv"):
            lines.append(f"{layer}_kernel = tf.Variable({initial})")
            trained.append(f"{layer}_kernel")
        elif constant:
            lines.append(f"{layer}_kernel = tf.Variable(constant({shape}))")
        else:
            start = (
                "1 / inverse_norm({0})" if config.weight_norm_start == "norm" else "tf.ones({1})"
            )
            lines += [
                f"{layer}_v = tf.Variable({initial})",
                f"{layer}_g = tf.Variable({start.format(f'{layer}_v', f'[{units}]')})",
            ]
            trained += [f"{layer}_v", f"{layer}_g"]
        lines.append(f"{layer}_bias = tf.Variable(tf.zeros([{units}]))")
        trained.append(f"{layer}_bias")
        if layer != "output" and is_normalized(config, layer):
            whole = config.normalization in ("layer", "rms") and layer == "conv"
            owned = "28, 28, 30" if whole else units
            initials = {
                "gamma": f"tf.ones([{owned}])",
                "beta": f"tf.zeros([{owned}])",
                "moving_mean": f"tf.zeros([{units}])",
                "moving_variance": f"tf.ones([{units}])",
            }
            for name in variables_of(config):
                lines.append(f"{layer}_{name} = tf.Variable({initials[name]})")
                if not name.startswith("moving"):
                    trained.append(f"{layer}_{name}")
    lines += ["", "TRAINED = [", *(f"    {name}," for name in trained), "]"]
    return "\n".join(lines)


_PRODUCT = """
@tf.custom_gradient
def product(x, w):
    \"\"\"x @ w, with dx as a batch of one product, which is faster.\"\"\"

    def backward(dz):
        dx = tf.matmul(dz[None], w[None], transpose_b=True)[0]
        return dx, tf.matmul(x, dz, transpose_a=True)

    return x @ w, backward
"""


def _forward(config: TrainConfig) -> str:
    training = has_moving(config)
    learned = config.normalization == "weight" and config.weight_norm_start != "constant"
    lines = [
        f"def forward(images{', training' if training else ''}):",
        '    """The ten logits of each image: (N, 10)."""',
        "    x = tf.cast(images, tf.float32) / 255",
    ]
    if config.weight_norm_start == "data":
        lines[1] = '    """The pre-activations of the three layers, the logits (N, 10) last."""'

    def kernel(layer: str) -> str:
        normalized = learned and (layer == "conv" or config.placement == "conv and dense")
        return f"weight_norm({layer}_v, {layer}_g)" if normalized else f"{layer}_kernel"

    def activate(layer: str) -> list[str]:
        relu = ["    x = tf.nn.relu(x)"]
        if not is_normalized(config, layer):
            return relu
        arguments = ["x", *(f"{layer}_{name}" for name in variables_of(config))]
        arguments += ["training"] if training else []
        call = [f"    x = {function_name(config)}({', '.join(arguments)})"]
        return relu + call if config.position == "after ReLU" else call + relu

    kept = config.weight_norm_start == "data"
    pool = '    x = tf.nn.max_pool2d(x, 2, 2, "VALID")'
    *before, last = activate("conv")
    relu_last = config.position != "after ReLU" or not is_normalized(config, "conv")
    if relu_last:  # on a quarter of the numbers
        before, last, pool = before, pool, last
    lines += [
        f'    x = tf.nn.conv2d(x, {kernel("conv")}, 1, "SAME")',
        "    x = tf.nn.bias_add(x, conv_bias)",
        *(["    conv = x"] if kept else []),
        *before,
        last,
        pool,
        "    x = tf.reshape(x, [-1, 14 * 14 * 30])",
        f"    x = product(x, {kernel('dense')}) + dense_bias",
        *(["    hidden = x"] if kept else []),
        *activate("dense"),
        f"    {'logits =' if kept else 'return'} x @ {kernel('output')} + output_bias",
        *(["    return conv, hidden, logits"] if kept else []),
    ]
    return "\n".join(lines)


def _start(config: TrainConfig) -> str:
    """Weight norm's data-dependent start, where it is asked for."""
    if config.weight_norm_start != "data":
        return ""
    layers = ["conv"] if config.placement == "conv" else ["conv", "dense", "output"]
    pairs = "\n".join(f"        ({layer}_g, {layer}_bias)," for layer in layers)
    return f"""
def start_from(images):
    \"\"\"Set g and the bias so that pre-activations on these images have mean 0, deviation 1.\"\"\"
    scales = [
{pairs}
    ]
    for layer, (g, bias) in enumerate(scales):
        x = forward(images)[layer]
        axes = list(range(x.shape.rank - 1))
        mean = average(x, axes)
        variance = average(tf.square(x - mean), axes)
        std = tf.sqrt(tf.reshape(variance, [-1]) + 1e-6)
        g.assign(g / std)
        bias.assign(-tf.reshape(mean, [-1]) / std)
"""


def _step(config: TrainConfig) -> str:
    last = "[-1]" if config.weight_norm_start == "data" else ""
    training, testing = (", training=True", ", training=False") if has_moving(config) else ("", "")
    return f"""
@tf.function(
    input_signature=[
        tf.TensorSpec([None, 28, 28, 1], tf.uint8),
        tf.TensorSpec([None], tf.uint8),
    ]
)
def train_step(images, labels):
    \"\"\"One step of gradient descent; returns the mean loss of the batch before it.\"\"\"
    with tf.GradientTape() as tape:
        logits = forward(images{training}){last}
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), logits)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, TRAINED)
    for variable, gradient in zip(TRAINED, gradients, strict=True):
        # variable -= LEARNING_RATE * gradient, in one rounding
        tf.raw_ops.ResourceApplyGradientDescent(
            var=variable.handle, alpha=LEARNING_RATE, delta=gradient
        )
    return loss


@tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.uint8)])
def predict(images):
    return tf.argmax(forward(images{testing}){last}, 1)


def accuracy(images, labels):
    \"\"\"The share of images that are read correctly, in batches of 500.\"\"\"
    parts = [predict(images[at : at + 500]) for at in range(0, len(images), 500)]
    return np.mean(np.concatenate(parts) == labels)
"""


def _main(config: TrainConfig) -> str:
    start = "\n    start_from(images[:500])" if config.weight_norm_start == "data" else ""
    return f"""
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", help="an .npz file in the layout of Keras's mnist.npz")
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    chosen = parser.parse_args()
    (images, labels), validation, test = load(chosen.data)
    images, labels = images[:TRAIN_SIZE], labels[:TRAIN_SIZE]{start}
    step = 0
    for epoch in range(EPOCHS):
        order = np.random.default_rng([SEED, 100, epoch]).permutation(len(images))
        total = 0.0
        for at in range(0, len(order), BATCH_SIZE):
            batch = order[at : at + BATCH_SIZE]
            loss = float(train_step(images[batch], labels[batch]))
            step += 1
            print(f"step {{step}}  loss {{loss:.9g}}")
            if not np.isfinite(loss):
                print(f"Diverged at step {{step}}.")
                return
            if step == chosen.steps:
                return
            total += loss
        print(
            f"epoch {{epoch + 1}}  loss in the report's unit {{total / len(images):.4f}}"
            f"  validation accuracy {{accuracy(*validation):.2%}}"
        )
    print(f"test accuracy {{accuracy(*test):.2%}}")


if __name__ == "__main__":
    main()
"""
