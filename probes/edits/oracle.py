"""An oracle: activations that are optimised by gradient descent for each maze by itself.

They depend on the walls of the maze, so they are more than an edit that uses two cells. They estimate an upper bound of
what an edit at the site can do.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.cells import Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import is_rectified, level_activations
from goalmaze.probes.edits.base import Add
from goalmaze.probes.edits.optimisation import descend, imitation_loss
from goalmaze.probes.information import EVERYTHING
from goalmaze.probes.targets import check_targets, relocate_agents

UPDATES = 60
STARTS = 4
"""Cells of each maze on which the agent is put at every update."""

LEARNING_RATE = 0.1
"""In units of the activation's standard deviation."""


def optimised_edit(
    policy: NetworkPolicy,
    levels: LevelBatch,
    targets: Cells,
    site: str,
    updates: int = UPDATES,
    seed: int = 0,
) -> Add:
    """Return what to add in each of these levels so that the agent acts as if it saw goal and cue on the targets.

    There is one activation a level, the same at every step. It is learned with the agent on random cells of the maze;
    the loss is the KL divergence from the agent that sees goal and cue moved.

    Args:
        policy: the policy of the network that has the site.
        levels: B levels, those to be played.
        targets: int32 [B], free cells.
        site: the site to edit.
        updates: number of updates by Adam.
        seed: of the random cells.

    Raises:
        GoalmazeError: the site is unknown, or a target is on a wall or outside the maze.
    """
    check_targets(levels, targets)
    activation = level_activations(policy, levels, site)
    delta, rectified = torch.zeros_like(activation).requires_grad_(), is_rectified(activation)
    # Counts on over all updates, so that every update puts the agents on other cells.
    draws = itertools.count()

    def loss() -> Tensor:
        total = torch.zeros(())
        for draw in itertools.islice(draws, STARTS):
            start = relocate_agents(levels, targets, seed, draw)
            edits = [Add(site, delta, rectified=rectified)]
            # Summed over levels, not averaged: each level has parameters of its own, and their gradient must not depend
            # on the number of levels.
            total = total + imitation_loss(policy, start, start.with_goal_and_cue_at(targets), edits, "sum")
        return total / STARTS

    # The scale of activations differs by orders of magnitude between layers. The lower bound is for a constant site.
    rate = LEARNING_RATE * max(float(activation.std()), 1e-6)
    (best,) = descend([delta], loss, updates, rate, final_fraction=1.0)
    return Add(site, best, rectified=rectified, uses=EVERYTHING)
