"""The loss of PPO on a minibatch, as stable-baselines3 defines it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from goalmaze.agents.training.rollout_buffer import Batch


class Weights(NamedTuple):
    """What the loss is made of; names as in stable-baselines3.

    Attributes:
        clip: range of the ratio.
        value_clip: range of the change of the values, or None.
        entropy: weight of the entropy bonus.
        value: weight of the value loss.
        normalise: whether advantages are brought to mean 0 and deviation 1.
    """

    clip: float
    value_clip: float | None
    entropy: float
    value: float
    normalise: bool


FIGURES = ("policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl", "clip_fraction", "loss")
"""What `ppo_loss` tells beside the loss, in order; the names of stable-baselines3."""


def ppo_loss(logits: Tensor, values: Tensor, batch: Batch, weights: Weights) -> tuple[Tensor, Tensor]:
    """Return the loss, and `FIGURES` [6] without gradient; logits [b, A], values [b], the batch in the same order."""
    log_all = functional.log_softmax(logits, dim=1)
    log_chances = log_all.gather(1, batch.actions.unsqueeze(1)).squeeze(1)
    advantages = batch.advantages
    if weights.normalise and len(advantages) > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    log_ratio = log_chances - batch.old_log_chances
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - weights.clip, 1 + weights.clip)
    policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
    if weights.value_clip is not None:
        values = batch.old_values + (values - batch.old_values).clamp(-weights.value_clip, weights.value_clip)
    value_loss = functional.mse_loss(values, batch.returns)
    entropy_loss = (log_all.exp() * log_all).sum(dim=1).mean()
    loss = policy_loss + weights.entropy * entropy_loss + weights.value * value_loss
    with torch.no_grad():
        kl = (ratio - 1 - log_ratio).mean()
        outside = ((ratio - 1).abs() > weights.clip).float().mean()
        figures = torch.stack([policy_loss, value_loss, entropy_loss, kl, outside, loss])
    return loss, figures
