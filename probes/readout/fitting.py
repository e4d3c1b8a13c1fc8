"""Probes that choose one square of a maze as the cell, and checks that all probes share."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.eigenbasis import check_label_count
from goalmaze.probes.readout.logistic import damped_newton

SQUARE_PENALTY = 1e-4
FIRST_MAZES = 256
"""Mazes of the first fit, whose result is where the fit to all mazes starts."""

MAZES_TIMES_CHANNELS = 2**14
MIN_FOR_CURVATURE = 512
"""Fewest mazes that the Hessian is estimated from; more where channels are few. A poorer Hessian slows the descent and
does not move its end."""


class Probe(Protocol):
    """A probe of a cell."""

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the cell predicted from activations [N, ...]."""


@dataclasses.dataclass(frozen=True, eq=False)
class SquareProbe:
    """A 1×1 probe (Bush et al., 2025): the same linear score of the channels at every square; the highest is the cell.

    Attributes:
        direction: float32 [C], the weights of the score.
    """

    direction: Tensor

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the cell of the highest score for maps [N, C, H, W]."""
        check_features("square", len(self.direction), activations.shape[1])
        return torch.einsum("nchw,c->nhw", activations, self.direction).flatten(1).argmax(dim=1)


class SquareFitter:
    """Fits 1×1 probes by a conditional logit over squares (McFadden, 1974).

    Args:
        activations: maps [N, C, H, W], one row for each maze.
    """

    def __init__(self, activations: Tensor) -> None:
        # Scaled by channel, so that one penalty means the same for all. The lower bound is for channels that are
        # constant.
        self._scale = activations.std(dim=(0, 2, 3)).clamp(min=1e-6)
        self._features = (activations / self._scale[:, None, None]).flatten(2).transpose(1, 2).contiguous()

    def fit(self, labels: Tensor, penalty: float = SQUARE_PENALTY, start: SquareProbe | None = None) -> SquareProbe:
        """Return the probe of least cross entropy plus penalty.

        Args:
            labels: int64 [N], cells; rows labelled -1 are ignored.
            penalty: on the squared direction, in units of the channels' standard deviation.
            start: a probe of the same labels at another penalty, to start from.

        Raises:
            GoalmazeError: no maze has a label.
        """
        known = labels >= 0
        check_label_count(int(known.sum()), len(labels), 1)
        features = self._features if known.all() else self._features[known]
        cells = labels[known]
        if start is None:
            # The solution for a few mazes is close to that for all and costs a fraction of the time.
            first = slice(FIRST_MAZES)
            initial = fit_conditional_logit(features[first], cells[first], penalty, torch.zeros_like(self._scale))
        else:
            initial = start.direction * self._scale
        return SquareProbe(fit_conditional_logit(features, cells, penalty, initial) / self._scale)


def fit_conditional_logit(features: Tensor, labels: Tensor, penalty: float, start: Tensor) -> Tensor:
    """Return float32 [C], the weights of least cross entropy plus penalty, by a damped Newton method.

    The probability of a square is the softmax over squares of its score.

    Args:
        features: [N, S, C], of the squares to choose from.
        labels: int64 [N], the square chosen.
        penalty: on the squared weights.
        start: float32 [C], initial weights.
    """
    # scikit-learn and scipy have no conditional logit. scipy.optimize's L-BFGS-B takes 117 ms instead of 62 ms for this
    # loss (2,048 mazes of 81 squares with 16 channels).
    mazes, squares, channels = features.shape
    flat, rows = features.reshape(-1, channels), torch.arange(mazes)
    observed = features[rows, labels].mean(dim=0)

    def loss_at(weights: Tensor) -> tuple[Tensor, Tensor]:
        log_probabilities = (flat @ weights).view(mazes, squares).log_softmax(dim=1)
        loss = penalty * weights.square().sum() - log_probabilities[rows, labels].mean()
        return loss, log_probabilities.exp()

    def newton_step(weights: Tensor, probabilities: Tensor) -> tuple[Tensor, float]:
        expected = torch.bmm(probabilities[:, None], features)[:, 0]
        # The gradient of a conditional logit: expected minus observed features.
        gradient = (expected.mean(dim=0) - observed + 2 * penalty * weights).double()
        step = torch.linalg.solve(_hessian(features, probabilities, expected, penalty), gradient)
        return step.float(), float(gradient @ step)

    return damped_newton(start, loss_at, newton_step)


def _hessian(features: Tensor, probabilities: Tensor, expected: Tensor, penalty: float) -> Tensor:
    """Return float64 [C, C], the Hessian of the loss, estimated from some of the mazes."""
    channels = features.shape[2]
    count = min(len(features), max(MIN_FOR_CURVATURE, MAZES_TIMES_CHANNELS // channels))
    some, weighted = features[:count], features[:count] * probabilities[:count, :, None]
    # The covariance of the features under the model: E[x xᵀ] - E[x] E[x]ᵀ in each maze, summed over mazes.
    moments = some.reshape(-1, channels).T @ weighted.reshape(-1, channels) - expected[:count].T @ expected[:count]
    return moments.double() / count + 2 * penalty * torch.eye(channels, dtype=torch.float64)


def check_features(kind: str, fitted: int, given: int) -> None:
    """Check that a probe is applied to the network, site and maze size that it was fitted to.

    Raises:
        GoalmazeError: it was fitted to another number of features.
    """
    if fitted != given:
        raise GoalmazeError(
            f"the {kind} probe reads {fitted} features, the activation has {given}; fit it at this site of this network"
        )


def count_correct(probe: Probe, activations: Tensor, labels: Tensor) -> tuple[int, int]:
    """Return how many labels int64 [N] a probe predicts, and the number of labels; rows labelled -1 are ignored."""
    kept = labels >= 0
    return int((probe(activations[kept]) == labels[kept]).sum()), int(kept.sum())
