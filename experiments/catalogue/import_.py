"""`goalmaze import`: turns an agent that others published into a run folder that every command takes."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.files import new_folder, write_json
from goalmaze.agents.langosco import read_langosco
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.networks.impala import ImpalaNetwork
from goalmaze.envs.families import make_family
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family
from goalmaze.experiments.catalogue.config import ImportConfig
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table

RECORD = "import.json"
"""The file of a run folder that records the source of its agent."""

OWN_FAMILY = "Corner"
"""The family of this package that is closest to Procgen's maze."""


@dataclasses.dataclass(frozen=True)
class ImportReport(Result):
    """The record of an import.

    Attributes:
        folder: the run folder.
        source: the file it came from.
        digest: SHA-256 of that file.
        network: the network that it holds.
        family: the family that the agent acts in.
    """

    folder: Path
    source: Path
    digest: str
    network: ImpalaNetwork
    family: Family

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            "run": str(self.folder),
            "file": self.source.name,
            "sha256": self.digest,
            "network": self.network.name,
            "network_options": dataclasses.asdict(self.network.options),
            "parameters": self.network.parameters_count(),
            "actions": self.network.shape.actions,
            "observation": self.network.shape.spec.mode,
            "family": self.family.name,
            "family_parameters": self.family.parameters,
        }

    def blocks(self) -> list[str | Table]:
        """Return what was imported, and the next command."""
        network, family = self.network, self.family
        rendering = ", rendered by goalmaze" if family.name == OWN_FAMILY else ""
        return [
            f"{self.folder}: {network.name} at scale {network.options.scale}, "
            f"{network.parameters_count():,} parameters and {network.shape.actions} actions, from {self.source.name}\n"
            f"trained on Procgen's maze; acts in {family.name} from 64x64 pictures{rendering}",
            f"next: goalmaze eval {self.folder} --shift {family.distinguishing_shift}",
        ]


def run(config: ImportConfig) -> ImportReport:
    """Read the file and write a run folder with a checkpoint and a record of where it came from.

    Raises:
        GoalmazeError: the file is no such agent, or the folder exists; then nothing is written.
    """
    # The file is a pickle, which can run code: the reader takes tensors from it and refuses everything else.
    network = read_langosco(config.file)
    region = _region(config.file) if config.corner is None else config.corner
    family = _family(config, max(region, 1))
    # Refuses a family that the network cannot observe, before the folder is made.
    network.shape.view(family)
    digest = hashlib.sha256(config.file.read_bytes()).hexdigest()
    report = ImportReport(config.out, config.file, digest, network, family)
    with new_folder(config.out) as folder:
        save_checkpoint(folder / CHECKPOINT, network, family, steps=0)
        write_json(folder / RECORD, report.json())
    return report


def _family(config: ImportConfig, region: int) -> Family:
    """Return the family that the agent is to act in; `region` is the side of the square that held the cheese."""
    if config.family == OWN_FAMILY:
        return make_family(OWN_FAMILY, {"size": config.size, "corner": min(region, config.size - 2)})
    return make_family(config.family, {"mode": config.mode, "region": region})


def _region(path: Path) -> int:
    """Return the N of `model_rand_region_N.pth`, the side of the square that held the cheese in training; else 1."""
    match = re.search(r"rand_region_(\d+)", path.name)
    return int(match[1]) if match else 1
