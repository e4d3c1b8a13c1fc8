"""Whether an object is in sight of a square: along its row or column, with no wall between."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from goalmaze.envs.actions import MOVES
from goalmaze.probes.units.features.context import COMPASS
from goalmaze.probes.units.library import Feature
from goalmaze.probes.units.states import MazeStates


def features(states: MazeStates) -> Iterator[Feature]:
    """Yield "KIND in sight east" for each object and direction."""
    plane = states.free.reshape(states.shape)
    for name in states.objects:
        if name == states.either:
            continue
        shown = states.shown(name)
        for direction, (down, right) in zip(COMPASS, MOVES, strict=True):
            seen, found = states.free.copy(), np.zeros(states.free.shape, np.bool_)
            for distance in range(1, max(states.shape[1:])):
                offset = distance * int(down), distance * int(right)
                seen = seen & (states.shifted(plane, *offset) > 0)
                if not seen.any():
                    break
                found |= seen & (states.shifted(shown, *offset) > 0)
            yield Feature(f"{name} in sight {direction}", found.astype(np.float32))
