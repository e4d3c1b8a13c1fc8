"""What a family declares, as the arrays that compiled code reads: the rules of its slots and its placements.

Axes: K object slots, L lists of placements, R placements in the longest list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engine import rules
from goalmaze.envs.engine.level_generation import ANYWHERE, ASIDE, CORNER, ON, ONE_OF, TOP_RIGHT
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.objects import AGENT, MOTIONS, ObjectType, Placement


def rule_table(
    object_types: Sequence[ObjectType],
    slots: Sequence[str],
    plane_names: Sequence[str],
    values: Mapping[str, int],
    visible_steps: Mapping[str, int],
) -> NDArray[np.float32]:
    """Return float32 [K, COLUMNS], the rules of each slot; the columns are those of `goalmaze.envs.engine.rules`.

    Args:
        object_types: all object types of a family.
        slots: the object type in each of the K slots.
        plane_names: the observation planes in order.
        values: object type → the value it shows with in its planes; 1 where not mentioned.
        visible_steps: object type → the number of first observations in which it shows; 0 for all.
    """
    table = np.zeros((len(slots), rules.COLUMNS), np.float32)
    types = {one.name: one for one in object_types}
    for k, name in enumerate(slots):
        one = types[name]
        table[k, rules.REWARD], table[k, rules.CUE_REWARD] = one.reward, one.cue_reward
        table[k, rules.ENDS], table[k, rules.VANISHES] = one.ends, one.vanishes
        table[k, rules.GIVES], table[k, rules.NEEDS], table[k, rules.SPARES] = one.gives, one.needs, one.spares
        table[k, rules.AFTER] = -1 if one.after is None else slots.index(one.after)
        table[k, rules.LAMP] = -1 if one.lamp is None else slots.index(one.lamp)
        table[k, rules.WHILE_LIT] = one.while_lit
        table[k, rules.REQUIRED] = one.required
        table[k, rules.MOTION] = MOTIONS[one.motion]
        shown = [plane_names.index(plane) for plane in one.shows_on] + [-1, -1]
        table[k, rules.PLANE], table[k, rules.SECOND_PLANE] = shown[:2]
        table[k, rules.VALUE] = values.get(name, 1)
        table[k, rules.FILLS] = one.fills
        table[k, rules.VISIBLE_STEPS] = visible_steps[name]
    return table


def placement_arrays(
    lists: Sequence[Sequence[Placement]], slots: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return int64 [L, R, 4] and float64 [L, R], lists of placements as `LevelDistribution` holds them.

    A shorter list is filled up with rows of -1 and probability 1.

    Raises:
        GoalmazeError: a placement names an object type that no slot holds, or nothing places the agent.
    """
    if not all(any(placement.kind == AGENT for placement in placements) for placements in lists):
        raise GoalmazeError(f"nothing places the agent: add Placement('{AGENT}')")
    longest = max(len(placements) for placements in lists)
    encoded = np.full((len(lists), longest, 4), -1, np.int64)
    probabilities = np.ones((len(lists), longest))
    for i, placements in enumerate(lists):
        for r, placement in enumerate(placements):
            encoded[i, r] = _encode(placement, slots)
            probabilities[i, r] = placement.probability
    return encoded, probabilities


def _encode(placement: Placement, slots: Sequence[str]) -> tuple[int, int, int, int]:
    """Return subject, place, host and region of a placement."""
    subject = _number(placement.kind, placement.which, slots)
    if placement.aside_from is not None:
        return subject, ASIDE, _number(placement.aside_from, 0, slots), 0
    if placement.in_corner:
        return subject, TOP_RIGHT, ABSENT, 0
    if placement.on is not None:
        return subject, ON, _number(placement.on, placement.on_which, slots), 0
    if placement.one_of > 1:
        if subject + placement.one_of > len(slots) + 1:
            raise GoalmazeError(
                f"the placement of '{placement.kind}' chooses one of {placement.one_of} slots: "
                f"{len(slots) + 1 - subject} follow from there"
            )
        return subject, ONE_OF, ABSENT, placement.one_of
    return subject, CORNER if placement.region else ANYWHERE, ABSENT, placement.region


def _number(name: str, which: int, slots: Sequence[str]) -> int:
    """Return 0 for the agent, and 1 + k for the `which`-th slot k of an object type."""
    if name == AGENT:
        return 0
    numbers = [1 + k for k, slot in enumerate(slots) if slot == name]
    if not numbers:
        raise unknown("object type in a placement", name, [AGENT, *slots])
    if which >= len(numbers):
        raise GoalmazeError(f"a placement names number {which} of '{name}': slots hold it {len(numbers)} times")
    return numbers[which]
