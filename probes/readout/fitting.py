"""Fitters, thrown away after use, and the frozen probes they leave behind: of one cell among the squares of a maze."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.eigenbasis import check_enough
from goalmaze.probes.readout.logistic import newton

SQUARE_PENALTY = 1e-4
FEW = 256
"""Mazes on which a fit begins, at an eighth of the cost of all."""

MAZES_TIMES_FEATURES = 2**14
MIN_FOR_CURVATURE = 512
"""The curvature is that of so many mazes, of more where features are few: it decides how fast the descent is, not where
it ends."""


class Probe(Protocol):
    """A reading: from activations to the cell it takes to be the target."""

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the cell read from activations [N, ...]."""


@dataclasses.dataclass(frozen=True, eq=False)
class SquareProbe:
    """One linear score, the same at every square, from that square's channels alone (1×1; Bush et al., 2025).

    Attributes:
        direction: float32 [C], whose projection is the score.
    """

    direction: Tensor

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the cell of the highest score for maps [N, C, H, W]."""
        check_features("square", len(self.direction), activations.shape[1])
        return torch.einsum("nchw,c->nhw", activations, self.direction).flatten(1).argmax(dim=1)


class SquareFitter:
    """Conditional logit over squares (McFadden, 1974): the square's chance is the softmax of its score.

    Args:
        activations: maps [N, C, H, W], one row a maze.
    """

    def __init__(self, activations: Tensor) -> None:
        self._scale = activations.std(dim=(0, 2, 3)).clamp(min=1e-6)
        self._features = (activations / self._scale[:, None, None]).flatten(2).transpose(1, 2).contiguous()

    def fit(self, labels: Tensor, penalty: float = SQUARE_PENALTY, start: SquareProbe | None = None) -> SquareProbe:
        """Return the probe of least penalised cross entropy.

        Args:
            labels: int64 [N]; a row labelled -1 is left out.
            penalty: on the squared direction, in units of the channels' spread.
            start: where to begin: a probe of the same labels at another penalty.

        Raises:
            GoalmazeError: no maze has a label.
        """
        known = labels >= 0
        check_enough(int(known.sum()), len(labels), 1)
        features = self._features if known.all() else self._features[known]
        told = labels[known]
        if start is None:
            few = slice(FEW)
            begin = conditional_logit(features[few], told[few], penalty, torch.zeros_like(self._scale))
        else:
            begin = start.direction * self._scale
        return SquareProbe(conditional_logit(features, told, penalty, begin) / self._scale)


def conditional_logit(features: Tensor, labels: Tensor, penalty: float, start: Tensor) -> Tensor:
    """Return float32 [C], the weights of least cross entropy plus penalty, by Newton's method with halved steps.

    Args:
        features: [N, S, C], of all that could be chosen.
        labels: int64 [N], what was.
        penalty: on the squared weights.
        start: float32 [C], where to begin.
    """
    mazes, squares, channels = features.shape
    flat, rows = features.reshape(-1, channels), torch.arange(mazes)
    own = features[rows, labels].mean(dim=0)

    def value(weights: Tensor) -> tuple[Tensor, Tensor]:
        logs = (flat @ weights).view(mazes, squares).log_softmax(dim=1)
        return penalty * weights.square().sum() - logs[rows, labels].mean(), logs.exp()

    def step(weights: Tensor, chances: Tensor) -> tuple[Tensor, float]:
        expected = torch.bmm(chances[:, None], features)[:, 0]
        slope = (expected.mean(dim=0) - own + 2 * penalty * weights).double()
        found = torch.linalg.solve(_curvature(features, chances, expected, penalty), slope)
        return found.float(), float(slope @ found)

    return newton(start, value, step)


def _curvature(features: Tensor, chances: Tensor, expected: Tensor, penalty: float) -> Tensor:
    """Return float64 [C, C], the second derivative of the loss on some of the mazes."""
    channels = features.shape[2]
    count = min(len(features), max(MIN_FOR_CURVATURE, MAZES_TIMES_FEATURES // channels))
    some, weighed = features[:count], features[:count] * chances[:count, :, None]
    spread = some.reshape(-1, channels).T @ weighed.reshape(-1, channels) - expected[:count].T @ expected[:count]
    return spread.double() / count + 2 * penalty * torch.eye(channels, dtype=torch.float64)


def check_features(kind: str, fitted: int, given: int) -> None:
    """Refuse to read with a probe from another network, site or maze size.

    Raises:
        GoalmazeError: it was fitted to another number of features.
    """
    if fitted != given:
        raise GoalmazeError(
            f"the {kind} probe reads {fitted} features, the activation has {given}; fit it at this site of this network"
        )


def accuracy(probe: Probe, activations: Tensor, labels: Tensor) -> tuple[int, int]:
    """Return how many labels int64 [N] a probe reads right, and of how many; rows labelled -1 do not count."""
    kept = labels >= 0
    return int((probe(activations[kept]) == labels[kept]).sum()), int(kept.sum())
