"""The settings of a scene, as plain data: links hold them, messages change them, and `goalmaze render` takes them."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch
from goalmaze.probes.steering.registry import FORMER_NAMES

if TYPE_CHECKING:
    from goalmaze.experiments.live.config import SceneConfig

MAX_SIZE = 31
SIZES = tuple(range(5, MAX_SIZE + 1, 2))
MAX_LINK_LENGTH = 8192

Name = Annotated[str, Meta(max_length=300)]
Size = Annotated[int, Meta(ge=5, le=MAX_SIZE)]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Cell = Annotated[int, Meta(ge=0, lt=MAX_SIZE**2)]
Slot = Annotated[int, Meta(ge=-1, lt=MAX_SIZE**2)]
Strength = Annotated[float, Meta(ge=-8, le=8)]


class DrawnLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A level drawn by hand.

    Attributes:
        walls: 0 or 1 for each cell, row by row.
        start: the cell the agent starts on.
        objects: the cell of each object slot of the family, -1 where it is empty.
    """

    walls: Annotated[str, Meta(max_length=MAX_SIZE**2, pattern="^[01]*$")]
    start: Cell
    objects: Annotated[list[Slot], Meta(max_length=64)]

    @classmethod
    def of(cls, level: LevelBatch) -> DrawnLevel:
        """Return the one level of a batch."""
        walls = "".join("1" if wall else "0" for wall in level.walls[0].flat)
        return cls(walls, int(level.start[0]), level.objects[0].tolist())

    def level(self, family: Family) -> LevelBatch:
        """Return the level as a batch of 1.

        Raises:
            GoalmazeError: it does not fit the family and its size, or is not a valid level.
        """
        size, slots = family.size, len(family.slots)
        if len(self.walls) != size * size or len(self.objects) != slots:
            raise GoalmazeError(
                f"the drawn level has {len(self.walls)} cells and {len(self.objects)} objects; {family.name} at size "
                f"{size} has {size * size} and {slots}"
            )
        walls = np.array([wall == "1" for wall in self.walls]).reshape(1, size, size)
        return LevelBatch(walls, np.array([self.start]), np.array([self.objects]), family).check()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that determines a scene.

    Attributes:
        agent: a listed agent.
        other: a second listed agent, shown beside the first one instead of the edit; none where empty.
        family: the family of the level; the agent's own where empty.
        size: rows and columns of the maze, in cells; the agent's training size where None.
        shift: the shift of the level.
        seed: of the levels and of the sampled actions.
        index: index of the level; where None, the first whose goal lies on no shortest path to the target.
        site: the site to edit; a usual one where empty.
        method: the steering method; a usual one where empty.
        strength: factor on the edit.
        edit: whether the edit applies at every step or at the first only.
        target: cell of the target; a random one where None.
        level: a level drawn by hand, shown instead of the level of `index`.
    """

    agent: Name
    other: Name = ""
    family: Name = ""
    size: Size | None = None
    shift: Name = NO_SHIFT
    seed: Number = 0
    index: Number | None = None
    site: Name = ""
    method: Name = ""
    strength: Strength = 1.0
    edit: Literal["every", "first"] = "every"
    target: Cell | None = None
    level: DrawnLevel | None = None


def settings_of(config: SceneConfig) -> Settings:
    """Return the settings in the options of a command; those in their link, where they have one.

    Raises:
        GoalmazeError: a value is out of range, or the link holds no settings.
    """
    if config.scene:
        return read_link(config.scene)
    values = {
        name: getattr(config, name) for name in Settings.__struct_fields__ if name not in ("family", "index", "other")
    }
    try:
        return msgspec.convert({**values, "index": config.level, "level": None}, Settings)
    except msgspec.ValidationError as error:
        # The option is called --level; `index` is the name in links.
        text = validation_text(error).replace("'index'", "'level'")
        raise GoalmazeError(f"the scene is invalid: {text}; choose another value") from None


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """New values for some of the settings, with the same fields."""

    agent: Name | UnsetType = UNSET
    other: Name | UnsetType = UNSET
    family: Name | UnsetType = UNSET
    size: Size | UnsetType | None = UNSET
    shift: Name | UnsetType = UNSET
    seed: Number | UnsetType = UNSET
    index: Number | UnsetType = UNSET
    site: Name | UnsetType = UNSET
    method: Name | UnsetType = UNSET
    strength: Strength | UnsetType = UNSET
    edit: Literal["every", "first"] | UnsetType = UNSET
    target: Cell | UnsetType | None = UNSET
    level: DrawnLevel | UnsetType | None = UNSET


LEVEL_SETTINGS = ("agent", "family", "size", "shift", "seed", "index")
"""A change of one of these settings gives another level and another target."""


def changed(settings: Settings, change: Change) -> Settings:
    """Return settings after a change. A new agent resets the family, and a new family resets the level."""
    values = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    if values.get("agent", settings.agent) != settings.agent:
        # Values of the change itself come last and win over what is reset.
        values = {"family": "", "size": None, "shift": NO_SHIFT, "site": "", **values}
    if values.get("family", settings.family) != settings.family:
        values = {"shift": NO_SHIFT, **values}
    if any(name in values for name in LEVEL_SETTINGS):
        values = {"target": None, "level": None, **values}
    return msgspec.structs.replace(settings, **values)


_VALIDATION_TEXTS = (
    (r"Expected `int[^`]*`, got .*", "must be a whole number"),
    (r"Expected `float[^`]*`, got .*", "must be a number"),
    (r"Expected `bool[^`]*`, got .*", "must be true or false"),
    (r"Expected `str[^`]*`, got .*", "must be text"),
    (r"Expected `array[^`]*`, got .*", "must be a list"),
    (r"Expected `object[^`]*`, got .*", "must be an object"),
    (r"Expected `(?:int|float)[^`]*` <=? (.+)", r"must be at most \1"),
    (r"Expected `(?:int|float)[^`]*` >=? (.+)", r"must be at least \1"),
    (r"Expected `str[^`]*` of length <= (\d+)", r"must have at most \1 characters"),
    (r"Expected `array[^`]*` of length <= (\d+)", r"must have at most \1 entries"),
    (r"Expected `str[^`]*` matching regex .*", "must hold the characters 0 and 1 only"),
    (r"Object contains unknown field `(.*)`", r"has no field '\1'"),
    (r"Object missing required field `(.*)`", r"needs the field '\1'"),
    (r"Invalid (?:enum )?value '?(.*?)'?", r"cannot be '\1'"),
)
"""What msgspec reports, and the same in plain words."""


def validation_text(error: Exception) -> str:
    """Return in plain words what msgspec or base64 found wrong with data."""
    text, _, path = str(error).partition(" - at `$")
    name = f"'{path.strip('.`')}'" if path.strip(".`") else "it"
    for pattern, plain in _VALIDATION_TEXTS:
        found = re.fullmatch(pattern, text)
        if found:
            return f"{name} {found.expand(plain)}"
    return "it is not valid JSON"


def write_link(settings: Settings) -> str:
    """Return settings as text for the fragment of an address; `read_link` reads them back."""
    return base64.urlsafe_b64encode(msgspec.json.encode(settings)).decode().rstrip("=")


def read_link(link: str) -> Settings:
    """Return the settings in a link, or in its part after ``#``.

    Raises:
        GoalmazeError: it holds no settings.
    """
    text = link.rpartition("#")[2].removeprefix("scene=")
    if len(text) > MAX_LINK_LENGTH:
        raise GoalmazeError(f"the link has {len(text)} characters: at most {MAX_LINK_LENGTH} are allowed")
    try:
        # `write_link` cuts the padding off, because = has a meaning of its own in addresses.
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        settings = msgspec.json.decode(data, type=Settings)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError) as error:
        reason = validation_text(error) if isinstance(error, msgspec.ValidationError) else "it is cut off or damaged"
        raise GoalmazeError(f"no scene in this link ({reason}); copy it again from the page") from None
    # Links of earlier versions hold former names of methods.
    return msgspec.structs.replace(settings, method=FORMER_NAMES.get(settings.method, settings.method))
