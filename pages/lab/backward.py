"""The backward pass with the numbers put in, to be checked by hand.

The numbers come from `gradients`; what is added here is what a picture needs: whole arrays of the
three terms, incoming gradients that teach something, weight norm's walk away from the origin, and
the gradients of the real network in its very first step.
TensorFlow is imported by the first calculation, not by this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from pages.lab.arithmetic import Steps, normalization_steps
from pages.lab.latex import bracketed, gives, tex

INCOMING = ("random", "one", "equal", "along")
TERMS = ("direct", "via the mean", "via the denominator")


@dataclass(frozen=True, eq=False)
class BackwardSteps:
    """The gradient of one normalization in x, all in the shape of x, in float64.

    parts: its three terms by name, through x itself ("direct") and through the statistics of which
    x is a part. dx: their sum. A sum that is 0 but for its last bits is 0 here.
    """

    forward: Steps
    dz: np.ndarray
    dx_hat: np.ndarray
    parts: Mapping[str, np.ndarray]
    dx: np.ndarray

    @property
    def direct(self) -> np.ndarray:
        return self.parts["direct"]

    def terms(self, cell: tuple[int, ...]) -> dict[str, float]:
        """What the gradient of one number is made of, by name; RMS norm has no mean's term."""
        terms = {name: float(part[cell]) for name, part in self.parts.items()}
        if self.forward.method == "rms":
            del terms["via the mean"]
        return terms

    @property
    def reached(self) -> str:
        """Where dx is not 0, around the one cell of dz that is not: "cell", "column", "row" or
        "all"; "none" where it is 0 everywhere."""
        (rows, columns), came = np.nonzero(self.dx), np.argwhere(self.dz)
        if not rows.size:
            return "none"
        one_row, one_column = len({*rows, *came[:, 0]}) == 1, len({*columns, *came[:, 1]}) == 1
        if one_row and one_column:
            return "cell"
        return "row" if one_row else "column" if one_column else "all"

    @property
    def right(self) -> BackwardSteps:
        """The same where no statistic is treated as a constant."""
        of = self.forward
        return backward_steps(of.method, of.x, self.dz, of.gamma, of.epsilon)

    @property
    def left(self) -> float:
        """How much of the direct terms γ dz / r is left in dx, as a ratio of lengths (0..1)."""
        whole = float(np.linalg.norm(self.direct))
        return float(np.linalg.norm(self.dx)) / whole if whole else 0.0

    def reach(self, cell: tuple[int, ...]) -> float:
        """The largest term among those that share the cell's statistics; 1 where their x are all
        equal, and the terms grow without end as ε shrinks."""
        if not self.forward.variance[cell]:
            return 1.0
        shared = self.forward.shares(cell)
        return max(float(np.abs(part[shared]).max()) for part in self.parts.values())

    def total(self, values: np.ndarray, cell: tuple[int, ...]) -> float:
        """The sum of `values` over the numbers that share the cell's statistics."""
        shared = self.forward.shares(cell)
        scale = max(np.abs(values[shared]).max(), np.abs(self.direct[shared]).max())
        return float(without_rounding(values[shared].sum(), scale))


def backward_steps(
    method: str,
    x: np.ndarray,
    dz: np.ndarray,
    gamma: np.ndarray | float = 1.0,
    epsilon: float = 1e-5,
    constants: bool = False,
) -> BackwardSteps:
    """Take the gradient of a normalization apart.

        dx = (dx_hat - average(dx_hat) - x_hat * average(dx_hat * x_hat)) / r
        dx_hat = gamma * dz,  r = sqrt(variance + ε), the denominator

    method: batch, layer or rms. x, dz: (N, ..., C). gamma: broadcasts to x.
    constants: the mistake of treating the statistics as constants; the last two terms are then 0.
    """
    import tensorflow as tf

    from normlib import gradients, normalize

    forward = normalization_steps(method, x, gamma, 0.0, epsilon)
    dx_hat = forward.gamma * np.asarray(dz, np.float64)
    terms = gradients.backward_terms(
        tf.constant(dx_hat),
        tf.constant(forward.x_hat),
        tf.constant(forward.root),
        normalize.AXES[method](forward.x.ndim),
        center=method != "rms",
    )
    direct, mean, root = (term.numpy() for term in terms)
    if constants:
        mean, root = np.zeros_like(direct), np.zeros_like(direct)
    sums = (direct, mean, root, direct + mean + root)
    *parts, dx = (without_rounding(one, np.abs(direct).max()) for one in sums)
    return BackwardSteps(forward, dz, dx_hat, dict(zip(TERMS, parts, strict=True)), dx)


def without_rounding(values: np.ndarray, scale: float) -> np.ndarray:
    """The values, with 0 for those that are 0 but for their last bits."""
    return np.where(np.abs(values) < 1e-13 * scale, 0.0, values)


def stretch_left(forward: Steps, cell: tuple[int, ...]) -> float:
    """How much of the direct term is left in dx where dz is a multiple of x_hat:

    ε / (variance + ε), since the average of x_hat² is variance / (variance + ε).
    """
    return float(forward.epsilon / (forward.variance[cell] + forward.epsilon))


def incoming(kind: str, forward: Steps, cell: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A gradient dz of the shape of z.

    "random": one digit after the point, from the seed; "one": 1 at `cell` and 0 elsewhere;
    "equal": 1 everywhere, the wish to shift all z; "along": x_hat, the wish to stretch all z.
    """
    shape = forward.z.shape
    if kind == "random":
        return np.random.default_rng(seed).normal(0.0, 1.0, shape).round(1) + 0.0
    if kind == "one":
        return (np.arange(forward.z.size).reshape(shape) == np.ravel_multi_index(cell, shape)) + 0.0
    return np.ones(shape) if kind == "equal" else forward.x_hat


def written_backward(steps: BackwardSteps, cell: tuple[int, ...]) -> list[str]:
    """The arithmetic of one dx, its terms and their sum: one line of LaTeX each."""
    forward = steps.forward
    count = int(forward.shares(cell).sum())
    mean = steps.total(steps.dx_hat, cell) / count
    along = steps.total(steps.dx_hat * forward.x_hat, cell) / count
    product = rf"{bracketed(forward.x_hat[cell])} \cdot {bracketed(along)}"
    # The numerator of each term, in letters and with its numbers.
    numerators = {
        "direct": (r"\gamma\,dz", tex(steps.dx_hat[cell])),
        "via the mean": (r"\overline{\gamma\,dz}", tex(mean)),
        "via the denominator": (r"\hat{x}\;\overline{\gamma\,dz\,\hat{x}}", product),
    }
    written = []
    for name, value in steps.terms(cell).items():
        sign, (letters, numbers) = "" if name == "direct" else "-", numerators[name]
        quotient = rf"{sign}\frac{{{numbers}}}{{{tex(forward.root[cell])}}}"
        written.append(rf"{sign}\frac{{{letters}}}{{r}} = {quotient} {gives(value)}")
    return [*written, f"dx = {tex(steps.dx[cell])}"]


# --- weight norm --------------------------------------------------------------------------------

DECAY = 0.05  # of weight decay, so strong that its pull is seen


@dataclass(frozen=True, eq=False)
class Walk:
    """Descent on v at several learning rates.

    v: (steps + 1, 2, rates). cosines: (steps, rates), of the angle between v and dv.
    """

    v: np.ndarray
    cosines: np.ndarray

    @property
    def norms(self) -> np.ndarray:
        """||v|| before the first step and after each, (steps + 1, rates)."""
        return np.linalg.norm(self.v, axis=1)

    @property
    def shrank(self) -> np.ndarray:
        """In how many of the steps ||v|| fell, by more than rounding, (rates,)."""
        return (np.diff(self.norms, axis=0) < -1e-13 * self.norms[1:]).sum(axis=0)

    @property
    def slowed(self) -> np.ndarray:
        """How far the same dw turns v at the end, as a share of how far at the start, (rates,).

        A short step of plain SGD turns v by about lr * g * |dw| / ||v||², dw taken across v.
        """
        return np.square(self.norms[0] / self.norms[-1])


def walk(learning_rates: Sequence[float], steps: int, seed: int, rule: str = "sgd") -> Walk:
    """Descend on v alone, from (1, 0) with g = 1, along gradients dw that point at random.

        sgd    v <- v - lr * dv,  ||v_next||² = ||v||² + lr² * ||dv||²  (a right angle: Pythagoras)
        decay  v <- v - lr * (dv + `DECAY` * v)
        adam   Adam's step for dv, with its usual 0.9, 0.999 and 1e-7

    Every learning rate is an output channel of its own and meets the same dw, N(0, 1) each.
    Source: Salimans and Kingma, 2016, arXiv:1602.07868, section 2.1.
    """
    rates = np.asarray(learning_rates, np.float64)
    g = np.ones(len(rates))
    path, cosines = [np.tile([[1.0], [0.0]], len(rates))], []
    first = second = np.zeros((2, len(rates)))
    for count, dw in enumerate(np.random.default_rng(seed).standard_normal((steps, 2, 1)), 1):
        v = path[-1]
        dv = _weight_norm_backward(np.tile(dw, len(rates)), v, g)
        lengths = np.linalg.norm(v, axis=0) * np.linalg.norm(dv, axis=0)
        cosines.append((v * dv).sum(axis=0) / np.maximum(lengths, 1e-300))
        first, second = 0.9 * first + 0.1 * dv, 0.999 * second + 0.001 * dv**2
        if rule == "adam":
            root = np.sqrt(second / (1 - 0.999**count))
            dv = first / (1 - 0.9**count) / (root + 1e-7)
        path.append(v - rates * (dv + DECAY * v * (rule == "decay")))
    return Walk(np.array(path), np.array(cosines))


def _weight_norm_backward(dw: np.ndarray, v: np.ndarray, g: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    from normlib import gradients

    return gradients.weight_norm_backward(*map(tf.constant, (dw, v, g))).dv.numpy()


# --- the real network ---------------------------------------------------------------------------


def bias_gradients(
    config: TrainConfig, data: Dataset, methods: Sequence[str], images: int = 32
) -> dict[str, float]:
    """The norm of the gradient of the convolution's bias in the first step, for each method.

    In float64, where 0 shows as 0 but for 1e-13. The batch: the first `images` training images.
    """
    import tensorflow as tf

    from normlib.cnn import SmallCNN

    batch = tf.constant(data.train_images[:images])
    labels = tf.constant(data.train_labels[:images].astype(np.int32))
    found = {}
    for method in methods:
        net = SmallCNN(replace(config, normalization=method), dtype=tf.float64)
        with tf.GradientTape() as tape:
            logits = net.forward(batch, training=True)["logits"]
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            )
        found[method] = float(tf.norm(tape.gradient(loss, net.conv_bias)))
    return found


def all_steps(config: TrainConfig, images: int) -> int:
    """How many steps a training takes. images: how many there are to train on."""
    return -(-min(config.train_size, images) // config.batch_size) * config.epochs


def is_full_batch(config: TrainConfig, images: int, step: int) -> bool:
    """Whether a step, counted from 1, takes as many images as the others of its epoch: the last
    one has what is left."""
    used = min(config.train_size, images)
    full, rest = divmod(used, config.batch_size)
    return not (full and rest) or step % (full + 1) > 0


def late_median(norms: Sequence[float]) -> float:
    """The median of the second half of a training's gradient norms."""
    return float(np.median(norms[len(norms) // 2 :]))


def has_shrunk(norms: Sequence[float]) -> bool:
    """Whether the second half's median is below that of the first three."""
    return len(norms) > 2 and late_median(norms) < float(np.median(norms[:3]))
