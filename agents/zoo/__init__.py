"""Small trained agents that ship with the package: one folder each, holding a run and the command that made it."""

from __future__ import annotations

from pathlib import Path

from goalmaze.envs.errors import unknown

HERE = Path(__file__).parent


def zoo_names() -> list[str]:
    """Return the names of all agents in the zoo."""
    return sorted(folder.name for folder in HERE.iterdir() if (folder / "checkpoint.safetensors").is_file())


def zoo_folder(name: str) -> Path:
    """Return the run folder of an agent in the zoo.

    Raises:
        GoalmazeError: no such agent.
    """
    if name not in zoo_names():
        raise unknown("zoo agent", name, zoo_names())
    return HERE / name
