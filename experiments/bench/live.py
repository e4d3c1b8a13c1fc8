"""How fast does the page follow a dragged target, over a real websocket, with many pages open?"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from contextlib import AsyncExitStack
from typing import Any

import numpy as np

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live.desk import Desk
from goalmaze.experiments.live.settings import Settings

AGENT, SIZE, CLIENTS = "zoo:green-exit", 13, 20
SECONDS = {False: 5.0, True: 20.0}
TOKEN = "bench"


@dataclasses.dataclass
class Measured:
    """What the pages that drag have seen: for every update its delay in seconds, and over how long."""

    delays: list[float]
    seconds: float

    def row(self, clients: int, dragging: int) -> dict[str, Any]:
        """Return it as a row of the bench."""
        p50, p99 = np.percentile(self.delays, [50, 99]) * 1000
        return {
            "size": SIZE,
            "clients": clients,
            "dragging": dragging,
            "updates_per_s": len(self.delays) / self.seconds,
            "p50_ms": float(p50),
            "p99_ms": float(p99),
        }


def measure(full: bool) -> list[dict[str, Any]]:
    """Return rows: one page drags flat out, alone and beside others that are open, and then all drag at once.

    A drag goes on as soon as it was answered, and never twice to one cell of a level. A delay is from the event's
    sending to the arrival of the state that takes it into account.

    Raises:
        GoalmazeError: the extra `live` is not installed.
    """
    try:
        import uvicorn

        from goalmaze.experiments.live.server import Server
        from goalmaze.experiments.live.watch import listen
    except ImportError as error:
        raise GoalmazeError(f"the page needs {error.name}: pip install 'goalmaze[live]'") from None
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    settings = Settings(agent=AGENT, size=SIZE)
    desk = Desk(AGENT)
    server, listening = Server(desk, settings, token=TOKEN), listen("127.0.0.1", 0)
    running = uvicorn.Server(
        uvicorn.Config(server.app, ws="websockets-sansio", log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=lambda: asyncio.run(running.serve([listening])), daemon=True)
    thread.start()
    port = listening.getsockname()[1]
    try:
        return [
            asyncio.run(_drag(port, clients, dragging, SECONDS[full])).row(clients, dragging)
            for clients, dragging in ((1, 1), (CLIENTS, 1), (CLIENTS, CLIENTS))
        ]
    finally:
        running.should_exit = True
        thread.join(10)
        server.close()
        torch.set_num_threads(threads)


async def _drag(port: int, clients: int, dragging: int, seconds: float) -> Measured:
    from websockets.asyncio.client import connect

    async with AsyncExitStack() as stack:
        pages = []
        for _ in range(clients):
            page = await stack.enter_async_context(
                connect(f"ws://127.0.0.1:{port}/ws?token={TOKEN}", origin=_origin(port), max_size=None)
            )
            await _state(page, 0)
            pages.append(page)
        await asyncio.sleep(2.0)
        begin = time.perf_counter()
        delays = await asyncio.gather(
            *(_one(page, 100 * i, begin + seconds) for i, page in enumerate(pages[:dragging]))
        )
        return Measured([delay for one in delays for delay in one], time.perf_counter() - begin)


def _origin(port: int) -> Any:
    return f"http://127.0.0.1:{port}"


async def _one(page: Any, index: int, end: float) -> list[float]:
    """Return the delays of one page's drag: over every free cell of a level, then of the next, so never twice."""
    delays: list[float] = []
    n = 0
    while True:
        n, index = n + 1, index + 1
        await page.send(json.dumps({"do": "choose", "change": {"index": index}, "n": n}))
        walls = (await _state(page, n))["walls"]
        for cell in [cell for cell, wall in enumerate(walls) if wall == "0"]:
            if time.perf_counter() > end:
                return delays
            sent, n = time.perf_counter(), n + 1
            await page.send(json.dumps({"do": "move", "what": "target", "cell": cell, "n": n, "drag": index}))
            await _state(page, n)
            delays.append(time.perf_counter() - sent)


async def _state(page: Any, n: int) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(await page.recv())
        if message["kind"] == "state" and message["n"] >= n:
            return message
