"""In which direction, and how far as the crow flies, an object lies from a square. Walls play no part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from goalmaze.probes.units.library import Feature
from goalmaze.probes.units.states import MazeStates


def features(states: MazeStates) -> Iterator[Feature]:
    """Yield the half-plane of each object, its row or column, and its distance in rows and columns."""
    size = float(max(states.shape[1:]))
    for name in states.objects:
        down, right, there = states.nearest_offsets(name)
        present = there[:, None]
        for direction, values in (
            ("north", down < 0),
            ("south", down > 0),
            ("west", right < 0),
            ("east", right > 0),
        ):
            yield Feature(f"{name} to the {direction}", (values & present).astype(np.float32), gate=True)
        yield Feature(f"{name} in the same row", ((down == 0) & present).astype(np.float32))
        yield Feature(f"{name} in the same column", ((right == 0) & present).astype(np.float32))
        yield Feature(f"rows south to the {name}", np.where(present, down / size, 0).astype(np.float32))
        yield Feature(f"columns east to the {name}", np.where(present, right / size, 0).astype(np.float32))
        far = abs(down) + abs(right)
        yield Feature(f"distance to the {name}", np.where(present, far / (2 * size), 0).astype(np.float32))
        yield Feature(f"nearness of the {name}", np.where(present, 0.6**far, 0).astype(np.float32))
