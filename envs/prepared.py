"""Kernel calls prepared once, for arrays that stay where they are.

To hand two dozen arrays from Python to compiled code costs 6 to 8 µs a call: a third of stepping a thousand mazes, and
more than stepping one. Here their addresses are laid down in tables once, and a call costs about one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numpy.typing import NDArray

from goalmaze.envs.generation import World
from goalmaze.envs.kernels import State, play, step
from goalmaze.envs.rules import COLUMNS

_INTS = ("start", "placed", "objects", "agent", "held", "steps", "routes")
_BOOLS = ("walls", "terminated", "truncated", "ended")
_LONG_UNSIGNED = ("touched", "luck")


def _table_of(kind: Any) -> Any:
    return types.CPointer(types.CPointer(kind))


_STATE = (
    *(_table_of(types.int32), _table_of(types.boolean), _table_of(types.uint64)),
    *(_table_of(types.float32), _table_of(types.uint8), _table_of(types.int64)),
    types.CPointer(types.int64),
)
_WORLD = (types.CPointer(types.float64), types.CPointer(types.float64))


@njit
def _state(ints, bools, ulongs, floats, octets, sizes):  # type: ignore[no-untyped-def]
    """Return the `State` whose arrays lie at the addresses in the tables."""
    batch, slots, planes, cells, width, length = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]
    i, b, u, o = carray(ints, (7,)), carray(bools, (4,)), carray(ulongs, (2,)), carray(octets, (2,))
    return State(
        width,
        carray(b[0], (batch, cells)),
        carray(i[0], (batch,)),
        carray(i[1], (batch, slots)),
        carray(i[2], (batch, slots)),
        carray(i[3], (batch,)),
        carray(i[4], (batch,)),
        carray(u[0], (batch,)),
        carray(i[5], (batch,)),
        carray(carray(floats, (2,))[0], (batch, 2)),
        carray(b[1], (batch,)),
        carray(b[2], (batch,)),
        carray(b[3], (batch,)),
        carray(o[0], (batch, planes, cells)),
        carray(o[1], (batch, cells)),
        carray(i[6], (batch, length)),
        carray(u[1], (batch,)),
    )


@cfunc(types.void(*_STATE), cache=True)
def _step(ints, bools, ulongs, floats, octets, longs, numbers):  # type: ignore[no-untyped-def]
    sizes = carray(numbers, (11,))
    rules = carray(carray(floats, (2,))[1], (sizes[1], COLUMNS))
    actions = carray(carray(longs, (3,))[0], (sizes[0],))
    step(_state(ints, bools, ulongs, floats, octets, sizes), rules, sizes[6], actions)


@cfunc(types.void(*_STATE, *_WORLD), cache=True)
def _play(ints, bools, ulongs, floats, octets, longs, numbers, scalars, chances):  # type: ignore[no-untyped-def]
    sizes, shares = carray(numbers, (11,)), carray(scalars, (3,))
    batch, slots = sizes[0], sizes[1]
    rules = carray(carray(floats, (2,))[1], (slots, COLUMNS))
    tables = carray(longs, (3,))
    world = World(
        sizes[7],
        sizes[8],
        sizes[9],
        shares[0],
        shares[1],
        shares[2],
        carray(tables[2], (2, sizes[10], 4)),
        carray(chances, (2, sizes[10])),
    )
    state = _state(ints, bools, ulongs, floats, octets, sizes)
    play(state, rules, sizes[6], carray(tables[0], (batch,)), world, carray(tables[1], (batch,)))


def prepare_step(state: State, table: NDArray[np.float32], time_limit: int) -> Callable[[NDArray[np.integer]], None]:
    """Return `kernels.step` for these arrays, as a function of actions int [B] alone.

    The arrays must not be replaced, and live as long as the function.
    """
    return _Prepared(_step, state, table, time_limit)


def prepare_play(
    state: State,
    table: NDArray[np.float32],
    time_limit: int,
    world: World,
    numbers: NDArray[np.int64],
) -> Callable[[NDArray[np.integer]], None]:
    """Return `kernels.play` for these arrays, as a function of actions int [B] alone; see `prepare_step`."""
    return _Prepared(_play, state, table, time_limit, world, numbers)


class _Prepared:
    """A compiled function, the addresses it is called with, and the arrays that lie there."""

    def __init__(
        self,
        function: Any,
        state: State,
        table: NDArray[np.float32],
        time_limit: int,
        world: World | None = None,
        numbers: NDArray[np.int64] | None = None,
    ) -> None:
        batch, slots = state.objects.shape
        _, planes, cells = state.planes.shape
        nothing: NDArray[Any] = np.zeros(1, np.int64)
        self._actions = np.zeros(batch, np.int64)
        sizes = [batch, slots, planes, cells, state.width, state.routes.shape[1], time_limit]
        scalars: list[float] = []
        rules, chances = nothing, nothing
        if world is not None:
            rules, chances = world.rules, world.chances
            sizes += [world.seed, world.split, world.algorithm, rules.shape[1]]
            scalars = [world.openness, world.braid, world.share]
        longs = [self._actions, nothing if numbers is None else numbers, rules]
        groups = [
            [getattr(state, name) for name in _INTS],
            [getattr(state, name) for name in _BOOLS],
            [getattr(state, name) for name in _LONG_UNSIGNED],
            [state.rewards, table],
            [state.planes, state.marks],
            longs,
        ]
        tables = [np.array([array.ctypes.data for array in group], np.int64) for group in groups]
        plain = [np.array(sizes + [0] * (11 - len(sizes)), np.int64)]
        plain += [np.array(scalars), chances] if world is not None else []
        self._kept = (groups, tables, plain)
        self._function = function.ctypes
        self._function.argtypes = [ctypes.c_void_p] * (len(tables) + len(plain))
        self._addresses = [array.ctypes.data for array in (*tables, *plain)]

    def __call__(self, actions: NDArray[np.integer]) -> None:
        self._actions[:] = actions
        self._function(*self._addresses)
