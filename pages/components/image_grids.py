"""Digits and filters as one picture each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st

from pages.components import charts, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

_ACROSS = 6  # filters in a row


def digits(images: np.ndarray, columns: int, scale: int = 2) -> np.ndarray:
    """Digits as one picture, dark on light. images: (N, H, W) or (N, H, W, 1), 0 to 255.

    Returns uint8 (rows * scale * (H + 1), columns * scale * (W + 1)).
    """
    images = np.asarray(images).reshape(len(images), *np.shape(images)[1:3]).astype(np.uint8)
    return _tiles(255 - images[..., None], columns, scale, gap=1, background=255)[..., 0]


def filters(kernel: np.ndarray, limit: float) -> tuple[dict[str, Any], pd.DataFrame]:
    """The filters as a panel of a `charts.Chart`, six in a row, with the scale of their colours.

    kernel: (height, width, 1, filters). limit: where the scale ends on both sides of its white 0,
    so that filters drawn apart can be compared.
    """
    height, width, _, count = kernel.shape
    rows = [
        {"filter": one, "left": left + one % _ACROSS * width, "weight": float(weight)}
        | {"top": top + one // _ACROSS * height}
        for (top, left, _, one), weight in np.ndenumerate(kernel)
    ]
    return _filters_spec(height, width, count, limit), charts.frame(rows)


@charts.spec
def _filters_spec(height: int, width: int, count: int, limit: float) -> alt.TopLevelMixin:
    import altair as alt

    negative, positive = (color for color, _, _ in theme.SERIES[:2])
    colors = alt.Scale(
        domain=(-limit, 0, limit), range=(negative, "white", positive), interpolate="rgb"
    )
    across = alt.Scale(domain=(0, _ACROSS * width), nice=False)
    down = alt.Scale(domain=(0, math.ceil(count / _ACROSS) * height), nice=False, reverse=True)
    legend = alt.Legend(gradientLength=200, values=[-limit, 0, limit], format=".2~f", orient="top")

    def squares(high: int, wide: int) -> alt.Chart:
        """Each from (left, top), so high and wide."""
        ends = alt.Chart().transform_calculate(
            right=f"datum.left + {wide}", bottom=f"datum.top + {high}"
        )
        return ends.mark_rect().encode(
            x=alt.X("left:Q", scale=across, axis=None),
            x2="right:Q",
            y=alt.Y("top:Q", scale=down, axis=None),
            y2="bottom:Q",
        )

    pixels = squares(1, 1).encode(
        color=alt.Color("weight:Q", scale=colors, legend=legend, title=None),
        tooltip=[alt.Tooltip("filter:Q"), alt.Tooltip("weight:Q", format=".4f")],
    )
    corners = f"datum.left % {width} == 0 && datum.top % {height} == 0"
    frames = squares(height, width).transform_filter(corners)
    frames = frames.mark_rect(fillOpacity=0, stroke=theme.NEUTRAL, strokeWidth=2)
    return alt.layer(pixels, frames).properties(height=theme.HEIGHT)


def show(
    picture: np.ndarray,
    caption: str,
    summary: str,
    width: int | Literal["content", "stretch"] = "content",
) -> None:
    """Draw a picture from `digits`; summary is for screen readers."""
    st.image(picture, caption=caption, width=width, alt=summary, output_format="PNG")


def _tiles(images: np.ndarray, columns: int, scale: int, gap: int, background: int) -> np.ndarray:
    count, height, width, depth = images.shape
    rows = math.ceil(count / columns)
    cell_height, cell_width = height * scale + 2 + gap, width * scale + 2 + gap
    sheet = np.full((rows * cell_height, columns * cell_width, depth), background, np.uint8)
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    for index, image in enumerate(large):
        top, left = index // columns * cell_height, index % columns * cell_width
        sheet[top : top + height * scale, left : left + width * scale] = image
    return sheet
