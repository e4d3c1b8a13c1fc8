"""Who is training into a run folder: the process that holds the lock on its recipe until it ends, however it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from goalmaze.envs.errors import GoalmazeError

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def held(file: Path) -> Iterator[None]:
    """Hold the lock on a file inside.

    Raises:
        GoalmazeError: another process holds it.
    """
    with file.open("rb") as opened:
        if not _taken(opened.fileno()):
            raise GoalmazeError(f"{file.parent} is being trained by another process; wait for it or stop it first")
        yield


def is_held(file: Path) -> bool:
    """Return whether a process holds the lock on a file."""
    with file.open("rb") as opened:
        return not _taken(opened.fileno())


def _taken(descriptor: int) -> bool:
    """Take the lock if it is free; without locks on this system it always is."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
