"""Rewriting a memory once: can a goal that the agent only remembers be moved inside it? Edits beside their controls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.agents.sites import find_site, is_memory_site
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.evaluate.training_overlap import quick_overlap
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.memory_units import carrying_units
from goalmaze.experiments.retarget.rewrite_checks import other_target_row, restoration, stay_row
from goalmaze.experiments.retarget.rewrite_report import RewriteReport
from goalmaze.experiments.retarget.rewrite_rows import (
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
    RewriteRow,
)
from goalmaze.experiments.retarget.rewrite_subject import MEMORY, Subject, make_subject
from goalmaze.probes.edits.base import check_steps
from goalmaze.probes.edits.cell_table import CellTable
from goalmaze.probes.edits.memory import activations_along
from goalmaze.probes.edits.patches import Patch
from goalmaze.probes.rewriting.registry import memory_methods

METHODS = ("goal-table", "goal-table-start")
"""Methods that are compared where none are named; the benchmark compares all memory methods."""

FIRST_STEP_METHODS = ("cell-means", "mean-pattern")
"""Steering methods in closed form, which read what the memory is after the first step; patterns need a map."""

EVERY_STEP_METHODS = ("goal-table",)
"""Methods whose edit the benchmark also repeats at every later step."""

LATER = (3, 5)
"""Steps behind which the benchmark rewrites the memory as well."""


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
    benchmark: bool = False,
) -> RewriteReport:
    """Rewrite once, after one step, which goal an agent remembers, and compare with controls, floors and a reference.

    Args:
        agent: an agent with a memory, best of a family that hides its goal, such as Glimpse.
        methods: memory methods, "cell-means", and at maps "mean-pattern"; by default the two goal tables, or all memory
            methods in the benchmark.
        sites: sites of the memory, the whole memory by default.
        after: number of the step behind which the memory is rewritten.
        memoryless: an agent without memory of the same family, to which the methods are fitted anew as a floor.
        size: rows and columns of the mazes, in cells; the agent's own where not given.
        levels: number of held-out evaluation mazes; those whose goal or target is no further than `after` steps away
            are left out.
        fit_levels: number of fitting mazes, none of them among the held-out ones.
        seed: of the mazes and of the sampled actions.
        benchmark: fit every method anew to the floors, rewrite after later steps too, undo the rewrite, and find the
            units that carry the goal.

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
    usual = tuple(memory_methods()) if benchmark else METHODS
    sites, methods = tuple(sites) or (MEMORY,), tuple(methods) or usual
    _check(agent, sites, methods, memoryless)
    subject = make_subject(agent.policy, family, after, levels=levels, fit_levels=fit_levels, seed=seed)
    header = ResultHeader(agent.name, family.name, family.size, levels, seed)
    pairs = [(site, method) for site in sites for method in methods]
    return _report(agent, header, subject, pairs, memoryless, benchmark)


def _report(
    agent: Agent,
    header: ResultHeader,
    subject: Subject,
    pairs: Sequence[tuple[str, str]],
    memoryless: Agent | None,
    benchmark: bool,
) -> RewriteReport:
    """Return the report of sites and methods of one agent; arguments as `rewrite_memory`."""
    after, methods = subject.after, [method for _, method in pairs]
    # Before anything is fitted: a maze too small for a later step is refused.
    later = [subject.later(step) for step in LATER if benchmark and step > after]
    rows, ranked = _agent_rows(subject, pairs, EVERY_STEP_METHODS if benchmark else methods)
    chosen = ranked[0]
    checks = [check(subject, one) for one in ranked for check in (stay_row, other_target_row)]
    untrained = subject.with_policy(NetworkPolicy(subject.policy.network.untrained(subject.task.seed)))
    floors, unedited = _floor_rows(subject, ranked if benchmark else [chosen], untrained, memoryless)
    rows += [row for other in later for row in _later_rows(other, chosen)]
    # Units are ranked in a table, so the best of them stands in where another method did better.
    tables = [one for one in ranked if benchmark and isinstance(one.fitted_edit, CellTable)]
    return RewriteReport(
        header,
        len(subject.context.levels),
        quick_overlap(agent, subject.task.levels),
        (*rows, *floors),
        after,
        (chosen.site, chosen.method),
        (*checks, *unedited),
        restoration(subject, chosen) if benchmark else None,
        carrying_units(subject, tables[0], untrained) if tables else None,
    )


def _agent_rows(
    subject: Subject, pairs: Sequence[tuple[str, str]], at_every_step: Sequence[str]
) -> tuple[list[RewriteRow], list[Candidate]]:
    """Return the rows of the agent itself, and the edits at their best strengths, best first on fitting mazes."""
    task, timed = subject.task, subject.timed
    rows = [*_unfitted_rows(subject, list(dict.fromkeys(site for site, _ in pairs)))]
    scored: list[tuple[float, Candidate]] = []
    for site, method in progress(pairs, "rewriting", "edit"):
        fitted = subject.fitted(site, method)
        score, one = subject.with_best_strength(fitted)
        scored.append((score, one))
        rows.append(subject.edit_row(EDIT, one))
        rows.append(subject.row(RANDOM, one, timed(one.noise_edits(task))))
        rows.append(subject.row(OTHER_MAZE, one, timed(one.mismatched_edits(task))))
        if method in at_every_step:
            rows.append(subject.edit_row(EDIT, subject.with_best_strength(fitted, EVERY)[1], EVERY))
    # A stable sort: of equal scores the first method comes first.
    return rows, [one for _, one in sorted(scored, key=lambda score: -score[0])]


def _unfitted_rows(subject: Subject, sites: Sequence[str]) -> Iterator[RewriteRow]:
    """Yield the rows without an edit, of the reference, and of the memory swapped at each site."""
    yield subject.row(NONE)
    reference = subject.task.evaluate(subject.policy, levels=subject.task.levels_with_goal_moved())
    yield RewriteRow(REFERENCE, None, None, ONCE, None, reference, subject.after)
    for site in sites:
        outcomes = subject.task.evaluate(subject.policy, subject.timed([_swap(subject, site)]))
        yield RewriteRow(SWAP, site, None, ONCE, None, outcomes, subject.after)


def _later_rows(subject: Subject, chosen: Candidate) -> Iterator[RewriteRow]:
    """Yield the rows of a rewrite behind a later step, by the chosen method fitted to that step."""
    yield from _unfitted_rows(subject, [chosen.site])
    yield subject.edit_row(EDIT, subject.with_best_strength(subject.fitted(chosen.site, chosen.method))[1])


def _floor_rows(
    subject: Subject, edits: Sequence[Candidate], untrained: Subject, memoryless: Agent | None
) -> tuple[list[RewriteRow], list[RewriteRow]]:
    """Return the rows of methods fitted anew to agents that can remember no goal, and of these agents unedited."""
    floors: list[tuple[str, str, Subject, str | None]] = [(FLOOR_UNTRAINED, UNEDITED_UNTRAINED, untrained, None)]
    if memoryless is not None:
        last = [site.name for site in memoryless.network.sites() if not site.is_map][-1]
        floors.append((FLOOR_MEMORYLESS, UNEDITED_MEMORYLESS, subject.with_policy(memoryless.policy), last))
    rows, unedited = [], []
    for floor, condition, other, site in floors:
        unedited.append(other.row(condition))
        for one in progress(edits, floor, "edit"):
            fitted = other.fitted(site or one.site, one.method)
            rows.append(other.edit_row(floor, other.with_best_strength(fitted)[1]))
    return rows, unedited


def _swap(subject: Subject, site: str) -> Patch:
    """Return the patch of what the agent would remember, had it done the same where goal and cue are on the target."""
    actions = None
    if subject.after > 1:
        actions = rollout(subject.policy, subject.task.levels, seed=subject.task.seed).actions
    moved = subject.task.levels_with_goal_moved()
    return Patch(site, source=activations_along(subject.policy, moved, site, subject.after, actions))


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
        if method not in (*memory_methods(), *FIRST_STEP_METHODS):
            raise unknown("method for a memory", method, [*memory_methods(), *FIRST_STEP_METHODS])
    if memoryless is not None and memoryless.network.memory_sites():
        raise GoalmazeError(
            f"{memoryless.name} is to be an agent without memory, and its network {memoryless.network.name} has one: "
            "name another agent"
        )
