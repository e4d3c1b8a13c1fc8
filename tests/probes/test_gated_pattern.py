"""Gated patterns: they add and multiply square by square, and without gains are plain patterns."""

from __future__ import annotations

import numpy as np
import torch

from goalmaze.agents.policies import EditContext
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering.gated_pattern import GatedAdd, GatedPattern

CONTEXT = EditContext.at_start(np.arange(2))


def test_a_gated_addition_adds_and_multiplies_square_by_square() -> None:
    generator = torch.Generator().manual_seed(0)
    maps, delta, gain = (torch.randn((2, 3, 5, 5), generator=generator) for _ in range(3))
    edit = GatedAdd("stem", delta, gain)
    torch.testing.assert_close(edit(maps, CONTEXT), maps * (1 + gain) + delta)
    bumped = maps.clone()
    bumped[:, :, 2, 2] += 1
    differs = (edit(bumped, CONTEXT) - edit(maps, CONTEXT)).abs().sum(dim=(0, 1)) > 0
    assert differs.nonzero().tolist() == [[2, 2]]


def test_without_gains_it_is_the_pattern() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn((2, 3, 5, 5), generator=generator)
    pattern = GoalPattern("stem", maps[0].clone(), maps[0].clone(), rectified=False)
    gated = GatedPattern("stem", pattern, torch.zeros(3, 5, 5), torch.zeros(3, 5, 5))
    move = GoalMove(np.array([7, 8], np.int32), np.array([12, 13], np.int32), 5, 5)
    torch.testing.assert_close(gated.edit(move)(maps, CONTEXT), pattern.edit(move)(maps, CONTEXT))
