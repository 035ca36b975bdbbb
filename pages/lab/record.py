"""Making the recordings: what each of them trains, and what it keeps of it.

python -m pages.lab record [NAME ...]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from normlib.config import CHOICES, TrainConfig
from normlib.mnist import Dataset
from normlib.run import Run
from pages.lab import recorded, report, reproduce, run_names, studies, sweeps
from pages.lab.store import Store
from pages.lab.sweeps import Outcome, Sweep
from pages.lab.train_all import train_all

T = TypeVar("T")
Content = dict[str, Any]


def record(name: str, data: Dataset, store: Store | None, folder: Path = recorded.FOLDER) -> Path:
    """Make the recording of this name; returns its file. KeyError for a name that there is not."""
    content = RECORDINGS[name](data, store)
    origin = content.pop("origin", None) or recorded.origin(data, _versions())
    return recorded.write(name, content, origin, folder)


def report_content(setting: str, data: Dataset, store: Store | None) -> Content:
    """The report's tables as they ship."""
    content = reproduce.reproduce(setting, range(report.SEEDS), report.EPOCHS, data, store)
    origin = {name: content.pop(name) for name in ("date", "machine", "data", "versions")}
    return {"origin": origin, **content}


def sweep_content(sweep: Sweep, data: Dataset, store: Store | None) -> Content:
    """Every training of a sweep, as its outcome."""
    configs = (point.config for point in sweep.points())
    return sweeps.to_content(sweep, _train(configs, data, store, Outcome.of))


def inference_content(data: Dataset, store: Store | None) -> Content:
    """Trained batch norms, each read with every kind of statistics."""
    from pages.lab import inference

    def study(run: Run) -> dict[str, Any]:
        return asdict(inference.study(run, data))

    found = _train(studies.inference_configs(), data, store, study, weights=True)
    return {"studies": list(found.values())}


def mates_content(data: Dataset, store: Store | None) -> Content:
    """One digit among hundreds of batch-mates, read by the networks of each placement."""
    from pages.lab import inference

    views = []
    for placement in CHOICES["placement"]:
        configs = studies.mates_configs(placement).values()
        runs = _train(configs, data, store, lambda run: run, weights=True)
        views.append(inference.mates_view(list(runs.values()), data))
    return {"views": views}


def runs_content(data: Dataset, store: Store | None) -> Content:
    """The trainings with which the pages of trainings open."""
    runs = _train(recorded.configs(), data, store, lambda run: run)
    return recorded.to_content(runs.values())


RECORDINGS: dict[str, Callable[[Dataset, Store | None], Content]] = {
    **{f"report-{setting}": partial(report_content, setting) for setting in report.SETTINGS},
    **{f"sweep-{name}": partial(sweep_content, plan) for name, plan in sweeps.PLANS.items()},
    "inference": inference_content,
    "mates": mates_content,
    "runs": runs_content,
}


def _train(
    configs: Iterable[TrainConfig],
    data: Dataset,
    store: Store | None,
    keep: Callable[[Run], T],
    weights: bool = False,
) -> dict[str, T]:
    """`keep(run)` of every training, by `sweeps.name_of` its config."""
    named = {run_names.describe(config, TrainConfig()): config for config in configs}
    found = train_all(named, data, store, keep, named if weights else ())
    return {sweeps.name_of(named[name]): kept for name, kept in found.items()}


def _versions() -> dict[str, str]:
    from normlib.runtime import versions

    return versions()
