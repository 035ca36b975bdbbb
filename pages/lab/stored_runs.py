"""The runs that the app and the command line kept, as text, CSV and JSON."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import asdict

from normlib.__main__ import table
from normlib.config import TrainConfig
from pages.lab import export
from pages.lab.recorded import as_json
from pages.lab.run_names import describe
from pages.lab.store import RunSummary, Store

_KEY_SHOWN = 10
_COLUMNS = ("key", "status", "data_name", "steps", "epochs", "train_loss", "test_accuracy")


def everything(store: Store) -> tuple[str, str, str]:
    """All of them, the newest first: for a terminal, as CSV and as JSON."""
    summaries = store.list()
    rows = [(summary, {name: getattr(summary, name) for name in _COLUMNS}) for summary in summaries]
    text = io.StringIO()
    names = [*_COLUMNS, *asdict(TrainConfig())]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | asdict(summary.config) for summary, row in rows)
    content = [row | {"config": asdict(summary.config)} for summary, row in rows]
    shown = _listing(summaries) if summaries else f"No runs are kept in {store.home} yet."
    return shown, text.getvalue(), as_json(content)


def one(store: Store, start: str) -> tuple[str, str, str]:
    """The run whose key starts so: for a terminal, its history as CSV, itself as JSON.

    ValueError where there is none, or more than one.
    """
    keys = [summary.key for summary in store.list() if summary.key.startswith(start)]
    if len(keys) != 1:
        found = f"{len(keys)} runs have keys" if keys else "No run has a key"
        raise ValueError(f"{found} starting with {start!r}; `runs` alone lists them.")
    run = store.load(keys[0])
    if run is None:
        raise ValueError(f"Run {keys[0]} has not ended: there is nothing to show yet.")
    ended = f"{run.status}: {run.message}" if run.message else run.status
    words = f"{describe(run.config, TrainConfig())}, {run.data_name}"
    shown = f"{run.key}\n{words}\n{ended}\n\n{table(run)}"
    return shown, export.history_csv(run), export.run_json(run)


def _listing(summaries: Sequence[RunSummary]) -> str:
    lines = [f"{'key':{_KEY_SHOWN}}  {'status':11}  {'when':16}  accuracy  run"]
    for summary in summaries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.changed))
        accuracy = "" if summary.test_accuracy is None else f"{summary.test_accuracy:.2%}"
        words = f"{describe(summary.config, TrainConfig())}, {summary.data_name}"
        key = summary.key[:_KEY_SHOWN]
        lines.append(f"{key}  {summary.status:11}  {when}  {accuracy:>8}  {words}")
    return "\n".join(lines)
