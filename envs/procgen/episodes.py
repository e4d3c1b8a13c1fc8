"""Episodes in Procgen's mazes: those of `goalmaze.envs.episodes`, with Procgen walking beside and drawing the frames.

Our kernels say where everything stands and what is earned, Procgen says what is seen; a test holds both to the same
rewards and ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.engine.bound_kernel import BoundKernel
from goalmaze.envs.episodes import Episodes
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.procgen.actions import OURS, STAY
from goalmaze.envs.procgen.cue import GREEN, draw_signs
from goalmaze.envs.procgen.engine import TIME_LIMIT, Engine, Frames
from goalmaze.envs.procgen.family import ProcgenMaze, Start
from goalmaze.envs.procgen.levels import ProcgenLevels, in_stock_colours

EVERYWHERE = slice(None)


class ProcgenEpisodes(Episodes):
    """B episodes in Procgen's mazes under way. Arrays are changed in place.

    An episode that has ended is seen as before its last step, since Procgen draws nothing after it, until another
    begins in its row.

    Args:
        family: whose rules hold.
        levels: B levels to begin with; or how many rows there are, to be begun by `place` or `begin`.
        numbers: int32 [A], Procgen's action for each of ours; another index stays.
        threads: of Procgen's beside this one.
        limit: steps after which an episode is cut off, at most Procgen's own.

    Attributes:
        frames: uint8 [B, 64, 64, 3], what is seen now.
        following: row → the state of the level that Procgen has gone on to, where an episode ended.
    """

    shows = "rgb64"

    def __init__(
        self,
        family: ProcgenMaze,
        levels: LevelBatch | int,
        numbers: NDArray[np.int32],
        threads: int = 0,
        limit: int = TIME_LIMIT,
    ) -> None:
        batch = levels if isinstance(levels, int) else len(levels)
        self.world = family
        self.engine = Engine(batch, family.mode, threads)
        self.frames: Frames = self.engine.frames
        self.following: dict[int, bytes] = {}
        self._over = np.zeros(batch, np.bool_)
        self._numbers = np.append(numbers, np.int32(STAY)).astype(np.int32)
        super().__init__(family, batch)
        self._step = BoundKernel(self.state, self._table, limit)
        if not isinstance(levels, int):
            self.begin(np.arange(batch), levels)

    def begin(self, rows: NDArray[np.intp], levels: LevelBatch | None = None) -> None:
        """Begin new episodes in `rows`, on `levels` (one for each row) or on the level each row already has.

        Levels that are no `ProcgenLevels`, such as those read from text, are played in the colours of one of Procgen's.
        """
        if levels is None:
            levels = self.levels().take(rows)
        if not isinstance(levels, ProcgenLevels):
            levels = in_stock_colours(levels, self.world.mode)
        super().begin(rows, levels)
        self._show(rows, levels.states())

    def place(self, rows: NDArray[np.intp], starts: Sequence[Start]) -> None:
        """Begin new episodes in `rows`, one for each of the starts, whose walls and cells need no check."""
        state = self.state
        for row, start in zip(rows, starts, strict=True):
            state.squares[row], state.start[row], state.placed[row] = start.walls, start.agent, start.objects
        super().begin(rows)
        self._show(rows, (start.state for start in starts))

    def _show(self, rows: NDArray[np.intp], states: Iterable[bytes]) -> None:
        """Let Procgen begin where the rows begin, and see that."""
        for row, state in zip(rows, states, strict=True):
            self.engine.put(int(row), state)
            self.following.pop(int(row), None)
        self._over[rows] = False
        seen = self.engine.fresh(rows)
        self._draw(seen, rows)
        self.frames[rows] = seen

    def step(self, actions: NDArray[np.integer] | np.integer | int) -> None:
        """Advance each episode by one of `actions` [B], or all by the same; rewards and ends are then attributes."""
        numbers = self._numbered(actions)
        went_on = self.engine.step(numbers)[1]
        super().step(OURS[numbers])
        seen = self.engine.frames
        self._draw(seen, EVERYWHERE)
        ended = self.done & ~self._over
        for row in np.flatnonzero(ended & went_on):
            self.following[int(row)] = self.engine.state(int(row))
        self._over |= ended
        for row in np.flatnonzero(self._over):
            seen[row] = self.frames[row]
        self.frames = seen

    def _numbered(self, actions: NDArray[np.integer] | np.integer | int) -> NDArray[np.int32]:
        """Return int32 [B], Procgen's number of each action; episodes that are over stay."""
        last = len(self._numbers) - 1
        given = np.where(self._over, last, actions)
        given[(given < 0) | (given > last)] = last
        numbers: NDArray[np.int32] = self._numbers[given]
        return numbers

    def observe(self) -> Frames:
        """Return uint8 [B, 64, 64, 3], what the agents see."""
        return self.frames

    def resume(self, states: Sequence[bytes], frames: Frames) -> None:
        """Let Procgen go on from B states, with what is seen there; `state` was put back before."""
        for row, state in enumerate(states):
            self.engine.put(row, state)
        self._over = self.done.copy()
        self.following.clear()
        self.frames = frames.copy()

    def close(self) -> None:
        """End Procgen's threads and free its memory."""
        self.engine.close()

    def _draw(self, frames: Frames, rows: NDArray[np.intp] | slice) -> None:
        """Draw the signs into frames just taken from Procgen in some rows."""
        if self.world.sign:
            signs, mice, world = self.objects[rows, 1], self.agent[rows], self.world
            draw_signs(frames, signs, mice, world.size, world.centred, world.strength, GREEN)


def first_frames(levels: LevelBatch) -> Frames:
    """Return uint8 [B, 64, 64, 3], what the agents see before their first step."""
    family = levels.family
    assert isinstance(family, ProcgenMaze)
    episodes = family.episodes(levels)
    episodes.close()
    return episodes.frames
