"""`goalmaze retarget`: from its configuration to the plain comparison, the benchmark, the search or the ledger."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.sites import map_sites, usual_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import FITTING, Family
from goalmaze.experiments.retarget import comparison
from goalmaze.experiments.retarget.benchmark import Benchmark, benchmark, draw_errands
from goalmaze.experiments.retarget.candidates import Candidate, find_candidate, half_depth, suited
from goalmaze.experiments.retarget.comparison import RetargetReport, make_fit_context
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.retarget.ledger import Ledger, keep_ledger
from goalmaze.experiments.retarget.search import MOST, Search, search
from goalmaze.experiments.retarget.task import draw_retargeting_task
from goalmaze.probes.context import FitContext
from goalmaze.probes.steering import all_methods

BENCHMARKED = ("mean-pattern", "expert-pattern")
"""Methods that the benchmark judges at maps of squares where none are named."""


@dataclasses.dataclass(frozen=True)
class SteeringReport:
    """What was found of one agent.

    Attributes:
        agent: its name.
        family: its world.
        size: rows and columns, in cells.
        levels: held-out mazes that judge.
        fit_levels: mazes the edits were found on.
        seed: of both.
        search: the automatic search, if it was asked for.
        benchmark: of the edits, if it was asked for, or of the edit that was found.
        ledger: if it was asked for.
        pictures: files that were drawn.
    """

    agent: str
    family: str
    size: int
    levels: int
    fit_levels: int
    seed: int
    search: Search | None = None
    benchmark: Benchmark | None = None
    ledger: Ledger | None = None
    pictures: tuple[Path, ...] = ()

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        head: dict[str, Any] = {
            name: getattr(self, name) for name in ("agent", "family", "size", "levels", "fit_levels", "seed")
        }
        if self.search is not None:
            head["search"] = self.search.json()
        for part in (self.benchmark, self.ledger):
            head |= {} if part is None else part.json()
        return head | {"pictures": [str(path) for path in self.pictures]}

    def text(self) -> str:
        """Return all parts, one after another."""
        heading = (
            f"{self.agent} on {self.family} {self.size}x{self.size}, sent to a random cell of each held-out maze; "
            "95 % intervals cover mazes"
        )
        parts = [part.text() for part in (self.search, self.benchmark, self.ledger) if part is not None]
        if self.pictures:
            parts.append("\n".join(f"picture: {path}" for path in self.pictures))
        return "\n\n".join([heading, *parts])


def run(config: RetargetConfig) -> RetargetReport | SteeringReport:
    """Answer what is asked: the plain comparison of sites and methods, the benchmark, the search or the ledger.

    Raises:
        GoalmazeError: no such agent, site or method, or a site that a method cannot be tried at.
    """
    special = config.benchmark or config.auto or config.ledger or config.figures is not None
    return steer(config) if special else comparison.run(config)


def steer(config: RetargetConfig) -> SteeringReport:
    """Search, judge, keep the ledger and draw, as the configuration asks.

    Raises:
        GoalmazeError: no such agent, site or method, or a site that a method cannot be tried at.
    """
    agent = load_agent(config.agent)
    family = agent.family.resized(config.size)
    suited(agent.network, config.sites, config.methods, BENCHMARKED)
    if config.sizes and not map_sites(agent.network):
        raise GoalmazeError(
            f"the network of {config.agent} has no maps of squares, so its edits are for "
            f"{family.size}x{family.size} alone: leave --sizes out"
        )
    tasks = draw_errands(draw_retargeting_task(family, config.levels, config.seed), config.sizes)
    context = make_fit_context(agent.policy, family, config.fit_levels, config.seed)
    report = SteeringReport(config.agent, family.name, family.size, config.levels, config.fit_levels, config.seed)
    if config.ledger:
        kept = keep_ledger(context, tasks[0], _entries(config, agent), config.strength)
        report = dataclasses.replace(report, ledger=kept)
    candidates: list[Candidate] = []
    if config.auto:
        found = _search(config, context, family)
        candidates = [found.chosen]
        report = dataclasses.replace(report, search=found)
    elif config.benchmark or not config.ledger:
        candidates = _named(config, agent, context)
    if config.benchmark or config.auto:
        report = dataclasses.replace(report, benchmark=benchmark(agent.policy, tasks, candidates, config.bounds))
    if config.figures is not None:
        from goalmaze.experiments.retarget.figures import draw_edit
        from goalmaze.experiments.retarget.ledger_figures import draw_ledger

        drawn = draw_edit(agent.policy, tasks[0], candidates[0], config.figures) if candidates else []
        drawn += [] if report.ledger is None else draw_ledger(report.ledger, config.figures)
        report = dataclasses.replace(report, pictures=tuple(drawn))
    return report


def _search(config: RetargetConfig, context: FitContext, family: Family) -> Search:
    # another seed: the edits were learned on the workshop's own mazes
    rehearsal = draw_retargeting_task(family, MOST, config.seed + 1, FITTING)
    # an edit that is to do at other sizes too must be one of squares
    sites = config.sites or (map_sites(context.policy.network) if config.sizes else ())
    return search(context, rehearsal, sites, config.methods)


def _named(config: RetargetConfig, agent: Agent, context: FitContext) -> list[Candidate]:
    """Return the edits of the sites and methods named, or of the usual ones."""
    sites = config.sites or tuple(dict.fromkeys((usual_sites(agent.network)[0], half_depth(agent.network))))
    pairs = suited(agent.network, sites, config.methods, BENCHMARKED)
    return [find_candidate(context, site, method, config.strength) for site, method in pairs]


def _entries(config: RetargetConfig, agent: Agent) -> list[tuple[str, str]]:
    """Return the sites and methods to be kept account of: those named, or all methods at two usual sites."""
    sites = config.sites or (usual_sites(agent.network)[1], half_depth(agent.network))
    if config.methods:
        return suited(agent.network, sites, config.methods)
    return [(site, one.name) for site in sites for one in all_methods().values() if one.suits(agent.network, site)]
