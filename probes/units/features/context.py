"""The walls around a free square: dead end, corridor, bend, junction, and how far the view is free."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from goalmaze.envs.actions import MOVES
from goalmaze.probes.units.library import Feature
from goalmaze.probes.units.states import MazeStates

COMPASS = ("north", "east", "south", "west")
"""The direction of each action in words."""


def features(states: MazeStates) -> Iterator[Feature]:
    """Yield the kind of square and the length of the free view in each direction, in parts of the maze's width."""
    free, (north, east, south, west) = states.free, states.neighbours
    exits = states.neighbours.sum(axis=0)
    bend = (exits == 2) & ~(north & south) & ~(east & west)
    for name, values in (
        ("dead end", exits <= 1),
        ("corridor north-south", (exits == 2) & north & south),
        ("corridor east-west", (exits == 2) & east & west),
        ("bend", bend),
        ("junction", exits >= 3),
    ):
        yield Feature(name, (values & free).astype(np.float32), gate=name in ("dead end", "junction"))
    for direction, move in zip(COMPASS, MOVES, strict=True):
        yield Feature(f"free view {direction}", _view(states, int(move[0]), int(move[1])))


def _view(states: MazeStates, down: int, right: int) -> np.ndarray:
    """Return float32 [B, N], the free squares in a direction up to the next wall, over the maze's width."""
    seen = states.free.copy()
    total = np.zeros(seen.shape, np.float32)
    plane = states.free.reshape(states.shape)
    for distance in range(1, max(states.shape[1:])):
        seen = seen & (states.shifted(plane, distance * down, distance * right) > 0)
        if not seen.any():
            break
        total += seen
    return total / states.shape[2]
