"""One batch of digits through the same weights, and what each method does to its activations."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from normlib.config import METHODS, TrainConfig
from pages.components import activation_charts as pictures
from pages.components import (
    activation_views,
    activations,
    charts,
    controls,
    page,
    server,
    source,
    theme,
    turns,
)
from pages.components import activation_words as words
from pages.components.activations import Asked, divides

OFFERED = tuple(method for method in METHODS if method != "tf_batch")  # the same numbers as batch
MOST_METHODS = 4
DIGITS, DIGITS_PER_PICTURE = 32, 8

QUESTIONS = {
    "histograms": "The same digits go through the same weights. Which methods give the numbers a "
    "mean of 0 and a spread of 1, and is that still so after ReLU?",
    "channels": "Which method gives every single channel the same mean and the same spread, and "
    "which only their average?",
    "microscope": "Epsilon is there so that nothing is divided by zero. From which size on does "
    "it change the result?",
    "invariances": "Make all weights three times as large, or one digit three times as bright. "
    "Which methods do not notice?",
}

Configs = Mapping[str, TrainConfig]


def main() -> None:
    page.set_up("activations")
    view = controls.control("view", label_visibility="collapsed")
    page.question(QUESTIONS[view])
    shown = page.follow_sliders(draw_controls, picture)
    code_that_ran([one for one in shown if view != "microscope" or divides(one)])
    if any(map(controls.visible, ("seed", "weights"))):
        st.subheader("Where these numbers come from", anchor=False)
        with page.control_box():
            origin()


def draw_controls() -> None:
    with page.control_box():
        first, second, third = st.columns(3)
        with first:
            controls.control("batch")
        with second:
            controls.control("eps")
        with third:
            controls.control("stage")
        controls.control("methods", choices=OFFERED, wrap=True)


def picture() -> tuple[str, ...]:
    """Draw the view; returns the methods that it shows."""
    server.wait_for_tensorflow()
    methods, epsilon, layer = (controls.get(name) for name in ("methods", "eps", "stage"))
    if not methods:
        st.info("Choose at least one method.", icon=":material/info:")
        return ()
    run, index = activations.saved_run(controls.get("weights"))
    weights = "fresh" if run is None else f"{run.key}@{index + 1}"
    if run is None and controls.get("weights") != "fresh":
        st.warning(
            "The weights of the run in this link are not on this server, so these are fresh.",
            icon=":material/link_off:",
        )
        controls.put("weights", "fresh")
    asked = Asked(
        server.data().checksum, controls.get("seed"), controls.get("batch"), layer, weights
    )
    configs = fitting(methods, epsilon, asked)
    if not configs:
        return ()
    more = controls.CONTROLS["stage"].words(layer).lower()
    if run is not None:
        more += f" · weights of {theme.title(run.config.normalization)} after epoch {index + 1}"
    elif layer == "hidden":
        more += " (the convolution below it is normalized too)"
    caption = charts.caption_for("batch", "eps", "seed", more=more)
    VIEWS[controls.get("view")](configs, epsilon, asked, caption)
    show_digits(asked)
    return tuple(configs)


# ---- the controls ------------------------------------------------------------------------------


def origin() -> None:
    first, second = st.columns(2)
    with first:
        controls.control("seed")
    if controls.visible("weights"):
        with second:
            weights_control()


def weights_control() -> None:
    """Fresh weights, or those of a run that is kept, at one of its epochs."""
    runs = {
        each.key: each
        for each in server.experiments().earlier(30)
        if each.epochs and each.status in ("finished", "stopped", "diverged")
    }
    run, index = activations.saved_run(controls.get("weights"))
    chosen = controls.get("weights").partition("@")[0] if run is not None else "fresh"

    def words(key: str) -> str:
        config = runs[key].config if key in runs else run.config if key == chosen and run else None
        if config is None:
            return "Fresh: the first weights of this seed"
        accuracy = runs[key].test_accuracy if key in runs else run.test_accuracy
        reached = f", {accuracy:.1%}" if accuracy is not None else ""
        return f"Trained: {theme.title(config.normalization)}, seed {config.seed}{reached}"

    st.session_state["_run"] = chosen
    st.selectbox(
        "Weights",
        list(dict.fromkeys(["fresh", *([chosen] if run else []), *runs])),
        format_func=words,
        key="_run",
        on_change=lambda: controls.put("weights", st.session_state["_run"]),
        help="Runs appear here once something has been trained on this server.",
    )
    first = activations.first_epoch(run) if run is not None else 1
    if run is not None and len(run.weights) > first:
        st.session_state["_epoch"] = index + 1
        st.slider(
            "After epoch",
            first,
            len(run.weights),
            key="_epoch",
            on_change=lambda: controls.put("weights", f"{chosen}@{st.session_state['_epoch']}"),
        )


def fitting(methods: tuple[str, ...], epsilon: float, asked: Asked) -> Configs:
    """The networks to show; what cannot be shown gets a sentence."""
    if len(methods) > MOST_METHODS:
        left_out = ", ".join(theme.title(method) for method in methods[MOST_METHODS:])
        st.info(f"Four fit side by side. Not shown: {left_out}.", icon=":material/info:")
    configs, refused = activations.configs_of(methods[:MOST_METHODS], epsilon, asked)
    for method, sentence in refused.items():
        st.info(f"{theme.title(method)} is not shown. {sentence}", icon=":material/info:")
    return configs


def show_digits(asked: Asked) -> None:
    """The first digits of the batch, in pictures that wrap on a narrow screen."""
    images = activations.batch_images(asked)[:DIGITS]
    columns = min(len(images), DIGITS_PER_PICTURE)

    def pictures_of_digits() -> list[str]:
        from PIL import Image

        links = []
        for start in range(0, len(images), DIGITS_PER_PICTURE):
            file = io.BytesIO()
            part = images[start : start + DIGITS_PER_PICTURE]
            Image.fromarray(charts.image_grid(part, columns)).save(file, "PNG")
            # As a link they go to the browser as they are; as bytes, each would be read again and
            # scaled in every run.
            links.append(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}")
        return links

    name = ("digits", asked.data, asked.seed, len(images))
    shown = activations.memory().get(name, pictures_of_digits)
    st.image(
        shown,
        width=21 * columns,
        alt=[f"Digits of the batch, part {i + 1}" for i in range(len(shown))],
    )
    if asked.batch > DIGITS:
        st.caption(f"The first {DIGITS} of the batch's {asked.batch} digits.")


# ---- the views ---------------------------------------------------------------------------------


def histograms_view(configs: Configs, epsilon: float, asked: Asked, caption: str) -> None:
    chart, dead, answer, table = activation_views.histograms(configs, epsilon, asked)
    charts.show(chart, caption, "histograms")
    if any(count for count, _ in dead.values()):
        show_dead_units(dead, words.unit_of(asked.layer))
    page.answer(answer)
    st.dataframe(
        table,
        hide_index=True,
        key="statistics",
        column_config={
            "Step": st.column_config.TextColumn(width=100),
            "Method": st.column_config.TextColumn(width=136),
            **{
                name: st.column_config.NumberColumn(format="%.3f", width=64)
                for name in words.NUMBERS
            },
            "Zeros": st.column_config.NumberColumn(format="percent", width=70),
            "Dead": st.column_config.TextColumn(width=78),
        },
        alt="Statistics of every step of every method",
    )


def show_dead_units(dead: Mapping[str, tuple[int, int]], unit: str) -> None:
    for column, (method, (count, of)) in zip(st.columns(len(dead)), dead.items(), strict=True):
        column.metric(
            theme.title(method),
            f"{count} of {of}",
            delta=f"dead {unit}s",
            delta_color="off",
            delta_arrow="off",
            help=f"After ReLU these {unit}s are 0 for every digit of this batch.",
        )


def channels_view(configs: Configs, epsilon: float, asked: Asked, caption: str) -> None:
    unit = words.unit_of(asked.layer)

    chart, answer = activation_views.channels(configs, epsilon, asked)
    charts.show(
        chart,
        f"{caption} · thick and grey: before, thin and coloured: after normalization",
        "spread",
    )
    page.answer(answer)
    numbers = st.expander(
        f"Every statistic of every {unit}", icon=":material/table:", on_change="rerun", key="each"
    )
    if numbers.open:
        with numbers:
            show_every_channel(configs, asked)


def show_every_channel(configs: Configs, asked: Asked) -> None:
    """The full table, percentiles and all; made only when somebody opens it."""
    import pandas as pd

    with turns.let_others(), server.experiments().interactive():
        tables = activations.every_channel(configs, asked)
    joined = pd.concat(
        [table.assign(method=theme.title(method)) for method, table in tables.items()],
        ignore_index=True,
    )
    order = ["method", *(name for name in joined.columns if name not in ("method", "dead"))]
    st.dataframe(joined[order], hide_index=True, key="each_table")


def microscope_view(configs: Configs, epsilon: float, asked: Asked, caption: str) -> None:
    from pages.lab.activations import shrink_factors

    sentences = []
    for method, config in configs.items():
        variances = activations.variances_of(config, asked)
        if not variances.size:
            continue
        unit = words.variance_unit(method, asked.layer)
        factors = shrink_factors(variances, epsilon)
        charts.show(
            pictures.microscope(method, variances, factors, epsilon, unit),
            f"{caption} · filled: variance above epsilon, hollow: below",
            f"microscope_{method}",
        )
        sentences.append(words.microscope_answer(method, variances, factors, epsilon, unit))
    if not sentences:
        st.info(
            "No method on this page divides by a root here. Choose batch, layer, group, instance "
            "or RMS norm.",
            icon=":material/info:",
        )
        return
    page.answer("\n\n".join(sentences))


def invariances_view(configs: Configs, epsilon: float, asked: Asked, caption: str) -> None:
    from pages.lab import invariances

    with turns.let_others():
        found = activations.deviations(configs, asked)
    if not found:
        return
    st.table(
        words.invariances_table(found), hide_index=True, alt="Which method notices which change"
    )
    count = min(asked.batch, activations.INVARIANCE_IMAGES)
    st.caption(
        "✓ nothing changes · ≈ only epsilon lets it change · ✗ it changes · "
        "\\* the layer-norm paper says otherwise, of dense layers. Each number is the largest "
        "change of an output, relative to the largest output, in float64."
    )
    st.caption(controls.minus(f"{caption} · {count} digit{'s' if count > 1 else ''}"))
    page.answer(words.invariances_answer(found, epsilon))
    source.show_source(invariances.table, label="The code that changed weights and data")


VIEWS = {
    "histograms": histograms_view,
    "channels": channels_view,
    "microscope": microscope_view,
    "invariances": invariances_view,
}


def code_that_ran(methods: Sequence[str]) -> None:
    from normlib import layers, normalize

    functions: list[Callable] = []
    kinds = {
        "batch": layers.BatchNorm,
        "layer": layers.LayerNorm,
        "group": layers.GroupNorm,
        "instance": layers.InstanceNorm,
    }
    if any(divides(method) for method in methods):
        functions += [normalize.standardize, normalize.scale_shift]
    functions += [kinds[method].axes.fget for method in methods if method in kinds]
    if "rms" in methods:
        functions.append(normalize.rms_norm)
    if "weight" in methods:
        functions.append(normalize.weight_norm)
    if functions:
        formulas = [METHODS[method].formula for method in methods if method != "none"]
        source.show_source(*functions, formula=r" \qquad ".join(formulas), key="code")


with turns.take():
    main()
