"""What an agent remembers: the activation at a site after some steps of an episode, along given actions."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observer
from goalmaze.envs.engines import make_engine
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import captured
from goalmaze.probes.edits.base import check_steps

BATCH = 512
"""Levels that are played at a time, which bounds the memory of their maps."""


def activations_along(
    policy: NetworkPolicy, levels: LevelBatch, site: str, after: int, actions: NDArray[np.int8] | None = None
) -> Tensor:
    """Return float32 [B, C, H, W], or [B, F]: the activation at a site in step `after` of an episode on each level.

    At a site of the memory, this is what the agent remembers once that step is taken.

    Args:
        policy: the policy of the network that has the site.
        levels: B levels.
        site: the site.
        after: number of the step, 1 for the first.
        actions: int8 [T, B], the actions taken, T >= after - 1; an agent whose action is -1 stays where it is. Not
            needed for the first step.

    Raises:
        GoalmazeError: the site is unknown, or the number is below 1.
    """
    check_steps((after,))
    parts = [np.arange(len(levels))[i : i + BATCH] for i in range(0, len(levels), BATCH)]
    return torch.cat([_of_part(policy, levels, site, after, actions, rows) for rows in parts])


def _of_part(
    policy: NetworkPolicy,
    levels: LevelBatch,
    site: str,
    after: int,
    actions: NDArray[np.int8] | None,
    rows: NDArray[np.intp],
) -> Tensor:
    """Return the activation [b, ...] in the levels `rows` int [b]; other arguments as `activations_along`."""
    part = levels.take(rows)
    engine, every = make_engine(part), np.arange(len(part))
    observe, actor = observer(policy, engine), policy.begin(part)
    with captured(policy.network, [site]) as latest:
        for step in range(after):
            if step and actions is not None:
                engine.step(actions[step - 1, rows])
            actor.probabilities(every, observe(), engine.agent)
    return latest[site]
