"""What the lesson on training against inference shows: a moving average's picture, the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pages.components import charts, theme
from pages.components.charts import Chart, frame
from pages.lab import studies, words
from pages.lab.studies import Study

if TYPE_CHECKING:
    import altair as alt

MOMENTA = (0.5, 0.9, 0.99, 0.999)
ONE_IMAGE = {
    "conv": f"A batch of 1 still has {studies.POSITIONS} positions per channel: each image is "
    "normalized by itself, which is instance norm.",
    "conv and dense": "A batch of 1 leaves a dense unit one value, its own mean: every output is "
    "beta, each image gets the same answer, and {:.1%} is the share of that digit.",
}


def arrival(chosen: float, steps: int) -> Chart:
    """How much of a moving average is not its start value any more, after each step."""
    import pandas as pd

    momenta = sorted({*MOMENTA, chosen})
    if len(momenta) > len(MOMENTA):
        momenta.remove(0.5)
    at = np.unique(np.geomspace(1, max(steps, 2), 120).round().astype(int))
    lines = []
    for momentum in momenta:
        share = studies.arrived(momentum, at)
        # A name stands where its line has come half the way: at the right end they would overlap.
        half = min(int(np.sum(share < 0.5)), len(at) - 1)
        line = frame({"step": at, "late": at > steps / 4}).assign(share=share)
        lines.append(line.assign(momentum=f"{momentum:g}", named=line.index == half))
    drawn = pd.concat(lines, ignore_index=True)
    ends = ", ".join(f"momentum {m:g} {studies.arrived(m, steps):.1%}" for m in momenta)
    panel = _arrival_spec(tuple(f"{m:g}" for m in momenta), f"{chosen:g}"), drawn
    return Chart((panel,), f"After {steps:,} steps: {ends}.", drawn[["momentum", "step", "share"]])


@charts.spec
def _arrival_spec(momenta: tuple[str, ...], chosen: str) -> alt.TopLevelMixin:
    import altair as alt

    def scale(of_chosen: Any, of_others: Any) -> alt.Scale:
        looks = [of_chosen if momentum == chosen else of_others for momentum in momenta]
        return alt.Scale(domain=momenta, range=looks)

    step = alt.Scale(type="log", nice=False)
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="Step t", scale=step, axis=alt.Axis(format="~s", tickCount=4)),
        y=alt.Y("share:Q", title="1 − mᵗ", axis=alt.Axis(format="~%", tickCount=5)),
    )
    color = scale(theme.COLORS["batch"], theme.NEUTRAL)
    line = base.mark_line().encode(
        color=alt.Color("momentum:N", scale=color, legend=None),
        strokeDash=alt.StrokeDash("momentum:N", scale=scale([1, 0], [4, 3]), legend=None),
        tooltip=["momentum:N", "step:Q", alt.Tooltip("share:Q", format=".2%")],
    )
    name = base.transform_filter("datum.named").encode(text="momentum:N")
    return alt.layer(
        line,
        name.transform_filter("!datum.late").mark_text(align="left", dx=9, fontWeight=600),
        name.transform_filter("datum.late").mark_text(align="right", dx=-9, fontWeight=600),
    ).properties(height=320)


# ---- the answer ------------------------------------------------------------------------------


def answer(along: str, found: Sequence[Study], shown: Study, recalibrated: bool) -> str:
    """What the picture says. shown: the study of the settings above; found: all in the picture."""
    parts = {"test": _by_test_batch, "momentum": _by_momentum, "batch": _by_training_batch}
    text = parts[along](found, shown)
    if recalibrated:
        before, after = (round(100 * right, 2) for right in (shown.moving, shown.recomputed))
        text += (
            f"\n\n**Recalibrated** over {shown.batches} training batches: {before:.2f}% becomes "
            f"{after:.2f}%, {words.points(after - before)}, without one training step."
        )
    return text


def table(along: str, found: Sequence[Study], shown: Study) -> list[dict[str, str]]:
    """The accuracies of each training in the picture, and how far its statistics are off."""
    return [
        {"Momentum": f"{one.config.momentum:g}", "Training batch": f"{one.config.batch_size}"}
        | {"Moving": words.percent(one.moving, 2), "Own": words.percent(one.own_as_trained, 2)}
        | {"Moving − own": words.points(100 * (one.moving - one.own_as_trained), 1)}
        | {"Recalibrated": words.points(100 * (one.recomputed - one.moving))}
        | {"Variance off by": f"× {one.off['variance']:.2f}"}
        for one in (found if along != "test" else [shown])
    ]


def _by_test_batch(found: Sequence[Study], study: Study) -> str:
    own, most = study.own, max(study.own)
    return (
        f"**Own statistics:** {own[1]:.1%} in batches of 1, {own[most]:.1%} in batches of {most}. "
        f"**Moving statistics:** {study.moving:.1%}, whatever else is in the batch.\n\n"
        + ONE_IMAGE[study.config.placement].format(own[1])
    )


def _by_momentum(found: Sequence[Study], shown: Study) -> str:
    worst, *_, best = sorted(found, key=lambda study: study.moving)
    momentum, steps = shown.config.momentum, shown.steps
    exponent = str(steps).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return (
        f"These networks have the same weights: momentum changes nothing in training. With moving "
        f"statistics they read {best.moving:.1%} at momentum {best.config.momentum:g} and "
        f"{worst.moving:.1%} at {worst.config.momentum:g}, with their batch's own all "
        f"{found[0].own_as_trained:.1%}.\n\nAfter {words.count(steps, 'step')} with momentum "
        f"{momentum:g} the average has come 1 − {momentum:g}{exponent} = "
        f"{studies.arrived(momentum, steps):.1%} of the way from its start; one channel's variance "
        f"is still off by a factor of {shown.off['variance']:.2f}."
    )


def _by_training_batch(found: Sequence[Study], shown: Study) -> str:
    study = max(found, key=lambda one: abs(one.moving - one.own_as_trained))
    gap = 100 * (study.moving - study.own_as_trained)
    return (
        "The two kinds of statistics differ most after training with batches of "
        f"{study.config.batch_size}: the moving ones read {abs(gap):.1f} points "
        f"{'more' if gap > 0 else 'fewer'} of the images correctly."
    )


def recalibration(shown: Study) -> str:
    """What recalibrating does, and the factor that it leaves out, with its size."""
    size = shown.config.batch_size
    text = (
        f"Recalibrated: the plain average over {shown.batches} training batches; no weight "
        "changes. The batch-norm paper also multiplies the variance by m/(m − 1), for m numbers a "
        f"mean; here it does not. In the convolution m is {size} · {studies.POSITIONS}, the factor "
        f"{studies.unbiased(size * studies.POSITIONS):.5f}"
    )
    if shown.config.placement == "conv and dense":
        factor = f"{studies.unbiased(size):.3f}" if size > 1 else "undefined"
        text += f"; in the dense layer m is {size}, the factor {factor}"
    return f"{text}."
