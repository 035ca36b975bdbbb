"""What several trainings say: the sentence, two tables, and the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from normlib.config import TrainConfig
from normlib.run import Run
from pages.components import page
from pages.lab import comparison, words
from pages.lessons.compare import differences, take_away

Ended = Mapping[str, Sequence[Run]]  # series -> the runs of its seeds that are over


def tell(ended: Ended, series: Mapping[str, Sequence[TrainConfig]]) -> None:
    """series: all that was asked for, a training per seed."""
    if not ended:
        return
    told = verdict(ended)
    if len(ended) < 2:
        told += " Press **Train all** for the rest." if len(series) > 1 else " Choose another."
    whole = all(len(ended.get(name, ())) == len(seeds) for name, seeds in series.items())
    facts = comparison.facts(ended) if whole else {}
    if page.answer(told, **facts):
        differences.show(ended)
    losses = comparison.epoch_losses(ended)
    if len(losses):
        st.header("Loss per epoch", anchor=False)
        st.table(losses, hide_index=True, border="horizontal")
        st.caption("The mean cross-entropy per image, over the batches of the epoch.")
    st.header("Accuracy and time", anchor=False)
    st.table(comparison.accuracy_and_time(ended), hide_index=True, border="horizontal")
    if told := parameters(ended):
        st.caption(told)
    kernels = comparison.dense_kernels(ended)
    if len(kernels):
        st.header("The dense kernel", anchor=False)
        st.table(kernels, hide_index=True, border="horizontal")
        st.caption(
            "Of the first seed. η / ‖w‖²: the learning rate over a unit's mean squared length. "
            "Where normalization undoes the length, so far does a step turn the weights."
        )
    if any(run.config.weight_norm_start == "constant" for run in ended.get("weight", ())):
        st.caption(
            "Weight norm starts at the report's constant kernel, which is never trained: its "
            "column is that of an untrained convolution."
        )
    take_away.files(ended)


def parameters(ended: Ended) -> str:
    """How many more numbers one method learns than another, where that differs."""
    learned = {name: comparison.learned(runs[0].config) for name, runs in ended.items()}
    if len(set(learned.values())) < 2:
        return ""
    told = words.listed(f"{words.in_sentence(name)} {count:,}" for name, count in learned.items())
    return f"Learned besides weights and biases (γ and β, or g): {told}."


def verdict(ended: Ended) -> str:
    """What the result says, and how little that is."""
    config = next(iter(ended.values()))[0].config
    where = f"At learning rate {words.number(config.learning_rate)}"
    rates = comparison.rates(ended)
    if len({rate for rate, _ in rates.values()}) > 1:
        best, other = (
            words.listed(
                f"{words.in_sentence(name)} {words.number(rate)}"
                for name, (rate, chosen) in rates.items()
                if chosen == own
            )
            for own in (True, False)
        )
        where = f"Each at its own best learning rate on validation images ({best}"
        where += f"; not chosen for it: {other})" if other else ")"
    alive = comparison.survivors(ended)
    lost = [name for name in ended if name not in alive]
    told_lost = words.listed(_lost(name, ended[name]) for name in lost)
    if not alive:
        return f"{where}, none finished and learned: {told_lost}."
    sentences = []
    if lost:
        every = " with every seed that is over" if max(map(len, ended.values())) > 1 else ""
        learned = words.listed(words.in_sentence(name) for name in ended if name in alive)
        sentences.append(f"{where}, {learned} learned{every}; {told_lost}.")
    found = comparison.compare({name: ended[name] for name in ended if name in alive})
    if found is None:
        return " ".join(sentences) or "One curve says nothing about the others."
    lowest, highest = found.losses[found.lowest[0]], found.losses[found.highest[0]]
    if found.lowest == found.highest:
        sentences.append(f"All end at a loss of {comparison.loss(lowest)}.")
    else:
        after = words.count(found.epochs, "epoch")
        worst = ""
        if found.worst != found.best:
            worst = f", {_bold(found.worst)} {found.accuracies[found.worst[0]]:.2%}"
        sentences.append(
            f"{f'After {after}' if lost else f'{where}, after {after}'}, "
            f"{_bold(found.lowest, 'end')} at the lowest loss ({comparison.loss(lowest)}) and "
            f"{_bold(found.highest)} at the highest ({comparison.loss(highest)}); "
            f"{_bold(found.best, 'read')} {found.accuracies[found.best[0]]:.2%} of the test "
            f"images correctly{worst}."
        )
    return " ".join([*sentences, settled(found)])


def _bold(names: Sequence[str], verb: str = "") -> str:
    told = words.listed(f"**{words.title(name)}**" for name in names)
    return f"{told} {verb}{'s' * (len(names) == 1)}" if verb else told


def _lost(name: str, runs: Sequence[Run]) -> str:
    """`weight norm diverged (2 of 3 seeds)`, or what else kept it from learning."""
    ways: dict[str, list[Run]] = {}
    for run in runs:
        if not comparison.survivors({name: [run]}):
            ways.setdefault(run.status, []).append(run)
    told = []
    for status, own in ways.items():
        best = max((run.test_accuracy or 0.0) for run in own)
        how = f"read {best:.2%} at best, as guessing does" if status == "finished" else status
        told.append(how + f" ({len(own)} of {len(runs)} seeds)" * (len(runs) > 1))
    return f"{words.in_sentence(name)} {words.listed(told)}"


def settled(found: comparison.Comparison) -> str:
    """Which of the differences are more than chance."""
    lowest = words.in_sentence(found.lowest[0])
    if found.seeds == 1:
        gap = 100 * (found.accuracies[found.best[0]] - found.accuracies[found.worst[0]])
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
