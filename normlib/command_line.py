"""What the commands print: a bar while a run goes, a table when it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable

from normlib.run import Event, Progress, Run


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
