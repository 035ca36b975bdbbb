"""Why weight norm lost: its filters never learned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from normlib.config import TrainConfig
from pages.components import charts, controls, image_grids, page, source, theme
from pages.lab import report
from pages.lab.latex import FORMULAS
from pages.lab.verdict import Verdict
from pages.lab.words import minus, percent, points

OPTIONS = page.options_of("filters")


def QUESTION() -> str:
    weight, none = (percent(report.PUBLISHED[name].accuracy, 2) for name in ("weight", "none"))
    return (
        f"Weight norm came last in the report: {weight}, below none at all ({none}). Whose fault?"
    )


def show() -> None:
    with page.control_box():
        recorded = report.recorded(controls.control("setting"))
    setting = recorded["setting"]
    kernels = {one: report.kernel(report.recorded(one)) for one in report.SETTINGS}
    kernel, limit = kernels[setting], max(float(np.abs(one).max()) for one in kernels.values())
    chart = charts.curves(
        [
            row | {"method": name}
            for name, method in (
                ("none", "none"),
                (theme.CONSTANT_KERNEL if setting == "as-run" else "weight", "weight"),
            )
            for row in report.accuracy_rows(recorded, [method])
        ],
        *("step", "accuracy", "Step", f"Accuracy on the last {report.ACCURACY_WINDOW} batches"),
        percent=True,
        y_range=(report.SHOWN_FROM, 1.0),
    )
    counted = f"Thirty 5 by 5 filters, {report.distinct(kernel)} of them different."
    weights = f"{kernel.size} weights"
    panels = (image_grids.filters(kernel, limit), *chart.panels)
    ends = dict.fromkeys(minus(f"{value:.4f}") for value in (kernel.min(), kernel.max()))
    charts.show(
        charts.Chart(panels, f"{counted} {chart.summary}", chart.table),
        f"{report.caption(recorded, 'bands: the seeds')}. Left: weight norm's thirty filters after "
        f"training with seed {recorded['seeds'][0]}, {weights}, {' to '.join(ends)}.",
        key="weight_story",
        main=True,
        widths=(2, 3),
    )
    found = lead()
    page.answer(answer(kernels), lead=found.mean, settled=found.differs)
    st.caption(f"{report.ABOUT} A pair is two trainings with the same seed.")
    if st.button("Open the report's weight norm on Train", icon=":material/play_circle:"):
        open_on_train(report.config("weight", "as-run"))

    from normlib import layers, normalize

    source.show_source(
        layers.constant_kernel,
        layers.WeightNorm,
        normalize.weight_norm,
        formula=FORMULAS["weight"],
    )


def lead() -> Verdict:
    """Trained weight norm against no normalization, in points of test accuracy."""
    written = report.recorded("as-written")
    return report.accuracy_verdict(*(report.column(written, one) for one in ("weight", "none")))


def open_on_train(config: TrainConfig) -> None:
    """Go to the Train page with the settings of this training."""
    for name, setting in controls.CONTROLS.items():
        if setting.config_field:
            controls.put(name, getattr(config, setting.config_field))
    st.switch_page(page.ROOT / page.PAGES["train"].file)


def answer(kernels: Mapping[str, np.ndarray]) -> str:
    """What the filters and the accuracies say together."""
    constant, trained = kernels["as-run"], kernels["as-written"]
    with_constant, with_trained, none = (
        percent(report.mean_accuracy(report.column(report.recorded(setting), method)), 2)
        for setting, method in (("as-run", "weight"), ("as-written", "weight"), ("as-run", "none"))
    )
    still = "still" if report.moved(constant) < 1e-4 else "no longer"
    return (
        f"As the report ran it, the convolution has {different(constant)}: every weight is {still} "
        f"1/√{constant.size}, because v and g were constants and only "
        f"the biases and the two layers after it were trained. They reach {with_constant}. With v "
        f"and g trained it has {different(trained)} and {with_trained}, against {none} with no "
        f"normalization: {points(lead().mean)}, {lead().settled}."
    )


def different(kernel: np.ndarray) -> str:
    number = report.distinct(kernel)
    if number == 1:
        return f"the same filter {kernel.shape[-1]} times"
    return f"{number} different filters"
