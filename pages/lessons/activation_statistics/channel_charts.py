"""The charts that have a mark per channel: means and deviations, variances against epsilon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pages.components import theme
from pages.components.charts import Chart, frame, spec
from pages.lab.words import title

if TYPE_CHECKING:
    import altair as alt

    from pages.lessons.activation_statistics.charts import Seen

LOWEST_VARIANCE = 1e-9  # a log axis has no zero: what is smaller is drawn here


# ---- each channel's mean and standard deviation ----------------------------------------------


def spread(seen: Seen, unit: str) -> Chart:
    """Mean and one standard deviation either way of each channel, before (grey) and after.

    unit: "channel" or "unit".
    """
    import pandas as pd

    pairs = {method: (steps["before"], steps["normalized"]) for method, steps in seen.items()}
    reach = max(_largest(np.abs(s.mean) + s.std) for pair in pairs.values() for s in pair)
    half = float(2 ** np.ceil(np.log2(max(2.0, reach))))
    panels, summary = [], []
    for method, (before, after) in pairs.items():
        data = frame({"channel": np.arange(len(after.mean))}).assign(
            before_mean=before.mean, before_std=before.std, mean=after.mean, std=after.std
        )
        data.insert(0, "method", title(method))
        panels.append((_spread_spec(title(method), theme.color(method), unit, half), data))
        summary.append(
            f"{title(method)}: the means of the {unit}s lay {_range(before.mean)} and lie "
            f"{_range(after.mean)}; the standard deviations lay {_range(before.std)} and lie "
            f"{_range(after.std)}."
        )
    table = pd.concat([data for _, data in panels], ignore_index=True)
    return Chart(tuple(panels), " ".join(summary), table)


def _range(values: np.ndarray) -> str:
    return f"from {values.min():.3g} to {values.max():.3g}"


@spec
def _spread_spec(title: str, color: str, unit: str, half: float) -> alt.TopLevelMixin:
    import altair as alt

    names = {"before_mean": "mean before", "before_std": "std before", "mean": "mean", "std": "std"}
    y = alt.Y(title="Dot: mean, line: ± 1 std", scale=alt.Scale(domain=(-half, half), nice=False))
    base = alt.Chart().encode(
        x=_place("channel", unit),
        tooltip=[
            alt.Tooltip("channel:Q", title=unit),
            *(alt.Tooltip(f"{f}:Q", title=text, format=".3~g") for f, text in names.items()),
        ],
    )
    before = base.mark_errorbar(color=theme.NEUTRAL, opacity=0.55, thickness=5, clip=True)
    after = base.mark_errorbar(color=color, thickness=1.8, clip=True)
    mean = base.mark_point(color=color, filled=True, opacity=1, clip=True)
    return alt.layer(
        before.encode(y=y.field("before_mean").type("quantitative"), yError="before_std:Q"),
        after.encode(y=y.field("mean").type("quantitative"), yError="std:Q"),
        mean.encode(y=y.field("mean").type("quantitative")),
    ).properties(height=theme.HEIGHT, title=title)


# ---- variances against epsilon ---------------------------------------------------------------


def variances(found: Mapping[str, tuple[np.ndarray, np.ndarray, str]], epsilon: float) -> Chart:
    """Each method's variances against epsilon on one log axis.

    found: method -> variances under its denominators (n,), the factors by which they shrink the
    output, and what has one of them, "channel" or "example".
    """
    import pandas as pd

    top = max(10.0, *(_largest(under) for under, _, _ in found.values()))
    panels, summary, tables = [], [], []
    for method, (under, factors, unit) in found.items():
        data = frame({"place": np.arange(len(under)), "variance": under, "factor": factors})
        drawn = data.assign(shown=under.clip(LOWEST_VARIANCE), epsilon=epsilon)
        end = float(10.0 ** np.ceil(np.log10(top)))
        panels.append((_variances_spec(title(method), theme.color(method), unit, end), drawn))
        summary.append(
            f"{title(method)}: {len(under)} variances {_range(under)}; "
            f"{(under < epsilon).sum()} below epsilon, {epsilon:g}. The shrink factor lies "
            f"{_range(factors)}."
        )
        tables.append(data.assign(method=method))
    return Chart(tuple(panels), " ".join(summary), pd.concat(tables, ignore_index=True))


@spec
def _variances_spec(title: str, color: str, unit: str, top: float) -> alt.TopLevelMixin:
    import altair as alt

    scale = alt.Scale(type="log", domain=(LOWEST_VARIANCE, top), nice=False)
    below = alt.datum.variance < alt.datum.epsilon
    axis = alt.Axis(labelExpr="replace(format(datum.value, '.0e'), '+', '')", tickCount=6)
    spots = alt.Chart().mark_point(color=color, size=60, strokeWidth=2, opacity=1, clip=True)
    points = spots.encode(
        x=_place("place", unit),
        y=alt.Y("shown:Q", title="Variance", scale=scale, axis=axis),
        fill=alt.value(color),
        fillOpacity=alt.condition(below, alt.value(0), alt.value(1)),
        tooltip=_tips(unit),
    )
    line = alt.Chart().transform_aggregate(line="max(epsilon)").encode(y=alt.Y("line:Q"))
    name = line.mark_text(align="left", baseline="middle", dx=3, fontSize=17)
    return alt.layer(
        points,
        line.mark_rule(color=theme.NEUTRAL, strokeDash=[6, 4]),
        name.encode(x=alt.value("width"), text=alt.value("ε")),
    ).properties(height=theme.HEIGHT, title=title)


def _tips(unit: str) -> list[alt.Tooltip]:
    import altair as alt

    numbers = [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("variance", "factor")]
    return [alt.Tooltip("place:Q", title=unit), *numbers]


def _largest(values: np.ndarray) -> float:
    """The largest finite value, or 0: an axis has no other end."""
    return float(np.max(values, where=np.isfinite(values), initial=0.0))


def _place(field: str, unit: str) -> alt.X:
    import altair as alt

    return alt.X(
        f"{field}:Q",
        title=unit.capitalize(),
        scale=alt.Scale(nice=False, padding=8),
        axis=alt.Axis(tickMinStep=1, grid=False, format="d"),
    )
