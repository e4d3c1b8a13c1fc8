"""Depth-first mazes: in registers where a maze is small, in arrays where it is not, with the same outcome.

Both walk from cell to cell with the same luck: 16 bits a step, four steps to a draw. A small maze keeps its new cells
as bits of one word, so that a step waits for no memory; it makes twice as many mazes a second.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.actions import MOVES, cell_steps
from goalmaze.envs.jit.compile import compiled, inlined
from goalmaze.envs.jit.counter_rng import draw

WORD = 64
"""Bits of a word. Cells of a small maze are bits, with one empty bit after every row and an empty row above."""

_ZERO, _ONE, _TWO, _THREE, _SIX, _SEVEN = (np.uint64(n) for n in (0, 1, 2, 3, 6, 7))
_TWELVE, _SIXTEEN, _LOW_16, _S32, _LOW_32 = (np.uint64(n) for n in (12, 16, 0xFFFF, 32, 0xFFFFFFFF))
_BIT = np.uint64(WORD - 1)

_WAYS = [[way for way in range(4) if options >> way & 1] or [0] for options in range(16)]
NTH_WAY = np.array([ways[digit * len(ways) // 12] for digit in range(12) for ways in _WAYS])
"""int [12 * 16], the way that a digit below 12 chooses among options given as bits 0 to 3."""


def _leaps(width: int) -> np.ndarray:
    """Return uint64 [12 * 16], from a place to the next one: see `_in_registers`."""
    bits, squares = cell_steps(width // 2 + 1).astype(np.int64), 2 * cell_steps(width).astype(np.int64)
    return (squares * WORD + bits)[NTH_WAY].view(np.uint64)


_WIDEST = 30
_LEAPS = np.array([_leaps(width) for width in range(2 * _WIDEST + 2)])


@compiled
def depth_first(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve `walls` [H, W] by walking to random new cells and stepping back where there are none (Tarjan, 1972)."""
    rows, columns = walls.shape[0] // 2, walls.shape[1] // 2
    if (rows + 1) * (columns + 1) <= WORD and columns <= _WIDEST:
        _in_registers(walls, rng)
    else:
        _in_arrays(walls, rng)


@compiled
def _in_registers(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve a small maze. A place is a cell's bit in its 6 lowest bits and the cell's square above them."""
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    rows, columns = np.uint64(walls.shape[0] // 2), np.uint64(walls.shape[1] // 2)
    stride = columns + _ONE
    leaps = _LEAPS[walls.shape[1]]
    trail = np.empty(WORD, np.uint64)
    depth = _ZERO
    squares[:] = True
    new = _ZERO
    for r in range(walls.shape[0] // 2):
        new |= ((_ONE << columns) - _ONE) << (np.uint64(r + 1) * stride)
    row, column = _random_cell(rows, columns, rng)
    here = ((_TWO * row + _ONE) * width + _TWO * column + _ONE) << _SIX | ((row + _ONE) * stride + column)
    new &= ~(_ONE << (here & _BIT))
    squares[here >> _SIX] = False
    luck, digits = _ZERO, 0
    while True:
        around = new >> ((here & _BIT) - stride)
        options = (
            around & _ONE
            | (around >> (stride + _ONE) & _ONE) << _ONE
            | (around >> (stride + stride) & _ONE) << _TWO
            | (around >> (stride - _ONE) & _ONE) << _THREE
        )
        if options:
            trail[depth] = here
            depth += _ONE
            if digits == 0:
                luck, digits = draw(rng), 4
            there = here + leaps[((luck & _LOW_16) * _TWELVE >> _SIXTEEN) * _SIXTEEN + options]
            luck >>= _SIXTEEN
            digits -= 1
            new &= ~(_ONE << (there & _BIT))
            squares[there >> _SIX] = False
            squares[(here + there) >> _SEVEN] = False
            here = there
        elif new:
            beside_new = new >> _ONE | new << _ONE | new >> stride | new << stride
            depth -= _ONE
            while not beside_new >> (trail[depth] & _BIT) & _ONE:
                depth -= _ONE
            here = trail[depth]
        else:
            return


@compiled
def _in_arrays(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve a maze of any size."""
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    rows, columns = np.uint64(walls.shape[0] // 2), np.uint64(walls.shape[1] // 2)
    squares[:] = True
    walls[:, 0] = False
    walls[:, -1] = False
    trail = np.empty(walls.shape[0] // 2 * (walls.shape[1] // 2), np.uint64)
    depth = _ZERO
    row, column = _random_cell(rows, columns, rng)
    here = (_TWO * row + _ONE) * width + _TWO * column + _ONE
    squares[here] = False
    left = trail.size - 1
    luck, digits = _ZERO, 0
    while left > 0:
        options = neighbours(squares, here, width)
        if options == _ZERO:
            depth -= _ONE
            here = trail[depth]
            continue
        trail[depth] = here
        depth += _ONE
        if digits == 0:
            luck, digits = draw(rng), 4
        way = NTH_WAY[((luck & _LOW_16) * _TWELVE >> _SIXTEEN) * _SIXTEEN + options]
        luck >>= _SIXTEEN
        digits -= 1
        step = step_of(way, width)
        squares[here + step] = False
        here += _TWO * step
        squares[here] = False
        left -= 1
    walls[:, 0] = True
    walls[:, -1] = True


@inlined
def _random_cell(rows: np.uint64, columns: np.uint64, rng: np.ndarray) -> tuple[np.uint64, np.uint64]:
    """Return row and column of a random cell, from the two halves of one draw."""
    luck = draw(rng)
    return (luck & _LOW_32) * rows >> _S32, (luck >> _S32) * columns >> _S32


@inlined
def neighbours(flags: np.ndarray, cell: np.uint64, width: np.uint64) -> np.uint64:
    """Return which cells above, right, below and left are flagged, as bits 0 to 3.

    `flags` bool [H * W] is false in the leftmost and rightmost column: there, a step across the border ends.
    """
    up, down = max(cell, _TWO * width) - _TWO * width, min(cell + _TWO * width, np.uint64(flags.size - 1))
    return (
        np.uint64(flags[up])
        | np.uint64(flags[cell + _TWO]) << _ONE
        | np.uint64(flags[down]) << _TWO
        | np.uint64(flags[cell - _TWO]) << _THREE
    )


_DOWN, _RIGHT = (np.ascontiguousarray(signs).view(np.uint64) for signs in MOVES.T)


@inlined
def step_of(way: int, width: np.uint64) -> np.uint64:
    """Return what leads from one square to the next."""
    return _DOWN[way] * width + _RIGHT[way]
