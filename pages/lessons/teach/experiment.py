"""One experiment by all: what each student trains is a point of one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from normlib.config import METHODS
from pages.components import charts, classroom, downloads, navigation, page, server, turns
from pages.components.charts import Chart
from pages.lab import words
from pages.lab.class_runs import Point, as_csv, best, pairs, points
from pages.lessons.teach import seeds, student

if TYPE_CHECKING:
    import altair as alt

# A second of a core each: a room of thirty waits for less than a minute.
SETTINGS = {"images": 6000, "epochs": 1}


def show() -> None:
    st.header("One experiment by all", anchor=False)
    st.markdown(
        "**Rates and sizes.** Everyone picks a method, a learning rate and a batch size: which go "
        "together, and where does each method break?  \n"
        "**Seeds.** Everyone trains two methods with a seed of their own: is one really better?"
    )
    with st.container(horizontal=True):
        bring("to_train", "Train, rates and sizes", navigation.place_of("train", SETTINGS))
        two = navigation.place_of("compare", SETTINGS | {"methods": ("none", "batch")})
        bring("to_seeds", "Compare, seeds", two.replace("seed=0", student.OWN_SEED))
    st.fragment(watch, run_every=2.0)()


def bring(key: str, where: str, place: str) -> None:
    """A button that sends the class to a place."""
    sent = classroom.state().here == place
    st.button(
        f"The class is at {where}" if sent else f"Bring the class to {where}",
        icon=":material/campaign:",
        key=f"_{key}",
        disabled=sent,
        on_click=classroom.send,
        args=(place,),
    )


def watch() -> None:
    with turns.take():
        if classroom.lecturer() is None:  # the class is over
            st.rerun()
        code = classroom.state().code
        runs = [server.store().summary(key) for key in server.classes().runs(code)]
        found = points(runs)
        if not found:
            st.caption("No training of the class is over yet.")
            return
        server.wait_for_tensorflow()
        seeds.show(pairs(runs))
        used = [method for method in METHODS if any(point.method == method for point in found)]
        most = page.MOST_METHODS  # side by side
        for row in (used[at : at + most] for at in range(0, len(used), most)):
            shown = [point for method in row for point in found if point.method == method]
            charts.show(picture(shown), caption(shown), f"class_runs_{row[0]}")
        downloads.file("The runs (CSV)", f"runs-{code}.csv", lambda: as_csv(found))


def caption(found: Sequence[Point]) -> str:
    """How many are over, how many of them diverged, and which is best."""
    lost = sum(point.accuracy is None for point in found)
    told = f"{words.count(len(found), 'training')} over, {lost} diverged (✕). "
    top = best(found)
    if top is None:
        return told
    return told + (
        f"Best: {words.percent(top.accuracy or 0.0)} by {words.in_sentence(top.method)}, learning "
        f"rate {words.number(top.rate)}, batch size {top.batch}. The fuller a point, the more test "
        "images are read correctly."
    )


def picture(found: Sequence[Point]) -> Chart:
    """A panel per method: learning rate and batch size, each training a point."""
    table = charts.frame(
        {
            "method": [point.method for point in found],
            "learning rate": [point.rate for point in found],
            "batch size": [point.batch for point in found],
            "seed": [point.seed for point in found],
            "accuracy": [point.accuracy for point in found],
            "diverged": [point.accuracy is None for point in found],
        }
    )
    panels = tuple(
        (_spec(method), rows) for method, rows in table.groupby("method", sort=False, dropna=False)
    )
    return Chart(panels, caption(found), table)


@charts.spec
def _spec(method: str) -> alt.TopLevelMixin:
    import altair as alt

    from pages.components import theme

    base = alt.Chart().encode(
        x=alt.X(
            "learning rate:Q",
            scale=alt.Scale(type="log", domain=[0.0008, 4]),
            axis=alt.Axis(values=[0.001, 0.01, 0.1, 1], title="Learning rate"),
        ),
        y=alt.Y(
            "batch size:Q",
            scale=alt.Scale(type="log", base=2, domain=[0.8, 1300]),
            axis=alt.Axis(values=[1, 4, 16, 64, 256, 1024], title="Batch size"),
        ),
    )
    read = base.transform_filter("!datum.diverged")
    points = read.mark_point(shape="circle", size=260, filled=True, stroke="currentColor").encode(
        color=alt.value(theme.color(method)),
        fillOpacity=alt.FillOpacity(
            "accuracy:Q", scale=alt.Scale(domain=[0.1, 1], range=[0.05, 1]), legend=None
        ),
        tooltip=[alt.Tooltip("accuracy:Q", format=".1%"), "seed:Q"],
    )
    numbers = read.mark_text(dy=-18).encode(text=alt.Text("accuracy:Q", format=".0%"))
    crosses = base.transform_filter("datum.diverged").mark_text(text="✕", fontSize=18)
    title = alt.TitleParams(words.title(method))
    return alt.layer(points, numbers, crosses).properties(height=260, title=title)
