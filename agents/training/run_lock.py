"""The lock of a run folder: a lock on its recipe file, which the training process holds until it ends.

The operating system releases it, even where the process is killed. A lock file would stay behind then.
"""

from __future__ import annotations

import contextlib
import errno
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from goalmaze.envs.errors import GoalmazeError

if sys.platform != "win32":
    import fcntl

ATTEMPTS, PAUSE_SECONDS = 5, 0.05
"""How often a lock is tried, and the pause between: a process that lists runs has a shared lock for a moment."""


class LockedError(GoalmazeError):
    """Another process has the lock."""


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Lock a file inside the context.

    Where the file system has no locks, a line on standard error says so, and nothing is locked.

    Raises:
        LockedError: another process has it locked.
        GoalmazeError: the file cannot be opened.
    """
    with _opened(file) as opened:
        for attempt in range(ATTEMPTS):
            try:
                if _lock(opened, shared=False):
                    break
            except OSError as error:
                tqdm.write(
                    f"goalmaze: warning: this file system has no locks ({error.strerror}); let no other process use "
                    f"{file.parent}",
                    file=sys.stderr,
                )
                break
            if attempt == ATTEMPTS - 1:
                raise LockedError(f"{file.parent} is being trained by another process; wait for it or stop it first")
            time.sleep(PAUSE_SECONDS)
        yield


def is_locked(file: Path) -> bool:
    """Return whether another process has a file locked; False where the file system has no locks."""
    try:
        with _opened(file) as opened:
            return not _lock(opened, shared=True)
    except (OSError, GoalmazeError):
        return False


def _opened(file: Path) -> BinaryIO:
    """Open a file for a lock; for writing where that is allowed, since NFS locks no file that is open for reading."""
    try:
        return file.open("r+b")
    except FileNotFoundError as error:
        raise GoalmazeError(f"cannot open {file}: {error.strerror}") from None
    except OSError:
        try:
            return file.open("rb")
        except OSError as error:
            raise GoalmazeError(f"cannot open {file}: {error.strerror}") from None


def _lock(opened: BinaryIO, *, shared: bool) -> bool:
    """Lock a file; return False if another process has it locked. On Windows, without such locks, return True.

    Raises:
        OSError: the file system has no locks.
    """
    if sys.platform == "win32":
        return True
    # Without LOCK_NB the call would wait for the other run to end.
    try:
        fcntl.flock(opened.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
            raise
        return False
    return True
