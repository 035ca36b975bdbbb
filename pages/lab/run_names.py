"""How a training is called by its settings, and what Compare's surgery changes in them."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from normlib.config import TrainConfig, reads
from pages.lab import words

SURGERY = {
    "center": "Center only",
    "scale": "Scale only",
    "fixed": "No gamma and beta",
    "after": "After ReLU",
    "ghost": "4 ghost batches",
}
_SURGERY: dict[str, dict[str, Any]] = {
    "center": {"center": True, "scale": False},
    "scale": {"center": False, "scale": True},
    "fixed": {"learn_scale_shift": False},
    "after": {"position": "after ReLU"},
    "ghost": {"ghost_batches": 4},
}


def surgery(config: TrainConfig, change: str) -> TrainConfig:
    """The same training with one change; ValueError where it does not go with the settings.

    change: "center", "scale" (only that half of normalizing), "fixed" (no gamma, no beta),
    "after" (the other side of ReLU), "ghost" (each batch in four parts).
    """
    return replace(config, **_SURGERY[change])


# In words, how a setting is called in the name of a curve; `{}` is its value.
_SETTINGS: dict[str, str | dict[Any, str]] = {
    "batch_size": "batch {}",
    "learning_rate": "learning rate {:g}",
    "epsilon": "epsilon {}",
    "momentum": "momentum {:g}",
    "epochs": "{}",
    "hidden_units": "{} hidden units",
    "start_scale": "start scale {:g}",
    "first_scale": "first kernel × {:g}",
    "depth": "{} layers",
    "residual": {
        "none": "not residual",
        "pre": "residual, pre-norm",
        "post": "residual, post-norm",
    },
    "train_size": "{:,} images",
    "seed": "seed {}",
    "ghost_batches": "{} ghost batches",
    "groups": "{} groups",
    "weight_norm_start": "start: {}",
    "placement": {"conv": "convolution only", "conv and dense": "dense layer too"},
    "learn_scale_shift": {True: "gamma and beta learned", False: "no gamma and beta"},
    "inference_statistics": {"moving": "moving statistics", "batch": "the test batch's own"},
    "position": {"before ReLU": "before ReLU", "after ReLU": "after ReLU"},
}
_SHOWN = {"epsilon": words.number, "epochs": lambda epochs: words.count(epochs, "epoch")}
_HALVES = {
    (True, True): "centered and scaled",
    (True, False): "center only",
    (False, True): "scale only",
    (False, False): "neither centered nor scaled",
}


def describe(config: TrainConfig, base: TrainConfig | None = None) -> str:
    """The name of a curve: its method, and each setting that is not that of `base`.

    base: the default settings with as many images and epochs, unless given.
    """
    base = base or TrainConfig(train_size=config.train_size, epochs=config.epochs)
    name = [words.title(config.normalization)]
    method = config.normalization
    for field, value in asdict(config).items():
        if field in _SETTINGS and reads(method, field) and value != getattr(base, field):
            told = _SETTINGS[field]
            shown = _SHOWN[field](value) if field in _SHOWN else value
            name.append(told.format(shown) if isinstance(told, str) else told[value])
    halves = (config.center, config.scale)
    if reads(method, "center") and halves != (base.center, base.scale):
        name.append(_HALVES[halves])
    return ", ".join(name)
