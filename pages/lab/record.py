"""Making the recordings: what each of them trains, and what it keeps of it.

python -m pages.lab record [NAME ...]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from normlib.config import CHOICES
from normlib.mnist import Dataset
from normlib.run import Run
from pages.lab import deployed, depth, recorded, report, reproduce, studies, sweeps, why
from pages.lab.store import Store
from pages.lab.sweeps import Outcome, Sweep
from pages.lab.train_all import train_all

Content = dict[str, Any]


def record(name: str, data: Dataset, store: Store | None, folder: Path = recorded.FOLDER) -> Path:
    """Make the recording of this name; returns its file. KeyError for a name that there is not."""
    from normlib.runtime import versions

    origin = recorded.origin(data.name, data.checksum, versions())
    return recorded.write(name, {"origin": origin} | RECORDINGS[name](data, store), folder)


def report_content(setting: str, data: Dataset, store: Store | None) -> Content:
    """The report's tables as they ship."""
    content = reproduce.reproduce(setting, range(report.SEEDS), report.EPOCHS, data, store)
    origin = {name: content.pop(name) for name in ("date", "machine", "data", "versions")}
    return {"origin": origin, **content}


def sweep_content(sweep: Sweep, data: Dataset, store: Store | None) -> Content:
    """Every training of a sweep, as its outcome."""
    return sweeps.to_content(sweep, train_all(sweep.configs(), data, store, Outcome.of))


def inference_content(data: Dataset, store: Store | None) -> Content:
    """Trained batch norms, each read with every kind of statistics."""
    from pages.lab import inference

    def study(run: Run) -> dict[str, Any]:
        return asdict(inference.study(run, data))

    configs = studies.inference_configs()
    return {"studies": train_all(configs, data, store, study, weights=configs)}


def mates_content(data: Dataset, store: Store | None) -> Content:
    """One digit among hundreds of batch-mates, read by the networks of each placement."""
    from pages.lab import inference

    views = []
    for placement in CHOICES["placement"]:
        configs = list(studies.mates_configs(placement).values())
        runs = train_all(configs, data, store, lambda run: run, weights=configs)
        views.append(inference.mates_view(runs, data))
    return {"views": views}


def depth_content(data: Dataset, store: Store | None) -> Content:
    """Every training of the map of depths and start scales, as its outcome."""
    return depth.to_content(train_all(depth.configs(), data, store, Outcome.of))


def deployed_content(data: Dataset, store: Store | None) -> Content:
    """Trained batch norms by the rules of other frameworks."""
    return deployed.content(data)


def why_content(data: Dataset, store: Store | None) -> Content:
    """What was measured beside the trainings of the page on why it works."""
    return why.content(data)


def runs_content(name: str, data: Dataset, store: Store | None) -> Content:
    """The trainings with which the pages of trainings open."""
    return recorded.to_content(train_all(recorded.configs(name), data, store, lambda run: run))


RECORDINGS: dict[str, Callable[[Dataset, Store | None], Content]] = {
    **{f"report-{setting}": partial(report_content, setting) for setting in report.SETTINGS},
    **{f"sweep-{name}": partial(sweep_content, plan) for name, plan in sweeps.PLANS.items()},
    "depth": depth_content,
    "deployed": deployed_content,
    "inference": inference_content,
    "mates": mates_content,
    **{name: partial(runs_content, name) for name in recorded.RUNS},
    "why": why_content,
}
