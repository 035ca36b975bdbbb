"""The methods side by side: the same first weights, the same batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from normlib.config import CHOICES, LIMITS, METHODS, TrainConfig
from normlib.run import Run
from pages.components import charts, controls, page, server, trainings, turns
from pages.lab import recorded as recorded_runs
from pages.lab import report

if TYPE_CHECKING:
    from pages.lab.queue import Experiment

MOST_METHODS = 4
OFFERED = tuple(method for method in CHOICES["normalization"] if method != "tf_batch")
OPERABLE = ("batch", "layer", "group", "instance")
QUESTIONS = {
    "methods": "All start from the same weights and see the same batches. Which loss falls "
    "fastest, and which method reads the most test digits correctly?",
    "surgery": "Take one piece out of a normalization at a time. Which piece does the training "
    "miss most?",
}


def main() -> None:
    page.set_up("compare")
    page.question(QUESTIONS[controls.get("among")])
    left, right = st.columns([1, 2.2])  # two pills side by side in a window of 1280
    with left, page.control_box():
        draw_controls()
    with right:
        configs = wanted()
        server.wait_for_tensorflow()
        if not configs:
            return
        act(configs)
        found = {name: [trainings.find(one) for one in seeds] for name, seeds in configs.items()}
        buttons(configs, found)
        trainings.keeping()
        known = {
            name: [one for one in seeds if one is not None]
            for name, seeds in found.items()
            if any(one is not None for one in seeds)
        }
        if not known:
            st.markdown("Nothing on screen yet. Press **Train all**, and the curves grow here.")
            charts.get_ready()
            return
        show(known)
        ended = {
            name: [
                one.run for one in seeds if one.run is not None and one.status not in trainings.LIVE
            ]
            for name, seeds in known.items()
        }
        ended = {name: seeds for name, seeds in ended.items() if seeds}
        if ended:
            tell(ended, len(configs))


# ---- the controls ----------------------------------------------------------------------------


def draw_controls() -> None:
    controls.control("among")
    if controls.get("among") == "methods":
        controls.control("methods", choices=OFFERED)
        methods = controls.get("methods")
    else:
        controls.control("method", choices=OPERABLE)
        controls.control("cuts")
        methods = (controls.get("method"),)
    controls.control("seeds")
    columns = st.columns(2)
    columns[0].button(
        "Fast",
        on_click=preset,
        args=(recorded_runs.configs()[0],),
        help=f"{recorded_runs.IMAGES:,} images, {recorded_runs.EPOCHS} epochs, everything else as "
        "the lab begins. Takes seconds.",
        width="stretch",
    )
    columns[1].button(
        "Report",
        on_click=preset,
        args=(report.config("batch", "as-run"),),
        help="The report's own setting: 55,000 images, batch 64, learning rate 0.01, 4 epochs, "
        "epsilon 1e-8; gamma, beta, v and g are not trained. Takes minutes.",
        width="stretch",
    )
    trainings.training_controls(methods, first=("batch", "lr", "epochs", "images", "seed"))


def preset(config: TrainConfig) -> None:
    """Set every control of a training to this config's value."""
    for name in page.TRAINING:
        controls.put(name, getattr(config, controls.CONTROLS[name].config_field))


def wanted() -> dict[str, list[TrainConfig]]:
    """What stands side by side: series -> one training per seed."""
    try:
        if controls.get("among") == "methods":
            methods = controls.get("methods")
            if not methods:
                st.info("Choose at least one method.", icon=":material/touch_app:")
            if len(methods) > MOST_METHODS:
                st.info(
                    f"{len(methods)} curves in one picture are hard to tell apart. Below are all "
                    "that you chose.",
                    icon=":material/stacked_line_chart:",
                )
            bases = {m: controls.to_train_config(normalization=m) for m in methods}
        else:
            method = controls.get("method")
            base = controls.to_train_config(normalization=method)
            bases = {method: base} | operated(base)
    except ValueError as error:
        st.warning(str(error), icon=":material/tune:")
        return {}
    first = controls.get("seed")
    last = min(first + int(controls.get("seeds")) - 1, int(LIMITS["seed"][1]))
    return {
        name: [replace(base, seed=seed) for seed in range(first, last + 1)]
        for name, base in bases.items()
    }


def operated(base: TrainConfig) -> dict[str, TrainConfig]:
    """The chosen changes, each alone; a sentence for one that the settings do not allow."""
    from pages.lab import results as tables

    changed = {}
    for cut in controls.get("cuts"):
        try:
            config = tables.surgery(base, cut)
        except ValueError as error:
            st.warning(f"{tables.SURGERY[cut]}: {error}", icon=":material/tune:")
            continue
        if config.only_used() == base.only_used():
            st.info(
                f"{tables.SURGERY[cut]}: that is how {METHODS[base.normalization].title.lower()} "
                "already runs here.",
                icon=":material/tune:",
            )
            continue
        changed[tables.SURGERY[cut]] = config
    return changed


def act(configs: Mapping[str, Sequence[TrainConfig]]) -> None:
    """Do what was asked for by a button in the run before."""
    flat = [one for seeds in zip(*configs.values(), strict=True) for one in seeds]
    if trainings.wished("train_all"):
        trainings.submit(flat)
    if trainings.wished("stop_all"):
        trainings.stop(config.key(server.data().checksum) for config in flat)


def in_turn(configs: Mapping[str, Sequence]) -> list:
    """Seed by seed, so that every series has its first run before any has its second."""
    return [each for seeds in zip(*configs.values(), strict=True) for each in seeds]


def buttons(
    configs: Mapping[str, Sequence[TrainConfig]], found: Mapping[str, Sequence[Experiment | None]]
) -> None:
    flat = in_turn(found)
    over = [one is not None and one.status in ("finished", "diverged") for one in flat]
    mine = [
        one is not None and one.status in trainings.LIVE and trainings.watches(one) for one in flat
    ]
    with st.container(horizontal=True, vertical_alignment="center", key="buttons"):
        trainings.button(
            "Train all",
            "train_all",
            type="primary",
            icon=":material/play_arrow:",
            disabled=any(mine) and all(a or b for a, b in zip(over, mine, strict=True)),
        )
        trainings.button("Stop", "stop_all", icon=":material/stop:", disabled=not any(mine))
        config = in_turn(configs)[0]
        images = min(config.train_size, len(server.data().train_labels)) * config.epochs
        asked = f"{len(flat)} training{'s' * (len(flat) != 1)} of {images:,} images"
        done = "all done" if all(over) else f"{sum(over)} done"
        recorded = next((one.recorded for one in flat if one is not None and one.recorded), "")
        told = f" Recorded: {recorded}. Press Train all to run them here, live." if recorded else ""
        st.caption(f"{asked}, {done}.{told}")


# ---- the picture -----------------------------------------------------------------------------


def show(known: Mapping[str, Sequence[Experiment]]) -> None:
    from pages.lab import results as tables

    flat = [one for seeds in known.values() for one in seeds]
    caption = caption_for(flat[0].config, max(map(len, known.values())))
    shipped = [
        tables.title(name) for name, seeds in known.items() if any(o.recorded for o in seeds)
    ]
    if shipped:
        caption += " · recorded"
        caption += "" if len(shipped) == len(known) else f": {', '.join(shipped).lower()}"
    if controls.get("among") == "surgery":
        caption += f" · changes to {METHODS[controls.get('method')].title.lower()}"

    def draw() -> None:
        progress(known)
        curves(known, caption)

    trainings.follow(flat, draw, "live")


def progress(known: Mapping[str, Sequence[Experiment]]) -> None:
    """One bar for all, who trains and who waits; a line for each that did not finish."""
    from pages.lab import results as tables

    flat = [(tables.title(name), one) for name, seeds in known.items() for one in seeds]
    trainings.progress_of_all(flat)
    for name, one in flat:
        if one.status not in (*trainings.LIVE, "finished"):
            st.markdown(f"{name}, seed {one.config.seed}: {one.message or one.status}")


def curves(known: Mapping[str, Sequence[Experiment]], caption: str) -> None:
    from pages.lab import results as tables

    seen = {name: [one.snapshot() for one in seeds] for name, seeds in known.items()}
    flat = [one for seeds in seen.values() for one in seeds]
    if not any(one.losses for one in flat):
        return
    steps = max(one.steps for one in flat) or None
    epochs = flat[0].config.epochs
    if max(map(len, seen.values())) == 1:
        single = {name: seeds[0] for name, seeds in seen.items()}
        loss = charts.loss_curves(tables.losses(single), steps=steps)
        right = tables.accuracies(single)
        accuracy = charts.accuracy_curves(right, epochs=epochs) if len(right) else None
    else:
        loss = charts.curves(
            tables.loss_bands(seen),
            *("step", "mid", "Step", "Loss"),
            log=True,
            x_range=(0, steps) if steps else None,
        )
        right = tables.accuracy_bands(seen)
        accuracy = (
            charts.curves(
                *(right, "epoch", "mid", "Epoch", "Validation accuracy"),
                points=True,
                percent=True,
                x_range=(1, epochs) if epochs > 1 else None,
                y_range=charts.share_range(right["low"], right["high"]),
            )
            if len(right)
            else None
        )
    charts.show(loss, caption, "loss")
    if accuracy is not None:
        charts.show(
            accuracy, "Share of the validation images read correctly after each epoch.", "accuracy"
        )


def caption_for(config: TrainConfig, seeds: int) -> str:
    seed = f"seed {config.seed}"
    if seeds > 1:
        seed = f"seeds {config.seed} to {config.seed + seeds - 1}: mean, and a band to the extremes"
    return " · ".join(
        [
            server.data_words(),
            f"batch size {config.batch_size}",
            f"learning rate {config.learning_rate:g}",
            f"{config.train_size:,} images",
            seed,
        ]
    )


def tell(ended: Mapping[str, Sequence[Run]], wanted: int) -> None:
    """The sentence, the report's two tables, and the files. wanted: how many series in all."""
    from pages.lab import results as tables

    verdict = tables.verdict(ended)
    if len(ended) < 2:
        verdict += " Press **Train all** for the rest." if wanted > 1 else " Choose another."
    page.answer(verdict)
    losses = tables.report_losses(ended)
    if len(losses):
        st.subheader("Loss per epoch", anchor=False)
        st.table(losses, hide_index=True, border="horizontal")
        st.caption("In the report's unit: the mean loss divided by the batch size.")
    st.subheader("Accuracy and time", anchor=False)
    st.table(tables.accuracy_and_time(ended), hide_index=True, border="horizontal")
    if any(run.config.weight_norm_start == "constant" for run in ended.get("weight", ())):
        st.caption(
            "Weight norm starts at the report's constant kernel, which is never trained: its "
            "column is that of an untrained convolution."
        )
    files(ended)


def files(ended: Mapping[str, Sequence[Run]]) -> None:
    from pages.lab import export
    from pages.lab import results as tables

    st.subheader("Take it away", anchor=False)
    flat = {(name, run.config.seed): run for name, seeds in ended.items() for run in seeds}
    with st.container(horizontal=True, key="tables_downloads"):
        st.download_button(
            "Both tables (CSV)",
            lambda: "\n".join(
                table.to_csv(index=False)
                for table in (tables.report_losses(ended), tables.accuracy_and_time(ended))
            ),
            "comparison.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
        )
        st.download_button(
            "Every loss (CSV)",
            lambda: export.losses_csv({tables.title(n): s for n, s in ended.items()}),
            "losses.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
        )
        st.download_button(
            "All runs (JSON)",
            lambda: export.runs_json(list(flat.values())),
            "runs.json",
            "application/json",
            on_click="ignore",
            icon=":material/download:",
        )
    trainings.curve_files("comparison", "comparison")
    with st.expander("One run alone, and a script that repeats it", type="compact"):
        options = {
            run.key: f"{tables.title(name)}, seed {seed}" for (name, seed), run in flat.items()
        }
        (key,) = trainings.choose("run", "Run", options, long=True)
        trainings.downloads(next(run for run in flat.values() if run.key == key), "run")


with turns.take():
    main()
