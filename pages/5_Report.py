"""The report's three tables, reproduced; its ops against TensorFlow's; why weight norm lost."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from normlib.config import METHODS, TrainConfig
from pages.components import charts, controls, page, server, source, theme, trainings, turns
from pages.lab import report
from pages.lab.queue import Experiment

METHOD_COLUMNS = report.COLUMNS[:4]
SEED = 0  # of this machine's own run
SHOWN_FROM = 0.8  # accuracies below are over in a moment

TABLE_STYLE = """<style>
.published { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.published caption { text-align: left; font-weight: 600; padding: 0 0 .5rem; }
.published th, .published td { padding: .2rem .7rem; text-align: right; white-space: nowrap; }
.published thead th { border-bottom: 3px solid var(--method); vertical-align: bottom;
  white-space: normal; }
.published tbody th { text-align: left; font-weight: 400; }
.published tbody tr.first > * { padding-top: .5rem;
  border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
.published tbody tr.last > * { padding-bottom: .5rem; }
.published tbody:first-of-type tr.first > * { border-top: none; }
.published .ours > * { font-weight: 650; }
.published .by > * { font-size: .9em; opacity: .8; }
.published .label { font-weight: 600; vertical-align: top; }
.scroll { overflow-x: auto; }
@media (max-width: 640px) { .published { font-size: .85rem; }
  .published th, .published td { padding: .15rem .4rem; } }
</style>"""


# ---- the three tables --------------------------------------------------------------------------


def tables_part() -> None:
    page.question(
        "The report trained with settings that its text does not mention. Which column changes "
        "most when its equations are followed to the letter?"
    )
    with page.control_box():
        setting = controls.control("setting")
    place = st.empty()
    if not server.warm_up().tensorflow_is_here():
        with place.container():
            tables(setting, {})
        server.wait_for_tensorflow()
    with place.container():
        tables_with_this_machine(setting)
    page.answer(change_words())
    with st.expander("Reproduce it", icon=":material/replay:"):
        st.code(f"python -m pages.lab report --setting {setting}", language="bash", wrap_lines=True)
        st.download_button(
            "Recorded numbers",
            json.dumps(report.recorded(setting)),
            f"report-{setting}.json",
            "application/json",
            icon=":material/download:",
            on_click="ignore",
            key="download_report",
        )


def tables_with_this_machine(setting: str) -> None:
    """The tables, with the rows of this machine's own trainings as they come."""
    wanted = {column: report.config(column, setting, SEED) for column in report.COLUMNS}
    checksum = server.data().checksum
    if trainings.wished("run_report"):
        trainings.submit(wanted.values())
    if trainings.wished("stop_report"):
        trainings.stop(config.key(checksum) for config in wanted.values())
    found = {column: trainings.find(config) for column, config in wanted.items()}
    found = {column: each for column, each in found.items() if each is not None}
    machine_controls(setting, found)

    def draw() -> None:
        for column, each in found.items():
            if each.status in trainings.LIVE:
                trainings.progress(each, METHODS[column].title)
        tables(setting, found)

    trainings.follow(list(found.values()), draw, key="report_tables")


def tables(setting: str, found: dict[str, Experiment]) -> None:
    """The three tables with what this machine has so far."""
    recorded = report.recorded(setting)
    live = report.tables({column: live_column(each) for column, each in found.items()})
    both = list(zip(report.tables(recorded["columns"]), live, strict=True))
    tabs = st.tabs([one.name for one, _ in both])
    for tab, pair in zip(tabs, both, strict=True):
        with tab:
            st.html(TABLE_STYLE + table_html(*pair))
            st.caption(
                f"Recorded: {report.footer(recorded)} ± is half the range over the seeds."
                + (UNIT if pair[0].name != "Fig 2" else "")
            )
            if pair[0].name == "Fig 1" and server.warm_up().tensorflow_is_here():
                charts.show(
                    charts.curves(
                        loss_rows(recorded),
                        "epoch",
                        "loss",
                        "Epoch",
                        "Loss, the report's unit",
                        points=True,
                    ),
                    recorded_caption(recorded, "bands: the seeds"),
                    key="loss_per_epoch",
                )


UNIT = (
    " Loss is the report's: the sum of the batch means over the number of images. Times 64, the "
    "batch size, it is the mean loss."
)


def live_column(experiment: Experiment) -> dict[str, list]:
    """A column of a reproduction as far as this training has come."""
    now, run = experiment.snapshot(), experiment.run
    over = run is not None and run.test_accuracy is not None
    return {
        "loss": [[epoch.report_loss for epoch in now.epochs]],
        "accuracy": [run.test_accuracy] if over else [],
        "seconds": [run.seconds] if over else [],
    }


def machine_controls(setting: str, found: dict[str, Experiment]) -> None:
    """The button that fills in this machine's rows, or what came of it."""
    if server.data().name != "MNIST":
        st.caption(f"This machine has {server.data_words()}: its numbers cannot be the report's.")
    status = [each.status for each in found.values()]
    with st.container(horizontal=True, vertical_alignment="center"):
        if any(one in trainings.LIVE for one in status):
            trainings.button("Stop", "stop_report", icon=":material/stop:")
        elif len(status) == len(report.COLUMNS) and set(status) <= {"finished", "diverged"}:
            st.badge("Live", icon=":material/memory:", color="green")
            st.caption(same_words(setting, found))
        else:
            trainings.button(
                "Run on this machine", "run_report", icon=":material/play_arrow:", type="primary"
            )
            st.caption(
                f"Five trainings with seed {SEED}: some minutes. You may leave the page meanwhile."
            )
    trainings.keeping()


def same_words(setting: str, found: dict[str, Experiment]) -> str:
    """Whether this machine gave the recorded run of the same seed again."""
    if server.data().checksum != report.recorded(setting)["data"]["checksum"]:
        return f"This machine, seed {SEED}, on other images than the recorded ones."
    columns = report.recorded(setting)["columns"]
    off = max(
        abs(ours - theirs)
        for column, each in found.items()
        for ours, theirs in zip(
            live_column(each)["loss"][0], columns[column]["loss"][0], strict=False
        )
    )
    who = f"This machine, seed {SEED}. Its losses"
    if off < 1e-6:
        return f"{who} are those of the recorded seed {SEED} to the last digit printed."
    return f"{who} differ from those of the recorded seed {SEED} by at most {_short(off)}."


def table_html(recorded: report.Table, own: report.Table) -> str:
    """One of the report's tables: published, recorded, the difference, and this machine's."""
    head = "".join(
        f'<th scope="col" style="--method: {theme.color(name)}">'
        f"{html.escape(METHODS[name].title)}</th>"
        for name in recorded.columns
    )
    body = ""
    for (label, cells), (_, mine) in zip(recorded.rows, own.rows, strict=True):
        rows = [("Published", "", [cell.words(cell.published) for cell in cells])]
        rows += _with_difference("Recorded", cells)
        if any(cell.values for cell in mine):
            rows += _with_difference("This machine", mine)
        body += "<tbody>"
        for index, (kind, style, texts) in enumerate(rows):
            style += " first" * (index == 0) + " last" * (index == len(rows) - 1)
            body += f'<tr class="{style.strip()}">'
            if not index:
                body += f'<th scope="rowgroup" class="label" rowspan="{len(rows)}">{label}</th>'
            body += f'<th scope="row">{kind}</th>'
            body += "".join(f"<td>{text}</td>" for text in texts) + "</tr>"
        body += "</tbody>"
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{recorded.name}">'
        f'<table class="published"><caption>{recorded.name}. {html.escape(recorded.title)}'
        f"</caption><thead><tr><td></td><td></td>{head}</tr></thead>"
        f"{body}</table></div>"
    )


def _with_difference(whose: str, cells: Sequence[report.Cell]) -> list[tuple[str, str, list[str]]]:
    """Two rows: these numbers, and how far they are from the published ones."""
    return [
        (whose, "ours", [cell.ours for cell in cells]),
        ("difference", "by", [cell.words(cell.difference, signed=True) for cell in cells]),
    ]


def loss_rows(recorded: dict[str, Any]) -> list[dict[str, Any]]:
    """The loss of each epoch: its mean, lowest and highest over the seeds."""
    rows = []
    for method in METHOD_COLUMNS:
        seeds = np.array(recorded["columns"][method]["loss"])
        for epoch, values in enumerate(seeds.T, start=1):
            rows.append(
                {
                    "method": method,
                    "epoch": epoch,
                    "loss": float(values.mean()),
                    "low": float(values.min()),
                    "high": float(values.max()),
                }
            )
    return rows


def change_words() -> str:
    """What following the equations changes, from both recorded settings."""
    gaps = {
        method: report.gap(
            *(
                [100 * one for one in report.recorded(setting)["columns"][method]["accuracy"]]
                for setting in ("as-written", "as-run")
            )
        )
        for method in METHOD_COLUMNS
    }
    most = max(gaps, key=lambda method: abs(gaps[method].difference))
    others = [f"{METHODS[m].title} {_points(gaps[m].difference)}" for m in gaps if m != most]
    beyond = "more" if gaps[most].real else "no more"
    return (
        "What the equations change, from the runs “as run” to those “as written”: "
        f"{METHODS[most].title} {_points(gaps[most].difference)} of test accuracy, {beyond} than "
        f"the {gaps[most].spread:.2f} points that seeds differ. The others: {', '.join(others)}."
    )


def _points(value: float) -> str:
    return f"{value:+.2f} points".replace("-", "−")


def _short(value: float) -> str:
    """A difference in as few characters as tell its size: 0.03, 1.5e-3, 0."""
    return controls.number(float(f"{value:.1e}"))


def _signed(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")


# ---- own ops against the library's -------------------------------------------------------------


def library_part() -> None:
    page.question(
        "The same formula, the same numbers, written from basic ops and taken from the library. "
        "Will they differ by nothing, by rounding, or by more? And which side is closer to the "
        "truth?"
    )
    with page.control_box():
        first = st.container(horizontal=True, vertical_alignment="bottom")
        with first:
            numbers = controls.control("numbers")
            defaults = controls.control("defaults")
        for column, name in zip(st.columns(3), ("batch", "eps", "seed"), strict=True):
            with column:
                controls.control(name)
        quantity = controls.control("quantity")
    server.wait_for_tensorflow()
    batch, epsilon, seed = (controls.get(name) for name in ("batch", "eps", "seed"))
    with turns.let_others():
        rows = compare(server.data().checksum, numbers, batch, epsilon, seed, defaults)
    what = charts.caption_for(
        "batch", "eps", "seed", data="" if numbers == "digits" else "Random numbers"
    )
    charts.show(
        charts.dots(pair_rows(rows, quantity), f"Largest difference in {quantity}"),
        f"Live: {what}. Each side's error is its distance from its own formula in "
        "float64. Marks at the left edge are 0.",
        key="library_dots",
    )
    with st.expander("Every quantity, and milliseconds", icon=":material/table:"):
        st.dataframe(every_row(rows), hide_index=True, key="library_table")
    page.answer(pair_words(rows, quantity, defaults))
    source.show_source(*library_sources(), label="Both sides of batch norm")

    st.subheader("Fig 3: does it matter to a training?", anchor=False)
    recorded = report.recorded(controls.control("setting"))
    left, right = st.columns(2)
    steps = curve_steps(recorded["columns"]["batch"]["curve"]["loss"][0], recorded)
    with left:
        charts.show(
            charts.curves(
                [
                    {"method": method, "step": step, "loss": loss}
                    for method in ("batch", "tf_batch")
                    for step, loss in zip(
                        steps, recorded["columns"][method]["curve"]["loss"][0], strict=True
                    )
                ],
                "step",
                "loss",
                "Step",
                "Loss",
                log=True,
            ),
            recorded_caption(recorded, f"mean of {report.CURVE_EVERY} steps", one_seed=True),
            key="library_losses",
        )
    with right:
        charts.show(
            charts.curves(
                [
                    {"method": "Difference", "step": step, "difference": max(value, 1e-9)}
                    for step, value in zip(steps, recorded["loss_difference"], strict=True)
                ],
                "step",
                "difference",
                "Step",
                "Difference of the losses",
                log=True,
            ),
            recorded_caption(recorded, f"the largest of {report.CURVE_EVERY} steps", one_seed=True),
            key="library_difference",
        )
    page.answer(training_words(recorded))


@st.cache_data(max_entries=16, show_spinner="Comparing with TensorFlow and Keras.")
def compare(checksum: str, numbers: str, batch: int, epsilon: float, seed: int, defaults: bool):
    """Own ops against the library's (`pages.lab.reference.compare`), as plain dictionaries."""
    from dataclasses import asdict

    from normlib.cnn import SmallCNN
    from pages.lab import reference

    net = SmallCNN(seed=seed)
    with server.experiments().interactive():
        if numbers == "digits":
            x = net.forward(server.data().train_images[:batch], training=False)["conv"]
        else:
            x = np.random.default_rng(seed).standard_normal((batch, 28, 28, 30))
        rows = reference.compare(
            x, net.conv_kernel(), epsilon=epsilon, library_defaults=defaults, seed=seed
        )
    return [asdict(row) for row in rows]


def pair_label(row: dict[str, Any]) -> str:
    where = row["own_settings"].split(", epsilon")[0]
    names = f"{row['own']} · {row['library']}"
    return f"{names} ({where})" if where.startswith("over") else names


def own_name(quantity: str, row: dict[str, Any]) -> str:
    """What this quantity is called in this row: weight norm has v and g for x and gamma."""
    if "dv" in row["differences"]:
        return {"dx": "dv", "dgamma": "dg"}.get(quantity, quantity)
    return quantity


def pair_rows(rows: list[dict[str, Any]], quantity: str) -> list[dict[str, Any]]:
    tidy = []
    for row in rows:
        name = own_name(quantity, row)
        if name in row["differences"]:
            for series, values in (
                ("between the two", row["differences"]),
                ("own ops' error", row["own_errors"]),
                ("library's error", row["library_errors"]),
            ):
                tidy.append({"label": pair_label(row), "series": series, "value": values[name]})
    return tidy


def every_row(rows: list[dict[str, Any]]):
    columns = []
    for row in rows:
        one = {
            "own": row["own"],
            "own settings": row["own_settings"],
            "library": row["library"],
            "library's settings": row["library_settings"],
            "own ms": f"{row['own_milliseconds']:.1f}",
            "library's ms": f"{row['library_milliseconds']:.1f}",
        }
        for name, difference in row["differences"].items():
            one[name] = _short(difference)
            one[f"{name}: own error"] = _short(row["own_errors"][name])
            one[f"{name}: library's error"] = _short(row["library_errors"][name])
        columns.append(one)
    return charts.frame(columns).fillna("")


def pair_words(rows: list[dict[str, Any]], quantity: str, defaults: bool) -> str:
    """What the dots say of this quantity."""
    named = [(row, own_name(quantity, row)) for row in rows]
    named = [(row, name) for row, name in named if name in row["differences"]]
    widest, name = max(named, key=lambda pair: pair[0]["differences"][pair[1]])
    text = (
        f"The largest difference in {quantity} is {_short(widest['differences'][name])} "
        f"({pair_label(widest)})."
    )
    rounding = max(max(r["own_errors"][n], r["library_errors"][n]) for r, n in named)
    if defaults:
        factor = widest["differences"][name] / rounding if rounding else float("inf")
        return text + (
            f" Rounding explains {_short(rounding)} at most: two things of the same name differ by "
            f"{factor:,.0f} times that, because epsilon, momentum and axes are not the same."
            if factor > 2
            else " For this quantity the defaults change no more than rounding does."
        )
    closer = sum(r["own_errors"][n] < r["library_errors"][n] for r, n in named)
    level = sum(r["own_errors"][n] == r["library_errors"][n] for r, n in named)
    return text + (
        f" It is rounding: neither side is further than {_short(rounding)} from float64. The own "
        f"ops are closer to the truth in {closer} of {len(named)} pairs, the library in "
        f"{len(named) - closer - level}, and {level} are level."
    )


def library_sources():
    from normlib import normalize
    from pages.lab import reference

    return normalize.batch_norm, normalize.standardize, reference.tf_batch_norm


def training_words(recorded: dict[str, Any]) -> str:
    """How far the two trainings part, and whether it matters."""
    own, library = (recorded["columns"][method] for method in ("batch", "tf_batch"))
    first = abs(own["first_losses"][0] - library["first_losses"][0])
    steps = curve_steps(recorded["loss_difference"], recorded)[-1]
    between = report.gap(*([100 * one for one in side["accuracy"]] for side in (own, library)))
    verdict = (
        "more than seeds differ"
        if between.real
        else f"less than the {between.spread:.2f} points that seeds differ"
    )
    return (
        f"From the same weights and batches the losses differ by {_short(first)} at step 1 and by "
        f"at most {_short(max(recorded['loss_difference']))} in {steps:,} steps: rounding that "
        "each step hands on to the next. The test accuracies end "
        f"{abs(between.difference):.2f} points apart, {verdict}."
    )


# ---- batch against layer -----------------------------------------------------------------------


def layer_part() -> None:
    page.question(
        "Batch norm or layer norm: which one learns faster on this small convolutional network, "
        "and what does each cost per step?"
    )
    with page.control_box():
        setting = controls.control("setting")
    server.wait_for_tensorflow()
    recorded = report.recorded(setting)
    methods = ("none", "batch", "layer")
    charts.show(
        charts.curves(
            accuracy_rows(recorded, methods),
            "step",
            "accuracy",
            "Step",
            f"Accuracy on the last {report.ACCURACY_WINDOW} batches",
            percent=True,
            y_range=(SHOWN_FROM, 1.0),
        ),
        recorded_caption(recorded, "bands: the seeds"),
        key="convergence",
    )
    none, batch, layer = report.convergence(recorded, methods)
    st.table(convergence_table((none, batch, layer)), border="horizontal")
    st.caption(
        "Recorded. Steps and accuracy are means over the seeds. A step's time is that of the "
        f"fastest fifty in a row, trained alone ({recorded['machine'].rpartition(', ')[0]})."
    )
    page.answer(
        "\n".join(
            f"- {sentence}"
            for sentence in (
                *(report.speed_words(batch, layer, level) for level in report.LEVELS),
                *(report.speed_words(one, none, report.LEVELS[-1]) for one in (batch, layer)),
                report.accuracy_words(batch, layer),
                report.cost_words(batch, none),
                report.cost_words(layer, none),
            )
        )
    )
    st.caption(
        "The layer-norm paper (Ba, Kiros and Hinton, 2016, section 6.7) itself found batch norm "
        "ahead in convolutional networks, where the units of a layer have very different roles."
    )


def accuracy_rows(recorded: dict[str, Any], methods) -> list[dict]:
    """Accuracy over the steps: mean, lowest and highest seed, from where all are in the picture."""
    rows = []
    for method in methods:
        seeds = recorded["columns"][method]["curve"]["accuracy"]
        by_step = zip(*seeds, strict=True)
        for step, values in zip(curve_steps(seeds[0], recorded), by_step, strict=True):
            if None not in values and min(values) >= SHOWN_FROM:
                rows.append(
                    {
                        "method": method,
                        "step": step,
                        "accuracy": float(np.mean(values)),
                        "low": min(values),
                        "high": max(values),
                    }
                )
    return rows


def convergence_table(found) -> Any:
    return charts.frame(
        {
            "": [METHODS[each.method].title for each in found],
            **{
                f"Steps to {level:.0%}": [_steps(each.mean_steps(level)) for each in found]
                for level in report.LEVELS
            },
            "Test accuracy": [f"{np.mean(each.accuracy):.2%}" for each in found],
            "Per step": [f"{each.milliseconds:.1f} ms" for each in found],
        }
    ).set_index("")


def _steps(mean: float | None) -> str:
    return "never" if mean is None else f"{mean:,.0f}"


# ---- why weight norm lost ----------------------------------------------------------------------


def weight_part() -> None:
    published = report.PUBLISHED
    page.question(
        f"Weight norm came last in the report: {published['weight'].accuracy:.2%}, below no "
        f"normalization at all ({published['none'].accuracy:.2%}). Look at its thirty filters "
        "after training. What happened?"
    )
    server.wait_for_tensorflow()
    run, written = (report.recorded(setting) for setting in ("as-run", "as-written"))
    kernels = [kernel_of(recorded) for recorded in (run, written)]
    for column, title, recorded, kernel in zip(
        st.columns(2, gap="large"),
        ("As the report ran it: constant kernel", "As its equations say: v and g trained"),
        (run, written),
        kernels,
        strict=True,
    ):
        with column:
            st.markdown(f"**{title}**")
            charts.show_images(
                charts.filter_grid(kernel, 6, 9),
                f"{recorded_caption(recorded, one_seed=True)}. Blue negative, orange positive; "
                f"weights from {_signed(kernel.min())} to {_signed(kernel.max())}.",
                f"Thirty 5 by 5 filters, {distinct(kernel)} of them different.",
                width="stretch",
            )
    rows = [
        row | {"method": name}
        for name, recorded, method in (
            ("none", run, "none"),
            (theme.CONSTANT_KERNEL, run, "weight"),
            ("weight", written, "weight"),
        )
        for row in accuracy_rows(recorded, [method])
    ]
    charts.show(
        charts.curves(
            rows,
            "step",
            "accuracy",
            "Step",
            f"Accuracy on the last {report.ACCURACY_WINDOW} batches",
            percent=True,
            y_range=(SHOWN_FROM, 1.0),
        ),
        recorded_caption(run, "bands: the seeds", setting=""),
        key="weight_accuracy",
    )
    page.answer(weight_words(run, written, *kernels))
    if st.button("Open the report's weight norm on Train", icon=":material/play_circle:"):
        open_on_train(report.config("weight", "as-run"))
    source.show_source(*kernel_sources(), formula=METHODS["weight"].formula)


def open_on_train(config: TrainConfig) -> None:
    """Go to the Train page with the settings of this training."""
    for name, setting in controls.CONTROLS.items():
        if setting.config_field:
            controls.put(name, getattr(config, setting.config_field))
    st.switch_page(page.ROOT / page.PAGES["train"].file)


def kernel_of(recorded: dict[str, Any]) -> np.ndarray:
    """The filters of the weight-norm column, (5, 5, 1, 30)."""
    return np.moveaxis(np.array(recorded["filters"]), 0, -1)[:, :, None, :]


def distinct(kernel: np.ndarray) -> int:
    """How many of the filters differ."""
    return len(np.unique(kernel.reshape(-1, kernel.shape[-1]).T, axis=0))


def weight_words(run, written, constant: np.ndarray, trained: np.ndarray) -> str:
    """What the filters and the accuracies say together."""
    accuracy = {
        name: [100 * one for one in recorded["columns"][method]["accuracy"]]
        for name, recorded, method in (
            ("constant", run, "weight"),
            ("trained", written, "weight"),
            ("none", run, "none"),
        )
    }
    mean = {name: float(np.mean(values)) for name, values in accuracy.items()}
    between = report.gap(accuracy["trained"], accuracy["none"])
    if not between.real:
        place = "level with no normalization"
    else:
        place = f"{'above' if between.difference > 0 else 'below'} no normalization"
    start = constant.size**-0.5
    moved = float(np.abs(constant - start).max())
    still = "still" if moved < 1e-4 else "no longer"
    return (
        f"The report's column has {_different(constant)}: every weight is {still} "
        f"1/√{constant.size} = {start:.4f}, where it began. v and g were constants over the whole "
        f"kernel and never trained, so {mean['constant']:.2f}% is what two layers learn behind "
        f"one fixed blur.\n\nWith v and g trained it has {_different(trained)} and "
        f"{mean['trained']:.2f}%, {place}: {mean['none']:.2f}%, {_points(between.difference)} "
        f"apart, and seeds alone differ by {between.spread:.2f}."
    )


def _different(kernel: np.ndarray) -> str:
    count = distinct(kernel)
    return (
        f"{count} different filters" if count > 1 else f"the same filter {kernel.shape[-1]} times"
    )


def kernel_sources():
    from normlib import layers, normalize

    return layers.constant_kernel, layers.WeightNorm, normalize.weight_norm


# ---- what all parts share ----------------------------------------------------------------------


def recorded_caption(
    recorded: dict[str, Any], more: str = "", one_seed: bool = False, setting: str = "said"
) -> str:
    seeds = recorded["seeds"][:1] if one_seed else recorded["seeds"]
    parts = [
        f"Recorded: {recorded['data']['name']}",
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}",
        f"{recorded['epochs']} epochs",
        report.SETTINGS[recorded["setting"]].lower() if setting else "",
        more,
    ]
    return " · ".join(part for part in parts if part)


def curve_steps(curve: list, recorded: dict[str, Any]) -> list[int]:
    every = recorded["curve"]["every"]
    return [every * (index + 1) for index in range(len(curve))]


PARTS = {"tables": tables_part, "library": library_part, "layer": layer_part, "weight": weight_part}

with turns.take():
    page.set_up("report")
    PARTS[controls.control("part", label_visibility="collapsed")]()
