"""One condition of the benchmark on all mazes of a task, and its rows: one for each bin of targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.evaluate.metrics import Outcomes, outcomes
from goalmaze.experiments.retarget.bins import ALL, Bin
from goalmaze.experiments.retarget.task import RetargetingTask, TaskOutcomes
from goalmaze.probes.edits.base import Edit, applied, at_first_steps
from goalmaze.probes.procgen_tools.path_probability import Floats, path_probability

NONE, RANDOM, OTHER_MAZE, MOVED_CUE, MOVED_BOTH = "none", "random", "other-maze", "moved-cue", "moved-both"
EDIT, UNTRAINED, UNTRAINED_NONE, ORACLE = "edit", "untrained-above", "untrained-above-none", "oracle"
EVERY, FIRST = "every", "first"


@dataclasses.dataclass(frozen=True)
class TrialLabel:
    """What was done to the agent.

    Attributes:
        condition: `NONE`; `RANDOM`, noise of the edit's norm; `OTHER_MAZE`, the edit of the next maze; `MOVED_CUE` and
            `MOVED_BOTH`, the cue, or goal and cue, physically on the target; `EDIT`; `UNTRAINED`, the edit under layers
            that were never trained; `UNTRAINED_NONE`, those layers without the edit; or `ORACLE`, an edit that uses
            more than cells.
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
    """The result of one condition, maze by maze.

    Attributes:
        label: what was done.
        size: rows and columns of the mazes, in cells.
        off_path: bool [B], True where the goal lies on no shortest path to the target.
        to_goal: int32 [B], the step of the first visit.
        to_target: int32 [B], the step of the first visit.
        path: float64 [B], the path probability: geometric mean over the steps of a shortest path.
    """

    label: TrialLabel
    size: int
    off_path: Bools
    to_goal: Cells
    to_target: Cells
    path: Floats

    @property
    def reached_target(self) -> Bools:
        """bool [B], whether the target was reached before the goal."""
        return np.asarray(self.to_target < self.to_goal)

    def outcomes(self, mazes: Bools | None = None) -> Outcomes:
        """Return what was reached first, on some mazes bool [B] or on all."""
        # A mask for all mazes too, so that both cases are one expression.
        kept = np.ones(len(self.to_goal), np.bool_) if mazes is None else mazes
        return outcomes(self.to_goal[kept], self.to_target[kept])

    def json(self, target_bin: Bin) -> JsonObject:
        """Return the row of a bin as plain data."""
        mazes = target_bin.mazes
        path = self.path[mazes]
        return {
            **dataclasses.asdict(self.label),
            "size": self.size,
            "bin": target_bin.name,
            "low": target_bin.low,
            "high": target_bin.high,
            **TaskOutcomes(self.outcomes(mazes), self.outcomes(mazes & self.off_path)).json(),
            "path_probability": number(float(path.mean())) if len(path) else None,
        }

    def rows(self, bins: Sequence[Bin]) -> list[JsonObject]:
        """Return a row for each bin that holds a maze."""
        return [self.json(one) for one in bins if one.name == ALL or one.mazes.any()]


def run_trial(
    label: TrialLabel,
    task: RetargetingTask,
    policy: NetworkPolicy,
    edits: Sequence[Edit] = (),
    levels: LevelBatch | None = None,
) -> Trial:
    """Run one condition on a task.

    Args:
        label: of the condition; its `steps` says whether the edits act at every step or at the first only.
        task: the mazes and targets.
        policy: the agent.
        edits: the edits to apply.
        levels: what the agent sees instead of the task's levels, where something was physically moved.
    """
    if label.steps == FIRST:
        edits = at_first_steps(edits, 1)
    observed_levels = task.levels if levels is None else levels
    with applied(policy, edits):
        trajectory = rollout(policy, observed_levels, seed=task.seed, until=task.targets)
    # The goal blocks the path where the task has it, also where the agent sees it moved.
    path = path_probability(policy, observed_levels, task.move, edits)
    return Trial(
        label,
        task.levels.width,
        task.off_path,
        trajectory.first_visit(task.goals),
        trajectory.first_visit(task.targets),
        path,
    )
