"""Images per second of the report's CNN: normlib as the app trains, Keras and PyTorch, in turns.

    python -m tests.benchmarks.throughput --torch-python ~/torch/bin/python --json throughput.json

Every contestant lives in a process of its own and trains the same network on the same images with
plain gradient descent. They take turns, so that whatever else the machine does meets them all; a
result is the median over the rounds. Only training is timed: no first call, no test images.

What is granted to the others: images as floats, scaled beforehand; Keras's best
`steps_per_execution`; PyTorch's best memory format. What normlib does on top, in its time: it
reads bytes, and records each step's loss and accuracy, and every 50 steps gradient norms, dead
units and statistics. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
METHODS = ("none", "batch", "layer", "weight")
FILTERS, UNITS, CLASSES = 30, 100, 10
LEARNING_RATE, EPSILON, MOMENTUM = 0.01, 1e-5, 0.9
BATCH_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)


# ---- the contestants: each runs in a process of its own ------------------------------------------


class Normlib:
    """The app's own queue with as many workers as cores; each training has one thread per op."""

    def __init__(self, folder: Path, threads: int):
        import normlib
        from normlib.mnist import Dataset

        images, labels = load(folder)
        parts = (slice(None), slice(0, 500), slice(0, 500))
        self.data = Dataset(
            *("MNIST", "the benchmark", (), "0" * 64),
            *(images[part, ..., None] for part in parts),
            *(labels[part] for part in parts),
        )
        self.seed = 0
        self.version = f"normlib {normlib.__version__}"

    def prepare(self, method: str, batch: int) -> str:
        return "in-graph loop"

    def measure(self, method: str, batch: int, seconds: float, together: int) -> float:
        """Images per second of `together` trainings side by side, from when all have begun."""
        import threading

        from normlib.config import TrainConfig
        from normlib.run import Progress
        from normlib.training import train
        from pages.lab.queue import Experiments

        moments: dict[int, list[tuple[float, int]]] = {}
        begun, ends = threading.Barrier(together), [float("inf")]

        def watched(config, data, on_event, should_stop):
            seen = moments.setdefault(config.seed, [])

            def note(event):
                on_event(event)
                if isinstance(event, Progress):
                    if not seen:  # the first call, with all that it makes, is behind us
                        begun.wait(120)
                        ends[0] = time.perf_counter() + seconds
                    seen.append((time.perf_counter(), event.step))

            def enough() -> bool:
                return should_stop() or time.perf_counter() > ends[0]

            return train(config, data, on_event=note, should_stop=enough)

        queue = Experiments(self.data, workers=together, train=watched)
        experiments = []
        for _ in range(together):
            self.seed += 1
            config = TrainConfig(
                normalization=method,
                batch_size=batch,
                learning_rate=LEARNING_RATE,
                epsilon=EPSILON,
                momentum=MOMENTUM,
                epochs=50,
                seed=self.seed,
            )
            experiments.append(queue.submit(config, f"student {self.seed}"))
        for experiment in experiments:
            experiment.wait_until_over()
            if experiment.status != "stopped":
                raise RuntimeError(f"{experiment.status}: {experiment.message}")
        return sum(
            (seen[-1][1] - seen[0][1]) * batch / (seen[-1][0] - seen[0][0])
            for seen in moments.values()
        )


class Keras:
    """`fit` with built-in layers, on TensorFlow."""

    def __init__(self, folder: Path, threads: int):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        import keras

        images, labels = load(folder)
        self.images = images[..., None].astype(np.float32) / 255
        self.labels = labels.astype(np.int32)
        self.models: dict[tuple[str, int], tuple[object, float, int]] = {}
        self.version = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"

    def prepare(self, method: str, batch: int) -> str:
        """Build the model in every way that may be fastest, and keep the fastest."""
        if method == "weight":
            return ""  # Keras has no weight normalization
        import keras

        layers = keras.layers
        norm = {
            "none": [],
            "batch": [layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM)],
            "layer": [layers.LayerNormalization(axis=[1, 2, 3], epsilon=EPSILON)],
        }[method]
        best = (0.0, "", None, 0)
        for steps in (10, 50, 200):
            if steps * batch > len(self.images):
                continue
            model = keras.Sequential(
                [
                    keras.Input((28, 28, 1)),
                    layers.Conv2D(FILTERS, 5, padding="same"),
                    *(layer.from_config(layer.get_config()) for layer in norm),
                    layers.ReLU(),
                    layers.MaxPool2D(),
                    layers.Flatten(),
                    layers.Dense(UNITS, activation="relu"),
                    layers.Dense(CLASSES),
                ]
            )
            model.compile(
                keras.optimizers.SGD(LEARNING_RATE),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                steps_per_execution=steps,
                jit_compile=False,  # XLA's convolution takes three times as long on a CPU
            )
            some = max(steps, 50) * batch
            self._fit(model, batch, some)
            speed = max(self._fit(model, batch, some) for _ in range(2))
            if speed > best[0]:
                best = (speed, f"steps_per_execution={steps}", model, steps)
        self.models[method, batch] = (best[2], best[0], best[3])
        return best[1]

    def _fit(self, model, batch: int, images: int) -> float:
        began = time.perf_counter()
        model.fit(self.images[:images], self.labels[:images], batch_size=batch, epochs=1, verbose=0)
        return images / (time.perf_counter() - began)

    def measure(self, method: str, batch: int, seconds: float, together: int) -> float:
        """Images per second of one `fit` over about so many seconds."""
        model, speed, steps = self.models[method, batch]
        unit = steps * batch  # whole executions only
        images = min(int(speed * seconds), len(self.images)) // unit * unit
        return self._fit(model, batch, max(images, unit))


class Torch:
    """Eager PyTorch."""

    def __init__(self, folder: Path, threads: int):
        import torch

        torch.set_num_threads(threads)
        images, labels = load(folder)
        self.images = torch.tensor(images[:, None].astype(np.float32) / 255)
        self.labels = torch.tensor(labels.astype(np.int64))
        self.models: dict[tuple[str, int], object] = {}
        self.version = f"PyTorch {torch.__version__}"

    def prepare(self, method: str, batch: int) -> str:
        """Build the network in both memory formats, and keep the faster."""
        import torch

        nn = torch.nn
        best = (0.0, "", None)
        for name in ("contiguous_format", "channels_last"):
            torch.manual_seed(0)
            convolution = nn.Conv2d(1, FILTERS, 5, padding=2)
            if method == "weight":
                nn.utils.parametrizations.weight_norm(convolution)
            norm = {
                "batch": [nn.BatchNorm2d(FILTERS, eps=EPSILON, momentum=1 - MOMENTUM)],
                "layer": [nn.LayerNorm((FILTERS, 28, 28), eps=EPSILON)],
            }.get(method, [])
            model = nn.Sequential(
                *(convolution, *norm, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
                *(nn.Linear(FILTERS * 14 * 14, UNITS), nn.ReLU(), nn.Linear(UNITS, CLASSES)),
            )
            layout = getattr(torch, name)
            model = model.to(memory_format=layout)
            optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

            def step(indices, model=model, optimizer=optimizer, layout=layout) -> None:
                images = self.images[indices].contiguous(memory_format=layout)
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images), self.labels[indices]).backward()
                optimizer.step()

            self.models[method, batch] = step
            self.measure(method, batch, 0.3, 1)
            speed = max(self.measure(method, batch, 0.5, 1) for _ in range(2))
            if speed > best[0]:
                best = (speed, name, step)
        self.models[method, batch] = best[2]
        return best[1]

    def measure(self, method: str, batch: int, seconds: float, together: int) -> float:
        """Images per second of a plain loop over shuffled batches."""
        import torch

        step, done = self.models[method, batch], 0
        order = torch.randperm(len(self.images))
        began = time.perf_counter()
        while (taken := time.perf_counter() - began) < seconds or not done:
            start = done * batch % (len(order) - batch + 1)
            step(order[start : start + batch])
            done += 1
        return done * batch / taken


CONTESTANTS = {"normlib": Normlib, "keras": Keras, "torch": Torch}


def load(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / "images.npy"), np.load(folder / "labels.npy")


def contest(name: str, folder: str, threads: str) -> None:
    """What the process of a contestant does: answer each line of JSON with one."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes elsewhere
    one = CONTESTANTS[name](Path(folder), int(threads))
    print(json.dumps(one.version), file=answers)
    for line in sys.stdin:
        action, *arguments = json.loads(line)
        print(json.dumps(getattr(one, action)(*arguments)), file=answers)


# ---- the race ------------------------------------------------------------------------------------


class Process:
    """A contestant, spoken to over pipes."""

    def __init__(self, name: str, folder: Path, threads: int, python: str):
        self.process = subprocess.Popen(
            [python, __file__, "contestant", name, str(folder), str(threads)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.version = ""

    def ask(self, *question: object) -> None:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read()[-2000:])
        return json.loads(line)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class Way:
    """One way to train: processes that start together, and how many trainings each has."""

    def __init__(self, title: str, processes: Sequence[Process], together: int = 1):
        self.title, self.processes, self.together = title, processes, together
        self.chosen: dict[tuple[str, int], str] = {}

    def _all(self, *question: object) -> list:
        for process in self.processes:
            process.ask(*question)
        return [process.answer() for process in self.processes]

    def prepare(self, method: str, batch: int) -> bool:
        self.chosen[method, batch] = self._all("prepare", method, batch)[0]
        return bool(self.chosen[method, batch])

    def measure(self, method: str, batch: int, seconds: float) -> float:
        return sum(self._all("measure", method, batch, seconds, self.together))


def start(folder: Path, torch_python: str, count: int) -> tuple[list[Way], list[Process], str]:
    """Every contestant alone with all cores, and as many as cores with one thread each."""
    pythons = {"keras": sys.executable, "torch": torch_python}
    ours = Process("normlib", folder, 1, sys.executable)
    processes = [ours]
    ways = [
        Way(f"normlib, {count} at once", [ours], count),
        Way("normlib, one alone", [ours]),
    ]
    missing = ""
    for name, title in (("keras", "Keras fit"), ("torch", "PyTorch")):
        alone = Process(name, folder, count, pythons[name])
        side = [Process(name, folder, 1, pythons[name]) for _ in range(count)]
        processes += [alone, *side]
        ways += [Way(f"{title}, {count} threads", [alone]), Way(f"{title}, {count} at once", side)]
    for process in list(processes):
        try:
            process.version = process.answer()
        except RuntimeError as error:
            if "No module named 'torch'" not in str(error):
                raise
            missing = "PyTorch is not installed for this Python: it does not take part."
            ways = [way for way in ways if process not in way.processes]
            process.end()
            processes.remove(process)
    return ways, processes, missing


def race(
    ways: Iterable[Way], batches: Sequence[int], rounds: int, seconds: float
) -> dict[int, dict[str, dict[str, list[float]]]]:
    """batch size -> method -> way -> images per second in each round."""
    results: dict[int, dict[str, dict[str, list[float]]]] = {}
    for batch in batches:
        results[batch] = {method: {} for method in METHODS}
        for method in METHODS:
            for way in ways:
                say(f"batch {batch}, {method}: preparing {way.title}")
                if way.prepare(method, batch):
                    results[batch][method][way.title] = []
        for number in range(rounds):
            for method, found in results[batch].items():
                say(f"batch {batch}, round {number + 1} of {rounds}: {method}")
                for way in ways:
                    if way.title in found:
                        found[way.title].append(way.measure(method, batch, seconds))
    say("")
    return results


def say(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)


def medians(results: Mapping) -> dict:
    return {
        batch: {
            method: {way: round(statistics.median(speeds)) for way, speeds in found.items()}
            for method, found in by_method.items()
        }
        for batch, by_method in results.items()
    }


def ratios(found: Mapping[str, Mapping[str, float]], count: int) -> dict[str, dict[str, float]]:
    """For each method, how many times the others' images per second the app's are, and what the
    method costs next to the plain network."""
    ours, alone = f"normlib, {count} at once", "normlib, one alone"
    table: dict[str, dict[str, float]] = {}
    for method, speeds in found.items():
        table[method] = {
            f"to {way}": round(speeds[ours] / speed, 2)
            for way, speed in speeds.items()
            if way not in (ours, alone)
        }
        table[method]["slower than none"] = round(found["none"][ours] / speeds[ours], 2)
        table[method]["slower than none, alone"] = round(found["none"][alone] / speeds[alone], 2)
    return table


def report_runs(count: int) -> dict[str, object]:
    """The report's four runs as the app does them: how long all of them take together."""
    code = """
import json, sys, time
from pages.lab import report
from pages.lab.queue import Experiments
from normlib.mnist import load_mnist
import normlib.training
data = load_mnist()
began = time.perf_counter()
queue = Experiments(data, workers=int(sys.argv[1]))
configs = {report.config(c, sys.argv[2]): c for c in report.COLUMNS[:4]}
runs = {configs[each]: queue.submit(each, configs[each]) for each in configs}
for run in runs.values():
    run.wait_until_over()
print(json.dumps({
    "data": data.name,
    "all four together, seconds": round(time.perf_counter() - began, 1),
    "seconds": {c: round(run.run.seconds, 1) for c, run in runs.items()},
    "test accuracy": {c: run.run.test_accuracy for c, run in runs.items()},
}))
"""
    found = {}
    for setting in ("as-run", "as-written"):
        say(f"the report's four runs, {setting}")
        output = subprocess.check_output(
            [sys.executable, "-c", code, str(count), setting], cwd=ROOT, text=True
        )
        found[setting] = json.loads(output)
    say("")
    return found


def table(found: Mapping[str, Mapping[str, float]], of: Mapping, batch: int, count: int) -> str:
    """Images per second as text, a line per way; beside the others, the app's ratio to them."""
    ways = list(dict.fromkeys(way for speeds in found.values() for way in speeds))
    lines = [f"Images per second, batch {batch}, median (and how many times that the app does)"]
    lines.append(f"{'':24}" + "".join(f"{method:>16}" for method in found))
    for way in ways:
        cells = ""
        for method, speeds in found.items():
            cell = f"{speeds[way]:,}" if way in speeds else "–"
            ratio = of[method].get(f"to {way}")
            cells += f"{cell + (f' ({ratio:.2f})' if ratio else ''):>16}"
        lines.append(f"{way:24}{cells}")
    costs = "".join(f"{of[method]['slower than none']:>16.2f}" for method in found)
    lines.append(f"{'cost next to none':24}{costs}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument(
        "--batch-sizes",
        default="64",
        help="such as 8,64,1024, or all: " + ", ".join(map(str, BATCH_SIZES)),
    )
    parser.add_argument(
        "--torch-python", default=sys.executable, help="a Python that has PyTorch, if not this one"
    )
    parser.add_argument(
        "--report-runs", action="store_true", help="also time the report's four whole trainings"
    )
    parser.add_argument("--json", type=Path, help="write everything here as well")
    options = parser.parse_args()
    sizes = options.batch_sizes
    batches = BATCH_SIZES if sizes == "all" else [int(size) for size in sizes.split(",")]

    sys.path.insert(0, str(ROOT))
    from normlib.mnist import load_mnist
    from pages.lab.recorded import cores

    data = load_mnist()
    count, load_before = cores(), os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", data.train_images[..., 0])
        np.save(Path(folder) / "labels.npy", data.train_labels)
        ways, processes, missing = start(Path(folder), options.torch_python, count)
        try:
            results = race(ways, batches, options.rounds, options.seconds)
        finally:
            for process in processes:
                process.end()
    middle = medians(results)
    of = {batch: ratios(found, count) for batch, found in middle.items()}
    document = {
        "what": "images per second of the report's CNN; to be read as ratios",
        "command": " ".join(["python -m tests.benchmarks.throughput", *sys.argv[1:]]),
        "machine": {"cores": count, "processor": processor(), "python": platform.python_version()},
        "load": {"before": load_before[0], "after": os.getloadavg()[0]},
        "data": data.name,
        "versions": sorted({process.version for process in processes}),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "medians": middle,
        "ratios": of,
        "chosen": {
            way.title: {f"{m}, batch {b}": how for (m, b), how in way.chosen.items() if how}
            for way in ways
        },
        "every round": results,
    }
    if options.report_runs:
        document["report"] = report_runs(count)
    print(f"Ratios, on {count} cores. {data.name}. {missing}")
    for batch in batches:
        print(table(middle[batch], of[batch], batch, count), end="\n\n")
    for setting, found in document.get("report", {}).items():
        print(f"The report's four runs, {setting}: {found['all four together, seconds']} s")
    text = json.dumps(document, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def processor() -> str:
    """The processor's name, where the machine tells."""
    if shutil.which("lscpu"):
        lines = subprocess.check_output(["lscpu"], text=True).splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("Model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    if sys.argv[1:2] == ["contestant"]:
        contest(*sys.argv[2:])
    else:
        main()
