"""Depth and start scale: what each method learns at its best learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.components import charts, live_sweep, navigation, page, theme
from pages.components.charts import Chart
from pages.lab import depth, recorded, words

if TYPE_CHECKING:
    import altair as alt

    from pages.lab.depth import Cell

WAITS = True  # nothing here needs TensorFlow
QUESTION = "This deep, with first weights this large, at their best rates: which networks learn?"
OPTIONS = page.options_of("depth")


def show() -> None:
    with page.control_box():
        place = depth.nearest(*page.control_row("depth", "sigma"))
    cells = depth.cells()
    seeds = words.listed(map(str, depth.SEEDS))
    small = depth.SMALL
    told = answer(cells, place)
    charts.show(
        chart(cells, place, told),
        f"Test accuracy in % after {small.epochs} epochs of {small.train_size:,} images, mean of "
        f"seeds {seeds} · each cell at the best of the learning rates "
        f"{words.listed(map(words.number, depth.RATES))}, chosen on the validation images · "
        "framed: the cell nearest to the settings",
        "map",
        main=True,
    )
    page.answer(told, read=depth.learned(place))
    best = cells["batch", *place].rate
    state = {"deep": "curves", "depth": place[0], "sigma": place[1]}
    navigation.link(
        "depth",
        label="Train the framed cell here, at batch norm's best rate",
        state=state | ({"lr": best} if best else {}),
    )
    live_sweep.mark("recorded", recorded.read("depth")["origin"], "")


def chart(cells: dict[tuple[str, int, float], Cell], place: tuple[int, float], told: str) -> Chart:
    """One panel per method: depth downwards, start scale to the right."""
    table = charts.frame(
        [
            {
                "method": cell.method,
                "layers": cell.depth,
                "start scale": cell.scale,
                "accuracy": cell.accuracy,
                "lowest seed": cell.low,
                "highest seed": cell.high,
                "best rate": cell.rate,
            }
            for cell in cells.values()
        ]
    )
    chosen = (table["layers"] == place[0]) & (table["start scale"] == place[1])
    drawn = table.assign(
        cell=[f"{100 * share:.0f}" for share in table["accuracy"]], chosen=chosen.astype(int)
    )
    panels = tuple(
        (_map_spec(method), drawn[drawn["method"] == method]) for method in drawn["method"].unique()
    )
    return Chart(panels, told, table)


def answer(cells: dict[tuple[str, int, float], Cell], place: tuple[int, float]) -> str:
    layers, scale = place
    here = [cells[method, layers, scale] for method in depth.FOUR]
    told = words.listed(
        f"{words.in_sentence(one.method)} {one.accuracy:.0%}"
        + (f" (rate {words.number(one.rate)})" if one.rate else "")
        for one in here
    )
    deepest = words.listed(
        f"{words.in_sentence(method)} {words.count(count, 'layer') if count else 'at no depth'}"
        for method, count in depth.deepest(scale).items()
    )
    return (
        f"{words.count(layers, 'layer')}, start scale {words.number(scale)}: {told}. The deepest "
        f"recorded network that reads {depth.LEARNED:.0%} or more with every seed, at this start "
        f"scale: {deepest}."
    )


@charts.spec
def _map_spec(method: str) -> alt.TopLevelMixin:
    import altair as alt

    base = alt.Chart().encode(
        x=alt.X("start scale:O", title="Start scale", axis=alt.Axis(labelAngle=0, grid=False)),
        y=alt.Y("layers:O", title="Layers", axis=alt.Axis(grid=False)),
    )
    shares = ("accuracy", "lowest seed", "highest seed")
    shade = base.mark_rect(color=theme.color(method), strokeWidth=3).encode(
        fillOpacity=alt.Opacity(
            "accuracy:Q",
            scale=alt.Scale(domain=[0.1, 1], range=[0.03, 0.6], clamp=True),
            legend=None,
        ),
        stroke=alt.condition("datum.chosen", alt.value(theme.color(method)), alt.value(None)),
        tooltip=[
            *("layers:Q", "start scale:Q", "best rate:Q"),
            *(alt.Tooltip(f"{name}:Q", format=".1%") for name in shares),
        ],
    )
    numbers = base.mark_text().encode(text="cell:N")
    return alt.layer(shade, numbers).properties(height=theme.HEIGHT, title=words.title(method))
