"""Positive value loss: the mean over an episode of the positive part of the advantages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.buffer import PlayedLevels
from goalmaze.agents.training.curricula.scores.base import Score, register_score


@register_score
class PositiveValueLoss(Score):
    """The mean of max(advantage, 0), as in Robust PLR (Jiang et al., 2021)."""

    name = "value-loss"
    needs_advantages = True

    def score(self, played: PlayedLevels) -> NDArray[np.float64]:
        """Return float64 [E], the losses, 0 or more."""
        return np.asarray(played.value_loss)
