"""The disk as it is before each file operation of some work, which is what a kill at that moment would leave."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

OPERATIONS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir")
"""The functions of `os` that are recorded; pathlib calls them too."""

TEMPORARY = re.compile(r"\.goalmaze-[^/]*\.tmp")


def recorded_disks(
    work: Callable[[], object], root: Path, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Path], int]:
    """Do some work, and copy a folder before each file operation, unless it is as before an earlier one.

    Every write is cut into two, so that half-written files are among the copies. The content of temporary files is not
    compared, since nothing reads it.

    Returns:
        the copies, one for each different state of the folder, and the number of file operations.
    """
    disks: dict[str, Path] = {}
    count, is_copying, halves = 0, False, False
    true = {name: getattr(os, name) for name in OPERATIONS}

    def record(*_: object) -> None:
        nonlocal count, is_copying
        if is_copying or not root.exists():
            return
        count, is_copying = count + 1, True
        digest = _digest(root)
        if digest not in disks:
            disks[digest] = Path(shutil.copytree(root, copies / str(len(disks))))
        is_copying = False

    def recorded(name: str) -> Callable[..., Any]:
        def operation(*arguments: Any, **named: Any) -> Any:
            record()
            return true[name](*arguments, **named)

        return operation

    def write(descriptor: int, content: Any) -> int:
        nonlocal halves
        record()
        halves = not halves and len(content) > 1
        return int(true["write"](descriptor, content[: len(content) // 2] if halves else content))

    copies.mkdir(parents=True)
    with monkeypatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(os, name, write if name == "write" else recorded(name))
        work()
    return list(disks.values()), count


def _digest(root: Path) -> str:
    digest = hashlib.blake2b()
    names = {}
    for path in root.rglob("*"):
        name, is_temporary = TEMPORARY.subn("temporary", path.relative_to(root).as_posix())
        names[name] = b"" if is_temporary or path.is_dir() else path.read_bytes()
    for name in sorted(names):
        digest.update(f"{name} {len(names[name])} ".encode() + names[name])
    return digest.hexdigest()
