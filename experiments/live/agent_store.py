"""The listed agents, and the edits and probes fitted for them. All pages use one store, so each is fitted once."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias
from weakref import WeakValueDictionary

import msgspec
from torch import nn

from goalmaze.agents.loading import CHECKPOINT, ZOO_PREFIX, Agent, load_agent
from goalmaze.agents.networks.base import Network
from goalmaze.agents.networks.layers import WHOLE_MEMORY
from goalmaze.agents.population_files import is_population_file, read_population
from goalmaze.agents.sites import is_memory_site, map_sites, usual_sites
from goalmaze.agents.zoo import manifest
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch
from goalmaze.experiments.live.listing import (
    OWN,
    agent_of_checkpoint,
    checkpoints_of,
    grouped_agents,
    steps_of,
    trained_steps,
    zoo_group,
)
from goalmaze.experiments.live.memory import ByteCache
from goalmaze.experiments.live.scene import Scene, edit_refusal, first_clear_level
from goalmaze.experiments.live.settings import Settings
from goalmaze.experiments.page.headings import HeadingProbe, fit_heading_probe
from goalmaze.experiments.retarget.candidates import compatible_pairs
from goalmaze.experiments.retarget.task import make_fit_context
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.information import TARGET
from goalmaze.probes.steering import find_method, fit_method, steering_methods
from goalmaze.probes.steering.base import SteeringMethod

FIT_LEVELS = 512
"""Fitting mazes of every edit."""

USUAL_SITE, USUAL_METHOD, USUAL_CELL_METHOD = "stem", "mean-pattern", "cell-means"
"""What a page opens with; the last is the method at a memory, and at sites that are no maps of squares."""

MAX_RUNS = 200
FIT_BYTES = 512 * 2**20
"""Bytes of the fitted edits and probes that are kept for later; those in use by a page are kept besides."""


Fitted: TypeAlias = FittedEdit | HeadingProbe


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

    One copy of every agent acts. Each edit and probe is fitted on a copy of its own, because the hooks of a fit must
    not run in the forward passes of a page.

    Args:
        agent: the name of an agent that is listed even where it is neither in the zoo nor among the runs.
        runs: a folder of run folders that are listed too.
        device: the device that the networks run on, see `goalmaze.agents.loading.Agent.to`.

    Attributes:
        names: the listed agents.
    """

    def __init__(self, agent: str, runs: Path | None = None, device: str = "cpu") -> None:
        # `fromkeys` removes the second mention of an agent of the zoo and keeps the order.
        self.names = list(dict.fromkeys([agent, *(ZOO_PREFIX + name for name in manifest()), *_runs_in(runs)]))
        self._device = device
        self._acting: dict[str, Agent] = {}
        self._visible_families: dict[str, list[str]] = {}
        self._families: dict[tuple[str, str, int], Family] = {}
        self._fits: ByteCache[FitRequest, Fitted | None] = ByteCache(FIT_BYTES)
        # What a page still uses is found here after the cache has dropped it, and is freed with the page.
        self._in_use: WeakValueDictionary[FitRequest, Fitted] = WeakValueDictionary()
        self._locks: dict[FitRequest, threading.Lock] = {}

    def descriptions(self) -> dict[str, str]:
        """Return every listed agent with its description in the zoo, empty for others."""
        return {
            name: entry.purpose if (entry := manifest().get(name.removeprefix(ZOO_PREFIX))) else ""
            for name in self.names
        }

    def agent(self, name: str) -> Agent:
        """Return the copy of a listed agent that acts.

        Raises:
            GoalmazeError: it is not listed, or cannot be loaded.
        """
        if name not in self._acting:
            self._acting[name] = self.copy_of(name)
        return self._acting[name]

    def checkpoints(self, name: str) -> list[tuple[int, str]]:
        """Return training steps and name of each checkpoint of a listed agent, and last those of the agent itself."""
        agent = agent_of_checkpoint(name)
        names = list(checkpoints_of(agent))
        return [(steps_of(one), one) for one in names] + ([(trained_steps(agent), agent)] if names else [])

    def others(self, settings: Settings) -> list[str]:
        """Return the listed agents that can be shown beside the agent of settings: those of its family in the zoo.

        An agent of the user's own is one of them; where its network cannot take the levels, it is refused when chosen.
        """
        family = self.agent(settings.agent).family.name
        groups = grouped_agents(self.names)
        near = {name for group, list_ in groups.items() if group in (OWN, zoo_group(family)) for name, _ in list_}
        return [name for name in self.names if name in near]

    def copy_of(self, name: str) -> Agent:
        """Return another copy of a listed agent, for a thread of its own.

        Raises:
            GoalmazeError: it is not listed, or cannot be loaded.
        """
        agent = agent_of_checkpoint(name)
        if agent not in self.names:
            raise unknown("agent", name, self.names)
        if agent == name:
            return load_agent(name, self._device)
        checkpoints = checkpoints_of(agent)
        if name not in checkpoints:
            raise unknown(f"checkpoint of {agent}", name, checkpoints)
        return load_agent(checkpoints[name], self._device)

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
        """Return settings with every default filled in, except for a drawn level and the target.

        Raises:
            GoalmazeError: something named in them does not exist or does not fit the rest.
        """
        agent, family = self.agent(settings.agent), self.family(settings)
        site = settings.site or _usual_site(agent)
        method = settings.method or (USUAL_METHOD if site in map_sites(agent.network) else USUAL_CELL_METHOD)
        compatible_pairs(agent.network, [site], [method])
        if settings.other and settings.other not in (others := self.others(settings)):
            raise unknown(f"second agent that can see {family.name}", settings.other, others)
        if TARGET not in find_method(method).uses:
            names = ", ".join(_targeted_methods())
            raise GoalmazeError(f"method '{method}' does not send the agent to a cell; choose one of {names}")
        index = settings.index
        if index is None:
            drawn = settings.level is not None
            index = 0 if drawn else first_clear_level(family, settings.shift, settings.seed)
        return msgspec.structs.replace(
            settings,
            family=family.name,
            size=family.size,
            index=index,
            site=site,
            method=method,
            # A memory keeps what is written, so it is rewritten once, after the first step.
            edit="first" if is_memory_site(agent.network, site) else settings.edit,
        )

    def pair_offered(self, agent: str, site: str, method: str) -> tuple[str, str]:
        """Return site and method where an agent's network takes them, and empty names in place of what it does not."""
        shown = self.agent(agent)
        site = site if site in _offered_sites(shown.network) else ""
        offered = method in _targeted_methods() and find_method(method).suits(shown.network, site or _usual_site(shown))
        return site, method if offered else ""

    def missing_edit(self, settings: Settings) -> FitRequest | None:
        """Return the edit that completed settings need and that is not fitted yet, if any."""
        request = self._edit_request(settings)
        return None if request is None or self._is_fitted(request) else request

    def missing_probe(self, settings: Settings, site: str) -> FitRequest | None:
        """Return the probe of a map that could be shown and is not fitted yet, if any."""
        agent, family = self.agent(settings.agent), self.family(settings)
        if edit_refusal(family) is not None or site not in map_sites(agent.network):
            return None
        request = FitRequest("probe", settings.agent, family, site)
        return None if self._is_fitted(request) else request

    def fit(self, request: FitRequest, watch: Callable[[nn.Module], None] | None = None) -> Fitted | None:
        """Return a fitted edit or probe; it takes up to minutes where it is not fitted yet.

        None stands for a probe that cannot be fitted.

        Args:
            request: what to fit.
            watch: is given the network that it is fitted on, before the fit begins.
        """
        # Two fits of one request are one; fits of other requests have other copies of the agent.
        with self._locks.setdefault(request, threading.Lock()):
            if self._is_fitted(request):
                return self._fitted(request)
            agent = self.copy_of(request.agent)
            if watch is not None:
                watch(agent.network)
            fitted: Fitted | None
            if request.kind == "edit":
                context = make_fit_context(agent.policy, request.family, FIT_LEVELS, 0)
                fitted = fit_method(find_method(request.method), context, request.site)
            else:
                # An agent that never arrives gives no labels. None is kept, so that it is not fitted again.
                fitted = fit_heading_probe(agent, request.family, request.site)
            self._fits.put(request, fitted)
            if fitted is not None:
                self._in_use[request] = fitted
            self._locks.pop(request, None)
            return fitted

    def _is_fitted(self, request: FitRequest) -> bool:
        return request in self._fits or request in self._in_use

    def _fitted(self, request: FitRequest) -> Fitted | None:
        kept = self._fits.get(request)
        return self._in_use.get(request) if kept is None else kept

    def edit(self, settings: Settings) -> FittedEdit | None:
        """Return the fitted edit of completed settings, None where their family cannot be edited."""
        request = self._edit_request(settings)
        if request is None:
            return None
        fitted = self._fitted(request)
        if fitted is None:
            fitted = self.fit(request)
        # The kind of a request decides what is fitted, so an edit request never holds a probe.
        assert isinstance(fitted, FittedEdit)
        return fitted

    def probe(self, settings: Settings, site: str) -> HeadingProbe | None:
        """Return the probe of a map, None where there is none or it is not fitted yet."""
        fitted = self._fitted(FitRequest("probe", settings.agent, self.family(settings), site))
        return fitted if isinstance(fitted, HeadingProbe) else None

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
            index=settings.index or 0,
            strength=settings.strength,
            first_steps=None if settings.edit == "every" else 1,
            other=self.agent(settings.other) if settings.other else None,
        )
        if settings.level is not None or settings.target is not None:
            level = scene.level if settings.level is None else settings.level.level(scene.family)
            target = scene.target if settings.target is None else settings.target
            check_target(level, target)
            # The link of a report holds its level, which may be the one at the address that it names.
            drawn = settings.level is not None and level.hashes() != scene.level.hashes()
            scene.set_level(level, target)
            scene.drawn = drawn
        return scene

    def menu(self, settings: Settings) -> JsonObject:
        """Return the names that a page can choose from, as plain data, for completed settings."""
        agent, family = self.agent(settings.agent), self.family(settings)
        sites = set(_offered_sites(agent.network))
        every = (*agent.network.sites(), *agent.network.memory_sites())
        return {
            "agents": self.descriptions(),
            "groups": grouped_agents(self.names),
            "others": self.others(settings),
            "checkpoints": self.checkpoints(settings.agent),
            "families": self.families(agent),
            "shifts": {NO_SHIFT: "the training distribution", **family.shifts},
            "methods": _offered_methods(agent.network),
            "sites": {site.name: site.channels for site in every if site.name in sites},
            "maps": map_sites(agent.network),
        }

    def _edit_request(self, settings: Settings) -> FitRequest | None:
        family = self.family(settings)
        if settings.other or edit_refusal(family) is not None:
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


def _offered_sites(network: Network) -> list[str]:
    """Return the sites that a page can edit: the usual ones, and those of a memory."""
    return [*usual_sites(network), *(site.name for site in network.memory_sites())]


def _usual_site(agent: Agent) -> str:
    """Return the site that is edited where none is named: the memory of an agent that only remembers its goal."""
    if agent.network.memory_sites() and agent.family.visible_steps_by_type[agent.family.goal] > 0:
        return WHOLE_MEMORY
    sites = usual_sites(agent.network)
    return USUAL_SITE if USUAL_SITE in sites else sites[0]


def _targeted_methods() -> dict[str, SteeringMethod]:
    """Return the methods that send the agent to a cell, by name."""
    return {name: method for name, method in steering_methods().items() if TARGET in method.uses}


def _offered_methods(network: Network) -> list[str]:
    """Return the names of the methods that send the agent to a cell and work at a usual site of a network."""
    sites = _offered_sites(network)
    return [name for name, method in _targeted_methods().items() if any(method.suits(network, site) for site in sites)]


def _runs_in(folder: Path | None) -> list[str]:
    if folder is None or not folder.is_dir():
        return []
    names: list[str] = []
    for path in sorted(folder.glob(f"*/{CHECKPOINT}")):
        names += _agents_of(path)
        if len(names) >= MAX_RUNS:
            break
    return names[:MAX_RUNS]


def _agents_of(checkpoint: Path) -> list[str]:
    """Return the name of the agent of a run, or those of all agents of a population; none if it cannot be read."""
    folder = str(checkpoint.parent)
    if not is_population_file(checkpoint):
        return [folder]
    try:
        return [f"{folder}/{number}" for number in range(len(read_population(checkpoint)))]
    except GoalmazeError:
        return []
