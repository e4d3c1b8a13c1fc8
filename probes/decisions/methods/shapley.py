"""`shapley`: exact Shapley values of the elements (Shapley, 1953): the mean loss over all sets of other elements.

The value of a set is the margin where all other elements are left out. Attributions add up to the margin of the state
minus that of the state without any element.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from goalmaze.probes.decisions.method import DecisionMethod, Floats, Study
from goalmaze.probes.decisions.registry import register_decision_method

CHUNK = 8192
"""Observations that are made at once."""


@register_decision_method
class Shapley(DecisionMethod):
    """Shapley values of the game whose players are the elements and whose value is the margin."""

    name = "shapley"

    def attributions(self, study: Study) -> Floats:
        """Return the values, from the margins of all sets."""
        result = np.zeros((len(study.decisions), study.most))
        counts = np.array([len(own) for own in study.elements])
        for players in np.unique(counts):
            rows = np.flatnonzero(counts == players)
            sets = _sets(int(players))
            values = np.concatenate([_margins(study, part, sets) for part in _parts(rows, len(sets))])
            result[rows, :players] = shapley_values(values)
        return result


def shapley_values(values: Floats) -> Floats:
    """Return float64 [n, P], the Shapley values of n games.

    Args:
        values: float64 [n, 2^P], the value of each set of players; bit p of a set's number says whether p is in it.
    """
    players = values.shape[1].bit_length() - 1
    numbers = np.arange(values.shape[1])
    sizes = np.array([number.bit_count() for number in numbers.tolist()])
    result = np.zeros((len(values), players))
    for player in range(players):
        without = numbers[numbers >> player & 1 == 0]
        others = sizes[without]
        weights = np.array([1 / (players * math.comb(players - 1, int(size))) for size in others])
        result[:, player] = (values[:, without | 1 << player] - values[:, without]) @ weights
    return result


def _sets(players: int) -> NDArray[np.bool_]:
    """Return bool [2^P, P], the members of each set."""
    numbers = np.arange(2**players)
    return (numbers[:, None] >> np.arange(players) & 1).astype(np.bool_)


def _parts(rows: NDArray[np.intp], sets: int) -> list[NDArray[np.intp]]:
    return np.array_split(rows, max(1, len(rows) * sets // CHUNK))


def _margins(study: Study, rows: NDArray[np.intp], sets: NDArray[np.bool_]) -> Floats:
    """Return float64 [b, S], the margin of each decision with only the elements of each set."""
    kept = np.ones((len(sets), study.most), np.bool_)
    kept[:, : sets.shape[1]] = sets
    every = np.repeat(rows, len(sets)).astype(np.int64)
    observations = study.left_out(every, np.tile(kept, (len(rows), 1)))
    return study.decisions.margins_of(observations, every).reshape(len(rows), len(sets))
