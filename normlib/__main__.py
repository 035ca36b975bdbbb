"""The lab on the command line: `python -m normlib train | data`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from normlib.command_line import progress_bar, table
from normlib.config import CHOICES, LIMITS, TrainConfig
from normlib.mnist import describe_source, load_mnist

_HELP = {
    "normalization": "which method",
    "placement": "which layers are normalized",
    "batch_size": "images per step",
    "learning_rate": "of plain SGD",
    "epsilon": "added to the variance, inside the root",
    "momentum": "of the moving statistics, Keras's way round",
    "epochs": "passes over the images",
    "hidden_units": "width of the dense layer",
    "train_size": "images to train on",
    "weight_norm_start": "where g starts",
    "seed": "of weights and batch order",
    "learn_scale_shift": "train gamma and beta",
    "inference_statistics": "what batch norm uses in evaluation",
    "center": "subtract the mean",
    "scale": "divide by the root",
    "position": "normalize before or after ReLU",
    "ghost_batches": "parts of a batch with statistics of their own",
    "groups": "of channels, for group norm",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Bad input ends in one sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m normlib", description="Train and inspect the lab's small CNN."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_train(commands)
    _add_data(commands)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except (ValueError, OSError) as error:
        print(f"normlib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nnormlib: interrupted.", file=sys.stderr)
        return 130


def _add_data(commands) -> None:
    command = commands.add_parser("data", help="tell which data would be used, and why")
    command.set_defaults(run=_data)


def _data(chosen: argparse.Namespace) -> int:
    data = load_mnist()
    print(describe_source(data))
    return 0


def _add_train(commands) -> None:
    command = commands.add_parser(
        "train",
        help="train the network once",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for field in fields(TrainConfig):
        option = f"--{field.name.replace('_', '-')}"
        meaning = _HELP[field.name]
        if field.type == "bool":
            command.add_argument(
                option, action=argparse.BooleanOptionalAction, default=field.default, help=meaning
            )
        elif field.name in CHOICES:
            command.add_argument(
                option, choices=CHOICES[field.name], default=field.default, help=meaning
            )
        else:
            low, high = LIMITS[field.name]
            command.add_argument(
                option,
                type=int if field.type == "int" else float,
                default=field.default,
                help=f"{meaning}, {low:,g} to {high:,g}",
            )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the run there as JSON")
    command.set_defaults(run=_train)


def _train(chosen: argparse.Namespace) -> int:
    config = TrainConfig(
        **{field.name: getattr(chosen, field.name) for field in fields(TrainConfig)}
    )
    if chosen.json and not chosen.json.parent.is_dir():
        raise ValueError(f"There is no folder {chosen.json.parent} to write {chosen.json.name} to.")
    data = load_mnist()
    print(describe_source(data))
    from normlib.training import train  # loads TensorFlow: not before the input is known good

    run = train(config, data, progress_bar(config.normalization))
    print(table(run))
    if chosen.json:
        chosen.json.write_text(json.dumps(run.to_dict(), allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
