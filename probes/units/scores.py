"""How well a formula simulates a channel on other mazes: R², correlation, detection of high activation."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from goalmaze.probes.units.states import Values

HIGH = 0.9
"""Quantile from which on an activation is high."""


@dataclasses.dataclass(frozen=True)
class Fidelity:
    """Scores of one simulation on evaluation mazes.

    Attributes:
        r2: 1 - squared error / variance; below 0 where the mean would do better, NaN where the channel is constant.
        correlation: Pearson's; 0 where the simulation is constant.
        detection: balanced accuracy of "the activation is high", 0.5 by chance.
    """

    r2: float
    correlation: float
    detection: float


def fidelity(actual: Values, simulated: Values) -> Fidelity:
    """Return the scores of a simulation [...] of a channel [...]."""
    truth, guess = actual.ravel().astype(np.float64), simulated.ravel().astype(np.float64)
    spread, guess_spread = truth.std(), guess.std()
    if spread < 1e-9:
        return Fidelity(float("nan"), float("nan"), float("nan"))
    r2 = 1 - float(((truth - guess) ** 2).mean()) / spread**2
    covariance = ((truth - truth.mean()) * (guess - guess.mean())).mean()
    correlation = float(covariance / (spread * guess_spread)) if guess_spread > 1e-9 else 0.0
    return Fidelity(float(r2), correlation, _balanced_accuracy(_high(truth), _high(guess)))


def _high(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return bool [n], the values above their own quantile; none of a constant."""
    return np.asarray(values > max(float(np.quantile(values, HIGH)), float(values.min())))


def _balanced_accuracy(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    if truth.all() or not truth.any():
        return float("nan")
    return float((said[truth].mean() + (~said[~truth]).mean()) / 2)


def errors_by_maze(actual: Values, simulated: Values, mazes: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Return float64 [M] twice: the squared error and the squared deviation from the mean in each maze.

    Args:
        actual: [B, ...].
        simulated: [B, ...].
        mazes: int [B], the maze of each state, 0 to M - 1.
    """
    error = ((actual - simulated) ** 2).reshape(len(actual), -1).sum(axis=1)
    deviation = ((actual - actual.mean()) ** 2).reshape(len(actual), -1).sum(axis=1)
    count = int(mazes.max()) + 1
    return tuple(np.bincount(mazes, part, minlength=count).astype(np.float64) for part in (error, deviation))
