"""Writing files and folders atomically and durably."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.text_files import binary_flag

_TEMPORARY = re.compile(r"\.goalmaze-\d+-[0-9a-f]+\.tmp|\..+\.(?:safetensors|json|csv)\.\d+")
"""Names of temporary files and folders; the second form is that of earlier versions."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old or the new content, never a part of it.

    A symbolic link is followed. A device or a pipe, such as ``/dev/stdout``, is written to directly.

    Raises:
        GoalmazeError: the folder cannot be written to, or the disk is full; no part of `content` is then in the file.
    """
    # A rename would replace a link instead of the file that it points to.
    target = Path(os.path.realpath(path))
    temporary = temporary_beside(target)
    try:
        if path.exists() and not path.is_file():
            _write(path, content, 0)
            return
        _write(temporary, content, os.O_TRUNC)
        os.replace(temporary, target)  # noqa: PTH105
        # The rename is an entry of the folder, which a crash of the machine can still lose.
        _sync_folder(target.parent)
    except BaseException as error:  # KeyboardInterrupt too must leave no temporary file
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise GoalmazeError(f"cannot write {path}: {error.strerror or error}") from None


def append(path: Path, content: bytes) -> None:
    """Append to a file and flush it to the disk.

    Raises:
        GoalmazeError: the file cannot be written; a part of `content` may then be in it.
    """
    try:
        _write(path, content, os.O_APPEND)
    except OSError as error:
        raise GoalmazeError(f"cannot write {path}: {error.strerror or error}") from None


@contextlib.contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Make a folder that appears with all its files at once.

    Args:
        path: the folder.
        replace: whether it takes the place of an existing one.

    Yields:
        a temporary folder to write into. It is renamed to `path` at the end of the context, and removed on an error.

    Raises:
        GoalmazeError: `path` exists and is not to be replaced, or the folder cannot be made.
    """
    if os.path.lexists(path) and not replace:
        raise GoalmazeError(f"{path} already exists; choose another --out or remove it")
    # Beside the new folder, since a rename is atomic within one file system only.
    temporary, former = temporary_beside(path), temporary_beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            # Whole or not at all: removing it in its place could leave a part of it.
            path.rename(former)
        temporary.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise GoalmazeError(f"cannot make {path}: {error.strerror or error}; choose another --out") from None
    finally:
        for folder in (temporary, former):
            shutil.rmtree(folder, ignore_errors=True)


def remove_temporaries(folder: Path, *, below: bool = True) -> None:
    """Remove the temporary files and folders that a killed process left in `folder`.

    Args:
        folder: the folder.
        below: whether those in the folders below it are removed too.
    """
    for entry in list(folder.rglob(".*") if below else folder.glob(".*")):
        if not _TEMPORARY.fullmatch(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                entry.unlink()


def write_json(path: Path, content: object) -> None:
    """Write plain data as indented JSON, atomically."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def temporary_beside(path: Path) -> Path:
    """Return the path of a temporary file or folder in the same folder.

    It is short, so that `path` may have the longest name that the file system allows. It is random, since threads share
    the id of their process, and machines that share a file system may have processes with the same id.
    """
    return path.parent / f".goalmaze-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write to a file and flush it to the disk; `mode` is `os.O_TRUNC`, `os.O_APPEND`, or 0 for a device or pipe."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | binary_flag() | mode, 0o644)
    try:
        # One call may write a part only, for example 2 GiB at most on Linux.
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[os.write(descriptor, remaining) :]
        # Before a rename: otherwise the new name could survive a crash of the machine, and its content not.
        if mode:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk. On Windows, where folders cannot be opened, do nothing."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder; the file itself has been flushed.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
