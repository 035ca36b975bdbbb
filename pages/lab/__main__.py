"""The engine on the command line: `python -m pages.lab report | sweep | record | runs | status`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from normlib.__main__ import table, try_writing
from normlib.config import LIMITS, TrainConfig
from normlib.mnist import Dataset, describe_source, load_mnist
from normlib.run import Run
from pages.lab import export, record, recorded, report, reproduce, status
from pages.lab.run_names import describe
from pages.lab.store import RunSummary, Store, store_home
from pages.lab.sweeps import PLANS

_KEY_SHOWN = 10
_COLUMNS = ("key", "status", "data_name", "steps", "epochs", "train_loss", "test_accuracy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Bad input ends in one sentence on stderr."""
    chosen = _parser().parse_args(arguments)
    try:
        chosen.run(chosen)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"pages.lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\npages.lab: interrupted.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pages.lab", description="Trainings in number, and what was kept of them."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

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
    command.set_defaults(run=_report)

    # A sweep goes by the name of its plan, and stands in the recording "sweep-<plan>".
    sweeps = {name: f"sweep-{name}" for name in PLANS}
    sweeps |= {name: name for name in ("inference", "mates")}
    command = commands.add_parser(
        "sweep",
        help="record the sweeps of the batch size lab",
        description="Train what the batch size lab shows at once, and write the numbers as JSON.",
    )
    command.add_argument(
        "names",
        nargs="+",
        choices=tuple(sweeps),
        metavar="NAME",
        help=f"which: {', '.join(sweeps)}",
    )
    command.add_argument(
        "--folder", type=Path, default=Path(), help="where the files go (default: here)"
    )
    command.set_defaults(run=lambda chosen: _record([sweeps[n] for n in chosen.names], chosen))

    command = commands.add_parser(
        "record",
        help="make the recordings that ship with the lab",
        description="Train everything that the lab shows at once, and write the numbers as JSON. "
        "What is finished is kept, so the same command goes on where it was interrupted.",
    )
    command.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"which: {', '.join(record.RECORDINGS)} (default: all)",
    )
    command.add_argument(
        "--folder", type=Path, default=recorded.FOLDER, help="where the files go (default: the lab)"
    )
    command.set_defaults(run=lambda chosen: _record(chosen.names, chosen))

    command = commands.add_parser(
        "runs",
        help="list, show and export the runs that were kept",
        description="Lists the runs that were kept, the newest first. With a KEY, or the first "
        "characters of one, shows that run.",
    )
    command.add_argument("key", nargs="?", help="show this run")
    command.add_argument("--csv", type=Path, metavar="FILE", help="write the list or the history")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the list or the run")
    command.set_defaults(run=_runs)

    command = commands.add_parser(
        "status",
        help="what a server that runs on this folder is doing",
        description="What the server said within the last ten seconds: sessions, trainings, who "
        "waits, what held others up the longest, memory by owner, the store.",
    )
    command.set_defaults(run=lambda chosen: print(status.read(store_home())))
    return parser


def _report(chosen: argparse.Namespace) -> None:
    for name, most in (("seeds", 100), ("epochs", LIMITS["epochs"][1])):
        if not 1 <= (value := getattr(chosen, name)) <= most:
            raise ValueError(f"{name} must be a whole number from 1 to {most}, not {value}.")
    _try_writing(chosen.json, chosen.markdown)
    data = _data()
    if data.name != "MNIST":
        print("These are not the report's images: its numbers cannot be expected.")
    with _store() as store:
        result = reproduce.reproduce(
            chosen.setting, range(chosen.seeds), chosen.epochs, data, store
        )
    print(reproduce.text(result))
    if chosen.json:
        chosen.json.write_text(recorded.as_json(result), encoding="utf-8")
    if chosen.markdown:
        chosen.markdown.write_text(reproduce.markdown(result), encoding="utf-8")


def _record(names: Sequence[str], chosen: argparse.Namespace) -> None:
    names = names or tuple(record.RECORDINGS)
    if unknown := [name for name in names if name not in record.RECORDINGS]:
        possible = ", ".join(record.RECORDINGS)
        raise ValueError(f"There is no recording {unknown[0]!r}; there are {possible}.")
    _try_writing(*(chosen.folder / f"{name}.json" for name in names))
    data = _data()
    with _store() as store:
        for name in names:
            began = time.monotonic()
            file = record.record(name, data, store, chosen.folder)
            print(f"{file}: {time.monotonic() - began:.0f} s")


def _runs(chosen: argparse.Namespace) -> None:
    _try_writing(chosen.csv, chosen.json)
    with _store() as store:
        shown, *texts = _all_runs(store) if chosen.key is None else _one_run(store, chosen.key)
        if store.notice:
            print(store.notice, file=sys.stderr)
    print(shown)
    for file, text in zip((chosen.csv, chosen.json), texts, strict=True):
        if file:
            file.write_text(text, encoding="utf-8")
            print(f"Written to {file}.")


def _all_runs(store: Store) -> tuple[str, str, str]:
    """The runs that were kept, the newest first: for a terminal, as CSV and as JSON."""
    summaries = store.list()
    lines = [f"{'key':{_KEY_SHOWN}}  {'status':11}  {'when':16}  accuracy  run"]
    rows = []
    for one in summaries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.changed))
        accuracy = "" if one.test_accuracy is None else f"{one.test_accuracy:.2%}"
        start = f"{one.key[:_KEY_SHOWN]}  {one.status:11}  {when}  {accuracy:>8}"
        lines.append(f"{start}  {_words(one)}")
        rows.append({name: getattr(one, name) for name in _COLUMNS})
    configs = [asdict(one.config) for one in summaries]
    flat = [row | config for row, config in zip(rows, configs, strict=True)]
    nested = [row | {"config": config} for row, config in zip(rows, configs, strict=True)]
    shown = "\n".join(lines) if summaries else f"No runs are kept in {store.home} yet."
    columns = (*_COLUMNS, *asdict(TrainConfig()))
    return shown, export.as_csv(flat, columns), recorded.as_json(nested)


def _one_run(store: Store, start: str) -> tuple[str, str, str]:
    """The run whose key starts so: for a terminal, its history as CSV, itself as JSON."""
    keys = [summary.key for summary in store.list() if summary.key.startswith(start)]
    if len(keys) != 1:
        found = f"{len(keys)} runs have keys" if keys else "No run has a key"
        raise ValueError(f"{found} starting with {start!r}; `runs` alone lists them.")
    run = store.load(keys[0])
    if run is None:
        raise ValueError(f"Run {keys[0]} has not ended: there is nothing to show yet.")
    ended = f"{run.status}: {run.message}" if run.message else run.status
    shown = f"{run.key}\n{_words(run)}\n{ended}\n\n{table(run)}"
    return shown, export.history_csv(run), export.run_json(run)


def _words(run: Run | RunSummary) -> str:
    return f"{describe(run.config, TrainConfig())}, {run.data_name}"


def _try_writing(*files: Path | None) -> None:
    for file in filter(None, files):
        try_writing(file)


def _data() -> Dataset:
    data = load_mnist()
    print(describe_source(data))
    return data


@contextmanager
def _store() -> Iterator[Store]:
    """The store, closed in the end; a sentence tells why it does not keep runs, if it does not."""
    store = Store()
    try:
        yield store
    finally:
        if store.problem:
            print(store.problem, file=sys.stderr)
        store.close()


if __name__ == "__main__":
    sys.exit(main())
