"""Digits and filters as one picture each."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import streamlit as st

from pages.components import theme


def digits(images: np.ndarray, columns: int, scale: int = 2) -> np.ndarray:
    """Digits as one picture, dark on light. images: (N, H, W) or (N, H, W, 1), 0 to 255.

    Returns uint8 (rows * scale * (H + 1), columns * scale * (W + 1)).
    """
    images = np.asarray(images).reshape(len(images), *np.shape(images)[1:3]).astype(np.uint8)
    return _tiles(255 - images[..., None], columns, scale, gap=1, background=255)[..., 0]


def filters(kernel: np.ndarray, columns: int, scale: int = 12) -> np.ndarray:
    """Filters as one picture: blue negative, white zero, orange positive, one scale for all.

    kernel: (height, width, 1, filters). Returns uint8 (…, …, 3).
    """
    filters = np.moveaxis(np.asarray(kernel)[:, :, 0, :], -1, 0)
    level = filters / max(float(np.abs(filters).max()), 1e-12)
    ends = [
        np.array([int(theme.COLORS[m][i : i + 2], 16) for i in (1, 3, 5)])
        for m in ("batch", "weight")
    ]
    end = np.where(level[..., None] < 0, ends[0], ends[1])
    colors = 255 + np.abs(level)[..., None] * (end - 255)
    return _tiles(colors.round().astype(np.uint8), columns, scale, gap=0, background=128)


def show(
    picture: np.ndarray,
    caption: str,
    summary: str,
    width: int | Literal["content", "stretch"] = "content",
) -> None:
    """Draw a picture from `digits` or `filters`; summary is for screen readers."""
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
