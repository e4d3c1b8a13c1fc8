"""Checks of a rewritten memory: what an edit costs where it should change nothing, and whether it can be undone."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.agents.rollout import rollout
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import Table, number
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.rewrite_rows import (
    BACK,
    COLUMNS,
    EDIT,
    NONE,
    OTHER_TARGET,
    RESTORED,
    STAY,
    RewriteRow,
)
from goalmaze.experiments.retarget.rewrite_subject import STRENGTHS, Subject, under_way
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.edits.base import Edit, applied, at_steps
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.memory import activations_along
from goalmaze.probes.edits.memory_table import GoalMemories
from goalmaze.probes.edits.patches import Patch
from goalmaze.probes.rewriting.registry import fit_memory_method, memory_methods

BACK_AFTER = 2
"""Steps between a rewrite and its reversal."""


@dataclasses.dataclass(frozen=True)
class Restoration:
    """What happens after a rewrite was undone two steps later.

    Goals are counted in mazes where neither goal nor target can be reached before the reversal.

    Attributes:
        rows: `NONE`, `EDIT`, `BACK` (the target's memory exchanged for the goal's by a constant) and `RESTORED` (the
            memory replaced by what the unedited agent would remember of the same steps, an oracle).
    """

    rows: tuple[RewriteRow, ...]

    def goal_rate(self, condition: str) -> float:
        """Return the rate of mazes on which the goal was reached first under a condition."""
        return next(one for one in self.rows if one.condition == condition).outcomes.overall.goal.value

    @property
    def of_unedited(self) -> float:
        """The rate of goals after the reversal, over that without any edit."""
        return self.goal_rate(BACK) / self.goal_rate(NONE) if self.goal_rate(NONE) else float("nan")

    @property
    def of_restored(self) -> float:
        """The rate of goals after the reversal, over that with the memory of an unedited agent."""
        return self.goal_rate(BACK) / self.goal_rate(RESTORED) if self.goal_rate(RESTORED) else float("nan")

    def json(self) -> JsonObject:
        """Return the restoration as plain data."""
        rates = {"of_unedited": number(self.of_unedited), "of_restored": number(self.of_restored)}
        return rates | {"rows": [row.json() for row in self.rows]}

    def blocks(self) -> list[str | Table]:
        """Return a table, and what its rows say."""
        return [
            Table(COLUMNS, [row.cells() for row in self.rows]),
            f"there-and-back: rewritten, and {BACK_AFTER} steps later back; restored: then replaced by the memory of "
            f"an unedited agent\nthere-and-back reaches the goal in {self.of_unedited:.2f} of the rate without "
            f"an edit, and in {self.of_restored:.2f} of that of restored",
        ]


def stay_row(subject: Subject, one: Candidate) -> RewriteRow:
    """Return the row of an edit whose target is the goal itself; what is missing from 1 in `goal` is its cost."""
    staying = dataclasses.replace(subject, task=subject.task.with_goals_as_targets())
    return staying.edit_row(STAY, one)


def other_target_row(subject: Subject, one: Candidate) -> RewriteRow:
    """Return the row of an edit that removes the goal as the edit does, and writes the target of the next maze.

    An agent that has lost its goal meets the target more often than one that walks to its goal. What the edit reaches
    beyond this row is owed to the target that it writes.
    """
    task = subject.task
    move = GoalMove(task.goals, np.roll(task.targets, -1), task.levels.height, task.levels.width)
    return subject.row(OTHER_TARGET, one, subject.timed(one.fitted_edit.edits(move, one.strength)))


def restoration(subject: Subject, one: Candidate) -> Restoration:
    """Return what happens where the edit of one step is undone `BACK_AFTER` steps later.

    The constant that undoes it is fitted to what the agent remembers by then, since the memory has changed meanwhile.
    Its strength, and whether that constant or the edit's own is used, are selected on fitting mazes.
    """
    last = subject.after + BACK_AFTER
    there = dataclasses.replace(
        subject, task=under_way(subject.task, last), selection=under_way(subject.selection, last)
    )
    reversals: list[FittedEdit] = [one.fitted_edit]
    if one.method in memory_methods():
        memories = GoalMemories.gathered(subject.context, one.site, last)
        reversals += [fit_memory_method(one.method, memories), fit_memory_method("erase-and-write", memories)]

    def edits(task: RetargetingTask, reversal: FittedEdit, strength: float) -> list[Edit]:
        back = GoalMove(task.targets, task.goals, task.levels.height, task.levels.width)
        return [*there.timed(one.edits(task)), *at_steps(reversal.edits(back, strength), (last,))]

    def goals(choice: tuple[FittedEdit, float]) -> float:
        outcomes = there.selection.evaluate(there.policy, edits(there.selection, *choice))
        return outcomes.overall.goal.value

    reversal, strength = max(((fitted, strength) for fitted in reversals for strength in STRENGTHS), key=goals)
    undone = dataclasses.replace(one, method=reversal.method or one.method, strength=strength)
    return Restoration(
        (
            there.row(NONE),
            there.edit_row(EDIT, one),
            there.row(BACK, undone, edits(there.task, reversal, strength)),
            there.row(RESTORED, None, [*there.timed(one.edits(there.task)), _unedited(there, one, last)]),
        )
    )


def _unedited(subject: Subject, one: Candidate, last: int) -> Edit:
    """Return the edit that sets the memory to what the agent would remember of the same steps without the edit."""
    task, policy = subject.task, subject.policy
    with applied(policy, subject.timed(one.edits(task))):
        # Actions depend on seed, maze and step alone, so the agent takes the same ones when it is evaluated.
        actions = rollout(policy, task.levels, seed=task.seed).actions
    source = activations_along(policy, task.levels, one.site, last, actions)
    return at_steps([Patch(one.site, source=source)], (last,))[0]
