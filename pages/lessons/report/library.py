"""The lab's own ops against TensorFlow's and Keras's: the same numbers, and does it matter?"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import charts, controls, page, server, source, turns
from pages.lab import library, report
from pages.lab.words import count, listed, points, rounded

if TYPE_CHECKING:
    from pages.lab.reference import Comparison

QUESTION = (
    "Own ops and the library's, same formula, same numbers: do they differ by more than rounding?"
)
OPTIONS = {
    "Rounding only, the own ops more exact": lambda seen: seen["rounding"] and seen["lead"] > 0,
    "Rounding only, the library as exact or more": lambda seen: (
        seen["rounding"] and seen["lead"] <= 0
    ),
    "By more than rounding": lambda seen: not seen["rounding"],
}
LOWEST, HIGHEST = 1e-10, {False: 1.0, True: 1e5}  # of the axis, by whether defaults are left alone
SETTINGS = ("numbers", "batch", "eps", "seed")
_ONE_AT_A_TIME = threading.Lock()  # a comparison takes hundreds of megabytes for a moment


def show() -> None:
    with page.control_box(), st.container(horizontal=True, vertical_alignment="bottom"):
        quantity = controls.control("quantity", width="content")
        defaults = controls.control("defaults")
        numbers, batch, epsilon, seed = (controls.get(name) for name in SETTINGS)
        # Beside the controls, where the spinner moves nothing.
        with st.spinner("Comparing", width="content"), turns.let_others():
            pairs = compare(server.data().checksum, numbers, batch, epsilon, seed, defaults)
    data = "" if numbers == "digits" else "Random numbers"
    charts.show(
        charts.dots(
            library.rows(pairs, quantity),
            f"Largest difference in {quantity}",
            x_range=(LOWEST, HIGHEST[defaults]),
        ),
        f"Live: {charts.caption_for('batch', 'eps', 'seed', data=data)}. Each side's error is its "
        "distance from its own formula in float64.",
        key="library_dots",
        main=True,
    )
    found = library.found(pairs, quantity)
    page.answer(
        answer(found, quantity),
        table=[sides(found)],
        rounding=found.difference <= found.rounding,
        lead=2 * found.closer + found.level - found.count,
    )
    with page.more_settings():
        page.control_grid(SETTINGS)
    with st.expander("Every quantity, and milliseconds", icon=":material/table:"):
        table = charts.frame(library.every_row(pairs)).fillna("")
        st.dataframe(table, hide_index=True, key="library_table")
    st.caption(report.ABOUT)

    from normlib import normalize
    from pages.lab import reference

    shown = (normalize.batch_norm, normalize.standardize, reference.tf_batch_norm)
    source.show_source(*shown, label="Both sides of batch norm")
    in_training()


@st.cache_resource(max_entries=16, show_spinner=False)
def compare(
    checksum: str, numbers: str, batch: int, epsilon: float, seed: int, defaults: bool
) -> list[Comparison]:
    """The lab's ops against the library's, on the data with this checksum or on random numbers."""
    images = server.data().train_images if numbers == "digits" else None
    with _ONE_AT_A_TIME:
        return library.compare(images, batch, seed, epsilon=epsilon, library_defaults=defaults)


def sides(found: library.Found) -> dict[str, str]:
    """The pair that differs most: by how much, and how far each side is from float64."""
    names = ("Differs by", "Own ops from float64", "Library from float64", "Both: rounding at most")
    values = (found.difference, found.own_error, found.library_error, found.rounding)
    return {"": found.widest} | dict(zip(names, (rounded(one, 2) for one in values), strict=True))


def answer(found: library.Found, quantity: str) -> str:
    """What the dots say of this quantity."""
    difference, own, theirs = (
        rounded(value, 2) for value in (found.difference, found.own_error, found.library_error)
    )
    text = f"The largest difference in {quantity} is {difference} ({found.widest})"
    if found.difference > found.rounding:
        why = f": the two sides differ in {listed(found.different)}" if found.different else ""
        return (
            f"{text}. That is not rounding, which explains {rounded(found.rounding, 2)} at "
            f"most{why}."
        )
    level = f", and {found.level} {'is' if found.level == 1 else 'are'} level"
    return (
        f"{text}. It is rounding: the own ops are {own} from the same formula in float64 there, "
        f"the library {theirs}. The own ops are closer to float64 in {found.closer} of "
        f"{count(found.count, 'pair')}, the library in {found.count - found.closer - found.level}"
        f"{level if found.level else ''}."
    )


def in_training() -> None:
    """Fig 3: the two trainings, recorded."""
    st.header("Fig 3: does it matter to a training?", anchor=False)
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
    ends = {"at step 1": rounded(first, 2), "at most": rounded(max(largest), 2)}
    found = report.accuracy_verdict(own, of_library)
    page.answer(
        f"From the same weights and batches the losses differ by {rounded(first, 2)} at step 1 and "
        f"by at most {rounded(max(largest), 2)} in {every * len(largest):,} steps: rounding that "
        "each step hands on to the next. The test accuracies end "
        f"{points(found.mean)} apart on average, {found.settled}.",
        part="training",
        table=[{"": "Difference of the losses"} | ends],
    )
