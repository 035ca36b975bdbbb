"""What the lesson on batch-mates shows of one image in many batches: its chart, the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pages.components import charts, theme
from pages.components.charts import Chart, frame
from pages.lab import studies, words
from pages.lab.studies import Mates

if TYPE_CHECKING:
    import altair as alt

ALONE = ("batch", "layer", "weight", "none")  # from top to bottom
OWN = "Batch norm, own statistics"
# Placement -> the end of the axis: it stays where it is while the batch-mates change.
ENDS = {"conv": 2, "conv and dense": 10}


def margins(seen: Mates, placement: str) -> Chart:
    """Where the image stands: a cloud under batch norm, a tick for each method that gives one."""
    batches, end = len(seen.cloud), ENDS[placement]
    names = [words.title(one) + ", moving statistics" * (one == "batch") for one in ALONE]
    logits = np.concatenate([seen.cloud, [seen.alone[method] for method in ALONE]])
    data = frame(
        {
            "row": [OWN] * batches + names,
            "method": ["batch"] * batches + list(ALONE),
            "batch": [*map(str, range(1, batches + 1)), *["every one"] * len(ALONE)],
            "margin": studies.margin(logits, seen.label),
            "read": logits.argmax(1),
        }
    )
    jitter = np.random.default_rng(0).uniform(-1, 1, len(data)).round(3)
    drawn = data.assign(
        jitter=jitter, cloud=data["row"] == OWN, drawn=data["margin"].clip(-end, end)
    )
    table = data[["row", "batch", "margin", "read"]]
    spec = _margins_spec((OWN, *names), end)
    return Chart(((spec, drawn),), answer(seen).replace("**", ""), table)


@charts.spec
def _margins_spec(titles: tuple[str, ...], end: int) -> alt.TopLevelMixin:
    import altair as alt

    colors = alt.Scale(domain=ALONE, range=[theme.color(one) for one in ALONE])
    # A name in two lines, left of its marks, so that it covers none of them.
    names = alt.Axis(labelExpr="split(datum.label, ', ')", labelLimit=130, grid=False)
    marks = alt.Chart().encode(
        x=alt.X(
            "drawn:Q",
            title=f"Right class's logit − largest other (beyond ±{end}: at the edge)",
            scale=alt.Scale(domain=[-end, end], nice=False),
            axis=alt.Axis(tickCount=7, labelFlush=False),
        ),
        y=alt.Y("row:N", sort=titles, title=None, axis=names, scale=alt.Scale(domain=titles)),
        color=alt.Color("method:N", legend=None, scale=colors),
        tooltip=[
            alt.Tooltip("batch:N"),
            alt.Tooltip("margin:Q", format=".2f"),
            alt.Tooltip("read:N", title="classified as"),
        ],
    )
    zero = alt.Chart().transform_aggregate(all="count()").mark_rule(color=theme.NEUTRAL)
    side = zero.encode(x=alt.datum(0), y=alt.value(2))
    wrong = side.mark_text(align="right", dx=-8, baseline="top", text="← misclassified")
    right = side.mark_text(align="left", dx=8, baseline="top", text="correct →")
    cloud = marks.transform_filter("datum.cloud").mark_point(filled=True, opacity=0.45, size=40)
    single = marks.transform_filter("!datum.cloud").mark_tick(thickness=5, size=28, opacity=1)
    return alt.layer(
        zero.encode(x=alt.datum(0)),
        cloud.encode(yOffset=alt.YOffset("jitter:Q", scale=alt.Scale(domain=[-1.8, 1.8]))),
        single,
        wrong,
        right,
    ).properties(height=theme.HEIGHT)


def depends(seen: Mates) -> set[str]:
    """The methods whose margin varies with the batch-mates.

    The moving statistics and the other methods read an image by itself: they have one margin.
    """
    rows = {"batch": seen.margins} | {
        method: studies.margin(seen.alone[method][None], seen.label) for method in ALONE[1:]
    }
    return {method for method, values in rows.items() if np.ptp(values) > 0.01}


def answer(seen: Mates) -> str:
    """What the picture says, from its numbers."""
    label, read = seen.label, seen.classified_as
    wrong = [
        f", as {digit} in {read[digit]}"
        for digit in np.argsort(-read, kind="stable")
        if read[digit] and digit != label
    ]
    mates = "random batch-mates" if seen.digit is None else f"only {seen.digit}s as batch-mates"
    alone = [
        f"{'moving statistics' if method == 'batch' else words.in_sentence(method)} "
        f"{studies.margin(seen.alone[method], label):.2f}"
        for method in ALONE
    ]
    return (
        f"**Batch norm, with {mates}:** this {label} is classified as {label} in {read[label]} of "
        f"{len(seen.cloud)} batches{''.join(wrong)}; its margin goes from "
        f"{seen.margins.min():.2f} to {seen.margins.max():.2f}.\n\n"
        f"**Read by itself**, whatever the batch-mates, it has one margin: {', '.join(alone)}.\n\n"
        f"**Batch norm on all test images:** {_all_digits(seen)}"
    )


def _all_digits(seen: Mates) -> str:
    if seen.random is None or seen.sorted is None:
        kind = "batch" if seen.random is None else "batch of one class"
        return f"there are too few for a {kind} of {seen.size}."
    gap = 100 * (seen.sorted - seen.random)
    return (
        f"{seen.random:.1%} are classified correctly in random batches of {seen.size}, "
        f"{seen.sorted:.1%} in batches of one class, {abs(gap):.1f} points "
        f"{'more' if gap > 0 else 'fewer'}."
    )
