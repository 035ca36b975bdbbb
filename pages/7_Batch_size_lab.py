"""What batch size does: which statistics batch norm uses, who shares them, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from normlib.config import METHODS, TrainConfig
from pages.components import (
    batch_charts,
    charts,
    controls,
    live_sweep,
    page,
    server,
    source,
    trainings,
    turns,
)
from pages.lab import sweeps
from pages.lab.sweeps import Outcome, Sweep

if TYPE_CHECKING:
    from pages.lab.activations import Memory
    from pages.lab.queue import Experiment

OFFERED = tuple(method for method in METHODS if method != "tf_batch")
MOST_METHODS = 4
RECORDED_SEEDS = (0, 1, 2)
DIGITS_SHOWN = 16
AXES = {
    "test": "Test batch size",
    "momentum": "Momentum",
    "batch": "Training batch size",
}
QUESTIONS = {
    "inference": "A network with batch norm has learned. Now it reads one single image. Whose mean "
    "and variance should it use, and what becomes of its accuracy if it uses the image's own?",
    "mates": "One test digit goes through the same trained network 200 times, each time in other "
    "company. For which methods does the answer depend on the company?",
    "sweep": "From 256 images per step down to 2: which method loses most, and is it the size of "
    "the batch or the number of steps that matters?",
    "cliff": "Turn the learning rate up until the training breaks. Does normalization move that "
    "cliff, or does it change what can be reached before it?",
}


def main() -> None:
    page.set_up("batch_lab")
    view = controls.control("lab", label_visibility="collapsed")
    page.question(QUESTIONS[view])
    {"inference": inference, "mates": mates, "sweep": sweep, "cliff": cliff}[view]()


@st.cache_resource(show_spinner=False)
def memory() -> Memory:
    """What was computed on trained networks, shared by all sessions; each a few kB to 2.4 MB."""
    from pages.lab.activations import Memory

    return Memory(most=48)


# ---- training against inference --------------------------------------------------------------


def inference() -> None:
    with page.control_box():
        first, second = st.columns(2, vertical_alignment="bottom")
        with first:
            along = controls.control("against")
        with second:
            controls.control("placement")
        first, second = st.columns(2, vertical_alignment="bottom")
        with first:
            controls.control("momentum")
        if along != "batch":
            with second:
                controls.control("batch", label="Training batch size")
    server.wait_for_tensorflow()
    config = replace(
        sweeps.small(controls.get("placement")),
        batch_size=controls.get("batch"),
        momentum=controls.get("momentum"),
    )
    configs = along_configs(along, config)
    recorded = recorded_studies()
    has_recorded = all(sweeps.name_of(one) in recorded for one in configs)
    found = act_on_networks(configs, "study")
    network_buttons(configs, found, "study", has_recorded)
    which = live_sweep.source_of(has_recorded, bool(found))
    if not which:
        sizes = ", ".join(map(str, sweeps.TRAINED_SIZES))
        st.markdown(
            f"Recorded numbers are there for training batches of {sizes} with momentum 0.9, and "
            "for batches of 64 with any momentum on the slider. For these settings, press "
            "**Train here**: it takes seconds."
        )
        return
    if which == "live":
        with st.spinner("Reading test images with three kinds of statistics."):
            studies = [live_study(one, along == "test") for one in found]
    else:
        studies = [recorded[sweeps.name_of(one)] for one in configs]
    show_studies(along, configs, studies, which)


def along_configs(along: str, config: TrainConfig) -> list[TrainConfig]:
    """The trainings in the picture, from left to right; the chosen setting is always among them."""
    if along == "momentum":
        momenta = sorted({*sweeps.MOMENTA, config.momentum})
        return [replace(config, momentum=one) for one in momenta]
    if along == "batch":
        return [replace(config, batch_size=one) for one in sweeps.TRAINED_SIZES]
    return [config]


def recorded_studies() -> dict[str, dict[str, Any]]:
    """The recorded studies by the name of their config."""
    return {
        sweeps.name_of(TrainConfig.from_dict(one["config"])): one
        for one in sweeps.recorded_study("inference")["studies"]
    }


def live_study(experiment: Experiment, every_size: bool) -> dict[str, Any]:
    """`inference.study` of a run, from memory where somebody has asked before."""
    from pages.lab import inference

    size = min(experiment.config.batch_size, 256)
    sizes = inference.TEST_SIZES if every_size else (size,)

    def study() -> dict[str, Any]:
        with server.experiments().interactive():
            found = inference.study(experiment.run, server.data(), sizes)
        return found | {"own": {str(size): right for size, right in found["own"].items()}}

    with turns.let_others():
        return memory().get(("study", experiment.key, sizes), study)


def show_studies(
    along: str, configs: Sequence[TrainConfig], studies: Sequence[dict[str, Any]], which: str
) -> None:
    config = configs[0]
    recalibrated = controls.get("recalibrated")
    where = controls.CONTROLS["placement"].words(config.placement).lower()
    live_sweep.mark(
        which,
        sweeps.recorded_study("inference")["origin"],
        f"{config.train_size:,} images, {config.epochs} epoch, learning rate "
        f"{config.learning_rate:g}, seed {config.seed}; normalized: {where}.",
    )
    rows = study_rows(along, configs, studies)
    kinds = {"own": batch_charts.OWN, "moving": batch_charts.MOVING}
    if recalibrated:
        kinds["recomputed"] = batch_charts.RECOMPUTED
    rows = [row for row in rows if row["series"] in kinds]
    title = AXES[along]
    left, right = st.columns([3, 2])
    with left:
        charts.show(
            batch_charts.lines(
                rows,
                kinds,
                title,
                "Test accuracy",
                log=along != "momentum",
                places=list(dict.fromkeys(row["x"] for row in rows)),
                summary=study_summary(rows, kinds, title),
            ),
            f"Batch norm. {2_000:,} test images, read with three kinds of statistics."
            if recalibrated
            else f"Batch norm. {2_000:,} test images, read with two kinds of statistics.",
            "accuracies",
        )
    shown = chosen_study(configs, studies)
    with right:
        momentum = controls.get("momentum")
        momenta = sorted({0.5, 0.9, 0.99, 0.999, momentum})
        if len(momenta) > 4:
            momenta.remove(0.5 if momentum != 0.5 else 0.9)
        charts.show(
            batch_charts.arrival(momenta, momentum, shown["steps"]),
            f"How far the moving average has come, by momentum; blue: {momentum:g}.",
            "arrival",
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Back to the moving average" if recalibrated else "Recalibrate",
            icon=":material/undo:" if recalibrated else ":material/auto_fix_high:",
            type="secondary" if recalibrated else "primary",
            key="recalibrate",
            on_click=controls.put,
            args=("recalibrated", not recalibrated),
            help="Recompute the moving statistics: the plain average over many training batches, "
            "with the weights as they are.",
        )
        if recalibrated:
            st.caption(
                f"The plain average over {shown['batches']} training batches; no weight changed."
            )
    page.answer(study_words(along, configs, studies, recalibrated))
    from normlib import layers
    from pages.lab import inference

    source.show_source(
        layers.BatchNorm.update,
        inference.recalibrate,
        formula=r"\text{moving} \leftarrow m \cdot \text{moving} + (1 - m) \cdot \text{batch}"
        r"\qquad \text{arrived after } t \text{ steps: } 1 - m^t",
    )


def chosen_study(
    configs: Sequence[TrainConfig], studies: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The study of the settings above, or the first."""
    for config, study in zip(configs, studies, strict=True):
        if (config.batch_size, config.momentum) == (
            controls.get("batch"),
            controls.get("momentum"),
        ):
            return study
    return studies[0]


def own_of(config: TrainConfig, study: dict[str, Any]) -> float:
    """The accuracy with the batch's own statistics, in test batches like those of the training."""
    return study["own"][str(min(config.batch_size, 256))]


def study_rows(
    along: str, configs: Sequence[TrainConfig], studies: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    if along == "test":
        (study,) = studies
        places = [(int(size), study, right) for size, right in study["own"].items()]
    else:
        field = "momentum" if along == "momentum" else "batch_size"
        places = [
            (getattr(config, field), study, own_of(config, study))
            for config, study in zip(configs, studies, strict=True)
        ]
    return [
        {"series": kind, "x": x, "y": right, "low": right, "high": right}
        for kind in ("own", "moving", "recomputed")
        for x, study, own in places
        for right in [own if kind == "own" else study[kind]]
    ]


def study_summary(rows: Sequence[dict], kinds: dict, title: str) -> str:
    sentences = []
    for kind, series in kinds.items():
        theirs = [row for row in rows if row["series"] == kind]
        words = ", ".join(f"{row['x']:g}: {row['y']:.1%}" for row in theirs)
        sentences.append(f"{series.title}, by {title.lower()}: {words}.")
    return " ".join(sentences)


def study_words(
    along: str,
    configs: Sequence[TrainConfig],
    studies: Sequence[dict[str, Any]],
    recalibrated: bool,
) -> str:
    """What the pictures say, from their numbers."""
    shown = chosen_study(configs, studies)
    sentences = []
    if along == "test":
        config = configs[0]
        own = {int(size): right for size, right in shown["own"].items()}
        sentences.append(
            f"**The batch's own statistics:** {own[1]:.1%} in batches of 1, "
            f"{own[max(own)]:.1%} in batches of {max(own)}. **The moving ones:** "
            f"{shown['moving']:.1%}, whoever else is there."
        )
        sentences.append(one_image_words(config.placement, own[1]))
    elif along == "momentum":
        rights = {
            config.momentum: study["moving"] for config, study in zip(configs, studies, strict=True)
        }
        best, worst = max(rights, key=rights.__getitem__), min(rights, key=rights.__getitem__)
        sentences.append(
            f"All of these networks have the same weights: momentum changes nothing in training. "
            f"With moving statistics they read {rights[best]:.1%} at momentum {best:g} and "
            f"{rights[worst]:.1%} at {worst:g}; with their batch's own all read "
            f"{own_of(configs[0], studies[0]):.1%}."
        )
    else:
        gaps = {
            config.batch_size: 100 * (study["moving"] - own_of(config, study))
            for config, study in zip(configs, studies, strict=True)
        }
        largest = max(gaps, key=lambda size: abs(gaps[size]))
        side = "more" if gaps[largest] > 0 else "fewer"
        sentences.append(
            f"The two kinds of statistics differ most after training with batches of {largest}: "
            f"the moving ones read {abs(gaps[largest]):.1f} points {side} of the images correctly."
        )
    momentum, steps = controls.get("momentum"), shown["steps"]
    arrived = sweeps.arrived(momentum, steps)
    off = shown["off"]
    sentences.append(
        f"**The moving average:** after {steps:,} steps with momentum {momentum:g} it has come "
        f"1 − {momentum:g}{superscript(steps)} = {arrived:.1%} of the way from its start, mean 0 "
        "and variance 1. In the channel that is furthest off, its variance and the recomputed one "
        f"differ by a factor of {off['variance']:.2f}."
    )
    if recalibrated:
        before, after = (round(100 * shown[name], 2) for name in ("moving", "recomputed"))
        gain = controls.minus(f"{after - before:+.2f}")
        sentences.append(
            f"**Recalibrated** over {shown['batches']} training batches: {before:.2f}% becomes "
            f"{after:.2f}%, {gain} points, without one training step."
        )
    return "\n\n".join(sentences)


def superscript(number: int) -> str:
    """375 as an exponent: ³⁷⁵."""
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def one_image_words(placement: str, right: float) -> str:
    """What batch norm makes of a batch of one image."""
    if placement == "conv":
        return (
            "**A batch of 1** still has 784 positions per channel: the image is normalized by "
            "itself, which is instance norm, and the network was not trained for that."
        )
    return (
        "**A batch of 1 on a dense layer:** each unit has one value, which is its own mean. The "
        "variance is 0, every output is beta, and each image gets the same answer: "
        f"{right:.1%} is the share of that digit among the images. In training no gradient would "
        "pass, either."
    )


# ---- networks that are looked at -------------------------------------------------------------


def act_on_networks(configs: Sequence[TrainConfig], wish: str) -> list[Experiment] | None:
    """Do what the buttons asked for; the finished runs, or None while one is missing."""
    if trainings.wished(f"train_{wish}"):
        trainings.submit(configs, weights=True)
    if trainings.wished(f"stop_{wish}"):
        trainings.stop(config.key(server.data().checksum) for config in configs)
    return live_sweep.trained(configs)


def network_buttons(
    configs: Sequence[TrainConfig],
    found: list[Experiment] | None,
    wish: str,
    has_recorded: bool,
) -> None:
    """Train and Stop for a few networks, and how far they are."""
    asked = [one for one in map(trainings.find, configs) if one is not None]
    live = [one for one in asked if one.status in trainings.LIVE]
    if found is None:
        count = (
            f"{len(configs)} small networks, some seconds each"
            if len(configs) > 1
            else "One small network, some seconds"
        )
        with st.container(horizontal=True, vertical_alignment="center", key=f"{wish}_buttons"):
            live_sweep.ask_button(
                "Train here",
                f"train_{wish}",
                icon=":material/play_arrow:",
                type="secondary" if has_recorded else "primary",
                disabled=bool(live),
            )
            trainings.button("Stop", f"stop_{wish}", icon=":material/stop:", disabled=not live)
            st.caption(f"{count}.")
        trainings.keeping()
        for one in asked:
            if one.status in ("stopped", "failed", "diverged"):
                st.caption(f"{METHODS[one.config.normalization].title}: {one.message}")
    if live:

        def draw() -> None:
            for one in live:
                trainings.progress(one, METHODS[one.config.normalization].title)

        trainings.follow(live, draw, f"{wish}_live")


# ---- batch-mates -----------------------------------------------------------------------------


def mates() -> None:
    with page.control_box():
        first, second, third, fourth = st.columns([3, 3, 2, 3], vertical_alignment="bottom")
        with first:
            size = controls.control("crowd")
        with second:
            who = controls.control("mates")
        with third:
            controls.control("pinned", label="Test digit")
        with fourth:
            placement = controls.control("placement")
    server.wait_for_tensorflow()
    configs = list(sweeps.mates_configs(placement).values())
    recorded = recorded_mates(placement, size, who, controls.get("pinned"))
    found = act_on_networks(configs, "mates")
    network_buttons(configs, found, "mates", recorded is not None)
    which = live_sweep.source_of(recorded is not None, found is not None)
    if not which:
        st.markdown(
            f"Recorded numbers are there for test digit {sweeps.PINNED} with random mates or only "
            f"{sweeps.ONE_CLASS}s, in batches of {', '.join(map(str, sweeps.MATES_SIZES))}. For "
            "any other, press **Train here**: four networks, some seconds each."
        )
        return
    if which == "live":
        try:
            with st.spinner("Reading the digit in 200 batches."):
                seen = live_mates(found, size, who)
        except ValueError as error:
            st.warning(str(error), icon=":material/group_off:")
            return
    else:
        seen = recorded
    show_mates(seen, configs[0], size, who, which)


def recorded_mates(placement: str, size: int, who: str, pinned: int) -> dict[str, Any] | None:
    """What is recorded of this picture: one view, with its one cloud."""
    for view in sweeps.recorded_study("mates")["views"]:
        cloud = view["cloud"].get(who, {}).get(str(size))
        if view["placement"] == placement and view["pinned"] == pinned and cloud is not None:
            return {
                "pinned": pinned,
                "label": view["label"],
                "cloud": np.array(cloud) / 100,
                "alone": {method: np.array(ten) for method, ten in view["alone"].items()},
                "accuracy": {how: by[str(size)] for how, by in view["accuracy"].items()},
            }
    return None


def live_mates(found: Sequence[Experiment], size: int, who: str) -> dict[str, Any]:
    """The same, computed on the networks of this machine; what can be kept is kept."""
    from pages.lab import inference

    data, kept = server.data(), memory()
    images, labels = (a[: inference.EVALUATED] for a in (data.test_images, data.test_labels))
    pinned = min(controls.get("pinned"), len(images) - 1)
    digit = None if who == "random" else int(who)
    by_method = {one.config.normalization: one for one in found}
    batch = by_method["batch"]
    with turns.let_others(), server.experiments().interactive():
        nets = {
            method: kept.get(("network", one.key), lambda one=one: inference.network(one.run))
            for method, one in by_method.items()
        }
        net = nets["batch"]
        moments = kept.get(("moments", batch.key), lambda: inference.channel_moments(net, images))
        cloud = kept.get(
            ("cloud", batch.key, pinned, size, digit),
            lambda: inference.cloud(
                net, images, pinned, inference.draw_mates(labels, pinned, size, digit), moments
            ),
        )
        accuracy = kept.get(
            ("in batches", batch.key, size),
            lambda: {
                "random": inference.accuracy_in_batches(net, images, labels, size),
                "sorted": inference.accuracy_in_sorted_batches(net, images, labels, size),
            },
        )
        alone = {m: inference.logits(one, images[pinned][None])[0] for m, one in nets.items()}
    return {
        "pinned": pinned,
        "label": int(labels[pinned]),
        "cloud": cloud,
        "alone": alone,
        "accuracy": accuracy,
    }


def show_mates(seen: dict[str, Any], config: TrainConfig, size: int, who: str, which: str) -> None:
    label = seen["label"]
    live_sweep.mark(
        which,
        sweeps.recorded_study("mates")["origin"],
        f"Four networks, each {config.train_size:,} images in batches of {config.batch_size}, "
        f"learning rate {config.learning_rate:g}, seed {config.seed}.",
    )
    company = "random mates" if who == "random" else f"mates that are all {who}s"
    rows = margin_rows(seen)
    left, right = st.columns([3, 2])
    with left:
        charts.show(
            batch_charts.margins(rows, mates_words(seen, size, who).replace("**", "")),
            f"Right of 0 the digit is read correctly. 200 batches of {size}, {company}.",
            "margins",
        )
    with right:
        charts.show(
            batch_charts.logit_cloud(
                seen["cloud"],
                seen["alone"]["batch"],
                label,
                logit_words(seen),
            ),
            f"All ten logits under batch norm, one dot per batch; blue: the right class, {label}. "
            "Purple bar: with moving statistics.",
            "logits",
        )
    show_company(seen, size, who, which)
    first, second = st.columns(2)
    first.metric(f"Accuracy in random batches of {size}", f"{seen['accuracy']['random']:.1%}")
    second.metric(f"In batches of {size} of one class", f"{seen['accuracy']['sorted']:.1%}")
    st.caption(
        "2,000 test images under batch norm, each read with the statistics of its own batch."
    )
    page.answer(mates_words(seen, size, who))
    from pages.lab import inference

    source.show_source(
        inference.pooled,
        inference.cloud,
        formula=r"\mu = \overline{\mu_n} \qquad "
        r"\sigma^2 = \overline{\sigma_n^2} + \operatorname{var}(\mu_n)",
    )


def show_company(seen: dict[str, Any], size: int, who: str, which: str) -> None:
    """The pinned digit and its first batch, where these are the images."""
    from pages.lab import inference

    data = server.data()
    origin = sweeps.recorded_study("mates")["origin"]["data"]["checksum"]
    if which == "recorded" and data.checksum != origin:
        st.caption("The recorded numbers are about MNIST, which this server does not have.")
        return
    labels = data.test_labels[: inference.EVALUATED]
    digit = None if who == "random" else int(who)
    first = inference.draw_mates(labels, seen["pinned"], size, digit)[0][: DIGITS_SHOWN - 1]
    shown = data.test_images[[seen["pinned"], *first]]
    more = f", {len(first)} of its {size - 1} mates" if len(first) < size - 1 else ", its mates"
    words = f"Test digit {seen['pinned']}, a {seen['label']}, and{more[1:]} in the first batch."
    charts.show_images(charts.image_grid(shown, 8, 1), words, words)


def margin_rows(seen: dict[str, Any]) -> list[dict[str, Any]]:
    from pages.lab import inference

    label = seen["label"]
    own = inference.margin(seen["cloud"], label)
    rows = [
        {
            "row": "Batch norm, the batch's own statistics",
            "method": "batch",
            "batch": str(batch),
            "margin": float(margin),
            "read": int(logits.argmax()),
        }
        for batch, (margin, logits) in enumerate(zip(own, seen["cloud"], strict=True), start=1)
    ]
    for method in ("batch", "layer", "weight", "none"):
        ten = seen["alone"][method]
        name = METHODS[method].title + (", moving statistics" if method == "batch" else "")
        rows.append(
            {
                "row": name,
                "method": method,
                "batch": "every one",
                "margin": float(inference.margin(ten, label)),
                "read": int(np.argmax(ten)),
            }
        )
    return rows


def mates_words(seen: dict[str, Any], size: int, who: str) -> str:
    from pages.lab import inference

    label = seen["label"]
    own = inference.margin(seen["cloud"], label)
    read = np.bincount(seen["cloud"].argmax(1), minlength=10)
    wrong = ", ".join(
        f"as {digit} in {read[digit]}"
        for digit in np.argsort(-read, kind="stable")
        if read[digit] and digit != label
    )
    company = "random mates" if who == "random" else f"only {who}s for company"
    text = (
        f"**Batch norm, with {company}:** this {label} is read as {label} in {read[label]} of "
        f"{len(own)} batches" + (f", {wrong}" if wrong else "") + f". Its margin goes from "
        f"{own.min():.2f} to {own.max():.2f}."
    )
    alone = []
    for method in ("batch", "layer", "weight", "none"):
        margin = float(inference.margin(seen["alone"][method], label))
        name = "moving statistics" if method == "batch" else sweeps.title(method)
        alone.append(f"{name} {margin:.2f}")
    sorted_, random = seen["accuracy"]["sorted"], seen["accuracy"]["random"]
    fewer = "fewer" if random >= sorted_ else "more"
    return (
        f"{text}\n\n**The others** do not look at the company, so each gives one margin: "
        f"{', '.join(alone)}.\n\n**All test digits:** {random:.1%} are read correctly in random "
        f"batches of {size}, {sorted_:.1%} in batches of one class, "
        f"{abs(100 * (random - sorted_)):.1f} points {fewer}."
    )


def logit_words(seen: dict[str, Any]) -> str:
    parts = [
        f"class {digit} from {ten.min():.2f} to {ten.max():.2f}"
        for digit, ten in enumerate(seen["cloud"].T)
    ]
    return f"Logits under batch norm: {', '.join(parts)}."


# ---- batch size sweep ------------------------------------------------------------------------


def four_methods() -> tuple[str, ...]:
    methods = controls.control("methods", choices=OFFERED, wrap=True)
    if not methods:
        st.info("Choose at least one method.", icon=":material/touch_app:")
    if len(methods) > MOST_METHODS:
        left_out = ", ".join(METHODS[one].title for one in methods[MOST_METHODS:])
        st.info(f"Four fit into one picture. Not shown: {left_out}.", icon=":material/info:")
    return methods[:MOST_METHODS]


def paper_preset() -> None:
    plan = sweeps.PLANS["paper"]
    controls.put("methods", plan.methods)
    controls.put("placement", plan.base.placement)
    controls.put("lr", plan.base.learning_rate)
    controls.put("held", plan.held)
    controls.put("from", "recorded")


def plain_preset() -> None:
    plan = sweeps.PLANS["images"]
    controls.put("methods", plan.methods)
    controls.put("placement", plan.base.placement)
    controls.put("lr", plan.base.learning_rate)
    controls.put("from", "recorded")


def is_paper() -> bool:
    """Whether the controls stand as the preset leaves them: then its two batch sizes are shown."""
    plan = sweeps.PLANS["paper"]
    return (
        controls.get("methods") == plan.methods
        and controls.get("placement") == plan.base.placement
        and controls.get("held") == plan.held
    )


def sweep() -> None:
    with page.control_box():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "2 to 256, four methods",
                on_click=plain_preset,
                icon=":material/stacked_line_chart:",
            )
            st.button(
                "The layer-norm paper's 4 against 128",
                on_click=paper_preset,
                icon=":material/article:",
            )
        methods = four_methods()
        first, second, third = st.columns([3, 3, 3], vertical_alignment="bottom")
        with first:
            held = controls.control("held")
        with second:
            placement = controls.control("placement")
        with third:
            rate = controls.control("lr")
        controls.control("seeds", label="Seeds when run here")
    server.wait_for_tensorflow()
    if not methods:
        return
    base = replace(sweeps.SMALL, placement=placement, learning_rate=rate)
    values = sweeps.PAPER_SIZES if is_paper() else sweeps.SIZES
    plan = Sweep("batch_size", values, methods, RECORDED_SEEDS, base, held)
    swept(plan, "sizes", draw_sizes)
    if is_paper():
        paper_table(plan)


def draw_sizes(plan: Sweep, outcomes: dict[str, Outcome]) -> None:
    picture = sweeps.rows(plan, outcomes)
    rows = [
        {
            "series": row.method,
            "x": row.value,
            "y": 1 - row.mean,
            "low": 1 - row.high,
            "high": 1 - row.low,
        }
        for row in picture
        if row.mean is not None
    ]
    if not rows:
        st.caption("Nothing has come yet.")
        return
    series = {m: batch_charts.of_method(m, index) for index, m in enumerate(plan.methods)}
    words = sweeps.size_words(plan, picture)
    count = max(row.done for row in picture)
    seeds = f"{count} seeds: mean, and a band to the extremes" if count > 1 else "1 seed"
    charts.show(
        batch_charts.lines(
            rows,
            series,
            "Batch size",
            "Test error",
            log=True,
            log_y=True,
            places=plan.values,
            summary=words.replace("**", ""),
        ),
        f"Error on all test images at the end · {held_words(plan)} · learning rate "
        f"{plan.base.learning_rate:g} · {seeds}.",
        "sizes",
    )
    if not complete(plan, picture):
        return
    lost = sum(row.diverged for row in picture)
    if lost:
        words += f"\n\n{lost} trainings diverged and are not in the lines."
    page.answer("\n\n".join(filter(None, (words, both_held(plan, outcomes)))))


def both_held(plan: Sweep, outcomes: dict[str, Outcome]) -> str:
    """Equal images against equal updates, where all the numbers of both are there."""
    plans = {held: replace(plan, held=held) for held in sweeps.HELD}
    names = (sweeps.name_of(p.config) for one in plans.values() for p in one.points())
    if not all(name in outcomes for name in names):
        return ""
    return sweeps.held_words(
        {held: (one, sweeps.rows(one, outcomes)) for held, one in plans.items()}
    )


def held_words(plan: Sweep) -> str:
    """What is equal for all batch sizes, and what therefore is not."""
    points = {point.value: point.config for point in plan.points()}
    first, last = points[min(points)], points[max(points)]
    if plan.held == "updates":
        steps = -(-first.train_size // first.batch_size)
        return (
            f"equal updates: {steps} for each; images {first.train_size:,} to {last.train_size:,}"
        )
    steps = [-(-c.train_size // c.batch_size) * c.epochs for c in (first, last)]
    return (
        f"equal images and epochs: {first.train_size:,} images, {first.epochs} epoch; updates "
        f"{steps[0]:,} down to {steps[1]:,}"
    )


def paper_table(plan: Sweep) -> None:
    st.subheader("The paper's experiment, and ours", anchor=False)
    rows = sweeps.paper_and_ours(plan, len(server.data().train_labels))
    table = charts.frame(rows)
    table.columns = ["", "Layer-norm paper", "Here"]
    st.table(table, hide_index=True, border="horizontal")
    st.caption(
        f"{sum(theirs != ours for _, theirs, ours in rows)} of {len(rows)} conditions deviate: "
        "this asks the paper's question of another network. "
        "Ba, Kiros and Hinton, 2016, arXiv:1607.06450, section 6.6 and figure 6."
    )


# ---- learning-rate cliff ---------------------------------------------------------------------


def cliff() -> None:
    with page.control_box():
        methods = four_methods()
        first, second = st.columns(2, vertical_alignment="bottom")
        with first:
            placement = controls.control("placement")
        with second:
            controls.control("seeds", label="Seeds when run here")
    server.wait_for_tensorflow()
    if not methods:
        return
    base = replace(sweeps.SMALL, placement=placement)
    plan = Sweep("learning_rate", sweeps.RATES, methods, sweeps.PLANS["rates"].seeds, base)
    swept(plan, "cliff", draw_cliff)


def draw_cliff(plan: Sweep, outcomes: dict[str, Outcome]) -> None:
    picture = sweeps.rows(plan, outcomes)
    if not picture:
        st.caption("Nothing has come yet.")
        return
    rows = [
        {
            "method": row.method,
            "rate": row.value,
            "accuracy": row.mean,
            "low": row.low,
            "high": row.high,
            "trainings": row.done,
            "diverged": row.diverged,
        }
        for row in picture
    ]
    words = sweeps.rate_words(picture)
    base, count = plan.base, max(row.done for row in picture)
    steps = -(-base.train_size // base.batch_size) * base.epochs
    charts.show(
        batch_charts.cliff(rows, plan.values, plan.methods, words.replace("**", "")),
        f"Test accuracy in % after {steps} steps, mean of {count} seed{'s' * (count > 1)}; ✕: a "
        f"seed diverged · batch size {base.batch_size} · {base.train_size:,} images.",
        "cliff",
    )
    if complete(plan, picture):
        page.answer(words)


# ---- what both sweeps share ------------------------------------------------------------------


def complete(plan: Sweep, picture: Sequence[sweeps.Row]) -> bool:
    """Whether every training has come; if not, say so instead of drawing conclusions."""
    total, done = len(plan.points()), sum(row.done for row in picture)
    if done < total:
        st.caption(f"{done} of {total} trainings. The answer comes with the last one.")
    return done == total


def swept(plan: Sweep, wish: str, draw) -> None:
    """Buttons, source and picture of a sweep: recorded at once, live as it comes."""
    try:
        points = plan.points()
    except ValueError as error:
        st.warning(str(error), icon=":material/tune:")
        return
    recorded = sweeps.recorded_outcomes()
    has_recorded = all(sweeps.name_of(point.config) in recorded for point in points)
    here = replace(plan, seeds=plan.seeds[:1] if controls.get("seeds") == "1" else RECORDED_SEEDS)
    live_sweep.buttons(here, wish, has_recorded)
    outcomes, under_way = live_sweep.live(here)
    which = live_sweep.source_of(has_recorded, bool(outcomes or under_way))
    if not which:
        st.markdown("Nothing is recorded for these settings. **Run on this machine** fills it in.")
        return
    origin = sweeps.recorded("images").origin
    if which == "recorded":
        seeds = ", ".join(map(str, plan.seeds))
        live_sweep.mark(which, origin, f"Seeds {seeds}.")
        draw(plan, recorded)
        return
    seeds = ", ".join(map(str, here.seeds))
    live_sweep.mark(which, origin, f"Seed{'s' * (len(here.seeds) > 1)} {seeds}.")
    live_sweep.run(here, lambda now: draw(here, now), wish)


with turns.take():
    main()
