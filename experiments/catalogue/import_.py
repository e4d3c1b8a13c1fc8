"""Turn an agent that others published into a run folder that every command takes."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Any

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.files import write_json
from goalmaze.agents.langosco import read_langosco
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.networks.impala import ImpalaNetwork
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family
from goalmaze.experiments.catalogue.config import ImportConfig

RECORD = "import.json"
FAMILY = "Corner"


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What was imported.

    Attributes:
        folder: the run folder.
        source: the file it came from.
        digest: SHA-256 of that file.
        network: what it holds.
        family: the world it is played in here.
    """

    folder: Path
    source: Path
    digest: str
    network: ImpalaNetwork
    family: Family

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "run": str(self.folder),
            "file": self.source.name,
            "sha256": self.digest,
            "network": self.network.name,
            "network_options": dataclasses.asdict(self.network.options),
            "parameters": self.network.parameters_count(),
            "actions": self.network.shape.actions,
            "observation": self.network.shape.mode,
            "family": self.family.name,
            "family_parameters": self.family.parameters,
        }

    def text(self) -> str:
        """Return what was done, and how to go on."""
        network, family = self.network, self.family
        look = ", whose look is ours" if family.name == FAMILY else ""
        return (
            f"{self.folder}: {network.name} at scale {network.options.scale}, "
            f"{network.parameters_count():,} parameters and {network.shape.actions} actions, from {self.source.name}\n"
            f"it was trained on Procgen's maze; here it plays {family.name} in 64x64 pictures{look}\n\n"
            f"next: goalmaze eval {self.folder} --shift {family.distinguishing_shift}"
        )


def run(config: ImportConfig) -> ImportReport:
    """Read the file and write a run folder with a checkpoint and a record of where it came from.

    Raises:
        GoalmazeError: the file is no such agent, or the folder exists; nothing is written then.
    """
    network = read_langosco(config.file)
    region = _region(config.file) if config.corner is None else config.corner
    family = _world(config, max(region, 1))
    network.shape.view(family)
    try:
        config.out.mkdir(parents=True)
    except OSError as error:
        raise GoalmazeError(f"cannot make {config.out}: {error.strerror}; choose another --out") from None
    digest = hashlib.sha256(config.file.read_bytes()).hexdigest()
    report = ImportReport(config.out, config.file, digest, network, family)
    save_checkpoint(config.out / CHECKPOINT, network, family, steps=0)
    write_json(config.out / RECORD, report.json())
    return report


def _world(config: ImportConfig, region: int) -> Family:
    """Return the world that the agent is to play."""
    if config.world == FAMILY:
        return make_family(FAMILY, {"size": config.size, "corner": min(region, config.size - 2)})
    return make_family(config.world, {"mode": config.mode, "region": region})


def _region(path: Path) -> int:
    """Return the N of `model_rand_region_N.pth`, the side of the region where the cheese lay in training; else 1."""
    found = re.search(r"rand_region_(\d+)", path.name)
    return int(found[1]) if found else 1
