"""What do an agent's choices follow from? A logistic model of the choice at decision points, on held-out levels.

The behavioural regression of Mini et al., "Understanding and Controlling a Maze-Solving Policy Network" (2023). The
model is fitted by Newton's method with a ridge penalty, twenty lines that scikit-learn's fit is the tests' oracle of:
the package needs neither scikit-learn nor scipy to run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import load_agent
from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, FITTING, Family, LevelBatch
from goalmaze.experiments.common.tables import interval, number, table
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.decision_features import FEATURES, features
from goalmaze.experiments.evaluate.decisions import Decisions, Floats, decisions
from goalmaze.experiments.evaluate.setup import played
from goalmaze.experiments.statistics.comparisons import ALPHA, sign_flip_test
from goalmaze.experiments.statistics.intervals import Rate, rate

RIDGE = 10.0
FEWEST = 40
"""Decisions that a model is fitted to at least."""


@dataclasses.dataclass(frozen=True, eq=False)
class Logistic:
    """A logistic model on standardised features.

    Attributes:
        centre: float64 [F], subtracted from features.
        scale: float64 [F], that they are then divided by.
        weights: float64 [F].
        offset: of the log odds.
    """

    centre: Floats
    scale: Floats
    weights: Floats
    offset: float

    def chances(self, rows: Floats) -> Floats:
        """Return float64 [N], the chance of a 1 for features [N, F]."""
        return _squash((rows - self.centre) / self.scale @ self.weights + self.offset)


def _squash(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))


def fit_logistic(rows: Floats, labels: NDArray[np.integer], ridge: float = RIDGE) -> Logistic:
    """Fit labels [N], 0 or 1, to features [N, F] by Newton's method, `ridge` / 2 times the squared weights a penalty.

    Steps are halved until the penalised likelihood does not fall.
    """
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    design = np.column_stack([(rows - centre) / scale, np.ones(len(rows))])
    penalty = np.append(np.full(rows.shape[1], ridge), 1e-9)
    weights = np.zeros(design.shape[1])
    loss = _loss(design, labels, weights, penalty)
    for _ in range(100):
        chances = _squash(design @ weights)
        slope = design.T @ (chances - labels) + penalty * weights
        curvature = (design * (chances * (1 - chances))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.lstsq(curvature, slope, rcond=None)[0]
        size = 1.0
        while size > 1e-6 and _loss(design, labels, weights - size * step, penalty) > loss:
            size /= 2
        weights = weights - size * step
        before, loss = loss, _loss(design, labels, weights, penalty)
        if before - loss < 1e-10 * (1 + abs(loss)):
            break
    return Logistic(centre, scale, weights[:-1], float(weights[-1]))


def _loss(design: Floats, labels: NDArray[np.integer], weights: Floats, penalty: Floats) -> float:
    odds = design @ weights
    return float(np.logaddexp(0, odds).sum() - odds @ labels + 0.5 * penalty @ weights**2)


@dataclasses.dataclass(frozen=True)
class Regression:
    """How well an agent's choices follow from the geometry of its levels; intervals cover levels, not seeds.

    Attributes:
        agent: its name.
        family: of the levels.
        shift: of the levels.
        fitted: decisions fitted to.
        skipped: held-out levels without a decision, or where neither goal nor cue was reached.
        accuracy: held-out decisions told right.
        base_rate: the same by always telling the commoner choice of those fitted to.
        nearest: the same by telling that the nearer one is chosen, the commoner choice where both are equally far.
        repeats: how often the agent chooses the same again on the same level with other luck, where it chooses again:
            no model of the levels can be expected to tell more.
        p_value: that the model tells no more than the base rate, by a paired test.
        cue_chosen: how often the cue was chosen.
        weights: of each feature once standardised; positive speaks for the cue.
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

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        shares = ("accuracy", "base_rate", "nearest", "repeats", "cue_chosen")
        return {
            "agent": self.agent,
            "family": self.family,
            "shift": self.shift,
            "fitted": self.fitted,
            "skipped": self.skipped,
            **{name: {"value": number(getattr(self, name).value), **interval(getattr(self, name))} for name in shares},
            "p_value": number(self.p_value),
            "intervals_cover": "levels",
            "weights": {name: round(weight, 3) for name, weight in self.weights.items()},
        }


@dataclasses.dataclass(frozen=True)
class Regressions:
    """The regressions of one or several agents."""

    agents: tuple[Regression, ...]

    def json(self) -> dict[str, Any]:
        """Return them as plain data."""
        return {"agents": [one.json() for one in self.agents]}

    def text(self) -> str:
        """Return a table of the accuracies, and under it what weighs most in each model."""
        first = self.agents[0]
        rows = [
            [
                one.agent,
                one.accuracy,
                one.base_rate,
                one.nearest,
                one.repeats,
                "*" if one.p_value < ALPHA else "",
                one.cue_chosen,
                one.accuracy.levels,
            ]
            for one in self.agents
        ]
        columns = [
            "agent",
            "accuracy",
            "base rate",
            "tells the nearer",
            "repeats itself",
            "beats base",
            "chose the cue",
            "decisions",
        ]
        lines = [f"{one.agent}: {self._heaviest(one)}" for one in self.agents]
        return (
            f"{first.family}, shift {first.shift}: which of goal and cue is reached first, told from the geometry\n"
            "where their shortest ways part; held-out levels, 95 % intervals cover levels, not training seeds\n"
            f"{table(columns, rows)}\n\nweighs most, + for the cue:\n" + "\n".join(lines)
        )

    @staticmethod
    def _heaviest(one: Regression) -> str:
        ranked = sorted(one.weights.items(), key=lambda item: -abs(item[1]))[:4]
        return ", ".join(f"{name} {weight:+.2f}" for name, weight in ranked)


def run(config: EvalConfig) -> Regressions:
    """Fit the choices of each agent on one set of levels and judge the model on another.

    Raises:
        GoalmazeError: no such agent or shift; or an agent makes too few choices to fit.
    """
    found = []
    for name in config.agents:
        agent = load_agent(name)
        family = played(agent, config)
        shift = family.distinguishing_shift if config.shift is None else config.shift
        found.append(
            regress(
                name, agent.policy, family, shift=shift, levels=config.levels, seed=config.seed, greedy=config.greedy
            )
        )
    return Regressions(tuple(found))


def regress(
    name: str,
    policy: Policy,
    family: Family,
    *,
    shift: str,
    levels: int,
    seed: int = 0,
    fit_levels: int = 2048,
    greedy: bool = False,
) -> Regression:
    """Fit a model to choices on `fit_levels` levels of the fitting split, and judge it on `levels` held-out ones.

    Raises:
        GoalmazeError: the agent makes too few choices, because it is lost or goal and cue never part.
    """

    def play(split: str, count: int, luck: int) -> tuple[LevelBatch, Decisions]:
        batch = family.levels(seed, np.arange(count), shift, split)
        found = decisions(rollout(policy, batch, seed=luck, greedy=greedy))
        return batch, found.take(found.chose >= 0)

    batch, fitted = play(FITTING, fit_levels, seed)
    labels = fitted.chose
    if len(labels) < FEWEST:
        raise GoalmazeError(
            f"{name} makes {len(labels)} choices between {family.goal} and {family.cue} on {fit_levels} levels of "
            f"shift '{shift}', {FEWEST} are needed: choose a shift in which they part, or an agent that gets somewhere"
        )
    model = fit_logistic(features(batch, fitted), labels)
    batch, judged = play(EVALUATION, levels, seed)
    _, again = play(EVALUATION, levels, seed + 1)
    held, gap = judged.chose, judged.to_goal - judged.to_cue
    common = int(labels.mean() > 0.5)
    told = model.chances(features(batch, judged)) > 0.5
    nearer = np.where(gap == 0, common, gap > 0)
    right, base = told == held, held == common
    return Regression(
        agent=name,
        family=family.name,
        shift=shift,
        fitted=len(labels),
        skipped=levels - len(held),
        accuracy=_share(right),
        base_rate=_share(base),
        nearest=_share(nearer == held),
        repeats=_repeats(judged, again),
        p_value=sign_flip_test(right.astype(np.float64) - base) if len(held) else 1.0,
        cue_chosen=_share(held == 1),
        weights=dict(zip(FEATURES, model.weights.tolist(), strict=True)),
    )


def _repeats(one: Decisions, other: Decisions) -> Rate:
    _, ours, theirs = np.intersect1d(one.rows, other.rows, return_indices=True)
    return _share(one.chose[ours] == other.chose[theirs])


def _share(right: Sequence[bool] | NDArray[np.bool_]) -> Rate:
    return rate(int(np.sum(right)), len(right))
