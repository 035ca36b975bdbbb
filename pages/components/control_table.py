"""The table of all controls: every slider, choice and switch of every page, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from normlib.config import LIMITS, METHODS, TrainConfig
from normlib.exercises import TITLES
from pages.components.control_kinds import Control
from pages.lab import report, studies, sweeps
from pages.lab.arithmetic import KERNELS, TABLES
from pages.lab.run_names import SURGERY

FOUR_METHODS = ("none", "batch", "weight", "layer")
# Few enough that a class which drags the slider meets what somebody has seen before, and the server
# computes nothing; a link may ask for any size between.
BATCH_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
EPSILONS = tuple(float(f"1e{power}") for power in range(-8, 1))
LEARNING_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
# As in `pages.lab.gradient_check`, which needs TensorFlow.
MISTAKES = (
    "statistics as constants",
    "wrong axes",
    "epsilon outside the root",
    "unbiased variance",
    "norm as a constant",
    "one norm for the kernel",
    "a constant outside the root",
    "mean of the squares",
)
METHOD_TITLES = {name: method.title for name, method in METHODS.items()}
_COUNTED = {str(number): str(number) for number in range(1, 5)}


def _training(name: str, config_field: str, label: str, **others: Any) -> Control:
    """A row whose default and limits are those of `TrainConfig`, unless said otherwise."""
    default = others.pop("default", getattr(TrainConfig(), config_field))
    kind = {bool: "flag", int: "int", float: "float", str: "choice"}[type(default)]
    if config_field in LIMITS:
        low, high = LIMITS[config_field]
        others = {"low": low, "high": high} | others
    return Control(name, label, kind, default, config_field=config_field, **others)


def _choice(
    name: str, label: str, choices: Mapping[str, str], default: str = "", **others: Any
) -> Control:
    """A row with a choice; the first one is its default unless said otherwise."""
    return Control(name, label, "choice", default or next(iter(choices)), choices=choices, **others)


def _table(rows: Iterable[Control]) -> dict[str, Control]:
    """The rows by name; two with one name are an error, since a value travels by its name."""
    table: dict[str, Control] = {}
    for row in rows:
        if row.name in table:
            raise ValueError(f"Two settings are called {row.name!r}: {table[row.name].label} …")
        table[row.name] = row
    return table


_TRAINING = [
    _training(
        "batch",
        "batch_size",
        "Batch size",
        high=512,
        steps=BATCH_SIZES,
        help="How many images go through the network together.",
    ),
    _training(
        "eps",
        "epsilon",
        "Epsilon",
        low=1e-8,
        high=1.0,
        steps=EPSILONS,
        help="Added to the variance, inside the root, so that nothing is divided by zero.",
    ),
    _training(
        "seed", "seed", "Seed", help="Decides the first weights and the order of the images."
    ),
    _training(
        "method",
        "normalization",
        "Method",
        choices=METHOD_TITLES,
        widget="select",
        help="How the network normalizes.",
    ),
    _training(
        "lr",
        "learning_rate",
        "Learning rate",
        steps=LEARNING_RATES,
        help="How far each step moves the weights.",
    ),
    _training(
        "momentum",
        "momentum",
        "Momentum of the moving statistics",
        steps=(0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999),
        help="How much of the moving mean and variance each step keeps.",
    ),
    _training(
        "epochs",
        "epochs",
        "Epochs",
        default=2,
        help="How often training sees every image once. The report used 4.",
    ),
    _training("hidden", "hidden_units", "Hidden units", help="The size of the dense layer."),
    _training(
        "placement",
        "placement",
        "Normalize",
        choices={"conv": "Convolution only", "conv and dense": "Convolution and dense"},
        widget="select",
        help="Which layers are normalized.",
    ),
    _training(
        "images",
        "train_size",
        "Training images",
        default=6000,
        steps=(500, 1000, 2000, 6000, 12_000, 25_000, 55_000),
        help="How many images to train on. The report used 55,000.",
    ),
    _training(
        "start",
        "weight_norm_start",
        "Weight norm starts at",
        choices={
            "norm": "g = ‖v‖",
            "one": "g = 1",
            "data": "First batch",
            "constant": "Constant (the report's)",
        },
        widget="select",
        help="g = ‖v‖ changes nothing at the start. The constant kernel is never trained.",
    ),
    _training(
        "learn",
        "learn_scale_shift",
        "Learn gamma and beta",
        help="Off: gamma stays 1 and beta 0, as the report ran it.",
    ),
    _training(
        "inference",
        "inference_statistics",
        "At test time use",
        choices={"moving": "Moving statistics", "batch": "The test batch's own"},
        widget="select",
        help="What batch norm normalizes with when it no longer trains.",
    ),
    _training("center", "center", "Subtract the mean"),
    _training("scale", "scale", "Divide by the root"),
    _training(
        "position",
        "position",
        "Position",
        choices={"before ReLU": "Before ReLU", "after ReLU": "After ReLU"},
    ),
    _training(
        "ghost",
        "ghost_batches",
        "Ghost batches",
        steps=(1, 2, 4, 8, 16, 32, 64),
        help="Batch norm only: the batch in parts, each with statistics of its own.",
    ),
    _training(
        "groups",
        "groups",
        "Groups",
        steps=(1, 2, 3, 5, 6, 10, 15, 30),
        help="Group norm only: how many groups the 30 channels form.",
    ),
]
_SHARED = [
    Control(
        "methods",
        "Methods",
        "many",
        FOUR_METHODS,
        "Which normalizations stand side by side.",
        choices=METHOD_TITLES,
    ),
    _choice(
        "stage",
        "Layer",
        {"conv": "Convolution", "hidden": "Hidden layer"},
        help="Where in the network to look.",
    ),
    _choice(
        "seeds",
        "Seeds",
        {"1": "One", "3": "Three"},
        help="Each has other first weights and another order of the images. Three give a band, "
        "and take three times as long.",
    ),
    Control("run", "Run", "text", ""),
]
_TRAIN = [
    Control("over", "Earlier runs", "text", ""),
    _choice(
        "look",
        "Look at",
        {
            "mistakes": "Mistakes",
            "percentiles": "One unit's input",
            "dead": "Dead units",
            "gradients": "Gradients",
            "moving": "Moving statistics",
        },
    ),
    Control("misread", "Mistake", "text", ""),
    Control("channel", "Channel", "int", 0, "One filter of the convolution.", high=29),
]
_COMPARE = [
    _choice("among", "Compare", {"methods": "Methods", "surgery": "Surgery"}),
    Control(
        "cuts",
        "Changes",
        "many",
        ("center", "scale", "fixed"),
        "Each change alone is one more curve from the same start.",
        choices=SURGERY,
    ),
]
_STEP_BY_STEP = [
    _choice(
        "show",
        "View",
        {
            "table": "Table",
            "convolution": "Convolution",
            "relu": "ReLU",
            "undo": "Gamma and beta",
        },
    ),
    Control("x", "Table", "text", TABLES["default"]),
    Control("v", "Kernel", "text", KERNELS["two"]),
    Control("g", "Lengths", "text", "2_1_1"),
    _choice("row", "Example", _COUNTED, "3"),
    _choice("column", "Feature", _COUNTED, "2"),
    _choice(
        "at",
        "Position",
        {"1": "Top left", "2": "Top right", "3": "Bottom left", "4": "Bottom right"},
    ),
    Control("gamma", "Gamma", "float", 1.0, "Multiplies every x̂.", low=-3.0, high=3.0),
    Control("beta", "Beta", "float", 0.0, "Is added to every γ x̂.", low=-3.0, high=3.0),
    _choice("affine", "Gamma and beta", {"own": "Sliders", "undo": "Undo"}),
]
_BACKWARD = [
    _choice(
        "pass",
        "View",
        {
            "terms": "Three terms",
            "weight": "Weight norm",
            "check": "Four-way check",
            "training": "During training",
            "bias": "The bias",
        },
    ),
    _choice(
        "dz",
        "Incoming gradient dz",
        {"random": "Random", "one": "One cell", "equal": "All 1", "along": "Like x̂"},
        help="How much the loss would change with each z.",
    ),
    _choice(
        "mistake",
        "Planted mistake",
        {"none": "None"} | {one: one.capitalize() for one in MISTAKES},
        widget="select",
        help="Put into the layer that the tape differentiates.",
    ),
    Control("bias", "Bias added to the feature", "float", 2.0, low=-5.0, high=5.0),
]
_ACTIVATIONS = [
    _choice(
        "view",
        "View",
        {
            "histograms": "Histograms",
            "channels": "Channels",
            "microscope": "Epsilon microscope",
            "invariances": "Invariances",
        },
        help="Four ways to look at the same activations.",
    ),
    Control(
        "weights",
        "Weights",
        "text",
        "fresh",
        "The first weights of this seed, or those that a training has learned.",
    ),
]
_REPORT = [
    _choice(
        "part",
        "Part of the report",
        {
            "tables": "The three tables",
            "library": "Own ops against TensorFlow's",
            "layer": "Batch against layer",
            "weight": "Why weight norm lost",
        },
    ),
    _choice(
        "setting",
        "Trained",
        report.SETTINGS,
        "as-run",
        help="The report left gamma, beta and weight norm's v and g untrained, and normalized "
        "the test images with their own statistics. Its equations say otherwise.",
    ),
    _choice(
        "numbers",
        "Numbers",
        {"digits": "A batch of digits", "random": "Random"},
        help="What both sides get: the convolution of the first images, or random numbers with "
        "mean 0 and standard deviation 1.",
    ),
    _choice(
        "quantity",
        "Compare",
        {
            "output": "Output",
            "dx": "dx",
            "dgamma": "dgamma",
            "dbeta": "dbeta",
            "moving mean": "Moving mean",
            "moving variance": "Moving variance",
        },
        help="dx, dgamma and dbeta are gradients; for weight norm dv and dg take their place.",
    ),
    Control(
        "defaults",
        "Library defaults",
        "flag",
        False,
        "Leave epsilon, momentum and axes on the library's side as it has them.",
    ),
]
_BATCH_LAB = [
    _choice(
        "lab",
        "View",
        {
            "inference": "Training against inference",
            "mates": "Batch-mates",
            "sweep": "Batch size sweep",
            "cliff": "Learning-rate cliff",
        },
    ),
    _choice(
        "against",
        "Along",
        {"test": "Test batch", "momentum": "Momentum", "batch": "Training batch"},
        help="What changes from left to right.",
    ),
    Control("recalibrated", "Recalibrated", "flag", False),
    _choice("from", "Numbers", {"recorded": "Recorded", "live": "This machine"}),
    Control(
        "crowd",
        "Batch size m",
        "int",
        8,
        "The pinned digit and its m − 1 mates.",
        low=2,
        high=32,
        steps=studies.MATES_SIZES,
    ),
    _choice(
        "mates",
        "Mates",
        {"random": "Random digits"} | {str(digit): f"Only {digit}s" for digit in range(10)},
        widget="select",
    ),
    Control(
        "pinned",
        "Pinned test digit",
        "int",
        studies.PINNED,
        "Its place among the first 2,000 test images.",
        high=1_999,
        widget="number",
    ),
    _choice(
        "held",
        "Equal for all",
        sweeps.HELD,
        "images",
        help="Images: each training reads the same images once, so small batches take more "
        "steps. Updates: each takes the same number of steps, so large batches read more.",
    ),
]
_WRITE = [_choice("exercise", "Exercise", TITLES, widget="select")]
CONTROLS = _table(
    [
        *_TRAINING,
        *_SHARED,
        *_TRAIN,
        *_COMPARE,
        *_STEP_BY_STEP,
        *_BACKWARD,
        *_ACTIVATIONS,
        *_REPORT,
        *_BATCH_LAB,
        *_WRITE,
    ]
)
