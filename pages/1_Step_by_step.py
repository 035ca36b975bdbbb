"""A small table of numbers, every step of every method, and the arithmetic of one cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import streamlit as st

from normlib.config import METHODS
from pages.components import charts, controls, number_table, page, server, source, theme, turns
from pages.components.charts import Chart
from pages.components.number_table import GAP
from pages.lab import arithmetic as steps

FEATURES = 3
MARGIN = 0.75  # for the names of rows, in cells
EXAMPLES = (1, 2, 3, 4)
ON_TABLE = ("batch", "layer", "rms", "weight")
ON_CONVOLUTION = ("batch", "layer", "group", "instance", "rms")
GROUPS = 2
CONVOLUTION = (3, 2, 2, 4)  # N, H, W, C
QUESTIONS = {
    "table": "Change one number of the table. Which results change with it: "
    "those in its row, those in its column, or all?",
    "weight": "Double every number of v. How does the kernel w change?",
    "convolution": "A convolution gives one number per example, position and channel. "
    "Which of them does your method average together?",
    "relu": "ReLU turns every negative number into 0. "
    "How many of these numbers does it cut before, and how many after normalizing?",
    "undo": "Normalizing takes away the mean and the spread. Can γ and β give both back?",
}
PRESETS = {
    "default": "Default",
    "outlier": "One outlier",
    "constant": "Constant column",
    "one": "Batch of one",
}
SPECIAL_COLUMN = {"outlier": "2", "constant": "3", "zero": "2"}
KERNEL_PRESETS = {
    "two": "Two inputs",
    "doubled": "v doubled",
    "four": "Four inputs",
    "zero": "One v is 0",
}


# ---- controls ----------------------------------------------------------------------------------


def method_of(offered: Sequence[str]) -> str:
    """The method control, and a sentence where a link asks for one that this view has not."""
    asked = controls.get("method")
    if asked not in offered:
        st.info(
            f"{METHODS[asked].title} has no steps in this view, so it shows "
            f"{METHODS[offered[0]].title.lower()}."
        )
    return controls.control("method", choices=offered)


def preset_buttons(name: str, titles: dict[str, str], tables: dict[str, str]) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        for preset, title in titles.items():
            st.button(
                title, key=f"{name}_{preset}", on_click=take_preset, args=(name, preset, tables)
            )


def take_preset(name: str, preset: str, tables: dict[str, str]) -> None:
    """Put the numbers in, and look at the column that they are about."""
    controls.put(name, tables[preset])
    if preset in SPECIAL_COLUMN:
        controls.put("column", SPECIAL_COLUMN[preset])
        number_table.forget_click()


def caption_of(x: np.ndarray, method: str) -> str:
    """What a picture of the table is of."""
    epsilon = controls.number(controls.get("eps"))
    examples = f"{x.shape[0]} example{'s' * (x.shape[0] != 1)}"
    return f"{examples} × {x.shape[1]} features · {METHODS[method].title} · ε {epsilon}"


# ---- the table ---------------------------------------------------------------------------------


def show_table() -> None:
    with page.control_box():
        first, second, third, fourth = st.columns([1.2, 1.4, 1, 1])
        with first:
            method = method_of(ON_TABLE)
        if method != "weight":
            with second:
                epsilon = controls.control("eps")
            with third:
                gamma = controls.control("gamma", step=0.1)
            with fourth:
                beta = controls.control("beta", step=0.1, disabled=method == "rms")
    if method == "weight":
        show_weights()
        return
    left, right = st.columns([1.1, 2.5], gap="medium")
    with left:
        x = number_table.edit("x", EXAMPLES, FEATURES, "Example", "Feature")
        preset_buttons("x", PRESETS, steps.TABLES)
    row, column = number_table.choose(*x.shape)
    seen = taken_apart(method, x, gamma, beta, epsilon, row)
    with right:
        chart, widths = steps_chart(seen, (row, column))
        caption = caption_of(x, method)
        charts.show(
            chart,
            caption,
            number_table.chart_key("steps"),
            widths=widths,
            on_select=number_table.take_click,
        )
    show_arithmetic(steps.written_out(seen, (row, column)))
    page.answer(table_answer(seen, (row, column), gamma, beta))
    show_code(method)


def taken_apart(method, x, gamma, beta, epsilon, example) -> steps.Steps:
    """The steps with the gamma and beta of the sliders, or those that undo the normalization."""
    seen = steps.normalization_steps(method, x, gamma, beta, epsilon)
    if controls.get("affine") == "undo":
        return steps.normalization_steps(method, x, *steps.undoing(seen, example), epsilon)
    return seen


def steps_chart(seen: steps.Steps, cell: tuple[int, int]) -> tuple[Chart, list[float]]:
    """x with its statistics where they belong, x_hat, and z with its gamma and beta."""
    lit, color = seen.shares(cell), theme.color(seen.method)
    rows, columns = seen.x.shape
    features = [f"F{number + 1}" for number in range(columns)]
    heads = number_table.labels(features, left=MARGIN)
    examples = [f"E{number + 1}" for number in range(rows)]
    names = number_table.labels(examples, top=1, down=True, width=MARGIN)
    titles = ("mean sq.", "root") if seen.method == "rms" else ("mean", "var.", "root")
    every = {"mean": seen.mean, "var.": seen.variance, "mean sq.": seen.variance, "root": seen.root}
    below = seen.method == "batch"
    own = [
        *heads,
        *names,
        *number_table.cells(seen.x, left=MARGIN, lit=lit, chosen=cell),
    ]
    width = MARGIN + columns + (0 if below else GAP + len(titles))
    for index, title in enumerate(titles):
        if below:
            top = 1 + rows + GAP + index
            own += number_table.labels([title], top=top, width=MARGIN)
            own += number_table.cells(every[title][:1], top=top, left=MARGIN, lit=lit[:1], names={})
        else:
            left = MARGIN + columns + GAP + index
            own += number_table.labels([title], left=left)
            own += number_table.cells(every[title][:, :1], left=left, lit=lit[:, :1], names={})
    middle, last = (
        [*heads, *names, *number_table.cells(values, left=MARGIN, lit=lit, chosen=cell)]
        for values in (seen.x_hat, seen.z)
    )
    only = np.zeros((1, columns), bool)
    only[0, cell[1]] = True
    parameters = {"γ": seen.gamma} if seen.method == "rms" else {"γ": seen.gamma, "β": seen.beta}
    for index, (title, values) in enumerate(parameters.items()):
        top = 1 + rows + GAP + index
        last += number_table.labels([title], top=top, width=MARGIN)
        last += number_table.cells(values[:1], top=top, left=MARGIN, lit=only, names={})
    height = 1 + rows + GAP + 3
    narrow = MARGIN + columns
    panels = (
        number_table.panel("x and its statistics", own, (height, width), color),
        number_table.panel("x̂", middle, (height, narrow), color),
        number_table.panel(
            "z = γ x̂" if seen.method == "rms" else "z = γ x̂ + β", last, (height, narrow), color
        ),
    )
    table = [
        {
            "example": row + 1,
            "feature": column + 1,
            "averaged with the chosen cell": bool(lit[row, column]),
            **{
                name: float(getattr(seen, name)[row, column])
                for name in ("x", "mean", "variance", "root", "x_hat", "z")
            },
        }
        for row, column in np.ndindex(seen.x.shape)
    ]
    summary = (
        f"{METHODS[seen.method].title} on {rows} examples of {columns} features. "
        f"{int(lit.sum())} cells are lit, those averaged with example {cell[0] + 1}, "
        f"feature {cell[1] + 1}: x = {steps.shown(seen.x[cell])}, "
        f"x̂ = {steps.shown(seen.x_hat[cell])}, "
        f"z = {steps.shown(seen.z[cell])}."
    )
    return Chart(panels, summary, charts.frame(table)), [width, narrow, narrow]


def show_arithmetic(lines: Sequence[steps.Written]) -> None:
    """The arithmetic of the chosen cell, in two columns where there is room."""
    half = 2 if len(lines) > 3 else 1
    with st.container(key="arithmetic"):
        parts = (lines[:half], lines[half:])
        for column, part in zip(st.columns([3, 2] if half == 2 else 2), parts, strict=True):
            with column:
                for line in part:
                    st.latex(line.latex)


def table_answer(seen: steps.Steps, cell: tuple[int, int], gamma: float, beta: float) -> str:
    lit = seen.shares(cell)
    count = int(lit.sum())
    spread = float(np.ptp(seen.x[lit]))
    name = f"example {cell[0] + 1}, feature {cell[1] + 1}"
    if seen.method != "rms" and (count == 1 or spread == 0):
        why = (
            "is averaged with nothing but itself"
            if count == 1
            else f"equals the other {count - 1} lit numbers"
        )
        text = (
            f"The number of {name} {why}: it is its own mean, the variance is 0, x̂ is "
            f"{steps.shown(seen.x_hat[cell])} and z is β = {steps.shown(seen.beta[cell])}, "
            "whatever x is. "
            f"Only ε keeps the root at {steps.shown(seen.root[cell])} and away from 0."
        )
        if seen.x.shape[0] == 1 and seen.method == "batch":
            text += " So batch norm learns nothing from a batch of one; layer norm does not mind."
        return text
    moved = seen.x.copy()
    moved[cell] += 1
    again = steps.normalization_steps(seen.method, moved, seen.gamma, seen.beta, seen.epsilon)
    changed = np.abs(again.z - seen.z) > 1e-9 * max(1.0, float(np.abs(seen.z).max()))
    where = "its column" if seen.method == "batch" else "its row"
    roots = steps.shown(abs(seen.x_hat[cell]), 3)
    side = "above" if seen.x_hat[cell] > 0 else "below"
    distance = f"x lies {roots} roots {side} the mean of the {count} lit numbers. "
    if seen.method == "rms":
        distance = f"x is {roots} roots {side} 0, where the root is over the {count} lit numbers. "
    return (
        f"{distance}Adding 1 to the x of {name} changes {int(changed.sum())} of the {seen.z.size} "
        f"z: "
        f"{'only' if not changed[~lit].any() else 'not only'} those in {where}. "
        f"{METHODS[seen.method].title} has {seen.sets} "
        f"{'mean squares' if seen.method == 'rms' else 'means'} here, each over {count} numbers."
    )


def show_code(method: str, averaged: str = "") -> None:
    """The functions that calculated what is on screen, next to the formula.

    averaged: which numbers share a mean, in words; those of a table where not given.
    """
    from normlib import normalize

    if method == "weight":
        functions = (normalize.weight_norm, normalize.direction)
    else:
        functions = (normalize.standardize, normalize.average, normalize.scale_shift)
    source.show_source(*functions, formula=METHODS[method].formula)
    if method != "weight":
        on_table = (
            "all examples of one feature" if method == "batch" else "all features of one example"
        )
        does = "takes the mean square over" if method == "rms" else "averages"
        st.caption(
            "All methods but weight norm run these three functions. "
            f"{METHODS[method].title} {does} {averaged or on_table}."
        )


# ---- weight norm -------------------------------------------------------------------------------


def show_weights() -> None:
    left, right = st.columns([1.1, 2.5], gap="medium")
    with left:
        v = number_table.edit("v", (2, 4), FEATURES, "Input", "Output")
        g = number_table.edit("g", (1,), FEATURES, "g", "Output")[0]
        preset_buttons("v", KERNEL_PRESETS, steps.KERNELS)
    cell = number_table.choose(*v.shape, "Input", "Output")
    seen = steps.weight_norm_steps(v, g)
    if controls.get("affine") == "undo":
        seen = steps.weight_norm_steps(v, seen.norm)
    with right:
        chart, widths = weight_chart(seen, cell)
        caption = f"A kernel of {v.shape[0]} inputs × {v.shape[1]} outputs · Weight norm"
        charts.show(
            chart,
            caption,
            number_table.chart_key("weights"),
            widths=widths,
            on_select=number_table.take_click,
        )
    show_arithmetic(steps.written_weight(seen, cell))
    length = float(np.linalg.norm(seen.w[:, cell[1]]))
    doubled = steps.weight_norm_steps(2 * v, seen.g)
    change = float(np.abs(doubled.w - seen.w).max())
    if not v[:, cell[1]].any():
        page.answer(
            f"The v of output {cell[1] + 1} is 0 and has no direction: its w is 0, "
            f"and g = {steps.shown(seen.g[cell[1]])} has nothing to stretch. So that nothing is "
            f"divided by 0, {steps.shown(seen.divisor[cell[1]])} stands for its length there."
        )
    else:
        page.answer(
            f"Output {cell[1] + 1}: ‖v‖ = {steps.shown(seen.norm[cell[1]])} is divided away, and "
            f"‖w‖ = {steps.shown(length)} is |g|. Doubling every v changes "
            f"{f'w by at most {change:.0e}' if change else 'no w'}: only the direction of v counts."
        )
    show_code("weight")


def weight_chart(seen: steps.WeightSteps, cell: tuple[int, int]) -> tuple[Chart, list[float]]:
    rows, columns = seen.v.shape
    lit = np.zeros(seen.v.shape, bool)
    lit[:, cell[1]] = True
    color = theme.color("weight")
    outputs = [f"O{number + 1}" for number in range(columns)]
    heads = [
        *number_table.labels(outputs, left=1),
        *number_table.labels([f"I{number + 1}" for number in range(rows)], top=1, down=True),
    ]
    size = (1 + rows + GAP + 2, 1 + columns)
    below = 1 + rows + GAP
    own = [*heads, *number_table.cells(seen.v, lit=lit, chosen=cell)]
    for index, (title, values) in enumerate((("‖v‖", seen.norm), ("g", seen.g))):
        own += number_table.labels([title], top=below + index)
        own += number_table.cells(values, top=below + index, lit=lit[:1], names={})
    panels = [
        number_table.panel("v, ‖v‖ and g", own, size, color),
        number_table.panel(
            "w = g v / ‖v‖",
            [*heads, *number_table.cells(seen.w, lit=lit, chosen=cell)],
            size,
            color,
        ),
    ]
    if rows == 2:
        arrows = [
            {
                "series": f"{name}{number + 1}",
                "x": float(values[0, number]),
                "y": float(values[1, number]),
            }
            for number in range(columns)
            for name, values in (("v", seen.v), ("w", seen.w))
            if values[:, number].any()
        ]
        panels.append(number_table.arrows("Arrows: v thin, w thick", arrows, thick="w"))
    table = [
        {
            "input": row + 1,
            "output": column + 1,
            "v": float(seen.v[row, column]),
            "‖v‖": float(seen.norm[column]),
            "g": float(seen.g[column]),
            "w": float(seen.w[row, column]),
        }
        for row, column in np.ndindex(seen.v.shape)
    ]
    lengths = ", ".join(steps.shown(float(norm)) for norm in seen.norm)
    summary = (
        f"Weight norm of {columns} outputs. The lengths of v are {lengths}; those of w are "
        f"{', '.join(steps.shown(float(one)) for one in np.linalg.norm(seen.w, axis=0))}."
    )
    return Chart(tuple(panels), summary, charts.frame(table)), [1, 1, 1.5][: len(panels)]


# ---- a convolution -----------------------------------------------------------------------------


def show_convolution() -> None:
    with page.control_box():
        first, second, third = st.columns([1.2, 1.4, 1.2], vertical_alignment="bottom")
        with first:
            method = method_of(ON_CONVOLUTION)
        with second:
            epsilon = controls.control("eps")
        with third:
            seed = controls.control("seed", label="Seed of the numbers")
    examples, height, width, channels = CONVOLUTION
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 10, CONVOLUTION).astype(float)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        options = {"on_change": number_table.forget_click}
        row = controls.control("row", choices=number_table.counted(examples), **options)
        at = controls.control("at", **options)
        column = controls.control(
            "column", label="Channel", choices=number_table.counted(channels), **options
        )
    h, w = divmod(int(at) - 1, width)
    cell = (int(row) - 1, h, w, int(column) - 1)
    seen = steps.normalization_steps(method, x, epsilon=epsilon, groups=GROUPS)
    lit = seen.shares(cell)
    panels = tuple(
        convolution_panel(title, values, lit, cell, theme.color(method))
        for title, values in (("x", seen.x), ("x̂", seen.x_hat))
    )
    names = ("example", "row", "column", "channel")
    table = [
        {name: number + 1 for name, number in zip(names, index, strict=True)}
        | {
            "averaged with the chosen cell": bool(lit[index]),
            "x": float(x[index]),
            "x_hat": float(seen.x_hat[index]),
        }
        for index in np.ndindex(x.shape)
    ]
    place = controls.CONTROLS["at"].choices[at].lower()
    count = int(lit.sum())
    summary = (
        f"{METHODS[method].title} on {examples} examples, {height} × {width} positions and "
        f"{channels} channels: {count} of {x.size} cells are lit, those averaged with "
        f"example {row}, {place}, channel {column}."
    )
    caption = (
        f"E example, C channel, each block {height} × {width} positions · "
        f"{METHODS[method].title} · ε {controls.number(epsilon)} · seed {seed}"
    )
    charts.show(
        Chart(panels, summary, charts.frame(table)),
        caption,
        number_table.chart_key("convolution"),
        on_select=number_table.take_click,
    )
    page.answer(
        f"{METHODS[method].title} averages {averaged_words(method)}: "
        f"{count} numbers share the mean {steps.shown(seen.mean[cell])}. "
        f"There are {seen.sets} such sets in these {x.size} numbers."
        if method != "rms"
        else f"RMS norm divides {averaged_words(method)} by one root: {count} numbers share "
        f"{steps.shown(seen.root[cell])}, and no mean is subtracted. There are {seen.sets} such "
        "sets."
    )
    show_arithmetic(steps.written_out(seen, cell))
    st.subheader("All methods on these numbers", anchor=False)
    every = [
        steps.normalization_steps(one, x, epsilon=epsilon, groups=GROUPS) for one in ON_CONVOLUTION
    ]
    st.table(
        [
            {
                "Method": METHODS[one.method].title,
                "Averages": averaged_words(one.method),
                "Numbers in one set": one.x.size // one.sets,
                "Sets": one.sets,
            }
            for one in every
        ],
        hide_index=True,
    )
    show_code(method, averaged_words(method))


def averaged_words(method: str) -> str:
    if method == "group":
        return f"all positions of one group of {CONVOLUTION[-1] // GROUPS} channels of one example"
    return METHODS["layer" if method == "rms" else method].averages


def convolution_panel(title, values, lit, cell, color):
    """One block of positions for each example (down) and channel (across)."""
    examples, height, width, channels = values.shape
    rows = []
    for n in range(examples):
        top = 1 + n * (height + GAP)
        rows += number_table.labels([f"E{n + 1}"], top=top + (height - 1) / 2)
        for c in range(channels):
            left = 1 + c * (width + GAP)
            if n == 0:
                rows += number_table.labels([f"C{c + 1}"], left=left + (width - 1) / 2)
            rows += number_table.cells(
                values[n, :, :, c],
                top=top,
                left=left,
                lit=lit[n, :, :, c],
                chosen=cell[1:3] if (n, c) == (cell[0], cell[3]) else None,
                names={
                    (h, w): f"{n + 1},{h * width + w + 1},{c + 1}"
                    for h, w in np.ndindex(height, width)
                },
            )
    size = (1 + examples * (height + GAP), 1 + channels * (width + GAP))
    return number_table.panel(title, rows, size, color)


# ---- ReLU --------------------------------------------------------------------------------------


def show_relu() -> None:
    with page.control_box():
        first, second, third = st.columns(3)
        with first:
            method = method_of(("batch", "layer", "rms"))
        with second:
            gamma = controls.control("gamma", step=0.1)
        with third:
            beta = controls.control("beta", step=0.1, disabled=method == "rms")
    x = number_table.table_of("x", EXAMPLES, FEATURES)
    row = min(int(controls.get("row")), len(x)) - 1
    seen = taken_apart(method, x, gamma, beta, controls.get("eps"), row)
    stages = {"x": seen.x, "x̂": seen.x_hat, "z = γ x̂ + β": seen.z}
    table = [
        {"stage": stage, "value": float(value), "after ReLU": max(0.0, float(value))}
        for stage, values in stages.items()
        for value in values.ravel()
    ]
    cut = {stage: int((values < 0).sum()) for stage, values in stages.items()}
    panels = tuple(
        number_table.relu(f"{stage}: {cut[stage]} of {x.size} cut", values.ravel())
        for stage, values in stages.items()
    )
    summary = "Below zero, and cut by ReLU: " + ", ".join(
        f"{count} of {x.size} {stage}" for stage, count in cut.items()
    )
    caption = caption_of(x, method)
    charts.show(Chart(panels, summary + ".", charts.frame(table)), caption, "relu")
    page.answer(relu_answer(seen, cut))
    with st.expander("The numbers come from this table", icon=":material/table:"):
        number_table.edit("x", EXAMPLES, FEATURES, "Example", "Feature")
        preset_buttons("x", PRESETS, steps.TABLES)
    show_code(method)


def relu_answer(seen: steps.Steps, cut: dict[str, int]) -> str:
    x_cut, hat_cut, z_cut = cut.values()
    size = seen.x.size
    text = (
        f"ReLU cuts {x_cut} of the {size} numbers x, {hat_cut} of the normalized x̂ "
        f"and {z_cut} of the z. "
    )
    if seen.method != "rms" and np.ptp(seen.gamma) == 0 and np.ptp(seen.beta) == 0:
        gamma, beta = float(seen.gamma.flat[0]), float(seen.beta.flat[0])
        if gamma:
            share = 0.5 * (1 + math.erf(-beta / abs(gamma) / math.sqrt(2)))
            text += (
                f"Of a bell curve with mean β = {steps.shown(beta)} and spread |γ| = "
                f"{steps.shown(abs(gamma))}, it would cut {share:.0%}. "
            )
    dead = [f"feature {number + 1}" for number in np.flatnonzero((seen.z <= 0).all(axis=0))]
    if dead:
        be = "is" if len(dead) == 1 else "are"
        text += f"After ReLU {' and '.join(dead)} {be} 0 for every example. "
    return text + "β decides how much is cut: the network can learn it."


# ---- gamma and beta ----------------------------------------------------------------------------


def show_undo() -> None:
    with page.control_box():
        first, second, third, fourth = st.columns([1.1, 1.6, 1, 1])
        with first:
            method = method_of(ON_TABLE)
        with second:
            undo = controls.control("affine", label="g" if method == "weight" else "") == "undo"
        if method != "weight" and not undo:
            with third:
                gamma = controls.control("gamma", step=0.1)
            with fourth:
                beta = controls.control("beta", step=0.1, disabled=method == "rms")
        else:
            gamma, beta = controls.get("gamma"), controls.get("beta")
    if method == "weight":
        show_weights()
        return
    x = number_table.table_of("x", EXAMPLES, FEATURES)
    row = min(int(controls.get("row")), len(x)) - 1
    seen = taken_apart(method, x, gamma, beta, controls.get("eps"), row)
    difference = np.abs(seen.z - seen.x)
    back = difference <= 1e-9 * max(1.0, float(np.abs(x).max()))
    color = theme.color(method)
    heads = [
        *number_table.labels([f"F{number + 1}" for number in range(FEATURES)], left=1),
        *number_table.labels([f"E{number + 1}" for number in range(len(x))], top=1, down=True),
    ]
    size = (1 + len(x) + GAP + 2, 1 + FEATURES)
    below = 1 + len(x) + GAP
    last = [*heads, *number_table.cells(seen.z, lit=back)]
    for index, (title, values) in enumerate((("γ", seen.gamma), ("β", seen.beta))):
        if title == "γ" or method != "rms":
            last += number_table.labels([title], top=below + index)
            last += number_table.cells(values[:1], top=below + index, names={})
    panels = (
        number_table.panel("x", [*heads, *number_table.cells(seen.x)], size, color),
        number_table.panel("x̂, normalized", [*heads, *number_table.cells(seen.x_hat)], size, color),
        number_table.panel("z = γ x̂ + β; lit: equals x", last, size, color),
    )
    table = [
        {
            "example": index[0] + 1,
            "feature": index[1] + 1,
            **{
                name: float(getattr(seen, name)[index])
                for name in ("x", "x_hat", "gamma", "beta", "z")
            },
        }
        for index in np.ndindex(x.shape)
    ]
    summary = f"{int(back.sum())} of {x.size} z equal their x."
    caption = caption_of(x, method)
    charts.show(Chart(panels, summary, charts.frame(table)), caption, "undo")
    st.button(
        "Set γ = 1, β = 0" if undo else "Undo: set γ = root, β = mean",
        icon=":material/undo:",
        type="primary",
        key="undo_button",
        on_click=_set_affine,
        args=(not undo,),
    )
    page.answer(undo_answer(seen, back, float(difference.max()), undo, row))
    show_code(method)


def _set_affine(undo: bool) -> None:
    controls.put("affine", "undo" if undo else "own")
    if not undo:
        controls.put("gamma", 1.0)
        controls.put("beta", 0.0)


def undo_answer(seen, back, largest: float, undo: bool, example: int) -> str:
    count = int(back.sum())
    if not undo:
        return (
            f"{count} of {back.size} z equal their x. γ and β are learned: "
            "nothing stops them from becoming the root and the mean."
        )
    if back.all():
        return (
            "With γ = root and β = mean every z is its x again, but for "
            f"{largest:.0e} of rounding. So normalizing takes no function away; "
            "it only makes another one the easiest to start from."
        )
    if seen.method == "batch":
        return f"{count} of {back.size} z equal their x; the largest difference is {largest:.2g}."
    return (
        f"Only {count} of {back.size} z equal their x. "
        f"{METHODS[seen.method].title} has a root per example, and γ and β are per feature: here "
        f"they are those of example {example + 1}, and no setting gives back all examples at once."
    )


VIEWS = {
    "table": show_table,
    "convolution": show_convolution,
    "relu": show_relu,
    "undo": show_undo,
}

with turns.take():
    page.set_up("steps")
    view = controls.control("show", label_visibility="collapsed")
    kernel = controls.get("method") == "weight" and view in ("table", "undo")
    page.question(QUESTIONS["weight" if kernel else view])
    server.wait_for_tensorflow()
    VIEWS[view]()
