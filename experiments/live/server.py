"""The server of the page: its routes, and which pages are connected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets

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
from goalmaze.experiments.page.files import LOOK, page_file

TRY_AGAIN_LATER = 1013
"""The code of a closed websocket for "try again later"."""

MAX_CLIENTS = 32
CLOSE_SECONDS = 5.0
"""A page that does not take part in closing its connection is given up after this time."""

MAX_FRAME_BYTES = 65_536
"""A page that sends a longer frame is disconnected."""

log = logging.getLogger("goalmaze.live")

PAGE = ("page.html", LOOK, "style.css", "draw.js", "texts.js", "app.js")
"""The files of the page: its frame, its style, and its scripts in the order in which they run."""


class Server:
    """The application behind the page.

    Attributes:
        workers: the threads behind all pages.
        settings: the scene that a page opens with.
        token: the secret of this launch.
        clients: the connected pages.
        app: the application, behind its `RequestGuard`.
    """

    def __init__(
        self, store: AgentStore, settings: Settings, *, token: str | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.settings = settings
        self.token = token or secrets.token_urlsafe(24)
        self.clients: set[Client] = set()
        self.workers = Workers(store)
        routes = [
            Route("/", self._page),
            Route("/alive", self._alive),
            Route("/export/{name}", self._export),
            WebSocketRoute("/ws", self._socket),
        ]
        self.app: ASGIApp = RequestGuard(Starlette(routes=routes), self.token, host)

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


def live_page(nonce: str) -> str:
    """Return the page as one file; only scripts and styles with the nonce are used."""
    html, look, style, *scripts = (page_file(name) for name in PAGE)
    return html.replace("/*STYLE*/", look + style).replace("/*SCRIPT*/", "\n".join(scripts)).replace("NONCE", nonce)
