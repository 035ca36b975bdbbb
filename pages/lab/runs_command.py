"""`python -m pages.lab runs`: list, show and export the runs that the app and the report kept."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from normlib.command_line import table
from normlib.config import METHODS, TrainConfig
from normlib.run import Run
from pages.lab import export
from pages.lab.store import RunSummary, Store

_KEY_SHOWN = 10
_COLUMNS = ("key", "status", "data_name", "steps", "epochs", "train_loss", "test_accuracy")


def add_parser(commands) -> None:
    """Add `runs` to the commands of `python -m normlib`."""
    command = commands.add_parser(
        "runs",
        help="list, show and export the runs that were kept",
        description="Lists the runs that were kept, the newest first. With a KEY, or the first "
        "characters of one, shows that run.",
    )
    command.add_argument("key", nargs="?", help="show this run")
    command.add_argument("--csv", type=Path, metavar="FILE", help="write the list or the history")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the list or the run")
    command.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    store = Store()
    try:
        summaries = store.list()
        for sentence in filter(None, (store.notice, store.problem)):
            print(sentence, file=sys.stderr)
        if chosen.key is None:
            print(_listing(summaries) if summaries else f"No runs are kept in {store.home} yet.")
            texts = (_csv(summaries), _json(summaries))
        else:
            run = _load(store, summaries, chosen.key)
            print(_shown(run))
            texts = (export.history_csv(run), export.run_json(run))
    finally:
        store.close()
    for file, text in zip((chosen.csv, chosen.json), texts, strict=True):
        if file:
            file.write_text(text)
            print(f"Written to {file}.")
    return 0


def _load(store: Store, summaries: Sequence[RunSummary], start: str) -> Run:
    keys = [summary.key for summary in summaries if summary.key.startswith(start)]
    if len(keys) != 1:
        found = f"{len(keys)} runs have keys" if keys else "No run has a key"
        raise ValueError(f"{found} starting with {start!r}; `runs` alone lists them.")
    run = store.load(keys[0])
    if run is None:
        raise ValueError(f"Run {keys[0]} has not ended: there is nothing to show yet.")
    return run


def _listing(summaries: Sequence[RunSummary]) -> str:
    lines = [f"{'key':{_KEY_SHOWN}}  {'status':11}  {'when':16}  accuracy  run"]
    for summary in summaries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.changed))
        accuracy = "" if summary.test_accuracy is None else f"{summary.test_accuracy:.2%}"
        lines.append(
            f"{summary.key[:_KEY_SHOWN]}  {summary.status:11}  {when}  {accuracy:>8}"
            f"  {_words(summary.config)}, {summary.data_name}"
        )
    return "\n".join(lines)


def _words(config: TrainConfig) -> str:
    """The method, and the settings that differ from the defaults."""
    usual = asdict(TrainConfig())
    changed = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in asdict(config).items()
        if name != "normalization" and value != usual[name]
    ]
    return ", ".join([METHODS[config.normalization].title, *changed])


def _shown(run: Run) -> str:
    ended = f"{run.status}: {run.message}" if run.message else run.status
    return f"{run.key}\n{_words(run.config)}, {run.data_name}\n{ended}\n\n{table(run)}"


def _csv(summaries: Sequence[RunSummary]) -> str:
    text = io.StringIO()
    names = [*_COLUMNS, *asdict(TrainConfig())]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_outcome(summary) | asdict(summary.config) for summary in summaries)
    return text.getvalue()


def _json(summaries: Sequence[RunSummary]) -> str:
    rows = [_outcome(summary) | {"config": asdict(summary.config)} for summary in summaries]
    return json.dumps(rows, indent=1)


def _outcome(summary: RunSummary) -> dict[str, object]:
    return {name: getattr(summary, name) for name in _COLUMNS}
