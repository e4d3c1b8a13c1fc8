"""A server of the live page, and pages connected to it over websockets."""

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

from websockets.sync.client import connect

from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.server import Server
from goalmaze.experiments.live.serving import listen, serving
from goalmaze.experiments.live.settings import Settings

TOKEN = "a-token-of-the-test"
SETTINGS = Settings(agent="zoo:green-exit", seed=3)


@contextlib.contextmanager
def served(store: AgentStore, buffer: int = 0) -> Iterator[tuple[int, Server]]:
    """Give the port and a running server; the system buffers `buffer` bytes for a page, its default where 0."""
    listener, server = listen("127.0.0.1", 0), Server(store, SETTINGS, token=TOKEN)
    if buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    with serving(server, listener) as port:
        yield port, server


def page(port: int, **options: Any) -> Any:
    """Return a connection of a page."""
    return connect(
        f"ws://127.0.0.1:{port}/ws?token={TOKEN}", origin=f"http://127.0.0.1:{port}", max_size=None, **options
    )


def until(socket: Any, kind: str, n: int = 0, seconds: float = 60) -> dict[str, Any]:
    """Return the next message of a kind that takes message `n` into account."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        message: dict[str, Any] = json.loads(socket.recv(seconds))
        if message["kind"] == kind and message["n"] >= n:
            return message
    raise AssertionError(f"no {kind} with n >= {n}")


def ask(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    """Return status and body of a GET request with exactly these headers, and Host where not given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("GET", path, skip_host=True)
    for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    result = answer.status, answer.read()
    connection.close()
    return result
