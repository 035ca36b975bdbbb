"""Pictures of one image in many batches: its margins, its ten logits, and its first mates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pages.components import charts, image_grids, theme
from pages.components.charts import Chart, frame
from pages.lab import studies, words
from pages.lab.studies import Mates

if TYPE_CHECKING:
    import altair as alt

    from normlib.mnist import Dataset


ALONE = ("batch", "layer", "weight", "none")  # from top to bottom
DIGITS_SHOWN = 16


def margins(seen: Mates, summary: str) -> Chart:
    """Where the image stands: a cloud under batch norm, a tick for each method that gives one."""
    own = "Batch norm, the batch's own statistics"
    read = seen.cloud.argmax(1)
    rows = [
        {"row": own, "method": "batch", "batch": str(batch), "margin": margin, "read": digit}
        for batch, (margin, digit) in enumerate(zip(seen.margins, read, strict=True), start=1)
    ]
    for method in ALONE:
        ten = seen.alone[method]
        name = words.title(method) + (", moving statistics" if method == "batch" else "")
        rows.append(
            {
                **{"row": name, "method": method, "batch": "every one"},
                **{"margin": studies.margin(ten, seen.label), "read": ten.argmax()},
            }
        )
    data = frame(rows)
    jitter = np.random.default_rng(0).uniform(-1, 1, len(data)).round(3)
    drawn = data.assign(jitter=jitter, cloud=data["row"] == own)
    titles = tuple(dict.fromkeys(data["row"]))
    table = data[["row", "batch", "margin", "read"]]
    return Chart(((_margins_spec(titles), drawn),), summary, table)


@charts.spec
def _margins_spec(titles: tuple[str, ...]) -> alt.TopLevelMixin:
    import altair as alt

    colors = alt.Scale(domain=ALONE, range=[theme.color(one) for one in ALONE])
    # Titles above their marks leave the whole width to the marks, also on a telephone.
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
    names = (
        rows.transform_aggregate(all="count()", groupby=["row"])
        .mark_text(align="left", baseline="top", yOffset=-34)
        .encode(x=alt.value(2), text="row:N")
    )
    return alt.layer(
        zero.encode(x=alt.datum(0)),
        cloud.encode(yOffset=alt.YOffset("jitter:Q", scale=alt.Scale(domain=[-1.8, 3]))),
        single,
        names,
    ).properties(height=76 * len(titles))


def logit_cloud(seen: Mates, summary: str) -> Chart:
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


def show_first_batch(seen: Mates, data: Dataset) -> None:
    """Draw the pinned digit and its mates in the first batch."""
    from pages.lab import inference

    _, labels = inference.evaluated(data)
    mates = inference.draw_mates(labels, seen.pinned, seen.size, seen.digit)[0]
    shown = mates[: DIGITS_SHOWN - 1]
    some = f"{len(shown)} of its {len(mates)}" if len(shown) < len(mates) else "its"
    text = f"Test digit {seen.pinned}, a {seen.label}, and {some} mates in the first batch."
    images = data.test_images[[seen.pinned, *shown]]
    image_grids.show(image_grids.digits(images, 8, 1), text, text)
