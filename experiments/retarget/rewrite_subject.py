"""The agent whose memory is rewritten, or a floor that stands in for it, with the mazes of every phase."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import FITTING, Family
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.retarget.candidates import Candidate, fit_candidate
from goalmaze.experiments.retarget.rewrite_rows import ONCE, RewriteRow
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task, make_fit_context
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, at_steps
from goalmaze.probes.edits.memory_table import GoalMemories
from goalmaze.probes.rewriting.registry import fit_memory_method, memory_methods

MEMORY = "memory"
"""The site that is rewritten where none is named: the whole memory."""

STRENGTHS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)
"""Factors on an edit; the best one on fitting mazes is used."""

SELECTION_MAZES = 512
"""Strengths, and the edit to report as chosen, are selected on at most so many fitting mazes."""


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """An agent whose memory is to be rewritten, or one that stands in for it as a floor.

    Attributes:
        context: its policy, and the mazes that edits are fitted on.
        selection: other fitting mazes, on which strengths are selected.
        task: the held-out mazes.
        after: number of the step behind which the memory is rewritten.
        gathered: site → what the agent remembers there on the fitting mazes, once it was asked for.
    """

    context: FitContext
    selection: RetargetingTask
    task: RetargetingTask
    after: int
    gathered: dict[str, GoalMemories] = dataclasses.field(default_factory=dict)

    @property
    def policy(self) -> NetworkPolicy:
        """The policy of the agent."""
        return self.context.policy

    def with_policy(self, policy: NetworkPolicy) -> Subject:
        """Return another agent on the same mazes."""
        return dataclasses.replace(self, context=dataclasses.replace(self.context, policy=policy), gathered={})

    def later(self, after: int) -> Subject:
        """Return the agent with its memory rewritten after a later step.

        Raises:
            GoalmazeError: in all mazes, goal or target is within so many steps.
        """
        selection, task = under_way(self.selection, after), under_way(self.task, after)
        return dataclasses.replace(self, selection=selection, task=task, after=after, gathered={})

    def memories(self, site: str) -> GoalMemories:
        """Return what the agent remembers at a site on the fitting mazes."""
        if site not in self.gathered:
            self.gathered[site] = GoalMemories.gathered(self.context, site, self.after)
        return self.gathered[site]

    def timed(self, edits: Sequence[Edit], steps: str = ONCE) -> list[Edit]:
        """Return edits that act after the step alone, or after every step from it on."""
        last = self.after if steps == ONCE else self.task.family.time_limit
        return at_steps(edits, range(self.after, last + 1))

    def fitted(self, site: str, method: str) -> Candidate:
        """Return a method fitted to the agent at a site."""
        if method not in memory_methods():
            return fit_candidate(self.context, site, method)
        return Candidate(site, method, fit_memory_method(method, self.memories(site)))

    def with_best_strength(
        self, one: Candidate, steps: str = ONCE, strengths: Sequence[float] = STRENGTHS
    ) -> tuple[float, Candidate]:
        """Return the rate of targets on the selection mazes where the goal is off the path, and the best strength."""

        def targets(candidate: Candidate) -> float:
            edits = self.timed(candidate.edits(self.selection), steps)
            return self.selection.evaluate(self.policy, edits).off_path.other.value

        return strongest(one, targets, strengths)

    def row(
        self, condition: str, one: Candidate | None = None, edits: Sequence[Edit] = (), steps: str = ONCE
    ) -> RewriteRow:
        """Return the row of a condition on the held-out mazes."""
        outcomes = self.task.evaluate(self.policy, edits)
        site, method, strength = (None,) * 3 if one is None else (one.site, one.method, one.strength)
        return RewriteRow(condition, site, method, steps, strength, outcomes, self.after)

    def edit_row(self, condition: str, one: Candidate, steps: str = ONCE) -> RewriteRow:
        """Return the row of an edit on the held-out mazes."""
        return self.row(condition, one, self.timed(one.edits(self.task), steps), steps)


def make_subject(
    policy: NetworkPolicy, family: Family, after: int, *, levels: int, fit_levels: int, seed: int
) -> Subject:
    """Return an agent whose memory is to be rewritten after a step, in mazes where goal and target are further away.

    Raises:
        GoalmazeError: there is no such maze.
    """
    selection = draw_retargeting_task(family, min(fit_levels, SELECTION_MAZES), seed + 1, FITTING)
    return Subject(
        make_fit_context(policy, family, fit_levels, seed),
        under_way(selection, after),
        under_way(draw_retargeting_task(family, levels, seed), after),
        after,
    )


def strongest(
    one: Candidate, score: Callable[[Candidate], float], strengths: Sequence[float] = STRENGTHS
) -> tuple[float, Candidate]:
    """Return the best score of a candidate at these strengths, and the candidate at that strength."""
    candidates = [dataclasses.replace(one, strength=strength) for strength in strengths]
    # Of equal scores the first wins, the smallest change.
    return max(((score(candidate), candidate) for candidate in candidates), key=lambda scored: scored[0])


def under_way(task: RetargetingTask, after: int) -> RetargetingTask:
    """Return the mazes of a task in which no agent can have reached goal or target within `after` steps.

    Raises:
        GoalmazeError: there is none.
    """
    steps = distances(task.levels, task.levels.start)
    far = (pick(steps, task.goals) > after) & (pick(steps, task.targets) > after)
    if not far.any():
        raise GoalmazeError(f"goal or target is within {after} steps in all mazes: rewrite earlier, or add levels")
    return taken(task, np.flatnonzero(far).astype(np.int32))


def taken(task: RetargetingTask, rows: Cells) -> RetargetingTask:
    """Return a task on the mazes `rows` int [b]."""
    return dataclasses.replace(
        task, levels=task.levels.take(rows), targets=task.targets[rows], off_path=task.off_path[rows]
    )
