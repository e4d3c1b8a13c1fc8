"""What a reading must beat, beyond the same probe on the observation and on the untrained network."""

from __future__ import annotations

import torch
from torch import Tensor


def shuffled(labels: Tensor, seed: int) -> Tensor:
    """Return the labels int64 [N] dealt out to other mazes at random."""
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def majority_score(fit_labels: Tensor, test_labels: Tensor) -> tuple[int, int]:
    """Return how many test labels [N] equal the commonest label to fit on, and of how many; -1 does not count."""
    commonest = fit_labels[fit_labels >= 0].mode().values
    kept = test_labels >= 0
    return int((test_labels[kept] == commonest).sum()), int(kept.sum())
