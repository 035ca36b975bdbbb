"""The spread of activations and of gradients, layer by layer, before any training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from normlib.config import METHODS, TrainConfig
from pages.components import charts, controls, page, server, source, turns
from pages.components.charts import Chart
from pages.lab import depth, words
from pages.lab.depth import Signal

if TYPE_CHECKING:
    import pandas as pd

OPTIONS = page.within(
    "passed",
    {0.1: "It vanishes: less than a tenth", 10: "It keeps its size"},
    "It explodes: ten times or more",
)
ENDS = (1e-9, 1e3)  # of both axes, at any depth and any start scale
THEORY = "Theory, no normalization"


def QUESTION() -> str:
    layers = words.count(controls.get("depth"), "layer")
    return f"{layers}, no training yet: what becomes of the signal without normalization?"


@st.cache_resource(max_entries=512, show_spinner=False)
def measured(config: TrainConfig, checksum: str) -> Signal:
    return depth.signal(config, server.data())


def show() -> None:
    with page.control_box():
        layers, scale, residual = page.control_row("depth", "sigma", "residual")
    place = st.container()
    with page.control_box("more"), page.more_settings():
        first, second = st.columns([3, 1])
        with first:
            chosen = page.methods_control()
        seed = controls.control("seed", second)
    config = TrainConfig(
        normalization="none", depth=layers, start_scale=scale, residual=residual, seed=seed
    )
    methods = [one for one in chosen if one != "instance"]  # a dense layer has no positions
    with turns.let_others():
        found = {
            method: measured(replace(config, normalization=method), server.data().checksum)
            for method in methods
        }
    with place:
        if not found:
            with page.picture():
                charts.get_ready()
            return
        charts.show(
            chart(found, config),
            f"Root mean square of what each layer gives, and of the gradient there · "
            f"{depth.IMAGES} digits · {config.hidden_units} units a layer · first weights "
            f"N(0, {words.number(scale)}²) · seed {seed}",
            "signal",
            main=True,
        )
        passed = found["none"].passed if "none" in found else None
        page.answer(answer(found, config), table=table(found, config), passed=passed)
    from normlib.deep import DeepMLP

    source.show_source(
        DeepMLP.forward,
        depth.signal,
        formula=r"\text{without normalization, per layer:}\quad \sqrt{\tfrac{n\,\sigma^2}{2}}",
    )


def chart(found: Mapping[str, Signal], config: TrainConfig) -> Chart:
    """Two panels over the layers; a dotted line where theory puts a network without
    normalization."""
    spread = {name: (one.outputs, one.gradients) for name, one in found.items()}
    if config.residual == "none" and "none" in found:
        spread[THEORY] = depth.theory(found["none"], config)
    panels: list[tuple[dict[str, Any], pd.DataFrame]] = []
    tables = []
    for at, title in enumerate(("Activations", "Gradients")):
        rows = charts.frame(
            [
                {"method": name, "layer": layer, title.lower(): value}
                for name, both in spread.items()
                for layer, value in enumerate(both[at], start=1)
            ]
        )
        tables.append(rows)
        drawn = charts.curves(
            *(rows, "layer", title.lower(), "Layer", f"{title}, root mean square"),
            log=True,
            points=True,
            y_range=ENDS,
            x_range=(1, max(2, config.depth)),
        )
        panels += drawn.panels
    table = tables[0].merge(tables[1], on=["method", "layer"])
    summary = f"Layers 1 to {config.depth}: {words.listed(map(words.title, spread))}."
    return charts.tall(Chart(tuple(panels), summary, table))


def table(found: Mapping[str, Signal], config: TrainConfig) -> list[dict[str, str]]:
    """The factor from layer to layer, of each method and in theory."""
    factors = {METHODS[name].title: one.per_layer for name, one in found.items()}
    if config.residual == "none" and "none" in found:
        factors[THEORY] = (depth.factor(config),) * 2
    return [
        {"Per layer": name, "Activations": f"× {words.rounded(up, 3)}"}
        | {"Gradients, on the way back": f"× {words.rounded(down, 3)}"}
        | {f"Activations, layer 1 to {config.depth}": words.rounded(up ** (config.depth - 1), 2)}
        for name, (up, down) in factors.items()
    ]


def answer(found: Mapping[str, Signal], config: TrainConfig) -> str:
    told = []
    for method, one in found.items():
        up, down = one.per_layer
        told.append(
            f"{METHODS[method].title}: activations × {words.rounded(up, 3)} per layer, gradients "
            f"× {words.rounded(down, 3)} on the way back"
        )
    sentences = [f"{'; '.join(told)}."]
    if config.residual == "none" and "none" in found:
        factor = depth.factor(config)
        sentences.append(
            f"Theory without normalization: √(n σ²/2) = {words.rounded(factor, 3)} per layer, both "
            f"ways; over {config.depth} layers {words.rounded(factor ** (config.depth - 1), 2)}."
        )
    elif config.residual != "none":
        sentences.append("A residual layer adds to what it gets, which therefore passes unchanged.")
    return " ".join(sentences)
