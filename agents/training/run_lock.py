"""The lock of a run folder: a lock on its recipe file, which the training process holds until it ends.

The operating system releases it, even where the process is killed. A lock file would stay behind then.
"""

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
    """Lock a file; return False if another process has it locked. On Windows, without such locks, return True."""
    if sys.platform == "win32":
        return True
    # Without LOCK_NB the call would wait for the other run to end.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
