"""`local-learning-coefficient`: how degenerate the loss is around a checkpoint, by Langevin dynamics.

Lau et al. 2023, "Quantifying degeneracy in singular models via the learning coefficient" (arXiv:2308.12108). The loss
is the divergence of the policy from that of the checkpoint on training levels, so that the checkpoint is a minimum.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.rollout import observations_of
from goalmaze.experiments.formation.measures.base import Kind, Measure, Reading, Snapshot

Loss = Callable[[Tensor], Tensor]
"""Numbers of observations, int64 [b] → their mean loss at the present weights."""

SEED = 0
"""Seed of the noise and of the batches."""


@dataclasses.dataclass(frozen=True)
class Chain:
    """The settings of a Langevin chain.

    Attributes:
        steps: its steps.
        discarded: the first steps, which do not count.
        step_size: ε, the variance of the noise of a step.
        localisation: γ, the strength with which the chain is drawn to the checkpoint.
        batch: observations in a batch.
        seed: of the noise and of the batches.
    """

    steps: int
    discarded: int
    step_size: float
    localisation: float
    batch: int
    seed: int = SEED


def learning_coefficient(parameters: Sequence[Tensor], loss: Loss, count: int, chain: Chain) -> float:
    """Return the local learning coefficient n β (E[L(w)] - L(w*)) with β = 1 / log n.

    The expectation is that of the localised posterior exp(-n β L(w) - γ/2 |w - w*|²), sampled by stochastic gradient
    Langevin dynamics: w ← w - ε/2 (n β ∇L(w) + γ (w - w*)) + noise of variance ε. The weights are restored.

    Args:
        parameters: w*, which require a gradient. They change while the chain runs.
        loss: the mean loss of a batch; it reads the parameters.
        count: number n of observations.
        chain: the settings.
    """
    generator = torch.Generator().manual_seed(chain.seed)
    start = [one.detach().clone() for one in parameters]
    scale = count / math.log(count)
    losses: list[float] = []
    try:
        for step in range(chain.steps):
            rows = torch.randint(count, (chain.batch,), generator=generator)
            value = loss(rows)
            gradients = torch.autograd.grad(value, list(parameters), allow_unused=True)
            if step >= chain.discarded:
                losses.append(float(value.detach()))
            _step(parameters, start, gradients, scale, chain, generator)
    finally:
        _write(parameters, start)
    with torch.no_grad():
        at_start = float(loss(torch.arange(count)))
    return scale * (float(np.mean(losses)) - at_start)


@torch.no_grad()
def _step(
    parameters: Sequence[Tensor],
    start: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    scale: float,
    chain: Chain,
    generator: torch.Generator,
) -> None:
    for weights, origin, gradient in zip(parameters, start, gradients, strict=True):
        if gradient is None:
            # Weights that the loss does not depend on, such as those of the value, stay where they are.
            continue
        drift = scale * gradient + chain.localisation * (weights - origin)
        noise = torch.randn(weights.shape, generator=generator, dtype=weights.dtype)
        weights.add_(-chain.step_size / 2 * drift + math.sqrt(chain.step_size) * noise)


@torch.no_grad()
def _write(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for weights, value in zip(parameters, values, strict=True):
        weights.copy_(value)


class LearningCoefficient(Measure):
    """The local learning coefficient of the policy on training levels, seen from all free cells but the goal's."""

    name = "local-learning-coefficient"
    kind: ClassVar[Kind] = "inside"
    costly: ClassVar[bool] = True

    def read(self, snapshot: Snapshot) -> Reading:
        """Return the coefficient; it has no values on single levels."""
        given, network = snapshot.registered, snapshot.network
        pool = snapshot.levels.pool
        free = pool.levels.free().copy()
        free[np.arange(len(free)), pool.goals] = False
        rows, cells = np.nonzero(free)
        levels = pool.levels.take(rows).started(cells)
        observations = torch.from_numpy(observations_of(snapshot.policy, levels))
        with torch.no_grad():
            parts = [observations[first : first + 512] for first in range(0, len(observations), 512)]
            target = torch.cat([network(part)[0].float() for part in parts]).log_softmax(dim=1)

        def divergence(chosen: Tensor) -> Tensor:
            logs = network(observations[chosen])[0].float().log_softmax(dim=1)
            lost: Tensor = (target[chosen].exp() * (target[chosen] - logs)).sum(dim=1).mean()
            return lost

        chain = Chain(
            given.chain_steps, given.chain_discarded, given.chain_step_size, given.chain_localisation, given.chain_batch
        )
        return Reading(learning_coefficient(list(network.parameters()), divergence, len(observations), chain))
