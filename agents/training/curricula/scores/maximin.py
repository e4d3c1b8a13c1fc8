"""Maximin return: the lower the latest return, the higher the score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.buffer import PlayedLevels
from goalmaze.agents.training.curricula.scores.base import Score, register_score


@register_score
class MaximinReturn(Score):
    """Minus the latest return: training on the worst levels, whatever is possible on them."""

    name = "maximin"

    def score(self, played: PlayedLevels) -> NDArray[np.float64]:
        """Return float64 [E], minus the returns."""
        return np.asarray(-played.returns)
