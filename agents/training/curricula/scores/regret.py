"""Exact regret: the best possible return of the level minus that of the latest episode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.buffer import PlayedLevels
from goalmaze.agents.training.curricula.scores.base import Score, register_score


@register_score
class Regret(Score):
    """Optimum minus latest return, both discounted in the same way."""

    name = "regret"
    needs_optimum = True

    def score(self, played: PlayedLevels) -> NDArray[np.float64]:
        """Return float64 [E], the regrets, 0 or more."""
        return np.asarray(played.optimum - played.returns)
