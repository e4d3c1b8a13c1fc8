"""The scene of one page. It handles each message completely or not at all, and keeps what undoing it needs."""

from __future__ import annotations

import msgspec
import numpy as np

from goalmaze.agents.sites import map_sites
from goalmaze.envs.ascii import read_ascii, write_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.live import messages
from goalmaze.experiments.live.agent_store import AgentStore, FitRequest, check_target
from goalmaze.experiments.live.inspection import Inspection, Views, inspect_agent, observe
from goalmaze.experiments.live.page_data import appearance, frame_data
from goalmaze.experiments.live.scene import TARGET, Scene, with_moved, with_wall
from goalmaze.experiments.live.settings import SIZES, Change, DrawnLevel, Settings, changed, write_link
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.readout.fitting import SquareProbe

MAX_UNDO = 200
MAX_INSPECTIONS = 256


class Session:
    """The scene of one page.

    Attributes:
        settings: the completed settings of the scene.
        scene: the scene.
        inspected_site: the map whose activation is shown.
    """

    def __init__(self, store: AgentStore, settings: Settings) -> None:
        self._store = store
        self._past: list[tuple[Settings, int]] = []
        self.settings = store.complete(settings)
        self.inspected_site = self.settings.site
        self.scene = store.scene(self.settings)
        self._record_level(drawn=self.settings.level is not None)
        self._level_text: tuple[LevelBatch | None, str] = (None, "")
        self._views: dict[str, tuple[tuple[int, int, int], Views, object]] = {}
        self._inspections: dict[tuple[object, ...], tuple[Inspection, object]] = {}

    def missing_edit(self, message: messages.Message) -> FitRequest | None:
        """Return the edit that must be fitted before `handle` takes the message, if any.

        Raises:
            GoalmazeError: the message cannot be handled.
        """
        if isinstance(message, messages.Choose):
            return self._store.missing_edit(self._chosen(message.change))
        if isinstance(message, messages.Undo) and self._past:
            return self._store.missing_edit(self._past[-1][0])
        return self._store.missing_edit(self._pasted(message.text)) if isinstance(message, messages.Paste) else None

    def missing_probe(self) -> FitRequest | None:
        """Return the probe of the inspected map, where it could be shown and is not fitted yet."""
        return self._store.missing_probe(self.settings, self.inspected_site)

    def handle(self, message: messages.Message) -> None:
        """Apply a message to the scene.

        Raises:
            GoalmazeError: it cannot be done; nothing has changed then.
        """
        if isinstance(message, messages.Choose):
            self._change_to(self._chosen(message.change), message.drag)
        elif isinstance(message, messages.Move):
            self._move(message)
        elif isinstance(message, messages.Wall):
            # Made first: if it is refused, nothing has been remembered for undo.
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
        else:
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
        if settings.agent != self.settings.agent and not self._store.offers_method(settings):
            settings = msgspec.structs.replace(settings, method="")
        return self._store.complete(settings)

    def _next_inspected_site(self, settings: Settings) -> str:
        """Return the map to inspect with other settings: the same one, unless that was the edited site."""
        same_network = settings.agent == self.settings.agent
        keep = same_network and self.inspected_site != self.settings.site
        return self.inspected_site if keep else settings.site

    def _pasted(self, text: str) -> Settings:
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
        fits = family.size == self.settings.size and not level.walls[0].flat[target]
        return msgspec.structs.replace(
            self.settings,
            size=family.size,
            level=DrawnLevel.of(level),
            # Every level has a free cell, so the last of them is always a target.
            target=target if fits else int(np.flatnonzero(level.free()[0])[-1]),
        )

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
            inspect_agent(scene, scene.unedited, site or None, [], self._store.probe(settings, site))
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
        if drag and self._past and self._past[-1][1] == drag:
            return
        self._past.append((self.settings, drag))
        del self._past[:-MAX_UNDO]

    def _undo(self) -> None:
        if not self._past:
            raise GoalmazeError("there is nothing to undo")
        settings = self._past[-1][0]
        self._change_to(settings, 0)
        # `_change_to` has remembered the present settings too, and an undo is not to be undone.
        del self._past[-2:]

    def menu(self) -> JsonObject:
        """Return the names that the page can choose from, and how objects are drawn."""
        return {
            "kind": "menu",
            **self._store.menu(self.settings),
            "sizes": list(SIZES),
            **appearance(self.scene.family),
        }

    def state(self) -> JsonObject:
        """Return all that the page shows now."""
        scene, settings = self.scene, self.settings
        probe = self._store.probe(settings, self.inspected_site)
        inspections = {"unedited": self._inspection("unedited", [], probe)}
        if "edited" in scene.episodes:
            inspections["edited"] = self._inspection("edited", scene.edits, probe)
        return {
            "kind": "state",
            **frame_data(scene, inspections),
            "settings": settings,
            "link": write_link(settings),
            "ascii": self._text(),
            "inspected_site": self.inspected_site,
            "undo": len(self._past),
        }

    def _text(self) -> str:
        """Return the level as text; it is written once for each level."""
        level = self.scene.level
        if self._level_text[0] is not level:
            self._level_text = (level, _ascii(level))
        return self._level_text[1]

    def _inspection(self, name: str, edits: list[Edit], probe: SquareProbe | None) -> Inspection:
        """Return the inspection of one agent; the earlier one where nothing that it depends on has changed."""
        scene, episode = self.scene, self.scene.episodes[name]
        moment = (id(scene.level), id(episode.engine), episode.steps)
        # Keys hold ids of objects. The objects are kept beside each value, so that no other object gets the same id.
        if name not in self._views or self._views[name][0] != moment:
            self._views[name] = (moment, observe(scene, episode), (scene.level, episode))
        edit_key = (scene.target, scene.strength) if edits else None
        key = (moment, id(scene.fitted_edit), edit_key, self.inspected_site, id(probe))
        if key not in self._inspections:
            views = self._views[name][1]
            inspection = inspect_agent(scene, episode, self.inspected_site or None, edits, probe, views)
            self._inspections[key] = (inspection, (scene.level, episode, scene.fitted_edit, probe))
            while len(self._inspections) > MAX_INSPECTIONS:
                self._inspections.pop(next(iter(self._inspections)))
        return self._inspections[key][0]


def _counted_settings(settings: Settings) -> tuple[object, ...]:
    """Return the settings whose change sets the counts to zero; levels and targets are counted together."""
    names = ("agent", "family", "size", "shift", "site", "method", "strength", "edit")
    return tuple(getattr(settings, name) for name in names)


def _ascii(level: LevelBatch) -> str:
    try:
        return write_ascii(level)
    except GoalmazeError:
        return ""
