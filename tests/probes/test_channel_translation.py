"""Channel translation: a swap of two windows, undone by a second one."""

from __future__ import annotations

import numpy as np
import torch

from goalmaze.agents.policies import EditContext
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.steering.channel_translation import SwapWindows


def test_two_windows_are_swapped_and_swapping_twice_changes_nothing() -> None:
    maps = torch.randn((2, 4, 7, 7), generator=torch.Generator().manual_seed(0))
    move = GoalMove(np.array([8, -1], np.int32), np.array([32, 20], np.int32), 7, 7)
    swap, context = SwapWindows("stem", (1, 3), move, side=3), EditContext.at_start(np.arange(2))
    once = swap(maps, context)
    torch.testing.assert_close(once[0, [1, 3], 0:3, 0:3], maps[0, [1, 3], 3:6, 3:6])
    torch.testing.assert_close(once[0, [1, 3], 3:6, 3:6], maps[0, [1, 3], 0:3, 0:3])
    assert torch.equal(once[0, [0, 2]], maps[0, [0, 2]])
    assert torch.equal(once[1], maps[1])
    torch.testing.assert_close(swap(once, context), maps)
