"""Errands: held-out mazes with a cell each to send the agent to. Every steering experiment is judged by them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.levels import EVALUATION, Family, LevelBatch
from goalmaze.envs.solving import lies_on_shortest_path
from goalmaze.experiments.evaluate.metrics import Outcomes, outcomes
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.edits.composition import EqualNormNoise, Found, edits_of
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.targets import draw_targets


@dataclasses.dataclass(frozen=True)
class Arrivals:
    """Which was reached first, target or goal.

    Attributes:
        everywhere: on all mazes.
        off_path: on the mazes where the goal does not lie on a shortest path to the target; entering it on the way
            would end the episode.
    """

    everywhere: Outcomes
    off_path: Outcomes


@dataclasses.dataclass(frozen=True)
class RetargetingTask:
    """Mazes in which an agent is to reach a target that nothing it sees marks.

    Attributes:
        levels: B mazes, the cue on the goal.
        targets: int32 [B], the cells to reach.
        off_path: bool [B], True where the goal lies on no shortest path to the target.
        seed: of the sampled actions; every condition is judged with equal luck.
    """

    levels: LevelBatch
    targets: Cells
    off_path: Bools
    seed: int

    @property
    def family(self) -> Family:
        """The family of the levels."""
        return self.levels.family

    @property
    def goals(self) -> Cells:
        """int32 [B], the cells of the goal."""
        return self.levels.cells(self.family.goal)

    def edit(self, pattern: GoalPattern, strength: float = 1.0) -> Add:
        """Return the edit that moves the goal to the targets; it is told two cells a maze and nothing else."""
        return pattern.edit(GoalMove.on(self.levels, self.targets), strength)

    def edits(self, found: Found, strength: float = 1.0) -> list[Edit]:
        """Return the edits that move the goal to the targets, at all sites at which something was found."""
        return edits_of(found, GoalMove.on(self.levels, self.targets), strength)

    def noise(self, found: Found, strength: float = 1.0) -> list[Edit]:
        """Return the control of these edits: noise that changes each maze's activations by as much."""
        return [EqualNormNoise(edit, len(self.levels), self.seed) for edit in self.edits(found, strength)]

    def edits_of_another(self, found: Found, strength: float = 1.0) -> list[Edit]:
        """Return for each maze the edits that belong to the next one: the control of the right cells."""
        goals, targets = np.roll(self.goals, -1), np.roll(self.targets, -1)
        return edits_of(found, GoalMove(goals, targets, self.levels.height, self.levels.width), strength)

    def cue_moved(self) -> RetargetingTask:
        """Return the errand with the cue physically on the target: the mark that editing is compared with."""
        return dataclasses.replace(self, levels=self.levels.moved(self.family.cue, self.targets))

    def seen_moved(self) -> LevelBatch:
        """Return the levels with goal and cue both physically on the target."""
        return self.cue_moved().levels.moved(self.family.goal, self.targets)

    def first(self, mazes: int) -> RetargetingTask:
        """Return the errand on its first mazes alone."""
        rows = np.arange(min(mazes, len(self.levels)))
        return dataclasses.replace(
            self, levels=self.levels.take(rows), targets=self.targets[rows], off_path=self.off_path[rows]
        )

    def towards(self, levels: LevelBatch, targets: Cells) -> RetargetingTask:
        """Return the errand on other levels [B] with targets [B] of one's own."""
        goal_in_way = lies_on_shortest_path(levels, levels.start, targets, levels.cells(self.family.goal))
        return dataclasses.replace(self, levels=levels, targets=targets, off_path=~goal_in_way)

    def stay(self) -> RetargetingTask:
        """Return the errand whose target is the goal itself: what an edit does where nothing is to change."""
        return dataclasses.replace(self, targets=self.goals, off_path=np.zeros(len(self.levels), np.bool_))

    def play(self, policy: NetworkPolicy, edits: Sequence[Edit] = (), *, whole: bool = True) -> Trajectory:
        """Return what the agent does under the edits: in whole episodes, or until it reaches the target."""
        with applied(policy, edits):
            return rollout(policy, self.levels, seed=self.seed, until=None if whole else self.targets)

    def run(self, policy: NetworkPolicy, edits: Sequence[Edit] = ()) -> Arrivals:
        """Return where the agent arrives first under the edits."""
        trajectory = self.play(policy, edits, whole=False)
        to_goal, to_target = trajectory.first_visit(self.goals), trajectory.first_visit(self.targets)
        return Arrivals(outcomes(to_goal, to_target), outcomes(to_goal[self.off_path], to_target[self.off_path]))


def draw_retargeting_task(family: Family, levels: int, seed: int, split: str = EVALUATION) -> RetargetingTask:
    """Return an errand on the first `levels` mazes of a seed and split, with a random reachable target in each."""
    batch = united_levels(family, levels, seed, split)
    targets = draw_targets(batch, seed)
    return RetargetingTask(batch, targets, np.ones(levels, np.bool_), seed).towards(batch, targets)


def united_levels(family: Family, levels: int, seed: int, split: str) -> LevelBatch:
    """Return the first mazes of a seed and split with the cue on the goal, whatever the training correlation."""
    batch = family.levels(seed, np.arange(levels), split=split)
    return batch.moved(family.cue, batch.cells(family.goal))
