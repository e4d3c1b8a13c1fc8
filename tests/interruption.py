"""Trainings that end after a number of saves, and trainings in a process of their own."""

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.training.callback import TrainingCallback
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.training_state import STATE, read_state


def digest(folder: Path) -> str:
    """Return a digest of all that a run led to but the time it took: state, checkpoints and log."""
    head, arrays = read_state(folder / STATE)
    progress = head["numbers"]["progress"]
    numbers = [head["algorithm"], head["numbers"]["recipe"], progress["line"], progress["kept"]]
    lines = [line.split(",") for line in (folder / LOG).read_text().splitlines()]
    numbers += [[*line[:1], *line[2:]] for line in lines]
    result = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode())
    for name in sorted(arrays):
        result.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode() + arrays[name].tobytes())
    for file in (folder / CHECKPOINT, *checkpoint_series(folder).values()):
        result.update(file.name.encode() + file.read_bytes())
    return result.hexdigest()


@contextmanager
def ending_at_save(number: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let every training raise an error right after its `number`-th save.

    Yields:
        the environment steps at each save so far.
    """
    save, saves = TrainingCallback.save, []

    def save_and_end(self: TrainingCallback) -> None:
        save(self)
        saves.append(self.num_timesteps)
        if len(saves) == number:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(TrainingCallback, "save", save_and_end)
        yield saves


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[Any], seconds: float = 120) -> None:
    """Wait until a condition holds; fail if the process ends first, or after some seconds."""
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def has_logged(folder: Path, lines: int) -> bool:
    """Return whether the log of a run has this many lines."""
    return (folder / LOG).is_file() and len((folder / LOG).read_text().splitlines()) >= lines
