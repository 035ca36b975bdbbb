"""The engine on the command line: `python -m pages.lab report | sweep | runs`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pages.lab import report_command, runs_command, sweep_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Bad input ends in one sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m pages.lab", description="Trainings in number, and what was kept of them."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (report_command, sweep_command, runs_command):
        command.add_parser(commands)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except (ValueError, OSError) as error:
        print(f"pages.lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\npages.lab: interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
