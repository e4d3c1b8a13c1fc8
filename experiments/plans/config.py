"""The options of `goalmaze plans`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import MAX_LEVELS, AgentName, DeviceConfig, EvaluationConfig, Limits, option

MIN_FIT_LEVELS = 50
MAX_THINKING = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlansConfig(EvaluationConfig, DeviceConfig):
    """Read an agent's plan on every square along its ticks, change it by edits, and let the agent think longer.

    Attributes:
        agent: a run folder or zoo:NAME, of an agent with network drc.
        fit_levels: number of levels that probes are fitted on, and that strengths of edits are selected on.
        passes: number of forward passes on the first observation along whose ticks the plan is read.
        think: numbers of extra passes before the first action, at which the agent is evaluated.
        sizes: sizes of the mazes in which the agent thinks; others than its own were never trained on.
        skip: parts to leave out.
        figures: a folder for the figures.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze plans runs/planner",
        "goalmaze plans runs/planner --skip edits --think 0 4 16 --sizes 9 13",
    )

    limits: ClassVar[Limits] = {
        **EvaluationConfig.limits,
        "fit_levels": (MIN_FIT_LEVELS, MAX_LEVELS),
        "passes": (1, MAX_THINKING),
    }

    agent: AgentName
    fit_levels: int = 256
    passes: int = 5
    think: tuple[int, ...] = (0, 1, 2, 4, 8)
    sizes: Annotated[
        tuple[int, ...], tyro.conf.arg(help_behavior_hint="(default: the agent's own, and 2, 4 and 6 more)")
    ] = ()
    skip: Annotated[
        tuple[str, ...], tyro.conf.arg(help_behavior_hint="(default: none; of readings, edits, thinking)")
    ] = ()
    figures: Annotated[Path | None, option("FOLDER", "none")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in self.skip:
            if part not in PARTS:
                raise GoalmazeError(f"there is no part '{part}' to skip: choose of {', '.join(PARTS)}")
        for steps in self.think:
            if not 0 <= steps <= MAX_THINKING:
                raise GoalmazeError(f"--think has {steps}: choose 0 to {MAX_THINKING}")


PARTS = ("readings", "edits", "thinking")
"""The parts of the experiment."""
