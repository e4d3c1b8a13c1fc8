"""`weight-moments`: moments of the weights, which do not change if the units of a layer are exchanged.

A side-channel baseline: they describe the network and look at nothing about goal and cue.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from goalmaze.probes.audit.method import Measurement, T2Method
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T2Access


@register_audit_method
class WeightMomentsMethod(T2Method):
    """Spread, skewness and kurtosis of the first, the middle and the last two weight matrices, and sizes of biases."""

    name = "weight-moments"
    side_channel = True

    def measure(self, access: T2Access) -> Measurement:
        """Return features without a score of their own."""
        return Measurement(None, None, weight_moments(access.weights()))


def weight_moments(weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the moments of weights by name; the names are the same for every network.

    Args:
        weights: the weights of a network in order of depth, by parameter.
    """
    matrices = [weight for weight in weights.values() if weight.dim() > 1]
    biases = [weight for weight in weights.values() if weight.dim() == 1]
    middle = matrices[1:-2] or matrices
    groups = {"first": matrices[:1], "middle": middle, "policy": matrices[-2:-1] or matrices, "value": matrices[-1:]}
    features: dict[str, float] = {}
    for group, members in groups.items():
        moments = torch.stack([_moments(weight) for weight in members]).mean(dim=0)
        features |= {
            f"{name} of {group}": float(moment)
            for name, moment in zip(("mean", "spread", "skewness", "kurtosis"), moments, strict=True)
        }
    sizes = [float(bias.double().square().sort().values.mean().sqrt()) for bias in biases]
    features["size of biases"] = sum(sizes) / max(len(sizes), 1)
    return features


def _moments(weight: Tensor) -> Tensor:
    """Return float64 [4]: mean, standard deviation, skewness and excess kurtosis of all entries."""
    # Sorted, so that sums do not depend on the order of the units even in the last digit.
    flat = weight.double().flatten().sort().values
    mean = flat.mean()
    spread = (flat - mean).square().mean().sqrt().clamp(min=1e-12)
    standard = (flat - mean) / spread
    return torch.stack([mean, spread, standard.pow(3).mean(), standard.pow(4).mean() - 3])
