"""`python -m pages.lab sweep`: compute the recorded sweeps, as many trainings at once as cores."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from normlib.config import CHOICES, TrainConfig
from normlib.mnist import Dataset, describe_source, load_mnist
from normlib.run import Run
from pages.lab import recorded, studies, sweeps
from pages.lab.queue import Experiments
from pages.lab.sweeps import Outcome, Sweep

_SESSION = "sweep"
_VALIDATION = 500  # a sweep shows test accuracies: a short look at the others is enough
STUDIES = ("inference", "mates")


def add_parser(commands) -> None:
    """Add `sweep` to the commands of `python -m normlib`."""
    command = commands.add_parser(
        "sweep",
        help="record the sweeps of the batch size lab",
        description="Train what the batch size lab shows at once, and write the numbers as JSON.",
    )
    command.add_argument(
        "names",
        nargs="+",
        choices=(*sweeps.PLANS, *STUDIES),
        metavar="NAME",
        help=f"which: {', '.join((*sweeps.PLANS, *STUDIES))}",
    )
    command.add_argument(
        "--folder", type=Path, default=Path(), help="where the files go (default: here)"
    )
    command.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    if not chosen.folder.is_dir():
        raise ValueError(f"There is no folder {chosen.folder} to write to.")
    data = load_mnist()
    print(describe_source(data))
    for name in chosen.names:
        began = time.monotonic()
        text = (study_json if name in STUDIES else sweep_json)(name, data)
        file = chosen.folder / (f"{name}.json" if name in STUDIES else f"sweep-{name}.json")
        file.write_text(text, encoding="utf-8")
        print(f"{file}: {time.monotonic() - began:.0f} s")
    return 0


def sweep_json(name: str, data: Dataset, sweep: Sweep | None = None) -> str:
    """Train every point of a sweep (that of this name, unless given); its file's text."""
    sweep = sweep or sweeps.PLANS[name]
    versions: dict[str, str] = {}

    def keep(run: Run) -> Outcome:
        versions.update(run.versions)
        return Outcome.of(run)

    outcomes = train_all((point.config for point in sweep.points()), data, keep, name)
    return _file(sweeps.to_content(sweep, outcomes), data, versions)


def study_json(name: str, data: Dataset) -> str:
    """Train the networks of a study and look at them; its file's text."""
    from pages.lab import inference

    versions: dict[str, str] = {}
    if name == "inference":

        def study(run: Run) -> dict[str, Any]:
            versions.update(run.versions)
            return asdict(inference.study(run, data))

        configs = studies.inference_configs()
        found = train_all(configs, data, study, name, whole=True)
        content: dict[str, Any] = {"studies": list(found.values())}
    else:
        views = []
        for placement in CHOICES["placement"]:
            configs = studies.mates_configs(placement).values()
            runs = list(train_all(configs, data, lambda run: run, name, whole=True).values())
            versions.update(runs[0].versions)
            views.append(inference.mates_view(runs, data))
        content = {"views": views}
    return _file(content, data, versions)


def _file(content: dict[str, Any], data: Dataset, versions: dict[str, str]) -> str:
    return recorded.as_json({"origin": recorded.origin(data, versions), **content})


def train_all(
    configs: Iterable[TrainConfig],
    data: Dataset,
    keep: Callable[[Run], Any],
    label: str,
    *,
    whole: bool = False,
) -> dict[str, Any]:
    """`keep(run)` of every training, by `sweeps.name_of` its config; RuntimeError if one fails.

    whole: with the weights; without them a thousand runs fit into memory.
    """
    from normlib.training import train

    wanted = {sweeps.name_of(config): config for config in configs}
    short = replace(
        data,
        validation_images=data.validation_images[:_VALIDATION],
        validation_labels=data.validation_labels[:_VALIDATION],
    )
    done = threading.Semaphore(0)

    def light(config: TrainConfig, images: Dataset, **watching) -> Run:
        try:
            run = train(config, images, **watching)
            return run if whole else replace(run, weights=[], predictions=None, recorded={})
        finally:
            done.release()

    queue = Experiments(short, limit=len(wanted), per_session_limit=len(wanted), train=light)
    submitted = {name: queue.submit(config, _SESSION) for name, config in wanted.items()}
    try:
        for count in range(1, len(submitted) + 1):
            done.acquire()
            if sys.stderr.isatty():
                print(f"\r{label}: {count} of {len(submitted)}", end="", file=sys.stderr)
    except KeyboardInterrupt:
        for experiment in submitted.values():
            queue.unwatch(experiment.key, _SESSION)
        raise
    if sys.stderr.isatty():
        print(file=sys.stderr)
    kept = {}
    for name, experiment in submitted.items():
        experiment.wait_until_over()
        if experiment.run is None:
            raise RuntimeError(experiment.message)
        kept[name] = keep(experiment.run)
    return kept
