"""Handwritten-looking digits drawn from strokes, for rooms without MNIST and without a network.

Only additions, products, square roots and uniform random numbers are used, none of which depends
on the processor, so that a seed means the same pixels, and the same checksum, everywhere.
"""

import numpy as np

SIZE = 28  # pixels along one edge, as in MNIST
_SAMPLES = 64  # points along the pen's path: at most about one pixel apart
_CHUNK = 128  # digits drawn at once: their distances fit into a processor's cache

# Each digit can be written in several ways. A way is its strokes, parted by "/": points "x,y" (x to
# the right, y down, in hundredths of the digit's half height) that one smooth movement of the pen
# goes through. A point that is named again is the same point: where strokes share one, they meet.
_WAYS = """
0: 5,-100 -42,-75 -62,0 -42,75 0,100 42,75 62,0 42,-75 0,-100
0: 5,-100 -42,-75 -62,0 -42,75 0,100 42,75 62,0 40,-75 -15,-90
1: 0,-100 2,-30 0,40 0,100
1: -40,-60 5,-100 / 5,-100 5,0 5,100
1: -35,-65 0,-100 / 0,-100 0,0 0,100 / -45,100 0,100 45,98
2: -60,-60 -20,-100 45,-80 45,-20 -10,40 -65,100 / -65,100 0,95 70,95
2: -55,-75 0,-100 50,-60 20,20 -35,85 -65,70 -30,50 10,85 75,80
3: -55,-75 0,-100 50,-65 30,-15 -15,0 / -15,0 45,20 55,65 5,100 -60,75
3: -50,-95 50,-95 / 50,-95 -5,-15 / -5,-15 50,10 50,70 0,100 -60,80
4: -45,-95 -55,-40 -55,10 / -55,10 0,12 65,5 / 40,-90 32,0 30,100
4: 25,-100 -20,-35 -65,30 / -65,30 0,30 70,25 / 25,-100 25,0 20,100
5: 60,-95 -35,-90 / -35,-90 -45,-10 / -45,-10 10,-25 55,15 40,80 -10,100 -60,80
5: 65,-100 0,-95 -30,-50 -30,-10 30,0 50,45 10,95 -55,90
6: 40,-100 -20,-60 -50,10 -45,75 0,100 45,70 40,20 0,5 -45,40
6: 10,-100 -30,-40 -50,40 -20,95 40,90 50,40 15,15 -30,60
7: -60,-90 0,-90 60,-95 / 60,-95 15,0 -10,100
7: -60,-90 0,-90 60,-90 / 60,-90 10,5 -15,100 / -30,8 50,2
7: -60,-55 -50,-85 10,-80 60,-95 / 60,-95 25,0 10,100
8: 45,-70 0,-100 -45,-65 -10,-10 40,30 40,80 0,100 -50,75 -35,25 15,-15 50,-75
8: 0,-10 -45,-50 0,-100 45,-55 2,-10 -50,40 0,100 50,50 0,-10
9: 50,-65 10,-100 -45,-75 -40,-25 10,-10 48,-50 / 50,-65 50,0 40,100
9: 50,-80 0,-100 -45,-60 -10,-15 40,-50 50,-80 / 50,-80 50,10 20,85 -40,90
"""


def draw_digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` digits: white ink on black, every class as often as the next.

    ink(p) = clip(1/2 + (r - d(p)) / edge, 0, 1), d(p) the distance from pixel p to the pen's path,
    r the pen's radius (both in pixels)

    Returns images, uint8 (count, 28, 28, 1), and labels, uint8 (count,), in random order. The same
    count and seed give the same pixels. Raises ValueError when count is negative.
    """
    if count < 0:
        raise ValueError(f"The number of digits must not be negative, it is {count}.")
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 10).astype(np.uint8)
    order = np.argsort(rng.random(count), kind="stable")
    paths = np.empty((_SAMPLES, 2, count), np.float32)
    for digit in range(10):
        ways = [way[3:] for way in _WAYS.split("\n") if way.startswith(f"{digit}:")]
        chosen = np.floor(rng.random(count) * len(ways))
        for index, way in enumerate(ways):
            members = np.flatnonzero((labels == digit) & (chosen == index))
            paths[:, :, members] = _pen_paths(way, len(members), rng)
    images = np.empty((count, SIZE, SIZE, 1), np.uint8)
    for start in range(0, count, _CHUNK):
        members = order[start : start + _CHUNK]
        images[start : start + _CHUNK, :, :, 0] = _ink(paths[:, :, members], rng)
    return images, labels[order]


def _pen_paths(way: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """The pen's paths, (samples, 2, count) in pixels, for unequal copies of one way."""
    strokes = [stroke.split() for stroke in way.split("/")]
    names = list(dict.fromkeys(name for stroke in strokes for name in stroke))
    points = np.array([name.split(",") for name in names], np.float64) / 100.0
    x, y = np.repeat(points.T[:, :, None], count, axis=2)
    x = x + _bell(rng, 0.065, *x.shape)
    y = y + _bell(rng, 0.065, *y.shape)
    # The hand's own shape: bent, slanted, turned, narrow or wide.
    x, y = x + _bell(rng, 0.08, count) * y * y, y + _bell(rng, 0.10, count) * x * x
    x = (x + (0.12 + _bell(rng, 0.18, count)) * y) * _between(rng, count, 0.7, 1.2)
    turn = _bell(rng, 0.09, count)
    x, y = x - turn * y, y + turn * x

    path = np.zeros((_SAMPLES, 2, count))
    weights = _sampling(points, [[names.index(name) for name in stroke] for stroke in strokes])
    for k in range(len(points)):  # not a matrix product: its rounding depends on the processor
        path[:, 0] += weights[:, k, None] * x[k]
        path[:, 1] += weights[:, k, None] * y[k]
    low, high = path.min(axis=0), path.max(axis=0)
    height = _between(rng, count, 17.0, 20.0)  # MNIST's digits fit into 20 x 20 pixels
    zoom = np.minimum(height / (high[1] - low[1]), 20.0 / (high[0] - low[0] + 1e-6))
    shift = (rng.random((2, count)) - 0.5) * 2.0
    return (path - (low + high) / 2) * zoom + shift + (SIZE - 1) / 2


def _sampling(points: np.ndarray, strokes: list[list[int]]) -> np.ndarray:
    """The weights (samples, points) of a Catmull-Rom spline through each stroke's points."""
    # A piece of the spline goes from the second of its four points to the third.
    pieces = [
        (stroke[max(i - 1, 0)], stroke[i], stroke[i + 1], stroke[min(i + 2, len(stroke) - 1)])
        for stroke in strokes
        for i in range(len(stroke) - 1)
    ]
    lengths = np.array([np.sqrt(np.square(points[c] - points[b]).sum()) for _, b, c, _ in pieces])
    ends = np.cumsum(lengths)
    weights = np.zeros((_SAMPLES, len(points)))
    for row, along in enumerate((np.arange(_SAMPLES) + 0.5) / _SAMPLES * ends[-1]):
        piece = int(np.searchsorted(ends, along))
        t = (along - ends[piece] + lengths[piece]) / lengths[piece]
        cubics = (
            *(0.5 * t * (2 * t - 1 - t * t), 0.5 * (2 - 5 * t * t + 3 * t * t * t)),
            *(0.5 * t * (1 + 4 * t - 3 * t * t), 0.5 * t * t * (t - 1)),
        )
        for point, weight in zip(pieces[piece], cubics, strict=True):
            weights[row, point] += weight
    return weights


def _ink(paths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The pictures, uint8 (n, 28, 28), of the pen's paths (samples, 2, n)."""
    count = paths.shape[2]
    grid = np.arange(SIZE, dtype=np.float32)[:, None]
    nearest = np.full((SIZE, SIZE, count), np.inf, np.float32)  # squared distance to the path
    distance = np.empty_like(nearest)
    for x, y in paths:
        np.add(np.square(grid - y)[:, None], np.square(grid - x)[None], out=distance)
        np.minimum(nearest, distance, out=nearest)
    radius = _between(rng, count, 0.8, 1.9)
    edge = _between(rng, count, 0.9, 1.5)
    ink = np.clip(0.5 + (radius - np.sqrt(nearest)) / edge, 0.0, 1.0)
    ink *= _between(rng, count, 0.9, 1.0)  # a lighter hand
    ink *= 1.0 - 0.12 * rng.random(ink.shape, np.float32)  # the paper's grain
    return np.rint(ink * 255.0).astype(np.uint8).transpose(2, 0, 1)


def _bell(rng: np.random.Generator, deviation: float, *shape: int) -> np.ndarray:
    """Nearly normal numbers, three uniform ones added up: mean 0, within 3 deviations."""
    return (rng.random((3, *shape)).sum(axis=0) - 1.5) * (2.0 * deviation)


def _between(rng: np.random.Generator, count: int, low: float, high: float) -> np.ndarray:
    """Float32 numbers spread evenly between two bounds."""
    return (low + (high - low) * rng.random(count)).astype(np.float32)
