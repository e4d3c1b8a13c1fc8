"""The path of a leading object, found by flooding a maze 64 squares at a time.

A set of squares is an array of words with one bit for each square. Breadth-first search keeps one such set for each
distance, a wave; shifts move a whole wave by one square in each direction.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.engine.rules import LEADS, MISLEADS, MOTION, REQUIRED
from goalmaze.envs.engine.state import WALL, State
from goalmaze.envs.jit.compile import compiled, inlined

_WORD = np.uint64(64)
_SIX, _LOW_6, _ONE, _ZERO = np.uint64(6), np.uint64(63), np.uint64(1), np.uint64(0)


@compiled
def plan_leader_paths(state: State, table: np.ndarray, b: int) -> None:
    """Plan the cell of a leading object after each step: along shortest paths to the required objects in turn.

    Of several shortest paths it takes the one whose first differing step comes first in the order of the actions.
    """
    width = np.uint64(state.width)
    # Empty words on either side, so that shifts by one row need no check of bounds.
    margin = width // _WORD + _ONE
    words = np.uint64(state.squares.shape[1] - 1) // _WORD + _ONE
    free = np.zeros(words + margin + margin, np.uint64)
    # A shortest path has fewer steps than there are squares; the last row is scratch.
    waves = np.empty((state.squares.shape[1] + 1, free.size), np.uint64)
    # Allocated here, in a function that may allocate, and handed to one that is inlined and may not.
    _plan(state, table, b, width, margin, free, waves)


@inlined
def _plan(
    state: State,
    table: np.ndarray,
    b: int,
    width: np.uint64,
    margin: np.uint64,
    free: np.ndarray,
    waves: np.ndarray,
) -> None:
    """Plan the paths of `plan_leader_paths`, with scratch `free` uint64 [words] and `waves` uint64 [H*W + 1, words]."""
    slots, length = table.shape[0], state.leader_paths.shape[1]
    for square in range(np.uint64(state.squares.shape[1])):
        wall = np.uint64(state.squares[b, square] & WALL)
        free[margin + (square >> _SIX)] |= (wall ^ _ONE) << (square & _LOW_6)
    for leader in range(slots):
        motion = int(table[leader, MOTION])
        if (motion != LEADS and motion != MISLEADS) or state.placed[b, leader] < 0:
            continue
        cell = np.uint64(state.placed[b, leader])
        state.leader_paths[b, 0] = cell
        filled = 0
        for i in range(slots):
            k = i if motion == LEADS else slots - 1 - i
            if table[k, REQUIRED] == 0 or state.placed[b, k] < 0:
                continue
            # From the target towards the leader, so that the waves can be followed downhill.
            distance = _flood(free, width, margin, np.uint64(state.placed[b, k]), cell, waves)
            while distance > 0 and filled + 1 < length:
                distance -= 1
                cell = _step_into(waves, distance, margin, cell, width)
                filled += 1
                state.leader_paths[b, filled] = cell
            # The target is out of reach, or the time limit cuts the path: the leader stops there.
            if distance != 0:
                break
        for t in range(filled + 1, length):
            state.leader_paths[b, t] = cell


@inlined
def _has(waves: np.ndarray, distance: int, margin: np.uint64, square: np.uint64) -> bool:
    return waves[distance, margin + (square >> _SIX)] >> (square & _LOW_6) & _ONE != _ZERO


@inlined
def _step_into(waves: np.ndarray, distance: int, margin: np.uint64, cell: np.uint64, width: np.uint64) -> np.uint64:
    """Return the first neighbour of a cell, in the order of the actions, that lies in a wave."""
    if _has(waves, distance, margin, cell - width):
        return cell - width
    if _has(waves, distance, margin, cell + _ONE):
        return cell + _ONE
    return cell + width if _has(waves, distance, margin, cell + width) else cell - _ONE


@inlined
def _flood(
    free: np.ndarray, width: np.uint64, margin: np.uint64, source: np.uint64, target: np.uint64, waves: np.ndarray
) -> int:
    """Fill `waves` with the squares at each distance from a source until one of them is the target.

    The last row of `waves` is scratch: the free squares not reached yet. Return the target's distance in steps, or -1
    if it is out of reach.
    """
    size = np.uint64(free.size)
    far, near = width >> _SIX, width & _LOW_6
    rest, last = _WORD - near, _LOW_6
    new_squares = waves.shape[0] - 1
    for i in range(size):
        waves[0, i] = _ZERO
        waves[new_squares, i] = free[i]
    start = margin + (source >> _SIX)
    waves[0, start] = _ONE << (source & _LOW_6)
    waves[new_squares, start] &= ~waves[0, start]
    distance = 0
    while not _has(waves, distance, margin, target):
        grown = distance + 1
        any_new = _ZERO
        for i in range(margin, size - margin):
            here = waves[distance, i]
            # `last` is 63, the shift that moves the outermost bit of a word to the other end of its neighbour.
            # Steps to the right and left carry a bit over from the neighbouring word, steps down and up a whole row.
            spread = here << _ONE | here >> _ONE | waves[distance, i - _ONE] >> last | waves[distance, i + _ONE] << last
            spread |= waves[distance, i - far] << near | waves[distance, i - far - _ONE] >> rest
            spread |= waves[distance, i + far] >> near | waves[distance, i + far + _ONE] << rest
            new = spread & waves[new_squares, i]
            waves[grown, i] = new
            # Each square is in one wave only, the one of its distance.
            waves[new_squares, i] &= ~new
            any_new |= new
        for i in range(margin):
            waves[grown, i] = _ZERO
            waves[grown, size - _ONE - i] = _ZERO
        if any_new == _ZERO:
            return -1
        distance = grown
    return distance
