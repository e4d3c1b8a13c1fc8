"""Two goals in order: the second is rewritten in the memory. Is the first still reached, and reached as before?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import NEVER, Trajectory, rollout
from goalmaze.agents.sites import find_site, is_memory_site
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import FITTING, Family, LevelBatch
from goalmaze.envs.solving import lies_on_shortest_path
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.common.tables import Table, formatted, interval, number
from goalmaze.experiments.evaluate.fitted_results import FittedResult
from goalmaze.experiments.evaluate.training_overlap import quick_overlap
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.rewrite_subject import MEMORY, strongest
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task, make_fit_context
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.edits.base import Edit, applied, at_steps
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.memory import activations_along
from goalmaze.probes.edits.memory_table import GoalMemories
from goalmaze.probes.edits.patches import Patch
from goalmaze.probes.rewriting.registry import fit_memory_method

METHOD = "goal-table-start"
"""The edit: the table with the start cell, which explains what the path to the first goal needs."""

FIRST_STEP = (1,)
"""The memory is rewritten once, behind the first step."""


@dataclasses.dataclass(frozen=True)
class SecondGoalRow:
    """Where an agent goes under a condition.

    Attributes:
        condition: "none", "edit", "random", "other-maze", "memory-swap", "reference", "unedited-untrained" or
            "floor-untrained".
        strength: factor on the edit; None where none was fitted.
        first: rate of mazes in which it reaches the first goal.
        target: rate of mazes in which it reaches the target behind the first goal, and before the second.
        second: rate of mazes in which it reaches the second goal behind the first, and before the target.
        target_off_path: rate of targets where the second goal lies on no shortest path from the first to the target.
        first_unchanged: rate at which it reaches the first goal by the same path as without an edit, over the mazes in
            which it reaches it without an edit.
    """

    condition: str
    strength: float | None
    first: Rate
    target: Rate
    second: Rate
    target_off_path: Rate
    first_unchanged: Rate

    @property
    def rates(self) -> dict[str, Rate]:
        """The rates by name."""
        names = ("first", "target", "second", "target_off_path", "first_unchanged")
        return {name: getattr(self, name) for name in names}

    def json(self) -> JsonObject:
        """Return the row as plain data."""
        return {
            "condition": self.condition,
            "strength": self.strength,
            **{name: number(one.value) for name, one in self.rates.items()},
            **{f"{name}_interval": interval(one) for name, one in self.rates.items()},
        }

    def row(self) -> list[object]:
        """Return the row of the table."""
        return [self.condition, formatted(self.strength, "g"), *self.rates.values()]


@dataclasses.dataclass(frozen=True)
class SecondGoalReport(FittedResult):
    """All conditions on the same mazes.

    Attributes:
        goals: the object types to be reached in order.
        rows: the conditions.
    """

    goals: tuple[str, str]
    rows: tuple[SecondGoalRow, ...]

    def row(self, condition: str) -> SecondGoalRow:
        """Return the row of a condition."""
        return next(one for one in self.rows if one.condition == condition)

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {**self.header_json(), "goals": list(self.goals), "rows": [one.json() for one in self.rows]}

    def blocks(self) -> Sequence[str | Table]:
        """Return a heading, the table, and what its columns mean."""
        header, (first, second) = self.header, self.goals
        columns = ["condition", "strength", first, "then target", f"then {second}", "target off path", "path unchanged"]
        return [
            f"{header.agent} on {header.family} {header.size}x{header.size}: the {second}, to be reached behind the "
            f"{first}, is rewritten in the memory once, after the first step; {self.rows[0].first.levels} held-out "
            f"mazes\n95 % intervals over mazes\n{self.overlap.sentence}",
            Table(columns, [one.row() for one in self.rows]),
            f"target off path: only mazes where the {second} lies on no shortest path from the {first} to the target\n"
            f"path unchanged: the {first} is reached by the same path as without an edit",
        ]


def first_goal(family: Family) -> str | None:
    """Return the object type that must be reached before the goal counts; None where there is none."""
    return next((one.after for one in family.object_types if one.name == family.goal and one.after), None)


def rewrite_second_goal(
    agent: Agent, *, size: int | None = None, levels: int = 512, fit_levels: int = 512, seed: int = 0
) -> SecondGoalReport:
    """Rewrite once, after the first step, which second goal an agent remembers, beside controls and references.

    Args:
        agent: an agent with a memory, of a family with two goals to be reached in order.
        size: rows and columns of the mazes, in cells; the agent's own where not given.
        levels: number of held-out evaluation mazes.
        fit_levels: number of fitting mazes, none of them among the held-out ones.
        seed: of the mazes and of the sampled actions.

    Raises:
        GoalmazeError: the family has one goal, or the agent has no memory.
    """
    family = agent.family.resized(size)
    before = first_goal(family)
    if before is None:
        raise GoalmazeError(
            f"{family.name} has one goal, so there is no second one to rewrite: choose an agent of a family with two, "
            "such as Glimpse with goals=2"
        )
    find_site(agent.network, MEMORY)
    assert is_memory_site(agent.network, MEMORY)
    held_out, fitting = (
        draw_retargeting_task(family, levels, seed),
        draw_retargeting_task(family, min(levels, fit_levels), seed + 1, FITTING),
    )
    subject = _Subject(agent.policy, held_out, before)
    floor = _Subject(NetworkPolicy(agent.network.untrained(seed)), held_out, before)
    rows = [subject.row("none", None), subject.row("reference", None, levels=held_out.levels_with_goal_moved())]
    rows.append(subject.row("memory-swap", None, _swap(subject)))
    for one, condition in progress([(subject, "edit"), (floor, "floor-untrained")], "rewriting", "agent"):
        context = make_fit_context(one.policy, family, fit_levels, seed)
        table = fit_memory_method(METHOD, GoalMemories.gathered(context, MEMORY))
        candidate = _strongest(dataclasses.replace(one, task=fitting), table)
        if one is floor:
            rows.append(floor.row("unedited-untrained", None))
        rows.append(one.row(condition, candidate.strength, candidate.edits(held_out)))
        if one is subject:
            rows.append(one.row("random", candidate.strength, candidate.noise_edits(held_out)))
            rows.append(one.row("other-maze", candidate.strength, candidate.mismatched_edits(held_out)))
    header = ResultHeader(agent.name, family.name, family.size, levels, seed)
    return SecondGoalReport(
        header, fit_levels, quick_overlap(agent, held_out.levels), (before, family.goal), tuple(rows)
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Subject:
    """An agent in mazes with two goals.

    Attributes:
        policy: of the agent.
        task: the mazes, with a target for the second goal.
        before: the object type of the first goal.
    """

    policy: NetworkPolicy
    task: RetargetingTask
    before: str

    def row(
        self, condition: str, strength: float | None, edits: Sequence[Edit] = (), levels: LevelBatch | None = None
    ) -> SecondGoalRow:
        """Return the row of a condition: edits once, behind the first step, or other levels."""
        task = self.task
        played = task.levels if levels is None else levels
        with applied(self.policy, at_steps(edits, FIRST_STEP)):
            run = rollout(self.policy, played, seed=task.seed)
        plain = rollout(self.policy, task.levels, seed=task.seed)
        first, usual = (one.first_visit(task.levels.cells(self.before)) for one in (run, plain))
        # A goal that was crossed on the path to the first one does not count.
        to_target, to_second = (visit_behind(run, cells, first) for cells in (task.targets, task.goals))
        target, second = to_target < to_second, to_second < to_target
        gates = task.levels.cells(self.before)
        off_path = ~lies_on_shortest_path(task.levels, gates, task.targets, task.goals)
        came, same = usual < NEVER, _same_path(run, plain, usual)
        return SecondGoalRow(
            condition,
            strength,
            rate(int((first < NEVER).sum()), len(first)),
            rate(int(target.sum()), len(target)),
            rate(int(second.sum()), len(second)),
            rate(int(target[off_path].sum()), int(off_path.sum())),
            rate(int(same[came].sum()), int(came.sum())),
        )


def visit_behind(trajectory: Trajectory, cells: Cells, after: Cells) -> NDArray[np.int32]:
    """Return int32 [B], the step after which the agent first stands on cells [B] at or behind a step [B]; else `NEVER`.

    Args:
        trajectory: the episodes.
        cells: int32 [B].
        after: int32 [B], the step; `NEVER` where it does not come.
    """
    steps = np.arange(len(trajectory.agent))[:, None]
    on_cell = (trajectory.agent == cells) & (steps >= after)
    return np.where(on_cell.any(axis=0), on_cell.argmax(axis=0), NEVER).astype(np.int32)


def _same_path(run: Trajectory, plain: Trajectory, until: Cells) -> Bools:
    """Return bool [B], whether two agents stand on the same cells up to a step [B]."""
    length = min(len(run.agent), len(plain.agent))
    differs = (run.agent[:length] != plain.agent[:length]) & (np.arange(length)[:, None] <= until)
    # The longer trajectory goes on where another episode of its batch does.
    return np.asarray(~differs.any(axis=0) & (until < length), np.bool_)


def _strongest(fitting: _Subject, table: FittedEdit) -> Candidate:
    """Return the edit at the strength that brings most agents to the target on fitting mazes."""

    def targets(one: Candidate) -> float:
        return fitting.row("edit", one.strength, one.edits(fitting.task)).target_off_path.value

    return strongest(Candidate(MEMORY, METHOD, table), targets)[1]


def _swap(subject: _Subject) -> list[Edit]:
    """Return the patch of what the agent would remember where the second goal was shown at the target."""
    moved = subject.task.levels_with_goal_moved()
    return [Patch(MEMORY, source=activations_along(subject.policy, moved, MEMORY, FIRST_STEP[0]))]
