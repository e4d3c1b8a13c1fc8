"""Which agents ship with the package, and what each is."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from goalmaze.agents.checkpoints import Header, load_checkpoint
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.zoo import zoo_folder, zoo_names
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.experiments.configs import ZooConfig
from goalmaze.experiments.report import table
from goalmaze.experiments.train import REPORT


@dataclasses.dataclass(frozen=True)
class Resident:
    """An agent of the zoo.

    Attributes:
        name: to be used as zoo:NAME.
        header: what its checkpoint says.
        report: what its run measured.
        command: what made it.
    """

    name: str
    header: Header
    report: dict[str, Any]
    command: str

    @property
    def parted(self) -> dict[str, Any]:
        """Its behaviour where goal and cue stand apart."""
        family = make_family(self.header.family)
        return dict(self.report["shifts"][family.parting_shift])

    def json(self) -> dict[str, Any]:
        """Return the agent as plain data."""
        return {
            "name": self.name,
            "family": self.header.family,
            "network": self.header.network,
            "label": self.report["label"],
            "parameters": self.header.parameters,
            "steps": self.header.steps,
            "command": self.command,
            "in_distribution": self.report["in_distribution"],
            "shifts": self.report["shifts"],
        }


@dataclasses.dataclass(frozen=True)
class ZooReport:
    """Some residents, or one of them in full."""

    residents: tuple[Resident, ...]
    in_full: bool

    def json(self) -> dict[str, Any]:
        """Return the list under "agents", or the one agent itself."""
        return self.residents[0].json() if self.in_full else {"agents": [one.json() for one in self.residents]}

    def text(self) -> str:
        """Return a table of the list, or the one agent with its command and behaviour."""
        rows = [
            [
                f"zoo:{one.name}",
                one.header.family,
                one.header.network,
                one.report["label"],
                f"{one.report['in_distribution']['solved']:.3f}",
                f"{one.parted['outcomes']['cue']:.3f}",
                f"{one.parted['preference']['cue']:.2f}",
            ]
            for one in self.residents
        ]
        listing = table(["agent", "family", "network", "label", "solved", "cue first when apart", "prefers cue"], rows)
        return f"{listing}\n\nmade by: {self.residents[0].command}" if self.in_full else listing


def run(config: ZooConfig) -> ZooReport:
    """List the zoo, or show the agent asked for.

    Raises:
        GoalmazeError: no such agent.
    """
    if config.action == "list":
        return ZooReport(tuple(_resident(name) for name in zoo_names()), in_full=False)
    if not config.name:
        raise GoalmazeError(f"name an agent to show: {', '.join(zoo_names())}")
    return ZooReport((_resident(config.name.removeprefix("zoo:")),), in_full=True)


def _resident(name: str) -> Resident:
    folder = zoo_folder(name)
    _, _, header = load_checkpoint(folder / CHECKPOINT)
    return Resident(
        name, header, json.loads((folder / REPORT).read_text()), (folder / "command.txt").read_text().strip()
    )
