"""Procgen's own maze, many at once: stepped by Procgen, states in and out. The only module that loads `procgen`."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import warnings
from collections.abc import Iterable, Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.procgen.codec import MAZE
from goalmaze.envs.procgen.patches import followed_by

WORLDS = {"easy": 15, "hard": 25, "memory": 31}
"""Mode → rows and columns of its world."""

FRAME = 64
"""Rows and columns of a frame, in pixels."""

TIME_LIMIT = 500
MAX_SEEDS = 2**31 - 1
"""Level seeds are 0 to this less 1."""

MAX_STATE_BYTES = 2**16
BUILT_AT_ONCE = 32
END_EPISODE = -1
"""The action on which Procgen goes on to a new level."""

Frames = NDArray[np.uint8]


def procgen() -> ModuleType:
    """Return Procgen's module, without its greetings.

    Raises:
        GoalmazeError: it is not installed.
    """
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return importlib.import_module("procgen.env")
    except ImportError as error:
        raise GoalmazeError(
            f"Procgen is missing ({error}): install goalmaze[procgen] in an environment of its own, "
            "with Python 3.11 or 3.12; it needs numpy below 2"
        ) from None


def world_of(mode: str) -> int:
    """Return rows and columns of the world in a mode.

    Raises:
        GoalmazeError: there is no such mode.
    """
    if mode not in WORLDS:
        raise unknown("mode of Procgen's maze", mode, WORLDS)
    return WORLDS[mode]


class ProcgenSimulator:
    """B mazes under way in Procgen. Where one ends, Procgen puts the next level in its place at once.

    Args:
        count: B.
        mode: one of `WORLDS`.
        threads: that step mazes beside this one; 0 to step them here.

    Attributes:
        frames: uint8 [B, 64, 64, 3], what is seen now; `step` and `look` put a new array here.
    """

    def __init__(self, count: int, mode: str, threads: int = 0) -> None:
        self._game = procgen().ProcgenGym3Env(
            num=count, env_name=MAZE, distribution_mode=mode, num_threads=threads, rand_seed=0
        )
        self._buffer = self._game._ffi.new(f"char[{MAX_STATE_BYTES}]")
        self.count = count
        self.frames: Frames
        self.look()

    def step(self, actions: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Act everywhere; return rewards float32 [B], and bool [B] where the level ended and a new one began."""
        self._game.act(actions)
        rewards, seen, first = self._game.observe()
        self.frames = seen["rgb"]
        return rewards, first

    def look(self) -> Frames:
        """Return the frames as they are now, those of states just put included."""
        self.frames = self._game.observe()[1]["rgb"]
        return self.frames

    def fresh(self, rows: NDArray[np.intp]) -> Frames:
        """Return uint8 [b, 64, 64, 3], a copy of what is seen in some rows, whose states were just put."""
        drawn: Frames = self._game._ob["rgb"][rows]
        return drawn

    def state(self, row: int) -> bytes:
        """Return the state of one maze."""
        length = self._game.call_c_func("get_state", row, self._buffer, MAX_STATE_BYTES)
        return bytes(self._game._ffi.buffer(self._buffer, length))

    def put(self, row: int, state: bytes) -> None:
        """Let one maze go on from a state."""
        self._game.call_c_func("set_state", row, state, len(state))

    def close(self) -> None:
        """End Procgen's threads and free its memory."""
        self._game.close()


@functools.cache
def _builder(mode: str) -> tuple[ProcgenSimulator, bytes]:
    """Return where levels of a mode are built, and the state to build from: equal bytes whatever was built before."""
    simulator = ProcgenSimulator(BUILT_AT_ONCE, mode)
    return simulator, simulator.state(0)


def build(mode: str, level_seeds: Sequence[int]) -> list[bytes]:
    """Return the states in which Procgen's levels with these seeds begin, as Procgen makes them.

    Raises:
        GoalmazeError: there is no such mode, or a seed lies outside Procgen's range.
    """
    world_of(mode)
    wrong = [seed for seed in level_seeds if not 0 <= seed < MAX_SEEDS]
    if wrong:
        raise GoalmazeError(f"level seed {wrong[0]} is none of Procgen's: choose 0 to {MAX_SEEDS - 1}")
    simulator, blank = _builder(mode)
    states: list[bytes] = []
    for first in range(0, len(level_seeds), BUILT_AT_ONCE):
        part = level_seeds[first : first + BUILT_AT_ONCE]
        for row, seed in enumerate(part):
            simulator.put(row, followed_by(blank, int(seed)))
        simulator.step(np.full(simulator.count, END_EPISODE, np.int32))
        states += [simulator.state(row) for row in range(len(part))]
    return states


def frames_of(mode: str, states: Iterable[bytes]) -> Frames:
    """Return uint8 [B, 64, 64, 3], what Procgen shows in these states."""
    simulator, states = _builder(mode)[0], list(states)
    parts = [np.empty((0, FRAME, FRAME, 3), np.uint8)]
    for first in range(0, len(states), BUILT_AT_ONCE):
        part = states[first : first + BUILT_AT_ONCE]
        for row, state in enumerate(part):
            simulator.put(row, state)
        parts.append(simulator.look()[: len(part)].copy())
    return np.concatenate(parts)
