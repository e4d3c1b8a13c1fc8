"""Logistic losses and their descent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

ITERATIONS = 40
MAX_FOR_NEWTON = 128
"""Weights of a logistic probe above which it is fitted by L-BFGS."""

MAX_STEPS = 50
ENOUGH_FOR_CURVATURE = 2000
"""Samples that tell a logistic loss's curvature: it decides how fast the descent is, not where it ends."""

SHORTEST = 1e-3
"""Share of Newton's step below which it is no longer halved."""

DECREMENT = 1e-6
"""Newton's decrement of the loss at which a fit has converged."""


@dataclasses.dataclass(frozen=True, eq=False)
class Logistic:
    """Multinomial cross entropy plus a penalty, as a function of weights [K, R].

    Classes come first: a softmax over the last axis is an order of magnitude slower where they are few.

    Attributes:
        seen: float32 [R, n], the features of every sample.
        told: float32 [K, n], one where a sample is of a class.
        penalty: float32 [R], on half the squared weights of each feature.
    """

    seen: Tensor
    told: Tensor
    penalty: Tensor

    def value(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, and the classes' chances [K, n]."""
        logs = (weights @ self.seen).log_softmax(dim=0)
        pressed = (self.penalty * weights.square()).sum() / 2
        return pressed - (logs * self.told).sum() / self.seen.shape[1], logs.exp()

    def slope(self, weights: Tensor, chances: Tensor) -> Tensor:
        """Return the loss's gradient [K, R]."""
        return (chances - self.told) @ self.seen.T / self.seen.shape[1] + self.penalty * weights

    def least(self, weights: Tensor, lengths: Tensor) -> Tensor:
        """Return the weights [K, R] of least loss: by Newton's method where they are few, else by L-BFGS.

        Args:
            weights: to begin with.
            lengths: float32 [R], in units of which the loss is curved about as much along every feature.
        """
        return self._newton(weights) if weights.numel() <= MAX_FOR_NEWTON else self._descent(weights, lengths)

    def _newton(self, weights: Tensor) -> Tensor:
        def step(weights: Tensor, chances: Tensor) -> tuple[Tensor, float]:
            slope = self.slope(weights, chances).double().flatten()
            found = torch.linalg.solve(self._curvature(chances), slope)
            return found.float().view_as(weights), float(slope @ found)

        return newton(weights, self.value, step)

    def _descent(self, weights: Tensor, lengths: Tensor) -> Tensor:
        free = (weights / lengths).requires_grad_()
        optimiser = torch.optim.LBFGS(
            [free], max_iter=ITERATIONS, tolerance_grad=1e-4, tolerance_change=1e-7, line_search_fn="strong_wolfe"
        )

        @torch.no_grad()
        def loss() -> Tensor:
            value, chances = self.value(free * lengths)
            free.grad = self.slope(free * lengths, chances) * lengths
            return value

        optimiser.step(loss)  # type: ignore[no-untyped-call]
        return free.detach() * lengths

    def _curvature(self, chances: Tensor) -> Tensor:
        """Return float64 [K*R, K*R], the loss's second derivative, from some of the samples."""
        some = slice(None, None, max(1, self.seen.shape[1] // ENOUGH_FOR_CURVATURE))
        seen, chances = self.seen[:, some], chances[:, some]
        weighed = (chances[:, None] * seen).flatten(0, 1)
        own = (weighed @ seen.T).view(len(chances), len(seen), -1)
        blocks: Tensor = torch.block_diag(*own)  # type: ignore[no-untyped-call]
        result = (blocks - weighed @ weighed.T) / seen.shape[1]
        # All classes' biases may grow together without any effect: a trace of a penalty keeps them where they are.
        return result.double() + torch.diag(self.penalty.repeat(len(chances)) + 1e-6)


def newton(
    start: Tensor,
    value: Callable[[Tensor], tuple[Tensor, Tensor]],
    step: Callable[[Tensor, Tensor], tuple[Tensor, float]],
) -> Tensor:
    """Return the weights of least loss, by Newton's method with steps that are halved until they help.

    Args:
        start: weights to begin with.
        value: gives the loss of weights, and the chances that these give.
        step: gives, from both, what to take off the weights, and the slope along it.
    """
    weights = start
    loss, chances = value(weights)
    for _ in range(MAX_STEPS):
        whole, gain = step(weights, chances)
        if gain < DECREMENT:
            break
        length, tried = 1.0, value(weights - whole)
        while tried[0] > loss - 1e-4 * length * gain and length > SHORTEST:
            length /= 2
            tried = value(weights - length * whole)
        if tried[0] >= loss:
            break
        weights, (loss, chances) = weights - length * whole, tried
    return weights
