"""Writing files atomically and durably."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from goalmaze.envs.errors import GoalmazeError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old or the new content, never a part: temporary file, fsync, rename.

    Raises:
        GoalmazeError: the folder cannot be written to, or the disk is full; the old content is then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(temporary, content, os.O_TRUNC)
        os.replace(temporary, path)  # noqa: PTH105
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise GoalmazeError(f"cannot write {path}: {error.strerror or error}") from None


def append(path: Path, content: bytes) -> None:
    """Append to a file and flush it to the disk.

    Raises:
        GoalmazeError: the file cannot be written; a part of `content` may have been.
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
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o644)
    try:
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[os.write(descriptor, remaining) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Flush a rename to the disk; on Windows a folder cannot be opened for that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
