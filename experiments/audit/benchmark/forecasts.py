"""How good forecasts are: of the preferences of agents, and of what an agent does on single levels."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.benchmark.ranks import Estimate, resampled_rows
from goalmaze.experiments.common.tables import number

Numbers = NDArray[np.float64]

BINS = 10
"""Bins of the calibration error, with equally many agents each."""

COVERAGES = (0.25, 0.5, 0.75, 1.0)
"""Fractions of agents, the most confident predictions first, at which the risk is reported."""

MOST = 0.99
"""Forecasts of a level above this, and below 1 - this, count as this: one sure error would decide a log score."""

NEWTON_STEPS = 25
RIDGE = 1e-3


def calibration_error(predicted: Numbers, measured: Numbers, bins: int = BINS) -> float:
    """Return the mean distance of predicted and measured preferences [n], each averaged over a bin of agents.

    Args:
        predicted: of n agents.
        measured: of the same agents.
        bins: number of bins; agents are ordered by their prediction and split into bins of equal count.
    """
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order))) if len(part)]
    distances = [abs(predicted[part].mean() - measured[part].mean()) for part in parts]
    return float(np.average(distances, weights=[len(part) for part in parts]))


def risk_coverage(predicted: Numbers, measured: Numbers) -> dict[str, float]:
    """Return coverage → risk: the fraction of wrong sides of 1/2 among the most confident predictions.

    Args:
        predicted: preferences of n agents.
        measured: of the same agents.
    """
    wrong = (predicted > 0.5) != (measured > 0.5)
    order = np.argsort(-np.abs(predicted - 0.5), kind="stable")
    counts = {coverage: max(1, round(coverage * len(order))) for coverage in COVERAGES}
    return {f"{coverage:g}": float(wrong[order[:count]].mean()) for coverage, count in counts.items()}


@dataclasses.dataclass(frozen=True, eq=False)
class LevelInputs:
    """What a method says about single levels, and what happened there.

    Attributes:
        agent: int64 [N], the number of the agent of each pair of agent and level.
        inputs: float64 [N, 2], the agent's score, and how far the level's score lies above it.
        outcomes: float64 [N], 1 where the cue came first and 0 where the goal did.
    """

    agent: NDArray[np.int64]
    inputs: Numbers
    outcomes: Numbers

    def __len__(self) -> int:
        return len(self.outcomes)


def join(parts: list[LevelInputs]) -> LevelInputs:
    """Return the pairs of several populations as those of one."""
    return LevelInputs(
        np.concatenate([one.agent for one in parts]),
        np.concatenate([one.inputs for one in parts]),
        np.concatenate([one.outcomes for one in parts]),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class LevelForecast:
    """A logistic regression from the scores of a level to the probability that the cue comes first.

    Attributes:
        weights: float64 [2], of the inputs.
        intercept: the logit at inputs of 0.
    """

    weights: Numbers
    intercept: float

    def probabilities(self, inputs: Numbers) -> Numbers:
        """Return float64 [N], the forecast for inputs [N, 2]."""
        logits = np.clip(self.intercept + inputs @ self.weights, -30, 30)
        return np.clip(1 / (1 + np.exp(-logits)), 1 - MOST, MOST)


def fit_level_forecast(data: LevelInputs) -> LevelForecast:
    """Fit the regression by Newton's method with a slight ridge penalty on the weights of standardised inputs."""
    scales = np.maximum(data.inputs.std(axis=0), 1e-9)
    design = np.column_stack([np.ones(len(data)), data.inputs / scales])
    penalty = RIDGE * len(data) * np.diag([0.0, 1.0, 1.0])
    weights = np.zeros(3)
    for _ in range(NEWTON_STEPS):
        probabilities = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (probabilities - data.outcomes) + penalty @ weights
        spread = np.maximum(probabilities * (1 - probabilities), 1e-6)
        step = np.linalg.solve(design.T @ (design * spread[:, None]) + penalty + 1e-9 * np.eye(3), gradient)
        # Outcomes that inputs separate would let the first steps overshoot.
        weights = weights - np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    return LevelForecast(weights[1:] / scales, float(weights[0]))


@dataclasses.dataclass(frozen=True, eq=False)
class LevelScores:
    """How good forecasts of single levels are.

    Attributes:
        brier_skill: 1 - Brier score / Brier score of the constant rate of these levels, with its interval over agents.
        brier: mean squared error of the forecast.
        log_score: mean log-probability of what happened, in nats.
        reference_log_score: the same of the constant rate.
        levels: number of pairs of agent and level.
    """

    brier_skill: Estimate
    brier: float
    log_score: float
    reference_log_score: float
    levels: int

    def json(self) -> JsonObject:
        """Return the scores as plain data."""
        return {
            "brier_skill": self.brier_skill.json(),
            "brier": number(self.brier),
            "log_score": number(self.log_score),
            "reference_log_score": number(self.reference_log_score),
            "levels": self.levels,
        }


def level_scores(forecast: LevelForecast, data: LevelInputs, agents: int) -> LevelScores:
    """Return the scores of a forecast.

    Args:
        forecast: fitted on other populations.
        data: the pairs of a population.
        agents: number of agents, with or without pairs.
    """
    predicted, outcomes = forecast.probabilities(data.inputs), data.outcomes
    rate = float(np.clip(outcomes.mean(), 1 - MOST, MOST))
    errors, reference = ((one - outcomes) ** 2 for one in (predicted, np.full(len(data), outcomes.mean())))
    # Sums by agent, so that a resample of agents is a sum of rows.
    sums, reference_sums = (np.bincount(data.agent, one, minlength=agents) for one in (errors, reference))
    rows = resampled_rows(agents)
    samples = 1 - sums[rows].sum(axis=1) / np.maximum(reference_sums[rows].sum(axis=1), 1e-12)
    value = 1 - sums.sum() / max(reference_sums.sum(), 1e-12)

    def log_score(probabilities: Numbers) -> float:
        return float(np.log(np.where(outcomes > 0.5, probabilities, 1 - probabilities)).mean())

    return LevelScores(
        Estimate(float(value), samples),
        float(errors.mean()),
        log_score(predicted),
        log_score(np.full(len(data), rate)),
        len(data),
    )
