"""The page's server: every page has a scene of its own, and one thread thinks for all of them in turn."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live import messages
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.render import FORMATS, rendered
from goalmaze.experiments.live.security import App, RateLimit, RequestGuard
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Settings, read_link

MAX_CLIENTS = 32
MAX_WAITING = 256
MAX_FRAME_BYTES = 65_536
"""Bytes; a page that sends more is cut off."""

RATE, BURST = 200.0, 400.0
"""Messages a second of one page, and how many it can save up."""

PAGE = ("page.html", "style.css", "draw.js", "app.js")


def page_file(name: str) -> str:
    """Return the text of one of the page's files."""
    return (importlib.resources.files("goalmaze.experiments.live") / "page" / name).read_text("utf-8")


class Client:
    """One page that is connected.

    Its messages wait in a line, where one that makes an earlier one pointless takes its place. Answers make no line: no
    message is obeyed and no state made until the page has taken what it was sent before, so a slow page costs no
    thought and holds up nobody.
    """

    def __init__(self, server: Server, socket: WebSocket) -> None:
        self._server, self._socket = server, socket
        self._inbox: deque[messages.Known] = deque()
        self._news = asyncio.Event()
        self._outbox: dict[str, bytes] = {}
        self._ready, self._taken, self._changed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._taken.set()
        self._menu_of: tuple[str, str] | None = None
        self._session: Session | None = None
        self._last = 0
        self._looking = asyncio.Event()

    async def serve(self) -> None:
        """Serve the page until it goes away."""
        tasks = [asyncio.create_task(work()) for work in self._works()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is not None and not isinstance(error, WebSocketDisconnect):
                    raise error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _works(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        return self._read, self._work, self._show, self._write, self._study

    def _say(self, kind: str, data: dict[str, Any]) -> None:
        self._outbox[kind] = msgspec.json.encode(data)
        self._taken.clear()
        self._ready.set()

    def _complain(self, text: str, n: int = 0) -> None:
        self._say("error", {"kind": "error", "n": n, "text": text.removeprefix("level 0: ")})

    async def _read(self) -> None:
        allowance = RateLimit(RATE, BURST)
        while True:
            packet = await self._socket.receive()
            if packet["type"] == "websocket.disconnect":
                return
            if not allowance.spend():
                self._complain(f"too fast: at most {RATE:.0f} messages a second; this one was left out")
                continue
            data = packet.get("text") or packet.get("bytes") or ""
            try:
                message = messages.read_message(data)
            except GoalmazeError as error:
                self._complain(str(error))
                continue
            if self._inbox and messages.supersedes(message, self._inbox[-1]):
                self._inbox[-1] = message
            elif len(self._inbox) < MAX_WAITING:
                self._inbox.append(message)
            else:
                self._complain("too many messages are waiting; this one was left out", message.n)
            self._news.set()

    async def _work(self) -> None:
        await self._begin()
        while True:
            while self._inbox:
                await self._taken.wait()
                await self._answer(self._inbox.popleft())
            self._news.clear()
            await self._news.wait()

    async def _begin(self) -> None:
        link = self._socket.query_params.get("scene", "")
        try:
            settings = read_link(link) if link else self._server.settings
            self._session = await self._opened(settings)
        except GoalmazeError as error:
            self._complain(str(error))
            self._session = await self._opened(self._server.settings)
        self._changed.set()

    async def _opened(self, settings: Settings) -> Session:
        desk = self._server.desk
        complete = await self._server.think(desk.completed, settings)
        need = await self._server.think(desk.needs, complete)
        if need is not None:
            self._say("busy", {"kind": "busy", "text": need.text()})
            await self._server.study(desk.find, need)
        session: Session = await self._server.think(Session, desk, complete)
        return session

    async def _answer(self, message: messages.Known) -> None:
        assert self._session is not None
        server, session = self._server, self._session
        try:
            if isinstance(message, messages.Choose | messages.Undo | messages.Paste):
                need = await server.think(session.needs, message)
                if need is not None:
                    self._say("busy", {"kind": "busy", "text": need.text()})
                    await server.study(server.desk.find, need)
            await server.think(session.obey, message)
        except GoalmazeError as error:
            self._complain(str(error), message.n)
        self._last = message.n
        self._changed.set()

    async def _study(self) -> None:
        """Find beside, while the scene is shown already, the readings of what is looked at."""
        while True:
            await self._looking.wait()
            self._looking.clear()
            need = None if self._session is None else await self._server.think(self._session.reading_needed)
            if need is not None:
                await self._server.study(self._server.desk.find, need)
                self._changed.set()

    async def _show(self) -> None:
        """Send what there is to see, whenever it has changed and the page has taken what was sent before."""
        while True:
            await self._changed.wait()
            await self._taken.wait()
            self._changed.clear()
            n = self._last
            menu, state = await self._server.think(self._seen)
            if menu is not None:
                self._say("menu", menu)
            self._say("state", {**state, "n": n})
            self._looking.set()

    def _seen(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Return what there is to choose from, where that is other than it was, and what there is to see."""
        assert self._session is not None
        of = (self._session.settings.agent, self._session.settings.family)
        menu = None if of == self._menu_of else self._session.menu()
        self._menu_of = of
        return menu, self._session.state()

    async def _write(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            for kind in ("menu", "busy", "state", "error"):
                if kind in self._outbox:
                    await self._socket.send_text(self._outbox.pop(kind).decode())
            if not self._outbox:
                self._taken.set()


class Server:
    """Everything behind the page.

    Attributes:
        desk: agents and what was found in them.
        settings: the scene that a page opens with.
        token: of this launch.
        app: the guarded application.
    """

    def __init__(
        self, desk: AgentStore, settings: Settings, *, token: str | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.desk, self.settings = desk, settings
        self.token = token or secrets.token_urlsafe(24)
        self.clients: set[Client] = set()
        self._thinker = ThreadPoolExecutor(1, "goalmaze-think")
        self._student = ThreadPoolExecutor(1, "goalmaze-study")
        routes = [
            Route("/", self._page),
            Route("/alive", self._alive),
            Route("/export/{name}", self._export),
            WebSocketRoute("/ws", self._socket),
        ]
        self.app: App = RequestGuard(Starlette(routes=routes), self.token, host)

    async def think(self, work: Any, *arguments: Any) -> Any:
        """Do what acts and looks, which all pages take turns at."""
        return await asyncio.get_running_loop().run_in_executor(self._thinker, work, *arguments)

    async def study(self, work: Any, *arguments: Any) -> Any:
        """Do what takes long, beside."""
        return await asyncio.get_running_loop().run_in_executor(self._student, work, *arguments)

    async def _page(self, request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(live_page(nonce), headers={"content-security-policy": policy})

    async def _alive(self, request: Request) -> Response:
        return PlainTextResponse("alive")

    async def _export(self, request: Request) -> Response:
        name = request.path_params["name"]
        form = name.rpartition(".")[2]
        if form not in FORMATS:
            return PlainTextResponse(f"choose one of {', '.join(FORMATS)}", 404)
        try:
            settings = read_link(request.query_params.get("scene", ""))
            data = await self.study(rendered, self.desk, settings, form, True)
        except GoalmazeError as error:
            return PlainTextResponse(str(error), 400)
        headers = {"content-disposition": f'attachment; filename="goalmaze-{settings.index}.{form}"'}
        return Response(data, media_type=FORMATS[form], headers=headers)

    async def _socket(self, socket: WebSocket) -> None:
        if len(self.clients) >= MAX_CLIENTS:
            await socket.close(1013, f"{MAX_CLIENTS} pages are open already; close one")
            return
        await socket.accept()
        client = Client(self, socket)
        self.clients.add(client)
        try:
            await client.serve()
        finally:
            self.clients.discard(client)
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close()

    def close(self) -> None:
        """Stop thinking."""
        for pool in (self._thinker, self._student):
            pool.shutdown(wait=False, cancel_futures=True)


def live_page(nonce: str) -> str:
    """Return the page as one file; only what carries the nonce runs."""
    html, style, draw, app = (page_file(name) for name in PAGE)
    return html.replace("/*STYLE*/", style).replace("/*SCRIPT*/", draw + "\n" + app).replace("NONCE", nonce)
