"""What all pages share: the listed agents, and the patterns and readings found in them, each found once."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

from goalmaze.agents.loading import CHECKPOINT, ZOO_PREFIX, Agent, load_agent
from goalmaze.agents.sites import find_map_site, map_sites
from goalmaze.agents.zoo import manifest
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.families.base import NO_SHIFT, Family
from goalmaze.experiments.live.mind import fit_reading
from goalmaze.experiments.live.scene import Scene, why_not_edited
from goalmaze.experiments.live.settings import Settings
from goalmaze.experiments.retarget import make_workshop
from goalmaze.probes.directions import GoalPattern
from goalmaze.probes.fitting import SquareProbe
from goalmaze.probes.steering import find_method, known_methods

FIT_LEVELS = 512
USUAL_SITE, USUAL_METHOD = "stem", "mean-pattern"
MOST_RUNS = 200
MOST_KEPT = 64


@dataclasses.dataclass(frozen=True)
class Need:
    """Something to be found before a scene can be shown.

    Attributes:
        what: "pattern" or "reading".
        agent: a listed agent.
        family: the world, at its size.
        site: a map of the agent's network.
        method: the steering method; empty for a reading.
    """

    what: str
    agent: str
    family: Family
    site: str
    method: str = ""

    def text(self) -> str:
        """Return what is going on while it is looked for."""
        if self.what == "pattern":
            return f"Finding the edit of {self.method} at {self.site} for {self.agent} ..."
        return f"Fitting a probe at {self.site} for {self.agent} ..."


class Desk:
    """Agents, patterns and readings.

    Agents are loaded twice: one copy acts, the other is what patterns and readings are found in meanwhile.

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
        self._found: dict[Need, GoalPattern | SquareProbe | None] = {}
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
        maps = map_sites(agent.network)
        site, method = settings.site, settings.method or USUAL_METHOD
        if not site and maps:
            site = USUAL_SITE if USUAL_SITE in maps else maps[0]
        if maps:
            find_map_site(agent.network, site)
        find_method(method)
        return Settings(
            **{name: getattr(settings, name) for name in Settings.__struct_fields__}
            | {"family": family.name, "size": family.size, "site": site if maps else "", "method": method}
        )

    def needs(self, settings: Settings) -> Need | None:
        """Return the pattern that completed settings need and that is still to be found, if any."""
        family = self.family(settings)
        if why_not_edited(self.agent(settings.agent), family) is not None:
            return None
        need = Need("pattern", settings.agent, family, settings.site, settings.method)
        return None if need in self._found else need

    def reading_needed(self, settings: Settings, look_at: str) -> Need | None:
        """Return the reading that a map could have and that is still to be found, if any."""
        family = self.family(settings)
        if why_not_edited(self.agent(settings.agent), family) is not None:
            return None
        need = Need("reading", settings.agent, family, look_at)
        return None if need in self._found else need

    def find(self, need: Need) -> None:
        """Find what is needed; takes from a moment to a minute. A reading that cannot be had is kept as None."""
        with self._lock:
            if need in self._found:
                return
            agent = self.agent(need.agent, studied=True)
            found: GoalPattern | SquareProbe | None
            if need.what == "pattern":
                workshop = make_workshop(agent.policy, need.family, FIT_LEVELS, 0)
                found = find_method(need.method).find(workshop, need.site)
            else:
                try:
                    found = fit_reading(agent, need.family, need.site)
                except GoalmazeError:
                    found = None
            while len(self._found) >= MOST_KEPT:
                self._found.pop(next(iter(self._found)))
            self._found[need] = found

    def pattern(self, settings: Settings) -> GoalPattern | None:
        """Return the pattern for completed settings, None where nothing can be edited."""
        family = self.family(settings)
        if why_not_edited(self.agent(settings.agent), family) is not None:
            return None
        need = Need("pattern", settings.agent, family, settings.site, settings.method)
        if need not in self._found:
            self.find(need)
        found = self._found[need]
        assert isinstance(found, GoalPattern)
        return found

    def reading(self, settings: Settings, look_at: str) -> SquareProbe | None:
        """Return the probe of a map, None where there is none or it was not found yet."""
        found = self._found.get(Need("reading", settings.agent, self.family(settings), look_at))
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
            self.pattern(settings),
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
        maps = set(map_sites(agent.network))
        return {
            "agents": self.purposes(),
            "families": self.families(agent),
            "shifts": {NO_SHIFT: "the training distribution", **family.shifts},
            "methods": list(known_methods()),
            "sites": {site.name: site.channels for site in agent.network.sites() if site.name in maps},
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


def _runs_in(folder: Path | None) -> list[str]:
    if folder is None or not folder.is_dir():
        return []
    return sorted(str(path.parent) for path in folder.glob(f"*/{CHECKPOINT}"))[:MOST_RUNS]
