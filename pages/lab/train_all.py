"""Many trainings at once, for the command line: one per core, kept in the store like the app's.

What the store has is not trained again, so a command that was interrupted goes on where it was.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import Event, Progress, Run
from pages.lab.experiment import FINAL
from pages.lab.recorded import cores
from pages.lab.run_names import describe
from pages.lab.store import Store

T = TypeVar("T")
_LOOK_SECONDS = 0.5


def train_all(
    configs: Sequence[TrainConfig],
    data: Dataset,
    store: Store | None,
    keep: Callable[[Run], T],
    weights: Collection[TrainConfig] = (),
    name: Callable[[TrainConfig], str] = lambda config: describe(config, TrainConfig()),
) -> list[T]:
    """`keep(run)` of every training, in the order of `configs`.

    keep: called in the training's thread; what it drops, such as weights, takes no memory.
    weights: those whose weights are needed: one whose weights the store had to drop is trained
        again.
    name: what a training is called on stderr, where each has a line when it ends and, on a
        terminal, one line tells how far those under way are.
    RuntimeError if one fails, when all others are over. Interrupted, it stops what runs and keeps
    what there is of it.
    """
    from normlib.training import goes_on, train  # loads TensorFlow

    stop = threading.Event()
    under_way: dict[TrainConfig, Progress] = {}  # filled by the trainings' threads

    def one(config: TrainConfig) -> tuple[T, str]:
        def on_event(event: Event) -> None:
            if isinstance(event, Progress):
                under_way[config] = event

        run = store.load(config.key(data.checksum)) if store else None
        ended = run is not None and run.status in FINAL
        if run is None or not ended or (config in weights and not any(run.weights)):
            before = {"so_far": run} if run is not None and goes_on(run) else {}
            run = train(config, data, on_event, stop.is_set, **before)
            if store:
                store.save(run)
        if run.test_accuracy is None:
            return keep(run), run.message or run.status
        return keep(run), f"{run.test_accuracy:.2%} in {run.seconds:.0f} s"

    live, width = sys.stderr.isatty(), shutil.get_terminal_size().columns - 1

    def tell(line: str, end: str = "\n") -> None:
        print(f"\r{line:<{width}}" if live else line, end=end, file=sys.stderr, flush=True)

    began = time.monotonic()
    with ThreadPoolExecutor(min(cores(), max(1, len(configs)))) as pool:
        futures = {pool.submit(one, config): config for config in configs}
        going = set(futures)
        try:
            while going:
                over, going = wait(going, _LOOK_SECONDS, FIRST_COMPLETED)
                for future in over:
                    under_way.pop(futures[future], None)
                    told = _trouble(future) or future.result()[1]
                    tell(f"{name(futures[future]):>12}  {told}")
                done = len(futures) - len(going)
                words = [f"{done} of {len(futures)} done, {time.monotonic() - began:.0f} s"]
                for config, now in list(under_way.items()):
                    share = f"{now.step / now.steps:.0%}"
                    words.append(f"{name(config)} {share}, loss {now.losses[-1]:.3f}")
                if live:
                    tell(" · ".join(words)[:width], "" if going else "\n")
        except KeyboardInterrupt:
            print("\nStopping. What is finished is kept.", file=sys.stderr)
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    for future, config in futures.items():
        if trouble := _trouble(future):
            raise RuntimeError(
                f"The training {name(config)} failed ({trouble})."
            ) from future.exception()
    return [future.result()[0] for future in futures]


def _trouble(future: Future) -> str:
    """Why a training failed, in a line; "" if it did not."""
    error = future.exception()
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}" if error else ""
