"""Several comparisons at once: tests, and what is left of them after Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.experiments.statistics.intervals import Rate

ALPHA = 0.05
"""How often chance alone may be taken for a difference, over all comparisons of a table."""


def holm(chances: Sequence[float]) -> list[float]:
    """Return p-values corrected so that chance is taken for a difference in any of them no oftener (Holm, 1979)."""
    order = np.argsort(chances, kind="stable")
    corrected = np.empty(len(chances))
    most = 0.0
    for rank, i in enumerate(order):
        most = max(most, (len(chances) - rank) * chances[i])
        corrected[i] = min(1.0, most)
    return [float(p) for p in corrected]


def differing(one: Rate, other: Rate) -> float:
    """Return the p-value that two independent shares are one, by the chi-squared test of Pearson; 1 without levels."""
    if not one.levels or not other.levels:
        return 1.0
    pooled = (one.value * one.levels + other.value * other.levels) / (one.levels + other.levels)
    spread = pooled * (1 - pooled) * (1 / one.levels + 1 / other.levels)
    if spread <= 0:
        return 1.0
    return math.erfc(abs(one.value - other.value) / math.sqrt(2 * spread))


def paired(differences: NDArray[np.float64], *, seed: int = 0, resamples: int = 10_000) -> float:
    """Return the p-value that differences [B] on the same levels are symmetric about 0, by flipping their signs.

    It is at least 1 / (resamples + 1).
    """
    rng = np.random.default_rng(seed)
    observed = abs(differences.sum())
    extreme = 0
    for _ in range(0, resamples, 500):
        signs = rng.integers(0, 2, size=(500, len(differences))) * 2 - 1
        extreme += int((np.abs(signs @ differences) >= observed * (1 - 1e-12)).sum())
    return (extreme + 1) / (resamples + 1)


def unpaired(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], *, seed: int = 0, resamples: int = 10_000
) -> float:
    """Return the p-value that runs [S] and [S'] are of one kind, by dealing them into two groups anew.

    It cannot fall below one over the ways in which they can be dealt: with three seeds a side, 0.1.
    """
    rng = np.random.default_rng(seed)
    pooled = np.concatenate([ours, theirs])
    observed = abs(ours.mean() - theirs.mean())
    dealt = rng.permuted(np.tile(pooled, (resamples, 1)), axis=1)
    gaps = np.abs(dealt[:, : len(ours)].mean(axis=1) - dealt[:, len(ours) :].mean(axis=1))
    return (int((gaps >= observed - 1e-12).sum()) + 1) / (resamples + 1)
