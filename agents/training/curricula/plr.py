"""Robust prioritised level replay, PLR⊥ (Jiang et al., 2021): the agent trains on replayed levels alone.

Every episode plays a fresh level or replays one of the buffer. An episode on a fresh level is not trained on: it scores
the level, which enters the buffer if its score is high enough. Environments decide one by one, whenever an episode
ends, so replayed and fresh levels run side by side in one batch. Steps on fresh levels count as environment steps.

Axes: B environments, b of them, T steps of a rollout, E episodes.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.base import Arrays, Curriculum
from goalmaze.agents.training.curricula.buffer import LevelBuffer, PlayedLevels
from goalmaze.agents.training.curricula.prioritisation import LEAST, decisions, draw_slots
from goalmaze.agents.training.curricula.registry import register_curriculum
from goalmaze.agents.training.curricula.returns import add_rewards, mean_value_loss
from goalmaze.agents.training.curricula.scores.base import Score, make_score
from goalmaze.agents.training.curricula.support import check_support
from goalmaze.envs.cells import Bools
from goalmaze.envs.engines import Engine
from goalmaze.envs.level_edits import is_distinguishing
from goalmaze.envs.levels import LevelBatch, concatenate

FRESH, REPLAYED, EDITED = range(3)
"""What an episode plays."""

FIGURES = (
    "scoring_steps",
    "buffer",
    "fresh",
    "fresh_distinguishing",
    "replayed",
    "replayed_distinguishing",
    "edited",
    "edited_distinguishing",
)
"""The counts of the log: steps that were not trained on, levels in the buffer, and episodes that ended, by what they
played and how many of these levels were distinguishing."""

_CLOCK, _DRAWS, _EDITS, _SCORING, _EPISODES = range(5)
"""Entries of the counters: replays begun, draws from the buffer, edited levels, steps that were not trained on, and the
first of six counts of ended episodes."""

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


@dataclasses.dataclass(frozen=True)
class ReplayOptions:
    """The options of prioritised level replay.

    Attributes:
        score: name of the score.
        replay_probability: probability with which an episode replays a level. With 0, training is domain randomisation.
        temperature: of the ranks; the lower, the more often the highest scores are replayed.
        staleness: fraction of replays that go to the levels whose last replay is longest ago.
        buffer: largest number of levels in the buffer.
    """

    score: str = "regret"
    replay_probability: Probability = 0.33
    temperature: Annotated[float, msgspec.Meta(ge=0.001, le=1000)] = 0.1
    staleness: Probability = 0.1
    buffer: Annotated[int, msgspec.Meta(ge=1, le=2**20)] = 4096


class Ended(NamedTuple):
    """E episodes that ended.

    Attributes:
        times: int64 [E], the step of the rollout.
        rows: int64 [E], the environments.
        steps: int64 [E], lengths.
        kinds: int64 [E], `FRESH`, `REPLAYED` or `EDITED`.
        slots: int64 [E], the slots of replayed levels.
        serials: int64 [E], the serial numbers of replayed levels.
        depths: int64 [E], how often the levels were edited.
        returns: float64 [E], discounted true returns.
        solved: bool [E].
    """

    times: NDArray[np.int64]
    rows: NDArray[np.int64]
    steps: NDArray[np.int64]
    kinds: NDArray[np.int64]
    slots: NDArray[np.int64]
    serials: NDArray[np.int64]
    depths: NDArray[np.int64]
    returns: NDArray[np.float64]
    solved: Bools


@register_curriculum
class PrioritisedReplay(Curriculum):
    """Robust prioritised level replay; arguments as `Curriculum`.

    Raises:
        GoalmazeError: the family has no distinguishing levels, the score does not exist or needs what the family does
            not have, or the buffer holds fewer levels than there are environments.
    """

    name = "plr"
    Options = ReplayOptions
    options: ReplayOptions

    def __init__(self, engine: Engine, seed: int, discount: float, options: ReplayOptions) -> None:
        super().__init__(engine, seed, discount, options)
        self.score: Score = make_score(options.score)
        check_support(self.name, engine, self.score, options.buffer)
        self.is_selective = options.replay_probability > 0
        batch = len(engine)
        self.buffer = LevelBuffer(engine.family, options.buffer)
        self._kinds, self._slots, self._serials, self._depths, self._episodes = np.zeros((5, batch), np.int64)
        self._returns, self._gains = np.zeros((2, batch))
        self._counts = np.zeros(_EPISODES + 6, np.int64)
        self._time = 0
        self._ended: list[Ended] = []
        self._ended_levels: list[LevelBatch] = []

    def restart(self) -> None:
        """Forget everything: the engine has begun fresh levels in all environments."""
        self.buffer.clear()
        for array in (self._kinds, self._slots, self._serials, self._depths, self._episodes, self._counts):
            array[:] = 0
        self._returns[:], self._gains[:] = 0, 0
        self._forget_rollout()

    def _forget_rollout(self) -> None:
        self._time, self._ended, self._ended_levels = 0, [], []

    @property
    def trains(self) -> Bools:
        """bool [B], True where a level is replayed."""
        return np.asarray(self._kinds == REPLAYED)

    def record_step(self) -> None:
        """Add the rewards of a step to the returns."""
        if not self.is_selective:
            return
        add_rewards(self.engine.rewards, self.engine.steps, self.discount, self._returns)
        self._counts[_SCORING] += (self._kinds != REPLAYED).sum()
        self._time += 1

    def record_ends(self, rows: NDArray[np.intp], solved: Bools) -> None:
        """Keep what is needed of the episodes in `rows` [b] until the end of the rollout; see `Curriculum`."""
        if not self.is_selective:
            return
        state = self.engine.state
        self._ended.append(
            Ended(
                times=np.full(len(rows), self._time - 1),
                rows=rows,
                steps=state.steps[rows].astype(np.int64),
                kinds=self._kinds[rows],
                slots=self._slots[rows],
                serials=self._serials[rows],
                depths=self._depths[rows],
                returns=self._returns[rows],
                solved=solved,
            )
        )
        self._ended_levels.append(self._levels_of(rows))

    def _levels_of(self, rows: NDArray[np.intp]) -> LevelBatch:
        """Return the levels in `rows` [b] as they were at the start of their episodes."""
        state, family = self.engine.state, self.engine.family
        walls = (state.squares[rows] & 1).astype(np.bool_).reshape(len(rows), family.size, family.size)
        return LevelBatch(walls, state.start[rows], state.placed[rows], family)

    def begin(self, rows: NDArray[np.intp]) -> None:
        """Begin a fresh level or a replay in each of `rows` [b]."""
        if not self.is_selective:
            self.engine.renew(rows)
            return
        edits = self._edits(rows)
        numbers = np.empty(len(rows))
        decisions(self.seed, rows, self._episodes[rows], numbers)
        # A replay needs a level that no other environment plays at this moment.
        is_replay = ~edits & (numbers < self.options.replay_probability) & (len(self.buffer) >= len(self._kinds))
        if edits.any():
            self._begin_edited(rows[edits])
        # Only now: an edited level is made of the one that its environment has just replayed.
        self._episodes[rows] += 1
        self._returns[rows] = 0
        self._kinds[rows[~edits]] = FRESH
        if is_replay.any():
            self._begin_replays(rows[is_replay])
        fresh = rows[~edits & ~is_replay]
        self._depths[fresh] = 0
        if len(fresh):
            self.engine.renew(fresh)

    def _edits(self, rows: NDArray[np.intp]) -> Bools:
        """Return bool [b], the rows that play an edited level next: none."""
        return np.zeros(len(rows), np.bool_)

    def _begin_edited(self, rows: NDArray[np.intp]) -> None:
        """Begin edited levels in `rows` [b]."""
        raise NotImplementedError(f"curriculum {self.name} edits no levels")

    def next_edits(self, count: int) -> NDArray[np.int64]:
        """Return int64 [count], numbers of edited levels that were not given before."""
        first = int(self._counts[_EDITS])
        self._counts[_EDITS] += count
        return np.arange(first, first + count)

    def begin_on(self, rows: NDArray[np.intp], levels: LevelBatch, kind: int, depths: NDArray[np.int64]) -> None:
        """Begin episodes in `rows` [b] on these levels, of one kind and edited so many times, int64 [b]."""
        self._kinds[rows], self._depths[rows] = kind, depths
        # Without the checks of `begin`: levels of the buffer were played before, and edits keep levels playable.
        self.engine.place(rows, levels)
        self.engine.begin(rows)

    def _begin_replays(self, rows: NDArray[np.intp]) -> None:
        probabilities = np.maximum(self.probabilities(), LEAST)
        playing = np.flatnonzero(self._kinds == REPLAYED)
        playing = playing[self.buffer.has(self._slots[playing], self._serials[playing])]
        # At once, two environments never play the same level: with a low temperature, nearly all would play the first.
        probabilities[self._slots[playing]] = 0
        slots = draw_slots(probabilities, len(rows), self.seed, int(self._counts[_DRAWS]))
        self._counts[_DRAWS] += 1
        self._counts[_CLOCK] += len(rows)
        # A level that was just replayed has staleness 0.
        self.buffer.sampled_at[slots] = self._counts[_CLOCK]
        self._slots[rows], self._serials[rows] = slots, self.buffer.serials[slots]
        self.begin_on(rows, self.buffer.levels(slots), REPLAYED, self.buffer.depths[slots])

    def probabilities(self) -> NDArray[np.float64]:
        """Return float64 [levels of the buffer], the probability with which each is replayed next."""
        options = self.options
        return self.buffer.probabilities(options.temperature, options.staleness, int(self._counts[_CLOCK]))

    def end_rollout(self, advantages: NDArray[np.float32]) -> None:
        """Score the levels of all episodes that the rollout has ended, and update the buffer."""
        ended, levels = self._ended, self._ended_levels
        self._forget_rollout()
        if not ended:
            if self.score.needs_advantages:
                mean_value_loss(advantages, np.zeros((3, 0), np.int64), self._gains)
            return
        episodes = Ended(*(np.concatenate(arrays) for arrays in zip(*ended, strict=True)))
        self._finish(episodes, concatenate(levels), advantages)

    def _finish(self, episodes: Ended, levels: LevelBatch, advantages: NDArray[np.float32]) -> None:
        count = len(episodes.rows)
        value_loss = np.full(count, np.nan)
        if self.score.needs_advantages:
            walk = np.stack([episodes.times, episodes.rows, episodes.steps])
            value_loss = mean_value_loss(advantages, walk, self._gains)
        distinguishing = is_distinguishing(levels)
        kinds = episodes.kinds
        self._counts[_EPISODES : _EPISODES + 3] += np.bincount(kinds, minlength=3)
        self._counts[_EPISODES + 3 :] += np.bincount(kinds[distinguishing], minlength=3)
        # The level of a replay may have lost its slot to another one meanwhile.
        known = (kinds == REPLAYED) & self.buffer.has(episodes.slots, episodes.serials)
        slots = np.where(known, episodes.slots, -1)
        self.buffer.record(slots[known], episodes.returns[known], episodes.solved[known])
        optimum = np.where(known, self.buffer.optimum[slots], np.nan)
        new = kinds != REPLAYED
        if self.score.needs_optimum and new.any():
            optimum[new] = self.engine.family.optimal_returns(levels.take(new), self.discount)
        played = PlayedLevels(
            levels=levels,
            slots=slots,
            returns=episodes.returns,
            highest=np.where(known, self.buffer.highest[slots], episodes.returns),
            optimum=optimum,
            value_loss=value_loss,
            plays=np.where(known, self.buffer.plays[slots], 1),
            solved=np.where(known, self.buffer.solved[slots], episodes.solved),
            distinguishing=distinguishing,
            buffered=self.buffer.levels(),
        )
        scores = self.score.score(played)
        self.buffer.rescore(slots[known], scores[known])
        rows = np.flatnonzero(new)
        if len(rows):
            probabilities = self.probabilities() if len(self.buffer) else np.zeros(0)
            clock = int(self._counts[_CLOCK])
            self.buffer.insert(played.take(rows), scores[rows], episodes.depths[rows], probabilities, clock)

    def arrays(self) -> Arrays:
        """Return all that changes, not copied: the buffer, the counters of the random numbers, running episodes."""
        if not self.is_selective:
            return {}
        return {
            **{f"buffer.{name}": array for name, array in self.buffer.arrays().items()},
            "kinds": self._kinds,
            "slots": self._slots,
            "serials": self._serials,
            "depths": self._depths,
            "episodes": self._episodes,
            "returns": self._returns,
            "gains": self._gains,
            "counts": self._counts,
        }

    def figures(self) -> dict[str, int]:
        """Return the counts that the log holds, see `FIGURES`."""
        if not self.is_selective:
            return {}
        by_kind = self._counts[_EPISODES:].reshape(2, 3).T.ravel()
        counts = (self._counts[_SCORING], len(self.buffer), *by_kind)
        return {name: int(count) for name, count in zip(FIGURES, counts, strict=True)}
