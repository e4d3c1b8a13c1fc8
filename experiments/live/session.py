"""The scene of one page. It handles each message completely or not at all, and keeps what undoing it needs."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from goalmaze.agents.sites import map_sites
from goalmaze.envs.ascii import read_ascii, write_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.live import messages
from goalmaze.experiments.live.agent_store import AgentStore, FitRequest, check_target
from goalmaze.experiments.live.inspection import Inspection, Views, inspect_agent, observe
from goalmaze.experiments.live.memory import ByteCache
from goalmaze.experiments.live.page_data import frame_data
from goalmaze.experiments.live.reasons import reasons
from goalmaze.experiments.live.scene import TARGET, Scene, with_moved, with_wall
from goalmaze.experiments.live.settings import SIZES, Change, DrawnLevel, Settings, changed, read_link, write_link
from goalmaze.experiments.page.appearance import appearance
from goalmaze.experiments.page.headings import HeadingProbe
from goalmaze.experiments.page.presets import presets_for
from goalmaze.probes.edits.base import Edit

MAX_UNDO = 200
INSPECTION_BYTES = 8 * 2**20
"""Bytes of the inspections that a page keeps for when its target returns to a cell."""


class Session:
    """The scene of one page.

    Attributes:
        settings: the completed settings of the scene.
        scene: the scene.
        inspected_site: the map whose activation is shown.
    """

    def __init__(self, store: AgentStore, settings: Settings) -> None:
        self._store = store
        self._past: list[_Past] = []
        self.settings = store.complete(settings)
        # What was chosen last, which an agent that cannot take it does not change.
        self._preferred = (self.settings.site, self.settings.method)
        self.inspected_site = self.settings.site
        self.scene = store.scene(self.settings)
        self._record_level(drawn=self.settings.level is not None)
        self._level_text: tuple[LevelBatch | None, str] = (None, "")
        self._views: dict[str, tuple[tuple[int, int], Views]] = {}
        self._inspections: ByteCache[tuple[object, ...], Inspection] = ByteCache(INSPECTION_BYTES)

    def missing_edit(self, message: messages.Message) -> FitRequest | None:
        """Return the edit that must be fitted before `handle` takes the message, if any.

        Raises:
            GoalmazeError: the message cannot be handled.
        """
        if isinstance(message, messages.Choose):
            return self._store.missing_edit(self._chosen(message.change))
        if isinstance(message, messages.Undo) and self._past:
            return self._store.missing_edit(self._past[-1].settings)
        return self._store.missing_edit(self._pasted(message.text)) if isinstance(message, messages.Paste) else None

    def missing_probe(self) -> FitRequest | None:
        """Return the probe of the inspected map, where it could be shown and is not fitted yet."""
        return self._store.missing_probe(self.settings, self.inspected_site)

    def handle(self, message: messages.Message) -> None:
        """Apply a message to the scene.

        Raises:
            GoalmazeError: it cannot be done.
            Exception: something else failed. The scene is as before then, too; a failed step restarts the episodes.
        """
        before = self._snapshot()
        try:
            self._apply(message)
        except Exception:
            self._restore(before)
            if isinstance(message, messages.Step):
                self.scene.restart()
            raise

    def why(self) -> JsonObject:
        """Return the reasons of the next decision of the unedited agent."""
        return reasons(self.scene)

    def close(self) -> None:
        """Free the memory of everything kept for later; the page has been closed."""
        self._inspections.clear()
        self._views.clear()
        self._past.clear()

    def _snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a message may change, in this session and in its scene."""
        session = {name: getattr(self, name) for name in ("settings", "scene", "inspected_site", "_preferred")}
        tally = {name: dict(counts) for name, counts in self.scene.tally.items()}
        return {**session, "_past": list(self._past)}, {**vars(self.scene), "tally": tally}

    def _restore(self, before: tuple[dict[str, Any], dict[str, Any]]) -> None:
        vars(self).update(before[0])
        vars(self.scene).update(before[1])

    def _apply(self, message: messages.Message) -> None:
        if isinstance(message, messages.Choose):
            self._change_to(self._chosen(message.change), message.drag)
            if message.change.site is not UNSET or message.change.method is not UNSET:
                self._preferred = (self.settings.site, self.settings.method)
        elif isinstance(message, messages.Move):
            self._move(message)
        elif isinstance(message, messages.Wall):
            level = with_wall(self.scene.level, message.cell, message.up, self.scene.target)
            self._remember(message.drag)
            self.scene.set_level(level, self.scene.target)
            self._record_level(drawn=True)
        elif isinstance(message, messages.Paste):
            self._change_to(self._pasted(message.text), message.drag)
        elif isinstance(message, messages.Inspect):
            if message.site and message.site not in map_sites(self.scene.agent.network):
                raise GoalmazeError(f"'{message.site}' is no map of this network; choose one that is listed")
            self.inspected_site = message.site or self.settings.site
        elif isinstance(message, messages.Undo):
            self._undo()
        elif isinstance(message, messages.Step):
            self.scene.step()
        elif isinstance(message, messages.Restart):
            self.scene.restart()
        elif isinstance(message, messages.Clear):
            self.scene.clear_tally()

    def _move(self, message: messages.Move) -> None:
        scene = self.scene
        if message.what == TARGET:
            check_target(scene.level, message.cell)
            self._remember(message.drag)
            scene.target = message.cell
            self.settings = msgspec.structs.replace(self.settings, target=message.cell)
            # A finished agent would not walk to the new target.
            if scene.finished:
                scene.restart()
            return
        level = with_moved(scene.level, message.what, message.cell, message.which)
        self._remember(message.drag)
        scene.set_level(level, scene.target)
        self._record_level(drawn=True)

    def _chosen(self, change: Change) -> Settings:
        settings = changed(self.settings, change)
        if settings.other and settings.other not in self._store.others(settings):
            settings = msgspec.structs.replace(settings, other="" if change.other is UNSET else settings.other)
        if settings.agent != self.settings.agent:
            site, method = self._store.pair_offered(settings.agent, *self._preferred)
            settings = msgspec.structs.replace(
                settings,
                site=site if change.site is UNSET else settings.site,
                method=method if change.method is UNSET else settings.method,
            )
        return self._store.complete(settings)

    def _next_inspected_site(self, settings: Settings) -> str:
        """Return the map to inspect with other settings: the same one, unless that was the edited site."""
        same_network = settings.agent == self.settings.agent
        keep = same_network and self.inspected_site != self.settings.site
        return self.inspected_site if keep else settings.site

    def _pasted(self, text: str) -> Settings:
        if "scene=" in text:
            return self._store.complete(read_link(text.strip()))
        rows = [line for line in text.split("\n") if line.strip()]
        if len(rows) not in SIZES or any(len(row.strip()) != len(rows) for row in rows):
            raise GoalmazeError(
                f"the text must be square with an odd side from {SIZES[0]} to {SIZES[-1]}; it has {len(rows)} "
                f"line{'s' * (len(rows) != 1)}"
            )
        family = self.scene.family.resized(len(rows))
        level = read_ascii(text, family)
        if len(level) != 1:
            raise GoalmazeError("paste one level, without blank lines in it")
        target = self.scene.target
        if family.size != self.settings.size or level.walls[0].flat[target]:
            # The agent stands on a free cell, so there is always one, also where every other cell holds an object.
            target = int(np.flatnonzero(level.free()[0])[-1])
        return msgspec.structs.replace(self.settings, size=family.size, level=DrawnLevel.of(level), target=target)

    def _change_to(self, settings: Settings, drag: int) -> None:
        """Change to other completed settings. The counts of outcomes stay where only level or target change."""
        site = self._next_inspected_site(settings)
        scene = self._store.scene(settings)
        # Everything that can fail comes before the first assignment, so that a refused change leaves the scene whole.
        self._check_observable(scene, settings, site)
        self._remember(drag)
        if _counted_settings(settings) == _counted_settings(self.settings):
            scene.tally = self.scene.tally
        self.settings, self.scene, self.inspected_site = settings, scene, site
        self._record_level(drawn=settings.level is not None)

    def _check_observable(self, scene: Scene, settings: Settings, site: str) -> None:
        """Run one forward pass, so that levels a network cannot take are refused before anything has changed."""
        try:
            for episode in scene.episodes.values():
                inspect_agent(scene, episode, site or None, [], None)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise GoalmazeError(f"{settings.agent} cannot see these levels ({reason}); choose another size") from None

    def _record_level(self, *, drawn: bool) -> None:
        self.settings = msgspec.structs.replace(
            self.settings, target=self.scene.target, level=DrawnLevel.of(self.scene.level) if drawn else None
        )

    def _remember(self, drag: int) -> None:
        """Keep the current settings for `_undo`, once for all changes of a drag."""
        # A drag sends many moves; undo goes back to before the first of them.
        if drag and self._past and self._past[-1].drag == drag:
            return
        self._past.append(_Past(self.settings, drag, self._preferred))
        del self._past[:-MAX_UNDO]

    def _undo(self) -> None:
        if not self._past:
            raise GoalmazeError("there is nothing to undo")
        past = self._past[-1]
        self._change_to(past.settings, 0)
        self._preferred = past.preferred
        # `_change_to` has remembered the present settings too, and an undo is not to be undone.
        del self._past[-2:]

    def menu(self) -> JsonObject:
        """Return the names that the page can choose from, and how objects are drawn."""
        return {
            "kind": "menu",
            **self._store.menu(self.settings),
            "sizes": list(SIZES),
            "presets": presets_for(set(self._store.names)),
            **appearance(self.scene.family),
        }

    def state(self) -> JsonObject:
        """Return all that the page shows now."""
        scene, settings = self.scene, self.settings
        heading = self._store.probe(settings, self.inspected_site)
        # A reading that is no evidence is not made: the page shows its scores alone.
        shown = heading if heading is not None and heading.above else None
        inspections = {"unedited": self._inspection("unedited", [], shown)}
        if "edited" in scene.episodes:
            other_probe = shown if scene.other is None else None
            inspections["edited"] = self._inspection("edited", scene.edits, other_probe)
        return {
            "kind": "state",
            **frame_data(scene, inspections),
            "probe": None if heading is None else heading.json(),
            "settings": settings,
            "link": write_link(settings),
            "ascii": self._text(),
            "inspected_site": self.inspected_site,
            "undo": len(self._past),
            "untrained": _untrained(scene),
        }

    def _text(self) -> str:
        """Return the level as text; it is written once for each level."""
        level = self.scene.level
        if self._level_text[0] is not level:
            self._level_text = (level, _ascii(level))
        return self._level_text[1]

    def _inspection(self, name: str, edits: list[Edit], heading: HeadingProbe | None) -> Inspection:
        """Return the inspection of one agent; the earlier one where nothing that it depends on has changed."""
        scene, episode = self.scene, self.scene.episodes[name]
        # A new level, a new edit or another agent begins a new episode, so its number stands for all of them.
        moment = (episode.number, episode.steps)
        edit_key = (scene.target, scene.strength) if edits else None
        key = (moment, edit_key, self.inspected_site, heading is None)
        inspection = self._inspections.get(key)
        if inspection is None:
            last, views = self._views.get(name, (None, None))
            if views is None or last != moment:
                views = observe(scene, episode)
                self._views[name] = (moment, views)
            inspection = inspect_agent(scene, episode, self.inspected_site or None, edits, heading, views)
            self._inspections.put(key, inspection)
        return inspection


@dataclasses.dataclass(frozen=True)
class _Past:
    """What undo returns to.

    Attributes:
        settings: the settings before a change.
        drag: the number of the drag that made the change, 0 for none.
        preferred: the site and the method that were chosen last.
    """

    settings: Settings
    drag: int
    preferred: tuple[str, str]


def _counted_settings(settings: Settings) -> tuple[object, ...]:
    """Return the settings whose change sets the counts to zero; levels and targets are counted together."""
    names = ("agent", "other", "family", "size", "shift", "site", "method", "strength", "edit")
    return tuple(getattr(settings, name) for name in names)


def _untrained(scene: Scene) -> str:
    """Return a sentence where an agent of a scene was never trained on such levels, else nothing."""
    agents = [episode.agent for episode in scene.episodes.values()]
    if any(agent.family.name != scene.family.name for agent in agents):
        return f"The agent was never trained in {scene.family.name}."
    size = scene.family.size
    return f"The agent was never trained at {size}×{size}." if any(a.family.size != size for a in agents) else ""


def _ascii(level: LevelBatch) -> str:
    try:
        return write_ascii(level)
    except GoalmazeError:
        return ""
