"""Distinguishing levels first: the upper bound of what a score can find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.buffer import PlayedLevels
from goalmaze.agents.training.curricula.scores.base import Score, register_score


@register_score
class Distinguishing(Score):
    """1 for a distinguishing level and 0 for all others. It reads the class of the level, which no real score could."""

    name = "distinguishing"
    needs_distinguishing = True

    def score(self, played: PlayedLevels) -> NDArray[np.float64]:
        """Return float64 [E], 1 or 0."""
        return np.asarray(played.distinguishing.astype(np.float64))
