"""Agents: networks with their family, from a run folder, a checkpoint file, ``zoo:NAME`` or memory."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path

from goalmaze.agents.checkpoints import Header, load_checkpoint
from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.zoo import zoo_folder
from goalmaze.envs.extensions import extensions_needed
from goalmaze.envs.levels import Family
from goalmaze.envs.text_files import expanded, is_file, read_json

CHECKPOINT, RECIPE = "checkpoint.safetensors", "recipe.json"
ZOO_PREFIX = "zoo:"


@dataclasses.dataclass(frozen=True)
class Agent:
    """A network that acts in the levels of a family. It may come from a checkpoint or from memory.

    Attributes:
        network: the network.
        family: the family of levels that it was trained on.
        name: the name that results show; for a loaded agent the name given to `load_agent`.
        header: the header of its checkpoint; None for a network that was not loaded.
    """

    network: Network
    family: Family
    name: str = "agent"
    header: Header | None = None

    @cached_property
    def policy(self) -> NetworkPolicy:
        """The policy of the network."""
        return NetworkPolicy(self.network)

    @property
    def sites(self) -> tuple[str, ...]:
        """The names of the network's sites, in order of depth."""
        return tuple(site.name for site in self.network.sites())


def run_folder(name: str) -> Path:
    """Return the run folder of a name, a path or ``zoo:NAME``. A path need not exist.

    Raises:
        GoalmazeError: there is no such zoo agent.
    """
    return zoo_folder(name.removeprefix(ZOO_PREFIX)) if name.startswith(ZOO_PREFIX) else expanded(Path(name))


def load_agent(name: str) -> Agent:
    """Load the agent of a run folder, of a checkpoint file, or of the zoo as ``zoo:NAME``.

    Raises:
        GoalmazeError: there is no such agent, or its checkpoint cannot be used.
    """
    folder = run_folder(name)
    path = folder if is_file(folder) else folder / CHECKPOINT
    # An agent of the user's own family or network loads only after that was imported; the error then names the file.
    with extensions_needed(_recorded_imports(path.parent)):
        network, family, header = load_checkpoint(path)
    return Agent(network, family, name, header)


def _recorded_imports(folder: Path) -> list[str]:
    """Return the user's files and modules that the recipe in a folder names; none if it cannot be read.

    They are used for an error message only. A checkpoint without a recipe is complete.
    """
    try:
        content = read_json(folder / RECIPE)
        return [str(name) for name in content["recipe"]["imports"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
