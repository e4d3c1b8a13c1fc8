"""One connected page: every message is answered, whatever fails, and nothing of a page stays after it was closed."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="pip install 'goalmaze[live]'")

from live_pages import page, served, until
from websockets.exceptions import ConnectionClosed

from goalmaze.envs.families import make_family
from goalmaze.experiments.live import agent_store, client, messages, server, serving
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.server import Server
from goalmaze.experiments.live.session import Session
from goalmaze.probes.targets import has_target_cells

Page = Any


@pytest.fixture(scope="module")
def store() -> AgentStore:
    return AgentStore("zoo:green-exit")


@pytest.fixture(scope="module")
def running(store: AgentStore) -> Iterator[tuple[int, Server]]:
    with served(store, buffer=8192) as running:
        yield running


@pytest.fixture
def opened(running: tuple[int, Server]) -> Iterator[tuple[Page, dict[str, Any]]]:
    with page(running[0]) as one:
        yield one, until(one, "state")


def send(one: Page, n: int, **message: Any) -> None:
    one.send(json.dumps({**message, "n": n}))


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def free_cells(state: dict[str, Any]) -> list[int]:
    return [cell for cell, wall in enumerate(state["walls"]) if wall == "0"]


def test_messages_above_the_rate_are_delayed_and_all_answered(
    running: tuple[int, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RATE", 20.0)
    monkeypatch.setattr(client, "BURST", 5.0)
    monkeypatch.setattr(client, "MAX_WAITING", 8)
    port, hub = running
    assert wait_for(lambda: not hub.clients)
    with page(port) as one:
        until(one, "state")
        (connected,) = hub.clients
        waiting = []
        began = time.monotonic()
        for n in range(1, 41):
            send(one, n, do="step" if n % 2 else "restart")
            time.sleep(0.002)
            waiting.append(len(connected._inbox))
        state = until(one, "state", 40)
        assert 0 < max(waiting) <= 8, "the server reads more than it keeps"
        assert time.monotonic() - began > 1.5, "the rate was not exceeded, so nothing was tested"
        assert state["n"] == 40
        assert len(state["sides"]["unedited"]["trail"]) == 1


def test_of_a_fast_drag_the_last_cell_is_shown_at_once(
    running: tuple[int, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RATE", 10.0)
    monkeypatch.setattr(client, "BURST", 2.0)
    with page(running[0]) as one:
        cells = free_cells(until(one, "state"))
        began = time.monotonic()
        for n in range(1, 201):
            send(one, n, do="move", what="target", cell=cells[n % len(cells)], drag=1)
        assert until(one, "state", 200)["target"] == cells[200 % len(cells)]
        # At ten a second, 200 moves would take 20 seconds if each were handled.
        assert time.monotonic() - began < 8


def test_every_refusal_names_its_message(opened: tuple[Page, dict[str, Any]]) -> None:
    one, _ = opened
    for n in range(1, 21):
        send(one, n, **[{"do": "sudo"}, {"do": "move", "what": "target"}, {"do": "wall", "cell": 0, "up": True}][n % 3])
    refused = []
    while len(refused) < 20:
        answer = json.loads(one.recv(10))
        if answer["kind"] == "error":
            refused.append(answer)
    assert sorted(answer["n"] for answer in refused) == list(range(1, 21))
    texts = {answer["text"] for answer in refused}
    assert "the message was not understood: 'do' cannot be 'sudo'" in texts
    assert "the message was not understood: it needs the field 'cell'" in texts
    assert not any("`" in text or "$" in text for text in texts), "a raw message of the validation"


def test_any_failure_is_answered_and_the_scene_stays(
    opened: tuple[Page, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, first = opened
    honest = Session._apply

    def failing(session: Session, message: messages.Message) -> None:
        honest(session, message)
        if isinstance(message, messages.Move):
            raise KeyError("planted")

    monkeypatch.setattr(Session, "_apply", failing)
    cell = next(cell for cell in free_cells(first) if cell != first["target"])
    send(one, 1, do="move", what="target", cell=cell)
    assert until(one, "error", 1)["text"] == "'move' failed: KeyError: 'planted'"
    assert until(one, "state", 1)["link"] == first["link"]
    monkeypatch.setattr(Session, "_apply", honest)
    send(one, 2, do="move", what="target", cell=cell)
    assert until(one, "state", 2)["target"] == cell


def test_a_state_that_cannot_be_made_is_an_answer(
    opened: tuple[Page, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = opened
    honest = Session.state

    def failing(session: Session) -> dict[str, Any]:
        raise IndexError("planted")

    monkeypatch.setattr(Session, "state", failing)
    send(one, 1, do="step")
    answer = until(one, "error", 1)
    assert answer["text"].startswith("showing the scene failed: IndexError: planted")
    monkeypatch.setattr(Session, "state", honest)
    send(one, 2, do="restart")
    until(one, "state", 2)


def test_a_fit_is_cancelled_by_its_page(
    running: tuple[int, Server], opened: tuple[Page, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, first = opened
    ended: list[str] = []

    def endless(method: Any, context: Any, site: str) -> None:
        try:
            while True:
                context.activations(context.levels.take([0]), site)
        finally:
            ended.append(method.name)

    monkeypatch.setattr(agent_store, "fit_method", endless)
    send(one, 1, do="choose", change={"method": "das"})
    assert "das" in until_busy(one)
    with page(running[0]) as other:
        until(other, "state", seconds=20)
    send(one, 2, do="cancel")
    assert until(one, "error", 1)["text"] == "the fit was cancelled; the scene is as before"
    assert until(one, "state", 2)["link"] == first["link"]
    assert wait_for(lambda: ended == ["das"]), "the fit runs on"
    send(one, 3, do="choose", change={"method": "das"})
    assert until_busy(one)
    one.close()
    assert wait_for(lambda: ended == ["das", "das"]), "the fit runs on after its page was closed"


def until_busy(one: Page) -> str:
    while (answer := json.loads(one.recv(10)))["kind"] != "busy":
        pass
    return str(answer["text"])


def test_a_page_that_does_not_read_is_disconnected(
    running: tuple[int, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, hub = running
    monkeypatch.setattr(client, "SEND_SECONDS", 0.4)
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(serving, "ABORT_SECONDS", 0.2)
    assert wait_for(lambda: not hub.clients)
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        with page(port, sock=raw, max_queue=1, ping_interval=None, close_timeout=1) as slow:
            until(slow, "state")
            assert len(hub.clients) == 1
            with contextlib.suppress(ConnectionClosed, OSError):
                for n in range(1, 100):
                    send(slow, n, do="step" if n % 2 else "restart")
                    time.sleep(0.01)
            assert wait_for(lambda: not hub.clients, 20), "it stays connected"
            with pytest.raises(ConnectionClosed):
                until(slow, "nothing", seconds=20)


def test_the_memory_of_a_page_is_freed_with_it(running: tuple[int, Server]) -> None:
    port, hub = running
    assert wait_for(lambda: not hub.clients)
    with page(port) as one:
        cells = free_cells(until(one, "state"))
        for n, cell in enumerate(cells[:10], start=1):
            send(one, n, do="move", what="target", cell=cell)
            until(one, "state", n)
        (connected,) = hub.clients
        session = weakref.ref(connected._session)
        kept = connected._session._inspections
        del connected
        assert kept.bytes > 0
    assert wait_for(lambda: kept.bytes == 0)
    assert wait_for(lambda: session() is None), "something still refers to the session"


def test_a_full_level_is_pasted_and_shown(running: tuple[int, Server]) -> None:
    level = make_family("KeysChests").resized(5).levels(0, [0])
    assert not has_target_cells(level)[0], "this small, no cell is without agent and object, so none can be drawn"
    with page(running[0]) as one:
        until(one, "state")
        send(one, 1, do="choose", change={"family": "KeysChests"})
        send(one, 2, do="choose", change={"size": 5})
        state = until(one, "state", 2)
        assert (state["family"], state["width"]) == ("KeysChests", 5)
        assert state["walls"][state["settings"]["target"]] == "0"
        for n in (3, 4):
            send(one, n, do="paste", text="#####\n#AKK#\n#KKK#\n#CCC#\n#####")
            state = until(one, "state", n)
            assert len(state["sides"]["unedited"]["objects"]) == 8
        send(one, 5, do="step")
        until(one, "state", 5)
