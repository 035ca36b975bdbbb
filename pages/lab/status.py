"""What a server is doing, for whoever looks after it: it writes a small file, others read it."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normlib import __version__
from normlib.config import TrainConfig
from pages.lab import holds
from pages.lab.experiment import LIVE, Experiment
from pages.lab.queue import Experiments
from pages.lab.run_names import describe
from pages.lab.store import Store

EVERY_SECONDS = 10.0
_NAME = "status.json"
_MB = 2**20
_BEGAN = time.time()


def of(queue: Experiments, sessions: int, upload_bytes: int) -> dict[str, Any]:
    """What the server of this queue is doing; sessions are the open browser tabs."""
    with queue._lock:
        known = list(queue._known.values())
        running, waiting = list(queue._running), list(queue._waiting.values())
        asked = Counter(name for each in waiting for name in each._watchers)
    aside = [each._so_far for each in waiting if each._so_far]
    store = queue.store
    return {
        "pid": os.getpid(),
        "version": __version__,
        "since": _BEGAN,
        "written": time.time(),
        "sessions": sessions,
        "running": [_line(each) for each in running],
        "waiting": len(waiting),
        "most waiting for one session": max(asked.values(), default=0),
        "longest holds, ms": {name: round(1000 * s) for name, s in holds.longest().items()},
        "memory, MB": {
            "process": _resident(),
            "runs": round(sum(each._bytes for each in known if each.status not in LIVE) / _MB),
            "stepped aside": round(
                sum(a.nbytes for run in aside for a in run.arrays().values()) / _MB
            ),
            "uploads": round(upload_bytes / _MB),
        },
        "store, MB": _size(store),
        "store": store.problem or str(store.path) if store else "nothing is kept",
    }


def _line(experiment: Experiment) -> str:
    now = experiment.snapshot()
    name, watching = describe(experiment.config, TrainConfig()), len(experiment._watchers)
    return f"{name}, step {now.step:,} of {now.steps:,}, {watching} watching"


def _resident() -> int | None:
    """Of the process, as Linux counts it; None elsewhere."""
    told = Path("/proc/self/statm")
    if not told.exists():
        return None
    return round(int(told.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MB)


def _size(store: Store | None) -> int:
    if store is None:
        return 0
    files = (Path(f"{store.path}{part}") for part in ("", "-wal"))
    return round(sum(file.stat().st_size for file in files if file.exists()) / _MB)


def write(home: Path, found: Mapping[str, Any]) -> None:
    """Let `read` find it; OSError where the disk refuses."""
    draft = home / f"{_NAME}.{os.getpid()}"
    draft.write_text(json.dumps(found, indent=1), encoding="utf-8")
    draft.replace(home / _NAME)


def read(home: Path) -> str:
    """What the server of this folder last said, for a terminal; ValueError if there was none."""
    file = home / _NAME
    if not file.exists():
        raise ValueError(f"No server has said anything in {home}.")
    found = json.loads(file.read_text(encoding="utf-8"))
    ago = time.time() - found.pop("written")
    hours = (time.time() - found.pop("since")) / 3600
    alive = "" if ago < 3 * EVERY_SECONDS else ": it has ended, or it hangs"
    lines = [f"{'told':30}{ago:.0f} s ago{alive}", f"{'begun':30}{hours:.1f} h ago"]
    for name, value in found.items():
        parts = value if isinstance(value, list) else [value]
        if isinstance(value, dict):
            parts = [f"{of}: {amount}" for of, amount in value.items()]
        lines += [
            f"{name if at == 0 else '':30}{part}" for at, part in enumerate(parts or ["none"])
        ]
    return "\n".join(lines)
