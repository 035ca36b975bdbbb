"""A class on one server: thirty browser tabs' worth of real websocket sessions, for five minutes.

    python -m tests.benchmarks.classroom --json classroom.json
    python -m tests.benchmarks.classroom --kept-runs 400 --hog
    python -m tests.benchmarks.classroom --minutes 60
    python -m tests.benchmarks.classroom --sessions 100
    python -m tests.benchmarks.classroom --kills 50

Every student moves sliders on the activation page once a second, and now and then goes to the
training page, presses Train, watches for a few seconds, and comes back. Some of it the teacher
told everybody to do, so that it is equal; the rest is each student's own: half of the moves and of
the trainings, and one student in ten looks at a batch and weights of a seed of his own. A moved
slider counts from the question to the last word of the answer, with the new picture in it.

--kept-runs fills the store beforehand, as a term of lessons does. --hog adds a student who asks for
the largest training that the server takes, with four methods, and stays. The longest holds of the
turn, by cause, and the memory by owner are what the server itself says of them in the end.

With --kills, the server is killed with SIGKILL at random moments while students train, and
started again on the same folder; then no run that a page had shown as finished may be missing.

Only the loopback device is used. Nothing is asserted about time; errors are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.benchmarks.serving import Server, Session, query, serving, start  # noqa: E402

MOST_SESSIONS, MOST_MINUTES = 200, 120
PERIOD = 1.0  # seconds between two moves of a student
WATCHING = 6.0  # seconds that a student looks at a training
LESSON = 30.0  # seconds for which the teacher's instructions stay the same
# A file that the server adds a line to whenever a training begins or is saved.
TAP = """
import os, sys, time
from pages.lab.store import Store

def tapped(method, word):
    def call(self, *arguments, **options):
        with open(os.environ["NORMLAB_TAP"], "a") as file:
            key = arguments[0] if word == "begun" else arguments[0].key
            file.write(f"{time.time()} {word} {key}\\n")
        return method(self, *arguments, **options)
    return call

Store.mark_started = tapped(Store.mark_started, "begun")
Store.save = tapped(Store.save, "ended")
from streamlit.web.cli import main
sys.exit(main())
"""


@dataclass
class Log:
    """What happened to the class."""

    moves: list[tuple[float, float, str]] = field(default_factory=list)  # when, seconds, what
    loads: list[float] = field(default_factory=list)
    ticks: list[float] = field(default_factory=list)
    presses: list[float] = field(default_factory=list)
    pressed: dict[str, float] = field(default_factory=dict)  # key of a run -> when first asked for
    asked: set[str] = field(default_factory=set)  # keys of runs
    finished: set[str] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, float]] = field(default_factory=list)


class Student:
    """One tab, and a habit of moving sliders."""

    def __init__(self, number: int, server: Server, log: Log, seed: int, every: float):
        self.number, self.server, self.log, self.every = number, server, log, every
        self.own = random.Random(seed * 1000 + number)
        self.seed = seed

    def teacher(self) -> random.Random:
        """The dice that fall the same for everybody during one instruction."""
        return random.Random(self.seed * 7919 + int(time.monotonic() / LESSON))

    async def live(self, until: float) -> None:
        """Take part in the lesson; whatever goes wrong is noted, and the student reloads."""
        await asyncio.sleep(self.own.random() * PERIOD)
        training = time.monotonic() + self.own.uniform(0.2, 1.2) * self.every
        while time.monotonic() < until:
            try:
                async with Session(self.server, timeout=60) as tab:
                    await self.look(tab)
                    while time.monotonic() < until:
                        if time.monotonic() > training:
                            await self.train(tab, until)
                            training = time.monotonic() + self.own.uniform(0.6, 1.4) * self.every
                            await self.look(tab)
                        await self.move(tab, until)
            except Exception as error:
                self.log.errors[f"{type(error).__name__}: {error}"[:200]] += 1
                await asyncio.sleep(PERIOD)

    async def look(self, tab: Session) -> None:
        """Open the lesson's link; some go by the side bar, and bring along what they trained."""
        lesson = query(batch=64) if self.number % 10 == 0 else query(batch=64, seed=0)
        self.log.loads.append(await tab.open("Activation_statistics", lesson))
        self.check(tab)

    async def move(self, tab: Session, until: float) -> None:
        """One move of one slider, half the time where the teacher says."""
        began = time.monotonic()
        dice = self.teacher() if self.own.random() < 0.5 else self.own
        key = "eps" if dice.random() < 0.2 else "batch"
        taken = await tab.set(key, dice.choice(tab.marks[key]))
        self.check(tab)
        if tab.charts:
            self.log.moves.append((time.time(), taken, key))
        await asyncio.sleep(max(0.0, min(PERIOD - (time.monotonic() - began), until - began)))

    async def train(self, tab: Session, until: float) -> None:
        """Half the class trains what the teacher said, the others something of their own."""
        equal = self.number % 2 == 0
        dice = self.teacher() if equal else self.own
        settings = query(
            method=dice.choice(("none", "batch", "weight", "layer")),
            seed=dice.randrange(1_000_000),
            images=dice.choice((2000, 6000)),
        )
        self.log.loads.append(await tab.open("Train", settings))
        self.check(tab)
        pressed = time.time()
        self.log.presses.append(await tab.press("_train"))
        self.check(tab)
        key = tab.parameter("run")
        if not key:
            self.log.errors["Train was pressed and no run was shown"] += 1
            return
        self.log.asked.add(key)
        self.log.pressed.setdefault(key, pressed)
        end = min(time.monotonic() + WATCHING, until)
        while time.monotonic() < end and tab.ticks:
            await asyncio.sleep(min(tab.ticks.values()))
            for fragment in list(tab.ticks):
                self.log.ticks.append(await tab.tick(fragment))
                self.check(tab)
            if tab.says("Test accuracy"):
                self.log.finished.add(key)

    def check(self, tab: Session) -> None:
        for text in tab.exceptions:
            self.log.errors[f"on the page {tab.page}: {text}"[:200]] += 1


async def hog(server: Server, log: Log, until: float) -> None:
    """One student with the worst link: hours of training for everybody else to wait behind."""
    settings = query(
        methods="batch,layer,group,instance", hidden=1000, epochs=50, images=55_000, batch=64
    )
    async with Session(server, timeout=60) as tab:
        await tab.open("Compare", settings)
        await tab.press("_train_all")
        while time.monotonic() < until:
            await asyncio.sleep(PERIOD)
            for fragment in list(tab.ticks):
                await tab.tick(fragment)


async def watch_memory(server: Server, log: Log, until: float) -> None:
    while time.monotonic() < until:
        log.memory.append((time.time(), server.memory()))
        await asyncio.sleep(1)


async def lesson(
    server: Server, sessions: int, seconds: float, seed: int, every: float, with_hog: bool
) -> Log:
    log = Log()
    # The first visitor pays for the imports; the class comes in afterwards.
    async with Session(server) as first:
        await first.open("Activation_statistics")
    until = time.monotonic() + seconds
    students = [Student(number, server, log, seed, every) for number in range(sessions)]
    async with asyncio.TaskGroup() as group:
        group.create_task(watch_memory(server, log, until))
        if with_hog:
            group.create_task(hog(server, log, until))
        for student in students:
            group.create_task(student.live(until))
    return log


def fill(home: Path, count: int) -> None:
    """Keep so many runs in a store, with weights of one epoch each."""
    from normlib.config import TrainConfig
    from normlib.mnist import load_mnist
    from normlib.training import train
    from pages.lab.store import Store

    data = load_mnist()
    run = train(TrainConfig(train_size=500, epochs=1), data)
    store = Store(home)
    for seed in range(count):
        store.save(replace(run, config=replace(run.config, seed=1_000_000 + seed)))
    store.close()


def classroom(options: argparse.Namespace) -> dict[str, object]:
    sessions, seconds = options.sessions, 60 * options.minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.kept_runs:
            (folder / "home").mkdir()
            fill(folder / "home", options.kept_runs)
        tap = folder / "tap"
        (folder / "tapped.py").write_text(TAP)
        with serving(
            folder / "home",
            command=[str(folder / "tapped.py")],
            environment={"NORMLAB_TAP": str(tap)},
        ) as server:
            began = time.time()
            processor = server.cpu_seconds()
            log = asyncio.run(
                lesson(server, sessions, seconds, options.seed, options.every, options.hog)
            )
            processor = server.cpu_seconds() - processor
            seconds_in_all = time.time() - began
            told = folder / "home" / "status.json"
            status = json.loads(told.read_text()) if told.exists() else {}
        noted = tap.read_text().splitlines() if tap.exists() else []
        trouble = [
            line
            for line in server.log.read_text().splitlines()
            if "Error" in line or "rror:" in line
        ]
    events = [(float(at), word, key) for at, word, key in map(str.split, noted)]
    begun = Counter(key for _, word, key in events if word == "begun")
    busy = busy_shares(events, log.moves)
    return {
        "sessions": sessions,
        "runs kept at the start": options.kept_runs,
        "with a hog": options.hog,
        "seconds": round(seconds_in_all, 1),
        "moves": len(log.moves),
        "slider to picture, ms": quantiles(taken for _, taken, _ in log.moves),
        "of the batch slider, ms": quantiles(t for _, t, key in log.moves if key == "batch"),
        "of the epsilon slider, ms": quantiles(t for _, t, key in log.moves if key == "eps"),
        "while two or more trainings run, ms": quantiles(
            taken for (_, taken, _), many in zip(log.moves, busy, strict=True) if many >= 2
        ),
        "share of moves while two or more trainings run": round(
            sum(many >= 2 for many in busy) / max(1, len(busy)), 2
        ),
        "p95 in each tenth of the lesson, ms": tenths(log.moves, began, seconds_in_all),
        "page to page, ms": quantiles(log.loads),
        "press of Train, ms": quantiles(log.presses),
        "tick of a watched training, ms": quantiles(log.ticks),
        "presses of Train": len(log.presses),
        "distinct configs asked": len(log.asked),
        "trainings begun": sum(begun.values()),
        "most trainings of one config": max(begun.values(), default=0),
        "asked and never begun": len(log.asked - set(begun)),
        "errors": dict(log.errors),
        "errors in the server's log": trouble[:20],
        "processor seconds of the server": round(processor, 1),
        "memory": memory(log.memory),
        "longest holds, ms": status.get("longest holds, ms"),
        "memory by owner at the end, MB": status.get("memory, MB"),
        "Train pressed to the training begun, ms": quantiles(
            at - log.pressed[key]
            for at, word, key in events
            if word == "begun" and key in log.pressed
        ),
    }


def busy_shares(
    events: Iterable[tuple[float, str, str]], moves: Iterable[tuple[float, float, str]]
) -> list[int]:
    """How many trainings were under way when each move was answered."""
    steps = sorted((at, 1 if word == "begun" else -1) for at, word, _ in events)
    found, running, place = {}, 0, 0
    for at in sorted({at for at, _, _ in moves}):
        while place < len(steps) and steps[place][0] <= at:
            running += steps[place][1]
            place += 1
        found[at] = running
    return [found[at] for at, _, _ in moves]


def tenths(
    moves: Iterable[tuple[float, float, str]], began: float, seconds: float
) -> list[float | None]:
    """The p95 of the moves in each tenth of the time: at first every picture is new."""
    parts: list[list[float]] = [[] for _ in range(10)]
    for at, taken, _ in moves:
        parts[min(9, int(10 * (at - began) / seconds))].append(taken)
    return [(quantiles(part) or {}).get("p95") for part in parts]


def memory(samples: list[tuple[float, float]]) -> dict[str, object]:
    """Resident memory in MB: every 10 s, and how it grew from after the first fifth to the end."""
    if len(samples) < 10:
        return {"MB": [round(mb) for _, mb in samples]}
    fifth = max(1, len(samples) // 10)
    values = [mb for _, mb in samples]
    early = statistics.median(values[2 * fifth : 3 * fifth])
    late = statistics.median(values[-fifth:])
    return {
        "MB after warm-up": round(early),
        "MB at the end": round(late),
        "most MB": round(max(values)),
        "grown by": round(late / early - 1, 3),
        "MB every 10 s": [round(mb) for mb in values[::10]],
    }


def quantiles(values: Iterable[float]) -> dict[str, float] | None:
    ms = sorted(1000 * value for value in values)
    if not ms:
        return None
    return {
        "p50": round(statistics.median(ms)),
        "p95": round(ms[min(len(ms) - 1, int(0.95 * len(ms)))]),
        "max": round(ms[-1]),
    }


# ---- kills ---------------------------------------------------------------------------------------


async def train_until_killed(server: Server, seed: int, promised: set[str]) -> None:
    """Train one small run after the other; what a page has shown as finished is promised."""
    try:
        async with Session(server, timeout=60) as tab:
            while True:
                seed += 1
                await tab.open("Train", query(seed=seed, images=500, epochs=1))
                await tab.press("_train")
                while not tab.says("Test accuracy"):
                    await asyncio.sleep(0.05)
                    for fragment in list(tab.ticks):
                        await tab.tick(fragment)
                promised.add(tab.parameter("run"))
    except Exception as error:  # the server is gone, as it should be
        if server.process.poll() is None:
            raise RuntimeError("The session ended before the server did.") from error


async def one_life(server: Server, seed: int, seconds: float, promised: set[str]) -> None:
    while not server.healthy():
        await asyncio.sleep(0.02)
    sessions = [
        asyncio.create_task(train_until_killed(server, seed + 10_000 * one, promised))
        for one in range(3)
    ]
    await asyncio.sleep(seconds)
    server.kill()
    await asyncio.gather(*sessions)


def kill_again_and_again(kills: int, seed: int) -> dict[str, object]:
    """Kill the server so many times; what was lost, what was damaged."""
    from pages.lab.store import Store

    dice, promised = random.Random(seed), set()
    lost: set[str] = set()
    damaged = set_aside = 0
    statuses: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for life in range(kills):
            server = start(home)
            try:
                # Some kills come while it starts, most while it trains and saves.
                seconds = dice.uniform(0, 20) if life % 5 else dice.uniform(0, 3)
                asyncio.run(one_life(server, 100_000 * (life + 1), seconds, promised))
            finally:
                server.kill()
            if not (home / "runs.sqlite3").exists():
                continue
            store = Store(home)
            found = {summary.key: summary.status for summary in store.list()}
            lost |= {
                key for key in promised if found.get(key) != "finished" or store.load(key) is None
            }
            statuses = Counter(found.values())
            set_aside = len(list(home.glob("runs-set-aside-*")))
            store.close()
            connection = sqlite3.connect(home / "runs.sqlite3")
            (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
            connection.close()
            damaged += answer != "ok"
            print(f"{life + 1} kills, {len(promised)} finished runs", file=sys.stderr)
    return {
        "kills": kills,
        "finished runs that a page had shown": len(promised),
        "of these lost": len(lost),
        "damaged stores": damaged,
        "files set aside": set_aside,
        "runs in the store": dict(statuses),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--every", type=float, default=45, help="seconds between two trainings of a student"
    )
    parser.add_argument(
        "--kept-runs", type=int, default=0, help="runs in the store when the class begins"
    )
    parser.add_argument("--hog", action="store_true", help="one student takes all there is")
    parser.add_argument("--kills", type=int, default=0, help="kill the server so often instead")
    parser.add_argument("--json", type=Path, help="write everything here as well")
    options = parser.parse_args()
    if not 1 <= options.sessions <= MOST_SESSIONS or not 0 < options.minutes <= MOST_MINUTES:
        parser.error(f"At most {MOST_SESSIONS} sessions and {MOST_MINUTES} minutes.")
    document: dict[str, object] = {
        "command": " ".join(["python -m tests.benchmarks.classroom", *sys.argv[1:]]),
        "load": {"before": os.getloadavg()[0]},
    }
    if options.kills:
        document |= kill_again_and_again(options.kills, options.seed)
    else:
        document |= classroom(options)
    text = json.dumps(document, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
