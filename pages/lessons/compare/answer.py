"""What several trainings say: the sentence, the report's two tables, and the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from normlib.run import Run
from pages.components import downloads, page, trainings
from pages.lab import comparison, results, words

Ended = Mapping[str, Sequence[Run]]  # series -> the runs of its seeds that are over


def tell(ended: Ended, wanted: int) -> None:
    """wanted: how many series there will be in all."""
    if not ended:
        return
    told = verdict(ended)
    if len(ended) < 2:
        told += " Press **Train all** for the rest." if wanted > 1 else " Choose another."
    page.answer(told)
    losses = comparison.report_losses(ended)
    if len(losses):
        st.header("Loss per epoch", anchor=False)
        st.table(losses, hide_index=True, border="horizontal")
        st.caption("In the report's unit: the mean loss divided by the batch size.")
    st.header("Accuracy and time", anchor=False)
    st.table(comparison.accuracy_and_time(ended), hide_index=True, border="horizontal")
    if any(run.config.weight_norm_start == "constant" for run in ended.get("weight", ())):
        st.caption(
            "Weight norm starts at the report's constant kernel, which is never trained: its "
            "column is that of an untrained convolution."
        )
    files(ended)


def verdict(ended: Ended) -> str:
    """What the result says, and how little that is."""
    messages = [
        f"{words.title(name)}{f', seed {run.config.seed}' * (len(runs) > 1)}: {run.message}"
        for name, runs in ended.items()
        for run in runs
        if run.status != "finished" and run.message
    ]
    found = comparison.compare(ended)
    if found is None:
        return " ".join(messages) or "One curve says nothing about the others."
    most = found.accuracies[found.best]
    if most < results.GUESSING:
        guess = f"None learned: the best reads {most:.2%} of the test images, as guessing does."
        return " ".join([guess, *messages])
    low, high = found.losses[found.lowest], found.losses[found.highest]
    sentences = [
        f"After {words.count(found.epochs, 'epoch')}, **{words.title(found.lowest)}** has the "
        f"lowest loss ({comparison.loss(low)} in the report's unit) and "
        f"**{words.title(found.highest)}** the highest ({comparison.loss(high)}).",
        f"Of the test images, **{words.title(found.best)}** reads {most:.2%} correctly, "
        f"**{words.title(found.worst)}** {found.accuracies[found.worst]:.2%}.",
        *messages,
        settled(found),
    ]
    return " ".join(sentences)


def settled(found: comparison.Comparison) -> str:
    """Which of the differences are more than chance."""
    lowest = words.in_sentence(found.lowest)
    if found.seeds == 1:
        gap = 100 * (found.accuracies[found.best] - found.accuracies[found.worst])
        return (
            f"The gap is {gap:.2f} points, and one seed proves little: other first weights would "
            "move these numbers too."
        )
    below = [words.in_sentence(name) for name, one in found.against.items() if one.differs]
    others = [words.in_sentence(name) for name, one in found.against.items() if not one.differs]
    parts = []
    if below:
        parts.append(f"compared seed by seed, {lowest} ends below {words.listed(below)}")
    if others:
        parts.append(
            f"{found.seeds} seeds are not enough to tell {lowest} and {words.listed(others)} apart"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def files(ended: Ended) -> None:
    from pages.lab import export

    st.header("Download", anchor=False)
    runs = {(name, run.config.seed): run for name, seeds in ended.items() for run in seeds}
    with st.container(horizontal=True, key="tables_downloads"):
        downloads.file(
            "Both tables (CSV)",
            "comparison.csv",
            lambda: "\n".join(
                table.to_csv(index=False)
                for table in (comparison.report_losses(ended), comparison.accuracy_and_time(ended))
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
    downloads.curve_files("comparison", "comparison")
    with st.expander("One run alone, and a script that repeats it", type="compact"):
        options = {
            run.key: f"{words.title(name)}, seed {seed}" for (name, seed), run in runs.items()
        }
        (key,) = trainings.choose("run", "Run", options, long=True)
        downloads.run_files(next(run for run in runs.values() if run.key == key), "run")
