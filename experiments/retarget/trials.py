"""One condition of the benchmark on all mazes of a task, and its rows: one for each bin of targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from goalmaze.agents.compass import Compass
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.evaluate.metrics import Outcomes, outcomes
from goalmaze.experiments.retarget.bins import ALL, Bin
from goalmaze.experiments.retarget.task import RetargetingTask, TaskOutcomes
from goalmaze.experiments.statistics.intervals import Rate
from goalmaze.probes.edits.base import Edit, applied, at_first_steps
from goalmaze.probes.procgen_tools.path_probability import Floats, path_probability

NONE, EDIT, ORACLE = "none", "edit", "oracle"
RANDOM, PERMUTED, OTHER_MAZE = "random", "permuted-channels", "other-maze"
MOVED_CUE, MOVED_BOTH, MOVED_WALLED = "moved-cue", "moved-both", "moved-both-walled"
PICTURES = (MOVED_CUE, MOVED_BOTH, MOVED_WALLED)
"""The physical changes of the observation; the best of them is the reference of an edit."""

COMPASS, FITTED_ABOVE, FITTED_UNTRAINED = "compass", "fitted-untrained-above", "fitted-untrained-network"
FLOORS = (COMPASS, FITTED_ABOVE, FITTED_UNTRAINED)
"""What reaches targets although no goal of the agent was rewritten; the best of them is the floor of an edit."""

UNTRAINED_ABOVE, UNTRAINED_NETWORK = "unedited-untrained-above", "unedited-untrained-network"
VARIANT = "variant"
EVERY, FIRST = "every", "first"


@dataclasses.dataclass(frozen=True)
class TrialLabel:
    """What was done to the agent.

    Attributes:
        condition: `NONE`; `EDIT`; `VARIANT`, the edit at another strength or footprint; `ORACLE`, an edit that
            uses more than cells. Controls: `RANDOM`, noise of the edit's norm; `PERMUTED`, the edit's change with
            other channels; `OTHER_MAZE`, the edit of the next maze. References: `MOVED_CUE`, the cue physically on the
            target; `MOVED_BOTH`, goal and cue; `MOVED_WALLED`, goal and cue, and a wall on the old goal's cell.
            Floors: `COMPASS`, a script that knows the target's direction; `FITTED_ABOVE`, the method fitted anew to a
            network that is untrained above the site; `FITTED_UNTRAINED`, to one that is untrained everywhere; and
            these networks without an edit, `UNTRAINED_ABOVE` and `UNTRAINED_NETWORK`.
        site: the site, or sites joined by +; None where nothing was edited.
        method: the steering method; None where nothing was edited.
        steps: `EVERY` or `FIRST`; None where nothing was edited.
        strength: factor on the edit, of a `VARIANT`.
        footprint: rows and columns of squares that the pattern of a `VARIANT` writes; None for all.
    """

    condition: str
    site: str | None = None
    method: str | None = None
    steps: str | None = None
    strength: float | None = None
    footprint: int | None = None


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

    @property
    def off_path_rate(self) -> Rate:
        """The rate of targets reached first on the mazes where the goal lies on no shortest path to the target."""
        return self.outcomes(self.off_path).other

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
    policy: NetworkPolicy | Compass,
    edits: Sequence[Edit] = (),
    levels: LevelBatch | None = None,
) -> Trial:
    """Run one condition on a task.

    Args:
        label: of the condition; its `steps` says whether the edits act at every step or at the first only.
        task: the mazes and targets.
        policy: the agent, or the scripted baseline, whose path probability is NaN.
        edits: the edits to apply to an agent.
        levels: what the agent sees instead of the task's levels, where something was physically moved.
    """
    if label.steps == FIRST:
        edits = at_first_steps(edits, 1)
    observed_levels = task.levels if levels is None else levels
    if isinstance(policy, Compass):
        trajectory = rollout(policy, observed_levels, seed=task.seed, until=task.targets)
        path = np.full(len(observed_levels), np.nan)
    else:
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
