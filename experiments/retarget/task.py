"""Retargeting tasks: held-out mazes with one target cell each. Every steering experiment is evaluated on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import EVALUATION, FITTING, NO_SHIFT, Family, LevelBatch
from goalmaze.envs.solving import lies_on_shortest_path
from goalmaze.experiments.common.tables import interval, number
from goalmaze.experiments.evaluate.metrics import Outcomes, outcomes
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.context import FitContext, WithGoals
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.noise import EqualNormNoise, PermutedChannels
from goalmaze.probes.targets import draw_targets

Moved = Literal["goal", "cue"]
"""What an edit moves to the target: what the activations hold of the goal's cell, or of the cue's."""


@dataclasses.dataclass(frozen=True)
class TaskLevels:
    """The levels of a task.

    Attributes:
        shift: the shift whose levels are played as they are; None for training levels with the cue put on the goal.
        moved: what edits move to the target. Where it is the cue, "goal" in outcomes is the cue.
    """

    shift: str | None = None
    moved: Moved = "goal"

    def __post_init__(self) -> None:
        if self.moved == "cue" and self.shift is None:
            raise GoalmazeError("goal and cue share a cell in these levels: give a shift too, or move the goal")

    def object_type(self, family: Family) -> str:
        """Return the object type that edits move."""
        return family.cue if self.moved == "cue" else family.goal

    def counterpart(self, family: Family) -> str | None:
        """Return the other of goal and cue; None where the two share a cell."""
        return None if self.shift is None else family.goal if self.moved == "cue" else family.cue

    def json(self) -> JsonObject:
        """Return the levels as plain data."""
        return {"shift": self.shift, "moved": self.moved}

    def text(self, moved: str) -> str:
        """Return the end of a heading that says which levels were played and which object type edits move."""
        if self.shift is None:
            return ""
        where = "the training distribution" if self.shift == NO_SHIFT else f"shift {self.shift}"
        return f" of {where}; edits move the {moved}"


@dataclasses.dataclass(frozen=True)
class TaskOutcomes:
    """Whether the agent reached the target or the goal first.

    Attributes:
        overall: on all mazes.
        off_path: on the mazes where the goal lies on no shortest path to the target. On the other mazes the agent
            would enter the goal on its path, which ends the episode.
        counterpart: rate of mazes on which the other of goal and cue was reached before both; None where the two share
            a cell, or where nothing recorded it.
    """

    overall: Outcomes
    off_path: Outcomes
    counterpart: Rate | None = None

    def json(self) -> JsonObject:
        """Return the outcomes as plain data."""
        data = _outcomes_json(self.overall) | {"off_path": _outcomes_json(self.off_path)}
        return data if self.counterpart is None else {**data, "counterpart": number(self.counterpart.value)}


@dataclasses.dataclass(frozen=True)
class RetargetingTask(WithGoals):
    """Mazes in which an agent is to reach a target that nothing in its observation marks.

    Attributes:
        levels: B mazes, the cue on the goal unless `drawn` names a shift.
        targets: int32 [B], the cells to reach.
        off_path: bool [B], True where the goal lies on no shortest path to the target.
        seed: of the sampled actions; all conditions are evaluated with the same random numbers.
        drawn: what the levels are, and what edits move.
    """

    levels: LevelBatch
    targets: Cells
    off_path: Bools
    seed: int
    drawn: TaskLevels = dataclasses.field(default_factory=TaskLevels)

    @property
    def goals(self) -> Cells:
        """int32 [B], the cells of what edits move: the goal, or the cue where `drawn` says so."""
        return self.levels.cells(self.drawn.object_type(self.family))

    @property
    def move(self) -> GoalMove:
        """The move of the goal to the targets."""
        return GoalMove(self.goals, self.targets, self.levels.height, self.levels.width)

    def edits(self, fitted_edit: FittedEdit, strength: float = 1.0) -> list[Edit]:
        """Return the edits, one a site, that move the goal to the targets."""
        return fitted_edit.edits(self.move, strength)

    def noise_edits(self, fitted_edit: FittedEdit, strength: float = 1.0) -> list[Edit]:
        """Return a control: noise that changes each maze's activations by the same norm as the edits."""
        return [EqualNormNoise(edit, len(self.levels), self.seed) for edit in self.edits(fitted_edit, strength)]

    def permuted_edits(self, fitted_edit: FittedEdit, strength: float = 1.0) -> list[Edit]:
        """Return a control: the change that the edits make, of the same norm, with its channels exchanged."""
        return [PermutedChannels(edit, len(self.levels), self.seed) for edit in self.edits(fitted_edit, strength)]

    def mismatched_edits(self, fitted_edit: FittedEdit, strength: float = 1.0) -> list[Edit]:
        """Return a control: for each maze the edits of the next maze, whose goal and target are other cells."""
        # Rolled by one maze: targets and goals keep their distribution and lose their relation to the maze.
        move = GoalMove(np.roll(self.goals, -1), np.roll(self.targets, -1), self.levels.height, self.levels.width)
        return fitted_edit.edits(move, strength)

    def levels_with_cue_moved(self) -> LevelBatch:
        """Return the levels with the cue physically on the target: the reference that edits are compared with."""
        return self.levels.moved(self.family.cue, self.targets)

    def levels_with_goal_moved(self) -> LevelBatch:
        """Return the levels with goal and cue both physically on the target."""
        return self.levels.with_goal_and_cue_at(self.targets)

    def levels_with_old_goal_walled(self) -> LevelBatch:
        """Return the levels with goal and cue physically on the target and a wall on the goal's former cell.

        This is the strongest picture: the agent sees no reason to enter the former goal's cell. Where another object
        stands on that cell, it gets no wall.
        """
        moved, goals = self.levels_with_goal_moved(), self.goals
        occupied = (moved.objects == goals[:, None]).any(axis=1) | (goals == moved.start)
        rows = np.flatnonzero((goals != self.targets) & (goals != ABSENT) & ~occupied)
        walls = moved.walls.copy()
        walls.reshape(len(walls), -1)[rows, goals[rows]] = True
        return dataclasses.replace(moved, walls=walls)

    def take_first(self, mazes: int) -> RetargetingTask:
        """Return the task on its first `mazes` mazes, or on all where it has fewer."""
        rows = np.arange(min(mazes, len(self.levels)))
        return dataclasses.replace(
            self, levels=self.levels.take(rows), targets=self.targets[rows], off_path=self.off_path[rows]
        )

    def with_targets(self, levels: LevelBatch, targets: Cells) -> RetargetingTask:
        """Return a task with the same seed on other levels [B] and targets int32 [B]."""
        goals = levels.cells(self.drawn.object_type(levels.family))
        on_path = lies_on_shortest_path(levels, levels.start, targets, goals)
        return dataclasses.replace(self, levels=levels, targets=targets, off_path=~on_path)

    def with_goals_as_targets(self) -> RetargetingTask:
        """Return the task whose target is the goal itself, so that an edit should change nothing."""
        # The goal lies at the end of every path to itself, so no maze counts as off its path.
        return dataclasses.replace(self, targets=self.goals, off_path=np.zeros(len(self.levels), np.bool_))

    def rollout(self, policy: NetworkPolicy, edits: Sequence[Edit] = ()) -> Trajectory:
        """Return whole episodes of the agent under the edits."""
        with applied(policy, edits):
            return rollout(policy, self.levels, seed=self.seed)

    def evaluate(
        self, policy: NetworkPolicy, edits: Sequence[Edit] = (), levels: LevelBatch | None = None
    ) -> TaskOutcomes:
        """Return whether the agent reaches the target or the goal first under the edits.

        Args:
            policy: the agent.
            edits: applied at every step.
            levels: what the agent is in instead of the task's levels, where objects were physically moved. The goal's
                cell is still that of the task.
        """
        with applied(policy, edits):
            played = self.levels if levels is None else levels
            trajectory = rollout(policy, played, seed=self.seed, until=self.targets)
        to_goal, to_target = trajectory.first_visit(self.goals), trajectory.first_visit(self.targets)
        return TaskOutcomes(
            outcomes(to_goal, to_target),
            outcomes(to_goal[self.off_path], to_target[self.off_path]),
            self._counterpart_rate(trajectory, np.minimum(to_goal, to_target)),
        )

    def _counterpart_rate(self, trajectory: Trajectory, others: NDArray[np.integer]) -> Rate | None:
        """Return the rate of mazes on which the counterpart's cell is visited before step `others` int32 [B]."""
        counterpart = self.drawn.counterpart(self.family)
        if counterpart is None:
            return None
        return rate(int((trajectory.first_visit(self.levels.cells(counterpart)) < others).sum()), len(self.levels))


def draw_retargeting_task(
    family: Family, levels: int, seed: int, split: str = EVALUATION, drawn: TaskLevels | None = None
) -> RetargetingTask:
    """Return a task on the first `levels` mazes of a seed and split, with a random reachable target in each.

    Args:
        family: of the mazes.
        levels: number of mazes.
        seed: of the mazes, the targets and the sampled actions.
        split: of the mazes.
        drawn: what the levels are; training levels with the cue on the goal where None.

    Raises:
        GoalmazeError: there are no levels, the shift is unknown, or no level holds a cue that edits are to move.
    """
    drawn = TaskLevels() if drawn is None else drawn
    if drawn.shift is None:
        batch = levels_with_cue_on_goal(family, levels, seed, split)
    else:
        batch = family.levels(seed, np.arange(levels), drawn.shift, split)
        # A level without a goal is a task too: there an edit only writes at the target.
        if drawn.moved == "cue" and (batch.cells(family.cue) == ABSENT).all():
            raise GoalmazeError(
                f"levels of shift {drawn.shift} hold no {family.cue} that an edit could move: choose another shift"
            )
    targets = draw_targets(batch, seed)
    # `with_targets` computes which goals are off the path; the ones stand in until then.
    return RetargetingTask(batch, targets, np.ones(levels, np.bool_), seed, drawn).with_targets(batch, targets)


def make_fit_context(policy: NetworkPolicy, family: Family, levels: int, seed: int) -> FitContext:
    """Return the policy and the mazes, with the cue on the goal, that steering methods are fitted on.

    Raises:
        GoalmazeError: there are no levels.
    """
    return FitContext(policy, levels_with_cue_on_goal(family, levels, seed, FITTING), seed)


def levels_with_cue_on_goal(family: Family, levels: int, seed: int, split: str) -> LevelBatch:
    """Return the first mazes of a seed and split with the cue on the goal, whatever the family's mixture.

    Raises:
        GoalmazeError: there are no levels.
    """
    if levels < 1:
        raise GoalmazeError(f"the number of levels is {levels}: choose 1 or more")
    batch = family.levels(seed, np.arange(levels), split=split)
    # Also where a family's mixture separates them in some mazes: fitting must not depend on its rate.
    return batch.moved(family.cue, batch.cells(family.goal))


def _outcomes_json(one: Outcomes) -> JsonObject:
    return {
        "outcomes": {
            "target": number(one.other.value),
            "goal": number(one.goal.value),
            "neither": number(one.neither.value),
        },
        "target_interval": interval(one.other),
        "levels": one.other.levels,
    }
