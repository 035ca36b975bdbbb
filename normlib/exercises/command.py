"""`python -m normlib check`: the checks of a file of one's own, for a student and an autograder."""

from __future__ import annotations

import argparse
import json
import re
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

from normlib.exercises import TITLES
from normlib.exercises.files import assignment, part_of, source_of

SECONDS = 60  # for one exercise, and for the file itself, TensorFlow with it
_OF_TENSORFLOW = re.compile(r"[IWEF]\d{4} |WARNING: All log")  # a line of its log
_ANSWER = "normlib answers: "  # before a line that is ours, not the file's


def add_parser(commands: Any) -> None:
    """Add `check` to the commands of `python -m normlib`."""
    command = commands.add_parser(
        "check",
        help="check your own normalizations",
        description="Checks the functions of a .py file or a notebook against normlib. The exit "
        "status is 0 only if all of them pass. The file runs as it is, with your rights.",
    )
    command.add_argument("file", nargs="?", type=Path, help="your .py file or .ipynb notebook")
    command.add_argument("--exercise", choices=TITLES, metavar="NAME", help="this function only")
    command.add_argument("--json", type=Path, metavar="FILE", help="write results for Gradescope")
    command.add_argument(
        "--starter", type=Path, metavar="FILE", help="write the assignment there, .py or .ipynb"
    )
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Check a file, or write one to begin with; the exit status."""
    if chosen.starter:
        if chosen.starter.exists():
            raise ValueError(f"{chosen.starter} exists already: it is left as it is.")
        chosen.starter.write_text(assignment(chosen.starter.suffix), encoding="utf-8")
        print(f"Written to {chosen.starter}.")
        return 0
    if chosen.file is None:
        raise ValueError("Name the file to check, or --starter FILE for one to begin with.")
    try:
        text = source_of(chosen.file.name, chosen.file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"{chosen.file} is not a text.") from None
    tests = []
    for test in run_apart(text, [chosen.exercise] if chosen.exercise else list(TITLES)):
        tests.append(test)
        print(f"{'✓' if test['score'] else '✗'} {test['name']}\n{test['output']}".rstrip())
    passed = sum(test["score"] for test in tests)
    print(f"{passed} of {len(tests)} pass.")
    if chosen.json:
        chosen.json.write_text(json.dumps({"tests": tests}, indent=1), encoding="utf-8")
    return 0 if passed == len(tests) else 1


def run_apart(text: str, names: Sequence[str], seconds: float = SECONDS) -> Iterator[dict]:
    """Check in a process of its own; where one exercise takes too long, the rest go to another.

    Yields one test per exercise, as Gradescope reads it.
    """
    waiting = list(names)
    with tempfile.TemporaryDirectory() as folder:
        file, said = Path(folder) / "submission.py", Path(folder) / "errors"
        file.write_text(text, encoding="utf-8")
        while waiting:
            command = [sys.executable, "-m", "normlib.exercises.command", str(file), *waiting]
            began, late = False, list[bool]()
            with (
                said.open("w") as errors,
                subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8"
                ) as child,
            ):
                assert child.stdout is not None

                def end(child: subprocess.Popen = child, late: list[bool] = late) -> None:
                    late.append(True)
                    child.kill()

                watch = Timer(SECONDS, end)
                watch.start()
                for line in child.stdout:
                    if not line.startswith(_ANSWER):
                        continue
                    watch.cancel()
                    answer = json.loads(line.removeprefix(_ANSWER))
                    if began:
                        yield _test(waiting.pop(0), answer)
                    began = True
                    watch = Timer(seconds, end)
                    watch.start()
                watch.cancel()
            own = (line for line in said.read_text(errors="replace").splitlines() if line.strip())
            last = next(
                (line for line in reversed(list(own)) if not _OF_TENSORFLOW.match(line)), ""
            )
            limit = seconds if began else SECONDS
            why = f"It took more than {limit:g} seconds." if late else last or "It ended early."
            for name in waiting[: 1 if began else None]:
                yield _test(name, why)
            del waiting[: 1 if began else None]


def _test(name: str, output: str) -> dict[str, Any]:
    passed = not output
    return {
        "name": name,
        "score": int(passed),
        "max_score": 1,
        "status": "passed" if passed else "failed",
        "output": output,
    }


def _answers(file: str, names: Sequence[str]) -> Iterator[str]:
    """First that the file was run; then, for each exercise, what is wrong."""
    import keras  # noqa: F401  (it is compared with, and takes long to load)

    from normlib.exercises import check

    functions, text = runpy.run_path(file), Path(file).read_text(encoding="utf-8")
    yield ""
    for name in names:
        if not callable(functions.get(name)):
            yield f"  There is no function {name} in the file."
            continue
        result = check(name, functions[name], part_of(text, name))
        lines = [
            f"  {'✓' if tick.passed else '✗'} {tick.title}. {tick.detail}".rstrip()
            for tick in result.ticks
        ]
        if result.mistake:
            lines.append(f"  {result.mistake.name}: {result.mistake.sentence}")
            lines.append(f"  The page that shows it: {result.mistake.lesson}")
        yield "" if result.passed else "\n".join(lines)


if __name__ == "__main__":
    for each in _answers(sys.argv[1], sys.argv[2:]):
        print(_ANSWER + json.dumps(each), flush=True)
