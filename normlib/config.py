"""What a training is: the methods by name, and `TrainConfig`, which says everything else.

Nothing here needs TensorFlow, so a page can offer and check every setting while it still loads.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import normlib


@dataclass(frozen=True)
class Method:
    """One way to normalize, as it is named and written in the papers.

    `averages` says in words which numbers share one mean; `formula` is LaTeX.
    """

    name: str
    title: str
    averages: str
    formula: str


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("none", "No normalization", "nothing", r"z = x"),
        Method(
            "batch",
            "Batch norm",
            "all examples and positions of one channel",
            r"z = \gamma_c \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c",
        ),
        Method(
            "weight",
            "Weight norm",
            "no activations: the weights of one output channel share a length",
            r"w_c = g_c \frac{v_c}{\lVert v_c \rVert}",
        ),
        Method(
            "layer",
            "Layer norm",
            "all positions and channels of one example",
            r"z = \gamma \frac{x - \mu_n}{\sqrt{\sigma_n^2 + \epsilon}} + \beta",
        ),
        Method(
            "group",
            "Group norm",
            "all positions of one group of channels of one example",
            r"z = \gamma_c \frac{x - \mu_{n,g}}{\sqrt{\sigma_{n,g}^2 + \epsilon}} + \beta_c",
        ),
        Method(
            "instance",
            "Instance norm",
            "all positions of one channel of one example",
            r"z = \gamma_c \frac{x - \mu_{n,c}}{\sqrt{\sigma_{n,c}^2 + \epsilon}} + \beta_c",
        ),
        Method(
            "rms",
            "RMS norm",
            "as layer norm, but the mean is not subtracted",
            r"z = \gamma \frac{x}{\sqrt{\overline{x^2}_n + \epsilon}}",
        ),
        Method(
            "tf_batch",
            "TensorFlow's batch norm",
            "all examples and positions of one channel",
            r"z = \gamma_c \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c",
        ),
    )
}

CHOICES: dict[str, tuple[str, ...]] = {
    "normalization": tuple(METHODS),
    "placement": ("conv", "conv and dense"),
    "weight_norm_start": ("norm", "one", "data", "constant"),
    "inference_statistics": ("moving", "batch"),
    "position": ("before ReLU", "after ReLU"),
}

# name -> (smallest, largest); whole numbers where the field is an int
LIMITS: dict[str, tuple[float, float]] = {
    "batch_size": (1, 1024),
    "learning_rate": (1e-6, 100.0),
    "epsilon": (0.0, 10.0),
    "momentum": (0.0, 1.0),
    "epochs": (1, 50),
    "hidden_units": (1, 1000),
    "train_size": (1, 55_000),
    "seed": (0, 2**31 - 1),
    "ghost_batches": (1, 64),
    "groups": (1, 30),
}

# What each setting is, in a few words.
MEANINGS: dict[str, str] = {
    "normalization": "which method",
    "placement": "which layers are normalized",
    "batch_size": "images per step",
    "learning_rate": "of plain SGD",
    "epsilon": "added to the variance, inside the root",
    "momentum": "of the moving statistics, Keras's way round",
    "epochs": "passes over the images",
    "hidden_units": "width of the dense layer",
    "train_size": "images to train on",
    "weight_norm_start": "where g starts",
    "seed": "of weights and batch order",
    "learn_scale_shift": "train gamma and beta",
    "inference_statistics": "what batch norm uses in evaluation",
    "center": "subtract the mean",
    "scale": "divide by the root",
    "position": "normalize before or after ReLU",
    "ghost_batches": "parts of a batch with statistics of their own",
    "groups": "of channels, for group norm",
}

CONV_FILTERS = 30

# What `SmallCNN.forward` returns, in the order of the network.
STAGES = (
    "conv",
    "conv_normalized",
    "conv_relu",
    "pooled",
    "hidden",
    "hidden_normalized",
    "hidden_relu",
    "logits",
)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training, apart from the data.

    Two equal configs on equal data give equal numbers, to the last bit.
    An impossible value is refused with a `ValueError` that says, in one sentence, what is possible.

    Each field has its `MEANINGS`; beyond them:
    placement: "conv" normalizes the convolution only, "conv and dense" the hidden layer too
        (weight norm: the kernels of the convolution only, or of all three layers).
    train_size: taken from the start of the training set, or all where it holds fewer.
    momentum: moving = momentum * moving + (1 - momentum) * batch.
    weight_norm_start: "norm" g = ||v||, nothing changes at the start; "one" g = 1;
        "data" the paper's start from the first batch; "constant" v = g = 1 over the whole
        kernel, never trained: the mistake behind the report's weight-norm column.
    learn_scale_shift: False keeps gamma = 1 and beta = 0.
    inference_statistics: what batch norm uses in evaluation, its "moving" statistics or those of
        the evaluated "batch" (of 500 images).
    ghost_batches: batch norm only (Hoffer, Hubara and Soudry, 2017, arXiv:1705.08741).
    """

    normalization: str = "batch"
    placement: str = "conv"
    batch_size: int = 64
    learning_rate: float = 0.01
    epsilon: float = 1e-5
    momentum: float = 0.9
    epochs: int = 4
    hidden_units: int = 100
    train_size: int = 55_000
    weight_norm_start: str = "norm"
    seed: int = 0
    learn_scale_shift: bool = True
    inference_statistics: str = "moving"
    center: bool = True
    scale: bool = True
    position: str = "before ReLU"
    ghost_batches: int = 1
    groups: int = 5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, _checked(field.name, str(field.type), value))
        if self.batch_size % self.ghost_batches:
            raise ValueError(
                f"ghost_batches must divide the batch: {self.batch_size} images cannot be split "
                f"into {self.ghost_batches} equal parts."
            )
        for units in (CONV_FILTERS, *self._dense_units()):
            if self.normalization == "group" and units % self.groups:
                raise ValueError(
                    f"groups must divide the channels: {units} channels cannot be split into "
                    f"{self.groups} equal groups."
                )
        if self.normalization == "instance" and self.placement != "conv":
            raise ValueError(
                "Instance norm averages over positions, and the dense layer has none: "
                "place it on the convolution only."
            )

    def _dense_units(self) -> tuple[int, ...]:
        return () if self.placement == "conv" else (self.hidden_units,)

    def to_json(self) -> str:
        """The canonical text: one line, keys sorted, the same for equal configs."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The config with these values; a name it does not know is a `ValueError`."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"A training has no setting called {', '.join(unknown)}.")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """The config that `to_json` wrote."""
        return cls.from_dict(json.loads(text))

    def key(self, data_checksum: str) -> str:
        """Names the run of this config on this data with this version of normlib (32 hex digits).

        The settings that the chosen method never reads do not count, so that one question has
        one run however its idle controls stand.
        """
        canonical = self.only_used().to_json()
        text = "\n".join((canonical, data_checksum, normlib.__version__))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def only_used(self) -> TrainConfig:
        """The same training with every setting that it never reads at its default."""
        defaults = asdict(TrainConfig())
        idle = {name for name in defaults if not reads(self.normalization, name)}
        if not self.scale and "scale" not in idle:
            idle.add("epsilon")  # it stands under the root, which nothing is divided by
        return replace(self, **{name: defaults[name] for name in idle})


def reads(method: str, setting: str) -> bool:
    """Whether a training by this method depends on this field of `TrainConfig`."""
    return method in _READ_BY.get(setting, METHODS)


_ON_ACTIVATIONS = frozenset(METHODS) - {"none", "weight"}
_READ_BY: dict[str, frozenset[str]] = {
    "epsilon": _ON_ACTIVATIONS,
    "learn_scale_shift": _ON_ACTIVATIONS,
    "position": _ON_ACTIVATIONS,
    "center": _ON_ACTIVATIONS - {"rms", "tf_batch"},
    "scale": _ON_ACTIVATIONS - {"tf_batch"},
    "placement": _ON_ACTIVATIONS | {"weight"},
    "momentum": frozenset({"batch", "tf_batch"}),
    "inference_statistics": frozenset({"batch", "tf_batch"}),
    "ghost_batches": frozenset({"batch"}),
    "groups": frozenset({"group"}),
    "weight_norm_start": frozenset({"weight"}),
}


def _checked(name: str, kind: str, value: object) -> object:
    """The value in its field's own type, or a `ValueError` that says what would do."""
    if kind == "bool":
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, not {value!r}.")
        return value
    if kind == "str":
        if value not in CHOICES[name]:
            raise ValueError(f"{name} must be one of {', '.join(CHOICES[name])}, not {value!r}.")
        return value
    low, high = LIMITS[name]
    sentence = f"{name} must be a number from {low:,g} to {high:,g}, not {value!r}."
    if kind == "int":
        low, high = int(low), int(high)
        sentence = f"{name} must be a whole number from {low:,} to {high:,}, not {value!r}."
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(sentence) from None
    whole = kind != "int" or (math.isfinite(number) and number == int(number))
    if isinstance(value, bool | str) or not whole or not low <= number <= high:
        raise ValueError(sentence)
    return int(number) if kind == "int" else number
