"""The real server and who talks to it: started, watched and stopped, for benchmarks and tests.

A `Session` speaks as a browser tab does: Streamlit's own messages over its websocket, with a
widget's new value going up and the drawn elements coming down.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

ROOT = Path(__file__).parents[2]
CHROMIUM_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def chromium() -> str | None:
    """The path of a Chromium or Chrome that a test can drive, if this machine has one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Server:
    """A server of its own in a process of its own, on a free port of the loopback device."""

    def __init__(self, process: subprocess.Popen, port: int, log: Path):
        self.process, self.port, self.log = process, port, log
        self.url = f"http://127.0.0.1:{port}"

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def wait_until_healthy(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"The server did not start:\n{self.log.read_text()}")
            time.sleep(0.02)

    def memory(self) -> float:
        """Its resident memory in MB."""
        command = ["ps", "-o", "rss=", "-p", str(self.process.pid)]
        return int(subprocess.check_output(command)) / 1024

    def cpu_seconds(self) -> float:
        """The processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it, kindly and then firmly."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()


def start(
    home: Path,
    app: Path = ROOT / "app.py",
    *,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = ("-m", "streamlit"),
    port: int = 0,
) -> Server:
    """Start a server without waiting for it. home: NORMLAB_HOME, where its runs and log go.

    port: a free one unless given.
    """
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
        port = free.getsockname()[1]
    options = {"headless": "true", "port": port, "address": "127.0.0.1"}
    log = home / "server.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, *command, "run", str(app)),
                *(f"--server.{name}={value}" for name, value in options.items()),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NORMLAB_HOME": str(home)}
            | dict(environment or {}),
            stdout=file,
            stderr=file,
        )
    return Server(process, port, log)


@contextmanager
def serving(home: Path, app: Path = ROOT / "app.py", **options) -> Iterator[Server]:
    """A server that answers, ended when the block is left."""
    server = start(home, app, **options)
    try:
        server.wait_until_healthy()
        yield server
    finally:
        server.stop()


class Session:
    """One browser tab: its address, its widgets, and what the server last drew on it.

    timeout: how long any answer may take, in seconds; then TimeoutError.
    """

    def __init__(self, server: Server, timeout: float = 120):
        self.server, self.timeout = server, timeout
        self.page = self.query = ""
        self.widgets: dict[str, str] = {}  # key -> id of those drawn
        self.fragments: dict[str, str] = {}  # id -> the fragment that a move of it runs
        self.marks: dict[str, list[str]] = {}  # key -> the words on a slider that has some
        self.values: dict[str, WidgetState] = {}  # id -> what was last set
        self.ticks: dict[str, float] = {}  # fragment -> seconds between its own runs
        self.texts: list[str] = []  # of the latest run: labels and texts, in no order to rely on
        self.exceptions: list[str] = []
        self.charts = self.bytes = 0  # that the latest run drew and sent
        self._page_hash = ""
        self._connection: ClientConnection | None = None
        self._tickers: list[asyncio.Task] = []

    async def __aenter__(self) -> Session:
        self._connection = await connect(
            f"ws://127.0.0.1:{self.server.port}/_stcore/stream",
            subprotocols=["streamlit"],
            max_size=None,
            ping_interval=None,
        )
        return self

    async def __aexit__(self, *error) -> None:
        await self._connection.close()

    async def open(self, page: str, query: str = "") -> float:
        """Go to a page by the name in its address; returns the seconds until it was drawn."""
        self.page, self.query, self._page_hash = page, query, ""
        self.values, self.ticks = {}, {}
        return await self._run()

    async def set(self, key: str, value: float | str) -> float:
        """Move a slider, to a number or to a mark; returns the seconds until the page was drawn."""
        state = WidgetState(id=self.widgets[key])
        if isinstance(value, str):
            state.string_array_value.data.append(value)
        else:
            state.double_array_value.data.append(value)
        self.values[state.id] = state
        return await self._run(fragment=self.fragments.get(state.id, ""))

    async def press(self, key: str) -> float:
        """Press a button; returns the seconds until the page was drawn."""
        return await self._run(WidgetState(id=self.widgets[key], trigger_value=True))

    async def tick(self, fragment: str) -> float:
        """What the browser does by itself while a fragment asks for it: run it again."""
        return await self._run(fragment=fragment, by_itself=True)

    async def _run(
        self, *triggers: WidgetState, fragment: str = "", by_itself: bool = False
    ) -> float:
        message = BackMsg()
        client = message.rerun_script
        client.query_string, client.fragment_id = self.query, fragment
        client.is_auto_rerun = by_itself
        client.page_script_hash = self._page_hash
        if not self._page_hash:
            client.page_name = self.page
        client.widget_states.widgets.extend([*self.values.values(), *triggers])
        client.context_info.url = f"{self.server.url}/{self.page}"
        began = time.perf_counter()
        await self._connection.send(message.SerializeToString())
        self.texts, self.charts, self.bytes = [], 0, 0
        async with asyncio.timeout(self.timeout):
            while True:
                data = await self._connection.recv()
                answer = ForwardMsg.FromString(data)
                self.bytes += len(data)
                if self._take_in(answer):
                    return time.perf_counter() - began

    def _take_in(self, message: ForwardMsg) -> bool:
        """Note what the message says; whether it was the last one of the run."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.texts, self.exceptions = [], []
            if not message.metadata.run.fragment_ids:
                self.ticks = {}
        elif kind == "navigation":
            self._page_hash = message.navigation.page_script_hash
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            self.ticks[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self.ticks.pop(fragment, None)
        elif kind == "delta":
            if message.delta.WhichOneof("type") == "new_element":
                self._take_in_element(message.delta.new_element, message.delta.fragment_id)
        elif kind == "script_finished":
            return message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        return False

    def _take_in_element(self, element, fragment: str) -> None:
        kind = element.WhichOneof("type")
        drawn = getattr(element, kind)
        self.charts += kind == "vega_lite_chart"
        if kind == "exception":
            self.exceptions.append(f"{drawn.type}: {drawn.message}")
        for name in ("label", "body", "text"):
            text = getattr(drawn, name, "")
            if isinstance(text, str) and text:
                self.texts.append(text)
        # The id of a widget that has a key ends in it.
        identity = getattr(drawn, "id", "")
        if identity:
            key = identity.split("-", 2)[-1]
            self.widgets[key], self.fragments[identity] = identity, fragment
            if kind == "slider":
                self.marks[key] = list(drawn.options)

    def parameter(self, name: str) -> str:
        """The value of a query parameter, as the address bar now shows it; "" without one."""
        return dict(parse_qsl(self.query)).get(name, "")

    def says(self, words: str) -> bool:
        """Whether the latest run drew these words."""
        return any(words in text for text in self.texts)


def query(**parameters: object) -> str:
    """`batch=64&seed=1`."""
    return urlencode(parameters)
