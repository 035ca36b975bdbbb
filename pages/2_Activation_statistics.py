"""One batch of digits through the same weights, and what each method does to its activations."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import isclose
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st

from normlib.config import METHODS, TrainConfig
from pages.components import activation_charts, charts, page, server, settings, source, theme

if TYPE_CHECKING:
    import pandas as pd

    from normlib.cnn import SmallCNN
    from normlib.run import Run
    from normlib.statistics import Memory, Summary

OFFERED = tuple(method for method in METHODS if method != "tf_batch")  # the same numbers as batch
MOST_METHODS = 4
BINS = 128
OUTSIDE = 0.02  # of the values, at most, lie beyond the ends of the histograms' axis
NARROWEST = 4.0  # the histograms' axis never shows less than this on each side of zero
NUMBERS = ("Mean", "Std", "Min", "15 %", "50 %", "85 %", "Max")
DIGITS, DIGITS_PER_PICTURE = 32, 8
INVARIANCE_IMAGES = 64
EXACT = 1e-9  # in float64, a deviation below this is rounding

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


class Asked(NamedTuple):
    """Everything that decides the numbers on this page, but for the method and epsilon.

    A tuple, because Streamlit defines this class anew in every run, and only as tuples are two of
    them equal.
    """

    data: str  # checksum
    seed: int
    batch: int
    layer: str
    weights: str  # "fresh", or a run's key and an epoch: "0f3a…@4"


@dataclass(frozen=True)
class Seen:
    """What one method makes of the batch: a summary of each step, in the network's order."""

    method: str
    steps: dict[str, Summary]  # "before", "normalized", "relu"

    @property
    def before(self) -> Summary:
        return self.steps["before"]

    @property
    def normalized(self) -> Summary:
        return self.steps["normalized"]

    @property
    def relu(self) -> Summary:
        return self.steps["relu"]


# ---- what the server keeps ---------------------------------------------------------------------


@st.cache_resource(show_spinner=False)
def memory() -> Memory:
    """The latest summaries, shared by all sessions: a class that looks at one thing computes once.

    A summary is some 20 kB.
    """
    from normlib.statistics import Memory

    return Memory(most=512)


@st.cache_resource(show_spinner=False)
def networks() -> Memory:
    """The latest networks, 2.4 MB each."""
    from normlib.statistics import Memory

    return Memory(most=24)


@st.cache_resource(show_spinner=False)
def workers() -> ThreadPoolExecutor:
    """Two methods at a time, however many sessions ask."""
    return ThreadPoolExecutor(2, thread_name_prefix="activations")


# ---- the numbers ---------------------------------------------------------------------------------


def batch_images(asked: Asked) -> np.ndarray:
    """The first batch that a training with this seed sees; a smaller one is its beginning."""
    from normlib.training import batches

    images = server.data().train_images

    def order() -> np.ndarray:
        return batches(TrainConfig(seed=asked.seed), len(images), 0)[:512].copy()

    return images[memory().get(("order", asked.data, asked.seed), order)[: asked.batch]]


def saved_run(weights: str) -> tuple[Run | None, int]:
    """The run that the weights come from and the index of the epoch; None for fresh ones."""
    key, _, epoch = weights.partition("@")
    if key == "fresh":
        return None, -1
    experiment = server.experiments().find(key)
    run = experiment.run if experiment is not None else None
    if run is None or not run.weights:
        return None, -1
    wanted = int(epoch) if epoch.isdecimal() else len(run.weights)
    return run, min(max(wanted, 1), len(run.weights)) - 1


def config_of(method: str, epsilon: float, asked: Asked) -> TrainConfig:
    """The network of a method; ValueError where the method cannot stand in it."""
    run, _ = saved_run(asked.weights)
    if run is not None:
        return replace(run.config, normalization=method, epsilon=epsilon, ghost_batches=1)
    placement = "conv and dense" if asked.layer == "hidden" else "conv"
    return TrainConfig(normalization=method, epsilon=epsilon, seed=asked.seed, placement=placement)


def divides(method: str) -> bool:
    """Whether the method divides activations by a root with epsilon in it."""
    return method not in ("none", "weight")


def network_of(config: TrainConfig, run: Run | None, epoch: int) -> SmallCNN:
    """The network with its first, or with the run's learned, weights; only to be looked at.

    The one that is kept serves every epsilon.
    """
    from normlib.statistics import build, with_epsilon

    kept = replace(config, epsilon=TrainConfig().epsilon)
    name = (kept, None if run is None else run.key, epoch)
    return with_epsilon(networks().get(name, lambda: build(kept, run, epoch)), config.epsilon)


def see(configs: dict[str, TrainConfig], asked: Asked) -> list[Seen]:
    """Each method's summaries, from memory where somebody has asked before."""
    from normlib.statistics import look

    kept, images = memory(), batch_images(asked)
    run, epoch = saved_run(asked.weights)
    names = dict(zip(("", "_normalized", "_relu"), ("before", "normalized", "relu"), strict=True))

    def seen(method: str) -> Seen:  # in a thread of its own: no session here
        config = configs[method]

        def compute() -> dict[str, Summary]:
            network = network_of(config, run, epoch)
            # Methods that start from the same weights share the convolution, wherever one looks.
            steps = look(network, images, asked.layer, kept, asked._replace(layer=""))
            return {names[stage.removeprefix(asked.layer)]: s for stage, s in steps.items()}

        epsilon = config.epsilon if divides(method) else None
        return Seen(method, kept.get((asked, method, epsilon), compute))

    with server.experiments().interactive():
        return list(workers().map(seen, configs))


def variances_of(config: TrainConfig, asked: Asked) -> np.ndarray:
    """What stands under the method's roots; epsilon does not matter here."""
    from normlib.statistics import divided_variances

    images, (run, epoch) = batch_images(asked), saved_run(asked.weights)

    def compute() -> np.ndarray:
        found = divided_variances(network_of(config, run, epoch), images, asked.layer)
        return np.zeros(0) if found is None else found

    return memory().get(("variances", asked, config.normalization), compute)


# ---- the controls ------------------------------------------------------------------------------


def weights_control() -> None:
    """Fresh weights, or those of a run that is kept, at one of its epochs."""
    runs = {
        each.key: each
        for each in server.experiments().earlier(30)
        if each.epochs and each.status in ("finished", "stopped", "diverged")
    }
    run, index = saved_run(settings.get("weights"))
    chosen = settings.get("weights").partition("@")[0] if run is not None else "fresh"

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
        on_change=lambda: settings.put("weights", st.session_state["_run"]),
        help="Runs appear here once something has been trained on this server.",
    )
    if run is not None and len(run.weights) > 1:
        st.session_state["_epoch"] = index + 1
        st.slider(
            "After epoch",
            1,
            len(run.weights),
            key="_epoch",
            on_change=lambda: settings.put("weights", f"{chosen}@{st.session_state['_epoch']}"),
        )


def fitting(methods: tuple[str, ...], epsilon: float, asked: Asked) -> dict[str, TrainConfig]:
    """The networks to show; what cannot be shown gets a sentence."""
    if len(methods) > MOST_METHODS:
        left_out = ", ".join(theme.title(method) for method in methods[MOST_METHODS:])
        st.info(f"Four fit side by side. Not shown: {left_out}.", icon=":material/info:")
    configs = {}
    for method in methods[:MOST_METHODS]:
        try:
            configs[method] = config_of(method, epsilon, asked)
        except ValueError as error:
            st.info(f"{theme.title(method)} is not shown. {error}", icon=":material/info:")
    return configs


def where_from(asked: Asked) -> None:
    """The batch and the weights behind the picture, and the controls that choose others."""
    st.subheader("Where these numbers come from", anchor=False)
    with page.controls():
        first, second = st.columns(2)
        with first:
            settings.control("seed")
        with second:
            weights_control()
        show_digits(asked)


def show_digits(asked: Asked) -> None:
    """The first digits of the batch, in pictures that wrap on a narrow screen."""
    images = batch_images(asked)[:DIGITS]

    def pictures() -> list[bytes]:
        from PIL import Image

        files = []
        for start in range(0, len(images), DIGITS_PER_PICTURE):
            part = images[start : start + DIGITS_PER_PICTURE]
            file = io.BytesIO()
            columns = min(len(images), DIGITS_PER_PICTURE)
            Image.fromarray(charts.image_grid(part, columns)).save(file, "PNG")
            files.append(file.getvalue())
        return files

    shown = memory().get(("digits", asked.data, asked.seed, len(images)), pictures)
    st.image(
        shown,
        width=21 * min(len(images), DIGITS_PER_PICTURE),
        alt=[f"Digits of the batch, part {i + 1}" for i in range(len(shown))],
    )
    if asked.batch > DIGITS:
        st.caption(f"The first {DIGITS} of the batch's {asked.batch} digits.")


# ---- the views ---------------------------------------------------------------------------------


def stage_titles(seen: list[Seen]) -> dict[str, str]:
    titles = {
        "before": "Before normalization",
        "normalized": "After normalization",
        "relu": "After ReLU",
    }
    return {step: titles[step] for step in seen[0].steps}


def histograms_view(seen: list[Seen], asked: Asked, caption: str) -> None:
    half = max([NARROWEST, *(s.half_width(OUTSIDE) for one in seen for s in one.steps.values())])
    edges = np.linspace(-half, half, BINS + 1)
    columns: dict[str, list[np.ndarray]] = {"left": [], "right": [], "share": []}
    methods, steps = [], []
    for one in seen:
        for step, summary in one.steps.items():
            columns["left"].append(edges[:-1])
            columns["right"].append(edges[1:])
            columns["share"].append(summary.histogram(half, BINS) / summary.values)
            methods += [one.method] * BINS
            steps += [step] * BINS
    rows = {
        "method": methods,
        "stage": steps,
        **{name: np.concatenate(parts) for name, parts in columns.items()},
    }
    charts.show(
        charts.histograms(charts.frame(rows), stage_titles(seen), (-half, half)),
        caption,
        "histograms",
    )
    if any(one.relu.dead.any() for one in seen):
        dead_units(seen, asked)
    page.answer(histograms_answer(seen, asked))
    st.dataframe(
        statistics_table(seen),
        hide_index=True,
        key="statistics",
        column_config={
            **{name: st.column_config.NumberColumn(format="%.3f") for name in NUMBERS},
            "Zeros": st.column_config.NumberColumn(format="percent"),
        },
        alt="Statistics of every step of every method",
    )


def dead_units(seen: list[Seen], asked: Asked) -> None:
    unit = "channels" if asked.layer == "conv" else "units"
    for column, one in zip(st.columns(len(seen)), seen, strict=True):
        dead = one.relu.dead
        column.metric(
            theme.title(one.method),
            f"{int(dead.sum())} of {len(dead)}",
            delta=f"dead {unit}",
            delta_color="off",
            delta_arrow="off",
            help=f"After ReLU these {unit} are 0 for every digit of this batch.",
        )


def statistics_table(seen: list[Seen]) -> pd.DataFrame:
    """One row per step; methods with the same numbers, but for rounding, share it."""
    rows: list[dict[str, Any]] = []
    owners: list[list[str]] = []
    titles = stage_titles(seen)
    for one in seen:
        for step, summary in one.steps.items():
            if step == "normalized" and summary is one.before:
                continue
            numbers = [
                summary.overall_mean,
                summary.overall_std,
                summary.minimum.min(),
                *summary.percentiles,
                summary.maximum.max(),
            ]
            row = {
                "Step": titles[step],
                "Method": "",
                # 5e-9 is 0 with the rounding of float32
                **{
                    name: round(float(x), 6) + 0.0 for name, x in zip(NUMBERS, numbers, strict=True)
                },
                "Zeros": float(summary.zeros.sum() / summary.values),
                "Dead": f"{int(summary.dead.sum())} of {len(summary.dead)}"
                if step == "relu"
                else "",
            }
            same = next((i for i, other in enumerate(rows) if alike(row, other)), len(rows))
            if same == len(rows):
                rows.append(row)
                owners.append([])
            owners[same].append(theme.title(one.method))
    for row, names in zip(rows, owners, strict=True):
        row["Method"] = owners_words(names, seen)
    order = list(titles.values())
    return charts.frame(sorted(rows, key=lambda row: order.index(row["Step"])))


def alike(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two rows of one step show the same numbers."""
    return (row["Step"], row["Dead"]) == (other["Step"], other["Dead"]) and all(
        isclose(row[name], other[name], rel_tol=1e-5, abs_tol=1e-5) for name in (*NUMBERS, "Zeros")
    )


def owners_words(owners: list[str], seen: list[Seen]) -> str:
    others = [title for one in seen if (title := theme.title(one.method)) not in owners]
    if len(owners) > 1 and len(others) < 2:
        return f"All but {others[0]}" if others else "All"
    return ", ".join(owners)


def channels_view(seen: list[Seen], asked: Asked, caption: str) -> None:
    unit = "channel" if asked.layer == "conv" else "unit"
    rows = {
        name: np.concatenate(parts)
        for name, parts in {
            "channel": [np.arange(len(one.before.mean)) for one in seen],
            "before_mean": [one.before.mean for one in seen],
            "before_std": [one.before.std for one in seen],
            "mean": [one.normalized.mean for one in seen],
            "std": [one.normalized.std for one in seen],
        }.items()
    }
    rows["method"] = [one.method for one in seen for _ in one.before.mean]
    reach = max(
        float(np.abs(sign * s.mean + s.std).max())
        for one in seen
        for s in (one.before, one.normalized)
        for sign in (-1, 1)
    )
    half = next((w for w in (2.0, 4.0, 8.0) if w >= reach), float(2 ** np.ceil(np.log2(reach))))
    charts.show(
        activation_charts.before_and_after(rows, unit, (-half, half)),
        f"{caption} · thick and grey: before, thin and coloured: after normalization",
        "spread",
    )
    page.answer(channels_answer(seen, unit))
    numbers = st.expander(
        f"Every statistic of every {unit}", icon=":material/table:", on_change="rerun", key="each"
    )
    if numbers.open:
        with numbers:
            every_channel(seen, asked)


def every_channel(seen: list[Seen], asked: Asked) -> None:
    """The full table, percentiles and all; made only when somebody opens it."""
    from normlib.statistics import describe

    images, (run, epoch) = batch_images(asked), saved_run(asked.weights)
    tables = []
    for one in seen:
        config = config_of(one.method, settings.get("eps"), asked)

        def compute(config: TrainConfig = config) -> pd.DataFrame:
            return describe(network_of(config, run, epoch), images, asked.layer, per_channel=True)

        name = ("channels", asked, one.method, config.epsilon)
        table = memory().get(name, compute)
        tables.append(table.assign(method=theme.title(one.method)))
    import pandas as pd

    joined = pd.concat(tables, ignore_index=True)
    st.dataframe(joined[["method", *tables[0].columns[:-1]]], hide_index=True, key="each_table")


def microscope_view(configs: dict[str, TrainConfig], asked: Asked, caption: str) -> None:
    from normlib.statistics import shrink_factors

    sentences = []
    for method, config in configs.items():
        variances = variances_of(config, asked) if divides(method) else np.zeros(0)
        if not variances.size:
            continue
        unit = variance_unit(method, asked.layer)
        variances = variances.ravel()
        factors = shrink_factors(variances, config.epsilon)
        charts.show(
            activation_charts.microscope(method, variances, factors, config.epsilon, unit),
            f"{caption} · filled: variance above epsilon, hollow: below",
            f"microscope_{method}",
        )
        sentences.append(microscope_answer(method, variances, factors, config.epsilon, unit))
    if not sentences:
        st.info(
            "No method on this page divides by a root here. Choose batch, layer, group, instance "
            "or RMS norm.",
            icon=":material/info:",
        )
        return
    page.answer("\n\n".join(sentences))


def variance_unit(method: str, layer: str) -> str:
    """What has one variance of its own, by the method."""
    channel = "channel" if layer == "conv" else "unit"
    return {
        "batch": channel,
        "layer": "example",
        "rms": "example",
        "group": "group of an example",
        "instance": "channel of an example",
    }[method]


def invariances_view(configs: dict[str, TrainConfig], asked: Asked, caption: str) -> None:
    from normlib import invariances

    methods = tuple(method for method in configs if method in invariances.HOLDS)
    if not methods:
        return
    epsilon = settings.get("eps")
    found = deviations(configs, methods, epsilon, asked)
    rows = []
    for index, change in enumerate(invariances.TRANSFORMATIONS):
        cells = {theme.title(m): cell_words(found[m][index]) for m in methods}
        rows.append({"What changes": change.capitalize(), **cells})
    st.table(charts.frame(rows), hide_index=True, alt="Which method notices which change")
    count = min(asked.batch, INVARIANCE_IMAGES)
    st.caption(
        "✓ nothing changes · ≈ only epsilon lets it change · ✗ it changes · "
        "\\* the layer-norm paper says otherwise, of dense layers. Each number is the largest "
        "change of an output, relative to the largest output, in float64."
    )
    st.caption(settings.minus(f"{caption} · {count} digit{'s' if count > 1 else ''}"))
    page.answer(invariances_answer(found, epsilon))
    source.show_source(invariances.table, label="The code that changed weights and data")


def deviations(
    configs: dict[str, TrainConfig], methods: tuple[str, ...], epsilon: float, asked: Asked
) -> dict[str, list]:
    """Each method's column of the table on this batch and these weights."""
    from normlib import invariances

    images = batch_images(asked)[:INVARIANCE_IMAGES]
    config, (run, epoch) = next(iter(configs.values())), saved_run(asked.weights)

    def compute(method: str) -> list:
        network = network_of(replace(config, normalization="none"), run, epoch)
        x, kernel = images / 255, network.conv_kernel()
        if asked.layer == "hidden":
            pooled = network.forward(images, training=False)["pooled"].numpy()
            x, kernel = pooled.reshape(len(images), -1), network.dense_kernel()
        return invariances.table(x, kernel, epsilon, [method], groups=config.groups)

    def kept(method: str) -> list:
        name = ("invariances", asked, method, epsilon if divides(method) else None)
        return memory().get(name, lambda: compute(method))

    with server.experiments().interactive():
        return dict(zip(methods, workers().map(kept, methods), strict=True))


def cell_words(cell: Any) -> str:
    mark = ("✓" if cell.deviation < EXACT else "≈") if cell.holds else "✗"
    differs = " *" if cell.paper is not None and cell.paper != cell.holds else ""
    return f"{mark} {short(cell.deviation)}{differs}"


def short(value: float) -> str:
    """Two digits: 0.43, 5.3e-4."""
    text = settings.number(float(f"{value:.2g}")) if np.isfinite(value) else str(value)
    return settings.minus(text)


# ---- the answers, computed ---------------------------------------------------------------------


def histograms_answer(seen: list[Seen], asked: Asked) -> str:
    sentences = []
    for one in seen:
        z, r = one.normalized, one.relu
        mean = round(z.overall_mean, 2) + 0.0  # no "-0.00"
        text = f"**{theme.title(one.method)}:** mean {mean:.2f}, std {z.overall_std:.2f}"
        if not z.finite:
            sentences.append(text + "; some values are not finite numbers.")
            continue
        text += (
            f"; after ReLU mean {r.overall_mean:.2f}, std {r.overall_std:.2f}, "
            f"{r.zeros.sum() / r.values:.0%} zeros."
        )
        sentences.append(text + "".join(f" {why}" for why in reasons(one, asked)))
    if not any(one.relu.dead.any() for one in seen):
        unit = "channel" if asked.layer == "conv" else "unit"
        sentences.append(
            f"No {unit} is dead: after ReLU each lets something of some digit through."
        )
    return "\n\n".join(sentences)


def reasons(one: Seen, asked: Asked) -> Iterable[str]:
    """What happened at the ends of the sliders, and why, where it did."""
    epsilon = settings.get("eps")
    if one.method == "batch":
        per_mean = one.before.count
        if per_mean == 1:
            yield (
                "With one digit each unit has a single number. It is its own mean, its variance is "
                f"{np.square(one.before.std).max():.0f}, and (x − mean) / √(0 + ε) is 0 whatever "
                "the digit shows: only β is left."
            )
            return
        share = one.before.zeros.sum() / one.before.values
        if share > 0.2:
            yield (
                f"{share:.0%} of the values were exactly 0, over the empty background; now they "
                "are one value per channel, the teeth of the comb."
            )
        if asked.batch == 1:
            yield (
                f"With one digit a channel's mean is that of {per_mean:,} positions of this digit "
                "alone: batch norm does here what instance norm does."
            )
    if divides(one.method) and one.normalized.overall_std < 0.9:
        per_channel = one.method == "batch"
        variance = np.square(one.before.std if per_channel else one.before.overall_std)
        typical, whose = float(np.median(variance)), "median channel's" if per_channel else "whole"
        if epsilon > 0.1 * typical > 0:
            yield (
                f"ε = {settings.number(epsilon)} is {short(epsilon / typical)} times the {whose} "
                f"variance, {short(typical)}: the root is larger than the spread, and dividing by "
                "it leaves less than 1."
            )
    if one.method == "weight":
        yield "It rebuilds the kernel and leaves the activations alone."


def channels_answer(seen: list[Seen], unit: str) -> str:
    sentences = []
    for one in seen:
        z = one.normalized
        apart, low, high = float(np.ptp(z.mean)), float(z.std.min()), float(z.std.max())
        if apart < 0.005 and high - low < 0.005:
            text = f"every {unit} has mean {z.overall_mean + 0.0:.2f} and std {low:.2f}."
        else:
            means = (
                f"every {unit} has mean {z.overall_mean + 0.0:.2f}"
                if apart < 0.005
                else f"the {unit}s' means lie up to {short(apart)} apart"
            )
            text = f"{means}; their std goes from {short(low)} to {short(high)}."
        sentences.append(f"**{theme.title(one.method)}:** {text}")
    return "\n\n".join(sentences)


def microscope_answer(
    method: str, variances: np.ndarray, factors: np.ndarray, epsilon: float, unit: str
) -> str:
    count, below = len(variances), variances < epsilon
    zero = int((variances == 0).sum())
    text = f"**{theme.title(method)}:** one variance, {short(variances[0])}. "
    if count > 1:
        text = (
            f"**{theme.title(method)}:** {count} variances, one per {unit}, "
            f"from {short(variances.min())} to {short(variances.max())}. "
        )
    if zero:
        text += (
            f"{zero} of them {'are' if zero > 1 else 'is'} 0: without epsilon that would be 0 / 0, "
            "and epsilon makes it 0. "
        )
    if below.sum() > zero:
        places = np.flatnonzero(below)
        who, names = f"{len(places)} of {count} lie", ""
        if below.all():
            who = f"All {count} {unit}s lie" if " " not in unit else f"All {count} lie"
            who = who if count > 1 else "It lies"
        elif len(places) <= 12 and " " not in unit:  # others have no number on the axis
            names = f" ({unit}{'s' if len(places) > 1 else ''} {', '.join(map(str, places))})"
        text += (
            f"{who} below ε = {settings.number(epsilon)}{names}: epsilon flattens "
            f"{'them' if len(places) > 1 else 'it'} to less than 71% of the spread."
        )
    elif not zero:
        left = np.floor(1e4 * factors.min()) / 1e4  # 99.99 % is not 100 %
        text += (
            f"{'All lie' if count > 1 else 'It lies'} above ε = {settings.number(epsilon)}; "
            f"at least {left:.2%} of the spread is left."
        )
    return text


def invariances_answer(found: dict[str, list], epsilon: float) -> str:
    """How much each method does not notice, and what epsilon lets through."""
    counts = ", ".join(
        f"{theme.title(method)} {sum(cell.holds for cell in cells)}"
        for method, cells in found.items()
    )
    held = [cell for cells in found.values() for cell in cells if cell.holds]
    text = f"Of {len(next(iter(found.values())))} changes these go unnoticed: {counts}."
    if not held:
        return text
    worst = max(held, key=lambda cell: cell.deviation)
    if worst.deviation < EXACT:
        return f"{text} What is left of them is rounding, at most {short(worst.deviation)}."
    return (
        f"{text} Where it says ≈, ε = {settings.number(epsilon)} lets up to "
        f"{short(worst.deviation)} through ({theme.title(worst.method)}, {worst.transformation}): "
        "it does not grow with what it is added to."
    )


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


# ---- the page ----------------------------------------------------------------------------------


def main() -> None:
    page.set_up("activations")
    view = settings.control("view", label_visibility="collapsed")
    page.question(QUESTIONS[view])
    with page.controls():
        first, second, third = st.columns(3)
        with first:
            batch = settings.control("batch")
        with second:
            epsilon = settings.control("eps")
        with third:
            layer = settings.control("stage")
        methods = settings.control("methods", choices=OFFERED, wrap=True)
    server.wait_for_tensorflow()
    if not methods:
        st.info("Choose at least one method.", icon=":material/info:")
        return
    run, index = saved_run(settings.get("weights"))
    weights = "fresh" if run is None else f"{run.key}@{index + 1}"
    if run is None and settings.get("weights") != "fresh":
        st.warning(
            "The run in this link is not on this server, so the weights are fresh.",
            icon=":material/link_off:",
        )
        settings.put("weights", "fresh")
    asked = Asked(server.data().checksum, settings.get("seed"), batch, layer, weights)
    configs = fitting(methods, epsilon, asked)
    if not configs:
        return
    more = settings.SETTINGS["stage"].words(layer).lower()
    if run is not None:
        more += f" · weights of {theme.title(run.config.normalization)} after epoch {index + 1}"
    elif layer == "hidden":
        more += " (the convolution below it is normalized too)"
    caption = charts.caption_for("batch", "eps", "seed", more=more)
    if view == "microscope":
        microscope_view(configs, asked, caption)
    elif view == "invariances":
        invariances_view(configs, asked, caption)
    else:
        seen = see(configs, asked)
        {"histograms": histograms_view, "channels": channels_view}[view](seen, asked, caption)
    code_that_ran([one for one in configs if view != "microscope" or divides(one)])
    where_from(asked)


main()
