"""The list of agents that a page chooses from: groups by family, labels, and checkpoints along the training."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from goalmaze.agents.loading import ZOO_PREFIX, locate
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.zoo import manifest
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.run_report import read_population_report, read_report

OWN = "Your own"
AT = "@"
"""Between the name of an agent and the training steps of one of its checkpoints."""


def grouped_agents(names: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return group → names of agents with their titles: those of the zoo by family, and all others."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        entry = manifest().get(name.removeprefix(ZOO_PREFIX)) if name.startswith(ZOO_PREFIX) else None
        group = OWN if entry is None else zoo_group(_family_of(entry.command))
        label = _label(name)
        shown = name.removeprefix(ZOO_PREFIX)
        groups.setdefault(group, []).append((name, f"{shown}: {label}" if label else shown))
    return groups


def zoo_group(family: str) -> str:
    """Return the name of the group of the agents of a family in the zoo."""
    return f"{family}: agents of the zoo"


def agent_of_checkpoint(name: str) -> str:
    """Return the agent that a checkpoint is one of; the name itself where it is that of an agent."""
    return name.rpartition(AT)[0] if re.fullmatch(rf".+{AT}[0-9]+", name) else name


def checkpoints_of(name: str) -> dict[str, str]:
    """Return the name of each checkpoint of an agent → what `load_agent` takes; nothing where none were saved."""
    try:
        where = locate(name)
    except GoalmazeError:
        return {}
    number = "" if where.number is None else f"/{where.number}"
    return {f"{name}{AT}{steps}": f"{path}{number}" for steps, path in checkpoint_series(where.path).items()}


def steps_of(name: str) -> int:
    """Return the training steps in the name of a checkpoint."""
    return int(name.rpartition(AT)[2])


def trained_steps(name: str) -> int:
    """Return the training steps in the report of an agent, or else those of its last checkpoint."""
    where = locate(name)
    try:
        report = read_report(where.path) if where.number is None else read_population_report(where.path)
        return int(report["steps"])
    except (OSError, ValueError, GoalmazeError):
        return max(checkpoint_series(where.path), default=0)


def _family_of(command: str) -> str:
    """Return the family that a command trains in."""
    found = re.search(r"--family (\S+)", command)
    return "GreenExit" if found is None else found[1]


@functools.lru_cache(maxsize=512)
def _label(name: str) -> str:
    """Return the label in the report of an agent; nothing where it has none."""
    try:
        where = locate(name)
        folder: Path = where.path if where.path.is_dir() else where.path.parent
        return "" if where.number is not None else str(read_report(folder).get("label") or "")
    except (GoalmazeError, OSError, ValueError):
        return ""
