"""Squares and windows around cells, read and written, against loops over a padded array."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.probes.activations import captured
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.readout.windows import windows
from goalmaze.probes.squares import read_square, read_window, write_square, write_window
from goalmaze.probes.steering.aligned_vector import aligned_vector
from goalmaze.probes.targets import draw_targets

CELLS = np.array([0, 14, 29, -1, 5], np.int32)
MAPS = torch.randn(5, 3, 5, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("side", [1, 3, 5])
def test_a_window_equals_a_slice_of_the_padded_map(side: int) -> None:
    read, half = read_window(MAPS, CELLS, side), side // 2
    padded = np.pad(MAPS.numpy(), ((0, 0), (0, 0), (half, half), (half, half)))
    for b, cell in enumerate(CELLS.tolist()):
        if cell >= 0:
            row, column = divmod(cell, 6)
            expected = padded[b, :, row : row + side, column : column + side]
            np.testing.assert_array_equal(read[b], expected.ravel())
            assert torch.equal(read[b], windows(MAPS, side)[b].flatten(1)[:, cell])


@pytest.mark.parametrize("side", [1, 3, 5])
def test_a_window_is_written_where_it_is_read_only(side: int) -> None:
    values = torch.randn(5, 3 * side**2, generator=torch.Generator().manual_seed(1))
    written = write_window(MAPS, CELLS, values, side)
    for b, cell in enumerate(CELLS.tolist()):
        expected = MAPS[b].clone()
        if cell >= 0:
            row, column = divmod(cell, 6)
            for i in range(side):
                for j in range(side):
                    r, c = row + i - side // 2, column + j - side // 2
                    if 0 <= r < 5 and 0 <= c < 6:
                        expected[:, r, c] = values[b].reshape(3, side, side)[:, i, j]
        assert torch.equal(written[b], expected)
    assert torch.equal(write_window(MAPS, CELLS, read_window(MAPS, CELLS, side), side), MAPS)


def test_a_window_of_one_is_the_square() -> None:
    standing = torch.from_numpy(CELLS >= 0)
    assert torch.equal(read_window(MAPS, CELLS, 1)[standing], read_square(MAPS, CELLS)[standing])
    values = torch.randn(5, 3)
    assert torch.equal(write_window(MAPS, CELLS, values, 1), write_square(MAPS, CELLS, values))


def test_cells_outside_and_windows_without_a_middle_are_refused() -> None:
    with pytest.raises(GoalmazeError, match="level 1: cell 30 is outside the 5x6 maze"):
        read_window(MAPS, np.array([0, 30, 0, 0, 0], np.int32), 3)
    with pytest.raises(GoalmazeError, match="a window of 2x2 has no square in its middle"):
        read_window(MAPS, CELLS, 2)


@pytest.mark.parametrize(("side", "exact"), [(1, False), (3, True), (5, True)])
def test_after_one_convolution_a_window_of_three_moves_the_goal_exactly(
    linear: NetworkPolicy, family: Family, side: int, exact: bool
) -> None:
    context = FitContext(linear, family.levels(7, np.arange(40), split="fitting"))
    levels = family.levels(0, np.arange(40))
    targets = draw_targets(levels, 3)
    edit = aligned_vector(context, "map", side).edit(GoalMove.on(levels, targets))
    here = FitContext(linear, levels)
    with torch.inference_mode(), applied(linear, [edit]), captured(linear.network, ["map"]) as latest:
        linear.logits(np.arange(40), torch.from_numpy(observations_of(linear, levels)))
    moved = here.activations(here.levels.with_goal_and_cue_at(targets), "map")
    assert bool((latest["map"] - moved).abs().max() < 1e-5) == exact
