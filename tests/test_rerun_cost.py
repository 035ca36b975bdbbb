"""What one rerun of a page costs the server, next to the same server without TensorFlow."""

import asyncio
import socket
import statistics
import sys
from contextlib import ExitStack

import pytest
from streamlit.web import bootstrap

from tests.benchmarks.serving import Server, Session, serving

PAGE = """
import gc
import streamlit as st
from pages.components import server

batch = st.slider("Batch size", 1, 512, 64, key="batch")
{ready}
st.markdown(f"Batch size {{batch}}")
"""
# The garbage collector sees as little without TensorFlow as it should with it.
READY = {"with": "server.wait_for_tensorflow()", "without": "gc.freeze()"}
BOUTS, RERUNS = 8, 4


async def rerun_seconds(servers: list[Server]) -> list[float]:
    """The median rerun on each, in turns. Each follows at once on another, whose garbage is still
    being collected; the first of every turn does not count."""
    async with Session(servers[0]) as first, Session(servers[1]) as second:
        times: dict[Session, list[float]] = {first: [], second: []}
        for session in times:
            await session.open("")
        for batch in range(1, 1 + BOUTS * RERUNS, RERUNS):
            for session, seconds in times.items():
                for value in range(batch, batch + RERUNS):
                    seconds.append(await session.set("batch", value))
                    assert session.says(f"Batch size {value}") and not session.exceptions
                del seconds[-RERUNS]
        return [statistics.median(seconds) for seconds in times.values()]


def test_tensorflow_in_the_process_does_not_slow_a_rerun(tmp_path):
    with ExitStack() as stack:
        servers = []
        for name, ready in READY.items():
            app = tmp_path / f"{name}.py"
            app.write_text(PAGE.format(ready=ready))
            servers.append(stack.enter_context(serving(tmp_path / name, app)))
        with_it, without = asyncio.run(rerun_seconds(servers))
    assert with_it <= 3 * without, f"{1000 * with_it:.0f} ms against {1000 * without:.0f} ms"


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
