"""`goalmaze bench live`: how fast the page follows a dragged target, over a websocket, with many pages open."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import socket
import time
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import numpy as np

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.settings import Settings

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection, connect

    from goalmaze.experiments.live.server import Server

AGENT, SIZE, CLIENTS, SLOW = "zoo:green-exit", 13, 20, 4
SECONDS = {False: 5.0, True: 20.0}
TOKEN = "bench"
WARM_UP = 4.0
"""Seconds of dragging before the measurement, during which the page's probe is fitted."""
FAR_LEVELS = 1_000_000
"""First index of the levels to warm up on, which no measured drag reaches."""
SLOW_PAUSE = 0.02
"""Seconds between the messages of a slow page."""

MIN_UPDATES, MAX_P99_MS = 60.0, 25.0
"""The goal of the page, in updates a second and milliseconds, where one page is dragged."""

ANSWER_SECONDS = 20.0
"""A page that waits longer for an answer ends the benchmark."""

OPENING_SECONDS = 120.0
"""The same for the first scene of a page, for which the edit is fitted and code may be compiled."""

SOCKET_BUFFER = 65_536
"""Bytes the system buffers for a page that does not read; small, so that the server notices soon."""


@dataclasses.dataclass
class Drags:
    """The updates that the dragging pages received.

    Attributes:
        delays: from sending a message to receiving the state that takes it into account, in seconds.
        seconds: duration of the measurement.
    """

    delays: list[float]
    seconds: float

    def row(self, clients: int, dragging: int, slow: int) -> JsonObject:
        """Return the measurement as a row of the benchmark."""
        p50, p99 = np.percentile(self.delays, [50, 99]) * 1000
        return {
            "size": SIZE,
            "clients": clients,
            "dragging": dragging,
            "slow": slow,
            "updates_per_s": len(self.delays) / self.seconds,
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            # The goal is one of the page that a person drags; where many are dragged, they share the machine.
            "passes": self.reaches_goal() if dragging == 1 else None,
        }

    def reaches_goal(self) -> bool:
        """Return whether a page that is dragged alone follows fast enough."""
        p99 = float(np.percentile(self.delays, 99)) * 1000
        return len(self.delays) / self.seconds >= MIN_UPDATES and p99 <= MAX_P99_MS


def measure(full: bool) -> list[JsonObject]:
    """Return four rows: one page drags alone, with others open, with all others dragging, and with slow ones.

    A page sends the next cell as soon as the last one was answered, and no cell of a level twice. A slow page drags all
    the time and never reads.

    Raises:
        GoalmazeError: the extra `live` is not installed, the page does not answer, or it is too slow.
    """
    try:
        from goalmaze.experiments.live.server import Server
        from goalmaze.experiments.live.serving import listen, serving
    except ImportError as error:
        raise GoalmazeError(f"the page needs {error.name}: pip install 'goalmaze[live]'") from None
    import torch

    threads = torch.get_num_threads()
    # Server and clients share this process; more threads of torch would compete with them.
    torch.set_num_threads(1)
    settings, seconds = Settings(agent=AGENT, size=SIZE), SECONDS[full]
    store = AgentStore(AGENT)
    server, listener = Server(store, settings, token=TOKEN), listen("127.0.0.1", 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
    try:
        with serving(server, listener) as port:
            rows = []
            for clients, dragging, slow in ((1, 1, 0), (CLIENTS, 1, 0), (CLIENTS, CLIENTS, 0), (CLIENTS, 1, SLOW)):
                drags = asyncio.run(_within(_drag(port, clients, dragging, slow, seconds), seconds))
                rows.append(drags.row(clients, dragging, slow))
                _wait_until_closed(server)
    finally:
        torch.set_num_threads(threads)
    check_goal(rows)
    return rows


def _wait_until_closed(server: Server) -> None:
    """Wait until the server has closed the pages of a measurement, which count towards the most it lets open.

    Raises:
        GoalmazeError: it does not close them.
    """
    end = time.perf_counter() + ANSWER_SECONDS
    while server.clients:
        if time.perf_counter() > end:
            raise GoalmazeError(f"{len(server.clients)} pages were not closed within {ANSWER_SECONDS:.0f} seconds")
        time.sleep(0.01)


def check_goal(rows: Sequence[JsonObject]) -> None:
    """Check that a page that is dragged alone follows fast enough, with other pages open or not.

    Raises:
        GoalmazeError: it does not; the message holds what was measured.
    """
    for row in rows:
        if row["passes"] is False:
            raise GoalmazeError(
                f"the page missed its goal of {MIN_UPDATES:.0f} updates a second with p99 of at most {MAX_P99_MS:.0f} "
                f"ms: {row['updates_per_s']:.0f} updates a second and {row['p99_ms']:.0f} ms with {row['clients']} "
                f"pages open, {row['slow']} of them slow; close what else runs on this machine and measure again"
            )


async def _within(drag: Awaitable[Drags], seconds: float) -> Drags:
    """Return the measurement.

    Raises:
        GoalmazeError: it takes much longer than planned.
    """
    limit = OPENING_SECONDS + WARM_UP + seconds + CLIENTS * ANSWER_SECONDS
    try:
        async with asyncio.timeout(limit):
            return await drag
    except TimeoutError:
        raise GoalmazeError(f"the measurement did not end within {limit:.0f} seconds") from None


async def _drag(port: int, clients: int, dragging: int, slow: int, seconds: float) -> Drags:
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(_page(port)) for _ in range(clients - slow)]
        slow_pages = [await stack.enter_async_context(_page(port, _connection(port))) for _ in range(slow)]
        opened = [await _state(page, 0, OPENING_SECONDS) for page in (*pages, *slow_pages)]
        # Pages that never read fill the server's buffers, which must not slow the others down.
        floods = [asyncio.create_task(_flood(page, _free_cells(opened[0]))) for page in slow_pages]
        try:
            await _drag_over_levels(pages[0], FAR_LEVELS, time.perf_counter() + WARM_UP)
            begin = time.perf_counter()
            delays = await asyncio.gather(
                *(_drag_over_levels(page, 100 * i, begin + seconds) for i, page in enumerate(pages[:dragging]))
            )
            return Drags([delay for one in delays for delay in one], time.perf_counter() - begin)
        finally:
            for task in floods:
                task.cancel()
            # A regular close would wait for the answer to all that was never read.
            for page in slow_pages:
                page.transport.abort()


def _page(port: int, slow: socket.socket | None = None) -> connect:
    """Open a page; a slow one over a connection of its own, with room for a single message."""
    # An extra, imported where it is used.
    from websockets.asyncio.client import connect
    from websockets.typing import Origin

    address, origin = f"ws://127.0.0.1:{port}/ws?token={TOKEN}", Origin(f"http://127.0.0.1:{port}")
    if slow is None:
        return connect(address, origin=origin, max_size=None)
    return connect(address, origin=origin, max_size=None, max_queue=1, sock=slow)


def _connection(port: int) -> socket.socket:
    """Return a connection for which the system buffers few bytes."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
    raw.connect(("127.0.0.1", port))
    raw.setblocking(False)
    return raw


async def _flood(page: ClientConnection, cells: list[int]) -> None:
    """Drag over cells again and again without reading."""
    for n, cell in enumerate(itertools.cycle(cells), start=1):
        await page.send(_move_to(cell, n, 1 + n // len(cells)))
        await asyncio.sleep(SLOW_PAUSE)


async def _drag_over_levels(page: ClientConnection, index: int, end: float) -> list[float]:
    """Drag the target over every free cell of one level after another until a time; return the delays, at least one."""
    delays: list[float] = []
    n = 0
    while True:
        n, index = n + 1, index + 1
        await page.send(json.dumps({"do": "choose", "change": {"index": index}, "n": n}))
        for cell in _free_cells(await _state(page, n)):
            if delays and time.perf_counter() > end:
                return delays
            sent, n = time.perf_counter(), n + 1
            await page.send(_move_to(cell, n, index))
            await _state(page, n)
            delays.append(time.perf_counter() - sent)


def _free_cells(state: JsonObject) -> list[int]:
    return [cell for cell, wall in enumerate(state["walls"]) if wall == "0"]


def _move_to(cell: int, n: int, drag: int) -> str:
    """Return the message that moves the target to a cell."""
    return json.dumps({"do": "move", "what": "target", "cell": cell, "n": n, "drag": drag})


async def _state(page: ClientConnection, n: int, limit: float = ANSWER_SECONDS) -> JsonObject:
    """Return the next state that takes message `n` into account.

    Raises:
        GoalmazeError: there is none in time, or the page answers with an error.
    """
    try:
        async with asyncio.timeout(limit):
            while True:
                message: JsonObject = json.loads(await page.recv())
                if message["kind"] == "error":
                    raise GoalmazeError(f"the page answered message {message['n']} with an error: {message['text']}")
                if message["kind"] == "state" and message["n"] >= n:
                    return message
    except TimeoutError:
        raise GoalmazeError(f"the page did not answer message {n} within {limit:.0f} seconds") from None
