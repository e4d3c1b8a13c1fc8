"""The options of `goalmaze explain`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.ranges import MAX_RUN_SEED
from goalmaze.experiments.common.config import CommandConfig, Limits, option

MAX_EXPLAINED = 4096
"""Largest number of mazes; formulas and forward passes of more take hours."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainConfig(CommandConfig):
    """Explain what the channels of an agent stand for, each explanation tested.

    Attributes:
        agent: a run folder, a checkpoint file or zoo:NAME.
        units: explain every channel of every site by a formula, and test it on other mazes.
        sites: with --units, the sites to explain.
        levels: number of evaluation mazes.
        fit_levels: with --units, number of mazes that formulas are fitted on.
        seed: of the levels and of all that is drawn.
        figures: a folder for pictures and a page.
    """

    examples: ClassVar[tuple[str, ...]] = ("goalmaze explain zoo:green-exit --units --figures figures",)
    limits: ClassVar[Limits] = {
        "levels": (8, MAX_EXPLAINED),
        "fit_levels": (16, MAX_EXPLAINED),
        "seed": (0, MAX_RUN_SEED),
    }

    agent: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="AGENT")]
    units: bool = False
    sites: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="(default: all)")] = ()
    levels: int = 256
    fit_levels: int = 512
    seed: int = 0
    figures: Annotated[Path | None, option("DIR", "none")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.units:
            raise GoalmazeError("say what to explain: add --units")
