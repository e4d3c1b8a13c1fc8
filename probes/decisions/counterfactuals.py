"""Counterfactual states of decisions: an object moved, a wall opened, a corridor closed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch, concatenate
from goalmaze.envs.solving import distances, pick
from goalmaze.probes.decisions.elements import Element, without

MOVES_OF_AN_OBJECT = 2
"""Cells that each object is moved to."""


@dataclasses.dataclass(frozen=True, eq=False)
class Counterfactuals:
    """M counterfactual states.

    Attributes:
        rows: int64 [M], the decision of each.
        elements: int64 [M], the element that changes, as an index into those of the decision.
        states: M levels.
        changed: int64 [M, 2], the squares that change; `ABSENT` where there is only one.
        steps: int64 [M], the agent's steps to the nearest of them.
    """

    rows: NDArray[np.int64]
    elements: NDArray[np.int64]
    states: LevelBatch
    changed: NDArray[np.int64]
    steps: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


def counterfactuals_of(states: LevelBatch, elements: Sequence[Sequence[Element]], seed: int = 0) -> Counterfactuals:
    """Return the counterfactuals of every element: objects at two other free squares, walls and corridors toggled.

    A corridor is closed only where the goal or the cue stays in reach.

    Args:
        states: B states.
        elements: of each state.
        seed: of the squares that objects move to.
    """
    steps = distances(states, states.start)
    parts: list[LevelBatch] = []
    facts: list[tuple[int, int, int, int, int]] = []
    for b, own in enumerate(elements):
        rng = np.random.default_rng([seed, b, 1])
        for number, element in enumerate(own):
            if element.type == "object":
                for cell in _destinations(states, b, rng):
                    parts.append(_moved(states, b, element, cell))
                    near = min(element.steps, int(steps[b, cell]))
                    facts.append((b, number, element.cell, cell, near))
                continue
            other = without(states, b, element)
            if element.type == "wall" or _in_reach(other):
                parts.append(other)
                facts.append((b, number, element.cell, ABSENT, element.steps))
    table = np.array(facts, np.int64).reshape(-1, 5)
    joined = concatenate(parts) if parts else states.take(np.zeros(0, np.intp))
    return Counterfactuals(table[:, 0], table[:, 1], joined, table[:, 2:4], table[:, 4])


def _destinations(states: LevelBatch, b: int, rng: np.random.Generator) -> list[int]:
    free = states.free()[b].copy()
    free[[int(states.start[b]), *(int(cell) for cell in states.objects[b] if cell != ABSENT)]] = False
    cells = np.flatnonzero(free)
    return [int(cell) for cell in cells[rng.permutation(len(cells))[:MOVES_OF_AN_OBJECT]]]


def _moved(states: LevelBatch, b: int, element: Element, cell: int) -> LevelBatch:
    state = states.take([b])
    objects = state.objects.copy()
    objects[0, element.slot] = cell
    return dataclasses.replace(state, objects=objects)


def _in_reach(state: LevelBatch) -> bool:
    """Return whether the agent of one state reaches a goal or a cue."""
    steps = distances(state, state.start)
    family = state.family
    kinds = [k for k, kind in enumerate(state.slots) if kind in (family.goal, family.cue)]
    return any(int(pick(steps, state.objects[:, k])[0]) < UNREACHABLE for k in kinds)
