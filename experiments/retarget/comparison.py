"""Can an agent be sent to an arbitrary cell by editing its activations? Edits beside their controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tqdm import tqdm

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import FITTING
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.evaluate.fitted_results import FittedResult
from goalmaze.experiments.evaluate.training_overlap import quick_overlap
from goalmaze.experiments.retarget.candidates import (
    Candidate,
    Edits,
    compatible_pairs,
    fit_candidate,
    named_candidates,
)
from goalmaze.experiments.retarget.floors import compass_trial
from goalmaze.experiments.retarget.task import (
    Moved,
    RetargetingTask,
    TaskLevels,
    TaskOutcomes,
    draw_retargeting_task,
    make_fit_context,
)
from goalmaze.experiments.retarget.trials import (
    COMPASS,
    EDIT,
    MOVED_BOTH,
    MOVED_CUE,
    MOVED_WALLED,
    NONE,
    PICTURES,
    RANDOM,
)

METHODS = ("learned-pattern", "mean-pattern", "probe-direction")
"""The methods compared at maps of squares where none are named."""

SELECTION_MAZES = 512
"""The edit to report as `chosen` is selected on at most so many of the fitting mazes."""


@dataclasses.dataclass(frozen=True)
class Row:
    """The result of one condition.

    Attributes:
        condition: `NONE`; `COMPASS`, a script that knows the target's direction and no wall; one of `PICTURES`, objects
            physically moved; `EDIT`; or `RANDOM`, noise of the edit's norm.
        site: the site edited; None where nothing was.
        method: the steering method; None where nothing was edited.
        outcomes: whether the agent reached the target or the goal first.
    """

    condition: str
    site: str | None
    method: str | None
    outcomes: TaskOutcomes

    @property
    def target_rate(self) -> float:
        """The rate of mazes on which the target was reached first."""
        return self.outcomes.overall.other.value

    def json(self) -> JsonObject:
        """Return the row as plain data."""
        return {"condition": self.condition, "site": self.site, "method": self.method} | self.outcomes.json()


@dataclasses.dataclass(frozen=True)
class RetargetReport(FittedResult):
    """All conditions on the same mazes.

    Attributes:
        rows: the conditions.
        chosen: site and method of the edit that did best on fitting mazes; the held-out mazes are not used to select.
        drawn: what the mazes are, and what edits move.
        moved: the object type that edits move; "goal" where goal and cue share a cell.
        counterpart: the other of goal and cue; None where the two share a cell.
    """

    rows: tuple[Row, ...]
    chosen: tuple[str, str]
    drawn: TaskLevels
    moved: str
    counterpart: str | None

    def row(self, condition: str, site: str | None = None, method: str | None = None) -> Row:
        """Return the row of a condition; of the chosen edit where a site is needed and none is given."""
        if site is None and condition in (RANDOM, EDIT):
            site, method = self.chosen
        return next(r for r in self.rows if (r.condition, r.site, r.method) == (condition, site, method))

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            **self.header_json(),
            **self.drawn.json(),
            "chosen": {"site": self.chosen[0], "method": self.chosen[1]},
            "rows": [row.json() for row in self.rows],
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading, a table with the chosen edit marked, and the definitions of its columns."""
        header = self.header
        rows = [
            [
                row.condition,
                row.site or "",
                row.method or "",
                row.outcomes.overall.other,
                formatted(row.outcomes.overall.goal.value, ".2f"),
                formatted(row.outcomes.overall.neither.value, ".2f"),
                row.outcomes.off_path.other,
                "yes" if row.condition == EDIT and (row.site, row.method) == self.chosen else "",
                *self._counterpart_cell(row),
            ]
            for row in self.rows
        ]
        columns = ["condition", "site", "method", "target", self.moved, "neither", "target off path", "chosen"]
        columns += [] if self.counterpart is None else [f"{self.counterpart} before"]
        best = max((self.row(name) for name in PICTURES), key=lambda row: row.target_rate)
        edit, compass = self.row(EDIT).target_rate, self.row(COMPASS).target_rate
        return [
            f"{header.agent} on {header.family} {header.size}x{header.size}: sent to a random cell of each of "
            f"{header.levels} held-out mazes{self.drawn.text(self.moved)}\n"
            f"rate of mazes on which the target or the {self.moved} was reached first; 95 % intervals over mazes\n"
            f"{self.overlap.sentence}",
            Table(columns, rows),
            f"target off path: only mazes where the {self.moved} lies on no shortest path to the target\n"
            f"{self._counterpart_legend}"
            f"chosen: the edit that did best on {min(self.fit_levels, SELECTION_MAZES)} fitting mazes; "
            f"on the held-out mazes it reaches {edit / best.target_rate:.2f} of what {best.condition} reaches and "
            f"{edit - compass:+.2f} more than the compass. --benchmark adds the method fitted to untrained networks.",
        ]

    def _counterpart_cell(self, row: Row) -> list[object]:
        """Return the last cell of a row, or none where goal and cue share a cell."""
        reached = row.outcomes.counterpart
        return [] if self.counterpart is None else ["" if reached is None else formatted(reached.value, ".2f")]

    @property
    def _counterpart_legend(self) -> str:
        if self.counterpart is None:
            return ""
        return (
            f"{self.counterpart} before: rate of mazes on which the {self.counterpart} was reached before the target "
            f"and the {self.moved}, whatever was reached afterwards\n"
        )


def retarget(
    agent: Agent,
    edits: Edits | Sequence[Edits] = (),
    *,
    sites: Sequence[str] = (),
    size: int | None = None,
    levels: int = 512,
    fit_levels: int = 512,
    strength: float = 1.0,
    seed: int = 0,
    shift: str | None = None,
    moved: Moved = "goal",
) -> RetargetReport:
    """Evaluate edits that send an agent to arbitrary cells, beside no edit, noise, a compass and objects really moved.

    Args:
        agent: the agent, loaded or made in memory.
        edits: fitted edits, listed by the names of the methods that fitted them; candidates, listed by names of your
            own; or names of methods, fitted at each of `sites`. The methods of `METHODS` where not given.
        sites: where methods are fitted; all maps of squares where not given, or all sites where there are no maps.
        size: rows and columns of the mazes, in cells; the agent's own where not given.
        levels: number of held-out evaluation mazes.
        fit_levels: number of fitting mazes, none of them among the held-out ones.
        strength: factor on every edit.
        seed: of the mazes and of the sampled actions.
        shift: evaluate on the levels of this shift as they are, "none" for the training distribution, with goal and cue
            on cells of their own. Where not given, on training levels with the cue put on the goal, as edits are
            always fitted.
        moved: what edits move to the target, "goal" or "cue"; with a shift only. Which of the two an agent pursues
            shows in which of them an edit has to move.

    Raises:
        GoalmazeError: no such site, method or shift, or a site that a method or an edit does not fit.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> report = gm.retarget(agent, "mean-pattern", sites=["stem"], levels=16, fit_levels=16)
        >>> report.chosen
        ('stem', 'mean-pattern')
    """
    family, policy = agent.family.resized(size), agent.policy
    jobs, drawn = _jobs(agent, edits, sites, strength), TaskLevels(shift, moved)
    # Fitting, selection and evaluation mazes: the first two share the fitting split, the third is another split.
    context = make_fit_context(policy, family, fit_levels, seed)
    task = draw_retargeting_task(family, levels, seed, drawn=drawn)
    selection = draw_retargeting_task(family, min(fit_levels, SELECTION_MAZES), seed, FITTING, drawn)
    rows = _unedited_rows(task, policy)
    scores: dict[tuple[str, str], float] = {}
    for job in tqdm(jobs, desc="retargeting", unit="edit", disable=None):
        one = job if isinstance(job, Candidate) else fit_candidate(context, job[0], job[1], strength)
        # With a single edit there is nothing to select.
        scores[one.site, one.method] = _target_rate(selection, policy, one) if len(jobs) > 1 else 0.0
        for condition, condition_edits in ((EDIT, one.edits(task)), (RANDOM, one.noise_edits(task))):
            rows.append(Row(condition, one.site, one.method, task.evaluate(policy, condition_edits)))
    # Of equal scores the first wins, so the order of sites and methods decides.
    chosen = max(scores, key=lambda edit: scores[edit])
    header = ResultHeader(agent.name, family.name, family.size, levels, seed)
    names = "goal" if shift is None else drawn.object_type(family), drawn.counterpart(family)
    return RetargetReport(header, fit_levels, quick_overlap(agent, task.levels), tuple(rows), chosen, drawn, *names)


def _unedited_rows(task: RetargetingTask, policy: NetworkPolicy) -> list[Row]:
    """Return the conditions without an edit: the agent alone, the compass, and objects physically moved."""
    compass = compass_trial(task)
    return [
        Row(NONE, None, None, task.evaluate(policy)),
        Row(COMPASS, None, None, TaskOutcomes(compass.outcomes(), compass.outcomes(task.off_path))),
        Row(MOVED_CUE, None, None, task.evaluate(policy, levels=task.levels_with_cue_moved())),
        Row(MOVED_BOTH, None, None, task.evaluate(policy, levels=task.levels_with_goal_moved())),
        Row(MOVED_WALLED, None, None, task.evaluate(policy, levels=task.levels_with_old_goal_walled())),
    ]


def _jobs(
    agent: Agent, edits: Edits | Sequence[Edits], sites: Sequence[str], strength: float
) -> list[Candidate | tuple[str, str]]:
    """Return the candidates given, and the pairs of site and method that are still to be fitted."""
    # A string is a sequence too, and would otherwise be read letter by letter.
    given = [edits] if isinstance(edits, str) or not isinstance(edits, Sequence) else edits
    methods = [edit for edit in given if isinstance(edit, str)]
    fitted = [edit for edit in given if not isinstance(edit, str)]
    if fitted and sites and not methods:
        raise GoalmazeError("sites say where methods are fitted, and a fitted edit has its own: leave sites out")
    pairs = compatible_pairs(agent.network, sites, methods, METHODS) if methods or not fitted else []
    return [*named_candidates(fitted, strength, pairs), *pairs]


def _target_rate(task: RetargetingTask, policy: NetworkPolicy, one: Candidate) -> float:
    return task.evaluate(policy, one.edits(task)).overall.other.value
