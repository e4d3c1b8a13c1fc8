"""A batch of mazes that Procgen runs, with access to their states. The only module that imports `procgen`."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
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
    """Return the module `procgen.env`, without the warnings and messages of its import.

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


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage inside the context.

    Making a game of Procgen takes a lock of cffi, and so does the destructor of a game. A collection that finds an old
    game while a new one is being made would wait for that lock forever.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class ProcgenSimulator:
    """B mazes in Procgen. Where an episode ends, Procgen begins the next level in the same step.

    Args:
        count: number B of mazes.
        mode: one of `WORLDS`.
        threads: number of threads that step mazes; 0 to step them in the calling thread.

    Attributes:
        frames: uint8 [B, 64, 64, 3], the present frames; `step` and `look` replace the array.
    """

    def __init__(self, count: int, mode: str, threads: int = 0) -> None:
        make = procgen().ProcgenGym3Env
        with no_garbage_collection():
            self._game = make(num=count, env_name=MAZE, distribution_mode=mode, num_threads=threads, rand_seed=0)
        self._buffer = self._game._ffi.new(f"char[{MAX_STATE_BYTES}]")
        self.count, self._mode, self._threads = count, mode, threads
        self.frames: Frames
        self.look()

    # Procgen's own memory cannot be pickled: a copy is a new game that is set to the same states.
    def __reduce__(self) -> tuple[object, ...]:
        states = [self.state(row) for row in range(self.count)]
        return _with_states, (self.count, self._mode, self._threads, states)

    def step(self, actions: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Step all mazes; return rewards float32 [B], and bool [B], True where a new level began."""
        self._game.act(actions)
        rewards, observations, first = self._game.observe()
        self.frames = observations["rgb"]
        return rewards, first

    def look(self) -> Frames:
        """Return the present frames, also of states that `put` has just set."""
        self.frames = self._game.observe()[1]["rgb"]
        return self.frames

    def fresh(self, rows: NDArray[np.intp]) -> Frames:
        """Return uint8 [b, 64, 64, 3], a copy of the frames of rows whose states were just set."""
        # Indexing an array with rows copies: Procgen draws its next frames into the same memory.
        drawn: Frames = self._game._ob["rgb"][rows]
        return drawn

    def state(self, row: int) -> bytes:
        """Return the state of one maze."""
        length = self._game.call_c_func("get_state", row, self._buffer, MAX_STATE_BYTES)
        return bytes(self._game._ffi.buffer(self._buffer, length))

    def put(self, row: int, state: bytes) -> None:
        """Set the state of one maze."""
        self._game.call_c_func("set_state", row, state, len(state))

    def close(self) -> None:
        """End Procgen's threads and free its memory."""
        self._game.close()


def _with_states(count: int, mode: str, threads: int, states: Sequence[bytes]) -> ProcgenSimulator:
    """Return a simulator of B mazes in these B states."""
    simulator = ProcgenSimulator(count, mode, threads)
    for row, state in enumerate(states):
        simulator.put(row, state)
    simulator.look()
    return simulator


@functools.cache
def _builder(mode: str) -> tuple[ProcgenSimulator, bytes]:
    """Return the simulator that builds levels of a mode, and its first state, from which every level is built."""
    simulator = ProcgenSimulator(BUILT_AT_ONCE, mode)
    return simulator, simulator.state(0)


def build(mode: str, level_seeds: Sequence[int]) -> list[bytes]:
    """Return the first states of Procgen's levels with these seeds, before any edit.

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
        # Always from the same state: what a level draws at random must not depend on the levels built before.
        for row, seed in enumerate(part):
            simulator.put(row, followed_by(blank, int(seed)))
        simulator.step(np.full(simulator.count, END_EPISODE, np.int32))
        states += [simulator.state(row) for row in range(len(part))]
    return states


def frames_of(mode: str, states: Iterable[bytes]) -> Frames:
    """Return uint8 [B, 64, 64, 3], Procgen's frames of these states."""
    simulator, states = _builder(mode)[0], list(states)
    parts = [np.empty((0, FRAME, FRAME, 3), np.uint8)]
    for first in range(0, len(states), BUILT_AT_ONCE):
        part = states[first : first + BUILT_AT_ONCE]
        for row, state in enumerate(part):
            simulator.put(row, state)
        parts.append(simulator.look()[: len(part)].copy())
    return np.concatenate(parts)
