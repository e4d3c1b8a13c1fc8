"""The names of the families that ship, known from their files, so that listing them imports no family."""

from __future__ import annotations

import pkgutil
from pathlib import Path

import gymnasium

NAMESPACE = "goalmaze"
"""Family NAME is registered with Gymnasium as ``goalmaze/NAME-v0``."""

ENTRY_POINTS = ("goalmaze.envs.single:MazeEnv", "goalmaze.envs.vector:MazeVectorEnv")
PROCGEN = {
    "ProcgenMaze": ("goalmaze.envs.procgen.single:ProcgenMazeEnv", "goalmaze.envs.procgen.vector:ProcgenVectorEnv")
}
"""Families whose episodes another engine runs: their environments."""


def shipped_families() -> tuple[str, ...]:
    """Return the names of the families in the folder `families`: the file key_door.py holds KeyDoor."""
    files = pkgutil.iter_modules([str(Path(__file__).parent / "families")])
    return tuple(sorted("".join(word.capitalize() for word in file.name.split("_")) for file in files))


def register_shipped() -> None:
    """Register the families that ship with Gymnasium, as ``goalmaze/NAME-v0``."""
    entry_points = dict.fromkeys(shipped_families(), ENTRY_POINTS) | PROCGEN
    for name, (single, vector) in entry_points.items():
        gymnasium.register(
            f"{NAMESPACE}/{name}-v0", entry_point=single, vector_entry_point=vector, kwargs={"family": name}
        )
