"""Which numbers share a mean: the N x C x HW block of one batch, drawn as SVG.

Only what is averaged has colour; everything else is drawn in the ink of the page.
"""

from __future__ import annotations

from collections.abc import Iterator

from pages.components import theme

Point = tuple[float, float]
Box = tuple[float, float, float]

CELL = 18.0  # pixels along an edge of a cell, as drawn at full size
SIDE = 4  # cells along each edge of the block
KERNEL = 5  # weights along an edge of a filter
WIDTH, HEIGHT = 196, 172
# One cell to the right along N, to the left along C, upwards along H·W: an isometric view.
_N, _C, _H = (0.866, -0.5), (-0.866, -0.5), (0.0, -1.0)
_PULLED = 0.55  # cells by which the lit slice stands out of its block

SHARED = {
    "none": "Nothing is averaged: every number stays as it is.",
    "batch": "One mean per channel, over images and positions.",
    "layer": "One mean per image, over channels and positions.",
    "weight": "No activation is averaged: each filter gets a length g.",
}
_DRAWN = {
    "none": "A block of images, channels and positions; nothing is lit.",
    "batch": "In a block of images, channels and positions the slice of one channel is lit.",
    "layer": "In a block of images, channels and positions the slice of one image is lit.",
    "weight": "Four filters of 5 by 5 weights; one of them is lit.",
}


def averaged(method: str, ink: str, paper: str) -> str:
    """The picture of which numbers share one mean under a method of `SHARED`, as SVG.

    ink, paper: the colours of the page's text and background.
    """
    drawing = _filters() if method == "weight" else _block(method)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" color="{ink}" font-family="sans-serif">'
        f"<style>.p{{fill:{paper}}}</style>{drawing}</svg>"
    )


def in_words(method: str) -> str:
    """The same picture for who cannot see it."""
    return f"{theme.title(method)}. {_DRAWN[method]} {SHARED[method]}"


def _block(method: str) -> str:
    """The block of SIDE³ cells, with the slice that shares a mean pulled out and lit."""
    origin = (WIDTH / 2 - 14, HEIGHT - 15.0)
    color = theme.color(method)
    n = c = 0.0
    if method == "batch":  # the nearest channel
        c = -_PULLED
        drawn = _cuboid(origin, (0, 1, 0), (SIDE, SIDE - 1, SIDE))
        drawn += _cuboid(origin, (0, c, 0), (SIDE, 1, SIDE), color)
    elif method == "layer":  # the nearest image
        n = -_PULLED
        drawn = _cuboid(origin, (1, 0, 0), (SIDE - 1, SIDE, SIDE))
        drawn += _cuboid(origin, (n, 0, 0), (1, SIDE, SIDE), color)
    else:
        drawn = _cuboid(origin, (0, 0, 0), (SIDE, SIDE, SIDE))
    right, left = _at(origin, (SIDE / 2, c, 0)), _at(origin, (n, SIDE / 2, 0))
    edge = _at(origin, (SIDE, c, SIDE / 2))
    return (
        drawn
        + _text("N", right[0] + 10, right[1] + 17)
        + _text("C", left[0] - 10, left[1] + 17)
        + _text("H·W", edge[0] + 5, edge[1] + 5, anchor="start")
    )


def _filters() -> str:
    """The kernel's filters, one behind the other; the nearest is lit."""
    origin, scale, apart = (WIDTH / 2 + 6, HEIGHT - 15.0), 0.8, 1.5
    drawn = ""
    for channel in reversed(range(SIDE)):
        color = theme.color("weight") if channel == 0 else ""
        corner = _at(origin, (0, channel * apart, 0))
        drawn += _cuboid(corner, (0, 0, 0), (KERNEL, 0.4, KERNEL), color, scale)
    right = _at(origin, (KERNEL / 2, 0, 0), scale)
    left = _at(origin, (0, (SIDE - 1) / 2 * apart, 0))
    return (
        drawn
        + _text("5 × 5", right[0] + 18, right[1] + 17)
        + _text("C", left[0] - 12, left[1] + 20)
    )


def _cuboid(origin: Point, corner: Box, size: Box, color: str = "", scale: float = 1.0) -> str:
    """The three visible faces of a box of cells; unlit where there is no colour.

    corner, size: along N, C, H·W, in cells of `scale`.
    """
    n, c, h = corner
    wide, deep, high = size
    faces = (
        # where the face begins, its two directions, how dark it is
        ((n, c, h + high), (wide, 0, 0), (0, deep, 0), 0),
        ((n, c, h), (0, deep, 0), (0, 0, high), 1),
        ((n, c, h), (wide, 0, 0), (0, 0, high), 2),
    )
    drawn = ""
    for start, along, up, shade in faces:
        outline = _quad(origin, start, along, up, scale)
        lines = "".join(_lines(origin, start, along, up, scale))
        if color:
            light = (("#fff", 0.28), ("#000", 0.14), ("#000", 0.0))[shade]
            drawn += (
                f'<path d="{outline}" fill="{color}"/>'
                f'<path d="{outline}" fill="{light[0]}" fill-opacity="{light[1]}"/>'
                f'<path d="{lines}{outline}" fill="none" stroke="#fff" stroke-opacity=".8"/>'
            )
        else:
            opacity = (0.04, 0.13, 0.08)[shade]
            drawn += (
                f'<path d="{outline}" class="p"/>'
                f'<path d="{outline}" fill="currentColor" fill-opacity="{opacity}"/>'
                f'<path d="{lines}{outline}" fill="none" stroke="currentColor" '
                'stroke-opacity=".5"/>'
            )
    return drawn


def _quad(origin: Point, start: Box, along: Box, up: Box, scale: float) -> str:
    corners = (start, _plus(start, along), _plus(_plus(start, along), up), _plus(start, up))
    return "M" + "L".join(_place(origin, corner, scale) for corner in corners) + "Z"


def _lines(origin: Point, start: Box, along: Box, up: Box, scale: float) -> Iterator[str]:
    """The lines between the cells of a face."""
    for direction, across in ((along, up), (up, along)):
        length = sum(direction)
        for cell in range(1, int(length)):
            foot = _plus(start, tuple(part * cell / length for part in direction))
            yield f"M{_place(origin, foot, scale)}L{_place(origin, _plus(foot, across), scale)}"


def _plus(a: Box, b: Box) -> Box:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _place(origin: Point, point: Box, scale: float = 1.0) -> str:
    x, y = _at(origin, point, scale)
    return f"{x:.1f} {y:.1f}"


def _at(origin: Point, point: Box, scale: float = 1.0) -> Point:
    n, c, h = (part * CELL * scale for part in point)
    return (
        origin[0] + n * _N[0] + c * _C[0] + h * _H[0],
        origin[1] + n * _N[1] + c * _C[1] + h * _H[1],
    )


def _text(words: str, x: float, y: float, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor" '
        f'font-size="16" font-style="italic">{words}</text>'
    )
