"""Which object types an agent sees in which observations of an episode: the parameters that all families share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.objects import ObjectType

VISIBILITY = ("visible_steps", "goal_visible_steps", "cue_visible_steps")
"""The names of these parameters."""

MAX_VISIBLE_STEPS = 2**15


def visible_steps_by_type(
    object_types: Sequence[ObjectType], goal: str, cue: str, steps: int, goal_steps: int, cue_steps: int
) -> dict[str, int]:
    """Return object type → the number of first observations in which it shows; 0 for all.

    Args:
        object_types: all object types of a family.
        goal: name of the goal.
        cue: name of the cue.
        steps: the number for all object types without one of their own; 0 for all observations.
        goal_steps: the number for what shares a plane with the goal; 0 for `steps`.
        cue_steps: the number for what shares a plane with the cue and not with the goal; 0 for `steps`.
    """
    planes = {one.name: set(one.shows_on) for one in object_types}
    numbers = {}
    for name in planes:
        # Objects that look alike are hidden together: where one of them stays, it must not reveal which one left.
        if planes[name] & planes[goal]:
            numbers[name] = goal_steps or steps
        elif planes[name] & planes[cue]:
            numbers[name] = cue_steps or steps
        else:
            numbers[name] = steps
    return numbers


def without_unused_visibility(
    parameters: Mapping[str, object], fields: Sequence[dataclasses.Field[object]]
) -> JsonObject:
    """Return a family's parameters without those of visibility that are 0, unless the family's own default is not.

    Files of a family whose objects always show are then those of versions without these parameters, byte for byte.
    """
    defaults = {field.name: field.default for field in fields}
    return {name: value for name, value in parameters.items() if name not in VISIBILITY or value or defaults[name]}
