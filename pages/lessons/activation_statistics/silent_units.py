"""Units that are 0 for the whole batch, and which of these are dead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import activations
from pages.components.activations import Origin
from pages.lab.words import title

if TYPE_CHECKING:
    from pages.lab.activations import Summary


def show(silent: Mapping[str, tuple[int, int, int]], unit: str) -> None:
    """silent: by method, how many units are off, how many of these are dead, and of how many."""
    for column, (method, (off, dead, of)) in zip(
        st.columns(len(silent)), silent.items(), strict=True
    ):
        column.metric(
            title(method),
            f"{off} of {of}",
            delta=f"{unit}s off, {dead} of them dead",
            delta_color="off",
            delta_arrow="off",
            help=f"After ReLU these {unit}s are 0 for every digit of this batch; the dead ones "
            f"also for {activations.PROBE_IMAGES} other digits, the same ones for every batch.",
        )


def count(relu: Summary, origin: Origin, method: str, epsilon: float) -> tuple[int, int, int]:
    """How many are 0 for the whole batch, how many of these for the probe images too, and of how
    many."""
    off = relu.dead
    dead = off & activations.dead(origin._replace(batch=0), method, epsilon) if off.any() else off
    return int(off.sum()), int(dead.sum()), len(off)
