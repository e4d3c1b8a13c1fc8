"""The options of `goalmaze retarget`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import MAX_LEVELS, AgentName, DeviceConfig, EvaluationConfig, Limits, option


def _default(text: str) -> object:
    """Return the annotation of an option whose default is found out later; help shows `text` in its place."""
    return tyro.conf.arg(help_behavior_hint=f"(default: {text})")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetargetConfig(EvaluationConfig, DeviceConfig):
    """Send an agent to arbitrary cells by editing its activations, beside the controls.

    Attributes:
        agent: a run folder or zoo:NAME; a population for the comparison and for --once.
        sites: sites to edit, each on its own.
        methods: steering methods.
        shift: evaluate on the levels of this shift as they are, goal and cue on cells of their own; "none" for the
            training distribution.
        moved: with --shift, what edits move to the target: the goal or the cue.
        strength: factor on every edit.
        fit_levels: number of levels the edits are fitted on; none of them is used for evaluation.
        benchmark: evaluate with every control, by distance, at other sizes, and with side effects; where no sites and
            methods are given, mean-pattern and expert-pattern at the first map and at half depth. With --once, all
            methods, each fitted anew to the floors, later rewrites, their reversal, and the units that carry the goal.
        auto: search for site, channels, method and strength on fitting levels, and benchmark the best edit.
        ledger: for every method at each site, how well it reads, how well it steers, and its cost in capability.
        sizes: with --benchmark, further sizes of mazes, in cells, such as 11 13.
        oracles: with --benchmark, also edits that use the whole maze, listed separately; slow.
        once: rewrite once what the agent remembers, beside controls and floors. For agents with a memory; the default
            for those of a family that hides its goal. Sites are then those of the memory.
        after: with --once, the number of the step behind which the memory is rewritten.
        memoryless: with --once, an agent without memory, to which the methods are fitted anew as a floor.
        figures: a folder for figures of the first edit or, with --auto, of the best one; of a population, for a figure
            of every condition over its agents.
    """

    lists: ClassVar[tuple[str, ...]] = ("methods", "shifts")
    examples = (
        "goalmaze retarget zoo:glimpse-drc --once --after 3",
        "goalmaze retarget zoo:glimpse-drc --once --benchmark --memoryless runs/memoryless",
        "goalmaze retarget zoo:green-exit --sites stem block4",
        "goalmaze retarget zoo:green-exit --benchmark --sites stem --methods mean-pattern --sizes 11 13",
        "goalmaze retarget zoo:green-exit --auto --figures figures",
        "goalmaze retarget zoo:sleeper --sites block1 --methods mean-pattern --shift unlit --moved cue",
    )

    limits: ClassVar[Limits] = {**EvaluationConfig.limits, "fit_levels": (1, MAX_LEVELS)}

    agent: AgentName
    sites: Annotated[tuple[str, ...], _default("all maps, or all sites")] = ()
    methods: Annotated[tuple[str, ...], _default("learned-pattern mean-pattern probe-direction")] = ()
    shift: Annotated[str | None, option("SHIFT", "training levels with the cue put on the goal")] = None
    moved: Literal["goal", "cue"] = "goal"
    strength: float = 1.0
    fit_levels: int = 512
    benchmark: bool = False
    auto: bool = False
    ledger: bool = False
    sizes: Annotated[tuple[int, ...], _default("none")] = ()
    oracles: bool = False
    once: bool = False
    after: int = 1
    memoryless: Annotated[str | None, option("AGENT", "none")] = None
    figures: Annotated[Path | None, option("DIR", "none")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ledger and (self.benchmark or self.auto):
            raise GoalmazeError("--ledger cannot be combined with --benchmark or --auto: leave one of them out")
        if self.once and (self.auto or self.ledger or self.figures is not None):
            raise GoalmazeError("--once cannot be combined with --auto, --ledger or --figures: leave it out")
        if self.after < 1:
            raise GoalmazeError(
                f"--after {self.after}: before its first step the agent has seen no goal to rewrite; choose 1 or more"
            )
        if (self.after > 1 or self.memoryless is not None) and not self.once:
            raise GoalmazeError("--after and --memoryless belong to --once: add it")
        if self.moved == "cue" and self.shift is None:
            raise GoalmazeError("--moved cue needs --shift, under which goal and cue are on cells of their own: add it")
        if self.shift is not None and self.once:
            raise GoalmazeError("--once plays training levels with the cue put on the goal: leave --shift out")
        if (self.sizes or self.oracles) and (self.once or not self.benchmark):
            raise GoalmazeError("--sizes and --oracles belong to --benchmark without --once: add or remove it")
