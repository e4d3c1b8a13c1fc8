"""The elements of a state that an explanation divides a decision among: objects, walls and free squares nearby."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np

from goalmaze.envs.actions import cell_steps
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances

ElementType = Literal["object", "wall", "corridor"]

MAX_OBJECTS, WALLS, CORRIDORS = 4, 3, 3
"""Most elements of each type. Shapley values of ten elements take 1,024 forward passes a decision."""

NEARBY = 8
"""Steps from the agent within which walls and corridors are drawn."""


@dataclasses.dataclass(frozen=True)
class Element:
    """One thing in a state that could be otherwise.

    Attributes:
        type: an object; a wall that could be open; a free square that could be closed.
        name: "sign", "wall", "corridor".
        cell: where it is.
        steps: steps of the agent to it along the maze; for a wall to the nearest square beside it.
        slot: of an object.
    """

    type: ElementType
    name: str
    cell: int
    steps: int
    slot: int = ABSENT


def elements_of(states: LevelBatch, seed: int = 0) -> list[list[Element]]:
    """Return the elements of each state: the nearest objects, then walls and corridors drawn from those nearby.

    What is drawn depends on the state alone and the seed, not on what an agent does.
    """
    result = []
    for b, steps in enumerate(distances(states, states.start)):
        rng = np.random.default_rng([seed, b])
        objects, walls, corridors = _candidates(states, b, steps, NEARBY)
        nearest = sorted(objects, key=lambda element: element.steps)[:MAX_OBJECTS]
        result.append([*nearest, *_drawn(walls, WALLS, rng), *_drawn(corridors, CORRIDORS, rng)])
    return result


def every_element(states: LevelBatch) -> list[list[Element]]:
    """Return all elements of each state, at any distance that the agent can walk: too many for Shapley values."""
    steps = distances(states, states.start)
    return [[*itertools.chain(*_candidates(states, b, steps[b], UNREACHABLE - 1))] for b in range(len(states))]


def _candidates(
    states: LevelBatch, b: int, steps: np.ndarray, most: int
) -> tuple[list[Element], list[Element], list[Element]]:
    """Return the objects, walls and corridors of one state, the last two within `most` steps of the agent."""
    shown = {one.name for one in states.family.object_types if one.shows_on and not one.fills}
    free = states.free()[b]
    objects = [
        Element("object", kind, int(cell), int(steps[cell]), slot)
        for slot, (kind, cell) in enumerate(zip(states.slots, states.objects[b], strict=True))
        # Items held show along the top wall and cannot be moved.
        if cell != ABSENT and kind in shown and free[cell]
    ]
    occupied = {int(states.start[b]), *(int(cell) for cell in states.objects[b])}
    beside = cell_steps(states.width)
    walls, corridors = [], []
    for cell in range(free.size):
        row, column = divmod(cell, states.width)
        if not (0 < row < states.height - 1 and 0 < column < states.width - 1):
            continue
        around = [cell + int(step) for step in beside]
        if free[cell]:
            if steps[cell] <= most and cell not in occupied:
                corridors.append(Element("corridor", "corridor", cell, int(steps[cell])))
        elif (free[around[0]] and free[around[2]]) or (free[around[1]] and free[around[3]]):
            near = min(int(steps[one]) for one in around)
            if near <= most:
                walls.append(Element("wall", "wall", cell, near))
    return objects, walls, corridors


def _drawn(elements: Sequence[Element], most: int, rng: np.random.Generator) -> list[Element]:
    return [elements[i] for i in sorted(rng.permutation(len(elements))[:most])]


def without(states: LevelBatch, b: int, element: Element) -> LevelBatch:
    """Return the one state b without an element: the object removed, the wall opened, the corridor closed."""
    state = states.take([b])
    if element.type == "object":
        objects = state.objects.copy()
        objects[0, element.slot] = ABSENT
        return dataclasses.replace(state, objects=objects)
    walls = state.walls.copy()
    walls.reshape(1, -1)[0, element.cell] ^= True
    return dataclasses.replace(state, walls=walls)


def in_words(element: Element, states: LevelBatch, b: int) -> str:
    """Return an element in words, such as "the sign 5 steps away to the north east"."""
    down, right = (np.array(divmod(element.cell, states.width)) - divmod(int(states.start[b]), states.width)).tolist()
    compass = " ".join(
        [("south" if down > 0 else "north")] * bool(down) + [("east" if right > 0 else "west")] * bool(right)
    )
    name = {"wall": "the wall", "corridor": "the open square"}.get(element.type, f"the {element.name}")
    if element.steps >= UNREACHABLE:
        return f"{name}, out of reach to the {compass}"
    steps = f"{element.steps} step{'' if element.steps == 1 else 's'}"
    # A straight path needs no second word.
    straight = element.type != "wall" and abs(down) + abs(right) == element.steps and not (down and right)
    return f"{name} {steps} {compass}" if straight else f"{name} {steps} away to the {compass}"
