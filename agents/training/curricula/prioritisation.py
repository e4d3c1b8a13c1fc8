"""Which level is replayed: rank prioritisation with a temperature, mixed with staleness (Jiang et al., 2021).

Axes: N levels, B environments, b of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.counter_rng import stream, uniform

REPLAY_SPLIT, DECISION_SPLIT = 2**20 + 4, 2**20 + 5
"""The splits of the numbers that choose levels to replay and decide whether an episode replays one."""

LEAST = 1e-300
"""A probability that stands for one which is too small for float64, so that it is not 0."""


def rank_weights(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return float64 [N], the probabilities of replay by score, proportional to rank ** (-1 / temperature).

    The highest score has rank 1. Levels of equal score share the weight of their ranks equally.

    Args:
        scores: float64 [N].
        temperature: above 0; the higher, the more even.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    weights = np.arange(1, len(scores) + 1, dtype=np.float64) ** (-1 / temperature)
    first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    lengths = np.diff(np.append(first, len(scores)))
    out = np.empty(len(scores))
    out[order] = np.repeat(np.add.reduceat(weights, first) / lengths, lengths)
    return np.asarray(out / out.sum())


def staleness_weights(sampled_at: NDArray[np.int64], clock: int) -> NDArray[np.float64]:
    """Return float64 [N], probabilities proportional to the replays since each level was replayed last.

    Args:
        sampled_at: int64 [N], the clock after the latest replay of each level, or when it came.
        clock: number of all replays.
    """
    staleness = (clock - sampled_at).astype(np.float64)
    total = staleness.sum()
    return staleness / total if total > 0 else np.full(len(staleness), 1 / len(staleness))


def replay_probabilities(
    by_score: NDArray[np.float64], by_staleness: NDArray[np.float64], staleness: float
) -> NDArray[np.float64]:
    """Return float64 [N], the mixture of both, where `staleness` is the fraction of the second."""
    return np.asarray((1 - staleness) * by_score + staleness * by_staleness)


def draw_slots(probabilities: NDArray[np.float64], count: int, seed: int, number: int) -> NDArray[np.int64]:
    """Return int64 [count], different levels drawn one after the other by their probabilities.

    Args:
        probabilities: float64 [N]; those of 0 are never drawn.
        count: at most the number of levels with a probability above 0.
        seed: seed of the random numbers.
        number: number of the draw, which fixes its random numbers with the seed.
    """
    keys = np.empty(len(probabilities))
    _fill_keys(probabilities, seed, number, keys)
    lowest = np.argpartition(keys, count - 1)[:count]
    return np.asarray(lowest[np.argsort(keys[lowest], kind="stable")], np.int64)


@compiled
def _fill_keys(probabilities: np.ndarray, seed: int, number: int, keys: np.ndarray) -> None:
    """Fill `keys` with exponential numbers of rate p; the level with the lowest is drawn first, and so on."""
    # Efraimidis and Spirakis (2006): the order of the keys is that of draws without replacement.
    rng = np.empty(1, np.uint64)
    rng[0] = stream(seed, REPLAY_SPLIT, number, 0)
    for i in range(keys.shape[0]):
        exponential = -np.log(1 - uniform(rng))
        keys[i] = exponential / probabilities[i] if probabilities[i] > 0 else np.inf


@compiled
def decisions(seed: int, rows: np.ndarray, episodes: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` float64 [b] with a number in [0, 1) for each environment, fixed by seed, row and episode."""
    rng = np.empty(1, np.uint64)
    for i in range(rows.shape[0]):
        rng[0] = stream(seed, DECISION_SPLIT, rows[i], episodes[i])
        out[i] = uniform(rng)
