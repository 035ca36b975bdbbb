"""A run taken away: its history as CSV, its settings as JSON, and a script that repeats it.

The script is plain TensorFlow, written out for one config, and needs nothing of this project.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from normlib.config import METHODS, TrainConfig
from normlib.mnist import Dataset
from normlib.run import Run

_LAYERS = ("conv", "dense", "output")
_PERCENTILES = ("p15", "p50", "p85")
# Of each channel; thirty columns more would bury the rest. The JSON of the run has them.
_TOO_WIDE = ("moving_mean", "moving_variance", "batch_mean", "batch_variance")


def steps_per_epoch(run: Run, train_images: int = 55_000) -> int:
    """How many steps one pass took. train_images: as many as the data holds."""
    if run.status == "finished":
        return len(run.losses) // len(run.epochs)
    return -(-min(run.config.train_size, train_images) // run.config.batch_size)


def history_csv(run: Run, train_images: int = 55_000) -> str:
    """One line per step: its loss, its batch's accuracy, and what else was measured there.

    The results of an epoch stand in the line of its last step, and what was recorded on the
    probe images in the line of the step before it; elsewhere these cells are empty.
    train_images: as many as the data holds, for runs that ended early.
    """
    per_epoch = steps_per_epoch(run, train_images)
    accuracies = run.recorded.get("batch_accuracies", [""] * len(run.losses))
    rows: list[dict[str, object]] = [
        {"step": step, "epoch": (step - 1) // per_epoch + 1, "loss": loss, "batch_accuracy": right}
        for step, (loss, right) in enumerate(zip(run.losses, accuracies, strict=True), start=1)
    ]
    for result in run.epochs:
        rows[result.epoch * per_epoch - 1] |= asdict(result)
    for index, step in enumerate(run.recorded.get("step", ())):
        rows[int(step) - 1] |= _measured(run.recorded, index)
    text = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _measured(recorded: Mapping[str, list], index: int) -> dict[str, object]:
    """The recorded row as flat cells: "conv_input_p15", "gradient_norms_dense", ..."""
    cells: dict[str, object] = {}
    for name, values in recorded.items():
        if name in ("step", "batch_accuracies", *_TOO_WIDE):
            continue
        value = values[index]
        if isinstance(value, (list, tuple)):
            parts = _PERCENTILES if name.endswith("_input") else _LAYERS
            cells |= {f"{name}_{part}": one for part, one in zip(parts, value, strict=True)}
        else:
            cells[name] = value
    return cells


def config_json(config: TrainConfig) -> str:
    """The settings, one per line; `TrainConfig.from_json` reads them back."""
    return json.dumps(asdict(config), indent=2, sort_keys=True) + "\n"


def run_json(run: Run) -> str:
    """The whole run but its arrays, as `Run.from_dict` reads it back."""
    return json.dumps(run.to_dict(), allow_nan=False)


def runs_json(runs: Sequence[Run]) -> str:
    """Several runs as one JSON list."""
    return json.dumps([run.to_dict() for run in runs], allow_nan=False)


def losses_csv(runs: Mapping[str, Sequence[Run]]) -> str:
    """One line per step, one column per run: "Batch norm, seed 0"."""
    columns = {
        f"{name}, seed {run.config.seed}": run.losses
        for name, seeds in runs.items()
        for run in seeds
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *columns])
    longest = max(map(len, columns.values()), default=0)
    for step in range(longest):
        row = [losses[step] if step < len(losses) else "" for losses in columns.values()]
        writer.writerow([step + 1, *row])
    return text.getvalue()


def data_npz(data: Dataset) -> bytes:
    """The data as a file in Keras's layout, for a script on data that Keras does not have."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        x_train=np.concatenate([data.validation_images, data.train_images])[..., 0],
        y_train=np.concatenate([data.validation_labels, data.train_labels]),
        x_test=data.test_images[..., 0],
        y_test=data.test_labels,
    )
    return file.getvalue()


def script(config: TrainConfig, data: Dataset, run: Run | None = None) -> str:
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
        *_sums(used),
        *(_compiled(used) if _by_hand(used) else ()),
        _normalize(used),
        _move(used),
        _normalization(used),
        _PRODUCT,
        _forward(used),
        _start(used),
        _step(used),
        _main(used),
    ]
    head, rest = parts[0], parts[1:]
    code = "\n\n\n".join(part.strip("\n") for part in rest if part)
    return f"{head}\n\n{code}\n"


def script_name(config: TrainConfig) -> str:
    """`batch_norm_seed_0.py`: what the script is called when it is saved."""
    words = METHODS[config.normalization].title.lower().replace("'", "").split()
    return f"{'_'.join(words)}_seed_{config.seed}.py"


# What follows writes the parts of the script, in their order.


def _head(config: TrainConfig, data: Dataset, run: Run | None) -> str:
    name = script_name(config)
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
    math = "import math\n" * (config.weight_norm_start == "constant" or _counts(config))
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
    if _on_activations(config) and (config.scale or config.normalization == "tf_batch"):
        lines.append(f"EPSILON = {config.epsilon!r}")
    if _moving(config):
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
        if layer != "output" and _normalized(config, layer):
            whole = config.normalization in ("layer", "rms") and layer == "conv"
            owned = "28, 28, 30" if whole else units
            initials = {
                "gamma": f"tf.ones([{owned}])",
                "beta": f"tf.zeros([{owned}])",
                "moving_mean": f"tf.zeros([{units}])",
                "moving_variance": f"tf.ones([{units}])",
            }
            for name in _owned(config):
                lines.append(f"{layer}_{name} = tf.Variable({initials[name]})")
                if not name.startswith("moving"):
                    trained.append(f"{layer}_{name}")
    lines += ["", "TRAINED = [", *(f"    {name}," for name in trained), "]"]
    return "\n".join(lines)


def _sums(config: TrainConfig) -> list[str]:
    """The sums and averages that the script takes."""
    parts = []
    if _by_hand(config):
        weighted = config.scale and config.learn_scale_shift and _one_root(config)
        parts = [_LENGTHS, _WEIGHTED if weighted else _TOTAL]
    elif _counts(config):  # at the start, where the lab has no hurry
        parts = [_LENGTHS, _PLAIN_TOTAL]
    return parts + [_COUNT] * _counts(config) + [_AVERAGE] * _averages(config)


_LENGTHS = """
def lengths(x):
    \"\"\"The shape of x: numbers where they are known, tensors where only the run will tell.\"\"\"
    return [tf.shape(x)[i] if n is None else n for i, n in enumerate(x.shape)]
"""


_PLAIN_TOTAL = """
def total(x, axes):
    \"\"\"The sum over `axes`, one axis at a time: short sums lose fewer digits.\"\"\"
    for axis in axes:
        x = tf.reduce_sum(x, axis, keepdims=True)
    return x
"""


_TOTAL = """
def total(x, axes):
    \"\"\"The sum over `axes`, one at a time: short sums lose fewer digits.\"\"\"
    for axis in axes:
        if axis == 0:  # by ones @ x, which is faster
            n, *others = lengths(x)
            x = tf.reshape(tf.ones([1, n]) @ tf.reshape(x, [n, -1]), [1, *others])
        else:
            x = tf.reduce_sum(x, axis, keepdims=True)
    return x
"""


_WEIGHTED = """
def total(x, axes, weights=None):
    \"\"\"The sum over `axes`, one at a time: short sums lose fewer digits.\"\"\"
    for axis in axes:
        if axis == 0:  # by ones (or weights, one for each example) @ x, which is faster
            n, *others = lengths(x)
            ones = tf.ones([1, n]) if weights is None else tf.reshape(weights, [1, n])
            x = tf.reshape(ones @ tf.reshape(x, [n, -1]), [1, *others])
        else:
            x = tf.reduce_sum(x, axis, keepdims=True)
    return x
"""


_COUNT = """
def count(x, axes):
    return tf.cast(math.prod(lengths(x)[axis] for axis in axes), x.dtype)
"""


_AVERAGE = """
def average(x, axes):
    return total(x, axes) / count(x, axes)
"""


_ROW = """
def row(a, x):
    \"\"\"`a` repeated along all axes of x but the first, which a CPU multiplies fastest.\"\"\"
    if a.shape.rank < x.shape.rank:
        a = tf.reshape(a, [1] * (x.shape.rank - a.shape.rank) + a.shape)
    if a.shape[0] != 1:
        return a
    shape = list(a.shape)
    for axis in range(x.shape.rank - 1, 0, -1):
        if shape[axis] == 1 != x.shape[axis]:
            shape[axis] = lengths(x)[axis]
            a = tf.broadcast_to(a, shape)
    return a
"""


def _compiled(config: TrainConfig) -> list[str]:
    """What `normalize` and its gradient are put together from."""
    learned = _learned(config)
    z = "centered" + " * inverse" * config.scale
    z += "".join({"gamma": " * gamma", "beta": " + beta"}[name] for name in learned)
    whole = _one_mean_per_gamma(config) and (config.scale or config.center)
    repeats = learned and not whole and not (_weighs(config) and config.scale)
    parts = [_ROW] if _centers(config) or repeats else []
    if z != "centered":
        arguments = ", ".join(["centered", *["inverse"] * config.scale, *learned])
        parts.append(f"""
@tf.function(jit_compile=True)
def z_of({arguments}):
    \"\"\"The end of normalizing, compiled into one loop over its numbers.\"\"\"
    return {z}
""")
    if config.scale or _centers(config):
        gamma = "gamma * " * config.learn_scale_shift
        arguments = ["dz", "centered", *["gamma"] * bool(gamma), "inverse", "stretch", "shift"]
        parts.append(f"""
@tf.function(jit_compile=True)
def dx_of({", ".join(arguments)}):
    return ({gamma}dz - shift - centered * inverse * (inverse * stretch)) * inverse
""")
    if _one_mean_per_gamma(config) and (config.scale or config.learn_scale_shift):
        parts.append(_DOT)
    if _weighs(config):
        parts.append(_WEIGHTED_TOTAL)
    return parts


_DOT = """
def dot(a, b):
    \"\"\"sum(a * b) per channel, by the gradient of a convolution with one weight for each.\"\"\"
    shape = [tf.shape(a)[0], -1, 1, a.shape[-1]]
    a, b = tf.reshape(a, shape), tf.reshape(b, shape)
    size = [1, 1, a.shape[-1], 1]
    return tf.reshape(tf.nn.depthwise_conv2d_backprop_filter(a, size, b, [1] * 4, "VALID"), [-1])
"""


_WEIGHTED_TOTAL = """
def weighted_total(x, gamma):
    \"\"\"The sum of gamma * x for each example, as x @ gamma.\"\"\"
    products = tf.reshape(x, [-1, gamma.shape.num_elements()]) @ tf.reshape(gamma, [-1, 1])
    return tf.reshape(products, [-1] + [1] * gamma.shape.rank)
"""


_PRODUCT = """
@tf.custom_gradient
def product(x, w):
    \"\"\"x @ w, with dx as a batch of one product, which is faster.\"\"\"

    def backward(dz):
        dx = tf.matmul(dz[None], w[None], transpose_b=True)[0]
        return dx, tf.matmul(x, dz, transpose_a=True)

    return x @ w, backward
"""


def _move(config: TrainConfig) -> str:
    if not _moving(config):
        return ""
    batch, note = "tf.reshape(batch, [-1])", ""
    if config.ghost_batches > 1:
        batch = "tf.reduce_mean(tf.reshape(batch, [-1, batch.shape[-1]]), 0)"
        note = ", averaged over its ghost batches"
    return f"""
def move(moving, batch):
    \"\"\"Bring a moving statistic nearer to the batch's{note}.\"\"\"
    batch = {batch}
    moving.assign(MOMENTUM * moving + (1 - MOMENTUM) * batch)
"""


def _normalize(config: TrainConfig) -> str:
    """The one operation of every method, and its gradient by hand, as the lab trains with them."""
    if not _by_hand(config):
        return ""
    learned = _learned(config)
    center, scale = _centers(config), config.scale
    arguments = ", ".join(["x", *learned])
    formula = {
        (True, True): "x_hat = (x - mean) / sqrt(variance + epsilon)",
        (False, True): "x_hat = x / sqrt(average(x²) + epsilon)",
        (True, False): "x_hat = x - mean",
        (False, False): "x_hat = x",
    }[center, scale]
    z = {0: "x_hat", 1: "gamma * x_hat", 2: "gamma * x_hat + beta"}[len(learned)]
    lines = [
        f"def normalize({arguments}, axes):",
        f'    """z = {z}, where {formula}.',
        "",
        "    The gradient is by hand, as in the lab. Returns z, mean and variance.",
        '    """',
        "",
        "    @tf.custom_gradient",
        f"    def apply({arguments}):",
        f"        mean = {'total(x, axes) / count(x, axes)' if center else 'tf.zeros([])'}",
        f"        centered = {'x - row(mean, x)' if center else 'x'}",
    ]
    if center or scale:
        lines += [
            "        # average(centered²), by an op that does not write the squares down",
            "        norms = tf.math.reduce_euclidean_norm(centered, axes[0], keepdims=True)",
            "        variance = total(tf.square(norms), axes[1:]) / count(x, axes)",
        ]
    else:
        lines += ["        variance = tf.ones([])"]
    if scale:
        lines += ["        inverse = tf.math.rsqrt(variance + EPSILON)"]
    given = ", ".join(["centered", *["inverse"] * scale, *learned])
    lines += [f"        z = {f'z_of({given})' if scale or learned else 'centered'}"]
    lines += ["", "        def backward(dz, *_):"]
    lines += _by_channel(config) if _one_mean_per_gamma(config) else _in_general(config)
    result = ", ".join(["dx", *(f"d{name}" for name in learned)])
    lines += [f"            return {result}", "", "        return (z, mean, variance), backward"]
    lines += ["", f"    return apply({arguments})"]
    return "\n".join(lines)


def _by_channel(config: TrainConfig) -> list[str]:
    """The sums of `backward` where each mean belongs to one gamma: those that dx needs."""
    learned, scale = config.learn_scale_shift, config.scale
    lines, gamma = [], "gamma * " * learned
    root = " * tf.reshape(inverse, [-1])" * scale
    if scale or learned:
        lines += ["            along = dot(dz, centered)"]
    if learned:
        lines += [f"            dgamma = along{root}"]
    if config.center or learned:
        lines += ["            dbeta = tf.reshape(total(dz, axes), [-1])"]
    return lines + _dx(config, f"{gamma}along", f"{gamma}dbeta")


def _in_general(config: TrainConfig) -> list[str]:
    """The sums of `backward` where a gamma belongs to several means or a mean to several."""
    learned = _learned(config)
    lines = ["            along = dz * centered"] * bool(config.scale or learned)
    sums = _SUMS[config.normalization]
    if learned:
        values, weights = "along", ""
        if config.scale and _one_root(config):
            weights = ", inverse"
        elif config.scale:
            values = "along * row(inverse, x)"
        lines += [
            f"            dgamma = total({values}, {sums}{weights})",
            "            dgamma = tf.reshape(dgamma, gamma.shape)",
        ]
    if learned[1:]:
        lines.append(f"            dbeta = tf.reshape(total(dz, {sums}), beta.shape)")
    if _weighs(config):
        added = (
            "weighted_total({}, gamma)" if learned else "weighted_total({}, tf.ones(x.shape[1:]))"
        )
    else:
        added = "total({} * row(gamma, x), axes)" if learned else "total({}, axes)"
    return lines + _dx(config, added.format("along"), added.format("dz"))


def _dx(config: TrainConfig, stretch: str, shift: str) -> list[str]:
    """The lines of `backward` that find dx; what is switched off is 0, or 1."""
    learned, scale, center = config.learn_scale_shift, config.scale, _centers(config)
    if not (scale or center):
        return [f"            dx = dz{' * row(gamma, x)' * learned}"]
    given = [
        *("dz", "centered", *["gamma"] * learned),
        "inverse" if scale else "tf.ones([])",
        "stretch" if scale else "tf.zeros([])",
        "shift" if center else "tf.zeros([])",
    ]
    return [
        *[f"            stretch = {stretch} / count(x, axes)"] * scale,
        *[f"            shift = {shift} / count(x, axes)"] * center,
        f"            dx = dx_of({', '.join(given)})",
    ]


# The axes over which a gamma or beta was repeated.
_SUMS = {
    "batch": "range(x.shape.rank - 1)",
    "layer": "[0]",
    "rms": "[0]",
    "instance": "range(x.shape.rank - 1)",
    "group": "range(x.shape.rank - 2)",
}


def _normalization(config: TrainConfig) -> str:
    """The function that the network calls, with no trace of the options that are off."""
    if config.normalization == "weight" and config.weight_norm_start != "constant":
        return """
def weight_norm(v, g):
    \"\"\"w = g * v / ||v||, one length g per output channel.\"\"\"
    return g * (v * inverse_norm(v))
"""
    if not _on_activations(config):
        return ""
    owned, moving = _owned(config), _moving(config)
    learned = _learned(config)
    arguments = ["x", *owned, *(["training"] if moving else [])]
    doc = METHODS[config.normalization].averages
    lines = [
        f"def {_function(config)}({', '.join(arguments)}):",
        f'    """One mean and variance for {doc}."""',
    ]
    if not _by_hand(config) and config.normalization != "tf_batch":
        lines[1] = '    """Neither centered nor scaled, and nothing learned: nothing is left."""'
        return "\n".join([*lines, "    return x"])
    update = [
        f"    move({name}, {name.removeprefix('moving_')})"
        for name in owned
        if name.startswith("moving")
    ]
    if config.normalization == "tf_batch":
        gamma, beta = ("gamma", "beta") if learned else ("None", "None")
        lines.append("    axes = list(range(x.shape.rank - 1))")
        if moving:
            lines += [
                "    if training:",
                "        mean, variance = tf.nn.moments(x, axes)",
                *(f"    {line}" for line in update),
                "    else:",
                "        mean, variance = moving_mean, moving_variance",
            ]
        else:
            lines.append("    mean, variance = tf.nn.moments(x, axes)")
        lines.append(
            f"    return tf.nn.batch_normalization(x, mean, variance, {beta}, {gamma}, EPSILON)"
        )
        return "\n".join(lines)
    if moving:
        x_hat = "(x - moving_mean)" if config.center else "x"
        x_hat += " * tf.math.rsqrt(moving_variance + EPSILON)" if config.scale else ""
        if learned:
            x_hat = f"{x_hat} * gamma + beta"
        lines += ["    if not training:", f"        return {x_hat}"]
    x, axes = "x", _AXES[config.normalization]
    if config.ghost_batches > 1:
        x, axes = "parts", "range(1, x.shape.rank)"
        lines += [
            "    even = tf.shape(x)[0] % GHOST_BATCHES == 0  # a short last batch stays whole",
            "    count = tf.where(even, GHOST_BATCHES, 1)",
            "    parts = tf.reshape(x, [count, -1, *x.shape[1:]])",
        ]
    if config.normalization == "group":
        x = "parts"
        lines += [
            "    size = x.shape[-1] // GROUPS",
            "    parts = tf.reshape(x, [*lengths(x)[:-1], GROUPS, size])",
        ]
        lines += [f"    {name} = tf.reshape({name}, [GROUPS, size])" for name in learned]
    lines.append(f"    axes = list({axes})" if axes[0] == "r" else f"    axes = {axes}")
    got = (
        "z, mean, variance"
        if len(update) == 2
        else "z, mean, _"
        if config.center
        else "z, _, variance"
    )
    got = got if moving else "z, _, _"
    lines.append(f"    {got} = normalize({', '.join([x, *learned])}, axes)")
    lines += update
    lines.append("    return z" if x == "x" else "    return tf.reshape(z, tf.shape(x))")
    return "\n".join(lines)


_AXES = {
    "batch": "range(x.shape.rank - 1)",
    "layer": "range(1, x.shape.rank)",
    "rms": "range(1, x.shape.rank)",
    "instance": "range(1, x.shape.rank - 1)",
    "group": "[*range(1, x.shape.rank - 1), x.shape.rank]",
}


def _forward(config: TrainConfig) -> str:
    training = _moving(config)
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
        if not _normalized(config, layer):
            return relu
        arguments = ["x", *(f"{layer}_{name}" for name in _owned(config))]
        arguments += ["training"] if training else []
        call = [f"    x = {_function(config)}({', '.join(arguments)})"]
        return relu + call if config.position == "after ReLU" else call + relu

    kept = config.weight_norm_start == "data"
    pool = '    x = tf.nn.max_pool2d(x, 2, 2, "VALID")'
    *before, last = activate("conv")
    relu_last = config.position != "after ReLU" or not _normalized(config, "conv")
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
    training, testing = (", training=True", ", training=False") if _moving(config) else ("", "")
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


def _on_activations(config: TrainConfig) -> bool:
    return config.normalization not in ("none", "weight")


def _normalized(config: TrainConfig, layer: str) -> bool:
    """Whether this layer's activations are normalized."""
    return _on_activations(config) and (layer == "conv" or config.placement == "conv and dense")


def _moving(config: TrainConfig) -> bool:
    """Whether moving statistics are kept: only where something reads them."""
    return (
        config.normalization in ("batch", "tf_batch")
        and config.inference_statistics == "moving"
        and (config.center or config.scale)
    )


def _owned(config: TrainConfig) -> list[str]:
    """The variables of one normalized layer, as the script names them."""
    owned = []
    if config.learn_scale_shift:
        owned += ["gamma"] if config.normalization == "rms" else ["gamma", "beta"]
    if _moving(config):
        owned += ["moving_mean"] * config.center + ["moving_variance"] * config.scale
    return owned


def _learned(config: TrainConfig) -> list[str]:
    """Those of them that are trained."""
    return [name for name in _owned(config) if not name.startswith("moving")]


def _by_hand(config: TrainConfig) -> bool:
    """Whether the script has its own standardizing, with a gradient by hand."""
    own = _on_activations(config) and config.normalization != "tf_batch"
    return own and (config.scale or _centers(config) or config.learn_scale_shift)


def _centers(config: TrainConfig) -> bool:
    return config.center and config.normalization != "rms"


def _one_mean_per_gamma(config: TrainConfig) -> bool:
    """Whether each mean belongs to one gamma, as in batch norm."""
    return config.normalization == "batch" and config.ghost_batches == 1


def _weighs(config: TrainConfig) -> bool:
    """Whether a gamma for every number of an example weighs them where they are averaged."""
    return _one_root(config) and (config.scale or _centers(config))


def _one_root(config: TrainConfig) -> bool:
    """Whether each example has one root, which then weighs it in a sum over examples."""
    return config.normalization in ("layer", "rms")


def _counts(config: TrainConfig) -> bool:
    """Whether the script divides by how many numbers it added up."""
    standardized = _by_hand(config) and (config.scale or _centers(config))
    return standardized or config.weight_norm_start == "data"


def _averages(config: TrainConfig) -> bool:
    """Whether the script averages: at the start, from the data."""
    return config.weight_norm_start == "data"


def _function(config: TrainConfig) -> str:
    return {"tf_batch": "batch_norm"}.get(config.normalization, f"{config.normalization}_norm")
