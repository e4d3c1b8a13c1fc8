"""One page's scene: it obeys messages, all or nothing, remembers what to undo, and says what there is to see."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from goalmaze.agents.sites import map_sites
from goalmaze.envs.ascii import read_ascii, write_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.rendering import PALETTE, scene_data, shape_mask
from goalmaze.experiments.live import messages
from goalmaze.experiments.live.agent_store import AgentStore, FitRequest, check_target
from goalmaze.experiments.live.inspection import Inspection, change, look, sight
from goalmaze.experiments.live.scene import (
    TARGET,
    AgentEpisode,
    Scene,
    why_not_edited,
    with_moved,
    with_wall,
)
from goalmaze.experiments.live.settings import SIZES, Change, Drawn, Settings, changed, write_link
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.readout.fitting import SquareProbe

MAX_UNDO = 200
MASK_PIXELS = 64
MAX_CHANNELS = 64
MAX_INSPECTIONS = 256
"""What was seen before is kept with all it was made from, so that no other thing can take its place in memory."""


class Session:
    """A scene under one page's hands.

    Attributes:
        settings: what the scene is made from, complete.
        scene: the scene.
        look_at: the map looked at.
    """

    def __init__(self, desk: AgentStore, settings: Settings) -> None:
        self._desk = desk
        self._past: list[tuple[Settings, int]] = []
        self.settings = desk.completed(settings)
        self.look_at = self.settings.site
        self.scene = desk.scene(self.settings)
        self._note_level(drawn=self.settings.level is not None)
        self._written: tuple[LevelBatch | None, str] = (None, "")
        self._sights: dict[str, tuple[Any, ...]] = {}
        self._minds: dict[tuple[object, ...], tuple[Inspection, object]] = {}

    def needs(self, message: messages.Known) -> FitRequest | None:
        """Return what must be found before `obey` can be quick.

        Raises:
            GoalmazeError: the message cannot be obeyed.
        """
        if isinstance(message, messages.Choose):
            return self._desk.needs(self._chosen(message.change))
        if isinstance(message, messages.Undo) and self._past:
            return self._desk.needs(self._past[-1][0])
        return self._desk.needs(self._pasted(message.text)) if isinstance(message, messages.Paste) else None

    def reading_needed(self) -> FitRequest | None:
        """Return the reading of the map looked at, where it could be had and was not found yet."""
        return self._desk.reading_needed(self.settings, self.look_at)

    def obey(self, message: messages.Known) -> None:
        """Do what a message asks.

        Raises:
            GoalmazeError: it cannot be done; nothing has changed then.
        """
        if isinstance(message, messages.Choose):
            self._turn_to(self._chosen(message.change), message.drag)
        elif isinstance(message, messages.Move):
            self._move(message)
        elif isinstance(message, messages.Wall):
            level = with_wall(self.scene.level, message.cell, message.up, self.scene.target)
            self._remember(message.drag)
            self.scene.put(level, self.scene.target)
            self._note_level(drawn=True)
        elif isinstance(message, messages.Paste):
            self._turn_to(self._pasted(message.text), message.drag)
        elif isinstance(message, messages.Look):
            if message.site and message.site not in map_sites(self.scene.agent.network):
                raise GoalmazeError(f"'{message.site}' is no map of this network; choose one that is listed")
            self.look_at = message.site or self.settings.site
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
            check_target(scene.level.walls[0].flat, message.cell)
            self._remember(message.drag)
            scene.target = message.cell
            self.settings = msgspec.structs.replace(self.settings, target=message.cell)
            if scene.finished:
                scene.restart()
            return
        level = with_moved(scene.level, message.what, message.cell, message.which)
        self._remember(message.drag)
        scene.put(level, scene.target)
        self._note_level(drawn=True)

    def _chosen(self, change: Change) -> Settings:
        settings = changed(self.settings, change)
        if settings.agent != self.settings.agent and not self._desk.suits(settings):
            settings = msgspec.structs.replace(settings, method="")
        return self._desk.completed(settings)

    def _looked_at(self, settings: Settings) -> str:
        """Return the map to look at with other settings: the one edited if that is what is looked at, or must be."""
        same_network = settings.agent == self.settings.agent
        return self.look_at if same_network and self.look_at != self.settings.site else settings.site

    def _pasted(self, text: str) -> Settings:
        family = self.scene.family
        rows = [line for line in text.split("\n") if line.strip()]
        if len(rows) not in SIZES or any(len(row.strip()) != len(rows) for row in rows):
            raise GoalmazeError(
                f"the picture must be square with an odd side from {SIZES[0]} to {SIZES[-1]}; it has {len(rows)} "
                f"line{'s' * (len(rows) != 1)}"
            )
        family = family.resized(len(rows))
        level = read_ascii(text, family)
        if len(level) != 1:
            raise GoalmazeError("paste one level, without blank lines in it")
        target = self.scene.target
        fits = family.size == self.settings.size and not level.walls[0].flat[target]
        return msgspec.structs.replace(
            self.settings,
            size=family.size,
            level=Drawn.of(level),
            target=target if fits else int(np.flatnonzero(level.free()[0])[-1]),
        )

    def _turn_to(self, settings: Settings, drag: int) -> None:
        """Change to other complete settings, keeping the walk and the counters where they still mean the same."""
        site = self._looked_at(settings)
        scene = self._desk.scene(settings)
        self._try(scene, settings, site)
        self._remember(drag)
        if _experiment(settings) == _experiment(self.settings):
            scene.tally = self.scene.tally
        self.settings, self.scene, self.look_at = settings, scene, site
        self._note_level(drawn=settings.level is not None)

    def _try(self, scene: Scene, settings: Settings, site: str) -> None:
        """Look into a scene once, so that what an agent cannot see is refused before anything has changed."""
        try:
            look(scene, scene.unedited, site or None, [], self._desk.reading(settings, site))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise GoalmazeError(f"{settings.agent} cannot see these levels ({reason}); choose another size") from None

    def _note_level(self, *, drawn: bool) -> None:
        self.settings = msgspec.structs.replace(
            self.settings, target=self.scene.target, level=Drawn.of(self.scene.level) if drawn else None
        )

    def _remember(self, drag: int) -> None:
        """Keep the present settings for `undo`, once for all changes of a drag."""
        if drag and self._past and self._past[-1][1] == drag:
            return
        self._past.append((self.settings, drag))
        del self._past[:-MAX_UNDO]

    def _undo(self) -> None:
        if not self._past:
            raise GoalmazeError("there is nothing to undo")
        settings = self._past[-1][0]
        self._turn_to(settings, 0)
        del self._past[-2:]

    def menu(self) -> dict[str, Any]:
        """Return what can be chosen from, and how things are drawn."""
        family = self.scene.family
        return {
            "kind": "menu",
            **self._desk.menu(self.settings),
            "sizes": list(SIZES),
            **looks(family),
        }

    def state(self) -> dict[str, Any]:
        """Return everything there is to see now."""
        scene, settings = self.scene, self.settings
        probe = self._desk.reading(settings, self.look_at)
        minds = {"unedited": self._mind("unedited", [], probe)}
        if "edited" in scene.walkers:
            minds["edited"] = self._mind("edited", scene.edits, probe)
        return {"kind": "state", **picture(scene, minds), "settings": settings, "link": write_link(settings)} | {
            "ascii": self._text(),
            "look_at": self.look_at,
            "undo": len(self._past),
        }

    def _text(self) -> str:
        """Return the level as text, written once for each level."""
        level = self.scene.level
        if self._written[0] is not level:
            self._written = (level, _ascii(level))
        return self._written[1]

    def _mind(self, name: str, edits: list[Edit], probe: SquareProbe | None) -> Inspection:
        """Return one agent's mind, remembered where nothing that it depends on has changed."""
        scene, walker = self.scene, self.scene.walkers[name]
        moment = (id(scene.level), id(walker.episodes), walker.steps)
        if self._sights.get(name, (None,))[0] != moment:
            self._sights[name] = (moment, sight(scene, walker), scene.level, walker)
        force = (scene.target, scene.strength) if edits else None
        key = (moment, id(scene.found), force, self.look_at, id(probe))
        if key not in self._minds:
            mind = look(scene, walker, self.look_at or None, edits, probe, self._sights[name][1])
            self._minds[key] = (mind, (scene.level, walker, scene.found, probe))
            while len(self._minds) > MAX_INSPECTIONS:
                self._minds.pop(next(iter(self._minds)))
        return self._minds[key][0]


def _experiment(settings: Settings) -> tuple[object, ...]:
    """Return what the counters are about: other levels and targets count together, other edits do not."""
    names = ("agent", "family", "size", "shift", "site", "method", "strength", "edit")
    return tuple(getattr(settings, name) for name in names)


def _ascii(level: LevelBatch) -> str:
    try:
        return write_ascii(level)
    except GoalmazeError:
        return ""


def picture(scene: Scene, minds: dict[str, Inspection]) -> dict[str, Any]:
    """Return a scene at one moment as plain data that a page can draw; maps are packed, see `packed`."""
    level, walkers = scene.level, scene.walkers
    low, high = _range([mind.maps for mind in minds.values() if mind.maps is not None])
    data = {
        "height": level.height,
        "width": level.width,
        "walls": (level.walls[0] + np.uint8(ord("0"))).tobytes().decode(),
        "start": int(level.start[0]),
        "target": scene.target if "edited" in walkers else -1,
        "index": scene.index,
        "family": scene.family.name,
        "goal": scene.family.goal,
        "cue": scene.family.cue,
        "limit": scene.family.time_limit,
        "finished": scene.finished,
        "tally": scene.tally,
        "sentence": sentence(scene),
        "refusal": why_not_edited(scene.family),
        "scale": [[round(float(a), 3), round(float(b), 3)] for a, b in zip(low, high, strict=True)],
        "sides": {name: _side(scene, walkers[name], mind, low, high) for name, mind in minds.items()},
    }
    if "edited" in minds:
        moved = change(minds["unedited"], minds["edited"])
        data["changed"] = packed(moved)
        stood = minds["unedited"].chances.any(axis=1)
        data["mean_change"] = round(float(moved[stood].mean()), 3) if stood.any() else 0.0
    return data


def _side(scene: Scene, walker: AgentEpisode, mind: Inspection, low: ArrayLike, high: ArrayLike) -> dict[str, Any]:
    present = walker.episodes.present()
    objects = scene_data(present, 0, walker.cell)["objects"]
    slots = [k for k, cell in enumerate(present.objects[0]) if cell >= 0]
    numbers = [scene.level.slots[:k].count(scene.level.slots[k]) for k in slots]
    side = {
        "agent": walker.cell,
        "trail": walker.trail,
        "outcome": walker.outcome,
        "returns": walker.returns.round(3).tolist(),
        "objects": [
            {"kind": thing["kind"], "cell": thing["cell"], "which": which}
            for thing, which in zip(objects, numbers, strict=True)
        ],
        "chances": packed(mind.chances),
    }
    if mind.maps is not None:
        span = np.maximum(np.asarray(high) - np.asarray(low), 1e-9)[:, None, None]
        side["maps"] = packed((mind.maps[:MAX_CHANNELS] - np.asarray(low)[:, None, None]) / span)
    if mind.reading is not None:
        side["reading"] = packed(np.sqrt(mind.reading))
        side["heading"] = int(mind.reading.argmax())
    return side


def _range(maps: list[Any]) -> tuple[Any, Any]:
    """Return the lowest and highest value of each channel in both agents, so that one colour means one value."""
    if not maps:
        return np.zeros(0), np.zeros(0)
    both = np.stack(maps)[:, :MAX_CHANNELS]
    return both.min(axis=(0, 2, 3)), both.max(axis=(0, 2, 3))


def packed(values: Any) -> str:
    """Return numbers from 0 to 1 as base64 of one byte each."""
    return base64.b64encode(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).tobytes()).decode()


def looks(family: Family) -> dict[str, Any]:
    """Return how the things of a family look: colours, and shapes as masks of `MASK_PIXELS` a side."""
    return {
        "palette": {name: list(colour) for name, colour in PALETTE.items()},
        "mask": MASK_PIXELS,
        "kinds": {
            kind.name: {
                "colour": list(kind.colour),
                "shape": packed(shape_mask(kind.shape, MASK_PIXELS)),
                "rim": packed(shape_mask(kind.shape, MASK_PIXELS, rim=True)),
                "fills": kind.fills,
                "still": kind.motion == "still" and not kind.fills,
            }
            for kind in family.object_types
        },
    }


def sentence(scene: Scene) -> str:
    """Return in one plain sentence what was done to the edited agent."""
    refusal = why_not_edited(scene.family)
    if scene.found is None or refusal:
        return refusal or "Nothing is edited."
    row, column = divmod(scene.target, scene.level.width)
    steps = "at every step" if scene.every else "at the first step only"
    if scene.strength == 0:
        return "The strength is 0, so the edit changes nothing and both agents are the same."
    times = "" if scene.strength == 1 else f", {scene.strength:g} times as strongly"
    return (
        f"At the site {scene.found.site}, the edit tells the agent {steps}{times} that the {scene.family.goal} is at "
        f"the target in row {row}, column {column}, and not where it stands; the maze itself is untouched."
    )
