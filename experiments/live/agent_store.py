"""What all pages share: the listed agents, and the edits and readings found in them, each found once."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

from goalmaze.agents.loading import CHECKPOINT, ZOO_PREFIX, Agent, load_agent
from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import map_sites, usual_sites
from goalmaze.agents.zoo import manifest
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.experiments.live.inspection import fit_reading
from goalmaze.experiments.live.scene import Scene, why_not_edited
from goalmaze.experiments.live.settings import Settings
from goalmaze.experiments.retarget.candidates import compatible_pairs
from goalmaze.experiments.retarget.task import make_fit_context
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.information import TARGET
from goalmaze.probes.readout.fitting import SquareProbe
from goalmaze.probes.steering import find_method, steering_methods
from goalmaze.probes.steering.base import SteeringMethod

FIT_LEVELS = 512
USUAL_SITE, USUAL_METHOD, WITHOUT_MAPS = "stem", "mean-pattern", "cell-means"
"""What a page opens with; the last is the method where a network has no maps of squares."""

MAX_RUNS = 200
MAX_KEPT = 64


@dataclasses.dataclass(frozen=True)
class FitRequest:
    """Something to be found before a scene can be shown.

    Attributes:
        what: "edit" or "reading".
        agent: a listed agent.
        family: the world, at its size.
        site: of the agent's network; a map for a reading.
        method: the steering method; empty for a reading.
    """

    what: str
    agent: str
    family: Family
    site: str
    method: str = ""

    def text(self) -> str:
        """Return what is going on while it is looked for."""
        if self.what == "edit":
            return f"Finding the edit of {self.method} at {self.site} for {self.agent} ..."
        return f"Fitting a probe at {self.site} for {self.agent} ..."


class AgentStore:
    """Agents, edits and readings.

    Agents are loaded twice: one copy acts, the other is what edits and readings are found in meanwhile.

    Args:
        agent: the agent that was asked for; listed even where it is neither in the zoo nor among the runs.
        runs: a folder of run folders that are listed too.
    """

    def __init__(self, agent: str, runs: Path | None = None) -> None:
        self.names = list(dict.fromkeys([agent, *(ZOO_PREFIX + name for name in manifest()), *_runs_in(runs)]))
        self._acting: dict[str, Agent] = {}
        self._studied: dict[str, Agent] = {}
        self._seen_by: dict[str, list[str]] = {}
        self._worlds: dict[tuple[str, str, int], Family] = {}
        self._found: dict[FitRequest, FittedEdit | SquareProbe | None] = {}
        self._lock = threading.Lock()

    def purposes(self) -> dict[str, str]:
        """Return every listed agent with what it is there for."""
        return {
            name: entry.purpose if (entry := manifest().get(name.removeprefix(ZOO_PREFIX))) else ""
            for name in self.names
        }

    def agent(self, name: str, *, studied: bool = False) -> Agent:
        """Return a listed agent: the copy that acts, or the one that is studied.

        Raises:
            GoalmazeError: it is not listed, or cannot be loaded.
        """
        if name not in self.names:
            raise unknown("agent", name, self.names)
        agents = self._studied if studied else self._acting
        if name not in agents:
            agents[name] = load_agent(name)
        return agents[name]

    def families(self, agent: Agent) -> list[str]:
        """Return the families whose levels an agent can see, its own first."""
        if agent.name in self._seen_by:
            return self._seen_by[agent.name]
        shape = agent.network.shape
        others = [
            name
            for name in known_families()
            if name != agent.family.name and shape.view(make_family(name)).highest.shape[0] == shape.observation[0]
        ]
        self._seen_by[agent.name] = [agent.family.name, *(others if shape.mode == "planes" else [])]
        return self._seen_by[agent.name]

    def family(self, settings: Settings) -> Family:
        """Return the world of settings, at its size.

        Raises:
            GoalmazeError: there is none such, or the agent cannot see it.
        """
        agent = self.agent(settings.agent)
        name = settings.family or agent.family.name
        if name not in (known := self.families(agent)):
            raise unknown(f"family that {settings.agent} can see", name, known)
        size = settings.size or agent.family.size
        key = (settings.agent, name, size)
        if key not in self._worlds:
            own = agent.family if name == agent.family.name else make_family(name)
            self._worlds[key] = own.resized(size)
        family = self._worlds[key]
        if settings.shift not in (NO_SHIFT, *family.shifts):
            raise unknown("shift", settings.shift, [NO_SHIFT, *family.shifts])
        return family

    def completed(self, settings: Settings) -> Settings:
        """Return settings with nothing left open but the level and the target.

        Raises:
            GoalmazeError: something named in them does not exist or does not go together.
        """
        agent, family = self.agent(settings.agent), self.family(settings)
        maps, sites = map_sites(agent.network), usual_sites(agent.network)
        site = settings.site or (USUAL_SITE if USUAL_SITE in sites else sites[0])
        method = settings.method or (USUAL_METHOD if site in maps else WITHOUT_MAPS)
        compatible_pairs(agent.network, [site], [method])
        if TARGET not in find_method(method).uses:
            raise GoalmazeError(f"method '{method}' sends the agent to no cell; choose one of {', '.join(_steering())}")
        return Settings(
            **{name: getattr(settings, name) for name in Settings.__struct_fields__}
            | {"family": family.name, "size": family.size, "site": site, "method": method}
        )

    def suits(self, settings: Settings) -> bool:
        """Return whether the method in settings can be tried anywhere in their agent's network."""
        network = self.agent(settings.agent).network
        return settings.method in _offered(network)

    def needs(self, settings: Settings) -> FitRequest | None:
        """Return the edit that completed settings need and that is still to be found, if any."""
        family = self.family(settings)
        if why_not_edited(family) is not None:
            return None
        need = FitRequest("edit", settings.agent, family, settings.site, settings.method)
        return None if need in self._found else need

    def reading_needed(self, settings: Settings, look_at: str) -> FitRequest | None:
        """Return the reading that a map could have and that is still to be found, if any."""
        agent, family = self.agent(settings.agent), self.family(settings)
        if why_not_edited(family) is not None or look_at not in map_sites(agent.network):
            return None
        need = FitRequest("reading", settings.agent, family, look_at)
        return None if need in self._found else need

    def find(self, need: FitRequest) -> None:
        """Find what is needed; takes from a moment to a minute. A reading that cannot be had is kept as None."""
        with self._lock:
            if need in self._found:
                return
            agent = self.agent(need.agent, studied=True)
            found: FittedEdit | SquareProbe | None
            if need.what == "edit":
                context = make_fit_context(agent.policy, need.family, FIT_LEVELS, 0)
                found = find_method(need.method).fit(context, need.site)
            else:
                try:
                    found = fit_reading(agent, need.family, need.site)
                except GoalmazeError:
                    found = None
            while len(self._found) >= MAX_KEPT:
                self._found.pop(next(iter(self._found)))
            self._found[need] = found

    def edit(self, settings: Settings) -> FittedEdit | None:
        """Return what is written under completed settings, None where nothing can be edited."""
        family = self.family(settings)
        if why_not_edited(family) is not None:
            return None
        need = FitRequest("edit", settings.agent, family, settings.site, settings.method)
        if need not in self._found:
            self.find(need)
        found = self._found[need]
        assert not isinstance(found, SquareProbe)
        return found

    def reading(self, settings: Settings, look_at: str) -> SquareProbe | None:
        """Return the probe of a map, None where there is none or it was not found yet."""
        found = self._found.get(FitRequest("reading", settings.agent, self.family(settings), look_at))
        return found if isinstance(found, SquareProbe) else None

    def scene(self, settings: Settings) -> Scene:
        """Return a fresh scene for completed settings.

        Raises:
            GoalmazeError: the level or the target cannot be.
        """
        agent, family = self.agent(settings.agent), self.family(settings)
        scene = Scene(
            agent,
            family,
            self.edit(settings),
            shift=settings.shift,
            seed=settings.seed,
            index=settings.index,
            strength=settings.strength,
            every=settings.edit == "every",
        )
        place(scene, settings)
        return scene

    def menu(self, settings: Settings) -> dict[str, object]:
        """Return what can be chosen from with completed settings."""
        agent, family = self.agent(settings.agent), self.family(settings)
        sites = set(usual_sites(agent.network))
        return {
            "agents": self.purposes(),
            "families": self.families(agent),
            "shifts": {NO_SHIFT: "the training distribution", **family.shifts},
            "methods": _offered(agent.network),
            "sites": {site.name: site.channels for site in agent.network.sites() if site.name in sites},
            "maps": map_sites(agent.network),
        }


def place(scene: Scene, settings: Settings) -> None:
    """Give a scene the level and the target that the settings hold, if any.

    Raises:
        GoalmazeError: one of them cannot be.
    """
    if settings.level is None and settings.target is None:
        return
    level = scene.level if settings.level is None else settings.level.level(scene.family)
    target = scene.target if settings.target is None else settings.target
    check_target(level.walls[0].flat, target)
    scene.put(level, target)


def check_target(walls: object, cell: int) -> None:
    """Refuse a target in a wall or outside of the maze."""
    flat = list(walls)  # type: ignore[call-overload]
    if cell >= len(flat) or flat[cell]:
        raise GoalmazeError("the target must be on a free cell of the maze; choose another")


def _steering() -> dict[str, SteeringMethod]:
    """Return the methods that send the agent to a cell, by name."""
    return {name: method for name, method in steering_methods().items() if TARGET in method.uses}


def _offered(network: Network) -> list[str]:
    """Return the names of those that can be tried at a usual site of a network."""
    sites = usual_sites(network)
    return [name for name, method in _steering().items() if any(method.suits(network, site) for site in sites)]


def _runs_in(folder: Path | None) -> list[str]:
    if folder is None or not folder.is_dir():
        return []
    return sorted(str(path.parent) for path in folder.glob(f"*/{CHECKPOINT}"))[:MAX_RUNS]
