"""One deep network after another, trained here by each method."""

from __future__ import annotations

import streamlit as st

from pages.components import charts, controls, page
from pages.lab import comparison, words
from pages.lab.experiment import LIVE
from pages.lessons.compare import curves
from pages.lessons.compare.answer import verdict
from pages.lessons.depth_lab import common

OPTIONS = {
    "None": lambda seen: not seen["learned"],
    "Batch and layer norm only": lambda seen: (
        seen["learned"] == {"batch", "layer"} != seen["shown"]
    ),
    "All": lambda seen: seen["learned"] == seen["shown"],
    "Others": lambda seen: seen["learned"] not in (set(), {"batch", "layer"}, seen["shown"]),
}


def QUESTION() -> str:
    layers = words.count(controls.get("depth"), "layer")
    return f"{layers}, the same start and the same batches: which networks learn?"


def show() -> None:
    with page.control_box():
        columns = st.columns([1, 1, 1.8, 1, 0.9], vertical_alignment="bottom")
        for name, column in zip(("depth", "sigma", "residual", "lr"), columns, strict=False):
            controls.control(name, column)
    main = st.container(gap="xsmall")
    with page.control_box("more"), page.more_settings():
        first, second = st.columns([3, 1])
        with first:
            methods = page.methods_control()
        controls.control("seed", second)
    found = common.ask(common.configs(methods), columns[-1])
    with main:
        if not found:
            with page.picture():
                st.markdown("Nothing on screen yet. Press **Train**, and the curves grow here.")
                charts.get_ready()
            return
        curves.watch({method: [one] for method, one in found.items()})
        ended = {
            method: [one.run]
            for method, one in found.items()
            if one.run is not None and one.status not in LIVE
        }
        if len(ended) == len(found):
            page.answer(verdict(ended), learned=comparison.survivors(ended), shown=set(ended))
