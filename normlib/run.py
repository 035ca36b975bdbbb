"""A training run as plain data: what it reports while it goes, and what is left when it ends."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from normlib.config import TrainConfig


@dataclass(frozen=True)
class EpochResult:
    """What one pass over the training images gave.

    report_loss is the report's: the sum of the batch means over the number of images, that is
    the mean loss over the batch size.  train_loss is the mean loss of a batch.
    validation_accuracy is 0..1, seconds are those of this epoch alone, and epoch counts from 1.
    """

    epoch: int
    report_loss: float
    train_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Started:
    """The first event of a run: how many steps it will take at most."""

    steps: int
    steps_per_epoch: int


@dataclass(frozen=True)
class Progress:
    """What is new since the last event, after `step` of `steps` steps.

    losses and accuracies (0..1, of each step's own batch) hold one value per new step;
    recorded holds, for each name, a list of the new rows (one row, as a rule), so that a watcher
    extends its lists by them.  seconds count from the start of the run.
    """

    step: int
    steps: int
    losses: list[float]
    accuracies: list[float]
    seconds: float
    images_per_second: float
    recorded: dict[str, list] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochEnd:
    """An epoch is over and its model has met the validation images."""

    result: EpochResult


Event = Started | Progress | EpochEnd


@dataclass(frozen=True, eq=False)
class Run:
    """The result of one training: everything a picture, a table or a file needs.

    losses has one value per step; test_accuracy is 0..1, or None where the run ended early;
    recorded maps a name to its rows; predictions is uint8 (test images,), or None; weights has
    one {name: array} per finished epoch, empty where they were too large to keep.  message is a
    sentence, empty for a finished run.  state: of a stopped one, the arrays that it goes on from.
    """

    config: TrainConfig
    data_name: str
    data_checksum: str
    status: Literal["finished", "stopped", "diverged"]
    message: str = ""
    losses: list[float] = field(default_factory=list)
    epochs: list[EpochResult] = field(default_factory=list)
    test_accuracy: float | None = None
    seconds: float = 0.0
    images_per_second: float = 0.0
    recorded: dict[str, list] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    predictions: np.ndarray | None = None
    weights: list[dict[str, np.ndarray]] = field(default_factory=list)
    state: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of the question this run answers: its config, its data, normlib's version."""
        return self.config.key(self.data_checksum)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, ready for `json.dumps(..., allow_nan=False)`.

        JSON has no infinities, so "nan", "inf" and "-inf" stand for them: a run that diverged
        keeps its last losses, and every reader of JSON can open it.
        """
        plain = {name: value for name, value in vars(self).items() if name not in _APART}
        data = {"name": self.data_name, "checksum": self.data_checksum}
        text = json.dumps({"config": self.config, "data": data, **plain}, default=_plain)
        return json.loads(text, parse_constant=lambda constant: str(float(constant)))

    def arrays(self) -> dict[str, np.ndarray]:
        """By flat names: "predictions", "weights/<epoch from 0>/<name>" and "state/<name>"."""
        named = {} if self.predictions is None else {"predictions": self.predictions}
        named |= {f"state/{name}": array for name, array in self.state.items()}
        for index, weights in enumerate(self.weights):
            named |= {f"weights/{index}/{name}": array for name, array in weights.items()}
        return named

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> "Run":
        """The run that `to_dict` and `arrays` took apart; ValueError or KeyError if it is none."""
        arrays = arrays or {}
        weights: dict[int, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            if name.startswith("weights/"):
                _, index, rest = name.split("/", 2)
                weights.setdefault(int(index), {})[rest] = array
        given = {"message": "", **data}
        found = {name: _numbers(given[name]) for name in cls.__annotations__.keys() - _APART}
        found["epochs"] = [EpochResult(**result) for result in found["epochs"]]
        return cls(
            config=TrainConfig.from_dict(data["config"]),
            data_name=data["data"]["name"],
            data_checksum=data["data"]["checksum"],
            predictions=arrays.get("predictions"),
            weights=[weights.get(index, {}) for index in range(max(weights, default=-1) + 1)],
            state={
                name.removeprefix("state/"): array
                for name, array in arrays.items()
                if name.startswith("state/")
            },
            **found,
        )


# The fields of `Run` that its JSON has under other names, or not at all.
_APART = {"config", "data_name", "data_checksum", "predictions", "weights", "state"}


def _plain(value: Any) -> Any:
    """What JSON knows, of a dataclass or of NumPy's types."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else vars(value)


def _numbers(value: Any) -> Any:
    """The numbers again where words stood for them."""
    if isinstance(value, Mapping):
        return {name: _numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return float(value) if value in ("nan", "inf", "-inf") else value
