"""The runner of sweeps: killed workers, interrupted sweeps and failing runs."""

from __future__ import annotations

import csv
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from complaints import complaint
from plans import LONG, SMALL, write_plan

from goalmaze.envs import extensions
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import load_extension
from goalmaze.experiments.jobs import runner
from goalmaze.experiments.jobs.executors import LocalRunExecutor, RunExecutor
from goalmaze.experiments.jobs.job import INTERRUPTED, LOCK, Job, read_journal, run_job
from goalmaze.experiments.jobs.runner import run_tasks
from goalmaze.experiments.sweeps.plan import read_plan

COMMAND = [sys.executable, "-m", "goalmaze.experiments", "sweep"]
PATIENCE = 600
"""Seconds to wait for another process."""


def until(condition: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    """Return what a condition gives as soon as it is true, while a process runs."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"the condition was never true; the process returned {process.poll()}")


def saved_run(root: Path, workers: int = 1) -> dict[str, Any] | None:
    """Return the first line of the journal of a running run, once all workers have saved a state to resume from."""
    found = []
    for journal in sorted(root.glob("journal/*.jsonl")):
        lines = read_journal(root, journal.stem)
        log = root / journal.stem / "log.csv"
        if len(lines) == 1 and log.is_file() and len(log.read_text().splitlines()) > 4:
            found.append({"run": journal.stem, **lines[0]})
    return found[0] if len(found) >= workers else None


def events(root: Path) -> dict[str, Counter[str]]:
    """Return for each run how often each event happened."""
    names = [path.stem for path in root.glob("journal/*.jsonl")]
    return {name: Counter(line["event"] for line in read_journal(root, name)) for name in names}


def assert_resumed_and_nothing_done_twice(root: Path, killed: str, runs: int) -> None:
    """Check that every run began and finished once, and that the run of the killed worker was resumed elsewhere."""
    found = events(root)
    assert len(found) == runs
    assert all((one["begun"], one["finished"]) == (1, 1) for one in found.values())
    assert found[killed]["resumed"] == 1
    lines = read_journal(root, killed)
    resumed = next(line for line in lines if line["event"] == "resumed")
    assert resumed["steps"] > 0
    assert resumed["pid"] != lines[0]["pid"]


def same_training(ours: Path, theirs: Path) -> bool:
    """Return whether two run folders hold the same agent and, apart from seconds, the same log."""

    def log(folder: Path) -> list[dict[str, str]]:
        with (folder / "log.csv").open() as file:
            return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]

    weights = [(folder / "checkpoint.safetensors").read_bytes() for folder in (ours, theirs)]
    return weights[0] == weights[1] and log(ours) == log(theirs)


def test_after_a_killed_worker_its_run_is_resumed_and_nothing_is_done_twice(tmp_path: Path) -> None:
    root = tmp_path / "out"
    plan = write_plan(tmp_path, LONG)
    command = [*COMMAND, str(plan), "--out", str(root), "--workers", "2", "--save-every", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        victim = until(lambda: saved_run(root, 2), process)
        os.kill(victim["pid"], signal.SIGKILL)
        assert process.wait(PATIENCE) == 0
    assert_resumed_and_nothing_done_twice(root, victim["run"], 2)
    task = next(task for task in read_plan(plan).tasks if task.name == victim["run"])
    alone = tmp_path / "alone"
    (alone / "journal").mkdir(parents=True)
    (alone / LOCK).touch()
    run_job(Job(alone, task.name, task.recipe, 30))
    assert same_training(root / task.name, alone / task.name)
    other = next(one.name for one in read_plan(plan).tasks if one.name != victim["run"])
    assert not same_training(root / other, alone / task.name)


class Recorder(RunExecutor):
    """An executor that keeps its jobs and does none of them."""

    lost = ()

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> Future[str]:
        self.jobs.append(job)
        future: Future[str] = Future()
        future.set_result(INTERRUPTED)
        return future

    def check(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_workers_import_first_what_the_sweep_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "_loaded", {})
    load_extension("json.tool")
    recorder = Recorder()
    tasks = read_plan(write_plan(tmp_path, SMALL)).tasks
    run_tasks(tasks, tmp_path, lambda runs: recorder, 30)
    assert len(recorder.jobs) == len(tasks)
    assert all("json.tool" in job.imports for job in recorder.jobs)
    with pytest.raises(GoalmazeError, match=r"--import nowhere\.py: there is no such file"):
        run_job(dataclasses.replace(recorder.jobs[0], imports=("nowhere.py",)))


def test_ctrl_c_saves_everything_and_the_same_command_continues(tmp_path: Path) -> None:
    root = tmp_path / "out"
    command = [*COMMAND, str(write_plan(tmp_path, LONG)), "--out", str(root), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        victim = until(lambda: saved_run(root), process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out == b""
    assert b"continue with: goalmaze sweep" in err
    assert b"Traceback" not in err
    assert read_journal(root, victim["run"])[-1]["event"] == "interrupted"
    assert not (root / victim["run"] / "report.json").exists()
    subprocess.run(command, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)
    assert_stopped_and_resumed_once(root, victim["run"])


def assert_stopped_and_resumed_once(root: Path, stopped: str) -> None:
    found = events(root)
    assert all((one["begun"], one["finished"]) == (1, 1) for one in found.values())
    assert (found[stopped]["interrupted"], found[stopped]["resumed"]) == (1, 1)


def test_workers_end_with_their_sweep(tmp_path: Path) -> None:
    root = tmp_path / "out"
    command = [*COMMAND, str(write_plan(tmp_path, LONG)), "--out", str(root), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        victim = until(lambda: saved_run(root), process)
        process.kill()
        process.wait()
    end = time.monotonic() + 30
    while is_alive(victim["pid"]) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_alive(victim["pid"])


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The square of the gradient's norm then overflows.
    text = SMALL.replace("steps = 512", "steps = 512\nshaping = 100")
    plan = write_plan(tmp_path, text.replace("corner = [1, 3]", '"algorithm_options.vf_coef" = [0.5, 4e18]'))
    answer = complaint(capsys, "sweep", str(plan), "--out", str(tmp_path / "out"), "--workers", "1")
    assert "2 of 4 runs failed" in answer
    assert "vf_coef=4e+18" in answer
    assert "not finite" in answer
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").read_text().splitlines()))
    assert {row["algorithm_options.vf_coef"] for row in rows} == {"0.5"}
    assert len(rows) == 4


def test_the_sweep_gives_up_on_workers_that_die_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "Job", lambda *_: Deadly())
    monkeypatch.setattr(runner, "MAX_DEATHS", 1)
    plan = read_plan(write_plan(tmp_path, SMALL))
    before = time.monotonic()
    with pytest.raises(ValueError, match="died 2 times in a row"):
        run_tasks(plan.tasks[:1], tmp_path, lambda _: LocalRunExecutor(1, tmp_path / "log"), 0)
    assert time.monotonic() - before < PATIENCE


class Deadly:
    """A job that ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return os._exit, (9,)
