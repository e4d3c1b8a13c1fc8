"""Novelty: how much a level differs from the most similar other level of the buffer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.buffer import PlayedLevels
from goalmaze.agents.training.curricula.scores.base import Score, register_score
from goalmaze.envs.jit.compile import compiled


@register_score
class Novelty(Score):
    """The fraction of walls, start and objects that differ; a control that reads nothing about the agent."""

    name = "novelty"

    def score(self, played: PlayedLevels) -> NDArray[np.float64]:
        """Return float64 [E], the fractions; 1 where the buffer holds no other level."""
        levels, others = played.levels, played.buffered
        out = np.ones(len(levels))
        _fill_novelty(
            levels.walls.reshape(len(levels), levels.height * levels.width),
            levels.start,
            levels.objects,
            others.walls.reshape(len(others), others.height * others.width),
            others.start,
            others.objects,
            played.slots,
            out,
        )
        return out


@compiled
def _fill_novelty(
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    other_walls: np.ndarray,
    other_start: np.ndarray,
    other_objects: np.ndarray,
    slots: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` float64 [E]; `slots` int64 [E] are the levels' own places among the others."""
    entries = walls.shape[1] + 1 + objects.shape[1]
    for e in range(out.shape[0]):
        for i in range(other_start.shape[0]):
            if i == slots[e]:
                continue
            count = np.int64(start[e] != other_start[i])
            for cell in range(walls.shape[1]):
                count += walls[e, cell] != other_walls[i, cell]
            for k in range(objects.shape[1]):
                count += objects[e, k] != other_objects[i, k]
            out[e] = min(out[e], count / entries)
