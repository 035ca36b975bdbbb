"""What a comparison with TensorFlow and Keras (`pages.lab.reference.compare`) says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pages.lab.words import rounded

if TYPE_CHECKING:
    from pages.lab.reference import Comparison


def compare(images: np.ndarray | None, batch: int, seed: int, **options: Any) -> list[Comparison]:
    """`reference.compare` on the convolution of these images, or on so many random ones."""
    from normlib.cnn import SmallCNN
    from normlib.config import TrainConfig
    from pages.lab import reference

    net = SmallCNN(TrainConfig(normalization="none", seed=seed))
    if images is None:
        x = np.random.default_rng(seed).standard_normal((batch, 28, 28, 30))
    else:
        x = net.forward(images[:batch], training=False)["conv"]
    return reference.compare(x, net.conv_kernel(), seed=seed, **options)


def label(pair: Comparison) -> str:
    """`layer norm · keras LayerNormalization (over C)`."""
    where = pair.own_settings.split(", epsilon")[0]
    names = f"{pair.own} · {pair.library}"
    return f"{names} ({where})" if where.startswith("over") else names


def rows(pairs: Sequence[Comparison], quantity: str) -> list[dict[str, str | float]]:
    """label, series, value: this quantity's difference and both sides' errors, pair by pair."""
    series = ("between the two", "own ops' error", "library's error")
    return [
        {"label": name, "series": one, "value": value}
        for name, *values in _sides(pairs, quantity)
        for one, value in zip(series, values, strict=True)
    ]


def every_row(pairs: Sequence[Comparison]) -> list[dict[str, str]]:
    """Every quantity of every pair as text, with the milliseconds."""
    table = []
    for pair in pairs:
        row = {
            "own": pair.own,
            "own settings": pair.own_settings,
            "library": pair.library,
            "library's settings": pair.library_settings,
            "own ms": f"{pair.own_milliseconds:.1f}",
            "library's ms": f"{pair.library_milliseconds:.1f}",
        }
        for name, difference in pair.differences.items():
            row[name] = rounded(difference, 2)
            row[f"{name}: own error"] = rounded(pair.own_errors[name], 2)
            row[f"{name}: library's error"] = rounded(pair.library_errors[name], 2)
        table.append(row)
    return table


@dataclass(frozen=True)
class Found:
    """What the pairs say of one quantity.

    widest: the label of the pair that differs most; difference: by how much. rounding: the largest
    error of any side in float32. closer: in how many of the `count` pairs the own side is closer to
    float64; level: in how many neither is.
    """

    widest: str
    difference: float
    rounding: float
    closer: int
    level: int
    count: int


def found(pairs: Sequence[Comparison], quantity: str) -> Found:
    """The facts of one quantity; every quantity has a pair that has it."""
    sides = _sides(pairs, quantity)
    widest, difference, *_ = max(sides, key=lambda one: one[1])
    return Found(
        widest,
        difference,
        rounding=max(max(own, library) for _, _, own, library in sides),
        closer=sum(own < library for _, _, own, library in sides),
        level=sum(own == library for _, _, own, library in sides),
        count=len(sides),
    )


def _sides(pairs: Sequence[Comparison], quantity: str) -> list[tuple[str, float, float, float]]:
    """(label, difference, own error, library's error) of the pairs that have the quantity."""
    sides = []
    for pair in pairs:
        weight_norm = {"dx": "dv", "dgamma": "dg"} if "dv" in pair.differences else {}
        name = weight_norm.get(quantity, quantity)
        if name in pair.differences:
            errors = (pair.own_errors[name], pair.library_errors[name])
            sides.append((label(pair), pair.differences[name], *errors))
    return sides
