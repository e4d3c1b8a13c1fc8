"""Kernels bound to arrays that stay in place, for calls from Python that cost half a microsecond.

To pass two dozen arrays from Python to compiled code costs 6 to 8 µs per call: a third of the time to step a thousand
mazes, and more than the time to step one. Here the addresses and sizes of the arrays are written to one table, once,
and each call passes the address of that table alone.
"""

from __future__ import annotations

import ctypes

import numpy as np
from numba import carray, types
from numpy.typing import NDArray

from goalmaze.envs.actions import ACTIONS, check_actions
from goalmaze.envs.engine.kernels import play, step
from goalmaze.envs.engine.level_generation import LevelAddresses, LevelDistribution
from goalmaze.envs.engine.rules import COLUMNS
from goalmaze.envs.engine.state import State
from goalmaze.envs.jit.compile import callback, compiled
from goalmaze.envs.jit.intrinsics import pointer

_SQUARES, _START, _PLACED, _OBJECTS, _AGENT, _ITEMS, _ENTERED, _STEPS, _REWARDS = range(9)
_TERMINATED, _TRUNCATED, _ENDED, _PLANES, _LEADER_PATHS, _STREAMS = range(9, 15)
_RULES, _ACTIONS, _LEVEL_SEEDS, _NEXT_LEVELS, _PLACEMENTS, _PROBABILITIES, _MAZE_NUMBERS = range(15, 22)
"""Entries of the table that are addresses; those of the state's arrays come first, in the order of `State`."""

_BATCH, _WIDTH, _CELLS, _SLOTS, _PLANE_COUNT, _PATH_LENGTH, _TIME_LIMIT, _STRICT = range(22, 30)
_STRIDE, _SPLIT, _ALGORITHM, _PLACEMENT_COUNT, _FIRST_SIDE, _SECOND_SIDE = range(30, 36)
"""Entries of the table that are numbers. `_STRICT` is 1 where actions out of range are refused."""

_ENTRIES = 36


_ARRAY, _INT64 = np.ndarray, np.dtype(np.int64)
_ACTION_BITS = 3
"""The bits that the actions 0 to 3 may set."""


# Every array is written out, since numba needs the type of each view when it compiles.
@compiled
def _state(t: np.ndarray) -> State:
    """Return the `State` of arrays at the addresses in the table."""
    batch, slots, cells = t[_BATCH], t[_SLOTS], t[_CELLS]
    return State(
        t[_WIDTH],
        carray(pointer(t[_SQUARES], np.uint8), (batch, cells)),
        carray(pointer(t[_START], np.int32), (batch,)),
        carray(pointer(t[_PLACED], np.int32), (batch, slots)),
        carray(pointer(t[_OBJECTS], np.int32), (batch, slots)),
        carray(pointer(t[_AGENT], np.int32), (batch,)),
        carray(pointer(t[_ITEMS], np.int32), (batch,)),
        carray(pointer(t[_ENTERED], np.uint64), (batch,)),
        carray(pointer(t[_STEPS], np.int32), (batch,)),
        carray(pointer(t[_REWARDS], np.float32), (batch, 2)),
        carray(pointer(t[_TERMINATED], np.bool_), (batch,)),
        carray(pointer(t[_TRUNCATED], np.bool_), (batch,)),
        carray(pointer(t[_ENDED], np.bool_), (batch,)),
        carray(pointer(t[_PLANES], np.uint8), (batch, t[_PLANE_COUNT], cells)),
        carray(pointer(t[_LEADER_PATHS], np.int32), (batch, t[_PATH_LENGTH])),
        carray(pointer(t[_STREAMS], np.uint64), (batch,)),
    )


@compiled
def _are_outside(actions: np.ndarray) -> bool:
    """Return whether any of `actions` int64 [B] is none of 0 to 3."""
    # One OR of all of them: 0 to 3 set no other bit than the lowest two, and a negative number sets the sign bit.
    # Minimum and maximum in numpy would take a tenth of the time of a step of a thousand mazes; this takes a hundredth.
    bits = 0
    for b in range(actions.shape[0]):
        bits |= actions[b]
    return (bits & ~_ACTION_BITS) != 0


@callback(types.int64(types.CPointer(types.int64)))
def _step(table: ctypes.c_void_p) -> int:
    """Step and return 0, or change nothing and return 1 where an action is refused."""
    t = carray(table, (_ENTRIES,))
    actions = carray(pointer(t[_ACTIONS], np.int64), (t[_BATCH],))
    if t[_STRICT] != 0 and _are_outside(actions):
        return 1
    rules = carray(pointer(t[_RULES], np.float32), (t[_SLOTS], COLUMNS))
    step(_state(t), rules, t[_TIME_LIMIT], actions)
    return 0


@callback(types.int64(types.CPointer(types.int64)))
def _play(table: ctypes.c_void_p) -> int:
    """Step or renew and return 0, or change nothing and return 1 where an action is refused."""
    t = carray(table, (_ENTRIES,))
    actions = carray(pointer(t[_ACTIONS], np.int64), (t[_BATCH],))
    if t[_STRICT] != 0 and _are_outside(actions):
        return 1
    # The table holds integers, so the floats of the distribution are in an array of their own.
    maze_numbers = carray(pointer(t[_MAZE_NUMBERS], np.float64), (4,))
    distribution = LevelDistribution(
        t[_SPLIT],
        t[_ALGORITHM],
        maze_numbers[0],
        maze_numbers[1],
        (maze_numbers[2], maze_numbers[3]),
        (t[_FIRST_SIDE], t[_SECOND_SIDE]),
        carray(pointer(t[_PLACEMENTS], np.int64), (2, t[_PLACEMENT_COUNT], 4)),
        carray(pointer(t[_PROBABILITIES], np.float64), (2, t[_PLACEMENT_COUNT])),
    )
    addresses = LevelAddresses(
        carray(pointer(t[_LEVEL_SEEDS], np.int64), (t[_BATCH],)),
        carray(pointer(t[_NEXT_LEVELS], np.int64), (t[_BATCH],)),
        t[_STRIDE],
    )
    play(
        _state(t),
        carray(pointer(t[_RULES], np.float32), (t[_SLOTS], COLUMNS)),
        t[_TIME_LIMIT],
        actions,
        distribution,
        addresses,
    )
    return 0


class BoundKernel:
    """`kernels.step` bound to arrays that are not replaced, or `kernels.play` where a distribution is given.

    Args:
        state: of B episodes.
        table: float32 [K, COLUMNS], the rules.
        time_limit: steps after which an episode is truncated.
        distribution: how fresh levels are made.
        addresses: of the next levels.
    """

    def __init__(
        self,
        state: State,
        table: NDArray[np.float32],
        time_limit: int,
        distribution: LevelDistribution | None = None,
        addresses: LevelAddresses | None = None,
    ) -> None:
        self._arguments = (state, table, time_limit, distribution, addresses)
        batch, slots = state.objects.shape
        self._actions = np.zeros(batch, np.int64)
        self._shape = self._actions.shape
        self._entries = np.zeros(_ENTRIES, np.int64)
        # The table holds bare addresses, so the arrays behind them must be kept alive here.
        self._arrays: list[NDArray[np.generic]] = [*state[1:], table, self._actions]
        cells, planes, path_length = state.squares.shape[1], state.planes.shape[1], state.leader_paths.shape[1]
        function = _step
        if distribution is not None and addresses is not None:
            maze_numbers = np.array([distribution.openness, distribution.mixture, *distribution.braids])
            self._arrays += [addresses.seeds, addresses.indices]
            self._arrays += [distribution.placements, distribution.probabilities, maze_numbers]
            numbers = addresses.stride, distribution.split, distribution.algorithm, distribution.placements.shape[1]
            self._entries[_STRIDE:] = *numbers, *distribution.sides
            function = _play
        self._entries[: len(self._arrays)] = [array.ctypes.data for array in self._arrays]
        self._entries[_BATCH:_STRICT] = batch, state.width, cells, slots, planes, path_length, time_limit
        self._function = function.ctypes
        self._function.argtypes = [ctypes.c_void_p]
        self._address = ctypes.c_void_p(self._entries.ctypes.data)
        self._strict_entries = self._entries.copy()
        self._strict_entries[_STRICT] = 1
        self._strict_address = ctypes.c_void_p(self._strict_entries.ctypes.data)

    # Addresses mean nothing in another process: a copy is bound anew, to its own arrays.
    def __reduce__(self) -> tuple[type[BoundKernel], tuple[object, ...]]:
        return BoundKernel, self._arguments

    def __call__(self, actions: NDArray[np.integer] | np.integer | int) -> None:
        """Step by `actions` int [B], or by the same action everywhere; an action out of range stays."""
        # Copied, since the table holds the address of this array; it also converts the type and repeats one action.
        self._actions[...] = actions
        self._function(self._address)

    def strict(self, actions: NDArray[np.integer]) -> None:
        """Step by `actions` int [B].

        Raises:
            GoalmazeError: the actions are not B integers, or one is out of range; then nothing changes.
        """
        # The usual case first, since a step of 64 mazes takes only 2 µs. numpy has one object for each type.
        if type(actions) is not _ARRAY or actions.dtype is not _INT64 or actions.shape != self._shape:
            check_actions(actions, len(self._actions), len(ACTIONS))
        self._actions[...] = actions
        if self._function(self._strict_address):
            check_actions(actions, len(self._actions), len(ACTIONS))
