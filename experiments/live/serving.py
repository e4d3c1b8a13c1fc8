"""Serving the page over the network; the command, the benchmark and the tests all use these functions."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live.server import MAX_FRAME_BYTES, Server

PORTS_TRIED = 20

ABORT_SECONDS = 5.0
"""A closed connection is cut off after this time, where the page has not read what was sent to it before."""


class PageProtocol(WebSocketsSansIOProtocol):
    """A websocket whose connection ends also where the page does not read."""

    async def run_asgi(self) -> None:
        """Serve the connection, and cut it off a while after."""
        await super().run_asgi()
        # A transport that closes sends its buffer first. A page that does not read would keep it open for ever.
        self.loop.call_later(ABORT_SECONDS, self.transport.abort)


def uvicorn_server(server: Server) -> uvicorn.Server:
    """Return the web server of a page, not yet running."""
    return uvicorn.Server(
        uvicorn.Config(
            server.app,
            ws=PageProtocol,
            ws_max_size=MAX_FRAME_BYTES,
            # Compressing a state of 12 kB takes longer than sending it to a page on this machine.
            ws_per_message_deflate=False,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )


@contextlib.contextmanager
def serving(server: Server, listener: socket.socket) -> Iterator[int]:
    """Serve a page from another thread inside the context, and give the port."""
    running = uvicorn_server(server)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve([listener])), daemon=True)
    thread.start()
    try:
        while not running.started:
            time.sleep(0.01)
        yield int(listener.getsockname()[1])
    finally:
        running.should_exit = True
        thread.join(10)
        server.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at a port, or at the next free one of `PORTS_TRIED` ports.

    Raises:
        GoalmazeError: none is free, or this machine does not have the address.
    """
    # Only an IPv6 address holds colons.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for tried in range(port, min(port + PORTS_TRIED, 65536)):
        listener = socket.socket(family, socket.SOCK_STREAM)
        # A port stays reserved for a minute after its server was stopped, unless its reuse is allowed.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, tried))
            listener.listen(128)
            return listener
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise GoalmazeError(
                    f"cannot serve at {host}:{tried}: {error.strerror}; choose --host, --port"
                ) from None
    raise GoalmazeError(f"ports {port} to {port + PORTS_TRIED - 1} are in use; choose another --port")
