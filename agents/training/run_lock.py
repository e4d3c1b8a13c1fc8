"""The lock of a run folder, on its recipe: a process that trains keeps it until the process ends, however it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from goalmaze.envs.errors import GoalmazeError

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Lock a file inside the context.

    Raises:
        GoalmazeError: another process has it locked.
    """
    with file.open("rb") as opened:
        if not _lock(opened.fileno()):
            raise GoalmazeError(f"{file.parent} is being trained by another process; wait for it or stop it first")
        yield


def is_locked(file: Path) -> bool:
    """Return whether another process has a file locked."""
    with file.open("rb") as opened:
        return not _lock(opened.fileno())


def _lock(descriptor: int) -> bool:
    """Lock a file and return whether it was free. On Windows there are no such locks, and it always is."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
