"""`random-direction`: the control of `linear-probe`. It reads random directions in place of the fitted ones."""

from __future__ import annotations

import torch
from torch import Tensor

from goalmaze.agents.training.penalties.registry import register_penalty
from goalmaze.probes.penalties.linear_probe import LinearProbePenalty


@register_penalty
class RandomDirectionPenalty(LinearProbePenalty):
    """Scores of the same classes by random directions with the norms of the fitted ones."""

    name = "random-direction"

    def fitted(self, features: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Return random weights [F, A], each of the norm of the fitted one, with a bias of mean score 0."""
        weights, _ = super().fitted(features, classes)
        random = torch.randn(weights.shape, generator=torch.Generator().manual_seed(self.seed))
        random = random / random.norm(dim=0) * weights.norm(dim=0)
        return random, -(features.mean(dim=0) @ random)
