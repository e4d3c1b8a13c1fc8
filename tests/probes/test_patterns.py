"""Placing a pattern on maps and averaging maps around cells, against loops over squares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern, mean_around, place_pattern


def place_in_a_loop(pattern: Tensor, cells: list[int], height: int, width: int) -> Tensor:
    channels, tall, wide = pattern.shape
    result = torch.zeros(len(cells), channels, height, width)
    for b, cell in enumerate(cells):
        row, column = divmod(cell, width)
        for i in range(tall):
            for j in range(wide):
                r, c = row + i - tall // 2, column + j - wide // 2
                if 0 <= r < height and 0 <= c < width:
                    result[b, :, r, c] = pattern[:, i, j]
    return result


def random_pattern(channels: int, tall: int, wide: int, seed: int = 0) -> Tensor:
    return torch.randn(channels, tall, wide, generator=torch.Generator().manual_seed(seed))


odd = st.integers(0, 5).map(lambda half: 2 * half + 1)


@given(st.integers(1, 7), st.integers(1, 7), odd, odd, st.data())
def test_placing_equals_a_loop_over_squares(height: int, width: int, tall: int, wide: int, data: st.DataObject) -> None:
    cells = data.draw(st.lists(st.integers(0, height * width - 1), min_size=1, max_size=4))
    pattern = random_pattern(2, tall, wide)
    laid = place_pattern(pattern, np.array(cells, np.int32), height, width)
    assert torch.equal(laid, place_in_a_loop(pattern, cells, height, width))


def test_a_pattern_is_cut_off_at_the_border() -> None:
    laid = place_pattern(torch.ones(1, 3, 3), np.array([0, 24, 12], np.int32), 5, 5)[:, 0]
    assert laid.sum(dim=(1, 2)).tolist() == [4, 4, 9]
    assert laid[0, :2, :2].all()
    assert laid[1, 3:, 3:].all()


def test_a_pattern_of_one_square_is_placed_on_its_cell_only() -> None:
    laid = place_pattern(torch.full((1, 1, 1), 2.0), np.array([7], np.int32), 4, 5)
    assert laid.nonzero().tolist() == [[0, 0, 1, 2]]


def test_placing_accepts_read_only_cells() -> None:
    cells = np.array([3, 4], np.int32)
    cells.flags.writeable = False
    assert place_pattern(torch.ones(1, 1, 1), cells, 3, 3).sum() == 2


def test_the_mean_around_cells_recovers_a_placed_pattern() -> None:
    pattern = random_pattern(3, 9, 11)
    cells = np.arange(30, dtype=np.int32)
    found = mean_around(place_pattern(pattern, cells, 5, 6), cells)
    assert found.shape == (3, 9, 11)
    torch.testing.assert_close(found, pattern)


def test_the_mean_around_cells_recovers_a_small_pattern_and_zeros_around_it() -> None:
    pattern = random_pattern(2, 3, 3)
    cells = np.array([16, 24, 32], np.int32)
    found = mean_around(place_pattern(pattern, cells, 7, 7), cells)
    torch.testing.assert_close(found[:, 5:8, 5:8], pattern)
    found[:, 5:8, 5:8] = 0
    assert not found.any()


def test_the_mean_is_over_the_maps_that_cover_a_square_and_zero_elsewhere() -> None:
    maps = torch.stack([torch.full((1, 3, 3), 2.0), torch.full((1, 3, 3), 6.0)])
    found = mean_around(maps, np.array([0, 8], np.int32))[0]
    assert found[2, 2] == 4.0
    assert (found[2:, 2:].sum() - 4, found[:3, :3].sum() - 4) == (16, 48)
    assert found[0, 4] == found[4, 0] == 0


def test_the_mean_around_cells_averages_out_noise() -> None:
    pattern = random_pattern(2, 3, 3)
    cells = np.random.default_rng(0).integers(0, 49, 2000).astype(np.int32)
    clean = place_pattern(pattern, cells, 7, 7)
    noisy = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    middle = mean_around(noisy, cells)[:, 5:8, 5:8]
    assert (middle - pattern).abs().max() < 5 / 2000**0.5 * (49 / 36) ** 0.5
    at_wrong_cells = mean_around(noisy, cells[::-1].copy())[:, 5:8, 5:8]
    assert (at_wrong_cells - pattern).abs().max() > 0.5


def test_the_edit_adds_one_pattern_at_the_target_and_subtracts_one_at_the_goal() -> None:
    arriving, leaving = random_pattern(2, 3, 3, 1), random_pattern(2, 5, 5, 2)
    goals, targets = np.array([8, 24, 40], np.int32), np.array([40, 8, 0], np.int32)
    edit = GoalPattern("stem", arriving, leaving, rectified=False).edit(GoalMove(goals, targets, 7, 7), strength=0.5)
    expected = place_in_a_loop(arriving, targets.tolist(), 7, 7) - place_in_a_loop(leaving, goals.tolist(), 7, 7)
    assert (edit.site, edit.strength) == ("stem", 0.5)
    torch.testing.assert_close(edit.delta, expected)


def test_an_absent_goal_subtracts_nothing_and_does_not_count_in_a_mean() -> None:
    pattern = random_pattern(2, 3, 3)
    goals, targets = np.array([-1, 24], np.int32), np.array([16, 8], np.int32)
    found = GoalPattern("stem", pattern, pattern, rectified=False).edit(GoalMove(goals, targets, 7, 7)).delta
    torch.testing.assert_close(found[:1], place_in_a_loop(pattern, [16], 7, 7))
    torch.testing.assert_close(found[1:], place_in_a_loop(pattern, [8], 7, 7) - place_in_a_loop(pattern, [24], 7, 7))
    maps = torch.randn(2, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mean_around(maps, goals), mean_around(maps[1:], goals[1:]))


@pytest.mark.parametrize(
    ("goals", "targets", "message"),
    [
        ([8, 8], [9, 49], "level 1: target at cell 49 is outside the 7x7 maze"),
        ([8, -2], [9, 9], "level 1: goal at cell -2 is outside the 7x7 maze"),
        ([8, 8], [-1, 9], "level 0: there is no target"),
        ([8], [9, 9], "1 goals and 2 targets do not fit"),
    ],
)
def test_a_move_between_invalid_cells_is_refused_by_name(goals: list[int], targets: list[int], message: str) -> None:
    pattern = GoalPattern("stem", torch.ones(2, 1, 1), torch.ones(2, 1, 1), rectified=False)
    with pytest.raises(GoalmazeError, match=message):
        pattern.edit(GoalMove(np.array(goals, np.int32), np.array(targets, np.int32), 7, 7))
