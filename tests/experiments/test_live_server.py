"""The page's server over websockets: hostile pages change nothing, and no page delays another."""

import contextlib
import json
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="pip install 'goalmaze[live]'")

from live_nonsense import is_harmless, nonsense
from live_pages import SETTINGS, TOKEN, ask, page, served, until
from websockets.exceptions import ConnectionClosed

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments import cli
from goalmaze.experiments.bench import live as bench
from goalmaze.experiments.live import client, command
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.client import MAX_WAITING
from goalmaze.experiments.live.config import LiveConfig
from goalmaze.experiments.live.server import MAX_CLIENTS, MAX_FRAME_BYTES
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import write_link


@pytest.fixture(scope="module")
def store() -> AgentStore:
    return AgentStore("zoo:green-exit")


@pytest.fixture(scope="module")
def port(store: AgentStore) -> Iterator[int]:
    with served(store) as (port, _):
        yield port


def test_a_flood_of_random_messages_is_answered_and_changes_nothing(port: int) -> None:
    rng = random.Random(1)
    with page(port) as hostile, page(port) as other:
        link = until(hostile, "state")["link"]
        until(other, "state")
        for _ in range(1200):
            text = nonsense(rng)
            if not is_harmless(text):
                hostile.send(text)
        assert until(hostile, "error")["text"]
        other.send(json.dumps({"do": "step", "n": 1}))
        assert len(until(other, "state", 1, 20)["sides"]["unedited"]["trail"]) == 2
        time.sleep(2.5)
        hostile.send(json.dumps({"do": "restart", "n": 77}))
        assert until(hostile, "state", 77)["link"] == link


def test_a_frame_that_is_too_large_disconnects_its_own_page_only(port: int) -> None:
    with page(port) as sender, page(port) as other:
        until(sender, "state")
        until(other, "state")
        sender.send("x" * (MAX_FRAME_BYTES + 1))
        with pytest.raises(ConnectionClosed):
            until(sender, "nothing", seconds=10)
        other.send(json.dumps({"do": "step", "n": 1}))
        until(other, "state", 1)


def test_a_page_that_disappears_or_never_reads_delays_no_other(port: int) -> None:
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


def test_for_a_page_that_does_not_read_no_answers_are_computed_or_queued(
    store: AgentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[int, int] = {}
    honest, start = Session.state, int(store.scene(store.complete(SETTINGS)).level.start[0])

    def counted(session: Session) -> dict[str, Any]:
        made[id(session)] = made.get(id(session), 0) + 1
        return honest(session)

    monkeypatch.setattr(Session, "state", counted)
    with served(store, buffer=8192) as (port, server), socket.create_connection(("127.0.0.1", port)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        with page(port, sock=raw, max_queue=1, ping_interval=None) as slow:
            until(slow, "state")
            (blocked,) = server.clients
            for n in range(1, MAX_WAITING - 5):
                slow.send(json.dumps({"do": "step" if n % 2 else "restart", "n": n}))
                time.sleep(0.006)
            last = MAX_WAITING - 6
            computed = -1
            while computed != (computed := sum(made.values())):
                time.sleep(1.0)
            assert computed < 100
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


def test_one_page_more_than_allowed_is_refused_until_another_leaves(port: int) -> None:
    pages = [page(port) for _ in range(MAX_CLIENTS)]
    with opened_together(pages), page(port) as extra:
        with pytest.raises(ConnectionClosed) as refused:
            extra.recv(10)
        assert refused.value.rcvd is not None
        assert (refused.value.rcvd.code, refused.value.rcvd.reason) == (1013, "too many pages are open: close one")
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


def launched(*arguments: str) -> tuple[subprocess.Popen[str], str, list[str]]:
    """Return `goalmaze live` running, the address that it printed, and the lines before."""
    command = [sys.executable, "-m", "goalmaze.experiments", "live", "zoo:green-exit", "--no-browser", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        output.append(line)
        found = re.search(r"http://\S+", line)
        if found:
            return process, found[0], output
    raise AssertionError("".join(output))


def test_the_command_serves_the_printed_address_until_interrupted() -> None:
    process, address, output = launched("--port", "0")
    assert address.startswith("http://127.0.0.1:")
    assert "warning" not in "".join(output)
    with urllib.request.urlopen(address) as answer:
        assert b"goalmaze live" in answer.read()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode in (0, 130)
    assert "Traceback" not in rest


def test_a_host_beyond_loopback_gives_a_warning() -> None:
    process, address, output = launched("--port", "0", "--host", "0.0.0.0")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert "0.0.0.0 lets other machines connect" in "".join(output) + rest
    assert address.startswith("http://127.0.0.1:")


def test_without_the_extra_the_command_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "goalmaze.experiments.live.serving")
    with pytest.raises(GoalmazeError, match=r"pip install 'goalmaze\[live\]', or add --terminal"):
        command.run(LiveConfig(agent="zoo:green-exit", port=0, no_browser=True))


@pytest.fixture
def short_bench(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return a patch under which the benchmark is short and its goal is reached on every machine."""
    values = {"SECONDS": {False: 0.4}, "CLIENTS": 2, "SLOW": 1, "WARM_UP": 0.2, "SIZE": 5, "MIN_UPDATES": 0.0}
    for name, value in {**values, "MAX_P99_MS": float("inf")}.items():
        monkeypatch.setattr(bench, name, value)
    return monkeypatch


def test_the_benchmark_counts_the_states_that_arrive(short_bench: pytest.MonkeyPatch) -> None:
    # At this rate most messages wait; where they were dropped, the benchmark would not end.
    short_bench.setattr(client, "RATE", 12.0)
    short_bench.setattr(client, "BURST", 3.0)
    short_bench.setattr(bench, "ANSWER_SECONDS", 10.0)
    rows = bench.measure(False)
    pages = [(row["clients"], row["dragging"], row["slow"]) for row in rows]
    assert pages == [(1, 1, 0), (2, 1, 0), (2, 2, 0), (2, 1, 1)]
    assert [row["passes"] for row in rows] == [True, True, None, True]
    for row in rows:
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["updates_per_s"] * row["p50_ms"] / 1000 < 2 * row["dragging"], "more states than time"


def test_the_benchmark_fails_aloud(short_bench: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    short_bench.setattr(bench, "MIN_UPDATES", 1e6)
    assert cli.main(["bench", "live"]) != 0
    assert "missed its goal of 1000000 updates a second" in capsys.readouterr().err
    # A server that drops messages.
    short_bench.setattr(bench, "ANSWER_SECONDS", 0.5)
    short_bench.setattr(client, "RATE", 0.01)
    short_bench.setattr(client, "BURST", 3.0)
    assert cli.main(["bench", "live"]) != 0
    assert re.search(r"the page did not answer message \d+ within", capsys.readouterr().err)
