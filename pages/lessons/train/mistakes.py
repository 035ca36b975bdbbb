"""Which digits a trained network reads as which others, and the images of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from normlib.run import Run
from pages.components import charts, image_grids, theme, trainings
from pages.lab import results

if TYPE_CHECKING:
    import altair as alt

MOST_IMAGES = 24


def show(run: Run) -> None:
    data = trainings.data_of(run)
    if run.predictions is None:
        st.caption("The test images are read at the end of a training, and this one ended early.")
        return
    if data is None:
        st.caption(f"This run saw {run.data_name}, which are not loaded now.")
        return
    counts = results.confusion(run.predictions, data.test_labels)
    left, right = st.columns([3, 2])
    with left:
        charts.show(confusion(counts), "Test images.", "confusion")
    with right:
        frequent = results.frequent_mistakes(counts)
        if not frequent:
            st.markdown("Every test image was read correctly.")
            return
        options = {f"{true}-{read}": f"{true} read as {read}" for true, read, _ in frequent}
        (chosen,) = trainings.choose("misread", "The most frequent mistakes", options, long=True)
        true, read = (int(digit) for digit in chosen.split("-"))
        where = results.misread(run.predictions, data.test_labels, true, read)
        shown = where[:MOST_IMAGES]
        told = f"{len(where)} images of a {true} were read as a {read}"
        told += "." if len(shown) == len(where) else f"; the first {len(shown)}."
        image_grids.show(image_grids.digits(data.test_images[shown], 6, 2), told, told)


def confusion(counts: np.ndarray) -> charts.Chart:
    """Which digit was read as which. counts: (10, 10), true digit by read digit."""
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    true, read = np.indices(counts.shape)
    data = charts.frame(
        {
            "true": true.ravel(),
            "read": read.ravel(),
            "images": counts.ravel(),
            "share": (counts / total).ravel(),
            "right": (true == read).ravel(),
        }
    )
    summary = f"{int(np.trace(counts)):,} of {int(counts.sum()):,} images were read correctly."
    for worst, taken_for, times in results.frequent_mistakes(counts, 1):
        summary += f" The most frequent mistake: a {worst} read as a {taken_for}, {times} times."
    return charts.Chart(((_spec(len(counts)), data),), summary, data)


@charts.spec
def _spec(size: int) -> alt.TopLevelMixin:
    import altair as alt

    base = alt.Chart().encode(
        x=alt.X(
            "read:O", title="Read as", axis=alt.Axis(labelAngle=0, orient="top", labelOverlap=False)
        ),
        y=alt.Y("true:O", title="True digit", axis=alt.Axis(labelOverlap=False)),
        tooltip=[
            alt.Tooltip("true:O", title="true digit"),
            alt.Tooltip("read:O", title="read as"),
            alt.Tooltip("images:Q", format=","),
            alt.Tooltip("share:Q", title="of that digit", format=".1%"),
        ],
    )
    right = base.transform_filter("datum.right").mark_rect(
        color=theme.COLORS["batch"], opacity=0.35
    )
    opacity = alt.Opacity("share:Q", scale=alt.Scale(range=(0.1, 0.9), zero=True), legend=None)
    wrong = base.transform_filter("!datum.right && datum.images > 0").mark_rect(
        color=theme.COLORS["weight"]
    )
    count = base.transform_filter("datum.images > 0").mark_text().encode(text="images:Q")
    return alt.layer(right, wrong.encode(opacity=opacity), count).properties(height=size * 36)
