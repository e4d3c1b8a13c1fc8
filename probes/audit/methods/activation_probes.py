"""`activation-probes`: how clearly the objects' square stands out in activations, and how well they give the distance.

Activations on training levels cannot say which of two objects, always on one cell, a network uses. Their clarity may
still differ between agents, and weights fitted on other agents decide what it is worth.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.envs.solving import distances, pick
from goalmaze.probes.audit.geometry import MANY_OBJECTS, spread
from goalmaze.probes.audit.method import Measurement, T1Method
from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T1Access

DEPTHS = ("first", "middle", "last")
RIDGE = 1e-2
"""Ridge penalty in units of the mean variance of a feature."""


@register_audit_method
class ActivationProbesMethod(T1Method):
    """Contrast of the objects' square, and explained variance of the distance to it, at three depths."""

    name = "activation-probes"

    def refusal(self, pool: AuditPool) -> str:
        """Return why the method does not apply: there is no one square of goal and cue."""
        return "" if pool.together else MANY_OBJECTS

    def measure(self, access: T1Access) -> Measurement:
        """Return features without a score of their own."""
        pool, sites = access.pool, access.sites
        chosen = spread(sites, len(DEPTHS))
        chosen = (*chosen, *[chosen[-1]] * (len(DEPTHS) - len(chosen)))
        activations = access.activations(tuple(dict.fromkeys(chosen)))
        steps = np.log1p(pick(distances(pool.levels, pool.levels.start), pool.goals))
        features: dict[str, float] = {}
        for depth, site in zip(DEPTHS, chosen, strict=True):
            activation = activations[site]
            features[f"distance at {depth}"] = explained_variance(_pooled(activation), steps)
            is_map = site in access.map_sites
            features[f"contrast at {depth}"] = contrast(activation, pool.goals) if is_map else 0.0
        return Measurement(None, None, features)


def _pooled(activation: Tensor) -> NDArray[np.float64]:
    """Return float64 [B, F]: features as they are, and mean and maximum over the squares of a map."""
    if activation.dim() == 2:
        return activation.double().numpy()
    return torch.cat([activation.mean(dim=(2, 3)), activation.amax(dim=(2, 3))], dim=1).double().numpy()


def contrast(maps: Tensor, cells: NDArray[np.int32]) -> float:
    """Return how far the mean activation at `cells` lies from that of all squares, in spreads, averaged over channels.

    Args:
        maps: float32 [B, C, H, W].
        cells: int32 [B].
    """
    flat = maps.flatten(2)
    at_cell = flat[torch.arange(len(flat)), :, torch.tensor(cells, dtype=torch.int64)]
    scale = flat.transpose(0, 1).flatten(1).std(dim=1).clamp(min=1e-6)
    return float(((at_cell.mean(dim=0) - flat.mean(dim=(0, 2))).abs() / scale).mean())


def explained_variance(features: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Return the explained variance of a ridge regression, fitted on the even rows and evaluated on the odd ones."""
    inputs = features - features[::2].mean(axis=0)
    mean = targets[::2].mean()
    covariance = inputs[::2].T @ inputs[::2]
    penalty = RIDGE * max(float(np.trace(covariance)) / len(covariance), 1e-12)
    weights = np.linalg.solve(covariance + penalty * np.eye(len(covariance)), inputs[::2].T @ (targets[::2] - mean))
    residual = targets[1::2] - mean - inputs[1::2] @ weights
    return float(1 - residual.var() / max(targets[1::2].var(), 1e-12))
