"""Access to the page's server: which requests and websockets it accepts."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="pip install 'goalmaze[live]'")

from live_pages import TOKEN, ask, page, served, until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.security import RequestGuard
from goalmaze.experiments.live.serving import listen


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(AgentStore("zoo:green-exit")) as (port, _):
        yield port


def test_a_request_needs_the_token_and_a_local_host_and_origin(port: int) -> None:
    good = f"/?token={TOKEN}"
    assert ask(port, good)[0] == 200
    assert ask(port, good, Host="localhost:9000")[0] == 200, "a tunnel has another port"
    assert ask(port, good, Origin=f"http://127.0.0.1:{port}")[0] == 200
    for path in ("/", "/?token=", "/?token=wrong", f"/?token={TOKEN}&token={TOKEN}", "/alive", "/export/episode.png"):
        assert ask(port, path)[0] == 403, path
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "[::1", "localhost@evil.example"):
        assert ask(port, good, Host=host)[0] in (400, 403), host
    for origin in ("http://evil.example", "null", f"http://localhost:{port}", "http://127.0.0.1:1"):
        assert ask(port, good, Origin=origin)[0] == 403, origin


def test_a_request_with_very_many_parameters_is_refused_in_a_sentence(port: int) -> None:
    for path in ("/", "/alive", "/export/episode.png"):
        status, body = ask(port, f"{path}?token={TOKEN}" + "&a=1" * 200)
        assert (status, b"parameters" in body) == (403, True)
    assert ask(port, f"/alive?token={TOKEN}" + "&a=1" * 10)[0] == 200


@contextlib.contextmanager
def tunnel(port: int) -> Iterator[int]:
    """Give another port that forwards bytes in both directions, as `ssh -L` does."""
    listener, stack = listen("127.0.0.1", 0), contextlib.ExitStack()

    def forward(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near = stack.enter_context(listener.accept()[0])
                far = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=forward, args=pair, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        stack.close()


def test_a_tunnel_with_another_port_and_local_name_is_accepted(port: int) -> None:
    with tunnel(port) as near:
        assert near != port
        for name in ("localhost", "127.0.0.1"):
            here = f"{name}:{near}"
            assert ask(near, f"/?token={TOKEN}", Host=here)[0] == 200
            assert ask(near, f"/alive?token={TOKEN}", Host=here, Origin=f"http://{here}")[0] == 200
            with connect(f"ws://{here}/ws?token={TOKEN}", origin=f"http://{here}", max_size=None) as through:
                until(through, "state")
        for origin in (f"http://localhost:{port}", "http://evil.example", f"http://evil.example:{near}"):
            with (
                pytest.raises(InvalidStatus),
                connect(f"ws://localhost:{near}/ws?token={TOKEN}", origin=origin),  # type: ignore[arg-type]
            ):
                pass


@pytest.mark.parametrize(
    ("query", "origin", "host"),
    [
        ("", "same", None),
        ("?token=wrong", "same", None),
        (f"?token={TOKEN}", None, None),
        (f"?token={TOKEN}", "http://evil.example", None),
        (f"?token={TOKEN}", "http://evil.example", "evil.example"),
        (f"?token={TOKEN}", "null", None),
    ],
)
def test_a_foreign_websocket_is_refused(port: int, query: str, origin: Any, host: str | None) -> None:
    origin = f"http://127.0.0.1:{port}" if origin == "same" else origin
    name = host or f"127.0.0.1:{port}"
    with socket.create_connection(("127.0.0.1", port)) as raw:
        lines = [f"GET /ws{query} HTTP/1.1", f"Host: {name}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
        lines += [f"Origin: {origin}"] if origin else []
        raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert b" 403 " in raw.recv(4096).split(b"\r\n")[0]
    with page(port) as good:
        until(good, "state")


def test_beyond_loopback_other_names_are_still_refused() -> None:
    def refused(bound: str, host: str) -> bool:
        scope = {"type": "http", "headers": [(b"host", host.encode())], "query_string": f"token={TOKEN}".encode()}
        return RequestGuard(None, TOKEN, bound).refusal(scope) is not None  # type: ignore[arg-type]

    assert not refused("0.0.0.0", "192.168.1.7:8765")
    assert refused("127.0.0.1", "192.168.1.7:8765")
    assert refused("0.0.0.0", "evil.example:8765")
    assert not refused("127.0.0.1", "[::1]:8765")
