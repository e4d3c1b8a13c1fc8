"""Where a square lies in the maze."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from goalmaze.probes.units.library import Feature
from goalmaze.probes.units.states import MazeStates


def features(states: MazeStates) -> Iterator[Feature]:
    """Yield row and column of the square, in parts of the maze's size."""
    batch, height, width = states.shape
    for name, values in (("row", states.rows / height), ("column", states.columns / width)):
        yield Feature(name, np.repeat(values[None], batch, axis=0).astype(np.float32))
