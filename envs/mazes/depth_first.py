"""Depth-first mazes: walk to random new cells, step back where there are none (Tarjan, 1972).

There are two implementations with the same result: small mazes are carved in registers, larger ones in arrays. Both use
the same random bits, 16 for each step and so four steps for each draw. A small maze keeps its new cells as bits of one
word, so that a step does not wait for memory; this makes twice as many mazes per second.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.actions import cell_steps
from goalmaze.envs.jit.compile import compiled, inlined
from goalmaze.envs.jit.counter_rng import draw
from goalmaze.envs.mazes.grid import DIGITS, NTH_DIRECTION, OPTIONS, direction_step, neighbours

WORD = 64
"""Bits of a word. Cells of a small maze are bits, with one empty bit after every row and an empty row above."""

_ZERO, _ONE, _TWO, _THREE, _SIX, _SEVEN = (np.uint64(n) for n in (0, 1, 2, 3, 6, 7))
_DIGITS, _OPTIONS, _SIXTEEN, _LOW_16 = (np.uint64(n) for n in (DIGITS, OPTIONS, 16, 0xFFFF))
_S32, _LOW_32, _BIT = (np.uint64(n) for n in (32, 0xFFFFFFFF, WORD - 1))

_WIDEST = 30
"""Columns of cells of the widest maze that is carved in registers."""


def _leaps(width: int) -> np.ndarray:
    """Return uint64 [DIGITS * OPTIONS], what leads from a position to the next one: see `_in_registers`."""
    # Rows of bits are one longer than rows of cells, for the empty bit. Adding a negative leap wraps around on purpose.
    bits, squares = cell_steps(width // 2 + 1).astype(np.int64), 2 * cell_steps(width).astype(np.int64)
    return (squares * WORD + bits)[NTH_DIRECTION].view(np.uint64)


_LEAPS = np.array([_leaps(width) for width in range(2 * _WIDEST + 2)])


@compiled
def depth_first(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve `walls` bool [H, W]; `rng` uint64 [1] is the random stream."""
    rows, columns = walls.shape[0] // 2, walls.shape[1] // 2
    # An empty row above and an empty bit after every row must fit into the word too.
    if (rows + 1) * (columns + 1) <= WORD and columns <= _WIDEST:
        _in_registers(walls, rng)
    else:
        _in_arrays(walls, rng)


@compiled
def _in_registers(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve a small maze. A position is a cell's bit in its 6 lowest bits and the cell's square above them."""
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    rows, columns = np.uint64(walls.shape[0] // 2), np.uint64(walls.shape[1] // 2)
    stride = columns + _ONE
    leaps = _LEAPS[walls.shape[1]]
    trail = np.empty(WORD, np.uint64)
    depth = _ZERO
    squares[:] = True
    new = _ZERO
    # A bit for every cell of a row, row after row; the bits between rows stay 0, so no step crosses the border.
    for r in range(walls.shape[0] // 2):
        new |= ((_ONE << columns) - _ONE) << (np.uint64(r + 1) * stride)
    row, column = _random_cell(rows, columns, rng)
    here = ((_TWO * row + _ONE) * width + _TWO * column + _ONE) << _SIX | ((row + _ONE) * stride + column)
    new &= ~(_ONE << (here & _BIT))
    squares[here >> _SIX] = False
    bits, digits = _ZERO, 0
    while True:
        # One shift puts the four neighbours at fixed bits: up at 0, left and right around `stride`, down at twice it.
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
                bits, digits = draw(rng), 4
            # 16 bits times 12, without the lowest 16 bits of the product: a digit from 0 to 11.
            there = here + leaps[((bits & _LOW_16) * _DIGITS >> _SIXTEEN) * _OPTIONS + options]
            bits >>= _SIXTEEN
            digits -= 1
            new &= ~(_ONE << (there & _BIT))
            squares[there >> _SIX] = False
            # The square between two cells is the mean of theirs; their bits cannot carry into it by the halving.
            squares[(here + there) >> _SEVEN] = False
            here = there
        elif new:
            # Step back to the last cell with a new neighbour at once: no cell on the trail needs to be looked at again.
            beside_new = new >> _ONE | new << _ONE | new >> stride | new << stride
            depth -= _ONE
            while not beside_new >> (trail[depth] & _BIT) & _ONE:
                depth -= _ONE
            here = trail[depth]
        else:
            return


@compiled
def _in_arrays(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve a maze of any size. A square that is a wall stands for a new cell."""
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    rows, columns = np.uint64(walls.shape[0] // 2), np.uint64(walls.shape[1] // 2)
    squares[:] = True
    # `neighbours` needs False in the outer columns, so they are free until the maze is finished.
    walls[:, 0] = False
    walls[:, -1] = False
    trail = np.empty(walls.shape[0] // 2 * (walls.shape[1] // 2), np.uint64)
    depth = _ZERO
    row, column = _random_cell(rows, columns, rng)
    here = (_TWO * row + _ONE) * width + _TWO * column + _ONE
    squares[here] = False
    # Counting cells ends the walk as soon as the last one is reached, without the way back.
    remaining = trail.size - 1
    bits, digits = _ZERO, 0
    while remaining > 0:
        options = neighbours(squares, here, width)
        # One cell back at a time: the new cells do not fit into one word here.
        if options == _ZERO:
            depth -= _ONE
            here = trail[depth]
            continue
        trail[depth] = here
        depth += _ONE
        if digits == 0:
            bits, digits = draw(rng), 4
        direction = NTH_DIRECTION[((bits & _LOW_16) * _DIGITS >> _SIXTEEN) * _OPTIONS + options]
        bits >>= _SIXTEEN
        digits -= 1
        step = direction_step(direction, width)
        squares[here + step] = False
        here += _TWO * step
        squares[here] = False
        remaining -= 1
    walls[:, 0] = True
    walls[:, -1] = True


@inlined
def _random_cell(rows: np.uint64, columns: np.uint64, rng: np.ndarray) -> tuple[np.uint64, np.uint64]:
    """Return row and column of a random cell, from the two halves of one draw."""
    bits = draw(rng)
    return (bits & _LOW_32) * rows >> _S32, (bits >> _S32) * columns >> _S32
