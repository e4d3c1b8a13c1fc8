"""The options of `goalmaze catalogue`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import AgentName, CommandConfig, EvaluationConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunsConfig(CommandConfig):
    """List the runs in a folder: what was trained, how far, and what became of it.

    Attributes:
        folder: where to look for runs.
    """

    folder: tyro.conf.Positional[Path] = Path("runs")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZooConfig(CommandConfig):
    """List the agents that ship with the package, show one, or measure again whether it is what it is said to be.

    Attributes:
        action: "list", "show" or "verify".
        name: the agent to show or verify.
        all: verify all of them.
    """

    action: tyro.conf.Positional[Literal["list", "show", "verify"]] = "list"
    name: tyro.conf.Positional[str] = ""
    all: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworksConfig(CommandConfig):
    """List the networks with their size, cost, receptive field and sites.

    Attributes:
        network: only this one, with the shape of each site.
        network_options: hyperparameters to show it with, such as channels=32.
        family: the world whose mazes it sees.
        size: rows and columns of the mazes, in cells.
        observation: the observation mode; where not given, the one each network sees first.
    """

    network: tyro.conf.Positional[str] = ""
    network_options: tuple[str, ...] = ()
    family: str = "GreenExit"
    size: int = 9
    observation: str = ""

    def __post_init__(self) -> None:
        if self.network_options and not self.network:
            raise GoalmazeError("--network-options are those of one network: name it")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportConfig(CommandConfig):
    """Turn a published agent into a run folder; only tensors are read from its file, and no code is run.

    Attributes:
        source: who published it: "langosco" for the feed-forward .pth files of procgenAISC.
        file: the file.
        out: the run folder to make.
        size: rows and columns of the mazes it is to play here, in cells.
        corner: side of the region where the cheese lies in training; the N of rand_region_N in the file's name where
            not given.
        world: "Corner" for our own mazes in 64x64 pictures, "ProcgenMaze" for the real one, which has its own size.
        mode: of Procgen's maze.
    """

    source: tyro.conf.Positional[Literal["langosco"]]
    file: tyro.conf.Positional[Path]
    out: Path
    size: int = 15
    corner: int | None = None
    world: Literal["Corner", "ProcgenMaze"] = "Corner"
    mode: Literal["easy", "hard", "memory"] = "hard"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FamiliesConfig(CommandConfig):
    """List the families of worlds and draw one level of each distribution.

    Attributes:
        family: only this one.
        size: rows and columns of the mazes, in cells.
        seed: of the levels.
        parameters: other parameters of that family, such as braid=0.5.
    """

    family: tyro.conf.Positional[str] = ""
    size: int = 9
    seed: int = 0
    parameters: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeakageConfig(EvaluationConfig):
    """Count the evaluation levels, and their first observations, that occur among a run's training levels.

    Attributes:
        agent: a run folder or zoo:NAME.
        shift: of the evaluation levels.
    """

    agent: AgentName
    shift: str = "none"
