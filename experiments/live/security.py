"""Access to the page's server: only for the page itself, from this machine, with the token of this launch."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    # starlette belongs to the extra `live`; `goalmaze live --terminal` runs without it
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_PARAMETERS = 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def is_loopback(host: str) -> bool:
    """Return whether a server bound to `host` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class RequestGuard:
    """Refuses requests and websockets with a foreign Host, a foreign Origin or a wrong token.

    Args:
        app: the application behind the guard.
        token: the secret of this launch.
        host: the address the server is bound to; beyond loopback, all addresses and this machine's name are accepted as
            Host.
    """

    def __init__(self, app: ASGIApp, token: str, host: str) -> None:
        self._app, self._token, self._host = app, token.encode(), host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an accepted request to the application and answer any other with 403."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        reason = self.refusal(scope)
        if reason is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            # A websocket can be closed only after its connect event was received.
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": f"goalmaze live: {reason}\n".encode()})

    def refusal(self, scope: Scope) -> str | None:
        """Return why a request is refused, or None."""
        sent: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            sent.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts, origins = sent.get("host", []), sent.get("origin", [])
        # DNS rebinding: a page of another site can make its own name resolve to this address, but the browser still
        # sends that name as Host. The port is not checked: a tunnel may have another.
        if len(hosts) != 1 or not self._is_accepted(hosts[0]):
            return "wrong Host; open the address that was printed"
        # Browsers let a page of another site open a websocket here and send its Origin, so a websocket must have one.
        needed = scope["type"] == "websocket"
        if len(origins) > 1 or (needed and not origins) or (origins and not _is_origin_of(origins[0], hosts[0])):
            return "wrong Origin; open the address that was printed"
        # Compared in constant time, so that a token cannot be guessed letter by letter.
        try:
            tokens = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=MAX_PARAMETERS).get("token", [])
        except ValueError:
            return f"more than {MAX_PARAMETERS} parameters; open the address that was printed at this launch"
        if len(tokens) != 1 or not hmac.compare_digest(tokens[0].encode("latin-1", "replace"), self._token):
            return "wrong or missing token; open the address that was printed at this launch"
        return None

    def _is_accepted(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in LOOPBACK or name == self._host:
            return True
        if is_loopback(self._host):
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name == socket.gethostname().lower()
        return True


def _is_origin_of(origin: str, host: str) -> bool:
    return origin in (f"http://{host}", f"https://{host}")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *HEADERS]
        await send(message)

    return sending


class RateLimit:
    """A token bucket: a number of messages a second, of which unused ones can be saved up.

    Args:
        rate: messages a second.
        burst: messages that can be saved up.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._last = burst, time.monotonic()

    def spend(self) -> bool:
        """Return whether one more message is allowed now."""
        now = time.monotonic()
        # Refilled by the time that has passed, not by a timer.
        self._left = min(self._burst, self._left + (now - self._last) * self._rate)
        self._last = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def take(self) -> None:
        """Wait until one more message is allowed."""
        while not self.spend():
            await asyncio.sleep((1 - self._left) / self._rate)
