"""What a class voted: bars, and who moved where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from pages.components import charts, theme
from pages.components.charts import Chart
from pages.lab import words
from pages.lab.votes import Question, Vote, moves, share_right, tally

if TYPE_CHECKING:
    import altair as alt

FIRST, SECOND = "First vote", "Second vote"


def show(question: Question, votes: Sequence[Vote]) -> None:
    """The bars of one vote or of both, and the moves between them."""
    if not votes:
        st.caption("Nobody has voted.")
        return
    charts.show(votes_chart(question, votes), caption(question, votes), "class_votes")


def caption(question: Question, votes: Sequence[Vote]) -> str:
    """How many voted, how many rightly, and who changed to what."""
    counted = tally(question, votes)
    told = []
    for second, name in enumerate((FIRST, SECOND)[: 1 + question.voted_twice]):
        total = sum(both[second] for both in counted.values())
        told.append(f"{name}: {words.count(total, 'vote')}")
        share = share_right(question, votes, bool(second))
        if share is not None:
            told[-1] += f", {words.percent(share, 0)} right"
    if moved := moves(votes):
        told.append("moved: " + "; ".join(f"{many} from {a} to {b}" for a, b, many in moved))
    elif question.voted_twice:
        told.append("nobody changed their answer")
    return ". ".join(f"{one[0].upper()}{one[1:]}" for one in told) + "."


def votes_chart(question: Question, votes: Sequence[Vote]) -> Chart:
    """Per option a bar for each vote; right options have a tick."""
    rows = [
        {"option": f"✓ {option}" if option in (question.right or ()) else option}
        | {"vote": name, "votes": both[second]}
        for option, both in tally(question, votes).items()
        for second, name in enumerate((FIRST, SECOND)[: 1 + question.voted_twice])
    ]
    data = pd.DataFrame(rows)
    spec = _votes_spec(tuple(dict.fromkeys(data["option"])), question.voted_twice)
    return Chart(((spec, data),), caption(question, votes), data)


@charts.spec
def _votes_spec(options: tuple[str, ...], twice: bool) -> alt.TopLevelMixin:
    import altair as alt

    names = [FIRST, SECOND][: 1 + twice]
    base = alt.Chart().encode(
        y=alt.Y("option:N", sort=list(options), title=None, axis=alt.Axis(labelLimit=400)),
        yOffset=alt.YOffset("vote:N", sort=names),
        x=alt.X("votes:Q", title=None, axis=None),
    )
    colors = [theme.NEUTRAL, theme.COLORS["batch"]] if twice else [theme.COLORS["batch"]]
    color = alt.Color("vote:N", sort=names, scale=alt.Scale(domain=names, range=colors))
    return alt.layer(
        base.mark_bar().encode(
            color=color.legend(symbolType="square") if twice else color.legend(None)
        ),
        base.mark_text(align="left", dx=6).encode(text="votes:Q"),
    ).properties(height={"step": 15 if twice else 30, "for": "offset" if twice else "position"})
