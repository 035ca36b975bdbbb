"""How many more of the test images each series reads than no normalization, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from normlib.run import Run
from pages.components import charts, theme
from pages.components.charts import Chart
from pages.lab import comparison, words
from pages.lab.verdict import CONFIDENCE, Verdict

if TYPE_CHECKING:
    import altair as alt


def show(ended: Mapping[str, Sequence[Run]]) -> None:
    found = comparison.against(ended)
    if found:
        charts.show(
            chart(found, tuple(ended)),
            "Test accuracy minus that of no normalization, in points · a mark for each seed · "
            f"line: interval of the mean ({CONFIDENCE:.0%}), from three seeds on",
            "differences",
        )


def chart(found: Mapping[str, Verdict], series: tuple[str, ...], base: str = "none") -> Chart:
    """series: all of the page, in its order, so that each has the colour of its curve. base: what
    each is compared with."""
    table = charts.frame(
        [
            {"method": name, "pair": pair, "difference": one}
            | {"mean": told.mean, "low": told.low, "high": told.high, "verdict": told.settled}
            for name, told in found.items()
            for pair, one in enumerate(told.differences, start=1)
        ]
    )
    finite = table["low"].abs() < math.inf
    drawn = table.assign(
        series=[words.title(name) for name in table["method"]],
        low=table["low"].where(finite, table["mean"]),
        high=table["high"].where(finite, table["mean"]),
    )
    summary = "; ".join(
        f"{words.title(name)} {words.points(told.mean)}, {told.settled}"
        for name, told in found.items()
    )
    colors = tuple(theme.color(name, series.index(name)) for name in found)
    spec = _spec(tuple(found), colors, f"Points more than {words.in_sentence(base)}")
    return Chart(((spec, drawn),), f"{summary}.", table)


@charts.spec
def _spec(methods: tuple[str, ...], colors: tuple[str, ...], title: str) -> alt.TopLevelMixin:
    import altair as alt

    titles = list(map(words.title, methods))
    base = alt.Chart().encode(
        y=alt.Y("series:N", title=None, sort=titles),
        color=alt.Color("series:N", scale=alt.Scale(domain=titles, range=colors), legend=None),
    )
    x = alt.X("difference:Q", title=title)
    tips = ["series:N", "pair:Q", alt.Tooltip("difference:Q", format="+.2f"), "verdict:N"]
    zero = alt.Chart().mark_rule(color=theme.NEUTRAL).encode(x=alt.datum(0))
    spread = base.mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q")
    middle = base.mark_tick(thickness=3, size=22).encode(x="mean:Q")
    marks = base.mark_point(filled=False, size=110, strokeWidth=2.5, opacity=1)
    return alt.layer(zero, spread, middle, marks.encode(x=x, tooltip=tips)).properties(
        height={"step": 44}
    )
