"""Writing files atomically and durably."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.text_files import binary_flag


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old or the new content, never a part of it.

    Raises:
        GoalmazeError: the folder cannot be written to, or the disk is full; the old content is then unchanged.
    """
    # A temporary file in the same folder, since a rename is atomic within one file system only. The process's id keeps
    # two processes from writing the same one.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(temporary, content, os.O_TRUNC)
        os.replace(temporary, path)  # noqa: PTH105
        # The rename is an entry of the folder, which a crash of the machine can still lose.
        _sync_folder(path.parent)
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


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files that a killed process left in `folder` or below it."""
    for file in folder.rglob(".*.*.[0-9]*"):
        with contextlib.suppress(OSError):
            file.unlink()


def write_json(path: Path, content: object) -> None:
    """Write plain data as indented JSON, atomically."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write to a file and flush it to the disk; `mode` is `os.O_TRUNC` or `os.O_APPEND`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | binary_flag() | mode, 0o644)
    try:
        # One call may write a part only, for example 2 GiB at most on Linux.
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[os.write(descriptor, remaining) :]
        # Before a rename: otherwise the new name could survive a crash of the machine, and its content not.
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
    finally:
        os.close(descriptor)
