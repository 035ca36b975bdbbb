"""How long a user waits, in a real Chromium: for the first page, a slider, a curve, a comparison.

    python -m tests.benchmarks.latency --json latency.json

A slider is dragged with the mouse and let go: in the lab, on an otherwise empty page with the same
picture under it, and on one with a sentence under it, in turns. The clock is the browser's own:
from the pointer going up to the frame that shows what is new. In between, each message from the
server is noted as it arrives, so that the parts can be told apart:

    asking       from letting go until the browser asks the server
    computing    from there until the first piece of the picture arrives
    sending      until its last piece has arrived
    drawing      until the frame with the new picture

A browser that draws notes messages late, so a client that draws nothing asks the lab's server too.

Nothing is asserted. Run it on an idle machine; only the ratios travel to another one.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from pages.components.activations import MOST_IMAGES  # noqa: E402
from pages.components.control_table import BATCH_SIZES  # noqa: E402
from tests.benchmarks.serving import (  # noqa: E402
    CHROMIUM_FLAGS,
    Server,
    Session,
    chromium,
    serving,
    start,
)

BATCH_MARKS = tuple(size for size in BATCH_SIZES if size <= MOST_IMAGES)
PICTURE_ALONE = Path(__file__).with_name("bare_picture.py")
# Without a module of the lab: it also shows how fast an empty page opens.
SENTENCE_ALONE = f"""
import streamlit as st

batch = st.select_slider("Batch size", {BATCH_MARKS}, 64, key="batch")
with st.container(key="sentence"):
    st.markdown(f"batch size {{batch}}")
"""

# Notes, by the browser's clock, when the pointer goes up, when a question goes to the server, when
# each answer comes, and when a frame is on screen after the picture has changed.
NOTES = """
(() => {
  const notes = window.notes = {picture: "", released: 0, asked: 0, messages: [], painted: 0};
  addEventListener("pointerup", () => {
    Object.assign(notes, {released: performance.now(), asked: 0, messages: [], painted: 0});
  }, true);
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...all) {
      super(...all);
      this.addEventListener("message", event => {
        notes.messages.push([performance.now(), event.data]);
      });
    }
    send(data) {
      notes.asked ||= performance.now();
      super.send(data);
    }
  };
  let waiting = false;
  const shown = () => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { waiting = false; notes.painted = performance.now(); };
    channel.port2.postMessage(0);
  };
  new MutationObserver(changes => {
    const element = node => node.nodeType === 1 ? node : node.parentElement;
    if (!waiting && notes.picture && changes.some(c => element(c.target)?.closest(notes.picture))) {
      waiting = true;
      requestAnimationFrame(shown);
    }
  }).observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
  const text = data => {
    const bytes = new Uint8Array(data);
    let all = "";
    for (let at = 0; at < bytes.length; at += 8192)
      all += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(all);
  };
  window.settled = () => {
    const last = notes.messages.length ? notes.messages[notes.messages.length - 1][0] : Infinity;
    const app = document.querySelector("[data-testid='stApp']");
    return notes.painted > 0 && app.dataset.testScriptState === "notRunning"
      && performance.now() - Math.max(last, notes.painted) > 250;
  };
  window.told = () => ({...notes, messages: notes.messages.map(([at, data]) => [at, text(data)])});
})();
"""
READABLE = ".st-key-methods .katex"
PICTURE, SENTENCE = ".st-key-histograms", ".st-key-sentence"
HISTOGRAM = f"{PICTURE} svg.marks path"
CURVE = ".st-key-loss svg.marks .mark-line path"
LOOK = 0.1  # seconds between two looks whether the picture is complete
PATIENCE = 120_000  # milliseconds


def wait_until_drawn(tab: Page) -> None:
    tab.wait_for_selector("[data-testid='stApp'][data-test-connection-state='CONNECTED']")
    tab.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")
    if tab.get_by_test_id("stException").count():
        raise RuntimeError(f"An exception on {tab.url}")


def new_tab(browser: Browser, server: Server, path: str = "") -> Page:
    """A tab of a fresh profile, opened on this path if one is given."""
    context = browser.new_context(
        base_url=server.url, viewport={"width": 1280, "height": 720}, locale="en-US"
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script(NOTES)
    tab = context.new_page()
    if path:
        tab.goto(path)
        wait_until_drawn(tab)
    return tab


# ---- the first page ------------------------------------------------------------------------------


def cold(browser: Browser, folder: Path, repeats: int) -> dict[str, list[float]]:
    """From opening a page on a freshly started server, and from starting that server."""
    found: dict[str, list[float]] = {
        "server start": [],
        "home readable": [],
        "home complete": [],
        "first activation picture": [],
        "an otherwise empty page readable": [],
    }
    (folder / "sentence.py").write_text(SENTENCE_ALONE)
    for number in range(repeats):
        for page in ("home", "activations", "empty"):
            began = time.perf_counter()
            app = (folder / "sentence.py",) if page == "empty" else ()
            server = start(folder / f"cold{number}{page}", *app)
            try:
                server.wait_until_healthy()
                if page != "empty":
                    found["server start"].append(time.perf_counter() - began)
                tab = new_tab(browser, server)
                began = time.perf_counter()
                if page == "home":
                    tab.goto("/", wait_until="commit")
                    tab.locator(READABLE).first.wait_for()
                    found["home readable"].append(time.perf_counter() - began)
                    wait_until_drawn(tab)
                    found["home complete"].append(time.perf_counter() - began)
                elif page == "empty":
                    tab.goto("/", wait_until="commit")
                    tab.locator(f"{SENTENCE} p").first.wait_for()
                    found["an otherwise empty page readable"].append(time.perf_counter() - began)
                else:
                    tab.goto("/Activation_statistics", wait_until="commit")
                    tab.locator(HISTOGRAM).first.wait_for()
                    found["first activation picture"].append(time.perf_counter() - began)
                tab.context.close()
            finally:
                server.stop()
    return found


# ---- a slider ------------------------------------------------------------------------------------


def drag(tab: Page, share: float, picture: str, seen: set[str]) -> dict[str, float]:
    """Drag the batch slider to this share of its length; the parts of the wait, in ms."""
    track = tab.locator(".st-key-batch [data-rac][role='group'] > div").bounding_box()
    thumb = tab.locator(".st-key-batch [data-testid='stSliderThumbValue']").locator("..")
    box = thumb.bounding_box()
    tab.evaluate("picture => { notes.picture = picture }", picture)
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(track["x"] + track["width"] * share, box["y"] + box["height"] / 2)
    time.sleep(0.05)
    tab.mouse.up()
    # Looked at seldom and briefly, so that looking takes nothing from drawing.
    for _ in range(int(60 / LOOK)):
        time.sleep(LOOK)
        if tab.evaluate("settled()"):
            break
    else:
        raise RuntimeError("The picture did not change within a minute.")
    return parts(tab.evaluate("told()"), seen)


def parts(notes: Mapping, seen: set[str]) -> dict[str, float]:
    """Milliseconds from letting go, and their parts; bytes that came.

    seen: the hashes of the pictures that this tab has had; one that it still keeps is not sent
    again but named.
    """
    pieces, end, size = [], 0.0, 0
    for at, text in notes["messages"]:
        data = base64.b64decode(text)
        message = ForwardMsg.FromString(data)
        size += len(data)
        kind = message.WhichOneof("type")
        if kind == "delta" and is_picture(message.delta):
            seen.add(message.hash)
            pieces.append(at)
        if kind == "ref_hash" and message.ref_hash in seen:
            pieces.append(at)
        if kind == "script_finished":
            end = at
    asked, released, painted = notes["asked"], notes["released"], notes["painted"]
    return {
        "to the new picture": painted - released,
        "asking": asked - released,
        "computing": pieces[0] - asked,
        "sending": pieces[-1] - pieces[0],
        "drawing": painted - pieces[-1],
        "server, to its last word": end - asked,
        "kilobytes": size / 1000,
    }


def is_picture(delta) -> bool:
    """Whether this piece of a page is a chart, or the one sentence that stands for it."""
    element = delta.new_element
    kind = element.WhichOneof("type") if delta.WhichOneof("type") == "new_element" else ""
    return kind == "vega_lite_chart" or (
        kind == "markdown" and element.markdown.body.startswith("batch size ")
    )


def slider(browser: Browser, folder: Path, moves: int, seed: int) -> dict[str, object]:
    """The batch slider of the activation page and of the two bare pages, in turns."""
    (folder / "sentence.py").write_text(SENTENCE_ALONE)
    with ExitStack() as stack:
        lab = stack.enter_context(serving(folder / "lab"))
        picture = stack.enter_context(serving(folder / "picture", PICTURE_ALONE))
        sentence = stack.enter_context(serving(folder / "sentence", folder / "sentence.py"))
        tabs = {
            "lab": (new_tab(browser, lab, "/Activation_statistics"), PICTURE),
            "the same picture alone": (new_tab(browser, picture, "/"), PICTURE),
            "a sentence alone": (new_tab(browser, sentence, "/"), SENTENCE),
        }
        for tab, shown in tabs.values():
            tab.locator(HISTOGRAM if shown == PICTURE else SENTENCE).first.wait_for()
        marks = len(BATCH_MARKS)
        dice = random.Random(seed)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in tabs}
        seen: dict[str, set[str]] = {name: set() for name in tabs}
        processor, mark = lab.cpu_seconds(), BATCH_MARKS.index(64)
        for move in range(moves + 3):
            # Never where it is already: that would be no move.
            mark = (mark + dice.randrange(1, marks)) % marks
            for name, (tab, shown) in tabs.items():
                taken = drag(tab, mark / (marks - 1), shown, seen[name])
                if move >= 3:  # the first ones load fonts and caches
                    found[name].append(taken)
        processor = 1000 * (lab.cpu_seconds() - processor) / (moves + 3)
        for tab, _ in tabs.values():
            tab.context.close()
        # In a thread of its own: Playwright keeps an event loop in this one.
        with ThreadPoolExecutor(1) as beside:
            alone = beside.submit(asyncio.run, server_alone(lab, moves, seed)).result()
    summary: dict[str, object] = {
        name: {part: quantiles(one[part] for one in taken) for part in taken[0]}
        for name, taken in found.items()
    }
    ours, *floors = tabs
    for floor in floors:
        summary[f"times {floor}"] = {
            quantile: round(
                summary[ours]["to the new picture"][quantile]
                / summary[floor]["to the new picture"][quantile],
                2,
            )
            for quantile in ("p50", "p95")
        }
    summary["server, asked by a client that draws nothing"] = quantiles(alone)
    summary["processor time of the server per move"] = round(processor, 1)
    summary["moves"] = {name: [one["to the new picture"] for one in f] for name, f in found.items()}
    return summary


async def server_alone(server: Server, moves: int, seed: int) -> list[float]:
    """Milliseconds from asking to the server's last word, move by move."""
    dice, taken = random.Random(seed), []
    async with Session(server) as session:
        await session.open("Activation_statistics")
        marks = session.marks["batch"]
        for mark in (dice.choice(marks) for _ in range(moves)):
            await asyncio.sleep(0.5)
            taken.append(1000 * await session.set("batch", mark))
    return taken


def quantiles(values: Iterable[float]) -> dict[str, float]:
    values = sorted(values)
    return {
        "p50": round(statistics.median(values), 1),
        "p95": round(values[min(len(values) - 1, int(0.95 * len(values)))], 1),
        "max": round(values[-1], 1),
    }


# ---- trainings -----------------------------------------------------------------------------------


def trainings(browser: Browser, folder: Path, repeats: int) -> dict[str, list[float]]:
    """Train to the first point of the curve; Compare, fast setting, to all curves complete."""
    first_points: list[float] = []
    comparisons: list[float] = []
    with serving(folder / "training") as server:
        # Seeds without a recorded run, whose curve is there before anybody trains.
        for seed in range(11, repeats + 12):
            tab = new_tab(browser, server, f"/Train?seed={seed}")
            tab.get_by_role("button", name="Train", exact=True).click()
            began = time.perf_counter()
            tab.locator(CURVE).first.wait_for(state="attached")
            first_points.append(time.perf_counter() - began)
            tab.get_by_text("Done in").first.wait_for()
            wait_until_drawn(tab)
            tab.context.close()
        for seed in range(repeats):
            tab = new_tab(browser, server, f"/Compare?seed={100 + seed}")
            tab.get_by_role("button", name="Train all", exact=True).click()
            began = time.perf_counter()
            tab.get_by_role("heading", name="Accuracy and time").wait_for()
            comparisons.append(time.perf_counter() - began)
            wait_until_drawn(tab)
            tab.context.close()
    return {
        "first point, first training of the server": first_points[:1],
        "first point, once warm": first_points[1:],
        "comparison of four methods, 6,000 images": comparisons,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--moves", type=int, default=50, help="of the slider")
    parser.add_argument("--repeats", type=int, default=3, help="of everything else")
    parser.add_argument("--seed", type=int, default=0, help="of where the slider goes")
    parser.add_argument(
        "--only", choices=("cold", "slider", "trainings"), help="measure one thing alone"
    )
    parser.add_argument("--json", type=Path, help="write everything here as well")
    options = parser.parse_args()
    path = chromium()
    if path is None:
        parser.error("There is no Chromium on this machine.")
    document: dict[str, object] = {
        "what": "waiting in a real browser; milliseconds for the slider, seconds for the rest",
        "command": " ".join(["python -m tests.benchmarks.latency", *sys.argv[1:]]),
        "load": {"before": os.getloadavg()[0]},
    }
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        folder = Path(name)
        document["browser"] = browser.version
        if options.only in (None, "cold"):
            document["cold"] = middle(cold(browser, folder, options.repeats))
        if options.only in (None, "slider"):
            document["slider"] = slider(browser, folder, options.moves, options.seed)
        if options.only in (None, "trainings"):
            document["trainings"] = middle(trainings(browser, folder, options.repeats))
        browser.close()
    document["load"]["after"] = os.getloadavg()[0]
    text = json.dumps(document, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def middle(times: Mapping[str, list[float]]) -> dict[str, dict[str, object]]:
    return {
        name: {
            "median": round(statistics.median(seconds), 2),
            "all": [round(s, 2) for s in seconds],
        }
        for name, seconds in times.items()
    }


if __name__ == "__main__":
    main()
