"""The answer of the lesson on training against inference, and how far a moving average is."""

from __future__ import annotations

from collections.abc import Sequence

from pages.lab import studies, words
from pages.lab.studies import Study

ONE_IMAGE = {
    "conv": "**A batch of 1** still has 784 positions per channel: the image is normalized by "
    "itself, which is instance norm, and the network was not trained for that.",
    "conv and dense": "**A batch of 1 on a dense layer:** each unit has one value, which is its "
    "own mean. The variance is 0, every output is beta, and each image gets the same answer: "
    "{:.1%} is the share of that digit among the images. In training, only beta would still "
    "learn: no gradient would pass to the weights before it.",
}


def answer(
    along: str, found: Sequence[Study], shown: Study, momentum: float, recalibrated: bool
) -> str:
    """What the pictures say. shown: the study of the settings above; found: all in the picture."""
    parts = {"test": _by_test_batch, "momentum": _by_momentum, "batch": _by_training_batch}
    exponent = str(shown.steps).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    text = parts[along](found) + (
        f"\n\n**The moving average:** after {words.count(shown.steps, 'step')} with momentum "
        f"{momentum:g} it has come 1 − {momentum:g}{exponent} = "
        f"{studies.arrived(momentum, shown.steps):.1%} of the way from its start, mean 0 and "
        "variance 1. In the channel that is furthest off, its variance and the recomputed one "
        f"differ by a factor of {shown.off['variance']:.2f}."
    )
    if recalibrated:
        before, after = (round(100 * right, 2) for right in (shown.moving, shown.recomputed))
        text += (
            f"\n\n**Recalibrated** over {shown.batches} training batches: {before:.2f}% becomes "
            f"{after:.2f}%, {words.points(after - before)}, without one training step."
        )
    return text


def _by_test_batch(found: Sequence[Study]) -> str:
    (study,) = found
    own, most = study.own, max(study.own)
    return (
        f"**The batch's own statistics:** {own[1]:.1%} in batches of 1, {own[most]:.1%} in "
        f"batches of {most}. **The moving statistics:** {study.moving:.1%}, whatever else is in "
        f"the batch.\n\n{ONE_IMAGE[study.config.placement].format(own[1])}"
    )


def _by_momentum(found: Sequence[Study]) -> str:
    worst, *_, best = sorted(found, key=lambda study: study.moving)
    return (
        f"All of these networks have the same weights: momentum changes nothing in training. With "
        f"moving statistics they read {best.moving:.1%} at momentum {best.config.momentum:g} and "
        f"{worst.moving:.1%} at {worst.config.momentum:g}; with their batch's own all read "
        f"{found[0].own_as_trained:.1%}."
    )


def _by_training_batch(found: Sequence[Study]) -> str:
    study = max(found, key=lambda one: abs(one.moving - one.own_as_trained))
    gap = 100 * (study.moving - study.own_as_trained)
    return (
        "The two kinds of statistics differ most after training with batches of "
        f"{study.config.batch_size}: the moving ones read {abs(gap):.1f} points "
        f"{'more' if gap > 0 else 'fewer'} of the images correctly."
    )
