"""One run, one folder: names chosen together, folders that are moved or mixed, and file systems without locks."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from interruption import digest, ending_at_save
from plans import SMALL_RECIPE

from goalmaze.agents.training import run_lock
from goalmaze.agents.training.callback import TrainingCallback
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.run import RECIPE, resume, train
from goalmaze.agents.training.training_state import STATE
from goalmaze.envs.errors import GoalmazeError, StopError

RECIPE_OF_THREE = dataclasses.replace(SMALL_RECIPE, steps=768)


class EndedError(Exception):
    """What stands for a process that ends."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    return train(RECIPE_OF_THREE, tmp_path_factory.mktemp("whole") / "run", save_every=0).folder


@pytest.fixture
def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that ended after its second save."""
    with ending_at_save(2, EndedError, monkeypatch), pytest.raises(EndedError):
        train(RECIPE_OF_THREE, tmp_path / "cut", save_every=0)
    return tmp_path / "cut"


def test_runs_that_begin_together_get_folders_of_their_own(tmp_path: Path) -> None:
    from goalmaze.agents.training import run

    barrier, folders = threading.Barrier(8), []

    def begin() -> None:
        barrier.wait()
        folders.append(run.make_run_folder(tmp_path / "runs" / "name", numbered=True))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(folder.name for folder in folders) == ["name", *(f"name-{i}" for i in range(2, 9))]
    with pytest.raises(GoalmazeError, match="already exists; choose another --out"):
        run.make_run_folder(tmp_path / "runs" / "name", numbered=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("at", [0, 256, 768])
def test_a_run_whose_folder_is_made_anew_writes_nothing_into_it(
    tmp_path: Path, whole: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, away = tmp_path / "run", tmp_path / "away"
    true = TrainingCallback._check_weights

    def move(self: TrainingCallback) -> None:
        true(self)
        if self.num_timesteps == at and not away.exists():
            folder.rename(away)
            shutil.copytree(whole, folder)

    monkeypatch.setattr(TrainingCallback, "_check_weights", move)
    with pytest.raises(GoalmazeError, match=f"{folder} is no longer the folder of this run"):
        train(RECIPE_OF_THREE, folder, save_every=0)
    assert contents(folder) == contents(whole), "another run of the same recipe, which only its id distinguishes"
    if at:
        resume(away)
        assert digest(away) == digest(whole)


def test_files_of_two_runs_are_not_mixed(cut: Path, whole: Path) -> None:
    mine = contents(cut)
    for name, message in ((STATE, "is the training state of another run"), (LOG, "is not the log of this run")):
        shutil.copy(whole / name, cut / name)
        if name == LOG:
            lines = (cut / LOG).read_bytes()
            (cut / LOG).write_bytes(lines.replace(b",", b";"))
        with pytest.raises(GoalmazeError, match=message):
            resume(cut)
        (cut / name).write_bytes(mine[name])
    assert contents(cut) == mine
    resume(cut)
    assert digest(cut) == digest(whole)


def test_every_run_has_an_id_of_its_own(cut: Path, whole: Path) -> None:
    ids = {json.loads((folder / RECIPE).read_text())["id"] for folder in (cut, whole)}
    assert len(ids) == 2


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL])
def test_a_file_system_without_locks_is_no_other_process(
    number: int, cut: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert not run_lock.is_locked(cut / RECIPE)
    with run_lock.locked(cut / RECIPE):
        printed = capsys.readouterr().err
    assert printed == (
        f"goalmaze: warning: this file system has no locks ({os.strerror(number)}); let no other process use {cut}\n"
    )


def test_a_lock_of_another_process_is_one(cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_lock.locked(cut / RECIPE), pytest.raises(run_lock.LockedError), run_lock.locked(cut / RECIPE):
        pass
    # Listing runs looks at the lock for a moment, and must not stop a training that begins then.
    held = (cut / RECIPE).open("rb")
    fcntl.flock(held, fcntl.LOCK_SH)
    monkeypatch.setattr(run_lock.time, "sleep", lambda _: held.close())
    with run_lock.locked(cut / RECIPE):
        assert run_lock.is_locked(cut / RECIPE)


def test_a_file_that_may_not_be_written_is_locked_too(cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true, modes = Path.open, []

    def read_only(self: Path, mode: str = "r", *arguments: object) -> object:
        modes.append(mode)
        if "+" in mode:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return true(self, mode)

    monkeypatch.setattr(Path, "open", read_only)
    with run_lock.locked(cut / RECIPE):
        assert run_lock.is_locked(cut / RECIPE)
    assert "rb" in modes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_says_how_to_continue(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = TrainingCallback._write_line

    def stop(self: TrainingCallback) -> None:
        true(self)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(TrainingCallback, "_write_line", stop)
    result = train(RECIPE_OF_THREE, tmp_path / "run")
    assert (result.interrupted, result.steps) == (True, 256)
    with pytest.raises(StopError, match=r"stopped after 256 steps; continue with: goalmaze train --resume") as error:
        result.check_complete()
    assert error.value.exit_code == 128 + number
