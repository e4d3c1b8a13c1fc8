"""How well scores say which counterfactuals flip an action: AUROC with a cluster bootstrap, calibration."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]

RESAMPLES = 500
BINS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Cases:
    """The counterfactuals of one agent.

    Attributes:
        flips: bool [M], whether the action flips.
        levels: int64 [M], the level of each, 0 to B - 1.
        count: B.
    """

    flips: NDArray[np.bool_]
    levels: NDArray[np.int64]
    count: int


def draws(count: int, seed: int, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """Return int64 [R, B], how often each of B levels is drawn in each resample."""
    rng = np.random.default_rng(seed)
    counts = [np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(resamples)]
    return np.stack(counts).astype(np.int64)


def auroc(scores: Floats, cases: Cases, weights: NDArray[np.int64] | None = None) -> Floats:
    """Return float64 [R], the probability that a flip has a higher score than no flip, with ties counted half.

    Args:
        scores: float64 [M].
        cases: the truth.
        weights: int64 [R, B], the weight of each level; one row of ones where not given.
    """
    weights = np.ones((1, cases.count), np.int64) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    truth = cases.flips[order]
    each = weights[:, cases.levels[order]].astype(np.float64)
    # Equal scores form one group, within which a pair counts half.
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    flips = np.add.reduceat(each * truth, starts, axis=1)
    others = np.add.reduceat(each * ~truth, starts, axis=1)
    below = np.cumsum(others, axis=1) - others
    pairs = flips.sum(axis=1) * others.sum(axis=1)
    wins = (flips * (below + others / 2)).sum(axis=1)
    return np.where(pairs > 0, wins / np.maximum(pairs, 1), np.nan)


def auroc_within(scores: Floats, cases: Cases) -> float:
    """Return the same over pairs of counterfactuals of one decision: which of them flips it."""
    wins = pairs = 0.0
    for level in range(cases.count):
        rows = cases.levels == level
        flips, others = scores[rows & cases.flips], scores[rows & ~cases.flips]
        if len(flips) and len(others):
            difference = flips[:, None] - others[None]
            wins += float((difference > 0).sum() + (difference == 0).sum() / 2)
            pairs += difference.size
    return wins / pairs if pairs else float("nan")


def calibrated(features: Floats, cases: Cases) -> Floats:
    """Return float64 [M], probabilities of a flip by logistic regression, each from the other half of the levels.

    Args:
        features: float64 [M, k].
        cases: the truth.
    """
    half = cases.levels % 2 == 0
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    result = np.full(len(features), cases.flips.mean())
    for part in (half, ~half):
        truth = cases.flips[~part]
        if part.any() and 0 < truth.sum() < len(truth):
            result[part] = LogisticRegression().fit(scaled[~part], truth).predict_proba(scaled[part])[:, 1]
    return result


def calibration_curve(probabilities: Floats, cases: Cases) -> Floats:
    """Return float64 [bins, 3], predicted rate, actual rate and size of bins of about equally many counterfactuals."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, min(BINS, max(1, len(order)))) if len(part)]
    return np.array([(probabilities[part].mean(), cases.flips[part].mean(), len(part)) for part in parts])


def calibration_error(probabilities: Floats, cases: Cases) -> float:
    """Return the mean distance of predicted and actual rates over bins of about equally many counterfactuals."""
    predicted, actual, sizes = calibration_curve(probabilities, cases).T
    return float((abs(predicted - actual) * sizes).sum() / sizes.sum())


def brier_skill(probabilities: Floats, cases: Cases) -> float:
    """Return how much of the squared error of the base rate the probabilities avoid."""
    truth = cases.flips.astype(np.float64)
    base = float(((truth - truth.mean()) ** 2).mean())
    return 1 - float(((truth - probabilities) ** 2).mean()) / base if base > 0 else float("nan")
