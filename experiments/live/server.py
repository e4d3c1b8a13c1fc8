"""The server of the page. Every page has its own scene; one thread runs the forward passes of all pages in turn."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.resources
import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.live import messages
from goalmaze.experiments.live.agent_store import AgentStore, FitRequest
from goalmaze.experiments.live.render import FORMATS, render_episode
from goalmaze.experiments.live.security import RateLimit, RequestGuard
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Settings, read_link

P = ParamSpec("P")
T = TypeVar("T")

MAX_CLIENTS = 32
MAX_WAITING = 256
"""Messages of one page that may wait."""

MAX_FRAME_BYTES = 65_536
"""A page that sends a longer frame is disconnected."""

RATE, BURST = 200.0, 400.0
"""Messages a second of one page, and the number it may save up."""

PAGE = ("page.html", "style.css", "draw.js", "app.js")


def page_file(name: str) -> str:
    """Return the text of one of the page's files."""
    return (importlib.resources.files("goalmaze.experiments.live") / "page" / name).read_text("utf-8")


class Client:
    """One connected page.

    Its messages wait in a queue, where a newer move of one drag replaces the older one. Its answers do not queue: no
    message is handled and no state is made until the previous answers were sent. A slow page therefore costs no
    computation and delays no other page.
    """

    def __init__(self, server: Server, socket: WebSocket) -> None:
        self._server, self._socket = server, socket
        self._inbox: deque[messages.Message] = deque()
        self._received = asyncio.Event()
        self._outbox: dict[str, bytes] = {}
        self._answers_ready, self._answers_sent = asyncio.Event(), asyncio.Event()
        self._answers_sent.set()
        self._scene_changed, self._state_sent = asyncio.Event(), asyncio.Event()
        self._menu_of: tuple[str, str] | None = None
        self._session: Session | None = None
        self._handled = 0

    async def serve(self) -> None:
        """Serve the page until it disconnects."""
        loops = (self._receive, self._handle_all, self._show_states, self._send, self._fit_probes)
        # Any loop may end the connection: receiving when the page leaves, sending when it no longer answers.
        tasks = [asyncio.create_task(loop()) for loop in loops]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is not None and not isinstance(error, WebSocketDisconnect):
                    raise error
        finally:
            for task in tasks:
                task.cancel()
            # Waits until the cancelled loops have ended, so that none uses the socket after it was closed.
            await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, kind: str, data: JsonObject) -> None:
        # One answer of each kind: a newer state replaces one that was not sent yet.
        self._outbox[kind] = msgspec.json.encode(data)
        self._answers_sent.clear()
        self._answers_ready.set()

    def _answer_error(self, text: str, n: int = 0) -> None:
        self._answer("error", {"kind": "error", "n": n, "text": text.removeprefix("level 0: ")})

    async def _receive(self) -> None:
        rate_limit = RateLimit(RATE, BURST)
        while True:
            packet = await self._socket.receive()
            if packet["type"] == "websocket.disconnect":
                return
            # Checked before the message is parsed, because parsing is what a flood would cost.
            if not rate_limit.spend():
                self._answer_error(f"too fast: at most {RATE:.0f} messages a second; this one was ignored")
                continue
            data = packet.get("text") or packet.get("bytes") or ""
            try:
                message = messages.read_message(data)
            except GoalmazeError as error:
                self._answer_error(str(error))
                continue
            if self._inbox and messages.supersedes(message, self._inbox[-1]):
                self._inbox[-1] = message
            elif len(self._inbox) < MAX_WAITING:
                self._inbox.append(message)
            else:
                self._answer_error("too many messages are waiting; this one was ignored", message.n)
            self._received.set()

    async def _handle_all(self) -> None:
        await self._open()
        while True:
            while self._inbox:
                await self._answers_sent.wait()
                await self._handle(self._inbox.popleft())
            self._received.clear()
            await self._received.wait()

    async def _open(self) -> None:
        """Open the scene in the page's link; without a link, the scene of the command."""
        link = self._socket.query_params.get("scene", "")
        try:
            settings = read_link(link) if link else self._server.settings
            self._session = await self._new_session(settings)
        except GoalmazeError as error:
            self._answer_error(str(error))
            self._session = await self._new_session(self._server.settings)
        self._scene_changed.set()

    async def _new_session(self, settings: Settings) -> Session:
        store = self._server.store
        completed = await self._server.run_inference(store.complete, settings)
        request = await self._server.run_inference(store.missing_edit, completed)
        await self._fit(request)
        return await self._server.run_inference(Session, store, completed)

    async def _fit(self, request: FitRequest | None) -> None:
        if request is not None:
            self._answer("busy", {"kind": "busy", "text": request.text()})
            await self._server.run_fit(self._server.store.fit, request)

    async def _handle(self, message: messages.Message) -> None:
        assert self._session is not None
        server, session = self._server, self._session
        try:
            if isinstance(message, messages.Choose | messages.Undo | messages.Paste):
                await self._fit(await server.run_inference(session.missing_edit, message))
            await server.run_inference(session.handle, message)
        except GoalmazeError as error:
            self._answer_error(str(error), message.n)
        self._handled = message.n
        self._scene_changed.set()

    async def _fit_probes(self) -> None:
        """Fit the probe of the inspected map after each state, while the scene is shown already."""
        while True:
            await self._state_sent.wait()
            self._state_sent.clear()
            if self._session is None:
                continue
            request = await self._server.run_inference(self._session.missing_probe)
            if request is not None:
                await self._server.run_fit(self._server.store.fit, request)
                self._scene_changed.set()

    async def _show_states(self) -> None:
        """Send the state whenever it has changed and the previous answers were sent."""
        while True:
            await self._scene_changed.wait()
            await self._answers_sent.wait()
            # Cleared before the state is made: a change that comes meanwhile sets it again and is sent next.
            self._scene_changed.clear()
            n = self._handled
            menu, state = await self._server.run_inference(self._menu_and_state)
            if menu is not None:
                self._answer("menu", menu)
            self._answer("state", {**state, "n": n})
            self._state_sent.set()

    def _menu_and_state(self) -> tuple[JsonObject | None, JsonObject]:
        """Return the menu, None where it is the same as before, and the state."""
        assert self._session is not None
        menu_of = (self._session.settings.agent, self._session.settings.family)
        menu = None if menu_of == self._menu_of else self._session.menu()
        self._menu_of = menu_of
        return menu, self._session.state()

    async def _send(self) -> None:
        while True:
            await self._answers_ready.wait()
            self._answers_ready.clear()
            # A page needs the menu before the first state.
            for kind in ("menu", "busy", "state", "error"):
                if kind in self._outbox:
                    await self._socket.send_text(self._outbox.pop(kind).decode())
            if not self._outbox:
                self._answers_sent.set()


class Server:
    """The application behind the page.

    Attributes:
        store: agents, and the edits and probes fitted for them.
        settings: the scene that a page opens with.
        token: the secret of this launch.
        clients: the connected pages.
        app: the application, behind its `RequestGuard`.
    """

    def __init__(
        self, store: AgentStore, settings: Settings, *, token: str | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.store, self.settings = store, settings
        self.token = token or secrets.token_urlsafe(24)
        self.clients: set[Client] = set()
        # One thread each: scenes share the agents' networks, whose hooks must not run for two pages at once.
        self._inference = ThreadPoolExecutor(1, "goalmaze-inference")
        self._fits = ThreadPoolExecutor(1, "goalmaze-fits")
        routes = [
            Route("/", self._page),
            Route("/alive", self._alive),
            Route("/export/{name}", self._export),
            WebSocketRoute("/ws", self._socket),
        ]
        self.app: ASGIApp = RequestGuard(Starlette(routes=routes), self.token, host)

    async def run_inference(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of the copies of the agents that act, which all pages take turns at."""
        return await _run(self._inference, function, *args, **kwargs)

    async def run_fit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of the copies of the agents that edits and probes are fitted on."""
        return await _run(self._fits, function, *args, **kwargs)

    async def _page(self, request: Request) -> Response:
        # A new nonce for each answer: only the scripts of this very page run, even if text were injected into it.
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
        extension = name.rpartition(".")[2]
        if extension not in FORMATS:
            return PlainTextResponse(f"choose one of {', '.join(FORMATS)}", 404)
        try:
            settings = read_link(request.query_params.get("scene", ""))
            # On the other thread and the other copy of the agent, so that an export does not stop the page.
            data = await self.run_fit(render_episode, self.store, settings, extension, for_fitting=True)
        except GoalmazeError as error:
            return PlainTextResponse(str(error), 400)
        headers = {"content-disposition": f'attachment; filename="goalmaze-{settings.index}.{extension}"'}
        return Response(data, media_type=FORMATS[extension], headers=headers)

    async def _socket(self, socket: WebSocket) -> None:
        if len(self.clients) >= MAX_CLIENTS:
            # 1013 is the code for "try again later".
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
        """Stop both threads; a function that has begun runs to its end."""
        for pool in (self._inference, self._fits):
            pool.shutdown(wait=False, cancel_futures=True)


async def _run(executor: Executor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    call = functools.partial(function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(executor, call)


def live_page(nonce: str) -> str:
    """Return the page as one file; only scripts and styles with the nonce are used."""
    html, style, draw, app = (page_file(name) for name in PAGE)
    return html.replace("/*STYLE*/", style).replace("/*SCRIPT*/", draw + "\n" + app).replace("NONCE", nonce)
