"""The law of intrinsic performance, its rivals, and the intervals of their predictions.

Hilton et al. 2023, "Scaling laws for single-agent reinforcement learning" (arXiv:2301.13442): intrinsic performance I,
a monotone function of the return, follows I^(-b) = (N_c / N)^a + (E_c / E)^c in parameters N and interactions E. Where
the optimum is known, a power of the normalised regret takes the place of 1 / I.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import scipy
from numpy.typing import NDArray

from goalmaze.experiments.scaling.rows import ScaleRow

Floats = NDArray[np.float64]

LEAST = 1e-4
"""Regrets and preferences closer than this to 0 or 1 count as this far away."""

STARTS = 5
"""Random starts of a fit."""


def to_line(values: Floats) -> Floats:
    """Return the logit of rates, on which errors of rates near 0 and 1 are comparable with others."""
    kept = np.clip(values, LEAST, 1 - LEAST)
    return np.asarray(np.log(kept / (1 - kept)))


def from_line(logits: Floats) -> Floats:
    """Return the rates of logits."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))


class Predictor(abc.ABC):
    """Predicts a rate of an agent from its parameters N and steps E.

    Attributes:
        name: of the predictor.
    """

    name: ClassVar[str]

    @classmethod
    @abc.abstractmethod
    def fit(cls, parameters: Floats, steps: Floats, values: Floats) -> Self:
        """Return the predictor that fits rates [n] of agents with parameters [n] after steps [n]."""

    def refit(self, parameters: Floats, steps: Floats, values: Floats) -> Self:
        """Return a fit to similar data, where a search may begin with this one."""
        return type(self).fit(parameters, steps, values)

    @abc.abstractmethod
    def predict(self, parameters: Floats, steps: Floats) -> Floats:
        """Return float64 [m], the predicted rates."""


@dataclasses.dataclass(frozen=True, eq=False)
class IntrinsicLaw(Predictor):
    """The law: log regret = b log((N_c / N)^a + (E_c / E)^c), bounded by 1 for an agent that has learned nothing.

    Attributes:
        weights: log N_c, a, log E_c, c, b.
    """

    name = "intrinsic-performance law"
    weights: Floats

    @property
    def exponents(self) -> dict[str, float]:
        """The exponents of the regret where one of the two is the bottleneck: of parameters, and of interactions."""
        _, a, _, c, b = self.weights
        return {"parameters": float(a * b), "interactions": float(c * b)}

    @classmethod
    def fit(cls, parameters: Floats, steps: Floats, values: Floats) -> Self:
        """Return the law that fits the logits best, from several random starts."""
        low, high = _bounds(parameters, steps)
        starts = np.random.default_rng(0).uniform(low, high, (STARTS, len(low)))
        return cls._searched(starts, parameters, steps, values)

    def refit(self, parameters: Floats, steps: Floats, values: Floats) -> Self:
        """Return the law that fits other logits best, from this one on."""
        return self._searched(self.weights[None], parameters, steps, values)

    @classmethod
    def _searched(cls, starts: Floats, parameters: Floats, steps: Floats, values: Floats) -> Self:
        logits, (low, high) = to_line(values), _bounds(parameters, steps)

        def residuals(weights: Floats) -> Floats:
            return to_line(_law(weights, parameters, steps)) - logits

        fits = [
            scipy.optimize.least_squares(residuals, np.clip(one, low, high), bounds=(low, high), loss="soft_l1")
            for one in starts
        ]
        return cls(np.asarray(min(fits, key=lambda one: float(one.cost)).x))

    def predict(self, parameters: Floats, steps: Floats) -> Floats:
        """Return float64 [m], the predicted rates."""
        return _law(self.weights, parameters, steps)


def _bounds(parameters: Floats, steps: Floats) -> tuple[Floats, Floats]:
    """Return the smallest and the largest weights of a law, float64 [5] each."""
    largest = [np.log(parameters.max()) + 5, 3.0, np.log(steps.max()) + 5, 3.0, 4.0]
    return np.array([0.0, 0.05, 0.0, 0.05, 0.05]), np.array(largest)


def _law(weights: Floats, parameters: Floats, steps: Floats) -> Floats:
    log_n, a, log_e, c, b = weights
    total = np.logaddexp(a * (log_n - np.log(parameters)), c * (log_e - np.log(np.maximum(steps, 1))))
    # x / (1 + x) instead of x: an untrained agent has a regret of at most 1.
    return from_line(b * total)


@dataclasses.dataclass(frozen=True, eq=False)
class LogLinear(Predictor):
    """A rival: the logit of the rate is linear in the logarithms of parameters and steps."""

    name = "log-linear"
    weights: Floats

    @classmethod
    def fit(cls, parameters: Floats, steps: Floats, values: Floats) -> Self:
        """Return the least-squares fit."""
        weights = np.linalg.lstsq(_design(parameters, steps), to_line(values), rcond=None)[0]
        return cls(np.asarray(weights, np.float64))

    def predict(self, parameters: Floats, steps: Floats) -> Floats:
        """Return float64 [m], the predicted rates."""
        return from_line(_design(parameters, steps) @ self.weights)


def _design(parameters: Floats, steps: Floats) -> Floats:
    return np.column_stack([np.ones(len(parameters)), np.log(parameters), np.log(np.maximum(steps, 1))])


@dataclasses.dataclass(frozen=True, eq=False)
class Nearest(Predictor):
    """A rival: the mean of the nearest cell, by the distance of the logarithms of parameters and steps."""

    name = "nearest cell"
    cells: Floats
    means: Floats

    @classmethod
    def fit(cls, parameters: Floats, steps: Floats, values: Floats) -> Self:
        """Return the means of all cells."""
        cells, inverse = np.unique(_design(parameters, steps)[:, 1:], axis=0, return_inverse=True)
        return cls(cells, np.bincount(inverse.ravel(), values) / np.bincount(inverse.ravel()))

    def predict(self, parameters: Floats, steps: Floats) -> Floats:
        """Return float64 [m], the predicted rates."""
        wanted = _design(parameters, steps)[:, 1:]
        return np.asarray(self.means[np.abs(wanted[:, None] - self.cells[None]).sum(axis=2).argmin(axis=1)])


@dataclasses.dataclass(frozen=True, eq=False)
class LastValue(Nearest):
    """A rival: the last value that a network of this size reached; of the largest network for a larger one."""

    name = "last value"

    def predict(self, parameters: Floats, steps: Floats) -> Floats:
        """Return float64 [m], the predicted rates."""
        wanted = _design(parameters, steps)[:, 1:]
        # The size counts first; of its checkpoints the last one that is not later than the wanted steps.
        distance = 1e6 * np.abs(wanted[:, None, 0] - self.cells[None, :, 0])
        distance = distance + np.abs(np.minimum(wanted[:, None, 1], self.cells[:, 1].max()) - self.cells[None, :, 1])
        return np.asarray(self.means[distance.argmin(axis=1)])


RIVALS: tuple[type[Predictor], ...] = (Nearest, LastValue, LogLinear)
"""The naive rivals of the law."""


def columns(rows: Sequence[ScaleRow], quantity: str) -> tuple[Floats, Floats, Floats]:
    """Return parameters, steps and a quantity of rows, float64 [n] each."""
    parameters = np.array([row.parameters for row in rows], np.float64)
    steps = np.array([row.steps for row in rows], np.float64)
    return parameters, steps, np.array([getattr(row, quantity) for row in rows], np.float64)


def prediction_interval(
    law: type[Predictor],
    rows: Sequence[ScaleRow],
    quantity: str,
    wanted: tuple[Floats, Floats],
    *,
    level: float = 0.9,
    resamples: int = 40,
) -> tuple[Floats, Floats]:
    """Return the ends of prediction intervals for a new agent, float64 [m] each.

    The bootstrap draws whole networks (width and blocks with all their seeds and steps), so that the error of going
    beyond the fitted sizes is part of it; a residual of the fit is added for the seed of the new agent.

    Args:
        law: what is fitted.
        rows: the fitted rows.
        quantity: such as "regret".
        wanted: parameters and steps, float64 [m] each.
        level: of the interval.
        resamples: bootstrap resamples.
    """
    rng = np.random.default_rng(0)
    parameters, steps, values = columns(rows, quantity)
    groups = np.array([hash((row.width, row.blocks)) for row in rows])
    names = np.unique(groups)
    fitted = law.fit(parameters, steps, values)
    residuals = to_line(values) - to_line(fitted.predict(parameters, steps))
    draws = []
    for _ in range(resamples):
        chosen = np.concatenate([np.flatnonzero(groups == one) for one in rng.choice(names, len(names))])
        if len(np.unique(groups[chosen])) < 2:
            # One size alone says nothing about sizes.
            continue
        drawn = fitted.refit(parameters[chosen], steps[chosen], values[chosen]).predict(*wanted)
        draws.append(to_line(drawn) + rng.choice(residuals, len(drawn)))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return from_line(low), from_line(high)
