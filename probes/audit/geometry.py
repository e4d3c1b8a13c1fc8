"""Helpers of several methods: input directions of objects, forks, and the probability of a step towards a cell."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import PICTURES
from goalmaze.agents.policies import move_probabilities
from goalmaze.envs.actions import ACTIONS, cell_steps
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import steps_nearer
from goalmaze.probes.audit.passes import Outputs
from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.sides import Side

FORK = 3
"""Free neighbours from which on a cell is a fork."""

NO_CUE_PLANE = "the cue shows on no observation plane"
MANY_OBJECTS = "its levels hold many goals and cues on different cells"


def channel_direction(pool: AuditPool, side: Side) -> Tensor:
    """Return float32 [C], what an object of a side adds to the channels of one entry that it changes, on average.

    C is the number of planes, or of colours. For planes this is the object's value on each of its planes.
    """
    paint = torch.from_numpy(pool.paint(side))
    paint = channels_first(pool, paint).flatten(2).transpose(0, 1).flatten(1)
    changed = (paint != 0).any(dim=0)
    return paint[:, changed].mean(dim=1) if changed.any() else paint.new_zeros(len(paint))


def painted_effects(pool: AuditPool, gradient: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return float32 [b] for the goal and for the cue: gradient × input, summed over what the object paints.

    It is the first-order change of the differentiated number if the object were erased, with the sign reversed.

    Args:
        pool: the pool.
        gradient: [b, ...], the gradient at the observations of its first b levels.
    """
    goal, cue = (parts.flatten(1).sum(1).numpy() for parts in painted_gradients(pool, gradient))
    return goal, cue


def painted_gradients(pool: AuditPool, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return [b, ...] for the goal and for the cue, the gradient [b, ...] times what the object paints."""
    goal, cue = (gradient * torch.from_numpy(pool.paint(side)[: len(gradient)]) for side in (pool.goal, pool.cue))
    return goal, cue


def channels_first(pool: AuditPool, observations: Tensor) -> Tensor:
    """Return [B, C, h, w] for observations of a pool, pictures [B, h, w, 3] too."""
    return observations.permute(0, 3, 1, 2) if pool.spec.mode in PICTURES else observations


def is_convolution(pool: AuditPool, weight: Tensor) -> bool:
    """Return whether a weight is that of a convolution over the channels of the pool's observations."""
    observation = pool.view.highest.shape
    channels = observation[-1] if pool.spec.mode in PICTURES else observation[0]
    return weight.dim() == 4 and weight.shape[1] == channels


def free_neighbours(levels: LevelBatch, cells: Cells) -> Bools:
    """Return bool [B, 4], whether the cell in the direction of each action is free."""
    neighbours = cells[:, None] + cell_steps(levels.width)[None, :]
    return np.take_along_axis(levels.free(), neighbours.astype(np.int64), axis=1)


def forks(levels: LevelBatch) -> Bools:
    """Return bool [B], whether the agent starts on a cell with three free neighbours or more."""
    return np.asarray(free_neighbours(levels, levels.start).sum(axis=1) >= FORK)


def towards(levels: LevelBatch, cells: Cells, outputs: Outputs) -> NDArray[np.float32]:
    """Return float32 [B], the probability that the first step of an agent leads nearer to `cells`, int32 [B]."""
    nearer = steps_nearer(levels, cells)
    assert nearer.shape[1] == len(ACTIONS)
    probabilities = np.where(nearer, move_probabilities(outputs.logits), 0).sum(axis=1)
    return np.asarray(probabilities, np.float32)


def spread(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Return at most `count` names, evenly spread from the first to the last."""
    if len(names) <= count:
        return names
    chosen = np.linspace(0, len(names) - 1, count).round().astype(int)
    return tuple(names[i] for i in chosen)
