"""The last act of the demonstration: the goal of an agent that only remembers it is rewritten once."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.agents.loading import Agent
from goalmaze.agents.rollout import Trajectory
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.rewrite_checks import other_target_row
from goalmaze.experiments.retarget.rewrite_rows import (
    COLUMNS,
    EDIT,
    NONE,
    ONCE,
    OTHER_TARGET,
    RANDOM,
    REFERENCE,
    RewriteRow,
)
from goalmaze.experiments.retarget.rewrite_subject import MEMORY, Subject, make_subject, taken

METHOD = "goal-table"
STRENGTH = 2.0
"""Not selected here, to save time; `goalmaze retarget zoo:glimpse-drc` selects 4 on fitting mazes."""

AFTER = 1
LEVELS, FIT_LEVELS = 256, 256


@dataclasses.dataclass(frozen=True, eq=False)
class RememberedGoal:
    """An agent whose memory is rewritten once, beside its controls.

    Attributes:
        agent: the agent.
        subject: it and its mazes.
        edit: what rewrites its memory.
        rows: the conditions.
    """

    agent: Agent
    subject: Subject
    edit: Candidate
    rows: tuple[RewriteRow, ...]

    def row(self, condition: str) -> RewriteRow:
        """Return the row of a condition."""
        return next(row for row in self.rows if row.condition == condition)

    def example(self) -> tuple[Trajectory, int]:
        """Return the episode in the maze to draw, with the rewritten memory, and its target.

        It is the first maze whose goal and target are far from the start and off each other's path: what the agent
        does there is not used for the choice.
        """
        task = self.subject.task
        from_start = distances(task.levels, task.levels.start)
        far = np.minimum(pick(from_start, task.goals), pick(from_start, task.targets)) >= task.family.size
        one = taken(task, np.array([(far & task.off_path).argmax()], np.int32))
        return one.rollout(self.subject.policy, self.subject.timed(self.edit.edits(one))), int(one.targets[0])

    def json(self) -> JsonObject:
        """Return the conditions as plain data."""
        return {"agent": self.agent.name, "rows": [row.json() for row in self.rows]}

    def blocks(self) -> list[str | Table]:
        """Return what is done, the table, and the conclusion."""
        family = self.agent.family
        none, noise, other, edit, reference = (
            f"{self.row(condition).outcomes.off_path.other.value:.0%}"
            for condition in (NONE, RANDOM, OTHER_TARGET, EDIT, REFERENCE)
        )
        return [
            f"5. The sharper test: {self.agent.name} sees {family.goal} and {family.cue} in its first observation only "
            f"and must remember\n   them. Rewrite its memory once, after step {AFTER}: a constant that is given two "
            "cells, and nothing about the maze.",
            Table(COLUMNS, [row.cells() for row in self.rows]),
            f"   Where the {family.goal} is off the path, it then reaches the target first in {edit}; where its first "
            f"observation itself shows the\n   {family.goal} at the target, in {reference}. Without an edit: {none}; "
            f"with noise of equal norm: {noise}; with the {family.goal} removed and\n   another cell written: {other}. "
            "No observation names a goal any more: what was rewritten is what it remembers.",
        ]


def check_memory(agent: Agent) -> None:
    """Raise `GoalmazeError` for an agent without a memory."""
    if not agent.network.memory_sites():
        raise GoalmazeError(f"{agent.name} has no memory to rewrite: choose an agent with one, such as zoo:glimpse-drc")


def rewrite_remembered(agent: Agent) -> RememberedGoal:
    """Rewrite what an agent remembers of its goal, once, beside controls and the reference.

    Raises:
        GoalmazeError: the agent has no memory.
    """
    check_memory(agent)
    subject = make_subject(agent.policy, agent.family, AFTER, levels=LEVELS, fit_levels=FIT_LEVELS, seed=0)
    task = subject.task
    edit = dataclasses.replace(subject.fitted(MEMORY, METHOD), strength=STRENGTH)
    reference = task.evaluate(subject.policy, levels=task.levels_with_goal_moved())
    rows = (
        subject.row(NONE),
        subject.row(RANDOM, edit, subject.timed(edit.noise_edits(task))),
        other_target_row(subject, edit),
        subject.edit_row(EDIT, edit),
        RewriteRow(REFERENCE, None, None, ONCE, None, reference, AFTER),
    )
    return RememberedGoal(agent, subject, edit, rows)
