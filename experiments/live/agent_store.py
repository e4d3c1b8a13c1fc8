"""The listed agents, and the edits and probes fitted for them. All pages use one store, so each is fitted once."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Literal

import msgspec

from goalmaze.agents.loading import CHECKPOINT, ZOO_PREFIX, Agent, load_agent
from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import map_sites, usual_sites
from goalmaze.agents.zoo import manifest
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch
from goalmaze.experiments.live.inspection import fit_heading_probe
from goalmaze.experiments.live.scene import Scene, edit_refusal
from goalmaze.experiments.live.settings import Settings
from goalmaze.experiments.retarget.candidates import compatible_pairs
from goalmaze.experiments.retarget.task import make_fit_context
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.information import TARGET
from goalmaze.probes.readout.fitting import SquareProbe
from goalmaze.probes.steering import find_method, fit_method, steering_methods
from goalmaze.probes.steering.base import SteeringMethod

FIT_LEVELS = 512
"""Fitting mazes of every edit."""

USUAL_SITE, USUAL_METHOD, USUAL_CELL_METHOD = "stem", "mean-pattern", "cell-means"
"""What a page opens with; the last is the method at sites that are no maps of squares."""

MAX_RUNS = 200
MAX_FITS = 64
"""Fitted edits and probes that are kept in memory."""


@dataclasses.dataclass(frozen=True)
class FitRequest:
    """An edit or a probe that is to be fitted.

    Attributes:
        kind: what is to be fitted.
        agent: a listed agent.
        family: the family of the levels, at their size.
        site: of the agent's network; a map for a probe.
        method: the steering method; empty for a probe.
    """

    kind: Literal["edit", "probe"]
    agent: str
    family: Family
    site: str
    method: str = ""

    def text(self) -> str:
        """Return the message shown while it is fitted."""
        if self.kind == "edit":
            return f"Fitting the edit of {self.method} at {self.site} for {self.agent} ..."
        return f"Fitting a probe at {self.site} for {self.agent} ..."


class AgentStore:
    """Agents, and the edits and probes fitted for them.

    Every agent is loaded twice. One copy acts, and edits and probes are fitted on the other, because the hooks of a fit
    must not run in the forward passes of a page.

    Args:
        agent: the name of an agent that is listed even where it is neither in the zoo nor among the runs.
        runs: a folder of run folders that are listed too.

    Attributes:
        names: the listed agents.
    """

    def __init__(self, agent: str, runs: Path | None = None) -> None:
        # `fromkeys` removes the second mention of an agent of the zoo and keeps the order.
        self.names = list(dict.fromkeys([agent, *(ZOO_PREFIX + name for name in manifest()), *_runs_in(runs)]))
        self._acting: dict[str, Agent] = {}
        self._fitting: dict[str, Agent] = {}
        self._visible_families: dict[str, list[str]] = {}
        self._families: dict[tuple[str, str, int], Family] = {}
        self._fits: dict[FitRequest, FittedEdit | SquareProbe | None] = {}
        # One fit at a time, because fits of one agent share its network and hooks.
        self._lock = threading.Lock()

    def descriptions(self) -> dict[str, str]:
        """Return every listed agent with its description in the zoo, empty for others."""
        return {
            name: entry.purpose if (entry := manifest().get(name.removeprefix(ZOO_PREFIX))) else ""
            for name in self.names
        }

    def agent(self, name: str, *, for_fitting: bool = False) -> Agent:
        """Return a listed agent: the copy that acts, or the one that edits and probes are fitted on.

        Raises:
            GoalmazeError: it is not listed, or cannot be loaded.
        """
        if name not in self.names:
            raise unknown("agent", name, self.names)
        agents = self._fitting if for_fitting else self._acting
        if name not in agents:
            agents[name] = load_agent(name)
        return agents[name]

    def families(self, agent: Agent) -> list[str]:
        """Return the families whose observations fit an agent's network, its own first."""
        if agent.name in self._visible_families:
            return self._visible_families[agent.name]
        shape = agent.network.shape
        # A network fits a family if its planes are as many; what they show may still be foreign to it.
        others = [
            name
            for name in known_families()
            if name != agent.family.name and shape.view(make_family(name)).highest.shape[0] == shape.observation[0]
        ]
        self._visible_families[agent.name] = [agent.family.name, *(others if shape.spec.mode == "planes" else [])]
        return self._visible_families[agent.name]

    def family(self, settings: Settings) -> Family:
        """Return the family of settings, at its size.

        Raises:
            GoalmazeError: there is no such family or shift, or the family's observations do not fit the agent.
        """
        agent = self.agent(settings.agent)
        name = settings.family or agent.family.name
        if name not in (known := self.families(agent)):
            raise unknown(f"family that {settings.agent} can see", name, known)
        size = settings.size or agent.family.size
        key = (settings.agent, name, size)
        if key not in self._families:
            base = agent.family if name == agent.family.name else make_family(name)
            self._families[key] = base.resized(size)
        family = self._families[key]
        if settings.shift not in (NO_SHIFT, *family.shifts):
            raise unknown("shift", settings.shift, [NO_SHIFT, *family.shifts])
        return family

    def complete(self, settings: Settings) -> Settings:
        """Return settings with every default filled in, except for the level and the target.

        Raises:
            GoalmazeError: something named in them does not exist or does not fit the rest.
        """
        agent, family = self.agent(settings.agent), self.family(settings)
        maps, sites = map_sites(agent.network), usual_sites(agent.network)
        site = settings.site or (USUAL_SITE if USUAL_SITE in sites else sites[0])
        method = settings.method or (USUAL_METHOD if site in maps else USUAL_CELL_METHOD)
        compatible_pairs(agent.network, [site], [method])
        if TARGET not in find_method(method).uses:
            names = ", ".join(_targeted_methods())
            raise GoalmazeError(f"method '{method}' does not send the agent to a cell; choose one of {names}")
        return msgspec.structs.replace(settings, family=family.name, size=family.size, site=site, method=method)

    def offers_method(self, settings: Settings) -> bool:
        """Return whether the method in settings can be tried at any site of their agent's network."""
        return settings.method in _offered_methods(self.agent(settings.agent).network)

    def missing_edit(self, settings: Settings) -> FitRequest | None:
        """Return the edit that completed settings need and that is not fitted yet, if any."""
        request = self._edit_request(settings)
        return None if request is None or request in self._fits else request

    def missing_probe(self, settings: Settings, site: str) -> FitRequest | None:
        """Return the probe of a map that could be shown and is not fitted yet, if any."""
        agent, family = self.agent(settings.agent), self.family(settings)
        if edit_refusal(family) is not None or site not in map_sites(agent.network):
            return None
        request = FitRequest("probe", settings.agent, family, site)
        return None if request in self._fits else request

    def fit(self, request: FitRequest) -> None:
        """Fit an edit or a probe, which takes up to a minute. A probe that cannot be fitted is kept as None."""
        with self._lock:
            if request in self._fits:
                return
            agent = self.agent(request.agent, for_fitting=True)
            fitted: FittedEdit | SquareProbe | None
            if request.kind == "edit":
                context = make_fit_context(agent.policy, request.family, FIT_LEVELS, 0)
                fitted = fit_method(find_method(request.method), context, request.site)
            else:
                try:
                    # An agent that never arrives gives no labels. None is stored, so that it is not fitted again.
                    fitted = fit_heading_probe(agent, request.family, request.site)
                except GoalmazeError:
                    fitted = None
            # Dictionaries keep the order of insertion, so the oldest fit goes first.
            while len(self._fits) >= MAX_FITS:
                self._fits.pop(next(iter(self._fits)))
            self._fits[request] = fitted

    def edit(self, settings: Settings) -> FittedEdit | None:
        """Return the fitted edit of completed settings, None where their family cannot be edited."""
        request = self._edit_request(settings)
        if request is None:
            return None
        if request not in self._fits:
            self.fit(request)
        fitted = self._fits[request]
        # The kind of a request decides what is fitted, so an edit request never holds a probe.
        assert not isinstance(fitted, SquareProbe)
        return fitted

    def probe(self, settings: Settings, site: str) -> SquareProbe | None:
        """Return the probe of a map, None where there is none or it is not fitted yet."""
        fitted = self._fits.get(FitRequest("probe", settings.agent, self.family(settings), site))
        return fitted if isinstance(fitted, SquareProbe) else None

    def scene(self, settings: Settings) -> Scene:
        """Return a new scene of completed settings.

        Raises:
            GoalmazeError: the level or the target is invalid.
        """
        scene = Scene(
            self.agent(settings.agent),
            self.family(settings),
            self.edit(settings),
            shift=settings.shift,
            seed=settings.seed,
            index=settings.index,
            strength=settings.strength,
            first_steps=None if settings.edit == "every" else 1,
        )
        if settings.level is not None or settings.target is not None:
            level = scene.level if settings.level is None else settings.level.level(scene.family)
            target = scene.target if settings.target is None else settings.target
            check_target(level, target)
            scene.set_level(level, target)
        return scene

    def menu(self, settings: Settings) -> JsonObject:
        """Return the names that a page can choose from, as plain data, for completed settings."""
        agent, family = self.agent(settings.agent), self.family(settings)
        sites = set(usual_sites(agent.network))
        return {
            "agents": self.descriptions(),
            "families": self.families(agent),
            "shifts": {NO_SHIFT: "the training distribution", **family.shifts},
            "methods": _offered_methods(agent.network),
            "sites": {site.name: site.channels for site in agent.network.sites() if site.name in sites},
            "maps": map_sites(agent.network),
        }

    def _edit_request(self, settings: Settings) -> FitRequest | None:
        family = self.family(settings)
        if edit_refusal(family) is not None:
            return None
        return FitRequest("edit", settings.agent, family, settings.site, settings.method)


def check_target(level: LevelBatch, cell: int) -> None:
    """Check that a target is a free cell of a level, a batch of 1.

    Raises:
        GoalmazeError: the cell is a wall or outside the maze.
    """
    walls = level.walls[0].ravel()
    if cell >= len(walls) or walls[cell]:
        raise GoalmazeError("the target must be on a free cell of the maze; choose another")


def _targeted_methods() -> dict[str, SteeringMethod]:
    """Return the methods that send the agent to a cell, by name."""
    return {name: method for name, method in steering_methods().items() if TARGET in method.uses}


def _offered_methods(network: Network) -> list[str]:
    """Return the names of the methods that send the agent to a cell and work at a usual site of a network."""
    sites = usual_sites(network)
    return [name for name, method in _targeted_methods().items() if any(method.suits(network, site) for site in sites)]


def _runs_in(folder: Path | None) -> list[str]:
    if folder is None or not folder.is_dir():
        return []
    return sorted(str(path.parent) for path in folder.glob(f"*/{CHECKPOINT}"))[:MAX_RUNS]
