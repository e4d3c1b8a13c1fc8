"""The best one could write: an activation optimised maze by maze, by gradient. It knows the walls: an upper bound."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import read_activations
from goalmaze.probes.edits.base import Add, applied
from goalmaze.probes.edits.patterns import is_rectified
from goalmaze.probes.information import EVERYTHING
from goalmaze.probes.targets import check_targets, relocate_agents

UPDATES = 60
PLACES = 4
"""Cells of each maze in which the agent is put at every update."""

LEARNING_RATE = 0.1


def optimised_edit(
    policy: NetworkPolicy,
    levels: LevelBatch,
    targets: Cells,
    site: str,
    updates: int = UPDATES,
    seed: int = 0,
) -> Add:
    """Return what to add in each of these very mazes so that the agent acts as if it saw goal and cue at the targets.

    One activation a maze, the same at every step, learned from the agent put on random cells of that maze; the loss is
    the KL divergence from the agent that sees goal and cue moved.

    Args:
        policy: whose site.
        family: of the levels.
        levels: B levels, those to be played.
        targets: int32 [B], free cells.
        site: where.
        updates: steps of Adam.
        seed: of the cells.

    Raises:
        GoalmazeError: the site is unknown, or a target is on a wall or outside.
    """
    check_targets(levels, targets)
    held = read_activations(policy.network, observations_of(policy, levels), [site])[site]
    delta = torch.zeros_like(held).requires_grad_()
    rectified = is_rectified(held)
    scale = float(held.std())
    optimiser = torch.optim.Adam([delta], LEARNING_RATE * max(scale, 1e-6))
    rows = np.arange(len(levels))
    for update in range(updates):
        loss = torch.zeros(())
        for place in range(PLACES):
            put = relocate_agents(levels, targets, seed, update * PLACES + place)
            with torch.inference_mode():
                moved = put.with_goal_and_cue_at(targets)
                teacher = policy.logits(rows, _seen(policy, moved)).log_softmax(dim=1)
            with applied(policy, [Add(site, delta, rectified=rectified)]):
                pupil = policy.logits(rows, _seen(policy, put)).log_softmax(dim=1)
            loss = loss + torch.nn.functional.kl_div(pupil, teacher.clone(), log_target=True, reduction="sum")
        (delta.grad,) = torch.autograd.grad(loss / PLACES, [delta])
        optimiser.step()
    return Add(site, delta.detach(), rectified=rectified, uses=EVERYTHING)


def _seen(policy: NetworkPolicy, levels: LevelBatch) -> Tensor:
    return torch.from_numpy(observations_of(policy, levels).copy())
