"""The best one could write: an activation optimised maze by maze, by gradient. It knows the walls: an upper bound."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.compiled import uniforms
from goalmaze.envs.families.base import Family
from goalmaze.envs.levels import Cells, LevelBatch
from goalmaze.envs.solving import UNREACHABLE, distances
from goalmaze.probes.activations import read_activations
from goalmaze.probes.directions import is_rectified
from goalmaze.probes.edits import Add, applied
from goalmaze.probes.knowledge import EVERYTHING
from goalmaze.probes.targets import check_targets

UPDATES = 60
PLACES = 4
"""Cells of each maze in which the agent is put at every update."""

LEARNING_RATE = 0.1


def optimised_edit(
    policy: NetworkPolicy,
    family: Family,
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
    held = read_activations(policy.network, observations_of(policy, family, levels), [site])[site]
    delta = torch.zeros_like(held).requires_grad_()
    rectified = is_rectified(held)
    scale = float(held.std())
    optimiser = torch.optim.Adam([delta], LEARNING_RATE * max(scale, 1e-6))
    rows = np.arange(len(levels))
    for update in range(updates):
        loss = torch.zeros(())
        for place in range(PLACES):
            put = _elsewhere(levels, targets, seed, update * PLACES + place)
            with torch.inference_mode():
                moved = put.moved(family.goal, targets).moved(family.cue, targets)
                teacher = policy.logits(rows, _seen(policy, family, moved)).log_softmax(dim=1)
            with applied(policy, [Add(site, delta, rectified=rectified)]):
                pupil = policy.logits(rows, _seen(policy, family, put)).log_softmax(dim=1)
            loss = loss + torch.nn.functional.kl_div(pupil, teacher.clone(), log_target=True, reduction="sum")
        (delta.grad,) = torch.autograd.grad(loss / PLACES, [delta])
        optimiser.step()
    return Add(site, delta.detach(), rectified=rectified, knows=EVERYTHING)


def _seen(policy: NetworkPolicy, family: Family, levels: LevelBatch) -> Tensor:
    return torch.from_numpy(observations_of(policy, family, levels).copy())


def _elsewhere(levels: LevelBatch, targets: Cells, seed: int, draw: int) -> LevelBatch:
    """Return the levels with the agent on another cell that it can reach, apart from objects and target."""
    free = distances(levels, levels.start) < UNREACHABLE
    rows = np.arange(len(levels))
    for cells in (*levels.objects.T, targets):
        free[rows[cells >= 0], cells[cells >= 0]] = False
    luck = np.empty(len(levels))
    uniforms(seed, rows, draw, luck)
    chosen = np.floor(luck * free.sum(axis=1)).astype(np.int64)
    cells = (free.cumsum(axis=1) <= chosen[:, None]).sum(axis=1)
    return levels.started(np.where(free.any(axis=1), cells, levels.start))
