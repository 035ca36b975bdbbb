"""The lab's own ops against TensorFlow's and Keras's: the same numbers, and does it matter?"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import charts, controls, page, server, source, turns
from pages.lab import library, report
from pages.lab.words import points, rounded

if TYPE_CHECKING:
    from pages.lab.reference import Comparison

QUESTION = (
    "The same formula, the same numbers, written from basic ops and taken from the library. Will "
    "they differ by nothing, by rounding, or by more? And which side is closer to the truth?"
)
_ONE_AT_A_TIME = threading.Lock()  # a comparison takes hundreds of megabytes for a moment


def show() -> None:
    with page.control_box():
        with st.container(horizontal=True, vertical_alignment="bottom"):
            numbers = controls.control("numbers")
            defaults = controls.control("defaults")
        for column, name in zip(st.columns(3), ("batch", "eps", "seed"), strict=True):
            with column:
                controls.control(name)
        quantity = controls.control("quantity")
    batch, epsilon, seed = (controls.get(name) for name in ("batch", "eps", "seed"))
    with turns.let_others():
        pairs = compare(server.data().checksum, numbers, batch, epsilon, seed, defaults)
    data = "" if numbers == "digits" else "Random numbers"
    charts.show(
        charts.dots(library.rows(pairs, quantity), f"Largest difference in {quantity}"),
        f"Live: {charts.caption_for('batch', 'eps', 'seed', data=data)}. Each side's error is its "
        "distance from its own formula in float64. Marks at the left edge are 0.",
        key="library_dots",
    )
    with st.expander("Every quantity, and milliseconds", icon=":material/table:"):
        table = charts.frame(library.every_row(pairs)).fillna("")
        st.dataframe(table, hide_index=True, key="library_table")
    page.answer(answer(library.found(pairs, quantity), quantity, defaults))

    from normlib import normalize
    from pages.lab import reference

    shown = (normalize.batch_norm, normalize.standardize, reference.tf_batch_norm)
    source.show_source(*shown, label="Both sides of batch norm")
    in_training()


@st.cache_resource(max_entries=16, show_spinner="Comparing with TensorFlow and Keras.")
def compare(
    checksum: str, numbers: str, batch: int, epsilon: float, seed: int, defaults: bool
) -> list[Comparison]:
    """The lab's ops against the library's, on the data with this checksum or on random numbers."""
    images = server.data().train_images if numbers == "digits" else None
    with _ONE_AT_A_TIME:
        return library.compare(images, batch, seed, epsilon=epsilon, library_defaults=defaults)


def answer(found: library.Found, quantity: str, defaults: bool) -> str:
    """What the dots say of this quantity."""
    rounding = rounded(found.rounding, 2)
    text = (
        f"The largest difference in {quantity} is {rounded(found.difference, 2)} ({found.widest})."
    )
    if not defaults:
        other = found.count - found.closer - found.level
        return (
            f"{text} It is rounding: neither side is further than {rounding} from float64. The own "
            f"ops are closer to the truth in {found.closer} of {found.count} pairs, the library in "
            f"{other}, and {found.level} are level."
        )
    if found.difference > 2 * found.rounding:
        return (
            f"{text} Rounding explains {rounding} at most: two things of the same name differ by "
            f"{found.difference / found.rounding:,.0f} times that, because epsilon, momentum and "
            "axes are not the same."
        )
    return f"{text} For this quantity the defaults change no more than rounding does."


def in_training() -> None:
    """Fig 3: the two trainings, recorded."""
    st.subheader("Fig 3: does it matter to a training?", anchor=False)
    recorded = report.recorded(controls.control("setting"))
    every = report.CURVE_EVERY
    losses = [
        {"method": method, "step": step, "loss": loss}
        for method in ("batch", "tf_batch")
        for step, loss in report.at_steps(recorded, recorded["columns"][method]["curve"]["loss"][0])
    ]
    largest = recorded["loss_difference"]
    differences = [
        {"method": "Difference", "step": step, "difference": max(value, 1e-9)}
        for step, value in report.at_steps(recorded, largest)
    ]
    left, right = st.columns(2)
    with left:
        chart = charts.curves(losses, "step", "loss", "Step", "Loss", log=True)
        caption = report.caption(recorded, f"mean of {every} steps", seeds=1)
        charts.show(chart, caption, "library_losses")
    with right:
        axes = ("step", "difference", "Step", "Difference of the losses")
        caption = report.caption(recorded, f"the largest of {every} steps", seeds=1)
        charts.show(charts.curves(differences, *axes, log=True), caption, "library_difference")
    own, of_library = (report.column(recorded, method) for method in ("batch", "tf_batch"))
    first = abs(own["first_losses"][0] - of_library["first_losses"][0])
    found = report.accuracy_verdict(own, of_library)
    page.answer(
        f"From the same weights and batches the losses differ by {rounded(first, 2)} at step 1 and "
        f"by at most {rounded(max(largest), 2)} in {every * len(largest):,} steps: rounding that "
        "each step hands on to the next. The test accuracies end "
        f"{points(found.mean)} apart on average, {found.settled}.",
        part="training",
    )
