"""The lab on the command line: `python -m normlib train | data | check`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from normlib.config import CHOICES, LIMITS, MEANINGS, TrainConfig
from normlib.exercises import command
from normlib.mnist import describe_source, load_mnist
from normlib.run import Event, Progress, Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Bad input ends in one sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m normlib", description="Train and inspect the lab's small CNN."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    add_train(commands)
    data = commands.add_parser("data", help="tell which data would be used, and why")
    data.set_defaults(run=lambda chosen: print(describe_source(load_mnist())))
    command.add_parser(commands)
    chosen = parser.parse_args(arguments)
    try:
        if getattr(chosen, "json", None):
            try_writing(chosen.json)
        return chosen.run(chosen) or 0
    except (ValueError, OSError) as error:
        print(f"normlib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nnormlib: interrupted.", file=sys.stderr)
        return 130


def add_train(commands) -> None:
    """The command `train`, with an option for each setting of `TrainConfig`."""
    command = commands.add_parser(
        "train",
        help="train the network once",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for field in fields(TrainConfig):
        name, meaning = field.name, MEANINGS[field.name]
        options: dict = {"default": field.default, "help": meaning}
        if field.type == "bool":
            options["action"] = argparse.BooleanOptionalAction
        elif name in CHOICES:
            options["choices"] = CHOICES[name]
        else:
            low, high = LIMITS[name]
            options["help"] = f"{meaning}, {low:,g} to {high:,g}"
            options["type"] = int if field.type == "int" else float
        command.add_argument(f"--{name.replace('_', '-')}", **options)
    command.add_argument("--json", type=Path, metavar="FILE", help="write the run there as JSON")
    command.set_defaults(run=train_and_tell)


def train_and_tell(chosen: argparse.Namespace) -> None:
    settings = {field.name: getattr(chosen, field.name) for field in fields(TrainConfig)}
    config = TrainConfig(**settings)
    data = load_mnist()
    print(describe_source(data))
    from normlib.training import train  # loads TensorFlow: not before the input is known good

    run = train(config, data, progress_bar(config.normalization))
    print(table(run))
    if chosen.json:
        chosen.json.write_text(json.dumps(run.to_dict(), allow_nan=False))


def try_writing(path: Path) -> None:
    """ValueError, with a sentence, where a file cannot be written; before the work, not after."""
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {path.parent} to write {path.name} to.")
    new = not path.exists()
    try:
        with path.open("a"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}.") from error


def progress_bar(label: str, width: int = 30) -> Callable[[Event], None]:
    """An `on_event` that draws one line on stderr; a terminal's line is drawn over itself."""
    live = sys.stderr.isatty()

    def show(event: Event) -> None:
        if not isinstance(event, Progress) or not (live or event.step == event.steps):
            return
        done = round(width * event.step / event.steps)
        left = event.seconds / event.step * (event.steps - event.step)
        line = (
            f"{label:>8} [{'#' * done}{'.' * (width - done)}] {event.step:,}/{event.steps:,}"
            f"  loss {event.losses[-1]:.4f}  {event.images_per_second:,.0f} images/s"
            f"  {left:,.0f} s left"
        )
        end = "\n" if event.step == event.steps else ""
        print(f"\r{line:<100}" if live else line, end=end, file=sys.stderr, flush=True)

    return show


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
