"""Why weight norm lost: its filters never learned."""

from __future__ import annotations

import numpy as np
import streamlit as st

from normlib.config import TrainConfig
from pages.components import charts, controls, image_grids, page, source, theme
from pages.lab import report
from pages.lab.latex import FORMULAS
from pages.lab.words import minus, percent, points

SHOWN = {
    "as-run": "As the report ran it: constant kernel",
    "as-written": "As its equations say: v and g trained",
}


def QUESTION() -> str:
    weight, none = (percent(report.PUBLISHED[name].accuracy, 2) for name in ("weight", "none"))
    return (
        f"Weight norm came last in the report: {weight}, below no normalization at all ({none}). "
        "Look at its thirty filters after training. What happened?"
    )


def show() -> None:
    run, written = (report.recorded(setting) for setting in SHOWN)
    kernels = [report.kernel(recorded) for recorded in (run, written)]
    for column, heading, recorded, kernel in zip(
        st.columns(2, gap="large"), SHOWN.values(), (run, written), kernels, strict=True
    ):
        with column:
            st.markdown(f"**{heading}**")
            least, most = (minus(f"{value:.4f}") for value in (kernel.min(), kernel.max()))
            image_grids.show(
                image_grids.filters(kernel, 6, 9),
                f"{report.caption(recorded, seeds=1)}. Blue negative, orange positive; weights "
                f"from {least} to {most}.",
                f"Thirty 5 by 5 filters, {report.distinct(kernel)} of them different.",
                width="stretch",
            )
    rows = [
        row | {"method": name}
        for name, recorded, method in (
            ("none", run, "none"),
            (theme.CONSTANT_KERNEL, run, "weight"),
            ("weight", written, "weight"),
        )
        for row in report.accuracy_rows(recorded, [method])
    ]
    charts.show(
        charts.curves(
            rows,
            *("step", "accuracy", "Step", f"Accuracy on the last {report.ACCURACY_WINDOW} batches"),
            percent=True,
            y_range=(report.SHOWN_FROM, 1.0),
        ),
        report.caption(run, "bands: the seeds", setting=False),
        key="weight_accuracy",
    )
    page.answer(answer(*kernels))
    if st.button("Open the report's weight norm on Train", icon=":material/play_circle:"):
        open_on_train(report.config("weight", "as-run"))

    from normlib import layers, normalize

    source.show_source(
        layers.constant_kernel,
        layers.WeightNorm,
        normalize.weight_norm,
        formula=FORMULAS["weight"],
    )


def open_on_train(config: TrainConfig) -> None:
    """Go to the Train page with the settings of this training."""
    for name, setting in controls.CONTROLS.items():
        if setting.config_field:
            controls.put(name, getattr(config, setting.config_field))
    st.switch_page(page.ROOT / page.PAGES["train"].file)


def answer(constant: np.ndarray, trained: np.ndarray) -> str:
    """What the filters and the accuracies say together."""
    run, written = (report.recorded(setting) for setting in SHOWN)
    none = report.column(run, "none")
    with_constant, with_trained = (report.column(one, "weight") for one in (run, written))
    columns = (with_constant, with_trained, none)
    means = [percent(report.mean_accuracy(column), 2) for column in columns]
    found = report.accuracy_verdict(with_trained, none)
    still = "still" if report.moved(constant) < 1e-4 else "no longer"
    return (
        f"The report's column has {different(constant)}: every weight is {still} "
        f"1/√{constant.size} = {constant.size**-0.5:.4f}, where it began. v and g were constants "
        f"over the whole kernel and never trained, so {means[0]} is what two layers learn behind "
        f"one fixed blur.\n\nWith v and g trained it has {different(trained)} and {means[1]}, "
        f"against {means[2]} with no normalization: {points(found.mean)}, {found.settled}."
    )


def different(kernel: np.ndarray) -> str:
    number = report.distinct(kernel)
    if number == 1:
        return f"the same filter {kernel.shape[-1]} times"
    return f"{number} different filters"
