"""One condition of the benchmark on all mazes of an errand, and its rows: one for each bin of targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.common.tables import interval, number
from goalmaze.experiments.evaluate.metrics import Outcomes, outcomes
from goalmaze.experiments.retarget.bins import ALL, Bin
from goalmaze.experiments.retarget.path_probability import Chances, path_chances
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.edits.base import Edit, FirstSteps, applied

NONE, RANDOM, OTHER_MAZE, MOVED_CUE, MOVED_BOTH = "none", "random", "other-maze", "moved-cue", "moved-both"
EDIT, UNTRAINED, UNTRAINED_NONE, BOUND = "edit", "untrained-above", "untrained-above-none", "upper-bound"
EVERY, FIRST = "every", "first"


@dataclasses.dataclass(frozen=True)
class Label:
    """What was done to the agent.

    Attributes:
        condition: `NONE`; `RANDOM`, noise of the edit's norm; `OTHER_MAZE`, the edit of the next maze; `MOVED_CUE` and
            `MOVED_BOTH`, physically; `EDIT`; `UNTRAINED`, the edit under layers that were never trained, and
            `UNTRAINED_NONE`, those without it; or `BOUND`, an edit that knows more than cells.
        site: the site, or sites joined by +; None where nothing was edited.
        method: the steering method; None where nothing was edited.
        steps: `EVERY` or `FIRST`; None where nothing was edited.
    """

    condition: str
    site: str | None = None
    method: str | None = None
    steps: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """What came of it, maze by maze.

    Attributes:
        label: what was done.
        size: rows and columns of the mazes.
        off_path: bool [B], True where the goal lies on no shortest path to the target.
        to_goal: int32 [B], first visit.
        to_target: int32 [B], first visit.
        path: float64 [B], the geometric mean chance of the shortest way.
    """

    label: Label
    size: int
    off_path: Bools
    to_goal: Cells
    to_target: Cells
    path: Chances

    @property
    def hits(self) -> Bools:
        """bool [B], whether the target was reached before the goal."""
        return np.asarray(self.to_target < self.to_goal)

    def outcomes(self, mazes: Bools | None = None) -> Outcomes:
        """Return what was reached first, in some mazes bool [B] or all."""
        kept = np.ones(len(self.to_goal), np.bool_) if mazes is None else mazes
        return outcomes(self.to_goal[kept], self.to_target[kept])

    def json(self, within: Bin) -> dict[str, Any]:
        """Return the row of a bin as plain data."""
        found, off = self.outcomes(within.mazes), self.outcomes(within.mazes & self.off_path)
        path = self.path[within.mazes]
        return dataclasses.asdict(self.label) | {
            "size": self.size,
            "bin": within.name,
            "low": within.low,
            "high": within.high,
            "outcomes": shares(found),
            "target_interval": interval(found.other),
            "path_probability": number(float(path.mean())) if len(path) else None,
            "levels": found.other.levels,
            "off_path": {
                "outcomes": shares(off),
                "target_interval": interval(off.other),
                "levels": off.other.levels,
            },
        }

    def rows(self, bins: Sequence[Bin]) -> list[dict[str, Any]]:
        """Return a row for each bin that holds a maze."""
        return [self.json(one) for one in bins if one.name == ALL or one.mazes.any()]


def shares(found: Outcomes) -> dict[str, float | None]:
    """Return shares of what was reached first, for JSON."""
    return {
        "target": number(found.other.value),
        "goal": number(found.goal.value),
        "neither": number(found.neither.value),
    }


def attempt(
    label: Label,
    task: RetargetingTask,
    policy: NetworkPolicy,
    edits: Sequence[Edit] = (),
    levels: LevelBatch | None = None,
) -> Trial:
    """Return what the agent does on an errand under edits.

    Args:
        label: how it is to be called.
        errand: the mazes and targets.
        policy: the agent.
        edits: in force.
        levels: what the agent sees instead of the errand's levels, where something was physically moved.
    """
    edits = [FirstSteps(edit) for edit in edits] if label.steps == FIRST else list(edits)
    seen = task.levels if levels is None else levels
    with applied(policy, edits):
        trajectory = rollout(policy, seen, seed=task.seed, until=task.targets)
    path = path_chances(policy, seen, task.goals, task.targets, edits)
    return Trial(
        label,
        task.levels.width,
        task.off_path,
        trajectory.first_visit(task.goals),
        trajectory.first_visit(task.targets),
        path,
    )
