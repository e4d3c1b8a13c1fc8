"""The engine of Procgen's mazes: `ProcgenSimulator` draws the frames, our kernels keep positions and rewards.

A test compares rewards and ends of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.actions import PROCGEN_FOUR, PROCGEN_STAY, PROCGEN_TO_ACTION, check_actions
from goalmaze.envs.engine.bound_kernel import BoundKernel
from goalmaze.envs.engines import Actions, Arrays, Engine
from goalmaze.envs.levels import NO_SHIFT, TRAINING, LevelBatch
from goalmaze.envs.procgen.cue import GREEN, draw_signs
from goalmaze.envs.procgen.family import ProcgenMaze, Start
from goalmaze.envs.procgen.levels import ProcgenLevels, in_stock_colours
from goalmaze.envs.procgen.patches import followed_by
from goalmaze.envs.procgen.simulator import END_EPISODE, MAX_STATE_BYTES, Frames, ProcgenSimulator, build

EVERYWHERE = slice(None)
PICTURE_SCALE = 8
"""Pixels of a picture for people per pixel of a frame, along each axis."""


class ProcgenEngine(Engine):
    """B episodes in Procgen's mazes. Arrays change in place.

    An edit needs no extra level: each state names the one seed from which Procgen makes its next level. What Procgen
    begins where an episode ended is therefore already the right level, and only its cheese is moved.

    The observation of an ended episode is the one before its last step, until another episode begins in its row:
    Procgen draws no frame after the last step.

    Args:
        family: the family whose rules hold.
        batch: number B of episodes; none of them begins before `begin` or `renew`.
        numbers: int32 [A], Procgen's action for each of the A actions of an agent; any other action stays.
        threads: number of Procgen's threads beside the calling one.

    Attributes:
        frames: uint8 [B, 64, 64, 3], the observations.
        following: row → the state of the level that Procgen has begun, where an episode ended.
    """

    mode = "rgb64"

    family: ProcgenMaze

    def __init__(
        self, family: ProcgenMaze, batch: int, numbers: NDArray[np.int32] = PROCGEN_FOUR, threads: int = 0
    ) -> None:
        super().__init__(family, batch)
        self.actions = len(numbers)
        self.simulator = ProcgenSimulator(batch, family.mode, threads)
        self.frames: Frames = self.simulator.frames
        self.following: dict[int, bytes] = {}
        self._over = np.zeros(batch, np.bool_)
        self._numbers = np.append(numbers, np.int32(PROCGEN_STAY)).astype(np.int32)
        self._shift, self._split = NO_SHIFT, TRAINING

    def use_threads(self, count: int) -> None:
        """Step episodes in this many threads; see `Engine.use_threads`."""
        self.simulator.close()
        # Procgen counts the threads beside the calling one, which waits for them.
        self.simulator = ProcgenSimulator(len(self), self.family.mode, count if count > 1 else 0)
        self.frames = self.simulator.frames

    @classmethod
    def from_levels(cls, levels: LevelBatch) -> Self:
        """Return an engine with an episode on each level, for agents with four actions."""
        family = levels.family
        assert isinstance(family, ProcgenMaze)
        engine = cls(family, len(levels))
        engine.begin(np.arange(len(levels)), levels)
        return engine

    def begin(self, rows: NDArray[np.intp], levels: LevelBatch | None = None) -> None:
        """Begin new episodes in `rows` [b], on `levels` (one for each row) or on the level each row already has.

        Levels that are no `ProcgenLevels`, such as those read from text, are played in the colours of one of Procgen's.
        """
        if levels is None:
            levels = self.levels().take(rows)
        if not isinstance(levels, ProcgenLevels):
            levels = in_stock_colours(levels, self.family.mode)
        super().begin(rows, levels)
        self._show(rows, levels.states())

    def use_levels(self, seed: int | Sequence[int], shift: str, split: str) -> None:
        """Take fresh levels from these addresses; see `Engine.use_levels`. Episodes end at the split's time limit."""
        super().use_levels(seed, shift, split)
        self._shift, self._split = shift, split
        self._step = BoundKernel(self.state, self._table, self.family.limit_in(split))
        self.following.clear()

    def renew(self, rows: NDArray[np.intp]) -> None:
        """Begin the next episode in `rows` [b], on the level that Procgen has gone on to there, or on one built."""
        built = self.following
        missing = [int(row) for row in rows if int(row) not in built]
        built |= dict(zip(missing, build(self.family.mode, [self.next_seed(row) for row in missing]), strict=True))
        self._place(rows, [self._started(built[int(row)], int(row)) for row in rows])

    def next_seed(self, row: int) -> int:
        """Return Procgen's seed of the level that a row plays next."""
        seed, index = int(self.level_seeds[row]), int(self.next_levels[row])
        return self.family.level_seeds(seed, index, self._split)[0]

    def _started(self, state: bytes, row: int) -> Start:
        """Return the next level of a row, whose state names the level after it."""
        start = self.family.edited(state, self.next_seed(row), self._shift, self._split)
        self.next_levels[row] += self.group_size
        return start._replace(state=followed_by(start.state, self.next_seed(row)))

    def _place(self, rows: NDArray[np.intp], starts: Sequence[Start]) -> None:
        """Begin new episodes in `rows` [b], one for each of the starts, whose walls and cells need no check."""
        state = self.state
        for row, start in zip(rows, starts, strict=True):
            state.squares[row], state.start[row], state.placed[row] = start.walls, start.agent, start.objects
        super().begin(rows)
        self._show(rows, (start.state for start in starts))

    def _show(self, rows: NDArray[np.intp], states: Iterable[bytes]) -> None:
        """Let Procgen begin where the rows begin, and take the frames of these rows."""
        for row, state in zip(rows, states, strict=True):
            self.simulator.put(int(row), state)
            self.following.pop(int(row), None)
        self._over[rows] = False
        fresh = self.simulator.fresh(rows)
        self._draw(fresh, rows)
        self.frames[rows] = fresh

    def step(self, actions: Actions) -> None:
        """Advance each episode by one of `actions` int [B], or all by the same; an action out of range stays."""
        numbers = self._numbered(actions)
        super().step(PROCGEN_TO_ACTION[numbers])
        # Where the time limit is below Procgen's own, Procgen is told to go on to the next level, in the same step.
        numbers[self.truncated & ~self._over] = END_EPISODE
        went_on = self.simulator.step(numbers)[1]
        frames = self.simulator.frames
        self._draw(frames, EVERYWHERE)
        ended = self.done & ~self._over
        for row in np.flatnonzero(ended & went_on):
            self.following[int(row)] = self.simulator.state(int(row))
        self._over |= ended
        for row in np.flatnonzero(self._over):
            frames[row] = self.frames[row]
        self.frames = frames

    def step_strictly(self, actions: NDArray[np.integer]) -> None:
        """Advance each episode by one of `actions` int [B]; see `Engine.step_strictly`."""
        check_actions(actions, len(self), self.actions)
        self.step(actions)

    def step_or_renew(self, actions: NDArray[np.integer]) -> None:
        """Step by `actions` int [B], or begin the next episode; see `Engine.step_or_renew`."""
        ended = np.flatnonzero(self.done)
        self.step_strictly(actions)
        if len(ended):
            self.renew(ended)

    def _numbered(self, actions: Actions) -> NDArray[np.int32]:
        """Return int32 [B], Procgen's number of each action; episodes that are over stay."""
        last = len(self._numbers) - 1
        given = np.where(self._over, last, actions)
        given[(given < 0) | (given > last)] = last
        numbers: NDArray[np.int32] = self._numbers[given]
        return numbers

    def observe(self) -> Frames:
        """Return uint8 [B, 64, 64, 3], Procgen's frames with the signs drawn into them."""
        return self.frames

    def pictures(self) -> tuple[NDArray[np.uint8], ...]:
        """Return one RGB picture uint8 [512, 512, 3] for each episode, for people."""
        return tuple(map(enlarged, self.frames))

    def extra_arrays(self) -> Arrays:
        """Return Procgen's own states, uint8 [B, bytes], and a copy of the frames."""
        states = np.zeros((len(self), MAX_STATE_BYTES), np.uint8)
        for row in range(len(self)):
            state = self.simulator.state(row)
            states[row, : len(state)] = np.frombuffer(state, np.uint8)
        return {"procgen": states, "frames": self.frames.copy()}

    def restore_extra_arrays(self, arrays: Arrays) -> None:
        """Let Procgen go on from what `extra_arrays` returned, after `state` was restored."""
        for row, state in enumerate(arrays["procgen"]):
            self.simulator.put(row, state.tobytes())
        self._over = self.done.copy()
        self.following.clear()
        self.frames = arrays["frames"].astype(np.uint8)

    def close(self) -> None:
        """End Procgen's threads and free its memory."""
        self.simulator.close()

    def _draw(self, frames: Frames, rows: NDArray[np.intp] | slice) -> None:
        """Draw the signs into frames just taken from Procgen in some rows."""
        family = self.family
        if family.sign:
            signs, mice = self.objects[rows, 1], self.agent[rows]
            draw_signs(frames, signs, mice, family.size, family.centred, family.strength, GREEN)


def enlarged(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame uint8 [h, w, 3] for people, eight times as high and wide."""
    return frame.repeat(PICTURE_SCALE, axis=0).repeat(PICTURE_SCALE, axis=1)
