"""Colour jitter of observation planes: a training-time augmentation, so that no object has one fixed strength.

In every episode each plane of an object is multiplied by a whole number from 1 to a largest factor. Observations are
small whole numbers, so factors are whole too; with factor 1 an episode looks as it does in evaluation.

Axes: B environments, b of them, C planes, H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.engines import Observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.observations.views import PlanesView, View

_SPLIT = 2**20 + 7
"""Part of the address of the draws, so that they are not those of levels, actions or minibatches."""


class ColourJitter:
    """The factors of B environments.

    Args:
        view: the view that draws the observations; of planes.
        batch: number B of environments.
        seed: seed of the factors.
        most: the largest factor, 2 or more.

    Attributes:
        episodes: int64 [B], the number of the present episode of each environment.

    Raises:
        GoalmazeError: the view draws pictures, or the largest factor exceeds the range of observations.
    """

    def __init__(self, view: View, batch: int, seed: int, most: int) -> None:
        if not isinstance(view, PlanesView):
            raise GoalmazeError(
                f"colour_jitter multiplies observation planes, and mode {view.mode} has none: leave it out"
            )
        if int(view.highest.max()) * most > np.iinfo(np.uint8).max:
            raise GoalmazeError(f"colour_jitter is {most}: planes of {view.family.name} would exceed 255; choose less")
        names = view.family.plane_names
        shown = {plane for kind in view.family.object_types for plane in kind.shows_on}
        self._planes = np.array([place for place, name in enumerate(names) if name in shown])
        self._seed, self._most = seed, most
        self.episodes = np.zeros(batch, np.int64)
        self._factors = np.ones((batch, len(view.highest), 1, 1), np.uint8)
        self._out: Observations = view.buffer(batch)
        self.restart()

    def restart(self) -> None:
        """Begin with the first episode of every environment."""
        self.episodes[:] = 0
        self.redraw(np.arange(len(self.episodes)))

    def begin(self, rows: NDArray[np.intp]) -> None:
        """Begin the next episodes in `rows` [b]."""
        self.episodes[rows] += 1
        self.redraw(rows)

    def redraw(self, rows: NDArray[np.intp]) -> None:
        """Draw the factors in `rows` [b] anew; they follow from seed, environment and episode."""
        for row in rows:
            rng = np.random.default_rng([self._seed, _SPLIT, int(row), int(self.episodes[row])])
            self._factors[row, self._planes, 0, 0] = rng.integers(1, self._most, len(self._planes), endpoint=True)

    def apply(self, observations: Observations) -> Observations:
        """Return observations uint8 [B, C, H, W] times the factors, in one array that the next call changes."""
        return np.multiply(observations, self._factors, out=self._out)
