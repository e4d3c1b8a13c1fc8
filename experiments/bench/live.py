"""How fast does the page follow a dragged target, over a real websocket, with many pages open?"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import socket
import time
from contextlib import AsyncExitStack
from typing import Any

import numpy as np

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.settings import Settings

AGENT, SIZE, CLIENTS, SLOW = "zoo:green-exit", 13, 20, 4
SECONDS = {False: 5.0, True: 20.0}
TOKEN = "bench"
WARM_UP = 4.0
"""Seconds of dragging before it counts: the page's probe is fitted meanwhile."""
FAR_LEVELS = 1_000_000
"""Index of the levels to warm up on, which no measured drag comes to."""
SLOW_PAUSE = 0.02
KEPT_BY_SYSTEM = 65_536
"""Bytes that the system keeps for a page that does not read, so that it is soon seen that it does not."""


@dataclasses.dataclass
class Measured:
    """What the pages that drag have seen: for every update its delay in seconds, and over how long."""

    delays: list[float]
    seconds: float

    def row(self, clients: int, dragging: int, slow: int) -> dict[str, Any]:
        """Return it as a row of the bench."""
        p50, p99 = np.percentile(self.delays, [50, 99]) * 1000
        return {
            "size": SIZE,
            "clients": clients,
            "dragging": dragging,
            "slow": slow,
            "updates_per_s": len(self.delays) / self.seconds,
            "p50_ms": float(p50),
            "p99_ms": float(p99),
        }


def measure(full: bool) -> list[dict[str, Any]]:
    """Return rows: one page drags flat out, alone, beside others that are open, with all of them, and beside slow ones.

    A drag goes on as soon as it was answered, and never twice to one cell of a level. A delay is from the event's
    sending to the arrival of the state that takes it into account. A slow page drags all the time and never reads.

    Raises:
        GoalmazeError: the extra `live` is not installed.
    """
    try:
        from goalmaze.experiments.live.server import Server
        from goalmaze.experiments.live.serving import listen, serving
    except ImportError as error:
        raise GoalmazeError(f"the page needs {error.name}: pip install 'goalmaze[live]'") from None
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    settings = Settings(agent=AGENT, size=SIZE)
    desk = AgentStore(AGENT)
    server, stop_signals = Server(desk, settings, token=TOKEN), listen("127.0.0.1", 0)
    stop_signals.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KEPT_BY_SYSTEM)
    try:
        with serving(server, stop_signals) as port:
            return [
                asyncio.run(_drag(port, clients, dragging, slow, SECONDS[full])).row(clients, dragging, slow)
                for clients, dragging, slow in ((1, 1, 0), (CLIENTS, 1, 0), (CLIENTS, CLIENTS, 0), (CLIENTS, 1, SLOW))
            ]
    finally:
        torch.set_num_threads(threads)


async def _drag(port: int, clients: int, dragging: int, slow: int, seconds: float) -> Measured:
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(_page(port)) for _ in range(clients - slow)]
        deaf = [await stack.enter_async_context(_page(port, max_queue=1, sock=_narrow(port))) for _ in range(slow)]
        opened = [await _state(page, 0) for page in (*pages, *deaf)]
        flood = [asyncio.create_task(_flood(page, _free(opened[0]))) for page in deaf]
        await _one(pages[0], FAR_LEVELS, time.perf_counter() + WARM_UP)
        begin = time.perf_counter()
        delays = await asyncio.gather(
            *(_one(page, 100 * i, begin + seconds) for i, page in enumerate(pages[:dragging]))
        )
        measured = Measured([delay for one in delays for delay in one], time.perf_counter() - begin)
        for task in flood:
            task.cancel()
        for page in deaf:
            page.transport.abort()
        return measured


def _page(port: int, **options: Any) -> Any:
    from websockets.asyncio.client import connect

    return connect(f"ws://127.0.0.1:{port}/ws?token={TOKEN}", origin=_origin(port), max_size=None, **options)


def _narrow(port: int) -> socket.socket:
    """Return a connection for which the system keeps little that was not read yet."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KEPT_BY_SYSTEM)
    raw.connect(("127.0.0.1", port))
    raw.setblocking(False)
    return raw


async def _flood(page: Any, cells: list[int]) -> None:
    """Drag on and on and never read."""
    for n, cell in enumerate(itertools.cycle(cells), start=1):
        await page.send(_to(cell, n, 1 + n // len(cells)))
        await asyncio.sleep(SLOW_PAUSE)


def _origin(port: int) -> Any:
    return f"http://127.0.0.1:{port}"


async def _one(page: Any, index: int, end: float) -> list[float]:
    """Return the delays of one page's drag: over every free cell of a level, then of the next, so never twice."""
    delays: list[float] = []
    n = 0
    while True:
        n, index = n + 1, index + 1
        await page.send(json.dumps({"do": "choose", "change": {"index": index}, "n": n}))
        for cell in _free(await _state(page, n)):
            if time.perf_counter() > end:
                return delays
            sent, n = time.perf_counter(), n + 1
            await page.send(_to(cell, n, index))
            await _state(page, n)
            delays.append(time.perf_counter() - sent)


def _free(state: dict[str, Any]) -> list[int]:
    return [cell for cell, wall in enumerate(state["walls"]) if wall == "0"]


def _to(cell: int, n: int, drag: int) -> str:
    """Return the message that moves the target to a cell."""
    return json.dumps({"do": "move", "what": "target", "cell": cell, "n": n, "drag": drag})


async def _state(page: Any, n: int) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(await page.recv())
        if message["kind"] == "state" and message["n"] >= n:
            return message
