"""The files of a comparison: its tables, its losses, its curves, and each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from normlib.run import Run
from pages.components import downloads, trainings
from pages.lab import comparison, words


def files(ended: Mapping[str, Sequence[Run]]) -> None:
    """ended: series -> the runs of its seeds that are over."""
    from pages.lab import export

    st.header("Download", anchor=False)
    runs = {(name, run.config.seed): run for name, seeds in ended.items() for run in seeds}
    with st.container(horizontal=True, key="tables_downloads"):
        downloads.file(
            "Both tables (CSV)",
            "comparison.csv",
            lambda: "\n".join(
                table.to_csv(index=False)
                for table in (comparison.epoch_losses(ended), comparison.accuracy_and_time(ended))
            ),
        )
        downloads.file(
            "Every loss (CSV)",
            "losses.csv",
            lambda: export.losses_csv({words.title(name): seeds for name, seeds in ended.items()}),
        )
        downloads.file(
            "All runs (JSON)", "runs.json", lambda: export.runs_json(list(runs.values()))
        )
    downloads.curve_files("comparison", "comparison", "curves_0", "curves_1")
    with st.expander("One run alone, and a script that repeats it", type="compact"):
        options = {
            run.key: f"{words.title(name)}, seed {seed}" for (name, seed), run in runs.items()
        }
        (key,) = trainings.choose("run", "Run", options, long=True)
        downloads.run_files(next(run for run in runs.values() if run.key == key), "run")
