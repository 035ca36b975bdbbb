"""The server process: what a rerun costs it, what it never asks, and what it keeps at its end."""

import asyncio
import socket
import subprocess
import sys

import pytest
from live_pages import opened, words
from streamlit import net_util
from streamlit.web import bootstrap
from streamlit.web.server import server_util

from pages.components import server
from pages.lab.store import Store
from tests.benchmarks.serving import ROOT, Server, Session, serving

AFTER_A_RUN = """
import gc, sys
from streamlit.runtime.scriptrunner import script_runner
from pages.components import server

server.warm_up().wait(for_tensorflow=True)
collections, objects = [], len(gc.get_objects())
gc.callbacks.append(lambda phase, about: collections.append(about["generation"]))
script_runner._clean_problem_modules()  # Streamlit does so after every run
print("keras" in sys.modules, gc.get_freeze_count() > 100_000, objects < 1_000, collections)
"""


def test_no_rerun_waits_until_tensorflows_objects_are_looked_through():
    command = [sys.executable, "-c", AFTER_A_RUN]
    assert subprocess.check_output(command, cwd=ROOT, text=True) == "True True True []\n"


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not made for Windows")
def test_no_message_waits_for_a_receipt():
    """Streamlit binds its own socket, where asyncio leaves Nagle's algorithm on (uvicorn#3149).

    The event loop that `streamlit[performance]` brings does not.
    """

    async def option() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        with socket.create_server(("127.0.0.1", 0)) as port:
            await asyncio.start_server(connected, sock=port)
            with socket.create_connection(port.getsockname()):
                return await found

    with asyncio.Runner(loop_factory=bootstrap._get_uvloop_loop_factory()) as runner:
        assert runner.run(option()) == 1


def test_a_page_of_another_origin_is_refused_without_asking_the_internet(monkeypatch):
    asked = []
    monkeypatch.setattr(
        net_util, "_make_blocking_http_get", lambda *about, **_: asked.append(about)
    )
    assert not server_util.is_url_from_allowed_origins("http://elsewhere.example")
    assert server_util.is_url_from_allowed_origins("http://localhost:8501")
    assert (asked, server.net_util.get_external_ip()) == ([], None)


def test_pages_say_that_earlier_runs_were_set_aside_and_that_none_are_kept(queue):
    queue.store.notice, queue.store.problem = "It is kept as aside.sqlite3.", "The disk is full."
    said = words(opened("train"))
    assert "It is kept as aside.sqlite3." in said and "The disk is full." in said


TRAINING = """
import time
import numpy as np
import streamlit as st
from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import Run
from pages.components import server

class Ready:
    dataset = Dataset("digits", "", (), "0" * 64, *3 * [np.zeros((1, 28, 28, 1), np.uint8)],
                      *3 * [np.zeros(1, np.uint8)])
    tensorflow_is_here = lambda self: True

def train(config, data, on_event, should_stop):
    while not should_stop():
        time.sleep(0.01)
    about = (config, data.name, data.checksum)
    return Run(*about, "stopped", "Stopped at step 1.", losses=[2.5])

server._warm_up = Ready()
queue = server.experiments()
queue._train = train
st.markdown(queue.submit(TrainConfig(), "somebody").status)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without a word")
def test_a_server_that_is_told_to_end_keeps_what_a_training_has(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(TRAINING)

    async def ask(address: Server) -> None:
        async with Session(address) as session:
            await session.open("")
            assert session.says("running")
            address.process.terminate()
            address.process.wait(20)

    with serving(tmp_path / "home", app) as address:
        asyncio.run(ask(address))
    (kept,) = Store(tmp_path / "home").list()
    assert (kept.status, kept.message, kept.steps) == ("stopped", "Stopped at step 1.", 1)
