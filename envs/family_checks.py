"""Checks of what a family declares, made where it is registered: each error is one line that names the slip."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from goalmaze.envs.ascii import AGENT_LETTER, FLOOR, WALL
from goalmaze.envs.errors import GoalmazeError, location, unknown
from goalmaze.envs.levels import MAX_SLOTS, Family
from goalmaze.envs.objects import AGENT, MOTIONS, ObjectType
from goalmaze.envs.placement_checks import check_shifts
from goalmaze.envs.rendering import SHAPES

MAX_PLANES = 2
"""Observation planes that one object type can show on."""

MAX_VALUE = 255
"""The largest value of an observation plane, and of one part of a colour."""

DECLARED = ("name", "goal", "cue", "shifts", "distinguishing_shift")
"""Class attributes that every family sets."""

FLAGS = ("ends", "vanishes", "gives", "needs", "spares", "required", "while_lit", "fills")
"""Fields of an object type that are True or False."""


def check_class(family: type[Family]) -> None:
    """Refuse a class that is no complete family: an attribute, a method, `dataclass` or a default is missing.

    Raises:
        GoalmazeError: naming the class and what is missing.
    """
    what = f"family class {family.__name__}"
    missing = [name for name in DECLARED if not hasattr(family, name)]
    missing += sorted(family.__abstractmethods__)
    if missing:
        raise GoalmazeError(f"{what} lacks {', '.join(missing)}: define it")
    if not isinstance(family.name, str) or not family.name.isidentifier():
        raise GoalmazeError(f"{what} has the name {family.name!r}: give letters and digits")
    if "__dataclass_fields__" not in vars(family):
        raise GoalmazeError(f"{what} is no dataclass: add @dataclasses.dataclass(frozen=True)")
    for field in dataclasses.fields(family):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise GoalmazeError(f"{what}: parameter '{field.name}' needs a default")
    if "name" not in vars(family):
        raise GoalmazeError(f"{what} has the name '{family.name}' of its base: give it a name of its own")


def check_family(family_class: type[Family]) -> None:
    """Refuse a family that declares, with its default parameters, what does not fit together.

    Raises:
        GoalmazeError: naming the family and the first slip.
    """
    what = f"family '{family_class.name}'"
    try:
        family = family_class()
        for check in (_check_parameters, _check_forms, _check_object_types, _check_slots, _check_rules, _check_glyphs):
            check(family)
        check_shifts(family)
    except GoalmazeError as error:
        raise GoalmazeError(f"{what}: {error}") from None
    except Exception as error:  # whatever a method of the user's, or an attribute of an unforeseen type, may raise
        raise GoalmazeError(f"{what}: {type(error).__name__}: {error}{location(error)}") from error


def _check_parameters(family: Family) -> None:
    """Refuse parameters that a checkpoint cannot hold, and a family that does without the checks of its base."""
    for field in dataclasses.fields(family):
        value = getattr(family, field.name)
        try:
            hash(value)
            msgspec.json.encode(value)
        except TypeError:
            raise GoalmazeError(
                f"parameter '{field.name}' is {value!r}: use a number, a text, True or False, or a tuple of them"
            ) from None
    try:
        again = msgspec.convert(msgspec.json.decode(msgspec.json.encode(family.parameters)), type(family))
    except (msgspec.ValidationError, NameError) as error:
        raise GoalmazeError(f"its parameters cannot be read back from a checkpoint: {error}") from None
    if again != family:
        raise GoalmazeError("its parameters are not the same when they are read back from a checkpoint")
    try:
        dataclasses.replace(family, size=4)
    except Exception:  # any refusal will do
        return
    raise GoalmazeError("an even size is accepted, of which there are no mazes: call super().__post_init__()")


def _check_forms(family: Family) -> None:
    """Refuse a text or a single value where several are declared, as a missing comma makes of a tuple."""
    types, slots = family.object_types, family.slots
    if not isinstance(types, Sequence) or not all(isinstance(one, ObjectType) for one in types):
        raise GoalmazeError(f"object_types is {_short(types)}: give a tuple, such as (ObjectType(...),)")
    if not _are_names(slots):
        raise GoalmazeError(f"slots is {_short(slots)}: give a tuple of names, such as ('door',)")
    if not isinstance(family.shifts, Mapping) or not _are_names([*family.shifts, *family.shifts.values()]):
        raise GoalmazeError(f"shifts is {_short(family.shifts)}: map the name of each shift to what it means")
    glyphs = family.stacked_glyphs
    if not isinstance(glyphs, Mapping) or not _are_names([*glyphs]) or not all(map(_are_names, glyphs.values())):
        raise GoalmazeError(f"stacked_glyphs is {_short(glyphs)}: map each letter to a tuple of object types")
    if isinstance(family.time_limit, bool) or not isinstance(family.time_limit, int) or family.time_limit < 1:
        raise GoalmazeError(f"time_limit is {family.time_limit!r}: give the number of steps of the longest episode")


def _are_names(value: object) -> bool:
    """Return whether a value is a sequence of texts, and not one text."""
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _check_object_types(family: Family) -> None:
    types = family.object_types
    names = [one.name for one in types]
    _check_distinct("object type", names)
    _check_known("goal", [family.goal], names)
    _check_known("cue", [family.cue], names)
    if family.goal == family.cue:
        raise GoalmazeError(f"goal and cue are both '{family.goal}': name two object types")
    values = family.values()
    _check_known("object type in values", values, names)
    for name, value in values.items():
        if not _is_whole(value) or not 0 <= value <= MAX_VALUE:
            raise GoalmazeError(f"'{name}' shows with the value {value}: choose an integer from 0 to {MAX_VALUE}")
    for one in types:
        _check_object_type(one, names)
        if one.name == family.goal and not one.reward > 0:
            raise GoalmazeError(f"the goal '{one.name}' has the reward {one.reward}: give it a positive one")
        if one.name == family.cue and not one.cue_reward > 0:
            raise GoalmazeError(f"the cue '{one.name}' has the cue reward {one.cue_reward}: give it a positive one")


def _check_object_type(one: ObjectType, names: list[str]) -> None:
    if not isinstance(one.name, str) or not one.name or one.name == AGENT:
        raise GoalmazeError(f"no object type can have the name {one.name!r}: choose another one")
    if not _are_names(one.shows_on):
        raise GoalmazeError(f"'{one.name}' has the planes {one.planes!r}: give a tuple of names, such as ('door',)")
    if len(one.shows_on) > MAX_PLANES:
        raise GoalmazeError(f"'{one.name}' shows on {len(one.shows_on)} planes: name {MAX_PLANES} at most")
    for plane in one.shows_on:
        if plane in ("wall", AGENT):
            raise GoalmazeError(
                f"'{one.name}' shows on the plane '{plane}', which holds no objects: choose another one"
            )
    if len(one.colour) != 3 or not all(_is_whole(part) and 0 <= part <= MAX_VALUE for part in one.colour):
        raise GoalmazeError(f"'{one.name}' has the colour {one.colour}: give three integers from 0 to {MAX_VALUE}")
    for name in ("reward", "cue_reward"):
        value = getattr(one, name)
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise GoalmazeError(f"{name} of '{one.name}' is {value!r}: give a number")
    for name in FLAGS:
        if not isinstance(getattr(one, name), bool):
            raise GoalmazeError(f"{name} of '{one.name}' is {getattr(one, name)!r}: give True or False")
    _check_known(f"shape of '{one.name}'", [one.shape], SHAPES)
    _check_known(f"motion of '{one.name}'", [one.motion], MOTIONS)
    _check_known(f"`after` of '{one.name}'", [] if one.after is None else [one.after], names)
    _check_known(f"`lamp` of '{one.name}'", [] if one.lamp is None else [one.lamp], names)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_slots(family: Family) -> None:
    _check_known("object type in slots", family.slots, [one.name for one in family.object_types])
    if len(family.slots) > MAX_SLOTS:
        raise GoalmazeError(f"there are {len(family.slots)} slots: {MAX_SLOTS} is the most")
    used = [one for one in family.object_types if one.name in family.slots]
    needed = {name for one in used for name in (one.after, one.lamp) if name is not None}
    for name in sorted({family.goal, family.cue} | needed):
        if name not in family.slots:
            raise GoalmazeError(f"no slot holds '{name}': add it to slots")
    # Raises its own error where items have no place along the top wall.
    _ = family.table


def _check_rules(family: Family) -> None:
    """Refuse rules under which an object can never take effect, or that the kernels do not have."""
    types = {one.name: one for one in family.object_types if one.name in family.slots}
    for one in types.values():
        if one.motion != "still" and one.gives:
            raise GoalmazeError(
                f"'{one.name}' is an item and moves: an item held lies on the top wall, so let it be still"
            )
        if one.fills and (one.motion != "still" or one.gives or one.vanishes):
            raise GoalmazeError(f"'{one.name}' fills its planes: it cannot move, vanish or be held")
        if one.needs and not any(other.gives for other in types.values()):
            raise GoalmazeError(f"'{one.name}' needs an item, and no object gives one: set gives=True for one")
        if one.motion in ("leads", "misleads") and not any(other.required for other in types.values()):
            raise GoalmazeError(f"'{one.name}' {one.motion}, and no object is required: set required=True for one")
        before, after = {one.name}, one.after
        while after is not None:
            if after in before:
                raise GoalmazeError(f"'{one.name}' counts only after itself, by `after`: leave one `after` out")
            before.add(after)
            after = types[after].after


def _check_glyphs(family: Family) -> None:
    letters = [WALL, FLOOR, AGENT_LETTER, *(one.letter for one in family.object_types), *family.stacked_glyphs]
    for letter in letters:
        if not isinstance(letter, str) or len(letter) != 1 or letter.isspace():
            raise GoalmazeError(f"{letter!r} is no letter for text pictures: give one character")
    _check_distinct("letter", letters)
    stacks: Counter[tuple[str, ...]] = Counter((one.name,) for one in family.object_types)
    for letter, stacked in family.stacked_glyphs.items():
        _check_known(f"object type of stacked glyph '{letter}'", stacked, family.slots)
        key = tuple(sorted(stacked))
        if not key or stacks[key]:
            raise GoalmazeError(
                f"stacked glyph '{letter}' stands for {_short(stacked)}, which is empty or has a letter"
            )
        stacks[key] += 1


def _check_known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise unknown(what, str(name), known)


def _check_distinct(what: str, names: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise GoalmazeError(f"{what} '{repeated[0]}' is used twice: choose another one")
