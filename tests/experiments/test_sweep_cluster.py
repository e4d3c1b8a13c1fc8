"""The same sweep on a real Dask scheduler with two worker processes, one of them killed; and no cluster at all."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plans import LONG

from goalmaze.experiments import cli
from goalmaze.experiments.jobs import executors
from goalmaze.experiments.jobs.job import read_journal

PLAN = LONG.replace("[0, 1]", "[0, 1, 2]").replace("[dials]\ncorner = [1]\n", "")
PATIENCE = 600


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["sweep", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len([line for line in err.strip().splitlines() if line.startswith("goalmaze:")]) == 1
    return err


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def daemon(folder: Path, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Dask in a process of its own inside."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=log, stderr=log, env=environment, cwd=folder
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def scheduler(folder: Path, port: int) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    return daemon(
        folder,
        "scheduler",
        *("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"),
    )


def worker(folder: Path, name: str, port: int) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    return daemon(
        folder,
        name,
        *("distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--name", name, "--host", "127.0.0.1"),
        *("--nthreads", "1", "--no-nanny", "--no-dashboard"),
    )


def await_port(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError("the scheduler never listened")


def under_way(root: Path, pid: int) -> str | None:
    """Return the run that a process is at and has saved something of."""
    for journal in sorted(root.glob("journal/*.jsonl")):
        lines, log = read_journal(root, journal.stem), root / journal.stem / "log.csv"
        if [line["pid"] for line in lines] == [pid] and log.is_file() and len(log.read_text().splitlines()) > 4:
            return journal.stem
    return None


def test_after_a_killed_worker_of_a_cluster_nothing_is_lost_and_nothing_is_done_twice(tmp_path: Path) -> None:
    plan, root, port = tmp_path / "plan.toml", tmp_path / "out", free_port()
    plan.write_text(PLAN)
    command = [sys.executable, "-m", "goalmaze.experiments", "sweep", str(plan), "--out", str(root), "--json"]
    command += ["--cluster", f"tcp://127.0.0.1:{port}", "--save-every", "0"]
    with scheduler(tmp_path, port), worker(tmp_path, "one", port) as victim, worker(tmp_path, "two", port) as other:
        await_port(port)
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            end = time.monotonic() + PATIENCE
            while (run := under_way(root, victim.pid)) is None:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
            victim.send_signal(signal.SIGKILL)
            out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert other.poll() is None
    result: dict[str, Any] = json.loads(out)
    assert (result["runs"], result["finished"]) == (3, 3)
    journals = {path.stem: read_journal(root, path.stem) for path in root.glob("journal/*.jsonl")}
    counts = {name: Counter(line["event"] for line in lines) for name, lines in journals.items()}
    assert len(counts) == 3
    assert all((one["begun"], one["trained"], one["finished"]) == (1, 1, 1) for one in counts.values())
    assert {name: one["resumed"] for name, one in counts.items()} == {name: int(name == run) for name in counts}
    resumed = next(line for line in journals[run] if line["event"] == "resumed")
    assert resumed["steps"] > 0
    assert resumed["pid"] == other.pid
    assert {lines[-1]["pid"] for lines in journals.values()} <= {victim.pid, other.pid}


def test_a_missing_scheduler_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 2)
    before = time.monotonic()
    address = f"tcp://127.0.0.1:{free_port()}"
    answer = complaint(capsys, str(plan), "--out", str(tmp_path / "out"), "--cluster", address)
    assert time.monotonic() - before < 60
    for name in (address, "no Dask scheduler answered within 2 s", "dask scheduler"):
        assert name in answer
    assert not list((tmp_path / "out").glob("seed*"))
    assert "--cluster nonsense://" in complaint(
        capsys, str(plan), "--out", str(tmp_path / "out"), "--cluster", "nonsense://x"
    )


def test_a_scheduler_without_workers_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, port = tmp_path / "plan.toml", free_port()
    plan.write_text(PLAN)
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 5)
    with scheduler(tmp_path, port):
        await_port(port)
        answer = complaint(capsys, str(plan), "--out", str(tmp_path / "out"), "--cluster", f"tcp://127.0.0.1:{port}")
    assert "has no workers" in answer
    assert "dask worker" in answer


def test_missing_dask_is_reported_with_what_to_install(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    monkeypatch.setitem(sys.modules, "distributed", None)
    answer = complaint(capsys, str(plan), "--out", str(tmp_path / "out"), "--cluster", "tcp://127.0.0.1:1")
    assert "pip install 'goalmaze[cluster]'" in answer
