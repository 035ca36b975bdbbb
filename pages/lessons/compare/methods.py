"""The normalizations themselves, side by side."""

from __future__ import annotations

from dataclasses import replace

from streamlit.delta_generator import DeltaGenerator

from normlib.config import CHOICES, TrainConfig
from pages.components import controls, page
from pages.lab import comparison, sweeps, words
from pages.lessons.compare import side_by_side

QUESTION = "Same start, same batches: which method ends most accurate?"
OPTIONS = page.which("best", *controls.FOUR_METHODS, other="Another, or several level")
WAITS = True  # controls first
OFFERED = tuple(method for method in CHOICES["normalization"] if method != "tf_batch")


def show() -> None:
    side_by_side.show(draw_choice, wanted)


def draw_choice(place: DeltaGenerator) -> tuple[str, ...]:
    chosen = controls.get("methods")
    with place.popover(words.count(len(chosen), "method"), width="stretch", key="methods_choice"):
        controls.control("bigger")
        controls.control("rates")
        return controls.control("methods", choices=OFFERED)


def wanted() -> dict[str, TrainConfig]:
    """Series -> its training."""
    found = {m: controls.to_train_config(normalization=m) for m in controls.get("methods")}
    if controls.get("bigger"):
        larger = f"First kernel × {comparison.FIRST_KERNEL:g}"
        plain = controls.to_train_config(normalization="none")
        found[larger] = replace(plain, first_scale=comparison.FIRST_KERNEL)
    if controls.get("rates") == "best":
        best = sweeps.best_rates(controls.get("placement"))
        found = {
            name: replace(one, learning_rate=best.get(one.normalization, one.learning_rate))
            for name, one in found.items()
        }
    return found
