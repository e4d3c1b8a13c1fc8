"""The options of `goalmaze explain`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.ranges import MAX_RUN_SEED
from goalmaze.experiments.common.config import CommandConfig, Limits, MoreAgents, Words, option

MAX_EXPLAINED = 4096
"""Largest number of mazes; formulas and forward passes of more take hours."""

MAX_LEVEL, MAX_STEP = 1_000_000, 100_000

BENCHMARKED = (
    "zoo:green-exit",
    "zoo:green-exit-twin",
    "zoo:green-exit-early",
    "zoo:colour-shape",
    "zoo:corner",
    "zoo:green-exit-lstm",
)
"""The agents of the benchmark: cue-followers and a goal-follower, an agent in mid-training, and one with a memory."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainConfig(CommandConfig):
    """Explain a decision of an agent, or what its channels stand for, each explanation tested.

    Attributes:
        agent: a run folder, a checkpoint file or zoo:NAME.
        others: with --benchmark, more agents.
        level: index of the evaluation level whose decision is explained, unless --units, --features or --benchmark is
            given.
        step: number of the decision in its episode, 1 for the first.
        shift: the distribution of the level.
        methods: methods of explaining.
        units: explain every channel of every site by a formula, and test it on other mazes.
        features: train sparse autoencoders and compare their features with channels, probes and random directions.
        sites: with --units or --features, the sites to explain.
        levels: with --units or --features, number of evaluation mazes.
        fit_levels: with --units or --features, number of fitting mazes.
        effort: with --features, fraction of the usual updates of training, for trial runs.
        benchmark: score every method of explaining as a prediction: which counterfactual flips the action?
        decisions: with --benchmark, number of decisions of each agent.
        seed: of the levels, of sampled actions, and of all that is drawn.
        figures: a folder for pictures; with --units also for a page.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze explain zoo:green-exit --level 17 --step 4 --shift moved-sign --figures figures",
        "goalmaze explain zoo:green-exit --units --figures figures",
        "goalmaze explain zoo:green-exit --features --sites block4 hidden",
        "goalmaze explain zoo:green-exit zoo:green-exit-twin --benchmark --decisions 200",
    )
    lists: ClassVar[tuple[str, ...]] = ("decision-methods",)
    limits: ClassVar[Limits] = {
        "levels": (8, MAX_EXPLAINED),
        "fit_levels": (16, MAX_EXPLAINED),
        "effort": (0.001, 100),
        "decisions": (8, MAX_EXPLAINED),
        "level": (0, MAX_LEVEL),
        "step": (1, MAX_STEP),
        "seed": (0, MAX_RUN_SEED),
    }

    agent: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="[AGENT]", help_behavior_hint="(needed without --benchmark)")
    ] = ""
    others: MoreAgents = ()
    level: int = 0
    step: int = 1
    shift: Annotated[str, option("SHIFT", "the training distribution")] = "none"
    methods: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="(default: all)")] = ()
    units: bool = False
    features: bool = False
    sites: Words = ()
    levels: int = 256
    fit_levels: int = 512
    effort: float = 1.0
    benchmark: bool = False
    decisions: int = 400
    seed: int = 0
    figures: Annotated[Path | None, option("DIR", "none")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units + self.features + self.benchmark > 1:
            raise GoalmazeError("--units, --features and --benchmark are different experiments: choose one")
        if not self.benchmark and self.others:
            raise GoalmazeError(f"only --benchmark takes several agents: leave {' '.join(self.others)} out")
        if self.sites and not (self.units or self.features):
            raise GoalmazeError("--sites belongs to --units and --features: add one of them")
        if self.effort != 1 and not self.features:
            raise GoalmazeError("--effort belongs to --features: add it")
        if (self.units or self.features or self.benchmark) and (self.level, self.step, self.shift, self.methods) != (
            0,
            1,
            "none",
            (),
        ):
            raise GoalmazeError("--level, --step, --shift and --methods explain one decision: leave them out")

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of all agents.

        Raises:
            GoalmazeError: none is named, and the benchmark is not asked for.
        """
        if not self.agent and not self.benchmark:
            raise GoalmazeError("name an agent, such as zoo:green-exit, or add --benchmark")
        return (self.agent, *self.others) if self.agent else BENCHMARKED
