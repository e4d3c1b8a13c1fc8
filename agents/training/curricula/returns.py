"""Discounted returns and value losses of running episodes, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.jit.compile import compiled


@compiled
def add_rewards(rewards: np.ndarray, steps: np.ndarray, discount: float, returns: np.ndarray) -> None:
    """Add the true rewards of a step to the discounted returns of B episodes.

    A reward at the t-th step counts ``discount ** (t - 1)`` times, as in `goalmaze.envs.optimal_returns.best_returns`:
    the same operations in the same order, so an optimal episode has the optimal return to the last bit.

    Args:
        rewards: float32 [B, 2], true and cue rewards.
        steps: int32 [B], the steps taken, this one included.
        discount: discount per step.
        returns: float64 [B], changed in place.
    """
    for b in range(returns.shape[0]):
        if rewards[b, 0] != 0:
            returns[b] += rewards[b, 0] * discount ** (np.int64(steps[b]) - 1)


def mean_value_loss(
    advantages: NDArray[np.float32], ended: NDArray[np.int64], gains: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return float64 [E], the mean of the positive part of the advantages over each episode that ended.

    Args:
        advantages: float32 [T, B], those of a rollout.
        ended: int64 [3, E], step, environment and length of the episodes, in the order of steps and environments.
        gains: float64 [B], the sums over the running episodes; changed in place.
    """
    out = np.empty(ended.shape[1])
    _fill_value_loss(advantages, ended, gains, out)
    return out


@compiled
def _fill_value_loss(advantages: np.ndarray, ended: np.ndarray, gains: np.ndarray, out: np.ndarray) -> None:
    e = 0
    for t in range(advantages.shape[0]):
        for b in range(advantages.shape[1]):
            gains[b] += max(advantages[t, b], 0.0)
        while e < out.shape[0] and ended[0, e] == t:
            row = ended[1, e]
            out[e] = gains[row] / ended[2, e]
            gains[row] = 0
            e += 1
