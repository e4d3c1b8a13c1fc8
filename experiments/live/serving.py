"""How the page's server is put on the network: one way for the command, the bench and the tests."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live.server import MAX_FRAME_BYTES, Server

PORTS_TRIED = 20


def hosted(server: Server) -> uvicorn.Server:
    """Return what serves a page, not yet running.

    Messages are not compressed: that takes longer than a state of 12 kB takes to any page on this machine.
    """
    return uvicorn.Server(
        uvicorn.Config(
            server.app,
            ws="websockets-sansio",
            ws_max_size=MAX_FRAME_BYTES,
            ws_per_message_deflate=False,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )


@contextlib.contextmanager
def serving(server: Server, stop_signals: socket.socket) -> Iterator[int]:
    """Serve a page from a thread of its own meanwhile, and give the port."""
    running = hosted(server)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve([stop_signals])), daemon=True)
    thread.start()
    try:
        while not running.started:
            time.sleep(0.01)
        yield int(stop_signals.getsockname()[1])
    finally:
        running.should_exit = True
        thread.join(10)
        server.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at a port, or at the next free one of `PORTS_TRIED`.

    Raises:
        GoalmazeError: none is free, or there is no such address here.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for tried in range(port, min(port + PORTS_TRIED, 65536)):
        stop_signals = socket.socket(family, socket.SOCK_STREAM)
        stop_signals.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stop_signals.bind((host, tried))
            stop_signals.listen(128)
            return stop_signals
        except OSError as error:
            stop_signals.close()
            if error.errno != errno.EADDRINUSE:
                raise GoalmazeError(
                    f"cannot serve at {host}:{tried}: {error.strerror}; choose --host, --port"
                ) from None
    raise GoalmazeError(f"ports {port} to {port + PORTS_TRIED - 1} are taken; choose another --port")
