"""LEACE (Belrose et al., 2023): the smallest change of activations after which no linear probe reads a concept."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.edits.base import Rewrite, check_channels
from goalmaze.probes.information import NOTHING, Knowledge

RANK_TOLERANCE = 1e-6
"""Directions that vary less than this, of the most varied one's variance, count as not varying."""


@dataclasses.dataclass(frozen=True, eq=False)
class Eraser:
    """An affine map of activations.

    Attributes:
        mean: float32 [C], which it leaves in place.
        removal: float32 [C, C], a projection onto what is taken away.
    """

    mean: Tensor
    removal: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Return features [..., C] without the concept."""
        return features - (features - self.mean) @ self.removal.T


def fit_eraser(features: Tensor, concept: Tensor) -> Eraser:
    """Return the eraser of a concept from features, in closed form.

    Args:
        features: [N, C].
        concept: [N, k] or [N], numbers, or classes one-hot.

    Raises:
        GoalmazeError: there is not one row of each for a sample, or too few samples to have a covariance.
    """
    if len(features) != len(concept) or len(features) < 2:
        raise GoalmazeError(f"{len(features)} activations and {len(concept)} labels do not fit: give two pairs or more")
    x, z = features.double(), concept.double().reshape(len(concept), -1)
    mean = x.mean(dim=0)
    x, z = x - mean, z - z.mean(dim=0)
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    kept = values > RANK_TOLERANCE * values.max().clamp(min=1e-30)
    whiten = vectors[:, kept] * values[kept].rsqrt()
    colour = vectors[:, kept] * values[kept].sqrt()
    left, singular, _ = torch.linalg.svd(whiten.T @ (x.T @ z / len(x)), full_matrices=False)
    held = left[:, singular > RANK_TOLERANCE]
    return Eraser(mean.float(), (colour @ held @ held.T @ whiten.T).float())


@dataclasses.dataclass(frozen=True, eq=False)
class Erase(Rewrite):
    """Erases a concept from every square of a map, or from features.

    Attributes:
        eraser: fitted to squares or features of this site.
        rectified: whether the site never holds negative values; the edited one then neither, and is not quite erased.
    """

    eraser: Eraser = dataclasses.field(kw_only=True)
    rectified: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """Nothing of the maze."""
        return NOTHING

    def check(self, site: Site) -> None:
        """Refuse a site with other channels."""
        check_channels(site, len(self.eraser.mean))

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, C, ...] without the concept."""
        result = self.eraser(activation.movedim(1, -1)).movedim(-1, 1)
        return result.relu() if self.rectified else result
