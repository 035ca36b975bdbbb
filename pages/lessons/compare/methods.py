"""The normalizations themselves, side by side."""

from __future__ import annotations

from streamlit.delta_generator import DeltaGenerator

from normlib.config import CHOICES, TrainConfig
from pages.components import controls
from pages.lab import words
from pages.lessons.compare import side_by_side

QUESTION = "Same start, same batches: which loss falls fastest, which method ends most accurate?"
WAITS = True  # controls first
OFFERED = tuple(method for method in CHOICES["normalization"] if method != "tf_batch")


def show() -> None:
    side_by_side.show(draw_choice, wanted)


def draw_choice(place: DeltaGenerator) -> tuple[str, ...]:
    chosen = controls.get("methods")
    with place.popover(words.count(len(chosen), "method"), width="stretch", key="methods_choice"):
        return controls.control("methods", choices=OFFERED)


def wanted() -> dict[str, TrainConfig]:
    """Series -> its training."""
    return {m: controls.to_train_config(normalization=m) for m in controls.get("methods")}
