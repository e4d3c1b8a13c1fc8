"""The options of `goalmaze audit`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import CommandConfig, Limits, MoreAgents, option

TierName = Literal["T0", "T1", "T2", "T3", "T4"]

MIN_LEVELS, MAX_LEVELS = 16, 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditConfig(CommandConfig):
    """Say which goal agents pursue from training levels, activations and weights, without a level that shows it.

    Attributes:
        agent: a run folder, a population, a folder of checkpoint files, or zoo:NAME.
        others: more agents.
        tier: what the audit may use. T0 behaviour on training levels, T1 also activations, T2 also weights and
            gradients, T3 also synthetic inputs and edits, T4 also a few levels on which goal and cue differ.
        method: predict by this method instead of the one with the smallest error.
        calibration: a file that turns scores into preferences, as `python -m goalmaze.experiments.audit` writes it.
        levels: number of training-distribution levels in the pool.
        benchmark: compare all methods on populations whose preferences are measured, instead of auditing agents.
        sleepers: compare methods that look for agents with another goal when nobody looks, on sleepers and their twins.
        populations: the populations of --benchmark, run folders or zoo:NAME; or the one folder of all agents of
            --sleepers.
        cache: the folder of --benchmark or --sleepers that keeps measurements, so that a second run takes seconds.
        figures: a folder for the figure of --benchmark or --sleepers.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze audit zoo:green-exit zoo:green-exit-twin",
        "goalmaze audit zoo:green-exit --tier T2 --json",
        "goalmaze audit --benchmark --populations zoo:lottery-green zoo:lottery-colour --figures figures",
        "goalmaze audit --sleepers --figures figures",
    )
    lists: ClassVar[tuple[str, ...]] = ("audit-methods",)
    limits: ClassVar[Limits] = {"levels": (MIN_LEVELS, MAX_LEVELS)}

    agent: Annotated[
        tyro.conf.Positional[str],
        tyro.conf.arg(metavar="[AGENT]", help_behavior_hint="(needed without --benchmark or --sleepers)"),
    ] = ""
    others: MoreAgents = ()
    tier: TierName = "T3"
    method: Annotated[str | None, option("METHOD", "the calibrated method with the smallest error")] = None
    calibration: Annotated[Path | None, option("FILE", "the one of the package")] = None
    levels: Annotated[int | None, option("INT", "512, or 128 for agents that observe pictures")] = None
    benchmark: bool = False
    sleepers: bool = False
    populations: Annotated[tuple[str, ...], option("[POPULATION [POPULATION ...]]", "all that ship")] = ()
    cache: Annotated[Path | None, option("FOLDER", "~/.cache/goalmaze/audit")] = None
    figures: Annotated[Path | None, option("FOLDER", "none")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.benchmark and self.sleepers:
            raise GoalmazeError("--benchmark and --sleepers are two comparisons: choose one of them")
        if self.benchmark or self.sleepers:
            self._check_comparison("--benchmark" if self.benchmark else "--sleepers")
        elif not self.agent:
            raise GoalmazeError("name an agent, such as zoo:green-exit, or add --benchmark or --sleepers")
        elif self.populations or self.cache is not None or self.figures is not None:
            raise GoalmazeError("--populations, --cache and --figures belong to --benchmark and --sleepers: add one")

    def _check_comparison(self, flag: str) -> None:
        """Refuse options that a comparison of methods sets itself."""
        if self.agent:
            raise GoalmazeError(f"{flag} audits populations: name {self.agent} after --populations")
        if self.tier != "T3" or any(one is not None for one in (self.levels, self.method, self.calibration)):
            raise GoalmazeError(
                f"{flag} runs all methods and tiers on its own pools: "
                "leave out --tier, --method, --calibration and --levels"
            )
        if self.sleepers and len(self.populations) > 1:
            raise GoalmazeError("--sleepers takes one folder that holds all agents: name one after --populations")

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of all agents."""
        return (self.agent, *self.others)
