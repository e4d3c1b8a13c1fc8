"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from goalmaze.envs.errors import GoalmazeError


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` whole or not at all: write a temporary file beside it, fsync, rename.

    Raises:
        GoalmazeError: the folder cannot be written to or the disk is full; what was at `path` is untouched.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise GoalmazeError(f"cannot write {path}: {error.strerror or error}") from None


def write_json(path: Path, content: object) -> None:
    """Write plain data as indented JSON, atomically."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
