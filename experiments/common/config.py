"""Options that several commands share. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import tyro.conf

from goalmaze.envs.errors import GoalmazeError

AgentName = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="AGENT")]
MoreAgents = Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[AGENT [AGENT ...]]")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommandConfig:
    """What every command takes.

    Attributes:
        json: print one JSON object instead of text.
    """

    json: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged(CommandConfig):
    """A question judged on held-out levels.

    Attributes:
        levels: how many held-out levels judge.
        seed: of the levels and of the agent's sampled actions.
        size: rows and columns of the mazes, in cells; the size trained on where not given.
    """

    levels: int = 512
    seed: int = 0
    size: int | None = None

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise GoalmazeError(f"--levels is {self.levels}: choose 1 or more")
        if self.seed < 0:
            raise GoalmazeError(f"--seed is {self.seed}: choose 0 or more")
