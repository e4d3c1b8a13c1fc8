"""The page's server over its wire: who is let in, what nonsense does, and that no page holds up another."""

import contextlib
import http.client
import json
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("starlette", reason="pip install 'goalmaze[live]'")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.experiments.bench import live as bench
from goalmaze.experiments.live import command, messages
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.config import LiveConfig
from goalmaze.experiments.live.inspection import look
from goalmaze.experiments.live.scene import why_not_edited
from goalmaze.experiments.live.security import RequestGuard
from goalmaze.experiments.live.server import MAX_CLIENTS, MAX_FRAME_BYTES, MAX_WAITING, Server
from goalmaze.experiments.live.serving import listen, serving
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Change, Settings, read_link, write_link
from goalmaze.probes.edits.base import applied

TOKEN = "a-token-of-the-test"
SETTINGS = Settings(agent="zoo:green-exit", seed=3)


@pytest.fixture(scope="module")
def desk() -> AgentStore:
    return AgentStore("zoo:green-exit")


@pytest.fixture
def session(desk: AgentStore) -> Session:
    return Session(desk, SETTINGS)


@pytest.fixture(scope="module")
def port(desk: AgentStore) -> Iterator[int]:
    with served(desk) as (port, _):
        yield port


@contextlib.contextmanager
def served(desk: AgentStore, buffer: int = 0) -> Iterator[tuple[int, Server]]:
    """Give a server under way and its port; the system keeps `buffer` bytes for a page, where not 0."""
    stop_signals, server = listen("127.0.0.1", 0), Server(desk, SETTINGS, token=TOKEN)
    if buffer:
        stop_signals.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    with serving(server, stop_signals) as port:
        yield port, server


def page(port: int, **options: Any) -> Any:
    return connect(
        f"ws://127.0.0.1:{port}/ws?token={TOKEN}", origin=f"http://127.0.0.1:{port}", max_size=None, **options
    )


def until(socket: Any, kind: str, n: int = 0, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        message: dict[str, Any] = json.loads(socket.recv(seconds))
        if message["kind"] == kind and message["n"] >= n:
            return message
    raise AssertionError(f"no {kind} with n >= {n}")


def ask(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("GET", path, skip_host=True)
    for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    result = answer.status, answer.read()
    connection.close()
    return result


def test_the_page_is_for_who_has_the_token_and_comes_from_here(port: int) -> None:
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


@contextlib.contextmanager
def tunnel(port: int) -> Iterator[int]:
    """Give another port whose bytes go to and fro as `ssh -L` carries them."""
    stop_signals, stack = listen("127.0.0.1", 0), contextlib.ExitStack()

    def carry(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near = stack.enter_context(stop_signals.accept()[0])
                far = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield stop_signals.getsockname()[1]
    finally:
        stop_signals.shutdown(socket.SHUT_RDWR)
        stop_signals.close()
        thread.join(10)
        stack.close()


def test_a_tunnel_may_have_another_port_and_another_name_for_this_machine(port: int) -> None:
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


def test_beyond_loopback_names_of_others_are_still_foreign() -> None:
    def refused(bound: str, host: str) -> bool:
        scope = {"type": "http", "headers": [(b"host", host.encode())], "query_string": f"token={TOKEN}".encode()}
        return RequestGuard(None, TOKEN, bound).refusal(scope) is not None  # type: ignore[arg-type]

    assert not refused("0.0.0.0", "192.168.1.7:8765")
    assert refused("127.0.0.1", "192.168.1.7:8765")
    assert refused("0.0.0.0", "evil.example:8765")
    assert not refused("127.0.0.1", "[::1]:8765")


def nonsense(luck: random.Random) -> str:
    """Return a message that is hostile, malformed, or nearly right but impossible."""
    things: list[Any] = [None, -1, 2**70, 1e308, "", "x" * 40, [], {}, True, [[[]]], "\ud7ff\x00", "../../etc/passwd"]
    thing = luck.choice(things)
    near: list[Any] = [
        {"do": luck.choice(["move", "wall", "choose", "paste", "look", "step", "sudo", None, 3]), "cell": thing},
        {
            "do": "move",
            "what": luck.choice(["target", "exit", "agent", "walls", "apple"]),
            "cell": luck.choice([0, 8, 80, 900, 10**9]),
        },
        {"do": "move", "what": "sign", "which": luck.choice([1, 2, 3, 63, 64, -1]), "cell": 10},
        {"do": "wall", "cell": luck.choice([0, 4, 8, 9, 80, 960, -5]), "up": luck.choice([True, False, 1, "yes"])},
        {
            "do": "choose",
            "change": {luck.choice(["agent", "family", "site", "method", "shift", "link"]): str(thing) + "?"},
        },
        {
            "do": "choose",
            "change": {luck.choice(["size", "seed", "index", "target"]): luck.choice([-1, 4, 6, 999, 2**40, 0.5, "1"])},
        },
        {
            "do": "choose",
            "change": {
                "level": {
                    "walls": luck.choice(["", "01", "2" * 81, "1" * 81]),
                    "start": 10,
                    "objects": [1] * luck.randrange(70),
                }
            },
        },
        {"do": "paste", "text": luck.choice(["", "###", "A", "#" * 4096, "x\n" * 50])},
        {"do": "look", "site": luck.choice(["hidden", "stem2", "__class__"])},
        {"do": "step", "n": luck.choice([-1, "1", 2**60])},
        thing,
    ]
    text = json.dumps(luck.choice(near))
    if luck.random() < 0.3:
        text = text[: luck.randrange(len(text) + 1)] + luck.choice(["", '"', "\x00", "[" * 2000])
    return text


def is_harmless(text: str) -> bool:
    """Return whether a message would be understood and rightly obeyed after all."""
    try:
        change = json.loads(text)["change"]
        number = change.get("index", change.get("seed"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return type(number) is int and 0 <= number < 2**31


def obey(session: Session, text: str) -> None:
    message = messages.read_message(text)
    session.needs(message)
    session.obey(message)


def test_ten_thousand_random_messages_change_nothing_and_are_answered(session: Session, desk: AgentStore) -> None:
    luck = random.Random(0)
    need = session.reading_needed()
    if need is not None:
        desk.find(need)
    before = msgspec.json.encode(session.state())
    sent = 0
    while sent < 10_000:
        text = nonsense(luck)
        if is_harmless(text):
            continue
        sent += 1
        with pytest.raises(GoalmazeError, match=r"\w"):
            obey(session, text)
    assert msgspec.json.encode(session.state()) == before
    session.obey(messages.Step())
    assert msgspec.json.encode(session.state()) != before, "a state that changed would go unseen"


def test_a_flood_of_nonsense_over_the_wire_is_answered_and_changes_nothing(port: int) -> None:
    luck = random.Random(1)
    with page(port) as hostile, page(port) as other:
        link = until(hostile, "state")["link"]
        until(other, "state")
        for _ in range(3000):
            text = nonsense(luck)
            if not is_harmless(text):
                hostile.send(text)
        assert until(hostile, "error")["text"]
        other.send(json.dumps({"do": "step", "n": 1}))
        assert len(until(other, "state", 1, 20)["sides"]["unedited"]["trail"]) == 2
        time.sleep(2.5)
        hostile.send(json.dumps({"do": "restart", "n": 77}))
        assert until(hostile, "state", 77)["link"] == link


def test_a_message_that_is_too_large_cuts_off_its_page_alone(port: int) -> None:
    with page(port) as greedy, page(port) as other:
        until(greedy, "state")
        until(other, "state")
        greedy.send("x" * (MAX_FRAME_BYTES + 1))
        with pytest.raises(ConnectionClosed):
            until(greedy, "nothing", seconds=10)
        other.send(json.dumps({"do": "step", "n": 1}))
        until(other, "state", 1)


def test_a_page_that_disappears_or_never_reads_holds_up_nobody(port: int) -> None:
    with page(port) as gone:
        until(gone, "state")
        gone.send(json.dumps({"do": "step", "n": 1}))
        gone.socket.close()
    cells = [10, 11, 12, 13, 14, 15, 16]
    with page(port, max_queue=1) as slow, page(port) as quick:
        until(quick, "state")
        for n in range(1, 300):
            slow.send(json.dumps({"do": "move", "what": "target", "cell": cells[n % 2], "n": n}))
            time.sleep(0.004)
        began = time.monotonic()
        quick.send(json.dumps({"do": "step", "n": 1}))
        until(quick, "state", 1)
        assert time.monotonic() - began < 10
        until(slow, "state", 299)


def test_for_a_page_that_does_not_read_nothing_piles_up_and_nothing_is_thought(
    desk: AgentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[int, int] = {}
    honest, start = Session.state, int(desk.scene(desk.completed(SETTINGS)).level.start[0])

    def counted(session: Session) -> dict[str, Any]:
        made[id(session)] = made.get(id(session), 0) + 1
        return honest(session)

    monkeypatch.setattr(Session, "state", counted)
    with served(desk, buffer=8192) as (port, server), socket.create_connection(("127.0.0.1", port)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        with page(port, sock=raw, max_queue=1, ping_interval=None) as slow:
            until(slow, "state")
            (blocked,) = server.clients
            for n in range(1, MAX_WAITING - 5):
                slow.send(json.dumps({"do": "step" if n % 2 else "restart", "n": n}))
                time.sleep(0.006)
            last = MAX_WAITING - 6
            thought = -1
            while thought != (thought := sum(made.values())):
                time.sleep(1.0)
            assert thought < 100
            assert 0 < len(blocked._inbox) < MAX_WAITING
            assert len(blocked._outbox) <= 4
            before = dict(made)
            with page(port) as quick:
                until(quick, "state")
                for n in range(1, 41):
                    quick.send(json.dumps({"do": "step" if n % 2 else "restart", "n": n}))
                    until(quick, "state", n)
            assert sum(made.values()) - sum(before.values()) >= 40, "a page that reads gets a state for every message"
            assert until(slow, "state", last)["sides"]["unedited"]["trail"] == [start]


def test_twenty_pages_at_once_are_all_answered(port: int) -> None:
    pages = [page(port) for _ in range(20)]
    with opened_together(pages):
        for one in pages:
            until(one, "state")
        for number, one in enumerate(pages):
            for n in range(1, 6):
                one.send(json.dumps({"do": "step", "n": n}))
            one.send(json.dumps({"do": "choose", "change": {"index": number}, "n": 6}))
        for number, one in enumerate(pages):
            assert until(one, "state", 6)["index"] == number, "every page has a scene of its own"


def test_a_page_too_many_is_turned_away_until_one_leaves(port: int) -> None:
    pages = [page(port) for _ in range(MAX_CLIENTS)]
    with opened_together(pages), pytest.raises((InvalidStatus, ConnectionClosed)), page(port) as extra:
        extra.recv(10)
    time.sleep(0.5)
    with page(port) as late:
        until(late, "state")


def opened_together(pages: list[Any]) -> Any:
    stack = contextlib.ExitStack()
    for one in pages:
        stack.enter_context(one)
    return stack


def test_an_export_is_the_episode_that_the_link_holds(port: int) -> None:
    link = write_link(SETTINGS)
    status, png = ask(port, f"/export/episode.png?token={TOKEN}&scene={link}")
    assert (status, png[:4]) == (200, b"\x89PNG")
    assert ask(port, f"/export/episode.png?token={TOKEN}&scene=nonsense")[0] == 400
    assert ask(port, f"/export/episode.exe?token={TOKEN}&scene={link}")[0] == 404


def test_the_field_is_what_the_policy_does_from_each_cell(session: Session) -> None:
    scene = session.scene
    mind = look(scene, scene.edited, "stem", scene.edits, None)
    free = [cell for cell in np.flatnonzero(scene.level.free()[0]) if cell not in scene.level.objects[0]]
    for cell in free[::7]:
        level = scene.level.started(int(cell))
        with applied(scene.agent.policy, scene.edits):
            seen = observations_of(scene.agent.policy, level)
            alone = scene.agent.policy.probabilities(np.zeros(1, np.intp), seen, level.start)
        assert np.allclose(mind.chances[cell], alone[0], atol=1e-5)
    unedited = look(scene, scene.unedited, "stem", [], None)
    assert not np.allclose(mind.chances, unedited.chances, atol=0.1)


def test_all_changes_of_a_drag_are_undone_together(session: Session) -> None:
    first = session.settings
    free = [int(cell) for cell in np.flatnonzero(session.scene.level.free()[0])]
    for cell in free[:5]:
        session.obey(messages.Move(what="target", cell=cell, drag=7))
    session.obey(messages.Choose(change=Change(strength=2.0)))
    session.obey(messages.Undo())
    assert session.settings.strength == 1.0
    assert session.scene.target == free[4]
    session.obey(messages.Undo())
    assert session.settings == first
    with pytest.raises(GoalmazeError, match="nothing to undo"):
        session.obey(messages.Undo())


def test_a_link_restores_a_drawn_level(session: Session, desk: AgentStore) -> None:
    free = np.flatnonzero(session.scene.level.free()[0])
    taken = {session.scene.target, *session.scene.level.objects[0], *session.scene.level.start}
    session.obey(messages.Wall(cell=int(next(cell for cell in free if cell not in taken)), up=True))
    again = Session(desk, read_link(f"http://127.0.0.1:1/?token=x#scene={write_link(session.settings)}"))
    assert again.scene.level == session.scene.level
    assert msgspec.json.encode(again.state()["sides"]) == msgspec.json.encode(session.state()["sides"])
    with pytest.raises(GoalmazeError, match="no scene in this link"):
        read_link("#scene=bm90aGluZw")


def test_an_edit_at_the_first_step_is_in_force_at_the_first_step_only(desk: AgentStore) -> None:
    scene = Session(desk, msgspec.structs.replace(SETTINGS, edit="first")).scene
    assert len(scene.edits) == 1
    scene.step()
    assert not scene.edits
    scene.restart()
    assert len(scene.edits) == 1


def test_worlds_with_several_goals_are_shown_and_not_edited(desk: AgentStore) -> None:
    agent = desk.agent("zoo:green-exit")
    assert why_not_edited(make_family("GreenExit")) is None
    for name, sign in (("KeysChests", "several goals"), ("FollowLeader", ""), ("Monsters", "")):
        assert sign in str(why_not_edited(make_family(name)))
    lone = next(n for n in desk.families(agent) if why_not_edited(make_family(n)) is not None)
    session = Session(desk, Settings(agent="zoo:green-exit", family=lone))
    state = session.state()
    assert list(state["sides"]) == ["unedited"]
    assert state["sentence"] == state["refusal"]
    while not session.scene.finished:
        session.obey(messages.Step())
    assert session.scene.tally["unedited"]
    assert session.scene.unedited.episodes.agent[0] == session.scene.unedited.cell


def launched(*arguments: str) -> tuple[subprocess.Popen[str], str, list[str]]:
    """Return `goalmaze live` under way, the address that it printed, and what it said before."""
    command = [sys.executable, "-m", "goalmaze.experiments", "live", "zoo:green-exit", "--no-browser", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        found = re.search(r"http://\S+", line)
        if found:
            return process, found[0], said
    raise AssertionError("".join(said))


def test_the_command_serves_at_the_address_it_prints_until_it_is_interrupted() -> None:
    process, address, said = launched("--port", "0")
    assert address.startswith("http://127.0.0.1:")
    assert "warning" not in "".join(said)
    with urllib.request.urlopen(address) as answer:
        assert b"goalmaze live" in answer.read()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode in (0, 130)
    assert "Traceback" not in rest


def test_letting_others_in_must_be_asked_for_and_warns() -> None:
    process, address, said = launched("--port", "0", "--host", "0.0.0.0")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert "0.0.0.0 lets other machines in" in "".join(said) + rest
    assert address.startswith("http://127.0.0.1:")


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "goalmaze.experiments.live.serving")
    with pytest.raises(GoalmazeError, match=r"pip install 'goalmaze\[live\]', or add --terminal"):
        command.run(LiveConfig(agent="zoo:green-exit", port=0, no_browser=True))


def test_the_bench_counts_what_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SECONDS", {False: 0.5})
    monkeypatch.setattr(bench, "CLIENTS", 2)
    monkeypatch.setattr(bench, "SLOW", 1)
    monkeypatch.setattr(bench, "WARM_UP", 0.2)
    monkeypatch.setattr(bench, "SIZE", 5)
    rows = bench.measure(False)
    object_types = [(row["clients"], row["dragging"], row["slow"]) for row in rows]
    assert object_types == [(1, 1, 0), (2, 1, 0), (2, 2, 0), (2, 1, 1)]
    for row in rows:
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["updates_per_s"] * row["p50_ms"] / 1000 < 2 * row["dragging"], "more arrived than there was time for"
