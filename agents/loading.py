"""From what a person types, a run folder or ``zoo:NAME``, to an agent that can act."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path

from goalmaze.agents.checkpoints import Header, load_checkpoint
from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.zoo import zoo_folder
from goalmaze.envs.levels import Family

CHECKPOINT = "checkpoint.safetensors"
ZOO_PREFIX = "zoo:"


@dataclasses.dataclass(frozen=True)
class Agent:
    """A trained agent.

    Attributes:
        name: as it was asked for.
        family: the world it was trained on.
        network: its weights.
        header: what its checkpoint says of itself.
    """

    name: str
    family: Family
    network: Network
    header: Header

    @cached_property
    def policy(self) -> NetworkPolicy:
        """How it acts."""
        return NetworkPolicy(self.network)


def run_folder(name: str) -> Path:
    """Return the folder a name stands for, existing or not.

    Raises:
        GoalmazeError: there is no such zoo agent.
    """
    return zoo_folder(name.removeprefix(ZOO_PREFIX)) if name.startswith(ZOO_PREFIX) else Path(name)


def load_agent(name: str) -> Agent:
    """Load a run folder, a checkpoint file, or ``zoo:NAME``.

    Raises:
        GoalmazeError: there is none, or its checkpoint cannot be used.
    """
    folder = run_folder(name)
    path = folder if folder.is_file() else folder / CHECKPOINT
    network, family, header = load_checkpoint(path)
    return Agent(name, family, network, header)
