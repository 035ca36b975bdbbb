"""The statistics of every step of every method as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.components import charts
from pages.lab.words import in_sentence, title

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from pages.lab.activations import Summary
    from pages.lessons.activation_statistics.charts import Seen

STEPS = {"before": "Before", "normalized": "Normalized", "relu": "After ReLU"}
NUMBERS = ("Mean", "Std", "Min", "15 %", "50 %", "85 %", "Max")


def table_of(seen: Seen) -> pd.DataFrame:
    """One row per step; methods whose numbers are the same as they are shown share it."""
    shared: dict[tuple, tuple[dict[str, Any], list[str]]] = {}
    for method, steps in seen.items():
        for step, summary in steps.items():
            if step != "normalized" or summary is not steps["before"]:
                row = row_of(step, summary)
                key = (step, row["Off"], *(round(row[name], 3) for name in (*NUMBERS, "Zeros")))
                shared.setdefault(key, (row, []))[1].append(method)
    for row, methods in shared.values():
        row["Method"] = shared_by(methods, [method for method in seen if method not in methods])
    order = [STEPS[step] for step in next(iter(seen.values()))]
    rows = [row for row, _ in shared.values()]
    return charts.frame(sorted(rows, key=lambda row: order.index(row["Step"])))


def shared_by(methods: list[str], others: list[str]) -> str:
    if len(methods) > 1 and len(others) < 2:
        return f"All but {in_sentence(others[0])}" if others else "All"
    return ", ".join(map(title, methods))


def row_of(step: str, summary: Summary) -> dict[str, Any]:
    statistics = (
        *(summary.overall_mean, summary.overall_std, summary.minimum.min()),
        *(*summary.percentiles, summary.maximum.max()),
    )
    off = f"{int(summary.dead.sum())} of {len(summary.dead)}" if step == "relu" else ""
    # 5e-9 is 0 with the rounding of float32, and 0 has no sign.
    numbers = {name: round(float(x), 6) + 0.0 for name, x in zip(NUMBERS, statistics, strict=True)}
    row = {"Step": STEPS[step], "Method": "", **numbers}
    return row | {"Zeros": summary.zero_share, "Off": off}


def show_table(table: pa.Table) -> None:
    numbers = st.column_config.NumberColumn(format="%.3f", width=64)
    st.dataframe(
        table,
        hide_index=True,
        key="statistics",
        column_config={
            "Step": st.column_config.TextColumn(width=100),
            "Method": st.column_config.TextColumn(width=136),
            **dict.fromkeys(NUMBERS, numbers),
            "Zeros": st.column_config.NumberColumn(format="percent", width=70),
            "Off": st.column_config.TextColumn(width=78),
        },
        alt="Statistics of every step of every method",
    )
