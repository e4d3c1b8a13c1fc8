"""LEACE (Belrose et al., 2023): the smallest change of activations after which no linear probe reads a concept."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.edits.base import Edit, check_channels
from goalmaze.probes.information import ACTIVATION, Facts

RANK_TOLERANCE = 1e-6
"""Directions whose variance is below this fraction of the largest variance count as constant."""


@dataclasses.dataclass(frozen=True, eq=False)
class Eraser:
    """An affine map of activations that removes a concept.

    Attributes:
        mean: float32 [C], the fixed point of the map.
        projection: float32 [C, C], onto the subspace that is removed.
    """

    mean: Tensor
    projection: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Return features [..., C] without the concept."""
        return features - (features - self.mean) @ self.projection.T


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
    # In double precision: whitening divides by small standard deviations, and what float32 rounds there would remain
    # readable.
    x, z = features.double(), concept.double().reshape(len(concept), -1)
    mean = x.mean(dim=0)
    x, z = x - mean, z - z.mean(dim=0)
    # The paper's closed form is W^+ P W: W whitens x, P projects orthogonally onto the columns of W Cov(x, z). W is
    # kept in the eigenvectors' coordinates, without those of no variance.
    variances, vectors = torch.linalg.eigh(x.T @ x / len(x))
    # The lower bound counts all directions as constant where no feature varies; nothing is erased then.
    varies = variances > RANK_TOLERANCE * variances.max().clamp(min=1e-30)
    whiten = vectors[:, varies] * variances[varies].rsqrt()
    unwhiten = vectors[:, varies] * variances[varies].sqrt()
    left, singular, _ = torch.linalg.svd(whiten.T @ (x.T @ z / len(x)), full_matrices=False)
    # Only directions that covary with the concept are erased; the singular values of others are rounding errors.
    basis = left[:, singular > RANK_TOLERANCE]
    return Eraser(mean.float(), (unwhiten @ basis @ basis.T @ whiten.T).float())


@dataclasses.dataclass(frozen=True, eq=False)
class Erase(Edit):
    """Erases a concept from every square of a map, or from features.

    Attributes:
        eraser: fitted to squares or features of this site.
        rectified: whether the site is never negative, as after a ReLU; the result is then clipped at 0, which makes the
            erasure approximate.
    """

    eraser: Eraser = dataclasses.field(kw_only=True)
    rectified: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def uses(self) -> Facts:
        """The activation alone."""
        return frozenset({ACTIVATION})

    def check(self, site: Site) -> None:
        """Refuse a site with another number of channels."""
        check_channels(site, len(self.eraser.mean))

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, C, ...] without the concept."""
        result = self.eraser(activation.movedim(1, -1)).movedim(-1, 1)
        return result.relu() if self.rectified else result
