"""Rewriting a memory once: can a goal that the agent only remembers be moved inside it? Edits beside their controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.agents.sites import find_site, is_memory_site
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import FITTING
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.evaluate.training_overlap import quick_overlap
from goalmaze.experiments.retarget.candidates import Candidate, fit_candidate
from goalmaze.experiments.retarget.rewrite_report import (
    BACK,
    EDIT,
    EVERY,
    FLOOR_MEMORYLESS,
    FLOOR_UNTRAINED,
    NONE,
    ONCE,
    OTHER_MAZE,
    RANDOM,
    REFERENCE,
    SWAP,
    UNEDITED_MEMORYLESS,
    UNEDITED_UNTRAINED,
    RewriteReport,
    RewriteRow,
)
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task, make_fit_context
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, at_steps, check_steps
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.memory import activations_along
from goalmaze.probes.edits.memory_table import fit_memory_table
from goalmaze.probes.edits.patches import Patch

TABLES: dict[str, bool] = {"goal-table": False, "goal-table-start": True}
"""Tables of goal cells, in closed form → whether the start cell explains a part of the memory as well."""

FIRST_STEP_METHODS = ("cell-means", "mean-pattern")
"""Steering methods in closed form, which read what the memory is after the first step; patterns need a map."""

MEMORY = "memory"
"""The site that is rewritten where none is named: the whole memory."""

STRENGTHS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)
"""Factors on an edit; the best one on fitting mazes is used."""

SELECTION_MAZES = 512
"""Strengths, and the edit to report as chosen, are selected on at most so many fitting mazes."""

BACK_AFTER = 2
"""Steps between a rewrite and its reversal."""


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """An agent whose memory is to be rewritten, or one that stands in for it as a floor.

    Attributes:
        context: its policy, and the mazes that edits are fitted on.
        selection: other fitting mazes, on which strengths are selected.
        task: the held-out mazes.
        after: number of the step behind which the memory is rewritten.
    """

    context: FitContext
    selection: RetargetingTask
    task: RetargetingTask
    after: int

    @property
    def policy(self) -> NetworkPolicy:
        """The policy of the agent."""
        return self.context.policy

    def with_policy(self, policy: NetworkPolicy) -> Subject:
        """Return another agent on the same mazes."""
        return dataclasses.replace(self, context=dataclasses.replace(self.context, policy=policy))

    def timed(self, edits: Sequence[Edit], steps: str = ONCE) -> list[Edit]:
        """Return edits that act after the step alone, or after every step from it on."""
        last = self.after if steps == ONCE else self.task.family.time_limit
        return at_steps(edits, range(self.after, last + 1))

    def fitted(self, site: str, method: str) -> Candidate:
        """Return a method fitted to the agent at a site."""
        if method not in TABLES:
            return fit_candidate(self.context, site, method)
        table = fit_memory_table(self.context, site, self.after, with_start=TABLES[method])
        return Candidate(site, method, dataclasses.replace(table, method=method))

    def with_best_strength(self, one: Candidate, steps: str = ONCE) -> tuple[float, Candidate]:
        """Return the rate of targets on the selection mazes where the goal is off the path, and the best strength."""
        scores = []
        for strength in STRENGTHS:
            candidate = dataclasses.replace(one, strength=strength)
            edits = self.timed(candidate.edits(self.selection), steps)
            scores.append((self.selection.evaluate(self.policy, edits).off_path.other.value, candidate))
        # Of equal scores the first wins, the smallest change.
        return max(scores, key=lambda score: score[0])

    def row(self, condition: str, one: Candidate | None, edits: Sequence[Edit], steps: str | None) -> RewriteRow:
        """Return the row of a condition on the held-out mazes."""
        outcomes = self.task.evaluate(self.policy, edits)
        site, method, strength = (None,) * 3 if one is None else (one.site, one.method, one.strength)
        return RewriteRow(condition, site, method, steps, strength, outcomes)


def rewrite_memory(
    agent: Agent,
    methods: Sequence[str] = (),
    *,
    sites: Sequence[str] = (),
    after: int = 1,
    memoryless: Agent | None = None,
    size: int | None = None,
    levels: int = 512,
    fit_levels: int = 512,
    seed: int = 0,
) -> RewriteReport:
    """Rewrite once, after one step, which goal an agent remembers, and compare with controls, floors and a reference.

    Args:
        agent: an agent with a memory, best of a family that hides its goal, such as Glimpse.
        methods: "goal-table", "goal-table-start", "cell-means", and at maps "mean-pattern"; the first two by default.
        sites: sites of the memory, the whole memory by default.
        after: number of the step behind which the memory is rewritten.
        memoryless: an agent without memory of the same family, to which the methods are fitted anew as a floor.
        size: rows and columns of the mazes, in cells; the agent's own where not given.
        levels: number of held-out evaluation mazes; those whose goal or target is no further than `after` steps away
            are left out.
        fit_levels: number of fitting mazes, none of them among the held-out ones.
        seed: of the mazes and of the sampled actions.

    Raises:
        GoalmazeError: the agent has no memory, the memory is rewritten before the first step, or there is no such site
            or method.

    Example:
        >>> import goalmaze as gm
        >>> report = gm.rewrite_memory(gm.load("zoo:green-exit-lstm"), ["goal-table"], levels=16, fit_levels=16)
        >>> report.chosen
        ('memory', 'goal-table')
    """
    check_steps((after,))
    family = agent.family.resized(size)
    sites, methods = tuple(sites) or (MEMORY,), tuple(methods) or tuple(TABLES)
    _check(agent, sites, methods, memoryless)
    selection = draw_retargeting_task(family, min(fit_levels, SELECTION_MAZES), seed + 1, FITTING)
    subject = Subject(
        make_fit_context(agent.policy, family, fit_levels, seed),
        _under_way(selection, after),
        _under_way(draw_retargeting_task(family, levels, seed), after),
        after,
    )
    rows, chosen = _agent_rows(subject, [(site, method) for site in sites for method in methods])
    rows += _floor_rows(subject, chosen, memoryless)
    header = ResultHeader(agent.name, family.name, family.size, levels, seed)
    overlap = quick_overlap(agent, subject.task.levels)
    return RewriteReport(header, fit_levels, overlap, tuple(rows), after, (chosen.site, chosen.method))


def _agent_rows(subject: Subject, pairs: Sequence[tuple[str, str]]) -> tuple[list[RewriteRow], Candidate]:
    """Return the rows of the agent itself, and the edit that does best on fitting mazes."""
    task, policy, timed = subject.task, subject.policy, subject.timed
    moved = task.levels_with_goal_moved()
    reference = task.evaluate(policy, levels=moved)
    rows = [subject.row(NONE, None, (), None), RewriteRow(REFERENCE, None, None, None, None, reference)]
    for site in dict.fromkeys(site for site, _ in pairs):
        outcomes = task.evaluate(policy, timed([_swap(subject, site)]))
        rows.append(RewriteRow(SWAP, site, None, ONCE, None, outcomes))
    scored: list[tuple[float, Candidate]] = []
    for site, method in progress(pairs, "rewriting", "edit"):
        fitted = subject.fitted(site, method)
        score, one = subject.with_best_strength(fitted)
        scored.append((score, one))
        rows.append(subject.row(EDIT, one, timed(one.edits(task)), ONCE))
        rows.append(subject.row(RANDOM, one, timed(one.noise_edits(task)), ONCE))
        rows.append(subject.row(OTHER_MAZE, one, timed(one.mismatched_edits(task)), ONCE))
        _, always = subject.with_best_strength(fitted, EVERY)
        rows.append(subject.row(EDIT, always, timed(always.edits(task), EVERY), EVERY))
    chosen = max(scored, key=lambda score: score[0])[1]
    rows.append(subject.row(BACK, chosen, _there_and_back(subject, chosen), ONCE))
    return rows, chosen


def _floor_rows(subject: Subject, chosen: Candidate, memoryless: Agent | None) -> Iterator[RewriteRow]:
    """Yield the rows of the chosen method fitted anew to agents that can remember no goal."""
    network = subject.policy.network
    floors = [(FLOOR_UNTRAINED, UNEDITED_UNTRAINED, NetworkPolicy(network.untrained(subject.task.seed)), chosen.site)]
    if memoryless is not None:
        site = [site.name for site in memoryless.network.sites() if not site.is_map][-1]
        floors.append((FLOOR_MEMORYLESS, UNEDITED_MEMORYLESS, memoryless.policy, site))
    for floor, unedited, policy, site in floors:
        other = subject.with_policy(policy)
        yield other.row(unedited, None, (), None)
        _, one = other.with_best_strength(other.fitted(site, chosen.method))
        yield other.row(floor, one, other.timed(one.edits(other.task)), ONCE)


def _swap(subject: Subject, site: str) -> Patch:
    """Return the patch of what the agent would remember, had it done the same where goal and cue are on the target."""
    actions = None
    if subject.after > 1:
        actions = rollout(subject.policy, subject.task.levels, seed=subject.task.seed).actions
    moved = subject.task.levels_with_goal_moved()
    return Patch(site, source=activations_along(subject.policy, moved, site, subject.after, actions))


def _there_and_back(subject: Subject, one: Candidate) -> list[Edit]:
    """Return the edits that move the goal to the target, and some steps later back again."""
    task = subject.task
    back = GoalMove(task.targets, task.goals, task.levels.height, task.levels.width)
    later = at_steps(one.fitted_edit.edits(back, one.strength), (subject.after + BACK_AFTER,))
    return [*subject.timed(one.edits(task)), *later]


def _under_way(task: RetargetingTask, after: int) -> RetargetingTask:
    """Return the mazes of a task in which no agent can have reached goal or target within `after` steps.

    Raises:
        GoalmazeError: there is none.
    """
    steps = distances(task.levels, task.levels.start)
    far = (pick(steps, task.goals) > after) & (pick(steps, task.targets) > after)
    if not far.any():
        raise GoalmazeError(f"goal or target is within {after} steps in all mazes: rewrite earlier, or add levels")
    kept = task.levels.take(far), task.targets[far], task.off_path[far]
    return dataclasses.replace(task, levels=kept[0], targets=kept[1], off_path=kept[2])


def _check(agent: Agent, sites: Sequence[str], methods: Sequence[str], memoryless: Agent | None) -> None:
    """Refuse sites, methods and agents that do not fit, before anything is fitted."""
    for site in sites:
        find_site(agent.network, site)
        if not is_memory_site(agent.network, site):
            names = ", ".join(one.name for one in agent.network.memory_sites())
            raise GoalmazeError(
                f"site '{site}' is computed within a step and is no part of the memory: choose {names}"
                if names
                else f"network {agent.network.name} has no memory to rewrite: choose an agent with one"
            )
    for method in methods:
        if method not in (*TABLES, *FIRST_STEP_METHODS):
            raise unknown("method for a memory", method, [*TABLES, *FIRST_STEP_METHODS])
    if memoryless is not None and memoryless.network.memory_sites():
        raise GoalmazeError(
            f"{memoryless.name} is to be an agent without memory, and its network {memoryless.network.name} has one: "
            "name another agent"
        )
