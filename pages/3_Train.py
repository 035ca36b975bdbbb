"""Train the small network with chosen settings and watch it learn."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from normlib.config import METHODS, TrainConfig
from normlib.run import Run
from pages.components import charts, controls, page, server, trainings, turns


def main() -> None:
    linked = st.query_params.to_dict()
    page.set_up("train")
    page.question(
        "Predict before you look: how many of a hundred test digits will this network read "
        "correctly, and which digit will it mistake for which?"
    )
    if "run" in linked and not any(name in linked for name in ("method", *page.TRAINING)):
        # A link that names only a run means that run's settings.
        trainings.adopt(linked["run"], ("method", *page.TRAINING))
    left, right = st.columns([1, 2.4])
    with left, page.control_box():
        controls.control("method")
        trainings.training_controls([controls.get("method")])
    with right:
        config = wanted()
        if config is None:
            return
        server.wait_for_tensorflow()
        warnings(config)
        act(config)
        experiment = on_screen(config)
        buttons(config, experiment)
        trainings.keeping()
        if experiment is None:
            nothing_yet(config)
            return
        show(experiment)
    if experiment.run is not None and experiment.status not in trainings.LIVE:
        examine(experiment.run)


def wanted() -> TrainConfig | None:
    """The training that the controls describe; a sentence where there is none."""
    try:
        return controls.to_train_config()
    except ValueError as error:
        st.warning(str(error), icon=":material/tune:")
        return None


def warnings(config: TrainConfig) -> None:
    """What these settings will do to the training, where that would surprise."""
    if config.batch_size > 1 or config.normalization not in ("batch", "tf_batch"):
        return
    if config.placement == "conv and dense":
        st.warning(
            "One image per batch: each unit of the dense layer has a single value, and that is "
            "its own mean. Its variance is 0, it always puts out beta, and no gradient passes. "
            "The network cannot learn from its images.",
            icon=":material/counter_1:",
        )
    else:
        st.info(
            "One image per batch: the mean is taken over the 784 positions of that image alone, "
            "which is instance norm while it trains.",
            icon=":material/counter_1:",
        )


def act(config: TrainConfig) -> None:
    """Do what was asked for by a button in the run before."""
    if trainings.wished("train"):
        trainings.submit([config])
    if trainings.wished("stop"):
        trainings.stop([controls.get("run")])
    shown = trainings.at(controls.get("run"))
    if trainings.wished("others") and shown is not None:
        trainings.submit(others(shown.config))


def on_screen(config: TrainConfig):
    """The run of these settings; where there is none, the one that the link names."""
    experiment = trainings.find(config)
    if experiment is not None:
        controls.put("run", experiment.key)
        return experiment
    key = controls.get("run")
    experiment = trainings.at(key)
    if experiment is not None:
        from pages.lab import results as tables

        st.info(
            "These settings have not been trained yet. Below: "
            f"{tables.describe(experiment.config, config)}.",
            icon=":material/history:",
        )
    elif key:
        controls.put("run", "")
        st.warning(
            "The run in this link is not on this server. Press Train to run its settings.",
            icon=":material/link_off:",
        )
    return experiment


def buttons(config: TrainConfig, experiment) -> None:
    key = config.key(server.data().checksum)
    this = experiment is not None and experiment.key == key
    live = experiment is not None and experiment.status in trainings.LIVE
    watched = live and trainings.watches(experiment)
    over = this and experiment.status in ("finished", "diverged")
    with st.container(horizontal=True, vertical_alignment="center", key="buttons"):
        trainings.button(
            "Train",
            "train",
            type="primary",
            icon=":material/play_arrow:",
            disabled=this and watched,
        )
        trainings.button("Stop", "stop", icon=":material/stop:", disabled=not watched)
        images = min(config.train_size, len(server.data().train_labels))
        steps = -(-images // config.batch_size) * config.epochs
        words = f"{steps:,} steps, {images * config.epochs:,} images in all."
        if over and experiment.recorded:
            words += f" Recorded: {experiment.recorded}. Press Train to run it here, live."
        elif over:
            words += " Already trained: the same settings give the same numbers."
        if this and live and not watched:
            words += " It trains for somebody else. Press Train, and it goes on for you too."
        st.caption(words)


def nothing_yet(config: TrainConfig) -> None:
    st.markdown(
        f"Nothing on screen yet. Press **Train**, and the loss of "
        f"{METHODS[config.normalization].title.lower()} grows here."
    )
    charts.get_ready()


# ---- the picture -----------------------------------------------------------------------------


def show(experiment) -> None:
    from pages.lab import results as tables

    picture = st.container()
    laid = trainings.earlier(experiment.config, [experiment.key])
    name, *names = trainings.names([experiment, *laid], experiment.config)
    caption = caption_for(experiment)

    def draw() -> None:
        snapshot = experiment.snapshot()
        if experiment.status not in ("finished",):
            trainings.progress(experiment)
        else:
            figures(experiment.run)
        curves = {name: snapshot} | dict(zip(names, laid, strict=True))
        longest = max([snapshot.steps, *(len(run.losses) for run in laid)])
        rows = tables.losses(curves)
        if len(rows):
            charts.show(charts.loss_curves(rows, steps=longest or None), caption, "loss")
        epochs = max([experiment.config.epochs, *(run.config.epochs for run in laid)])
        rows = tables.accuracies(curves)
        if len(rows):
            charts.show(
                charts.accuracy_curves(rows, epochs=epochs),
                "Share of the validation images read correctly after each epoch.",
                "accuracy",
            )

    with picture:
        trainings.follow([experiment], draw, "live")


def examine(run: Run) -> None:
    """What the finished run tells, closer looks at it, and its files."""
    from pages.lab import results as tables

    page.answer(tables.outcome(run))
    controls.control("look")
    LOOKS[controls.get("look")](run)
    st.subheader("Take it away", anchor=False)
    trainings.downloads(run, "run")
    trainings.curve_files(f"{run.config.normalization}_seed_{run.config.seed}", "run")


def caption_for(experiment) -> str:
    """The data, the seed and the settings of what is drawn, which may not be those above."""
    config = experiment.config
    parts = [
        server.data_words() if experiment.run is None else experiment.run.data_name,
        METHODS[config.normalization].title,
        f"batch size {config.batch_size}",
        f"learning rate {config.learning_rate:g}",
        f"{config.train_size:,} images",
        f"seed {config.seed}",
        *(["recorded"] if experiment.recorded else []),
    ]
    return " · ".join(parts)


def figures(run: Run) -> None:
    test, loss, speed, time = st.columns(4)
    right = "–" if run.test_accuracy is None else f"{run.test_accuracy:.2%}"
    test.metric("Test accuracy", right)
    last = run.epochs[-1].train_loss
    loss.metric("Loss, last epoch", f"{last:.4f}" if last < 100 else f"{last:.3g}")
    speed.metric("Images per second", f"{run.images_per_second:,.0f}")
    time.metric("Time", trainings.seconds(run.seconds))


def others(config: TrainConfig) -> list[TrainConfig]:
    """The same training by each of the four methods, where the settings allow it."""
    return [replace(config, normalization=method) for method in controls.FOUR_METHODS]


def peers(run: Run) -> dict[str, Run]:
    """The runs of the four methods with these settings, as far as they are there."""
    found = {}
    for config in (run.config, *others(run.config)):
        experiment = trainings.find(config)
        if experiment is not None and experiment.run is not None:
            found[config.normalization] = experiment.run
    order = dict.fromkeys([*controls.FOUR_METHODS, run.config.normalization])
    return {method: found[method] for method in order if method in found}


def offer_others(run: Run) -> None:
    """Train the methods that are missing in the picture."""
    asked = {config.normalization: trainings.find(config) for config in others(run.config)}
    live = [one for one in asked.values() if one is not None and one.status in trainings.LIVE]
    if live:
        named = [(METHODS[one.config.normalization].title, one) for one in live]
        trainings.follow(live, lambda: trainings.progress_of_all(named), "others_live")
    missing = [
        METHODS[m].title.lower()
        for m, one in asked.items()
        if one is None or (one.run is None and one not in live)
    ]
    if missing:
        trainings.button(
            f"Train {', '.join(missing)} too", "others", icon=":material/playlist_add:"
        )


# ---- what to look at -------------------------------------------------------------------------


def mistakes(run: Run) -> None:
    from pages.lab import results as tables

    data = trainings.data_of(run)
    if run.predictions is None:
        st.caption("The test images are read at the end of a training, and this one ended early.")
        return
    if data is None:
        st.caption(f"This run saw {run.data_name}, which are not loaded now.")
        return
    counts = tables.confusion(run.predictions, data.test_labels)
    left, right = st.columns([3, 2])
    with left:
        charts.show(charts.confusion(counts), "Test images.", "confusion")
    with right:
        frequent = tables.frequent_mistakes(counts)
        if not frequent:
            st.markdown("Every test image was read correctly.")
            return
        options = {f"{true}-{read}": f"{true} read as {read}" for true, read, _ in frequent}
        (chosen,) = trainings.choose("misread", "The most frequent mistakes", options, long=True)
        true, read = (int(digit) for digit in chosen.split("-"))
        where = tables.misread(run.predictions, data.test_labels, true, read)
        words = f"{len(where)} images of a {true} were read as a {read}"
        shown = where[:24]
        words += "." if len(shown) == len(where) else f"; the first {len(shown)}."
        charts.show_images(charts.image_grid(data.test_images[shown], 6, 2), words, words)


def percentiles(run: Run) -> None:
    from pages.lab import results as tables

    controls.control("stage")
    unit = f"{controls.get('stage')}_input"
    found = peers(run)
    chart = charts.bands(tables.percentiles(found, unit), "step", "Step", "Input to ReLU")
    charts.show(
        chart,
        "15th, 50th and 85th percentile of one unit's input, over 128 validation images.",
        "percentiles",
    )
    moved = tables.drift(found, unit)
    if len(moved) > 1:
        most, least = max(moved, key=moved.get), min(moved, key=moved.get)
        st.markdown(
            f"The median moves most with **{tables.title(most)}**, by {moved[most]:.1f} times the "
            f"band's width, and least with **{tables.title(least)}**, by {moved[least]:.1f} times."
        )
    offer_others(run)


def dead(run: Run) -> None:
    from pages.lab import results as tables

    controls.control("stage")
    found = peers(run)
    rows = tables.dead_units(found, controls.get("stage"))
    charts.show(
        charts.curves(rows, "step", "share", "Step", "Dead units", percent=True, y_range=(0, 1)),
        "Units that are 0 for each of 128 validation images.",
        "dead",
    )
    offer_others(run)


def gradients(run: Run) -> None:
    from pages.lab import results as tables

    charts.show(
        charts.curves(
            tables.gradient_norms(run), "step", "norm", "Step", "Gradient norm", log=True
        ),
        "Length of the loss's gradient in each kernel.",
        "gradients",
    )


def moving(run: Run) -> None:
    from pages.lab import results as tables

    if "moving_mean" not in run.recorded:
        st.caption("Only batch norm keeps moving statistics.")
        return
    controls.control("channel")
    channel = controls.get("channel")
    for column, statistic in zip(st.columns(2), ("mean", "variance"), strict=True):
        with column:
            rows = tables.moving_statistics(run, statistic, channel)
            charts.show(
                charts.curves(rows, "step", "value", "Step", f"{statistic.capitalize()}"),
                f"Channel {channel}, on 128 validation images.",
                f"moving_{statistic}",
            )
    st.markdown(tables.moving_words(run))


LOOKS = {
    "mistakes": mistakes,
    "percentiles": percentiles,
    "dead": dead,
    "gradients": gradients,
    "moving": moving,
}

with turns.take():
    main()
