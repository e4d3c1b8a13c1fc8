"""Learnability: p (1 - p), where p is the rate at which the level is solved (Rutherford et al., 2024)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.buffer import PlayedLevels
from goalmaze.agents.training.curricula.scores.base import Score, register_score


@register_score
class Learnability(Score):
    """p (1 - p) over all episodes on the level; 1/4 is the most."""

    name = "learnability"

    def score(self, played: PlayedLevels) -> NDArray[np.float64]:
        """Return float64 [E], the learnabilities, between 0 and 1/4."""
        # Laplace's rule of succession: after a single episode p is not yet 0 or 1, where nothing could be learned.
        rate = (played.solved + 1) / (played.plays + 2)
        return np.asarray(rate * (1 - rate))
