"""The gradient of a normalization: in three terms, checked in four ways, and while training."""

from __future__ import annotations

import numpy as np
import streamlit as st

from normlib.config import METHODS, TrainConfig
from pages.components import (
    charts,
    controls,
    number_table,
    page,
    server,
    source,
    theme,
    trainings,
    turns,
)
from pages.components.charts import Chart
from pages.components.number_table import GAP
from pages.lab import arithmetic as steps
from pages.lab import backward as backward_steps

FEATURES = 3
EXAMPLES = (1, 2, 3, 4)
WALK_STEPS = 200
RATES = (1.0, 3.0, 10.0)  # times the learning rate
CHECKED = {
    "batch": (3, 2, 2, 4),
    "layer": (3, 2, 2, 4),
    "group": (3, 2, 2, 4),
    "instance": (3, 2, 2, 4),
    "rms": (3, 2, 2, 4),
    "weight": (3, 3, 2, 4),
}
GROUPS = 2
CONSTANTS = "statistics as constants"
QUESTIONS = {
    "terms": "The loss would rise if every z grew by the same amount (dz: All 1). "
    "How far does that move x?",
    "weight": "Gradient descent takes step after step on v. Does ‖v‖ shrink, stay or grow?",
    "check": "Plant a mistake: treat mean and root as constants. "
    "Which gradients still pass the check: γ's, β's, x's?",
    "training": "Which method has the largest gradients, and do they shrink while the loss does?",
    "bias": "A convolution adds a bias, and then batch norm subtracts the mean. "
    "How large is the bias's gradient?",
}


# ---- three terms -------------------------------------------------------------------------------


def show_terms() -> None:
    with page.control_box():
        first, second, third = st.columns([1.1, 2.2, 1.6])
        with first:
            method = controls.control("method", choices=("batch", "layer", "rms"))
        with second:
            kind = controls.control("dz")
        with third:
            constants = controls.control("mistake", choices=("none", CONSTANTS)) == CONSTANTS
    x = number_table.table_of("x", EXAMPLES, FEATURES)
    epsilon, gamma = controls.get("eps"), controls.get("gamma")
    picture = st.container()
    row, column = number_table.choose(*x.shape)
    cell = (row, column)
    forward = steps.normalization_steps(method, x, gamma, 0.0, epsilon)
    dz = backward_steps.incoming(kind, forward, cell, controls.get("seed"))
    seen = backward_steps.backward_steps(method, x, dz, gamma, epsilon, constants)
    with picture:
        caption = (
            f"The table of {x.shape[0]} × {x.shape[1]} of Step by step · {METHODS[method].title} · "
            f"ε {controls.number(epsilon)} · γ {controls.number(gamma)}"
        )
        if kind == "random":
            caption += f" · dz from seed {controls.get('seed')}"
        charts.show(
            terms_chart(seen, cell),
            caption,
            number_table.chart_key("terms"),
            widths=[1, 1, 1.5],
            on_select=number_table.take_click,
        )
    lines = backward_steps.written_backward(seen, cell)
    st.latex(
        r"\begin{aligned}"
        + r"\\[6pt]".join(line.latex.replace("=", "&=", 1) for line in lines)
        + r"\end{aligned}"
    )
    page.answer(terms_answer(seen, cell, kind, constants))
    from normlib import gradients

    formula = (
        r"dx = \frac{1}{r}\left(\gamma\,dz - \overline{\gamma\,dz} "
        r"- \hat{x}\;\overline{\gamma\,dz\,\hat{x}}\right)"
    )
    if method == "rms":
        formula = (
            r"dx = \frac{1}{r}\left(\gamma\,dz - \hat{x}\;\overline{\gamma\,dz\,\hat{x}}\right)"
        )
    source.show_source(gradients.backward_terms, formula=formula)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("The bar over a product is its mean over the lit cells. Another x:")
        page.link("steps", label="Edit the table")


def terms_chart(seen: backward_steps.BackwardSteps, cell: tuple[int, int]) -> Chart:
    forward = seen.forward
    lit, color = forward.shares(cell), theme.color(forward.method)
    rows, columns = forward.x.shape
    heads = [
        *number_table.labels([f"F{number + 1}" for number in range(columns)], left=1),
        *number_table.labels([f"E{number + 1}" for number in range(rows)], top=1, down=True),
    ]
    size = (1 + rows, 1 + columns)
    floor = 1e-13 * float(np.abs(seen.direct).max() or 1.0)
    dx = np.where(np.abs(seen.dx) < floor, 0.0, seen.dx)
    bars = [("direct", seen.direct[cell])]
    if forward.method != "rms":
        bars.append(("through the mean", seen.through_mean[cell]))
    bars += [("through the root", seen.through_root[cell]), ("dx, their sum", seen.dx[cell])]
    bars = [(label, 0.0 if abs(value) < floor else float(value)) for label, value in bars]
    terms = (seen.direct, seen.through_mean, seen.through_root, seen.dx)
    reach = max(float(np.abs(term[lit]).max()) for term in terms)
    panels = (
        number_table.panel(
            "dz, what comes in",
            [*heads, *number_table.cells(seen.dz, lit=lit, chosen=cell)],
            size,
            color,
        ),
        number_table.panel(
            "dx, what goes out",
            [*heads, *number_table.cells(dx, lit=lit, chosen=cell)],
            size,
            color,
        ),
        number_table.signed_bars(f"dx of E{cell[0] + 1}, F{cell[1] + 1}", bars, reach, ""),
    )
    table = [
        {
            "example": index[0] + 1,
            "feature": index[1] + 1,
            "averaged with the chosen cell": bool(lit[index]),
            "x_hat": float(forward.x_hat[index]),
            "dz": float(seen.dz[index]),
            "direct": float(seen.direct[index]),
            "through the mean": float(seen.through_mean[index]),
            "through the root": float(seen.through_root[index]),
            "dx": float(seen.dx[index]),
        }
        for index in np.ndindex(forward.x.shape)
    ]
    words = ", ".join(f"{label} {steps.shown(value)}" for label, value in bars)
    summary = f"Example {cell[0] + 1}, feature {cell[1] + 1}: {words}."
    return Chart(panels, summary, charts.frame(table))


def terms_answer(seen, cell, kind: str, constants: bool) -> str:
    forward = seen.forward
    lit = forward.shares(cell)
    count, largest = int(lit.sum()), float(np.abs(seen.direct[lit]).max())
    total = float(seen.dx[lit].sum())
    reached = float(np.abs(seen.dx[lit]).max())
    if not largest:
        return f"No dz of the {count} lit cells is other than 0, and so is every dx."
    if constants:
        right = backward_steps.backward_steps(
            forward.method, forward.x, seen.dz, forward.gamma, forward.epsilon
        )
        wanted = steps.shown(_clean(right.dx[cell], largest))
        return (
            f"With mean and root taken for constants only the direct term is left: dx is "
            f"{steps.shown(seen.dx[cell])} where {wanted} is right. "
            "The z on screen would be the same, and no error message says so."
        )
    text = (
        f"The direct term {steps.shown(seen.direct[cell], 3)} is answered by "
        + (
            f"{steps.shown(_clean(seen.through_mean[cell], largest), 3)} through the mean and "
            if forward.method != "rms"
            else ""
        )
        + f"{steps.shown(_clean(seen.through_root[cell], largest), 3)} through the root: "
        f"dx is {steps.shown(_clean(seen.dx[cell], largest), 3)}. "
    )
    if reached < 1e-5 * largest:
        wish = {"equal": "A common shift", "along": "A common stretch"}.get(kind, "Such a change")
        return text + (
            f"{wish} of the {count} lit z cannot be had by moving x: normalizing takes it away "
            f"again, and the largest dx there is {steps.shown(reached, 3)}: rounding."
        )
    if forward.method != "rms":
        text += f"The {count} lit dx add up to {steps.shown(_clean(total, largest), 2)}; "
    else:
        text += "RMS norm subtracts no mean and has no term for it; "
    along = _clean(float((seen.dx * forward.x_hat)[lit].sum()), largest)
    text += f"multiplied by x̂ they add up to {steps.shown(along, 2)}"
    return text + (", which is 0 but for ε." if 0 < abs(along) < 1e-4 * largest else ".")


def _clean(value: float, scale: float) -> float:
    """0 where only rounding is left."""
    return 0.0 if abs(value) < 1e-13 * scale else float(value)


# ---- weight norm -------------------------------------------------------------------------------


@st.cache_data(max_entries=32, show_spinner=False)
def walked(rates: tuple[float, ...], seed: int) -> backward_steps.Walk:
    return backward_steps.walk(rates, WALK_STEPS, seed)


def show_weight() -> None:
    with page.control_box():
        first, second = st.columns(2)
        with first:
            rate = controls.control("lr")
        with second:
            seed = controls.control("seed", label="Seed of the gradients dw")
    rates = tuple(float(f"{rate * times:.6g}") for times in RATES)
    with turns.let_others():
        walk = walked(rates, seed)
    draws = np.random.default_rng(seed).standard_normal((WALK_STEPS, 2))
    # For the picture the first dw that neither is short nor lies along or across v.
    here = backward_steps.turn((1.0, 0.0), next(dw for dw in draws if np.abs(dw).min() > 0.5))
    left, right = st.columns([1, 1.5], gap="medium")
    with left:
        after = here.v - here.dv
        arrows = [
            {"series": "v", "x": here.v[0], "y": here.v[1], "group": "v"},
            {"series": "v − dv", "x": after[0], "y": after[1], "group": "v − dv"},
            {
                **{"series": "−dw", "x0": here.v[0], "y0": here.v[1], "group": "−dw"},
                **{"x": here.v[0] - here.dw[0], "y": here.v[1] - here.dw[1]},
            },
            {
                **{"series": "−dv", "x0": here.v[0], "y0": here.v[1], "group": "−dv"},
                **{"x": after[0], "y": after[1]},
            },
        ]
        first_norm, next_norm = float(np.linalg.norm(here.v)), float(np.linalg.norm(after))
        chart = Chart(
            (number_table.arrows("One step, learning rate 1", arrows, thick="v", size=270),),
            f"From v = (1, 0) the gradient dw = ({here.dw[0]:.3g}, {here.dw[1]:.3g}) leaves "
            f"dv = ({here.dv[0]:.3g}, {here.dv[1]:.3g}), at a right angle to v. "
            f"‖v‖ goes from {first_norm:.4g} to {next_norm:.4g}.",
            charts.frame(
                [
                    {"arrow": name, "x": float(one[0]), "y": float(one[1])}
                    for name, one in (
                        ("v", here.v),
                        ("dw", here.dw),
                        ("along v", here.along),
                        ("dv", here.dv),
                        ("v − dv", after),
                    )
                ]
            ),
        )
        charts.show(chart, f"g = 1 · seed {seed}", "turn")
    with right:
        rows = [
            {
                "method": f"Rate {controls.number(one)}",
                "step": step,
                "norm": float(walk.norms[step, index]),
            }
            for index, one in enumerate(rates)
            for step in range(0, WALK_STEPS + 1, 2)
        ]
        curve = charts.curves(rows, "step", "norm", "Step", "‖v‖")
        charts.show(curve, f"dw at random, the same for each rate · g = 1 · seed {seed}", "norms")
    growth = float(np.diff(walk.norms, axis=0).min())
    ends = ", ".join(
        f"{walk.norms[-1, index]:.4g} at {controls.number(one)}" for index, one in enumerate(rates)
    )
    first_turns, last_turns = walk.turns[:20, -1].mean(), walk.turns[-20:, -1].mean()
    page.answer(
        f"After {WALK_STEPS} steps ‖v‖ has grown from 1 to {ends}. "
        + (
            f"It never shrank: the smallest change is {growth:.0e}. "
            if growth > -1e-12
            else f"Its smallest change is {growth:.2g}. "
        )
        + f"dv is at a right angle to v (cosine at most {np.abs(walk.cosines).max():.0e}), so each "
        "step is the short side of a triangle and the new v its long side. A longer v turns "
        "less: at "
        f"{controls.number(rates[-1])} by {first_turns:.3g}° a step in the first 20 and by "
        f"{last_turns:.3g}° in the last 20. So weight norm lowers its own learning rate."
    )
    from normlib import gradients

    source.show_source(
        gradients.weight_norm_backward,
        backward_steps.walk,
        formula=r"\begin{gathered} dg = dw \cdot \frac{v}{\lVert v \rVert} \\[4pt] "
        r"dv = \frac{g}{\lVert v \rVert}\left(dw - dg\,\frac{v}{\lVert v \rVert}\right)"
        r"\end{gathered}",
    )


# ---- the four-way check ------------------------------------------------------------------------


@st.cache_data(max_entries=128, show_spinner="Calculating the gradients in four ways.")
def checked(method: str, epsilon: float, mistake: str, seed: int) -> list[dict]:
    """One row per gradient: the largest relative difference of each way from the one by hand."""
    from pages.lab import gradient_check

    x = np.random.default_rng(seed).normal(1.0, 2.0, CHECKED[method])
    planted = None if mistake == "none" else mistake
    found = gradient_check.check(
        method, x, epsilon=epsilon, groups=GROUPS, mistake=planted, seed=seed
    )
    hand, *others = gradient_check.WAYS
    return [
        {"name": row.name, "worst": row.worst} | {way: row.differences[hand, way] for way in others}
        for row in found
    ]


def show_check() -> None:
    from normlib import gradients
    from pages.lab import gradient_check

    with page.control_box():
        first, second, third, fourth = st.columns([1.1, 1.5, 1.5, 1.1])
        with first:
            method = controls.control("method", choices=tuple(CHECKED))
        with second:
            mistakes = ("none", *gradient_check.mistakes(method))
            mistake = controls.control("mistake", choices=mistakes)
        with third:
            epsilon = controls.control("eps", disabled=method == "weight")
        with fourth:
            seed = controls.control("seed")
    with turns.let_others(), server.experiments().interactive():
        rows = checked(method, epsilon, mistake, seed)
    names = {"x": "x", "gamma": "γ", "beta": "β", "v": "v", "g": "g"}
    ways = {
        "tape": "Tape",
        "central differences": "Differences",
        "library": "Keras" if method != "weight" else "TensorFlow",
    }
    st.table(
        [
            {"Gradient of": f"**{names[row['name']]}**"}
            | {title: verdict(row[way], gradient_check.TOLERANCE) for way, title in ways.items()}
            for row in rows
        ],
        hide_index=True,
    )
    shape = " × ".join(map(str, CHECKED[method]))
    st.caption(
        f"How far TensorFlow's tape, central differences and "
        f"{'tf.nn.l2_normalize' if method == 'weight' else 'the layer of Keras'} are from the "
        f"gradient by hand, relative to its largest number. "
        f"✓ up to {tiny(gradient_check.TOLERANCE)}. "
        f"{METHODS[method].title} on {shape} random numbers · "
        f"float64 · ε {controls.minus(controls.number(epsilon))} · seed {seed}"
    )
    page.answer(check_answer(rows, mistake, names, gradient_check.TOLERANCE))
    if method == "weight":
        source.show_source(gradients.weight_norm_backward, label="By hand")
    else:
        functions = (gradients.backward, gradients.backward_terms)
        source.show_source(*functions, label="By hand", key="by_hand")
    if mistake != "none":
        source.show_source(
            gradient_check.mistakes(method)[mistake], label="The planted mistake", key="planted"
        )
    source.show_source(gradient_check.check, label="The check", key="the_check")


def verdict(difference: float, tolerance: float) -> str:
    """The difference with a green check or a red cross."""
    if difference <= tolerance:
        return f":green[:material/check: {tiny(difference)}]"
    return f":red[:material/close: **{controls.minus(f'{difference:.2g}')}**]"


def tiny(value: float) -> str:
    """One digit: 3e−9."""
    return controls.minus(controls.number(float(f"{value:.0e}")))


def check_answer(rows: list[dict], mistake: str, names: dict[str, str], tolerance: float) -> str:
    worst = max(row["worst"] for row in rows)
    right = [names[row["name"]] for row in rows if row["worst"] <= tolerance]
    wrong = [names[row["name"]] for row in rows if not row["worst"] <= tolerance]
    if not wrong:
        return (
            f"All four ways agree on {', '.join(right)}: the largest difference is {tiny(worst)}. "
            + (
                "Now plant a mistake and see which gradients notice."
                if mistake == "none"
                else "No gradient here notices this mistake."
            )
        )
    text = f"The mistake shows in the gradient of {' and '.join(wrong)}, off by up to {worst:.2g}. "
    if right:
        text += (
            f"A check of {' and '.join(right)} alone passes and proves nothing. "
            if set(right) - {"β"}
            else "β never notices: its gradient is the sum of dz, whatever happens to x. "
        )
    central = max(row["central differences"] for row in rows)
    if central <= tolerance:
        text += (
            "Central differences stay right: the layer gives the right values, and only the tape "
            "was told to look away."
        )
    return text


# ---- while training ----------------------------------------------------------------------------


def configs() -> dict[str, TrainConfig]:
    """The training of each method with the settings as they stand."""
    return {
        method: controls.to_train_config(normalization=method) for method in controls.FOUR_METHODS
    }


def show_training() -> None:
    with page.control_box():
        first, second, third = st.columns([1.1, 1.5, 1])
        with first:
            stage = controls.control("stage")
        with second:
            controls.control("lr")
        with third:
            controls.control("seed")
    try:
        wanted = configs()
    except ValueError as error:
        st.warning(str(error))
        return
    if trainings.wished("train_missing"):
        trainings.submit(wanted.values())
    found = {method: trainings.find(config) for method, config in wanted.items()}
    checksum = server.data().checksum
    shipped = {
        method: backward_steps.recorded_norms(config, checksum)
        for method, config in wanted.items()
        if found[method] is None
    }
    shipped = {method: recorded for method, recorded in shipped.items() if recorded}
    missing = [
        method
        for method, one in found.items()
        if method not in shipped
        and (one is None or (one.run is None and one.status not in trainings.LIVE))
    ]
    if missing:
        one = wanted["none"]
        st.markdown(
            f"Not trained yet with these settings: "
            f"{', '.join(METHODS[method].title.lower() for method in missing)}."
        )
        trainings.button(
            f"Train {one.epochs} epochs on {one.train_size:,} images",
            "train_missing",
            icon=":material/play_arrow:",
            type="primary",
        )
    live = [one for one in found.values() if one is not None]
    trainings.follow(live, lambda: draw_training(found, shipped, stage), "gradient_norms")
    from normlib import training_graphs

    source.show_source(training_graphs.Graphs.step, label="The training step that measured it")


def draw_training(found, shipped: dict[str, dict], stage: str) -> None:
    layer = ("conv", "hidden").index(stage)
    rows, names = [], {}
    for method, one in found.items():
        if one is None:
            recorded = shipped.get(method, {})
        elif one.run is not None:
            recorded = one.run.recorded
        else:
            recorded = one.snapshot().recorded
            if one.status in trainings.LIVE:
                trainings.progress(one, METHODS[method].title)
        for step, norms in zip(
            recorded.get("step", ()), recorded.get("gradient_norms", ()), strict=False
        ):
            rows.append({"method": method, "step": step, "norm": max(norms[layer], 1e-12)})
            names.setdefault(method, []).append(norms[layer])
    if not rows:
        return
    settings_words = charts.caption_for("batch", "lr", "epochs", "images", "seed")
    title = controls.CONTROLS["stage"].choices[stage].lower()
    chart = charts.curves(
        rows, "step", "norm", "Step", "Norm of the gradient", log=True, points=True
    )
    origin = " · recorded, comes with the lab" if shipped else ""
    charts.show(
        chart, f"Kernel of the {title} · {settings_words}{origin}{jags_words()}", "norm_curves"
    )
    if len(names) < 2:
        return
    late = {
        method: float(np.median(values[len(values) // 2 :])) for method, values in names.items()
    }
    high, low = max(late, key=late.get), min(late, key=late.get)
    shrunk = [
        METHODS[method].title.lower()
        for method, values in names.items()
        if len(values) > 2 and np.median(values[len(values) // 2 :]) < np.median(values[:3])
    ]
    page.answer(
        f"In the second half the gradient of the {title}'s kernel is largest with "
        f"{METHODS[high].title.lower()} (median {late[high]:.3g}) and smallest with "
        f"{METHODS[low].title.lower()} ({late[low]:.3g}), {late[high] / max(late[low], 1e-12):.2g} "
        f"times less. Smaller than at the start: {', '.join(shrunk) or 'none'}."
    )


def jags_words() -> str:
    """Why the curves are jagged, where each epoch ends with a smaller batch than the others."""
    config = controls.to_train_config()
    count = min(config.train_size, len(server.data().train_images))
    full, rest = divmod(count, config.batch_size)
    if not full or not rest:
        return ""
    return (
        f". Each mark is the gradient of one batch. The last batch of an epoch, of {rest} instead "
        f"of {config.batch_size} images, has a mark of its own beside that of the batch before: "
        f"hence the jag every {full + 1:,} steps."
    )


# ---- the bias ----------------------------------------------------------------------------------


@st.cache_data(max_entries=16, show_spinner="One step of the network for each method.")
def bias_norms(seed: int, checksum: str, _data) -> dict[str, float]:
    config = TrainConfig(seed=seed)
    return backward_steps.bias_gradients(config, _data, controls.FOUR_METHODS)


def show_bias() -> None:
    with page.control_box():
        first, second, third = st.columns([1.1, 1.5, 1])
        with first:
            method = controls.control("method", choices=("batch", "layer"))
        with second:
            bias = controls.control("bias", step=0.5)
        with third:
            seed = controls.control("seed")
    x = number_table.table_of("x", EXAMPLES, FEATURES)
    column = min(int(controls.get("column")), FEATURES) - 1
    epsilon = controls.get("eps")
    moved = x.copy()
    moved[:, column] += bias
    before = steps.normalization_steps(method, x, epsilon=epsilon)
    after = steps.normalization_steps(method, moved, epsilon=epsilon)
    change = np.abs(after.z - before.z)
    same = change <= 1e-12 * max(1.0, float(np.abs(before.z).max()))
    lit = np.zeros(x.shape, bool)
    lit[:, column] = True
    heads = [
        *number_table.labels([f"F{number + 1}" for number in range(FEATURES)], left=1),
        *number_table.labels([f"E{number + 1}" for number in range(len(x))], top=1, down=True),
    ]
    size = (1 + len(x) + (GAP + 1 if method == "batch" else 0), 1 + FEATURES)
    color = theme.color(method)

    def statistics(seen: steps.Steps) -> list[dict]:
        if method != "batch":
            return []
        top = 1 + len(x) + GAP
        own = number_table.cells(seen.mean[:1], top=top, lit=lit[:1], names={})
        return [*number_table.labels(["mean"], top=top), *own]

    panels = (
        number_table.panel(
            "x", [*heads, *number_table.cells(x, lit=lit), *statistics(before)], size, color
        ),
        number_table.panel(
            f"x with {steps.shown(bias)} added to F{column + 1}",
            [*heads, *number_table.cells(moved, lit=lit), *statistics(after)],
            size,
            color,
        ),
        number_table.panel(
            "z; lit: as before", [*heads, *number_table.cells(after.z, lit=same)], size, color
        ),
    )
    table = [
        {
            "example": index[0] + 1,
            "feature": index[1] + 1,
            "x": float(x[index]),
            "x with the bias": float(moved[index]),
            "z": float(before.z[index]),
            "z with the bias": float(after.z[index]),
        }
        for index in np.ndindex(x.shape)
    ]
    summary = f"With the bias {int(same.sum())} of {x.size} z are what they were without."
    caption = f"The table of Step by step · {METHODS[method].title} · ε {controls.number(epsilon)}"
    charts.show(Chart(panels, summary, charts.frame(table)), caption, "bias_table")
    data = server.data()
    with turns.let_others():
        norms = bias_norms(seed, data.checksum, data)
    chart = charts.bars(
        [{"method": one, "value": value} for one, value in norms.items()],
        "Norm of the bias's gradient",
        format=".2~g",
    )
    charts.show(
        chart,
        f"Bias of the convolution, first step · {server.data_words()} · 32 images · float64 · "
        f"seed {seed}",
        "bias_bars",
    )
    largest = float(change.max())
    page.answer(
        f"A bias of {steps.shown(bias)} on feature {column + 1} moves "
        + (
            f"none of the {x.size} z. "
            if same.all()
            else f"{int((~same).sum())} of {x.size} z, the most by {steps.shown(largest, 3)}. "
        )
        + f"In the network the gradient of the convolution's bias is {norms['none']:.2g} without "
        f"normalization and {norms['batch']:.0e} with batch norm: nothing but rounding. "
        f"Batch norm subtracts what the bias adds; its β takes over. "
        f"With layer norm it is {norms['layer']:.2g}: there a bias per channel is no common shift."
    )
    source.show_source(backward_steps.bias_gradients)


VIEWS = {
    "terms": show_terms,
    "weight": show_weight,
    "check": show_check,
    "training": show_training,
    "bias": show_bias,
}

with turns.take():
    page.set_up("backward")
    view = controls.control("pass", label_visibility="collapsed")
    page.question(QUESTIONS[view])
    server.wait_for_tensorflow()
    VIEWS[view]()
