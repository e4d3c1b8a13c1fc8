"""Estimated regret: the highest return that was ever reached on the level minus that of the latest episode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.buffer import PlayedLevels
from goalmaze.agents.training.curricula.scores.base import Score, register_score


@register_score
class MaxLatest(Score):
    """Highest return minus latest return (`max-latest` of Abdel Sadek et al., 2025)."""

    name = "max-latest"

    def score(self, played: PlayedLevels) -> NDArray[np.float64]:
        """Return float64 [E], the differences, 0 or more."""
        return np.asarray(played.highest - played.returns)
