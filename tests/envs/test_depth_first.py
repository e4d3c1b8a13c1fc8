"""Small mazes, carved in registers, are those that would be carved in arrays."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from goalmaze.envs.mazes import depth_first
from goalmaze.envs.mazes.depth_first import WORD


def carved(how: str, rows: int, columns: int, seed: int) -> tuple[list[list[bool]], int]:
    walls, rng = np.zeros((2 * rows + 1, 2 * columns + 1), np.bool_), np.array([seed], np.uint64)
    getattr(depth_first, how)(walls, rng)
    return walls.tolist(), int(rng[0])


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 20), st.integers(1, 30), st.integers(0, 2**64 - 1))
def test_both_implementations_carve_the_same_maze_from_one_seed(rows: int, columns: int, seed: int) -> None:
    rows = min(rows, WORD // (columns + 1) - 1)
    assert carved("_in_registers", rows, columns, seed) == carved("_in_arrays", rows, columns, seed)
    assert carved("depth_first", rows, columns, seed) == carved("_in_arrays", rows, columns, seed)


def test_another_seed_is_another_maze() -> None:
    assert carved("_in_registers", 6, 6, 1) != carved("_in_arrays", 6, 6, 2)


def test_a_maze_too_large_for_a_word_is_carved_in_arrays() -> None:
    assert carved("depth_first", 8, 8, 3) == carved("_in_arrays", 8, 8, 3)
    assert carved("depth_first", 1, 31, 3) == carved("_in_arrays", 1, 31, 3)
