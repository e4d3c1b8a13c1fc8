"""Folders that people name."""

from __future__ import annotations

from pathlib import Path

from goalmaze.envs.errors import GoalmazeError


def check_folder(figures: Path | None) -> None:
    """Refuse a folder for pictures that is not there.

    Raises:
        GoalmazeError: there is no such folder.
    """
    if figures is not None and not figures.is_dir():
        raise GoalmazeError(f"cannot draw into {figures}: there is no such folder; make it first")
