"""The server of the page: its routes, and which pages are connected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.client import Client, ClosedError
from goalmaze.experiments.live.memory import release_memory
from goalmaze.experiments.live.render import FORMATS
from goalmaze.experiments.live.security import RequestGuard
from goalmaze.experiments.live.settings import Settings, read_link
from goalmaze.experiments.live.workers import Workers
from goalmaze.experiments.page.files import DATA_SCRIPTS, served_page

TRY_AGAIN_LATER = 1013
"""The code of a closed websocket for "try again later"."""

MAX_CLIENTS = 32
CLOSE_SECONDS = 5.0
"""A page that does not take part in closing its connection is given up after this time."""

MAX_FRAME_BYTES = 65_536
"""A page that sends a longer frame is disconnected."""

log = logging.getLogger("goalmaze.live")


def _write_story() -> Mapping[str, bytes]:
    """Return the scripts of the story's data."""
    # Imported when a page asks for the story, because the audit behind it needs much that no other page does.
    from goalmaze.experiments.site.command import story_scripts

    return story_scripts()


class Server:
    """The application behind the page.

    Attributes:
        workers: the threads behind all pages.
        settings: the scene that a page opens with.
        token: the secret of this launch.
        clients: the connected pages.
        copy: the address of a static copy of the page, to which copied links lead; this server's own where empty.
        app: the application, behind its `RequestGuard`.
    """

    def __init__(
        self,
        store: AgentStore,
        settings: Settings,
        *,
        token: str | None = None,
        host: str = "127.0.0.1",
        copy: str = "",
        write_story: Callable[[], Mapping[str, bytes]] = _write_story,
    ) -> None:
        self.settings, self.copy = settings, copy
        self._write_story, self._story = write_story, asyncio.Lock()
        self._story_files: Mapping[str, bytes] = {}
        self.token = token or secrets.token_urlsafe(24)
        self.clients: set[Client] = set()
        self.workers = Workers(store)
        routes = [
            Route("/", self._page),
            Route("/story", self._story_page),
            Route("/story/{name}", self._story_script),
            Route("/alive", self._alive),
            Route("/export/{name}", self._export),
            WebSocketRoute("/ws", self._socket),
        ]
        self.app: ASGIApp = RequestGuard(Starlette(routes=routes), self.token, host)

    async def _page(self, request: Request) -> Response:
        return self._answer_page()

    async def _story_page(self, request: Request) -> Response:
        # The networks of the story run in the browser, in WebAssembly that the page makes.
        data = [f"/story/{name}?token={self.token}" for name in DATA_SCRIPTS]
        return self._answer_page(data, scripts="'wasm-unsafe-eval' ")

    def _answer_page(self, data: Sequence[str] = (), scripts: str = "") -> Response:
        # A new nonce for each answer: only the scripts of this very page run, even if text were injected into it.
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src {scripts}'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        page = served_page(nonce, data, self.copy)
        return HTMLResponse(page, headers={"content-security-policy": policy})

    async def _story_script(self, request: Request) -> Response:
        """Answer with a script of the story's data, which is written once, when a page first asks for it."""
        name = request.path_params["name"]
        if name not in DATA_SCRIPTS:
            return PlainTextResponse(f"choose one of {', '.join(DATA_SCRIPTS)}", 404)
        try:
            async with self._story:
                self._story_files = self._story_files or await self.workers.background(self._write_story)
        except GoalmazeError as error:
            return PlainTextResponse(str(error), 500)
        return Response(self._story_files[name], media_type="text/javascript")

    async def _alive(self, request: Request) -> Response:
        return PlainTextResponse("alive")

    async def _export(self, request: Request) -> Response:
        name = request.path_params["name"]
        extension = name.rpartition(".")[2]
        if extension not in FORMATS:
            return PlainTextResponse(f"choose one of {', '.join(FORMATS)}", 404)
        try:
            settings = read_link(request.query_params.get("scene", ""))
            data = await self.workers.export(settings, extension)
        except GoalmazeError as error:
            return PlainTextResponse(str(error), 400)
        except Exception as error:
            log.error("goalmaze live: an export failed", exc_info=error)
            return PlainTextResponse(f"the {extension} file failed: {type(error).__name__}: {error}", 500)
        headers = {"content-disposition": f'attachment; filename="goalmaze-{settings.index or 0}.{extension}"'}
        return Response(data, media_type=FORMATS[extension], headers=headers)

    async def _socket(self, socket: WebSocket) -> None:
        # Accepted first: a browser hides the reason of a connection that was refused from the page.
        await socket.accept()
        if len(self.clients) >= MAX_CLIENTS:
            await _close(socket, TRY_AGAIN_LATER, "too many pages are open: close one")
            return
        client, code, reason = Client(self.workers, self.settings, socket), 1000, ""
        self.clients.add(client)
        try:
            await client.serve()
        except ClosedError as error:
            code, reason = error.code, error.reason
        finally:
            self.clients.discard(client)
            await _close(socket, code, reason)
            # Not in this thread, which serves all pages; the threads have ended where the server is closing.
            with contextlib.suppress(RuntimeError):
                await self.workers.inference(release_memory)

    def close(self) -> None:
        """Stop all threads; see `Workers.close`."""
        self.workers.close()


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    """Close a connection, also one that the page has closed or that it no longer reads."""
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await socket.close(code, reason)
