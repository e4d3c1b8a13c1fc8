"""The options of `goalmaze site`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

from goalmaze.experiments.common.config import CommandConfig, Limits, option

AGENTS = (
    "zoo:green-exit",
    "zoo:green-exit-twin",
    "zoo:green-exit-cue",
    "zoo:green-exit-faint",
    "zoo:green-exit-correlation50",
    "zoo:green-exit-early",
    "zoo:sleeper",
    "zoo:sleeper-honest",
)
"""The agents of the page, where none are named; the first two are the story's."""

POPULATION = "zoo:lottery-green"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SiteConfig(CommandConfig):
    """Write a static page that tells the story and runs the agents in the browser, without a server or a network.

    Attributes:
        out: the folder to write; it must not exist.
        replace: replace the folder if it exists.
        agents: agents of GreenExit or Sleeper with the network grid; the story is about the first and its twin, the
            second.
        population: the population whose audit the last step shows.
        population_agents: number of its agents, the first ones.
        levels: levels of each tally.
        audit_levels: levels in the pool of the audit.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze site --out site",
        "goalmaze site --out site --agents zoo:green-exit zoo:green-exit-twin runs/mine",
    )
    limits: ClassVar[Limits] = {"population_agents": (1, 64), "levels": (2, 400), "audit_levels": (16, 4096)}

    out: Path
    replace: bool = False
    agents: Annotated[tuple[str, ...], option("[AGENT [AGENT ...]]", "eight of the zoo")] = ()
    population: str = POPULATION
    population_agents: Annotated[int | None, option("INT", "all of them")] = None
    levels: int = 200
    audit_levels: Annotated[int | None, option("INT", "512")] = None
