"""Checks of what a family declares, made where it is registered: each error is one line that names the slip."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable

from goalmaze.envs.ascii import AGENT_LETTER, FLOOR, WALL
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import MAX_SLOTS, NO_SHIFT, Family
from goalmaze.envs.objects import AGENT, MOTIONS, ObjectType
from goalmaze.envs.rendering import SHAPES

MAX_PLANES = 2
"""Observation planes that one object type can show on."""

MAX_VALUE = 255
"""The largest value of an observation plane, and of one part of a colour."""

DECLARED = ("name", "goal", "cue", "shifts", "distinguishing_shift")
"""Class attributes that every family sets."""


def check_class(family: type[Family]) -> None:
    """Refuse a class that is no complete family: an attribute, a method, `dataclass` or a default is missing.

    Raises:
        GoalmazeError: naming the class and what is missing.
    """
    missing = [name for name in DECLARED if not hasattr(family, name)]
    missing += sorted(family.__abstractmethods__)
    if missing:
        raise GoalmazeError(f"family class {family.__name__} lacks {', '.join(missing)}: define it")
    if not isinstance(family.name, str) or not family.name.isidentifier():
        raise GoalmazeError(f"family class {family.__name__} has the name {family.name!r}: give letters and digits")
    if "__dataclass_fields__" not in vars(family):
        raise GoalmazeError(f"family class {family.__name__} is no dataclass: add @dataclasses.dataclass(frozen=True)")
    for field in dataclasses.fields(family):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise GoalmazeError(f"family class {family.__name__}: parameter '{field.name}' needs a default")


def check_family(family: Family) -> None:
    """Refuse a family that declares names, numbers or letters that do not fit together.

    Raises:
        GoalmazeError: naming the family and the first slip.
    """
    try:
        _check_object_types(family)
        _check_slots(family)
        _check_glyphs(family)
        _check_shifts(family)
    except GoalmazeError as error:
        raise GoalmazeError(f"family '{family.name}': {error}") from None


def _check_object_types(family: Family) -> None:
    types = family.object_types
    names = [one.name for one in types]
    _check_distinct("object type", names)
    _check_known("goal", [family.goal], names)
    _check_known("cue", [family.cue], names)
    _check_known("object type in values", family.values(), names)
    for name, value in family.values().items():
        if not 0 <= value <= MAX_VALUE:
            raise GoalmazeError(f"'{name}' shows with the value {value}: choose 0 to {MAX_VALUE}")
    for one in types:
        _check_object_type(one, names)


def _check_object_type(one: ObjectType, names: list[str]) -> None:
    if one.name == AGENT:
        raise GoalmazeError(f"no object type can have the name '{AGENT}': choose another one")
    if len(one.shows_on) > MAX_PLANES:
        raise GoalmazeError(f"'{one.name}' shows on {len(one.shows_on)} planes: name {MAX_PLANES} at most")
    whole = all(isinstance(part, int) and 0 <= part <= MAX_VALUE for part in one.colour)
    if len(one.colour) != 3 or not whole:
        raise GoalmazeError(f"'{one.name}' has the colour {one.colour}: give three integers from 0 to {MAX_VALUE}")
    _check_known(f"shape of '{one.name}'", [one.shape], SHAPES)
    _check_known(f"motion of '{one.name}'", [one.motion], MOTIONS)
    _check_known(f"`after` of '{one.name}'", [] if one.after is None else [one.after], names)
    _check_known(f"`lamp` of '{one.name}'", [] if one.lamp is None else [one.lamp], names)


def _check_slots(family: Family) -> None:
    _check_known("object type in slots", family.slots, [one.name for one in family.object_types])
    if len(family.slots) > MAX_SLOTS:
        raise GoalmazeError(f"there are {len(family.slots)} slots: {MAX_SLOTS} is the most")
    used = [one for one in family.object_types if one.name in family.slots]
    needed = {name for one in used for name in (one.after, one.lamp) if name is not None}
    for name in sorted({family.goal, family.cue} | needed):
        if name not in family.slots:
            raise GoalmazeError(f"no slot holds '{name}': add it to slots")


def _check_glyphs(family: Family) -> None:
    letters = [WALL, FLOOR, AGENT_LETTER, *(one.letter for one in family.object_types), *family.stacked_glyphs]
    for letter in letters:
        if len(letter) != 1 or letter.isspace():
            raise GoalmazeError(f"'{letter}' is no letter for text pictures: give one character")
    _check_distinct("letter", letters)
    for letter, stacked in family.stacked_glyphs.items():
        _check_known(f"object type of stacked glyph '{letter}'", stacked, family.slots)


def _check_shifts(family: Family) -> None:
    _check_known("distinguishing shift", [family.distinguishing_shift], family.shifts)
    if NO_SHIFT in family.shifts:
        raise GoalmazeError(f"'{NO_SHIFT}' is the name of the training distribution: give the shift another one")
    for shift in (NO_SHIFT, *family.shifts):
        try:
            family.check_placements(shift)
        except KeyError as error:
            raise GoalmazeError(f"placements knows no shift {error}: add it") from None
        except GoalmazeError as error:
            raise GoalmazeError(f"placements('{shift}'): {error}") from None


def _check_known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise unknown(what, name, known)


def _check_distinct(what: str, names: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise GoalmazeError(f"{what} '{repeated[0]}' is used twice: choose another one")
