"""What became of one training, in sentences and figures."""

from __future__ import annotations

import streamlit as st

from normlib.run import Run
from pages.lab import results, words


def outcome(run: Run) -> str:
    if not run.losses:
        return run.message
    sentences = [run.message] if run.message else []
    if run.status == "diverged":
        sentences.append(
            "The numbers grew beyond what float32 can hold. A smaller learning rate, or another "
            "normalization, may keep them in bounds."
        )
        return " ".join(sentences)
    course = results.course(run)
    over = f" by way of {loss(course.peak)}" if course.exploded else ""
    sentences.append(
        f"In {words.count(len(run.losses), 'step')} the loss went from {loss(course.first)}{over} "
        f"to {loss(course.last)}."
    )
    right = run.test_accuracy
    if right is not None and right < results.GUESSING:
        sentences.append(
            f"Of the test images {right:.2%} are read correctly, as by guessing: the network has "
            "learned nothing."
        )
    elif right is not None:
        wrong = 1 - right
        one_in = f", one in {1 / wrong:,.0f} is misread" if 0 < wrong < 0.5 else ""
        sentences.append(f"Of the test images {right:.2%} are read correctly{one_in}.")
    return " ".join(sentences)


def figures(run: Run) -> None:
    test, loss, speed, time = st.columns(4)
    right = "–" if run.test_accuracy is None else f"{run.test_accuracy:.2%}"
    test.metric("Test accuracy", right)
    last = run.epochs[-1].train_loss
    loss.metric("Loss, last epoch", f"{last:.4f}" if last < 100 else f"{last:.3g}")
    speed.metric("Images per second", f"{run.images_per_second:,.0f}")
    time.metric(
        "Time in all",
        words.seconds(run.seconds),
        help="With the evaluations after each epoch; images per second counts the steps alone.",
    )


def loss(value: float) -> str:
    """`2.30`, `1,000,000`, `1e17`."""
    if value < 1e7:
        return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"
    return words.rounded(value, 2)
