"""`python -m pages.lab report`: the report's tables, one training per core at a time."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from normlib.config import LIMITS, METHODS
from normlib.digits import draw_digits
from normlib.mnist import Dataset, describe_source, load_mnist
from normlib.run import Event, Progress
from pages.lab import report
from pages.lab.queue import LIVE, Experiment, Experiments
from pages.lab.store import Store

_SESSION = "report"
_LOOK_SECONDS = 0.5
_CHECK_IMAGES = 1_280
_TIMED_TURNS, _TIMED_IMAGES, _TIMED_STEPS = 3, 3_200, 10


def add_parser(commands) -> None:
    """Add `report` to the commands of `python -m normlib`."""
    command = commands.add_parser(
        "report",
        help="reproduce the report's tables",
        description="Reproduce the report's tables. What is finished is kept, so the same command "
        "goes on where it was interrupted.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument(
        "--setting",
        choices=tuple(report.SETTINGS),
        default="as-run",
        help="as the report ran it, or as its equations say",
    )
    command.add_argument(
        "--seeds", type=int, default=report.SEEDS, help="how many, counted from seed 0"
    )
    command.add_argument("--epochs", type=int, default=report.EPOCHS, help="passes over the images")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there")
    command.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")
    command.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    if not 1 <= chosen.seeds <= 100:
        raise ValueError(f"seeds must be a whole number from 1 to 100, not {chosen.seeds}.")
    low, high = LIMITS["epochs"]
    if not low <= chosen.epochs <= high:
        raise ValueError(f"epochs must be a whole number from 1 to {high}, not {chosen.epochs}.")
    for file in (chosen.json, chosen.markdown):
        if file and not file.parent.is_dir():
            raise ValueError(f"There is no folder {file.parent} to write {file.name} to.")
    data = load_mnist()
    print(describe_source(data))
    if data.name != "MNIST":
        print("These are not the report's images: its numbers cannot be expected.")
    store = Store()
    try:
        result = reproduce(chosen.setting, range(chosen.seeds), chosen.epochs, data, store)
    finally:
        if store.problem:
            print(store.problem, file=sys.stderr)
        store.close()
    print(text(result))
    if chosen.json:
        chosen.json.write_text(dumps(result), encoding="utf-8")
    if chosen.markdown:
        chosen.markdown.write_text(report.markdown(result), encoding="utf-8")
    return 0


def reproduce(
    setting: str,
    seeds: Sequence[int],
    epochs: int,
    data: Dataset,
    store: Store | None = None,
    train_size: int | None = None,
) -> dict[str, Any]:
    """Train every column with every seed, or take it from the store; returns the reproduction.

    train_size: fewer images than the report's, for a quick look. RuntimeError if one fails.
    """
    count = len(seeds) * len(report.COLUMNS)
    queue = Experiments(data, store, limit=count, per_session_limit=count)
    wanted = report.configs(setting, seeds, epochs)
    if train_size is not None:
        wanted = {
            column: [replace(config, train_size=train_size) for config in configs]
            for column, configs in wanted.items()
        }
    # Seed by seed, so that an interrupted reproduction has whole tables of fewer seeds.
    submitted = {
        (column, index): queue.submit(wanted[column][index], _SESSION)
        for index in range(len(seeds))
        for column in report.COLUMNS
    }
    _wait(queue, {f"{column} {seeds[i]}": each for (column, i), each in submitted.items()})
    failed = [each.message for each in submitted.values() if each.run is None]
    if failed:
        raise RuntimeError(failed[0])
    runs = {
        column: [submitted[column, index].run for index in range(len(seeds))]
        for column in report.COLUMNS
    }
    result = report.collect(setting, runs, step_milliseconds(setting, data))
    result["machine"] += f", {min(queue.workers, count)} trainings at a time"
    result["drawn_digits_losses"] = drawn_digits_losses(setting)
    return result


def step_milliseconds(setting: str, data: Dataset) -> dict[str, float]:
    """What a training step of each column costs, trained alone.

    It is that of the fastest call of some 50 steps, since whatever else the machine does can only
    make a call slower.
    """
    from normlib.training import train

    fastest = dict.fromkeys(report.COLUMNS, float("inf"))
    # In turns, so that what slows the machine for a while slows every column.
    for column in report.COLUMNS * _TIMED_TURNS:
        config = replace(report.config(column, setting, epochs=2), train_size=_TIMED_IMAGES)
        events: list[Event] = []
        train(config, data, lambda event, seen=events: seen.append(event))
        calls = [event for event in events if isinstance(event, Progress)]
        for before, after in pairwise(calls):
            if len(after.losses) >= _TIMED_STEPS:
                spent = 1000 * (after.seconds - before.seconds) / len(after.losses)
                fastest[column] = min(fastest[column], spent)
    return fastest


def drawn_digits_losses(setting: str) -> dict[str, list[float]]:
    """The first losses of every column on drawn digits: a check that needs no download."""
    from normlib.training import train

    data = drawn_digits()
    return {
        column: report.first_losses(
            train(replace(report.config(column, setting, epochs=1), train_size=_CHECK_IMAGES), data)
        )
        for column in report.COLUMNS
    }


def drawn_digits() -> Dataset:
    """A small set of drawn digits, the same everywhere."""
    images, labels = draw_digits(_CHECK_IMAGES + 256, seed=0)
    cuts = (slice(_CHECK_IMAGES), slice(-256, -128), slice(-128, None))
    return Dataset(
        "drawn digits",
        "drawn by normlib",
        (),
        "drawn for a check",
        *(images[cut] for cut in cuts),
        *(labels[cut] for cut in cuts),
    )


def dumps(result: dict[str, Any]) -> str:
    """The reproduction as JSON with one line for each list of numbers."""

    def lines(value: Any, indent: str) -> str:
        if isinstance(value, dict) and value:
            inner = indent + " "
            items = [f"{inner}{json.dumps(k)}: {lines(v, inner)}" for k, v in value.items()]
            return "{\n" + ",\n".join(items) + f"\n{indent}}}"
        return json.dumps(value, allow_nan=False, ensure_ascii=False)

    return lines(result, "") + "\n"


def text(result: dict[str, Any]) -> str:
    """The three tables for a terminal: ours, below it the published and the difference."""
    width = 24
    parts = []
    for table in report.tables(result["columns"], result["epochs"]):
        titles = "".join(f"{METHODS[name].title:>{width}}" for name in table.columns)
        lines = [f"{table.name}. {table.title}", f"{'':14}{titles}"]
        for label, cells in table.rows:
            below = [
                ""
                if cell.difference is None
                else f"{cell.words(cell.published)} {cell.words(cell.difference, signed=True)}"
                for cell in cells
            ]
            lines.append(f"{label:14}" + "".join(f"{cell.ours:>{width}}" for cell in cells))
            lines.append(f"{'  published':14}" + "".join(f"{one:>{width}}" for one in below))
        parts.append("\n".join(lines))
    return "\n" + "\n\n".join([*parts, report.footer(result)])


def _wait(queue: Experiments, named: dict[str, Experiment]) -> None:
    """Return when all are over; meanwhile a bar for each that runs, or a line for each that ends.

    Interrupted, it stops what runs and lets go of what waits, then goes on with the interrupt.
    """
    bars = _Bars(len(named))
    told: set[str] = set()
    try:
        while True:
            for name, experiment in named.items():
                if name not in told and experiment.status not in LIVE:
                    told.add(name)
                    bars.ended(name, experiment)
            bars.draw({n: e for n, e in named.items() if e.status == "running"}, len(told))
            if len(told) == len(named):
                return
            queue.seen(_SESSION)
            next(e for e in named.values() if e.status in LIVE).wait_until_over(_LOOK_SECONDS)
    except KeyboardInterrupt:
        print("\nStopping. What is finished is kept.", file=sys.stderr)
        for experiment in named.values():
            queue.unwatch(experiment.key, _SESSION)
        for experiment in named.values():
            experiment.wait_until_over(30)
        raise


class _Bars:
    """Progress on stderr: on a terminal drawn over itself, elsewhere one line per training."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.live = sys.stderr.isatty()
        self.began = time.monotonic()
        self.drawn = 0

    def ended(self, name: str, experiment: Experiment) -> None:
        run = experiment.run
        how = experiment.message or experiment.status
        if run is not None and run.test_accuracy is not None:
            how = f"{run.test_accuracy:.2%} in {run.seconds:.0f} s"
        self._clear()
        print(f"{name:>12}  {how}", file=sys.stderr, flush=True)

    def draw(self, running: dict[str, Experiment], done: int) -> None:
        if not self.live:
            return
        self._clear()
        lines = [self._bar(name, each) for name, each in running.items()]
        spent = time.monotonic() - self.began
        lines.append(f"{done} of {self.count} trainings are done, {spent:.0f} s")
        print("\n".join(lines), file=sys.stderr, flush=True)
        self.drawn = len(lines)

    def _bar(self, name: str, experiment: Experiment) -> str:
        now = experiment.snapshot()
        done = round(30 * now.step / now.steps) if now.steps else 0
        line = f"{name:>12} [{'#' * done}{'.' * (30 - done)}] {now.step:,}/{now.steps:,}"
        if now.losses:
            line += f"  loss {now.losses[-1]:.4f}"
        if now.seconds_left:
            line += f"  {now.seconds_left:.0f} s left"
        return line

    def _clear(self) -> None:
        if self.drawn:
            print(f"\x1b[{self.drawn}F\x1b[J", end="", file=sys.stderr)
        self.drawn = 0
