"""Can an agent be sent to an arbitrary cell by editing its activations?"""

from __future__ import annotations

import dataclasses
from typing import Any

from tqdm import tqdm

from goalmaze.agents.loading import load_agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.levels import FITTING, Family
from goalmaze.experiments.common.tables import interval, table
from goalmaze.experiments.retarget.candidates import suited
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.retarget.task import Arrivals, RetargetingTask, draw_retargeting_task, united_levels
from goalmaze.experiments.retarget.trials import shares
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.composition import Found
from goalmaze.probes.steering import any_method

NONE, RANDOM, MOVED_CUE, EDIT = "none", "random", "moved-cue", "edit"
METHODS = ("learned-pattern", "mean-pattern", "probe-direction")
"""Those compared at maps of squares where none are named."""

REHEARSED = 512
"""Most of the mazes that edits were found on that have a say in which is chosen."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One condition's result.

    Attributes:
        condition: `NONE`, `RANDOM` (noise of the edit's norm), `MOVED_CUE` (physically), or `EDIT`.
        site: the site edited; None where nothing was.
        method: the steering method; None where nothing was edited.
        arrivals: where the agent arrived first.
    """

    condition: str
    site: str | None
    method: str | None
    arrivals: Arrivals

    def json(self) -> dict[str, Any]:
        """Return the row as plain data."""
        everywhere, off = self.arrivals.everywhere, self.arrivals.off_path
        return {
            "condition": self.condition,
            "site": self.site,
            "method": self.method,
            "outcomes": shares(everywhere),
            "target_interval": interval(everywhere.other),
            "levels": everywhere.other.levels,
            "off_path": {
                "outcomes": shares(off),
                "target_interval": interval(off.other),
                "levels": off.other.levels,
            },
        }


@dataclasses.dataclass(frozen=True)
class RetargetReport:
    """All conditions on the same mazes.

    Attributes:
        agent: its name.
        family: its world.
        size: rows and columns, in cells.
        levels: held-out mazes that judge.
        fit_levels: mazes the edits were found on.
        seed: of both.
        rows: the conditions.
        chosen: site and method that did best on the mazes the edits were found on; the held-out mazes had no say.
    """

    agent: str
    family: str
    size: int
    levels: int
    fit_levels: int
    seed: int
    rows: tuple[Row, ...]
    chosen: tuple[str, str]

    def row(self, condition: str, site: str | None = None, method: str | None = None) -> Row:
        """Return the row of a condition; of the chosen edit where a site is needed and none given."""
        if site is None and condition in (RANDOM, EDIT):
            site, method = self.chosen
        return next(r for r in self.rows if (r.condition, r.site, r.method) == (condition, site, method))

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "agent": self.agent,
            "family": self.family,
            "size": self.size,
            "levels": self.levels,
            "fit_levels": self.fit_levels,
            "seed": self.seed,
            "chosen": {"site": self.chosen[0], "method": self.chosen[1]},
            "rows": [row.json() for row in self.rows],
        }

    def text(self) -> str:
        """Return a heading and an aligned table, the best edit marked."""
        heading = (
            f"{self.agent} on {self.family} {self.size}x{self.size}: sent to a random cell of each of {self.levels} "
            f"held-out mazes\nshare that reached the target or the goal first; 95 % intervals cover mazes\n"
        )
        rows = [
            [
                row.condition,
                row.site or "",
                row.method or "",
                row.arrivals.everywhere.other,
                f"{row.arrivals.everywhere.goal.value:.2f}",
                f"{row.arrivals.everywhere.neither.value:.2f}",
                row.arrivals.off_path.other,
                "<- chosen" if row.condition == EDIT and (row.site, row.method) == self.chosen else "",
            ]
            for row in self.rows
        ]
        mark = self.row(MOVED_CUE).arrivals.everywhere.other.value
        best = self.row(EDIT).arrivals.everywhere.other.value
        footing = (
            "\ntarget off path: only mazes where the goal lies on no shortest path to the target"
            f"\nchosen: the edit that did best on {min(self.fit_levels, REHEARSED)} other mazes; "
            f"here it reaches {best / mark:.2f} of what moving the cue reaches"
        )
        headers = ["condition", "site", "method", "target", "goal", "neither", "target off path", ""]
        return heading + table(headers, rows) + footing


def run(config: RetargetConfig) -> RetargetReport:
    """Find an edit for every site and method on some mazes and judge it, with its controls, on others.

    Raises:
        GoalmazeError: no such agent, site or method, or a site that a method cannot be tried at.
    """
    agent = load_agent(config.agent)
    family = agent.family.resized(config.size)
    tasks = suited(agent.network, config.sites, config.methods, METHODS)
    context = make_fit_context(agent.policy, family, config.fit_levels, config.seed)
    judge = draw_retargeting_task(family, config.levels, config.seed)
    rehearsal = draw_retargeting_task(family, min(config.fit_levels, REHEARSED), config.seed, FITTING)
    rows = [
        Row(NONE, None, None, judge.run(agent.policy)),
        Row(MOVED_CUE, None, None, judge.cue_moved().run(agent.policy)),
    ]
    rehearsed: dict[tuple[str, str], float] = {}
    for site, method in tqdm(tasks, desc="retargeting", unit="edit", disable=None):
        found = any_method(method).find(context, site)
        rehearsed[site, method] = _target_rate(rehearsal, agent.policy, found, config.strength)
        edits = judge.edits(found, config.strength)
        noise = judge.noise(found, config.strength)
        rows.append(Row(EDIT, site, method, judge.run(agent.policy, edits)))
        rows.append(Row(RANDOM, site, method, judge.run(agent.policy, noise)))
    chosen = max(rehearsed, key=lambda edit: rehearsed[edit])
    return RetargetReport(
        config.agent,
        family.name,
        family.size,
        config.levels,
        config.fit_levels,
        config.seed,
        tuple(rows),
        chosen,
    )


def make_fit_context(policy: NetworkPolicy, family: Family, levels: int, seed: int) -> FitContext:
    """Return the mazes, the cue on the goal, and the policy that steering methods learn from."""
    return FitContext(policy, united_levels(family, levels, seed, FITTING), seed)


def _target_rate(task: RetargetingTask, policy: NetworkPolicy, found: Found, strength: float) -> float:
    return task.run(policy, task.edits(found, strength)).everywhere.other.value
