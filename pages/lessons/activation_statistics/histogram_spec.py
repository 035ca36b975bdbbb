"""How the histograms of one method are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.components import theme
from pages.components.charts import spec

if TYPE_CHECKING:
    import altair as alt

ROW = 0.72  # of a histogram's row is bars, the rest its title


@spec
def histogram_spec(title: str, color: str, rows: int, half: float) -> alt.TopLevelMixin:
    """One method: its histograms one above the other over one x axis, each row with its own 0.

    Bars and words come with the data, the words as bars without size: were the words in the spec,
    the browser would build a new picture where it now only moves marks, and by their ids it moves
    those that are there. One more layer, or a tooltip of several fields, would cost it a tenth of
    the time in which it follows a slider.
    """
    import altair as alt

    ends = [row + part for row in range(rows) for part in (0, ROW)]
    x_scale = alt.Scale(domain=(-half, half), nice=False)
    y_scale, axis = alt.Scale(domain=(0, rows), nice=False), alt.Axis(values=ends, labels=False)
    bars = alt.Chart().mark_bar(color=color, clip=True, binSpacing=0)
    bars = bars.encode(
        x=alt.X("left:Q", title=None, scale=x_scale, bin="binned"),
        x2="right:Q",
        y=alt.Y("foot:Q", title=None, scale=y_scale, axis=axis),
        y2="height:Q",
        tooltip="words:N",
        key="id:Q",
    )
    align = alt.expr("datum.id % 2 ? 'right' : 'left'")
    words = alt.Chart().transform_filter("datum.left === datum.right")
    words = words.mark_text(tooltip=None, baseline="middle", align=align)
    words = words.encode(x="left:Q", y="foot:Q", text="words:N", key="id:Q")
    return alt.layer(bars, words).properties(height=theme.HEIGHT, title=title)
