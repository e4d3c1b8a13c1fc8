"""What lies at an offset from a square: an object, a wall, or the outside of the maze."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from goalmaze.envs.objects import AGENT
from goalmaze.probes.units.library import Feature
from goalmaze.probes.units.states import MazeStates

OBJECT_REACH, WALL_REACH, GATE_REACH = 3, 2, 1
"""Largest offset of objects, of walls, and of objects that are conditions of conjunctions, in cells."""


def where(down: int, right: int) -> str:
    """Return an offset in words, such as "2 south 1 east"."""
    parts = [f"{abs(down)} {'south' if down > 0 else 'north'}"] * bool(down)
    parts += [f"{abs(right)} {'east' if right > 0 else 'west'}"] * bool(right)
    return " ".join(parts) or "here"


def features(states: MazeStates) -> Iterator[Feature]:
    """Yield "KIND 2 south 1 east" for objects, walls and the outside, and "KIND lit" for what fills its planes."""
    for name in states.objects:
        if name == states.either:
            continue
        shown = states.shown(name)
        for down in range(-OBJECT_REACH, OBJECT_REACH + 1):
            for right in range(-OBJECT_REACH, OBJECT_REACH + 1):
                near = abs(down) + abs(right) <= GATE_REACH and name != AGENT
                yield Feature(f"{name} {where(down, right)}", states.shifted(shown, down, right), near)
    walls = ~states.free.reshape(states.shape)
    inside = np.ones(states.shape, np.float32)
    for down in range(-WALL_REACH, WALL_REACH + 1):
        for right in range(-WALL_REACH, WALL_REACH + 1):
            near = abs(down) + abs(right) <= GATE_REACH
            yield Feature(f"wall {where(down, right)}", states.shifted(walls, down, right), near)
    for down, right in ((-1, 0), (0, 1), (1, 0), (0, -1)):
        yield Feature(f"edge of the maze {where(down, right)}", 1 - states.shifted(inside, down, right))
    for name, there in states.lit.items():
        yield Feature(f"{name} lit", np.repeat(there[:, None], len(states.rows), axis=1).astype(np.float32), True)
