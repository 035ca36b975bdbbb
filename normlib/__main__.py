"""The lab on the command line: `python -m normlib train | data | check`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from normlib.config import LIMITS, SETTINGS, TrainConfig
from normlib.exercises.command import add_parser
from normlib.mnist import describe_source, load_mnist
from normlib.run import Event, Progress, Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Bad input ends in one sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m normlib", description="Train and inspect the lab's small CNN."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    defaults = argparse.ArgumentDefaultsHelpFormatter
    command = commands.add_parser("train", help="train the network once", formatter_class=defaults)
    for name, setting in SETTINGS.items():
        options: dict = {"default": setting.default, "help": setting.metadata["meaning"]}
        if name in LIMITS:
            low, high = LIMITS[name]
            options["help"] += f", {low:,g} to {high:,g}"
            options["type"] = int if setting.type == "int" else float
        elif setting.type == "bool":
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["choices"] = setting.metadata["allowed"]
        command.add_argument(f"--{name.replace('_', '-')}", **options)
    command.add_argument("--json", type=Path, metavar="FILE", help="write the run there as JSON")
    command.set_defaults(run=train_and_tell)
    command = commands.add_parser("data", help="tell which data would be used, and why")
    command.set_defaults(run=lambda chosen: print(describe_source(load_mnist())))
    add_parser(commands)
    chosen = parser.parse_args(arguments)
    try:
        if getattr(chosen, "json", None):
            try_writing(chosen.json)
        return chosen.run(chosen) or 0
    except OSError as error:
        print(f"normlib: {error.filename or 'This'}: {error.strerror or error}.", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"normlib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nnormlib: interrupted.", file=sys.stderr)
        return 130


def train_and_tell(chosen: argparse.Namespace) -> None:
    config = TrainConfig(**{name: getattr(chosen, name) for name in SETTINGS})
    data = load_mnist()
    print(describe_source(data))
    from normlib.training import train  # loads TensorFlow: not before the input is known good

    run = train(config, data, partial(show_progress, config.normalization))
    print(table(run))
    if chosen.json:
        chosen.json.write_text(json.dumps(run.to_dict(), allow_nan=False))


def try_writing(path: Path) -> None:
    """ValueError, with a sentence, where a file cannot be written; before the work, not after."""
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {path.parent} to write {path.name} to.")
    new = not path.exists()
    try:
        path.open("a").close()
        if new:
            path.unlink()
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}.") from error


def show_progress(label: str, event: Event) -> None:
    """One line on stderr; a terminal's line is drawn over itself."""
    live = sys.stderr.isatty()
    if not isinstance(event, Progress) or not (live or event.step == event.steps):
        return
    bar = "#" * round(30 * event.step / event.steps)
    left = event.seconds / event.step * (event.steps - event.step)
    line = (
        f"{label:>8} [{bar:.<30}] {event.step:,}/{event.steps:,}  loss {event.losses[-1]:.4f}"
        f"  {event.images_per_second:,.0f} images/s  {left:,.0f} s left"
    )
    end = "\n" if event.step == event.steps else ""
    print(f"\r{line:<100}" if live else line, end=end, file=sys.stderr, flush=True)


def table(run: Run) -> str:
    """The run as lines of text: one per epoch, then how it ended."""
    lines = ["epoch  loss (report)  loss (mean)  validation  seconds"]
    lines += [
        f"{e.epoch:5d}  {e.report_loss:13.4f}  {e.train_loss:11.4f}"
        f"  {e.validation_accuracy:9.2%}  {e.seconds:7.1f}"
        for e in run.epochs
    ]
    if run.test_accuracy is not None:
        lines.append(f"test accuracy {run.test_accuracy:.2%}")
    if run.message:
        lines.append(run.message)
    lines.append(f"{run.seconds:.1f} s in all, {run.images_per_second:,.0f} images/s in training")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
