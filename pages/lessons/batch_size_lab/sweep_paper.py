"""The layer-norm paper's batch-size experiment beside ours, condition by condition.

Source: Ba, Kiros and Hinton, 2016, arXiv:1607.06450, section 6.6 and figure 6.
"""

from __future__ import annotations

import streamlit as st

from pages.components import charts
from pages.lab import words
from pages.lab.sweeps import Sweep


def beside_the_paper(plan: Sweep, images: int) -> None:
    """Draw the table. images: how many the training set holds."""
    rows = conditions(plan, images)
    st.subheader("The paper's experiment, and ours", anchor=False)
    columns = ("", "Layer-norm paper", "Here")
    table = charts.frame([dict(zip(columns, row, strict=True)) for row in rows])
    st.table(table, hide_index=True, border="horizontal")
    st.caption(
        f"{sum(theirs != ours for _, theirs, ours in rows)} of {len(rows)} conditions deviate: "
        "this asks the paper's question of another network. "
        "Ba, Kiros and Hinton, 2016, arXiv:1607.06450, section 6.6 and figure 6."
    )


def conditions(plan: Sweep, images: int) -> list[tuple[str, str, str]]:
    """(what, the paper's, ours) for every condition of the experiment."""
    base = plan.base
    where = {
        "conv": "after the convolution only",
        "conv and dense": "after the convolution and the hidden layer",
    }[base.placement]
    methods = ", ".join(map(words.in_sentence, plan.methods))
    held = "equal updates" if plan.held == "updates" else words.count(base.epochs, "epoch")
    return [
        ("Network", "784–1000–1000–10, dense layers only", f"convolution, {base.hidden_units}–10"),
        ("Normalized", "both hidden layers, not the output", where),
        ("Methods", "batch norm, layer norm", methods),
        ("Batch sizes", "128 and 4", " and ".join(f"{v:g}" for v in reversed(plan.values))),
        ("Optimizer", "Adam", f"plain SGD, learning rate {base.learning_rate:g}"),
        ("Training images", "55,000", f"{min(base.train_size, images):,}"),
        ("Trained for", "60 epochs, as drawn", held),
        ("Batch norm's variance at batch 4", "unbiased", "biased, as at every size"),
        ("Batch norm at test time", "not said", f"{base.inference_statistics} statistics"),
        ("Shown", "loss and test error per epoch", "test error at the end"),
        ("Seeds", "not said", f"{len(plan.seeds)}"),
    ]
