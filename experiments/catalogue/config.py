"""The options of the catalogue commands. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.ranges import MAX_RUN_SEED
from goalmaze.experiments.common.config import (
    AgentName,
    CommandConfig,
    DeviceConfig,
    EvaluationConfig,
    Limits,
    Words,
    option,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunsConfig(CommandConfig):
    """List the training runs in a folder: what was trained, how far, and whether it can be resumed.

    Attributes:
        folder: the folder that holds the runs.
    """

    folder: tyro.conf.Positional[Path] = Path("runs")

    examples: ClassVar[tuple[str, ...]] = ("goalmaze runs", "goalmaze runs experiments/2024 --csv")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZooConfig(DeviceConfig):
    """List the trained agents that ship with the package, show one, or verify them by evaluating them again.

    Attributes:
        action: list all agents, show one, or verify files, label and behaviour against the manifest and the report.
        name: the agent or population to show or verify.
        all: verify all agents and populations.
        agents: number of agents of each population that verify evaluates again, evenly chosen; 0 for all.
    """

    action: tyro.conf.Positional[Literal["list", "show", "verify"]] = "list"
    name: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="[NAME]", help_behavior_hint="(needed by show and verify)")
    ] = ""
    all: bool = False
    agents: int = 4

    limits: ClassVar[Limits] = {"agents": (0, None)}

    examples: ClassVar[tuple[str, ...]] = ("goalmaze zoo", "goalmaze zoo show green-exit", "goalmaze zoo verify --all")


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworksConfig(CommandConfig):
    """List the networks with their size, cost, receptive field and sites.

    Attributes:
        network: only this network, with the shape of each site.
        network_options: hyperparameters of that network, such as channels=32.
        family: the family whose levels the networks observe.
        size: rows and columns of the mazes, in cells.
        observation: the observation mode.
    """

    network: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="[NETWORK]", help_behavior_hint="(default: all)")
    ] = ""
    network_options: Words = ()
    family: str = "GreenExit"
    size: int = 9
    observation: Annotated[str, option("MODE", "the first mode of each network")] = ""

    lists: ClassVar[tuple[str, ...]] = ("networks",)
    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze networks",
        "goalmaze networks grid --network-options channels=32 blocks=4",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network_options and not self.network:
            raise GoalmazeError("--network-options are those of one network: name it")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportConfig(CommandConfig):
    """Turn a published agent into a run folder; only tensors are read from its file, and no code is run.

    Attributes:
        source: who published it: "langosco" for the feed-forward .pth files of procgenAISC.
        file: the file.
        out: the run folder to make.
        size: rows and columns of the mazes, in cells.
        corner: side of the region that holds the cheese in training, in cells.
        family: "Corner" for the mazes of this package as 64x64 pictures, "ProcgenMaze" for the Procgen maze, which has
            its own size.
        mode: of Procgen's maze.
    """

    source: tyro.conf.Positional[Literal["langosco"]]
    file: tyro.conf.Positional[Path]
    out: Path
    size: int = 15
    corner: Annotated[int | None, option("INT", "the N of rand_region_N in the file's name")] = None
    family: Literal["Corner", "ProcgenMaze"] = "Corner"
    mode: Literal["easy", "hard", "memory"] = "hard"

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze import langosco model_rand_region_5.pth --out runs/langosco-5",
        "goalmaze import langosco model_rand_region_5.pth --family ProcgenMaze --out runs/langosco-5",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FamiliesConfig(CommandConfig):
    """List the families of levels and draw one level of each distribution.

    Attributes:
        family: only this family, with its documentation.
        size: rows and columns of the mazes, in cells.
        seed: of the levels.
        parameters: other parameters of that family, such as braid=0.5.
    """

    family: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="[FAMILY]", help_behavior_hint="(default: all)")
    ] = ""
    size: Annotated[int | None, option("INT", "9; ProcgenMaze has the size of its mode")] = None
    seed: int = 0
    parameters: Words = ()
    limits: ClassVar[Limits] = {"seed": (0, MAX_RUN_SEED)}

    lists: ClassVar[tuple[str, ...]] = ("families",)
    examples: ClassVar[tuple[str, ...]] = ("goalmaze families", "goalmaze families GreenExit --parameters braid=0.5")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeakageConfig(EvaluationConfig):
    """Count the evaluation levels, their first observations and their walls that occur among a run's training levels.

    Attributes:
        agent: a run folder or zoo:NAME.
        shift: of the evaluation levels.
    """

    agent: AgentName
    shift: str = "none"

    lists: ClassVar[tuple[str, ...]] = ("shifts",)
    examples: ClassVar[tuple[str, ...]] = ("goalmaze leakage zoo:green-exit --size 5",)
