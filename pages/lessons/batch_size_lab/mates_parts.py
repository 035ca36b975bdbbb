"""What the lesson on batch-mates shows of one image in many batches: two charts, the answer."""

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
OWN = "Batch norm, the batch's own statistics"


def margins(seen: Mates, summary: str) -> Chart:
    """Where the image stands: a cloud under batch norm, a tick for each method that gives one."""
    batches = len(seen.cloud)
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
    drawn = data.assign(jitter=jitter, cloud=data["row"] == OWN)
    table = data[["row", "batch", "margin", "read"]]
    return Chart(((_margins_spec((OWN, *names)), drawn),), summary, table)


@charts.spec
def _margins_spec(titles: tuple[str, ...]) -> alt.TopLevelMixin:
    import altair as alt

    colors = alt.Scale(domain=ALONE, range=[theme.color(one) for one in ALONE])
    rows = alt.Chart().encode(y=alt.Y("row:N", sort=titles, title=None, axis=None))
    marks = rows.encode(
        x=alt.X(
            "margin:Q",
            title="Right class's logit − largest other",
            scale=alt.Scale(padding=12),
            axis=alt.Axis(tickCount=7),
        ),
        color=alt.Color("method:N", legend=None, scale=colors),
        tooltip=[
            alt.Tooltip("batch:N"),
            alt.Tooltip("margin:Q", format=".2f"),
            alt.Tooltip("read:N", title="classified as"),
        ],
    )
    zero = alt.Chart().transform_aggregate(all="count()").mark_rule(color=theme.NEUTRAL)
    cloud = marks.transform_filter("datum.cloud").mark_point(filled=True, opacity=0.45, size=40)
    single = marks.transform_filter("!datum.cloud").mark_tick(
        thickness=5, size=28, yOffset=6, opacity=1
    )
    return alt.layer(
        zero.encode(x=alt.datum(0)),
        cloud.encode(yOffset=alt.YOffset("jitter:Q", scale=alt.Scale(domain=[-1.8, 3]))),
        single,
        charts.row_names(rows, "row", baseline="top", yOffset=-34),
    ).properties(height=76 * len(titles))


def logit_cloud(seen: Mates) -> Chart:
    """The ten logits of the image in each batch, and those of the moving statistics.

    The right class stands out by its colour.
    """
    batches, classes = seen.cloud.shape
    data = frame(
        {
            "class": np.tile(np.arange(classes), batches),
            "batch": np.repeat(np.arange(1, batches + 1), classes),
            "logit": seen.cloud.ravel(),
            "moving": np.tile(seen.alone["batch"], batches),
        }
    )
    jitter = np.random.default_rng(1).uniform(-1, 1, len(data)).round(3)
    drawn = data.assign(jitter=jitter, right=data["class"] == seen.label)
    ranges = [
        f"class {digit} from {ten.min():.2f} to {ten.max():.2f}"
        for digit, ten in enumerate(seen.cloud.T)
    ]
    summary = f"Logits under batch norm: {', '.join(ranges)}."
    return Chart(((_logits_spec(), drawn),), summary, data)


@charts.spec
def _logits_spec() -> alt.TopLevelMixin:
    import altair as alt

    scale = alt.Scale(zero=False, padding=8)
    base = alt.Chart().encode(x=alt.X("class:O", title="Class", axis=alt.Axis(labelAngle=0)))
    dots = base.mark_point(filled=True, opacity=0.4, size=22).encode(
        y=alt.Y("logit:Q", title="Logit", scale=scale, axis=alt.Axis(tickCount=6)),
        xOffset=alt.XOffset("jitter:Q", scale=alt.Scale(domain=[-1.5, 1.5])),
        color=alt.condition(
            "datum.right", alt.value(theme.COLORS["batch"]), alt.value(theme.NEUTRAL)
        ),
        tooltip=["class:O", "batch:Q", alt.Tooltip("logit:Q", format=".2f")],
    )
    ticks = (
        base.transform_aggregate(line="max(moving)", groupby=["class"])
        .mark_tick(orient="horizontal", thickness=4, width=26, opacity=1, color=theme.SERIES[0][0])
        .encode(
            y=alt.Y("line:Q", title="Logit", scale=scale),
            tooltip=[
                alt.Tooltip("class:O"),
                alt.Tooltip("line:Q", title="with moving statistics", format=".2f"),
            ],
        )
    )
    return alt.layer(dots, ticks).properties(height=300)


# ---- the answer ------------------------------------------------------------------------------


def answer(seen: Mates) -> str:
    """What the pictures say, from their numbers."""
    label, read = seen.label, seen.classified_as
    wrong = [
        f", as {digit} in {read[digit]}"
        for digit in np.argsort(-read, kind="stable")
        if read[digit] and digit != label
    ]
    mates = "random mates" if seen.digit is None else f"only {seen.digit}s as mates"
    alone = [
        f"{'moving statistics' if method == 'batch' else words.in_sentence(method)} "
        f"{studies.margin(seen.alone[method], label):.2f}"
        for method in ALONE
    ]
    return (
        f"**Batch norm, with {mates}:** this {label} is read as {label} in {read[label]} of "
        f"{len(seen.cloud)} batches{''.join(wrong)}. Its margin goes from "
        f"{seen.margins.min():.2f} to {seen.margins.max():.2f}.\n\n"
        "**The others** do not look at the mates, so each gives one margin: "
        f"{', '.join(alone)}.\n\n**All test digits:** {_all_digits(seen)}"
    )


def _all_digits(seen: Mates) -> str:
    if seen.random is None or seen.sorted is None:
        kind = "batch" if seen.random is None else "batch of one class"
        return f"there are too few for a {kind} of {seen.size}."
    gap = 100 * (seen.sorted - seen.random)
    return (
        f"{seen.random:.1%} are read correctly in random batches of {seen.size}, "
        f"{seen.sorted:.1%} in batches of one class, {abs(gap):.1f} points "
        f"{'more' if gap > 0 else 'fewer'}."
    )
