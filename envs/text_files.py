"""Reading the files that people write or pass on: regular files only, as UTF-8 with or without a byte order mark."""

from __future__ import annotations

import errno
import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from goalmaze.envs.json_data import JsonObject

MAX_BYTES = 2**26
"""Largest file that is read whole, in bytes; a recipe, plan, report or log is far smaller."""


def is_file(path: Path) -> bool:
    """Return whether there is a regular file; a name that the system refuses, such as a long one, is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def expanded(path: Path) -> Path:
    """Return a path with ~ and ~USER at its beginning replaced by the home folder, where there is one."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `MAX_BYTES` bytes.
    """
    try:
        status = path.stat()
    except ValueError as error:
        # A name with a null character, which JSON can hold.
        raise OSError(errno.EINVAL, str(error)) from None
    # Opening a named pipe would wait for a writer, for ever where there is none.
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if status.st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it has {status.st_size:,} bytes, more than {MAX_BYTES:,}")
    return path.read_bytes()


def read_text(path: Path) -> str:
    """Return a file as text.

    Raises:
        OSError: it cannot be read, see `read_bytes`.
        ValueError: it is not UTF-8.
    """
    # Editors on Windows write a byte order mark, which is no part of the text.
    return read_bytes(path).decode("utf-8-sig")


def read_json(path: Path) -> Any:
    """Return the data of a JSON file; the caller checks what it holds.

    Raises:
        OSError: it cannot be read, see `read_bytes`.
        ValueError: it is not JSON.
    """
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """Return the data of a JSON text.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        data = json.loads(text)
        # An escape of half a surrogate pair is text that nothing can write.
        if "\\ud" in text.lower():
            json.dumps(data, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return data


def read_toml(path: Path) -> JsonObject:
    """Return the table of a TOML file.

    Raises:
        OSError: it cannot be read, see `read_bytes`.
        ValueError: it is not TOML.
    """
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def binary_flag() -> int:
    """Return the flag of `os.open` without which Windows writes a line feed as two bytes; 0 elsewhere."""
    return getattr(os, "O_BINARY", 0)
