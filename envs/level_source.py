"""The level on which the next episode of a single environment begins."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.engines import Engine
from goalmaze.envs.levels import LevelBatch

ONLY_ROW = np.zeros(1, np.intp)


class LevelSource:
    """Begins the episodes of an engine with one row: on fresh levels of a seed, or on a given level.

    Attributes:
        started: whether an episode has begun.
    """

    def __init__(self, engine: Engine, shift: str, split: str) -> None:
        self.started = False
        self._engine, self._shift, self._split = engine, shift, split
        self._seeded = False

    def begin(self, seed: int | None, rng: np.random.Generator, given: LevelBatch | None) -> None:
        """Begin an episode.

        Args:
            seed: of the levels from now on; None goes on with the levels of the seed before.
            rng: draws a seed if none was ever given.
            given: one level to play instead of a fresh one.
        """
        if seed is not None or not self._seeded:
            self._engine.use_levels(int(rng.integers(2**31)) if seed is None else seed, self._shift, self._split)
            self._seeded = True
        if given is None:
            self._engine.renew(ONLY_ROW)
        else:
            self._engine.begin(ONLY_ROW, given)
        self.started = True
