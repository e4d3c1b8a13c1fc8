"""`goalmaze site`: writes the page's folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import msgspec

from goalmaze.agents.files import new_folder, write_atomically
from goalmaze.agents.loading import Agent, load_agent, locate
from goalmaze.agents.population import load_population
from goalmaze.agents.zoo import manifest
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.versions import installed_version
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.run_report import read_report
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.page.appearance import shared_appearance
from goalmaze.experiments.page.files import STATIC_PAGE, STYLES, page_file, static_page
from goalmaze.experiments.page.presets import presets_for
from goalmaze.experiments.site.agents import agent_data, check_agent
from goalmaze.experiments.site.config import AGENTS, SiteConfig
from goalmaze.experiments.site.levels import level_sets
from goalmaze.experiments.site.population import check_population, population_data

MAX_BYTES = 5_000_000
"""Largest size of the whole folder."""

FILES = (*STYLES, *STATIC_PAGE)

BENCH_FILES = ("bench.html", "bench.js")


@dataclasses.dataclass(frozen=True)
class SiteReport(Result):
    """The folder that was written.

    Attributes:
        folder: its path.
        bytes: the length of all files together.
        agents: names of the agents.
        population: number of agents of the population.
    """

    folder: str
    bytes: int
    agents: tuple[str, ...]
    population: int

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return dataclasses.asdict(self)

    def blocks(self) -> list[str | Table]:
        """Return one line."""
        return [
            f"wrote {self.folder} ({self.bytes:,} bytes) with {len(self.agents)} agents and a population of "
            f"{self.population}: open {self.folder}/index.html in a browser"
        ]


def run(config: SiteConfig) -> SiteReport:
    """Write the page.

    Raises:
        GoalmazeError: an agent or the population cannot be used, the folder exists or cannot be made, or the page would
            be larger than `MAX_BYTES`.
    """
    if config.out.exists() and not config.replace:
        raise GoalmazeError(f"{config.out} already exists; choose another --out, or add --replace")
    agents = [load_agent(name) for name in config.agents or AGENTS]
    for agent in agents:
        check_agent(agent)
    if len(agents) < 2 or {agent.family.name for agent in agents[:2]} != {"GreenExit"}:
        raise GoalmazeError("the story needs two agents of GreenExit: name one and its twin first after --agents")
    population = load_population(config.population)
    check_population(population)
    shown = population_data(population, config.population_agents, config.audit_levels)
    files = page_files(site_data(agents, config.levels), shown)
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        raise GoalmazeError(
            f"the page would have {size:,} bytes, more than {MAX_BYTES:,}: name fewer --agents, or give "
            "--population-agents"
        )
    with new_folder(config.out, replace=config.replace) as folder:
        for name, content in files.items():
            write_atomically(folder / name, content)
    return SiteReport(str(config.out), size, tuple(agent.name for agent in agents), len(shown["agents"]))


def story_scripts() -> Mapping[str, bytes]:
    """Return the scripts of the story's data for a page with another back end, by name, with the options' defaults."""
    defaults = SiteConfig(out=Path())
    population = load_population(defaults.population)
    shown = population_data(population, defaults.population_agents, defaults.audit_levels)
    return data_scripts(site_data([load_agent(name) for name in AGENTS], defaults.levels), shown)


def page_files(data: JsonObject, population: JsonObject, *, bench: bool = False) -> Mapping[str, bytes]:
    """Return the files of the page by name.

    Args:
        data: of the agents.
        population: of the population.
        bench: whether the page that measures speed is one of them.
    """
    files = {name: page_file(name).encode() for name in FILES + (BENCH_FILES if bench else ())}
    files["index.html"] = static_page().encode()
    return {**files, **data_scripts(data, population)}


def data_scripts(data: JsonObject, population: JsonObject) -> dict[str, bytes]:
    """Return `DATA_SCRIPTS` by name."""
    return {"data.js": _script("SITE", data), "population.js": _script("POPULATION", population)}


def _script(name: str, data: JsonObject) -> bytes:
    """Return a script that defines data: unlike a JSON file, a page that is opened from disk can load it."""
    return f'"use strict";\nconst {name} = '.encode() + msgspec.json.encode(data) + b";\n"


def site_data(agents: list[Agent], levels: int) -> JsonObject:
    """Return everything on the page but the population.

    Args:
        agents: the agents, the story's first.
        levels: number of levels of each tally.
    """
    families = {agent.family.name: agent.family for agent in reversed(agents)}
    return {
        "version": installed_version("goalmaze"),
        "appearance": shared_appearance(list(families.values())),
        "families": {name: {"slots": list(family.slots)} for name, family in families.items()},
        "levels": [one for family in families.values() for one in level_sets(family, levels)],
        "presets": presets_for({agent.name for agent in agents}),
        "agents": [
            {**agent_data(agent), **_described(agent)} for agent in progress(agents, "edits and probes", "agent")
        ],
    }


def _described(agent: Agent) -> JsonObject:
    """Return what the report of an agent's run says about it, and what it is an example of."""
    folder: Path = locate(agent.name).path
    try:
        report = read_report(folder if folder.is_dir() else folder.parent)
    except (OSError, ValueError):
        return {"label": None, "preference": None, "purpose": _purpose(agent.name)}
    evaluation = report["shifts"].get(agent.family.distinguishing_shift)
    return {
        "label": report.get("label"),
        "preference": None if evaluation is None else evaluation["preference"],
        "purpose": _purpose(agent.name),
    }


def _purpose(name: str) -> str:
    """Return what an agent of the zoo is an example of; nothing for other agents."""
    entry = manifest().get(name.removeprefix("zoo:")) if name.startswith("zoo:") else None
    return "" if entry is None else entry.purpose
