"""Multinomial logistic losses and their minimisation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from goalmaze.agents.eager_optimizers import eager

LBFGS_STEPS = 40
MAX_FOR_NEWTON = 128
"""Number of weights above which a loss is minimised by L-BFGS instead of Newton's method."""

NEWTON_STEPS = 50
SAMPLES_FOR_CURVATURE = 2000
"""Samples that the Hessian is estimated from. A poorer Hessian slows the descent and does not move its end."""

MIN_STEP = 1e-3
"""Fraction of Newton's step below which it is no longer halved."""

DECREMENT = 1e-6
"""Newton decrement at which a fit has converged."""


@dataclasses.dataclass(frozen=True, eq=False)
class LogisticLoss:
    """Mean multinomial cross entropy plus a ridge penalty, as a function of weights [K, R].

    Classes are the first axis: a softmax over a short last axis takes 15 times as long.

    Attributes:
        features: float32 [R, n].
        labels: float32 [K, n], one-hot.
        penalty: float32 [R], on half the squared weights of each feature.
    """

    # scikit-learn's LogisticRegression is as fast where features are few (64 hidden units of green-exit). On the
    # eigenbasis of a map (block1) it takes 474 ms instead of 132 ms. It has no weights for a class without a sample.

    features: Tensor
    labels: Tensor
    penalty: Tensor

    def value(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the class probabilities [K, n]."""
        log_probabilities = (weights @ self.features).log_softmax(dim=0)
        penalty = (self.penalty * weights.square()).sum() / 2
        loss = penalty - (log_probabilities * self.labels).sum() / self.features.shape[1]
        return loss, log_probabilities.exp()

    def gradient(self, weights: Tensor, probabilities: Tensor) -> Tensor:
        """Return the gradient [K, R] of the loss."""
        return (probabilities - self.labels) @ self.features.T / self.features.shape[1] + self.penalty * weights

    def minimise(self, weights: Tensor, scales: Tensor) -> Tensor:
        """Return the minimising weights [K, R], by Newton's method where they are few, otherwise by L-BFGS.

        Args:
            weights: initial weights [K, R].
            scales: float32 [R], units of the weights in which the curvature is similar along every feature.
        """
        return self._newton(weights) if weights.numel() <= MAX_FOR_NEWTON else self._lbfgs(weights, scales)

    def _newton(self, weights: Tensor) -> Tensor:
        def newton_step(weights: Tensor, probabilities: Tensor) -> tuple[Tensor, float]:
            gradient = self.gradient(weights, probabilities).double().flatten()
            step = torch.linalg.solve(self._hessian(probabilities), gradient)
            return step.float().view_as(weights), float(gradient @ step)

        return damped_newton(weights, self.value, newton_step)

    def _lbfgs(self, weights: Tensor, scales: Tensor) -> Tensor:
        # L-BFGS starts from a multiple of the identity as its Hessian. In these units that is nearly right.
        scaled = (weights / scales).requires_grad_()
        optimiser = eager(torch.optim.LBFGS)(
            [scaled], max_iter=LBFGS_STEPS, tolerance_grad=1e-4, tolerance_change=1e-7, line_search_fn="strong_wolfe"
        )

        # The gradient is known in closed form, so autograd is not needed.
        @torch.no_grad()
        def loss() -> Tensor:
            value, probabilities = self.value(scaled * scales)
            scaled.grad = self.gradient(scaled * scales, probabilities) * scales
            return value

        optimiser.step(loss)  # type: ignore[no-untyped-call]
        return scaled.detach() * scales

    def _hessian(self, probabilities: Tensor) -> Tensor:
        """Return float64 [K*R, K*R], the Hessian of the loss, estimated from some of the samples."""
        # Every n-th sample, because those of one maze follow each other and are alike.
        some = slice(None, None, max(1, self.features.shape[1] // SAMPLES_FOR_CURVATURE))
        features, probabilities = self.features[:, some], probabilities[:, some]
        # The Hessian of softmax regression: (diag(p) - p pᵀ) times x xᵀ, averaged over samples.
        weighted = (probabilities[:, None] * features).flatten(0, 1)
        diagonal = (weighted @ features.T).view(len(probabilities), len(features), -1)
        blocks: Tensor = torch.block_diag(*diagonal)  # type: ignore[no-untyped-call]
        hessian = (blocks - weighted @ weighted.T) / features.shape[1]
        # The loss does not change when the biases of all classes grow together. A small penalty keeps them in place.
        return hessian.double() + torch.diag(self.penalty.repeat(len(probabilities)) + 1e-6)


def damped_newton(
    start: Tensor,
    loss_at: Callable[[Tensor], tuple[Tensor, Tensor]],
    newton_step: Callable[[Tensor, Tensor], tuple[Tensor, float]],
) -> Tensor:
    """Return the minimising weights, by Newton's method with steps halved until the loss decreases (Armijo's rule).

    Args:
        start: initial weights.
        loss_at: returns the loss at some weights, and the probabilities there.
        newton_step: returns from weights and probabilities the step to subtract, and its product with the gradient.
    """
    weights = start
    loss, probabilities = loss_at(weights)
    for _ in range(NEWTON_STEPS):
        step, decrement = newton_step(weights, probabilities)
        if decrement < DECREMENT:
            break
        fraction, trial = 1.0, loss_at(weights - step)
        # At least a small part of the decrease that the gradient predicts.
        while trial[0] > loss - 1e-4 * fraction * decrement and fraction > MIN_STEP:
            fraction /= 2
            trial = loss_at(weights - fraction * step)
        # What is left to gain is smaller than the rounding of the loss.
        if trial[0] >= loss:
            break
        weights, (loss, probabilities) = weights - fraction * step, trial
    return weights
