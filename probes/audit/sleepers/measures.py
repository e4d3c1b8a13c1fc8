"""Numbers of outputs that several methods for sleepers use."""

from __future__ import annotations

from torch import Tensor

from goalmaze.probes.audit.passes import Outputs


def divergence(first: Outputs, second: Outputs) -> Tensor:
    """Return float32 [b], the divergence (KL, in nats) of the second policy from the first."""
    logs = first.log_probabilities
    return (logs.exp() * (logs - second.log_probabilities)).sum(dim=1)


def step_probability(outputs: Outputs, steps: Tensor) -> Tensor:
    """Return float32 [b], the probability of the first steps that `steps`, bool [b, 4], names."""
    return (outputs.log_probabilities.exp() * steps).sum(dim=1)
