"""Kernel calls prepared once, for arrays that stay where they are.

To hand two dozen arrays from Python to compiled code costs 6 to 8 µs a call: a third of stepping a thousand mazes, and
more than stepping one. Here their addresses and sizes are laid down in one table, and a call costs half a microsecond.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import carray, cfunc, types
from numpy.typing import NDArray

from goalmaze.envs.engine.kernels import play, step
from goalmaze.envs.engine.level_generation import LevelDistribution
from goalmaze.envs.engine.rules import COLUMNS
from goalmaze.envs.engine.state import State
from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.intrinsics import pointer

_SQUARES, _START, _PLACED, _OBJECTS, _AGENT, _HELD, _TOUCHED, _STEPS, _REWARDS = range(9)
_TERMINATED, _TRUNCATED, _ENDED, _PLANES, _ROUTES, _LUCK = range(9, 15)
_TABLE, _ACTIONS, _NUMBERS, _RULES, _CHANCES, _SHARES = range(15, 21)
"""Entries of the table that are addresses; those of the state's arrays come first, in its order."""

_BATCH, _WIDTH, _SQUARES_EACH, _SLOTS, _PLANES_EACH, _ROUTE, _TIME_LIMIT = range(21, 28)
_SEED, _SPLIT, _ALGORITHM, _RULES_EACH = range(28, 32)
"""Entries that are numbers."""

_ENTRIES = 32


@compiled
def _state(t: np.ndarray) -> State:
    """Return the `State` whose arrays lie at the addresses in the table."""
    batch, slots, squares = t[_BATCH], t[_SLOTS], t[_SQUARES_EACH]
    return State(
        t[_WIDTH],
        carray(pointer(t[_SQUARES], np.uint8), (batch, squares)),
        carray(pointer(t[_START], np.int32), (batch,)),
        carray(pointer(t[_PLACED], np.int32), (batch, slots)),
        carray(pointer(t[_OBJECTS], np.int32), (batch, slots)),
        carray(pointer(t[_AGENT], np.int32), (batch,)),
        carray(pointer(t[_HELD], np.int32), (batch,)),
        carray(pointer(t[_TOUCHED], np.uint64), (batch,)),
        carray(pointer(t[_STEPS], np.int32), (batch,)),
        carray(pointer(t[_REWARDS], np.float32), (batch, 2)),
        carray(pointer(t[_TERMINATED], np.bool_), (batch,)),
        carray(pointer(t[_TRUNCATED], np.bool_), (batch,)),
        carray(pointer(t[_ENDED], np.bool_), (batch,)),
        carray(pointer(t[_PLANES], np.uint8), (batch, t[_PLANES_EACH], squares)),
        carray(pointer(t[_ROUTES], np.int32), (batch, t[_ROUTE])),
        carray(pointer(t[_LUCK], np.uint64), (batch,)),
    )


@cfunc(types.void(types.CPointer(types.int64)), cache=True, error_model="numpy")
def _step(table):  # type: ignore[no-untyped-def]
    t = carray(table, (_ENTRIES,))
    rules = carray(pointer(t[_TABLE], np.float32), (t[_SLOTS], COLUMNS))
    step(_state(t), rules, t[_TIME_LIMIT], carray(pointer(t[_ACTIONS], np.int64), (t[_BATCH],)))


@cfunc(types.void(types.CPointer(types.int64)), cache=True, error_model="numpy")
def _play(table):  # type: ignore[no-untyped-def]
    t = carray(table, (_ENTRIES,))
    shares = carray(pointer(t[_SHARES], np.float64), (3,))
    distribution = LevelDistribution(
        t[_SEED],
        t[_SPLIT],
        t[_ALGORITHM],
        shares[0],
        shares[1],
        shares[2],
        carray(pointer(t[_RULES], np.int64), (2, t[_RULES_EACH], 4)),
        carray(pointer(t[_CHANCES], np.float64), (2, t[_RULES_EACH])),
    )
    play(
        _state(t),
        carray(pointer(t[_TABLE], np.float32), (t[_SLOTS], COLUMNS)),
        t[_TIME_LIMIT],
        carray(pointer(t[_ACTIONS], np.int64), (t[_BATCH],)),
        distribution,
        carray(pointer(t[_NUMBERS], np.int64), (t[_BATCH],)),
    )


class BoundKernel:
    """`kernels.step` for arrays that are not replaced, or `kernels.play` where a distribution is given.

    Args:
        state: of B episodes.
        table: float32 [K, COLUMNS], the rules.
        time_limit: steps after which an episode is truncated.
        distribution: how fresh levels are made.
        numbers: int64 [B], the indices of the next levels.
    """

    def __init__(
        self,
        state: State,
        table: NDArray[np.float32],
        time_limit: int,
        distribution: LevelDistribution | None = None,
        numbers: NDArray[np.int64] | None = None,
    ) -> None:
        self._arguments = (state, table, time_limit, distribution, numbers)
        batch, slots = state.objects.shape
        self._actions = np.zeros(batch, np.int64)
        self._entries = np.zeros(_ENTRIES, np.int64)
        self._kept: list[NDArray[Any]] = [*state[1:], table, self._actions]
        sizes = [batch, state.width, state.squares.shape[1], slots, state.planes.shape[1], state.leader_paths.shape[1]]
        function = _step
        if distribution is not None and numbers is not None:
            shares = np.array([distribution.openness, distribution.braid, distribution.share])
            self._kept += [numbers, distribution.rules, distribution.chances, shares]
            self._entries[_SEED:] = (
                distribution.seed,
                distribution.split,
                distribution.algorithm,
                distribution.rules.shape[1],
            )
            function = _play
        self._entries[: len(self._kept)] = [array.ctypes.data for array in self._kept]
        self._entries[_BATCH:_SEED] = *sizes, time_limit
        self._function = function.ctypes
        self._function.argtypes = [ctypes.c_void_p]
        self._address = ctypes.c_void_p(self._entries.ctypes.data)

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundKernel, self._arguments

    def __call__(self, actions: NDArray[np.integer] | np.integer | int) -> None:
        """Step by `actions` int [B], or by the same action everywhere."""
        self._actions[...] = actions
        self._function(self._address)
