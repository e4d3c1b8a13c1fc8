"""`goalmaze retarget`: from its configuration to the plain comparison, the benchmark, the search or the ledger."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.sites import find_map_site, map_sites
from goalmaze.envs.families.base import FITTING, Family
from goalmaze.experiments import retarget
from goalmaze.experiments.configs import RetargetConfig
from goalmaze.experiments.errands import draw_errand
from goalmaze.experiments.retarget import RetargetReport, make_workshop
from goalmaze.experiments.steering.automatic import MOST, Search, search
from goalmaze.experiments.steering.benchmark import Benchmark, benchmark, draw_errands
from goalmaze.experiments.steering.candidates import Candidate, find_candidate, half_depth
from goalmaze.experiments.steering.ledger import Ledger, keep_ledger
from goalmaze.probes.steering import all_methods, any_method
from goalmaze.probes.steering.base import Workshop

BENCHMARKED = ("mean-pattern", "expert-pattern")
"""Methods that the benchmark judges where none are named."""


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
        GoalmazeError: no such agent, site or method, or a site that is no map.
    """
    special = config.benchmark or config.auto or config.ledger or config.figures is not None
    return steer(config) if special else retarget.run(config)


def steer(config: RetargetConfig) -> SteeringReport:
    """Search, judge, keep the ledger and draw, as the configuration asks.

    Raises:
        GoalmazeError: no such agent, site or method, or a site that is no map.
    """
    agent = load_agent(config.agent)
    family = agent.family.resized(config.size)
    for site in config.sites:
        find_map_site(agent.network, site)
    for method in config.methods:
        any_method(method)
    errands = draw_errands(draw_errand(family, config.levels, config.seed), config.sizes)
    workshop = make_workshop(agent.policy, family, config.fit_levels, config.seed)
    report = SteeringReport(config.agent, family.name, family.size, config.levels, config.fit_levels, config.seed)
    if config.ledger:
        sites = config.sites or (map_sites(agent.network)[1], half_depth(agent.network))
        kept = keep_ledger(workshop, errands[0], sites, config.methods or tuple(all_methods()), config.strength)
        report = dataclasses.replace(report, ledger=kept)
    candidates: list[Candidate] = []
    if config.auto:
        found = _search(config, workshop, family)
        candidates = [found.chosen]
        report = dataclasses.replace(report, search=found)
    elif config.benchmark or not config.ledger:
        candidates = _named(config, agent, workshop)
    if config.benchmark or config.auto:
        report = dataclasses.replace(report, benchmark=benchmark(agent.policy, errands, candidates, config.bounds))
    if config.figures is not None:
        from goalmaze.experiments.steering.pictures import draw_edit, draw_ledger

        drawn = draw_edit(agent.policy, errands[0], candidates[0], config.figures) if candidates else []
        drawn += [] if report.ledger is None else draw_ledger(report.ledger, config.figures)
        report = dataclasses.replace(report, pictures=tuple(drawn))
    return report


def _search(config: RetargetConfig, workshop: Workshop, family: Family) -> Search:
    # another seed: the edits were learned on the workshop's own mazes
    rehearsal = draw_errand(family, MOST, config.seed + 1, FITTING)
    return search(workshop, rehearsal, config.sites, config.methods)


def _named(config: RetargetConfig, agent: Agent, workshop: Workshop) -> list[Candidate]:
    """Return the edits of the sites and methods named, or of the usual ones."""
    maps = map_sites(agent.network)
    sites = config.sites or tuple(dict.fromkeys((maps[0], half_depth(agent.network))))
    methods = config.methods or BENCHMARKED
    return [find_candidate(workshop, site, method, config.strength) for site in sites for method in methods]
