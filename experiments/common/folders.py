"""Folders that people name."""

from __future__ import annotations

from pathlib import Path

from goalmaze.envs.errors import GoalmazeError


def make_folder(folder: Path, flag: str) -> None:
    """Make a folder and those above it, unless it is there.

    Commands call this before they evaluate anything, so that minutes of work are not lost to a name that cannot be
    written.

    Args:
        folder: the folder.
        flag: the option that named it, for the error.

    Raises:
        GoalmazeError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GoalmazeError(f"{flag} {folder}: cannot make this folder: {error.strerror}") from None
