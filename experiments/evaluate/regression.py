"""A logistic regression of an agent's choices between goal and cue, evaluated on held-out levels.

The behavioural regression of Mini et al., "Understanding and Controlling a Maze-Solving Policy Network" (2023): it
predicts from the geometry of the first decision point which of the two is reached first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import scipy
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from goalmaze.agents.loading import load_agent
from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import EVALUATION, FITTING, Family, LevelBatch
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.decision_features import FEATURES, features
from goalmaze.experiments.evaluate.decisions import Decisions, Floats, decisions
from goalmaze.experiments.evaluate.setup import evaluation_family
from goalmaze.experiments.evaluate.training_overlap import TrainingOverlap, quick_overlap
from goalmaze.experiments.statistics.comparisons import ALPHA, sign_flip_test
from goalmaze.experiments.statistics.intervals import Rate, rate

RIDGE = 10.0
"""Penalty on half the squared weights; scikit-learn's C is its inverse. Features are correlated, such as two distances
and their difference, so that without a penalty their weights would be arbitrary."""

MIN_DECISIONS = 40
"""Fewest decisions that a model is fitted to."""

LARGEST_WEIGHTS = 4
"""Number of weights in the text; all are in the JSON."""


@dataclasses.dataclass(frozen=True, eq=False)
class LogisticModel:
    """A logistic model on standardised features.

    Attributes:
        centre: float64 [F], subtracted from the features.
        scale: float64 [F], divides the centred features.
        weights: float64 [F], of the standardised features.
        intercept: the log odds at the centre.
    """

    centre: Floats
    scale: Floats
    weights: Floats
    intercept: float

    def probabilities(self, rows: Floats) -> Floats:
        """Return float64 [N], the probabilities of label 1 for features [N, F]."""
        log_odds = (rows - self.centre) / self.scale @ self.weights + self.intercept
        return np.asarray(scipy.special.expit(log_odds))


def fit_logistic(rows: Floats, labels: NDArray[np.integer], ridge: float = RIDGE) -> LogisticModel:
    """Fit labels [N], each 0 or 1, to features [N, F] with a penalty of `ridge` / 2 times the squared weights."""
    scaler = StandardScaler().fit(rows)
    if labels.min() == labels.max():
        # scikit-learn refuses labels of a single class; then only the intercept is needed.
        return LogisticModel(scaler.mean_, scaler.scale_, np.zeros(rows.shape[1]), np.inf if labels[0] else -np.inf)
    # Newton's method: the problem is convex and small, so that a few steps reach the optimum to many digits.
    fitted = LogisticRegression(C=1 / ridge, solver="newton-cholesky", tol=1e-8)
    fitted.fit(scaler.transform(rows), labels)
    return LogisticModel(scaler.mean_, scaler.scale_, fitted.coef_[0], float(fitted.intercept_[0]))


@dataclasses.dataclass(frozen=True)
class Regression(Record):
    """How well the geometry of the levels predicts one agent's choices. Intervals cover levels, not training seeds.

    Attributes:
        agent: its name.
        family: the family of the levels.
        shift: the shift of the levels.
        fitted: number of decisions fitted to.
        skipped: number of held-out levels without a decision, or where neither goal nor cue was reached.
        accuracy: rate of held-out decisions that the model predicts.
        base_rate: the same for always predicting the more common choice of the decisions fitted to.
        nearest: the same for predicting that the nearer of the two is chosen, and the more common choice at equal
            distances.
        repeats: rate of decisions that the agent repeats with another seed of its sampled actions, where it reaches a
            decision both times. It bounds the accuracy of any model of the levels.
        p_value: of a paired test that the model is no better than the base rate.
        cue_chosen: rate of decisions for the cue.
        weights: weight of each standardised feature; positive weights favour the cue.
    """

    agent: str
    family: str
    shift: str
    fitted: int
    skipped: int
    accuracy: Rate
    base_rate: Rate
    nearest: Rate
    repeats: Rate
    p_value: float
    cue_chosen: Rate
    weights: dict[str, float]

    def json(self) -> JsonObject:
        """Return the regression as plain data; weights have three digits."""
        weights = {name: round(weight, 3) for name, weight in self.weights.items()}
        return super().json() | {"intervals_cover": "levels", "weights": weights}

    def row(self) -> list[object]:
        """Return the regression as a row of the table."""
        significant = "*" if self.p_value < ALPHA else ""
        rates = (self.accuracy, self.base_rate, self.nearest, self.repeats)
        return [self.agent, *rates, significant, self.cue_chosen, self.accuracy.levels]

    def largest_weights(self) -> str:
        """Return the features with the largest weights, as text."""
        ranked = sorted(self.weights.items(), key=lambda item: -abs(item[1]))[:LARGEST_WEIGHTS]
        return ", ".join(f"{name} {weight:+.2f}" for name, weight in ranked)


@dataclasses.dataclass(frozen=True)
class Regressions(Record, Result):
    """The regressions of one or more agents.

    Attributes:
        agents: one result each.
        overlaps: how many of the evaluation levels each agent has met in training.
    """

    json_keys: ClassVar = {"overlaps": "training_overlaps"}

    agents: tuple[Regression, ...]
    overlaps: tuple[TrainingOverlap, ...] = ()

    def blocks(self) -> Sequence[str | Table]:
        """Return a table of the accuracies, and the largest weights of each model."""
        first = self.agents[0]
        columns = ("agent", "accuracy", "base rate", "nearer one", "repeats", "beats base", "cue chosen", "decisions")
        return (
            f"{first.family}, shift {first.shift}: which of goal and cue is reached first, predicted from the geometry "
            "of the first decision point.\nHeld-out levels; 95 % intervals cover levels, not training seeds.",
            Table(columns, [one.row() for one in self.agents]),
            "Largest weights, positive for the cue:\n"
            + "\n".join(f"{one.agent}: {one.largest_weights()}" for one in self.agents),
            *(["\n".join(one.sentence for one in self.overlaps)] if self.overlaps else []),
        )


def run(config: EvalConfig) -> Regressions:
    """Fit the choices of each agent on one set of levels and evaluate the model on another.

    Raises:
        GoalmazeError: an agent or shift is unknown, or an agent makes too few choices.
    """
    regressions, overlaps = [], []
    for name in config.agents:
        agent = load_agent(name, config.device)
        family = evaluation_family(agent, config)
        shift = family.distinguishing_shift if config.shift is None else config.shift
        regression = regress(
            name, agent.policy, family, shift=shift, levels=config.levels, seed=config.seed, greedy=config.greedy
        )
        regressions.append(regression)
        overlaps.append(quick_overlap(agent, family.levels(config.seed, count=config.levels, shift=shift)))
    return Regressions(tuple(regressions), tuple(overlaps))


def regress(
    name: str,
    policy: Policy,
    family: Family,
    *,
    shift: str,
    levels: int = 512,
    seed: int = 0,
    fit_levels: int = 2048,
    greedy: bool = False,
) -> Regression:
    """Fit a model to a policy's choices and evaluate it on held-out levels.

    Args:
        name: of the agent, for the result.
        policy: the agent's policy.
        family: of the levels.
        shift: of the levels.
        levels: number of held-out evaluation levels.
        seed: of the levels and of the sampled actions.
        fit_levels: number of levels of the fitting split.
        greedy: take the most probable action instead of sampling.

    Raises:
        GoalmazeError: the agent makes fewer than `MIN_DECISIONS` choices on the levels to fit to.
    """

    def choices(split: str, count: int, action_seed: int) -> tuple[LevelBatch, Decisions]:
        batch = family.levels(seed, np.arange(count), shift, split)
        first = decisions(rollout(policy, batch, seed=action_seed, greedy=greedy))
        # an episode that reached neither goal nor cue has no label
        return batch, first.take(first.chose >= 0)

    parts = [(FITTING, fit_levels, seed), (EVALUATION, levels, seed), (EVALUATION, levels, seed + 1)]
    played = [choices(*part) for part in progress(parts, f"playing {name}", "part")]
    (fit_batch, fitted), (batch, held_out), (_, repeated) = played
    if len(fitted) < MIN_DECISIONS:
        raise GoalmazeError(
            f"{name} makes {len(fitted)} choices between {family.goal} and {family.cue} on {fit_levels} levels of "
            f"shift '{shift}', {MIN_DECISIONS} are needed: choose a shift that separates them, or a more capable agent"
        )
    model = fit_logistic(features(fit_batch, fitted), fitted.chose)
    more_common = int(fitted.chose.mean() > 0.5)
    cue_nearer_by = held_out.to_goal - held_out.to_cue
    correct = (model.probabilities(features(batch, held_out)) > 0.5) == held_out.chose
    base_correct = held_out.chose == more_common
    return Regression(
        agent=name,
        family=family.name,
        shift=shift,
        fitted=len(fitted),
        skipped=levels - len(held_out),
        accuracy=_rate(correct),
        base_rate=_rate(base_correct),
        nearest=_rate(np.where(cue_nearer_by == 0, more_common, cue_nearer_by > 0) == held_out.chose),
        repeats=_repeats(held_out, repeated),
        p_value=sign_flip_test(correct.astype(np.float64) - base_correct) if len(held_out) else 1.0,
        cue_chosen=_rate(held_out.chose == 1),
        weights=dict(zip(FEATURES, model.weights.tolist(), strict=True)),
    )


def _repeats(one: Decisions, other: Decisions) -> Rate:
    # Sampled actions decide whether an episode has a decision point: only levels with one in both are compared.
    _, ours, theirs = np.intersect1d(one.rows, other.rows, return_indices=True)
    return _rate(one.chose[ours] == other.chose[theirs])


def _rate(correct: NDArray[np.bool_]) -> Rate:
    return rate(int(correct.sum()), len(correct))
