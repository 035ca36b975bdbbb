"""The table of all controls: every slider, choice and switch of every page, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normlib.config import LIMITS, METHODS, TrainConfig
from normlib.exercises import TITLES
from pages.components.control_kinds import Control
from pages.lab import comparison, report, studies, sweeps, why
from pages.lab.arithmetic import KERNELS, TABLES
from pages.lab.run_names import SURGERY

FOUR_METHODS = ("none", "batch", "weight", "layer")
# Few enough that a class which drags the slider meets what somebody has seen before, and the server
# computes nothing; a link may ask for any size between.
BATCH_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
EPSILONS = tuple(float(f"1e{power}") for power in range(-8, 1))
START_SCALES = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.1414, 0.2, 0.3, 0.5, 1.0)
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
HELP = {
    "batch": "How many images go through the network together.",
    "eps": "Added to the variance, inside the root, so that nothing is divided by zero.",
    "seed": "Decides the first weights and the order of the images.",
    "method": "How the network normalizes.",
    "lr": "How far each step moves the weights.",
    "momentum": "How much of the moving mean and variance each step keeps.",
    "epochs": "How often training sees every image once. The report used 4.",
    "hidden": "The size of the dense layer.",
    "placement": "Which layers are normalized.",
    "images": "How many images to train on. The report used 55,000.",
    "start": "g = ‖v‖ changes nothing at the start. The constant kernel is never trained.",
    "learn": "Off: gamma stays 1 and beta 0, as the report ran it.",
    "inference": "What batch norm normalizes with when it no longer trains.",
    "ghost": "Batch norm only: the batch in parts, each with statistics of its own.",
    "groups": "Group norm only: how many groups the 30 channels form.",
    "methods": "Which normalizations stand side by side.",
    "stage": "Where in the network to look.",
    "seeds": "Each has other first weights and another order of the images. Three give a band, "
    "and take three times as long.",
    "channel": "One filter of the convolution.",
    "cuts": "Each change alone is one more curve from the same start.",
    "gamma": "Multiplies every x̂.",
    "beta": "Is added to every γ x̂.",
    "dz": "How much the loss would change with each z.",
    "mistake": "Put into the layer that the tape differentiates.",
    "view": "Four ways to look at the same activations.",
    "weights": "The first weights of this seed, or those that a training has learned.",
    "setting": "The report left gamma, beta and weight norm's v and g untrained, and normalized "
    "the test images with their own statistics. Its equations say otherwise.",
    "numbers": "What both sides get: the convolution of the first images, or random numbers with "
    "mean 0 and standard deviation 1.",
    "quantity": "dx, dgamma and dbeta are gradients; for weight norm dv and dg take their place.",
    "defaults": "Leave epsilon, momentum and axes on the library's side as it has them.",
    "against": "What changes from left to right.",
    "layers": "Where the networks of this page normalize.",
    "crowd": "The pinned digit and its m − 1 batch-mates.",
    "pinned": "Its place among the first 2,000 test images, from 0. The first one shown was chosen "
    "because batch norm's answer for it is close.",
    "scale0": "The standard deviation of the first weights. The report used 0.1.",
    "rates": "The best one was chosen on the validation images, among the recorded ones of the "
    "learning-rate cliff (one epoch, batches of 64).",
    "bigger": "So much larger, the convolution gives numbers of standard deviation 1 or so, as "
    "batch norm does: how much of its lead is that alone?",
    "depth": "Dense layers, one after the other, each of 100 units.",
    "sigma": "The standard deviation of the first weights. 0.1414 = √(2/100) keeps the spread.",
    "residual": "Each layer but the first adds to what it gets; normalized before or after that.",
    "held": "Images: each training reads the same images once, so small batches take more "
    "steps. Updates: each takes the same number of steps, so large batches read more images. "
    "Rate per image: the same images, and a learning rate in proportion to the batch size.",
}


def _choices(text: str) -> dict[str, str]:
    """`value: What the reader sees | value`; without a title the value with a capital letter."""
    pairs = (part.partition(": ") for part in text.split(" | "))
    return {value: title or value[0].upper() + value[1:] for value, _, title in pairs}


def _row(name: str, label: str, kind: str, default: Any, **others: Any) -> Control:
    return Control(name, label, kind, default, help=HELP.get(name, ""), **others)


def _choice(
    name: str, label: str, choices: str | Mapping[str, str], default: str = "", **others: Any
) -> Control:
    """A row with a choice; the first one is its default unless said otherwise."""
    given = _choices(choices) if isinstance(choices, str) else choices
    return _row(name, label, "choice", default or next(iter(given)), choices=given, **others)


def _training(
    name: str, config_field: str, label: str, choices: str = "", **others: Any
) -> Control:
    """A row whose default and limits are those of `TrainConfig`, unless said otherwise."""
    default = others.pop("default", getattr(TrainConfig(), config_field))
    others = {"config_field": config_field} | others
    if isinstance(default, str):
        return _choice(name, label, choices or METHOD_TITLES, default, **others)
    low, high = LIMITS.get(config_field, (0, 0))
    kind = {bool: "flag", int: "int", float: "float"}[type(default)]
    return _row(name, label, kind, default, **({"low": low, "high": high} | others))


def _text(name: str, label: str, default: str = "") -> Control:
    return _row(name, label, "text", default)


def _number(
    name: str, label: str, default: float, low: float, high: float, **others: Any
) -> Control:
    kind = "int" if isinstance(default, int) else "float"
    return _row(name, label, kind, default, low=low, high=high, **others)


def _table(*rows: Control) -> dict[str, Control]:
    """The rows by name; two with one name are an error, since a value travels by its name."""
    table: dict[str, Control] = {}
    for row in rows:
        if row.name in table:
            raise ValueError(f"Two settings are called {row.name!r}: {table[row.name].label} …")
        table[row.name] = row
    return table


CONTROLS = _table(
    # what decides a training
    _training("batch", "batch_size", "Batch size", high=512, steps=BATCH_SIZES),
    _training("eps", "epsilon", "Epsilon", low=1e-8, high=1.0, steps=EPSILONS),
    _training("seed", "seed", "Seed"),
    _training("method", "normalization", "Method", widget="select"),
    _training("lr", "learning_rate", "Learning rate", steps=LEARNING_RATES),
    _training(
        *("momentum", "momentum", "Momentum of the moving statistics"),
        steps=(0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999),
    ),
    _training("epochs", "epochs", "Epochs", default=2),
    _training("hidden", "hidden_units", "Hidden units"),
    _training(
        *("placement", "placement", "Normalize"),
        "conv: Convolution only | conv and dense: Convolution and dense",
        widget="select",
    ),
    _training(
        *("images", "train_size", "Training images"),
        default=6000,
        steps=(500, 1000, 2000, 6000, 12_000, 25_000, 55_000),
    ),
    _training(
        *("start", "weight_norm_start", "Weight norm starts at"),
        "norm: g = ‖v‖ | one: g = 1 | data: First batch | constant: Constant (the report's)",
        widget="select",
    ),
    _training("learn", "learn_scale_shift", "Learn gamma and beta"),
    _training(
        *("inference", "inference_statistics", "At test time use"),
        "moving: Moving statistics | batch: The test batch's own",
        widget="select",
    ),
    _training("scale0", "start_scale", "Start scale", steps=(0.001, 0.003, *START_SCALES)),
    _training("center", "center", "Subtract the mean"),
    _training("scale", "scale", "Divide by the root"),
    _training("position", "position", "Position", "before ReLU | after ReLU"),
    _training("ghost", "ghost_batches", "Ghost batches", steps=(1, 2, 4, 8, 16, 32, 64)),
    _training("groups", "groups", "Groups", steps=(1, 2, 3, 5, 6, 10, 15, 30)),
    # on several pages
    _row("methods", "Methods", "many", FOUR_METHODS, choices=METHOD_TITLES),
    _choice("stage", "Layer", "conv: Convolution | hidden: Hidden layer"),
    _choice("seeds", "Seeds", "1: One | 3: Three"),
    _text("run", "Run"),
    # Train
    _text("over", "Earlier runs"),
    _choice(
        *("look", "Look at"),
        "mistakes | percentiles: Inputs of units | dead: Dead units | gradients: Kernels | "
        "moving: Moving statistics",
    ),
    _text("misread", "Mistake"),
    _choice("units", "Units", "all: All units | one: One unit"),
    _choice(
        *("kernels", "Of each kernel"),
        "updates: Relative update | gradient_norms: Gradient | kernel_lengths: Length",
    ),
    _number("channel", "Channel", 0, 0, 29),
    # Compare
    _choice("among", "Compare", "methods | surgery"),
    _choice("rates", "Learning rates", "same: Same for all | best: Each at its own best"),
    _row("bigger", f"No normalization, first kernel × {comparison.FIRST_KERNEL:g}", "flag", False),
    _row("cuts", "Changes", "many", ("center", "scale", "fixed"), choices=SURGERY),
    # Step by step
    _choice("show", "View", "table | convolution | relu: ReLU | undo: Gamma and beta"),
    _text("x", "Table", TABLES["default"]),
    _text("v", "Kernel", KERNELS["two"]),
    _text("g", "Lengths", "2_1_1"),
    _choice("row", "Example", "1 | 2 | 3 | 4", "3"),
    _choice("column", "Feature", "1 | 2 | 3 | 4", "2"),
    _choice("at", "Position", "1: Top left | 2: Top right | 3: Bottom left | 4: Bottom right"),
    _number("gamma", "Gamma", 1.0, -3.0, 3.0),
    _number("beta", "Beta", 0.0, -3.0, 3.0),
    _choice("affine", "Gamma and beta", "own: As set | undo"),
    # Backward pass
    _choice(
        *("pass", "View"),
        "terms: Three terms | weight: Weight norm | check: Four-way check | "
        "training: During training | bias: The bias",
    ),
    _choice("dz", "Incoming gradient dz", "random | one: One cell | equal: All 1 | along: Like x̂"),
    _choice("mistake", "Planted mistake", " | ".join(("none", *MISTAKES)), widget="select"),
    _number("bias", "Bias added to the feature", 2.0, -5.0, 5.0),
    # Activation statistics
    _choice("view", "View", "histograms | channels | microscope: Epsilon microscope | invariances"),
    _text("weights", "Weights", "fresh"),
    # Report
    _choice(
        *("part", "Part of the report"),
        "tables: The three tables | library: Own ops against TensorFlow's | "
        "layer: Batch against layer | weight: Why weight norm lost",
    ),
    _choice("setting", "Setting", report.SETTINGS, "as-run"),
    _choice("numbers", "Numbers", "digits: A batch of digits | random"),
    _choice(
        *("quantity", "Compare"),
        "output | dx: dx | dgamma: dgamma | dbeta: dbeta | moving mean | moving variance",
    ),
    _row("defaults", "Library defaults", "flag", False),
    # Batch size lab
    _choice(
        *("lab", "View"),
        "inference: Training vs. inference | mates: Batch-mates | "
        "sweep: Batch size sweep | cliff: Learning-rate cliff",
    ),
    _choice("against", "x axis", "test: Test batch | momentum | batch: Training batch"),
    _choice(
        *("layers", "Normalize"),
        {"conv and dense": "Convolution and dense", "conv": "Convolution only"},
        widget="select",
    ),
    _row("recalibrated", "Recalibrate", "flag", False),
    _choice("from", "Numbers", "recorded | live: This machine"),
    _number("crowd", "Batch size m", 8, 2, 32, steps=studies.MATES_SIZES),
    _choice(
        *("mates", "Batch-mates"),
        {"random": "Random digits", str(studies.ONE_CLASS): f"Only {studies.ONE_CLASS}s"}
        | {str(n): f"Only {n}s (train here)" for n in range(10) if n != studies.ONE_CLASS},
        widget="select",
    ),
    _number("pinned", "Test image", studies.PINNED, 0, 1_999, widget="number"),
    _choice("held", "Equal for all sizes", sweeps.HELD | {"paper": "As in the paper"}),
    # Depth lab
    _choice(
        *("deep", "View"),
        "signal: First step | map: Can it learn? | curves: Train one | layers: Layer by layer",
    ),
    _number("depth", "Layers", 20, 1, 30),
    _number("sigma", "Start scale", 0.1, 0.01, 1.0, steps=START_SCALES),
    _choice("residual", "Residual layers", "none | pre: Pre-norm | post: Post-norm"),
    _choice(
        *("measure", "Show"),
        "gradients | spread: Outputs | dead: Dead units | histogram: One layer's histogram",
        widget="select",
    ),
    _number("layer", "Layer", 10, 1, 30),
    # Why it works
    _choice(
        *("why", "View"),
        "shift: Covariate shift? | smooth: Smoothness | turn: Effective learning rate | "
        "deployed: In a deployed network",
    ),
    _choice("drift", "What moves", "mean: Mean | std: Standard deviation"),
    _choice(
        "rough",
        "Along the gradient",
        "range: Range of the loss | change: Change of the gradient | relative: Relative change",
    ),
    _choice("deepness", "Layers", "1 | 20", "20"),
    _row("rules", "Ways to descend", "many", ("sgd", "decay"), choices=why.RULES),
    _choice("ported", "Trained in batches of", "64 | 8 | 2"),
    _choice("exercise", "Exercise", TITLES, widget="select"),
    # Teach
    _choice("plan", "Plan", "45: 45 minutes | 90: 90 minutes | handout: Hand-out"),
)
