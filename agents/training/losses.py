"""The loss of PPO on a minibatch (Schulman et al., 2017), as stable-baselines3 computes it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from goalmaze.agents.training.rollout_buffer import Minibatch


class LossWeights(NamedTuple):
    """Coefficients of the loss.

    Attributes:
        clip: clipping range of the probability ratio.
        value_clip: clipping range of the change of the values; None for no clipping.
        entropy: weight of the entropy bonus.
        value: weight of the value loss.
        normalize: whether advantages are normalized to mean 0 and standard deviation 1.
    """

    clip: float
    value_clip: float | None
    entropy: float
    value: float
    normalize: bool


METRICS = ("policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl", "clip_fraction", "loss")
"""The metrics that `ppo_loss` returns, in order, by the names of stable-baselines3."""


def ppo_loss(logits: Tensor, values: Tensor, batch: Minibatch, weights: LossWeights) -> tuple[Tensor, Tensor]:
    """Return the loss, and `METRICS` [6] without gradient.

    Args:
        logits: float32 [b, A].
        values: float32 [b].
        batch: single steps [b, ...] in the same order.
        weights: coefficients of the loss.
    """
    all_log_probs = functional.log_softmax(logits, dim=1)
    log_prob = all_log_probs.gather(1, batch.actions.unsqueeze(1)).squeeze(1)
    advantages = batch.advantages
    # Over the minibatch, as in stable-baselines3; one advantage alone has no standard deviation.
    if weights.normalize and len(advantages) > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    # pi_new(a|o) / pi_old(a|o), from logarithms: the probabilities themselves may underflow.
    log_ratio = log_prob - batch.old_log_prob
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - weights.clip, 1 + weights.clip)
    # Equation 7 of the paper: the minimum takes away the gain of moving the ratio out of the range, and keeps the loss.
    policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
    if weights.value_clip is not None:
        values = batch.old_values + (values - batch.old_values).clamp(-weights.value_clip, weights.value_clip)
    # Unlike the policy's ratio, values are clipped without a minimum, as in stable-baselines3.
    value_loss = functional.mse_loss(values, batch.returns)
    # The negative entropy, computed from all probabilities and not from sampled actions.
    entropy_loss = (all_log_probs.exp() * all_log_probs).sum(dim=1).mean()
    loss = policy_loss + weights.entropy * entropy_loss + weights.value * value_loss
    with torch.no_grad():
        # (r - 1) - log r estimates KL(old || new) without bias, is never negative and varies less than -log r,
        # http://joschu.net/blog/kl-approx.html
        kl = (ratio - 1 - log_ratio).mean()
        clip_fraction = ((ratio - 1).abs() > weights.clip).float().mean()
        metrics = torch.stack([policy_loss, value_loss, entropy_loss, kl, clip_fraction, loss])
    return loss, metrics
