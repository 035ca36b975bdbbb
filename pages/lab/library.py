"""What a comparison with TensorFlow and Keras (`pages.lab.reference.compare`) says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pages.lab.words import number, rounded

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
    """`LayerNormalization (H, W, C)`: the library's name, and what of it has a name of its own."""
    part = _first(pair.library_settings)
    if "group" not in part:
        part = _first(pair.own_settings).removeprefix("over ")
    name = pair.library.removeprefix("keras ")
    return f"{name} ({part})" if part else name


def _first(settings: str) -> str:
    """The axes or groups of a side; nothing where its name says it all."""
    first = settings.split(", epsilon")[0]
    return first if first.startswith("over") or first.endswith(("group", "groups")) else ""


def different(pair: Comparison, quantity: str) -> list[str]:
    """The settings that differ between the sides and that this quantity depends on."""
    own, library = pair.own_settings, pair.library_settings
    found = []
    if quantity.startswith("moving"):
        found.append(_apart("momentum", *(_value(one, "momentum") for one in (own, library))))
        if quantity == "moving variance" and "unbiased" in library:
            found.append("n − 1 in place of n")
    elif quantity != "dbeta":
        sides = (_first(own).removeprefix("over "), _first(library).removeprefix("over "))
        if own.startswith("over") and library.startswith("over"):
            found.append(_apart("axes", *sides))
        found.append(_apart("epsilon", *(_value(one, "epsilon") for one in (own, library))))
    return [one for one in found if one]


def _value(settings: str, name: str) -> str:
    given = re.search(rf"{name} ([\w.-]+)", settings)
    return number(float(given[1])) if given else ""


def _apart(name: str, own: str, library: str) -> str:
    return f"{name} ({own} against {library})" if own != library else ""


def rows(pairs: Sequence[Comparison], quantity: str) -> list[dict[str, str | float]]:
    """label, series, value: this quantity's difference and both sides' errors, pair by pair."""
    series = ("Between the two", "Own ops' error", "Library's error")
    return [
        {"label": name, "series": one, "value": value}
        for _, name, *values in _sides(pairs, quantity)
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

    widest: the label of the pair that differs most; difference: by how much; own_error,
    library_error: of its sides in float32; different: the settings that differ in it. closer: in
    how many of the `count` pairs the own side is closer to float64; level: in how many neither is.
    """

    widest: str
    difference: float
    own_error: float
    library_error: float
    different: tuple[str, ...]
    closer: int
    level: int
    count: int

    @property
    def rounding(self) -> float:
        """How far apart two sides can be that have the same formula: both errors together."""
        return self.own_error + self.library_error


def found(pairs: Sequence[Comparison], quantity: str) -> Found:
    """The facts of one quantity; every quantity has a pair that has it."""
    sides = _sides(pairs, quantity)
    widest = max(sides, key=lambda one: one.difference)
    return Found(
        widest.label,
        widest.difference,
        widest.own_error,
        widest.library_error,
        tuple(different(widest.pair, quantity)),
        closer=sum(one.own_error < one.library_error for one in sides),
        level=sum(one.own_error == one.library_error for one in sides),
        count=len(sides),
    )


class _Sides(NamedTuple):
    """One quantity of one pair."""

    pair: Comparison
    label: str
    difference: float
    own_error: float
    library_error: float


def _sides(pairs: Sequence[Comparison], quantity: str) -> list[_Sides]:
    """The pairs that have the quantity."""
    sides = []
    for pair in pairs:
        weight_norm = {"dx": "dv", "dgamma": "dg"} if "dv" in pair.differences else {}
        name = weight_norm.get(quantity, quantity)
        if name in pair.differences:
            numbers = (pair.differences[name], pair.own_errors[name], pair.library_errors[name])
            sides.append(_Sides(pair, label(pair), *numbers))
    return sides
