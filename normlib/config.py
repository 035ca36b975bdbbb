"""What a training is: the methods by name, and `TrainConfig`, which says everything else.

Nothing here needs TensorFlow, so a page can offer and check every setting while it still loads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

import normlib


class Method(NamedTuple):
    """One way to normalize: its name in a config, and as a heading has it."""

    name: str
    title: str


METHODS: dict[str, Method] = {
    name: Method(name, title)
    for name, title in (
        ("none", "No normalization"),
        ("batch", "Batch norm"),
        ("weight", "Weight norm"),
        ("layer", "Layer norm"),
        ("group", "Group norm"),
        ("instance", "Instance norm"),
        ("rms", "RMS norm"),
        ("tf_batch", "TensorFlow's batch norm"),
    )
}
CONV_FILTERS = 30
PIXELS = 28 * 28  # of an image, and of each channel of the convolution
# Settings that came after runs had been kept: at their defaults they leave a run its name.
_ADDED = ("start_scale", "first_scale", "depth", "residual")

_BATCH = {"batch", "tf_batch"}
_ACTIVATIONS = set(METHODS) - {"none", "weight"}


def _setting(default, allowed, meaning: str, read_by: Collection[str] = frozenset(METHODS)) -> Any:
    """A field of `TrainConfig`.

    allowed: the choices of a text, the smallest and the largest of a number. read_by: the methods
    whose trainings depend on it.
    """
    about = {"allowed": allowed, "meaning": meaning, "read_by": read_by}
    return field(default=default, metadata=about)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training, apart from the data.

    Two equal configs on equal data give equal numbers, to the last bit.
    An impossible value is refused with a `ValueError` that says, in one sentence, what is possible.

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
    depth: 0 trains the small CNN; otherwise so many dense layers of `hidden_units` (`DeepMLP`).
    ghost_batches: batch norm only (Hoffer, Hubara and Soudry, 2017, arXiv:1705.08741).
    """

    normalization: str = _setting("batch", tuple(METHODS), "which method")
    placement: str = _setting(
        "conv", ("conv", "conv and dense"), "which layers are normalized", _ACTIVATIONS | {"weight"}
    )
    batch_size: int = _setting(64, (1, 1024), "images per step")
    learning_rate: float = _setting(0.01, (1e-6, 100.0), "of plain SGD")
    epsilon: float = _setting(
        1e-5, (0.0, 10.0), "added to the variance, inside the root", _ACTIVATIONS
    )
    momentum: float = _setting(
        0.9, (0.0, 1.0), "of the moving statistics, Keras's way round", _BATCH
    )
    epochs: int = _setting(4, (1, 50), "passes over the images")
    hidden_units: int = _setting(100, (1, 1000), "width of the dense layer")
    train_size: int = _setting(55_000, (1, 55_000), "images to train on")
    weight_norm_start: str = _setting(
        "norm", ("norm", "one", "data", "constant"), "where g starts", {"weight"}
    )
    seed: int = _setting(0, (0, 2**31 - 1), "of weights and batch order")
    start_scale: float = _setting(0.1, (0.001, 1.0), "standard deviation of the first weights")
    first_scale: float = _setting(1.0, (0.01, 100.0), "factor on the first layer's first weights")
    depth: int = _setting(0, (0, 30), "dense layers of a deep network; 0: the small CNN")
    residual: str = _setting(
        "none", ("none", "pre", "post"), "where a deep network's residual layers normalize"
    )
    learn_scale_shift: bool = _setting(True, None, "train gamma and beta", _ACTIVATIONS)
    inference_statistics: str = _setting(
        "moving", ("moving", "batch"), "what batch norm uses in evaluation", _BATCH
    )
    center: bool = _setting(True, None, "subtract the mean", _ACTIVATIONS - {"rms", "tf_batch"})
    scale: bool = _setting(True, None, "divide by the root", _ACTIVATIONS - {"tf_batch"})
    position: str = _setting(
        "before ReLU", ("before ReLU", "after ReLU"), "normalize before or after ReLU", _ACTIVATIONS
    )
    ghost_batches: int = _setting(
        1, (1, 64), "parts of a batch with statistics of their own", {"batch"}
    )
    groups: int = _setting(5, (1, 30), "of channels, for group norm", {"group"})

    def __post_init__(self) -> None:
        for setting in fields(self):
            object.__setattr__(self, setting.name, _checked(setting, getattr(self, setting.name)))
        if self.batch_size % self.ghost_batches:
            raise ValueError(
                f"ghost_batches must divide the batch: {self.batch_size} images cannot be split "
                f"into {self.ghost_batches} equal parts."
            )
        everywhere = self.placement != "conv" or self.depth > 0
        for units in (CONV_FILTERS, self.hidden_units)[self.depth > 0 : 1 + everywhere]:
            if self.normalization == "group" and units % self.groups:
                raise ValueError(
                    f"groups must divide the channels: {units} channels cannot be split into "
                    f"{self.groups} equal groups."
                )
        if self.normalization == "instance" and everywhere:
            raise ValueError(
                "Instance norm averages over positions, and a dense layer has none: "
                "place it on the convolution only."
            )

    def to_json(self) -> str:
        """The canonical text: one line, keys sorted, the same for equal configs."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The config with these values; a name it does not know is a `ValueError`."""
        if unknown := sorted(set(values) - SETTINGS.keys()):
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
        settings = asdict(self.only_used())
        for name in _ADDED:
            if settings[name] == SETTINGS[name].default:
                del settings[name]
        told = json.dumps(settings, sort_keys=True)
        text = "\n".join((told, data_checksum, normlib.__version__))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def only_used(self) -> TrainConfig:
        """The same training with every setting that it never reads at its default."""
        idle = {name for name in SETTINGS if not reads(self.normalization, name)}
        if not self.scale and "scale" not in idle:
            idle.add("epsilon")  # it stands under the root, which nothing is divided by
        # A deep network has no convolution, and its ReLU comes last.
        idle |= {"placement", "position"} if self.depth else {"residual"}
        defaults: dict[str, Any] = {name: SETTINGS[name].default for name in idle}
        return replace(self, **defaults)


SETTINGS: dict[str, Field] = {setting.name: setting for setting in fields(TrainConfig)}
CHOICES: dict[str, tuple[str, ...]] = {
    name: setting.metadata["allowed"] for name, setting in SETTINGS.items() if setting.type == "str"
}
# name -> (smallest, largest); whole numbers where the field is an int
LIMITS: dict[str, tuple[float, float]] = {
    name: setting.metadata["allowed"]
    for name, setting in SETTINGS.items()
    if setting.type in ("int", "float")
}


def reads(method: str, setting: str) -> bool:
    """Whether a training by this method depends on this field of `TrainConfig`."""
    return setting not in SETTINGS or method in SETTINGS[setting].metadata["read_by"]


def _checked(setting: Field, value: Any) -> Any:
    """The value in its field's own type, or a `ValueError` that says what would do."""
    allowed, possible = setting.metadata["allowed"], "true or false"
    if setting.type == "bool":
        fits = isinstance(value, bool)
    elif setting.type == "str":
        fits, possible = value in allowed, f"one of {', '.join(allowed)}"
    else:
        whole, (low, high) = setting.type == "int", allowed
        limits = f"{low:,} to {high:,}" if whole else f"{low:,g} to {high:,g}"
        possible = f"a {'whole ' * whole}number from {limits}"
        try:
            number = int(value) if whole else float(value)
            fits = low <= number <= high and not isinstance(value, bool | str)
            fits = fits and (not whole or number == value)
        except (TypeError, ValueError, OverflowError):
            fits = False
    if not fits:
        raise ValueError(f"{setting.name} must be {possible}, not {value!r}.")
    return value if allowed is None or isinstance(value, str) else number
