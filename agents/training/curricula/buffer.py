"""The buffer of levels that are worth replaying.

Axes: N slots, E levels, H rows, W columns, K object slots.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.base import Arrays
from goalmaze.agents.training.curricula.prioritisation import rank_weights, replay_probabilities, staleness_weights
from goalmaze.envs.cells import Bools
from goalmaze.envs.levels import Family, LevelBatch


class PlayedLevels(NamedTuple):
    """E levels after an episode on each, for scores.

    Attributes:
        levels: the levels.
        slots: int64 [E], their slots in the buffer, -1 where they are not in it.
        returns: float64 [E], the discounted true return of the episode.
        highest: float64 [E], the highest such return of all episodes on the level.
        optimum: float64 [E], the best return that is possible; NaN unless the score needs it.
        value_loss: float64 [E], the mean over the episode of the positive part of the advantages; NaN unless the score
            needs it.
        plays: int64 [E], episodes on the level.
        solved: int64 [E], how many of them were solved.
        distinguishing: bool [E], whether the level is distinguishing.
        buffered: all levels of the buffer, in the order of their slots.
    """

    levels: LevelBatch
    slots: NDArray[np.int64]
    returns: NDArray[np.float64]
    highest: NDArray[np.float64]
    optimum: NDArray[np.float64]
    value_loss: NDArray[np.float64]
    plays: NDArray[np.int64]
    solved: NDArray[np.int64]
    distinguishing: Bools
    buffered: LevelBatch

    def take(self, rows: NDArray[np.intp]) -> PlayedLevels:
        """Return some of them, in the order of `rows`."""
        return PlayedLevels(
            levels=self.levels.take(rows),
            slots=self.slots[rows],
            returns=self.returns[rows],
            highest=self.highest[rows],
            optimum=self.optimum[rows],
            value_loss=self.value_loss[rows],
            plays=self.plays[rows],
            solved=self.solved[rows],
            distinguishing=self.distinguishing[rows],
            buffered=self.buffered,
        )


class LevelBuffer:
    """At most N levels with what is known about each. Filled slots come first.

    Args:
        family: the family of the levels.
        capacity: N.

    Attributes:
        serials: int64 [N], a number of the level in each slot that no other level has; -1 where there is none.
        scores: float64 [N], the score after the latest episode.
        sampled_at: int64 [N], the clock after its latest replay, or when it came.
        highest: float64 [N], the highest return.
        optimum: float64 [N], the best possible return, NaN if it is not needed.
        plays: int64 [N], episodes.
        solved: int64 [N], episodes that were solved.
        distinguishing: bool [N].
        depths: int64 [N], number of times that the level and those it was made from were edited.
    """

    def __init__(self, family: Family, capacity: int) -> None:
        self.family, self.capacity = family, capacity
        self._walls = np.zeros((capacity, family.size, family.size), np.bool_)
        self._start = np.zeros(capacity, np.int32)
        self._objects = np.full((capacity, len(family.slots)), -1, np.int32)
        self.serials = np.full(capacity, -1, np.int64)
        self.scores, self.highest, self.optimum = (np.zeros(capacity) for _ in range(3))
        self.sampled_at, self.plays, self.solved, self.depths = (np.zeros(capacity, np.int64) for _ in range(4))
        self.distinguishing = np.zeros(capacity, np.bool_)
        self._counts = np.zeros(2, np.int64)
        self._by_score: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return int(self._counts[0])

    def clear(self) -> None:
        """Empty the buffer."""
        self.serials[:], self._counts[:] = -1, 0
        self._by_score = None

    def arrays(self) -> Arrays:
        """Return all arrays, not copied."""
        return {
            "walls": self._walls,
            "start": self._start,
            "objects": self._objects,
            "serials": self.serials,
            "scores": self.scores,
            "sampled_at": self.sampled_at,
            "highest": self.highest,
            "optimum": self.optimum,
            "plays": self.plays,
            "solved": self.solved,
            "distinguishing": self.distinguishing,
            "depths": self.depths,
            "counts": self._counts,
        }

    def levels(self, slots: NDArray[np.int64] | None = None) -> LevelBatch:
        """Return a copy of the levels in `slots` [E], or of all of them."""
        if slots is None:
            slots = np.arange(len(self))
        return LevelBatch(self._walls[slots], self._start[slots], self._objects[slots], self.family)

    def has(self, slots: NDArray[np.int64], serials: NDArray[np.int64]) -> Bools:
        """Return bool [E], whether the slots still hold the levels with these serial numbers."""
        return np.asarray((slots >= 0) & (self.serials[np.maximum(slots, 0)] == serials))

    def probabilities(self, temperature: float, staleness: float, clock: int) -> NDArray[np.float64]:
        """Return float64 [len], the probability with which each level is replayed next.

        Args:
            temperature: of the ranks.
            staleness: fraction of replays that go by staleness.
            clock: number of all replays.
        """
        count = len(self)
        if self._by_score is None or len(self._by_score) != count:
            # Sorting takes most of the time, and scores change between rollouts alone.
            self._by_score = rank_weights(self.scores[:count], temperature)
        return replay_probabilities(self._by_score, staleness_weights(self.sampled_at[:count], clock), staleness)

    def record(self, slots: NDArray[np.int64], returns: NDArray[np.float64], solved: Bools) -> None:
        """Count episodes on levels of the buffer; a level may occur several times.

        Args:
            slots: int64 [E].
            returns: float64 [E], the discounted true returns.
            solved: bool [E].
        """
        np.maximum.at(self.highest, slots, returns)
        np.add.at(self.plays, slots, 1)
        np.add.at(self.solved, slots, solved)

    def rescore(self, slots: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
        """Write new scores float64 [E]; of several on one level the last one counts."""
        self.scores[slots] = scores
        self._by_score = None

    def insert(
        self,
        played: PlayedLevels,
        scores: NDArray[np.float64],
        depths: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        clock: int,
    ) -> None:
        """Insert levels: into empty slots, then in place of the levels that are least likely to be replayed.

        As many of those as there are new levels compete with them, and the higher scores stay; of equal scores, the
        level that is there.

        Args:
            played: E new levels.
            scores: float64 [E].
            depths: int64 [E].
            probabilities: float64 [len], of replay.
            clock: number of all replays.
        """
        best = np.argsort(-scores, kind="stable")[: self.capacity]
        free = min(self.capacity - len(self), len(best))
        # In the order in which they were played where there is room for all.
        into_free = np.sort(best[:free])
        first = len(self)
        self._write(np.arange(first, first + free), into_free, played, scores, depths, clock)
        self._counts[0] += free
        challengers = best[free:]
        if len(challengers):
            weakest = np.argsort(probabilities, kind="stable")[: len(challengers)]
            rivals = np.concatenate([self.scores[weakest], scores[challengers]])
            stays = np.zeros(len(rivals), np.bool_)
            stays[np.argsort(-rivals, kind="stable")[: len(weakest)]] = True
            leaving, coming = weakest[~stays[: len(weakest)]], challengers[stays[len(weakest) :]]
            self._write(leaving, coming, played, scores, depths, clock)
        self._by_score = None

    def _write(
        self,
        slots: NDArray[np.intp],
        rows: NDArray[np.intp],
        played: PlayedLevels,
        scores: NDArray[np.float64],
        depths: NDArray[np.int64],
        clock: int,
    ) -> None:
        """Write new levels [rows] into slots."""
        levels = played.levels
        self._walls[slots], self._start[slots], self._objects[slots] = (
            levels.walls[rows],
            levels.start[rows],
            levels.objects[rows],
        )
        self.serials[slots] = self._counts[1] + np.arange(len(slots))
        self._counts[1] += len(slots)
        self.scores[slots], self.sampled_at[slots], self.depths[slots] = scores[rows], clock, depths[rows]
        self.highest[slots], self.optimum[slots] = played.highest[rows], played.optimum[rows]
        self.plays[slots], self.solved[slots] = played.plays[rows], played.solved[rows]
        self.distinguishing[slots] = played.distinguishing[rows]
