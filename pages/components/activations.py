"""What the lessons on activations share: controls, one batch of digits, its weights, the code."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from normlib.config import TrainConfig
from pages.components import charts, controls, image_grids, page, server, source
from pages.lab.latex import FORMULAS
from pages.lab.run_names import describe
from pages.lab.words import percent, title

if TYPE_CHECKING:
    import pandas as pd

    from normlib.run import Run
    from pages.lab.activations import Network, Summary, Tensor

MOST_IMAGES = int(page.PAGES["activations"].limits["batch"])
DIGITS, DIGITS_PER_PICTURE = 32, 8
START_IMAGES = 500  # that decide weight norm's data-dependent start, as in a training
PROBE_IMAGES = 128  # of the validation set: what is 0 for each of these is dead
FRESH = "Fresh: the first weights of this seed"


class Origin(NamedTuple):
    """Where x comes from: everything that decides it, but for the method and epsilon."""

    data: str  # checksum
    seed: int
    batch: int
    layer: str  # "conv" or "hidden"
    weights: str  # "fresh", or a run's key and an epoch: "0f3a…@4"
    start: str = "norm"  # of weight norm on fresh weights: "norm", or "data" by the first images

    @property
    def unit(self) -> str:
        """What this layer has many of."""
        return "channel" if self.layer == "conv" else "unit"


# ---- the numbers -----------------------------------------------------------------------------


def look(origin: Origin, method: str, epsilon: float) -> dict[str, Summary]:
    """What the method makes of the batch: "before", "normalized" and "relu", summed up."""
    from pages.lab import activations

    x, before = _inputs(origin, method, epsilon)
    steps = activations.steps(network(origin, method), origin.layer, method, x, epsilon)
    return activations.summaries(steps, before)


@st.cache_resource(max_entries=128, show_spinner=False)
def dead(origin: Origin, method: str, epsilon: float) -> np.ndarray:
    """Which channels or units are 0 for all probe images: (C,) bool, whatever the batch is."""
    from pages.lab import activations

    net = network(origin, method)
    x = activations.convolve(
        net, server.data_with(origin.data).validation_images[:PROBE_IMAGES], method
    )
    if origin.layer == "hidden":
        x = activations.hidden(net, method, x, epsilon)
    return activations.never_on(activations.steps(net, origin.layer, method, x, epsilon)["relu"])


def channel_table(origin: Origin, method: str, epsilon: float) -> pd.DataFrame:
    """Every statistic of every channel at each step."""
    from pages.lab import activations

    x, _ = _inputs(origin, method, epsilon)
    steps = activations.steps(network(origin, method), origin.layer, method, x, epsilon)
    return activations.channel_table(steps)


@st.cache_resource(max_entries=256, show_spinner=False)
def variances(origin: Origin, method: str, epsilon: float) -> np.ndarray:
    """What stands under the method's roots, (n,); empty where it has none."""
    from pages.lab import activations

    if not activations.divides(network(origin), origin.layer, method):
        return np.zeros(0)
    return activations.variances(network(origin), method, _inputs(origin, method, epsilon)[0])


def plain_layer(origin: Origin) -> tuple[np.ndarray, Tensor, int]:
    """What the layer gets where nothing is normalized, its kernel, and the groups of group norm."""
    from pages.lab import activations

    plain, x, part = network(origin), images(origin) / 255, "conv"
    if origin.layer == "hidden":
        conv, _ = _convolved(origin._replace(layer="conv"), False)
        x, part = activations.flattened(plain, "none", conv, 0.0).numpy(), "dense"
    return x, activations.kernel(plain, part, "none"), plain.config.groups


def _inputs(origin: Origin, method: str, epsilon: float) -> tuple[Tensor, Summary]:
    """x of the layer, and its summary."""
    from pages.lab import activations

    x, before = _convolved(origin._replace(layer="conv"), method == "weight")
    if origin.layer == "hidden":
        x = activations.hidden(network(origin, method), method, x, epsilon)
        before = activations.summarize(x.numpy())
    return x, before


@st.cache_resource(max_entries=8, show_spinner=False)  # at most 12 MB each
def _convolved(origin: Origin, rebuilt: bool) -> tuple[Tensor, Summary]:
    """x of the convolution: one for all methods, but for the one that rebuilds the kernel."""
    from pages.lab import activations

    method = "weight" if rebuilt else "none"
    x = activations.convolve(network(origin, method), images(origin), method)
    return x, activations.summarize(x.numpy())


def network(origin: Origin, method: str = "none") -> Network:
    """The weights that the batch goes through, of this method where each has its own start."""
    from pages.lab import activations

    run, epoch = saved_run(origin.weights)
    if run is not None:
        return activations.trained(run, epoch)
    if method == "weight" and origin.start == "data":
        return _started(origin.data, origin.seed)
    return activations.fresh(origin.seed)


@st.cache_resource(max_entries=8, show_spinner=False)
def _started(data: str, seed: int) -> Network:
    from pages.lab import activations

    return activations.data_dependent(seed, server.data_with(data).train_images[:START_IMAGES])


def images(origin: Origin) -> np.ndarray:
    """The first batch that a training with this seed sees; a smaller one is its beginning."""
    every = server.data_with(origin.data).train_images
    return every[_order(origin.seed, len(every))[: origin.batch]]


@lru_cache(maxsize=64)
def _order(seed: int, count: int) -> np.ndarray:
    from normlib.training import batches

    return batches(TrainConfig(seed=seed), count, 0)[:MOST_IMAGES].copy()


def saved_run(weights: str) -> tuple[Run | None, int]:
    """The run that the weights come from and the index of the epoch; None for fresh ones."""
    key, _, epoch = weights.partition("@")
    if key == "fresh":
        return None, -1
    experiment = server.experiments().find(key)
    run = experiment.run if experiment is not None else None
    if run is None or not any(run.weights):
        return None, -1
    wanted = int(epoch) if epoch.isdecimal() else len(run.weights)
    return run, min(max(wanted, _first_epoch(run)), len(run.weights)) - 1


def _first_epoch(run: Run) -> int:
    """The first epoch, from 1, whose weights are kept: those of a long run's early ones are not."""
    return next(number for number, weights in enumerate(run.weights, 1) if weights)


# ---- the controls above the picture ----------------------------------------------------------


def draw_controls() -> tuple[Origin, tuple[str, ...], float, str]:
    """The controls; what they say, epsilon and caption last.

    What cannot be shown gets a sentence in the caption and is not among the methods.
    """
    from pages.lab import activations

    with page.control_box():
        first, second, third, fourth = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
        controls.control("batch", first)
        epsilon = controls.control("eps", second)
        controls.control("stage", third)
        with fourth.popover("Methods", icon=":material/tune:", width="stretch"):
            chosen = page.methods_control()
    origin, told = _origin()
    caption = [charts.caption_for("batch", "eps", "seed", more=told)]
    possible = []
    for method in chosen:
        if sentence := activations.refusal(network(origin), origin.layer, method):
            caption.append(f"{title(method)} is not shown. {sentence}")
        else:
            possible.append(method)
    if not chosen:
        with page.picture():
            st.caption("Choose at least one method.")
    return origin, tuple(possible), epsilon, " · ".join(caption)


def _origin() -> tuple[Origin, str]:
    """Where x comes from as the controls stand, and the same for a caption."""
    data, asked, layer = server.data().checksum, controls.get("weights"), controls.get("stage")
    run, index = saved_run(asked)
    told = controls.CONTROLS["stage"].words(layer).lower()
    if run is not None:
        told += f" · weights of {title(run.config.normalization)} after epoch {index + 1}"
    elif layer == "hidden":
        told += " (the convolution below it is normalized too)"
    if run is None and asked != "fresh":
        st.warning(
            "The weights of the run in this link are not on this server, so these are fresh.",
            icon=":material/link_off:",
        )
        controls.put("weights", "fresh")
    weights = "fresh" if run is None else f"{run.key}@{index + 1}"
    start = "data" if run is None and controls.get("start") == "data" else "norm"
    return Origin(data, controls.get("seed"), controls.get("batch"), layer, weights, start), told


# ---- below the picture -----------------------------------------------------------------------


def show_digits(origin: Origin) -> None:
    """The first digits of the batch."""
    count = min(origin.batch, DIGITS)
    pictures = _pictures(origin._replace(batch=count, layer="conv", weights="fresh"))
    st.image(
        pictures,
        width=21 * min(count, DIGITS_PER_PICTURE),
        alt=[f"Digits of the batch, part {i + 1}" for i in range(len(pictures))],
    )
    if origin.batch > DIGITS:
        st.caption(f"The first {DIGITS} of the batch's {origin.batch} digits.")


@st.cache_resource(max_entries=64, show_spinner=False)
def _pictures(origin: Origin) -> list[str]:
    """The digits of the batch, in pictures that wrap on a narrow screen, as links.

    As links they go to the browser as they are; as bytes, each would be read again and scaled in
    every run.
    """
    from PIL import Image

    every, links = images(origin), []
    columns = min(len(every), DIGITS_PER_PICTURE)
    for start in range(0, len(every), columns):
        file, part = io.BytesIO(), every[start : start + columns]
        Image.fromarray(image_grids.digits(part, columns)).save(file, "PNG")
        links.append(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}")
    return links


def show_code(methods: Sequence[str]) -> None:
    """The functions that computed the picture."""
    from normlib import normalize

    averaged = [method for method in methods if method in normalize.AXES]
    functions: list[Callable] = []
    if averaged:
        functions += [normalize.apply, normalize.standardize, normalize.scale_shift]
        functions += [normalize.AXES[method] for method in averaged]
    if "weight" in methods:
        functions.append(normalize.weight_norm)
    if functions:
        formulas = [FORMULAS[method] for method in methods if method != "none"]
        source.show_source(*functions, formula=r" \qquad ".join(formulas), key="code")


def draw_origin_controls() -> None:
    """Seed and weights, the controls that few move."""
    if not any(map(controls.visible, ("seed", "weights", "start"))):
        return
    st.header("Where these numbers come from", anchor=False)
    with page.control_box("more"):
        first, second, third = st.columns(3)
        controls.control("seed", first)
        controls.control("start", second, choices=("norm", "data"))
        with third:
            if controls.visible("weights"):
                _weights_control()


def _weights_control() -> None:
    """Fresh weights, or those of a run that is kept, at one of its epochs."""
    runs = {
        each.key: each
        for each in server.experiments().earlier(30, server.data().checksum)
        if each.epochs and each.status in ("finished", "stopped", "diverged")
    }
    run, index = saved_run(controls.get("weights"))
    chosen = controls.get("weights").partition("@")[0] if run is not None else "fresh"

    def words(key: str) -> str:
        one = runs.get(key) or (run if key == chosen else None)
        return _trained_words(one.config, one.test_accuracy) if one else FRESH

    st.session_state["_run"] = chosen
    st.selectbox(
        "Weights",
        list(dict.fromkeys(["fresh", *([chosen] if run else []), *runs])),
        format_func=words,
        key="_run",
        on_change=lambda: controls.put("weights", st.session_state["_run"]),
        help="Runs appear here once something has been trained on this server.",
    )
    if run is not None and len(run.weights) > _first_epoch(run):
        st.session_state["_epoch"] = index + 1
        st.slider(
            "After epoch",
            _first_epoch(run),
            len(run.weights),
            key="_epoch",
            on_change=lambda: controls.put("weights", f"{chosen}@{st.session_state['_epoch']}"),
        )


@lru_cache(maxsize=256)
def _trained_words(config: TrainConfig, accuracy: float | None) -> str:
    alike = TrainConfig(train_size=config.train_size, epochs=config.epochs, seed=config.seed)
    reached = f", {percent(accuracy)}" if accuracy is not None else ""
    return f"Trained: {describe(config, alike)}, seed {config.seed}{reached}"
