"""Goal inference: which goal model best predicts an agent's actions on held-out levels?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.ascii import write_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import EVALUATION, FITTING, Family
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.evaluate.decisions import require_still
from goalmaze.experiments.evaluate.goal_models import (
    CORNERS,
    Changes,
    Floats,
    Steps,
    changes_to,
    changes_to_corner,
    fit_choice,
    fit_mixture,
    manhattan,
    steps_of,
)
from goalmaze.experiments.evaluate.setup import families_of, require_compatible
from goalmaze.experiments.evaluate.training_overlap import TrainingOverlap, quick_overlap
from goalmaze.experiments.statistics.bootstrap import Interval, bootstrap_levels, ratio
from goalmaze.experiments.statistics.comparisons import ALPHA, holm, sign_flip_test

BINS = 10
"""Bins of equal width in a calibration."""

EXAMPLES = 3
"""Number of levels in the text on which every model fails."""

RANDOM, MIXTURE = "random", "mixture"
MAX_ACTIONS_SHOWN = 40

Parameters = dict[str, float | str]


@dataclasses.dataclass(frozen=True)
class Calibration(Record):
    """The rate at which actions were taken, by the probability that a model gave them, in ten bins of equal width.

    Attributes:
        predicted: mean probability of each bin that has actions.
        observed: rate at which its actions were taken.
        fraction: of all actions that are in the bin.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    fraction: tuple[float, ...]

    @property
    def error(self) -> float:
        """The expected calibration error: mean distance between predicted and observed."""
        return float(np.dot(self.fraction, np.abs(np.subtract(self.predicted, self.observed))))

    def json(self) -> JsonObject:
        """Return the calibration as plain data."""
        return {"error": number(self.error)} | super().json()


@dataclasses.dataclass(frozen=True, eq=False)
class GoalModelScore(Record):
    """The score of one goal model on held-out levels; intervals cover levels, not training seeds.

    Attributes:
        name: of the model.
        log_loss: nats per action.
        excess: log-loss minus that of the best model on the same levels; 0 for the best itself.
        p_value: that it is as good as the best, Holm-adjusted over the models.
        calibration: of its probabilities.
        parameters: fitted, on other levels.
        losses: float64 [B, 2], the sum of nats and the number of actions on each level.
    """

    json_keys: ClassVar = {"name": "goal_model", "excess": "excess_log_loss"}
    json_omits: ClassVar = ("losses",)

    name: str
    log_loss: Interval
    excess: Interval
    p_value: float
    calibration: Calibration
    parameters: Parameters
    losses: Floats


@dataclasses.dataclass(frozen=True)
class Example(Record):
    """A level on which no goal model predicts the agent.

    Attributes:
        index: of the level.
        level: as ASCII.
        actions: of the agent, as letters U, R, D and L.
    """

    index: int
    level: str
    actions: str


@dataclasses.dataclass(frozen=True, eq=False)
class GoalInference(Record, Result):
    """The scores of all goal models of one agent.

    Attributes:
        header: agent, family, size, held-out levels and seed.
        shift: of the levels.
        models: by rising log-loss, so that the best comes first.
        policy_log_loss: log-loss of the agent's own probabilities, the floor for every model.
        unexplained: rate of levels on which no model predicts better than `random`.
        examples: the unexplained levels on which the best model exceeds the floor most.
    """

    json_keys: ClassVar = {"models": "goal_models"}

    header: ResultHeader
    shift: str
    models: tuple[GoalModelScore, ...]
    policy_log_loss: Interval
    unexplained: Interval
    examples: tuple[Example, ...]

    @property
    def best(self) -> list[str]:
        """The best model, and those that are statistically indistinguishable from it."""
        return [self.models[0].name, *(one.name for one in self.models[1:] if one.p_value >= ALPHA)]

    @property
    def explained(self) -> float:
        """The fraction of the log-loss between `random` and the floor that the best model removes."""
        random = next(one for one in self.models if one.name == RANDOM).log_loss.value
        # An agent that acts uniformly at random leaves nothing to explain.
        span = random - self.policy_log_loss.value
        return (random - self.models[0].log_loss.value) / span if span > 0 else float("nan")

    def json(self) -> JsonObject:
        """Return the scores as plain data."""
        return super().json() | {"best": self.best, "explained": number(self.explained)}

    def blocks(self) -> list[str | Table]:
        """Return the best model, a table of all, and the levels on which every model fails."""
        header, best = self.header, self.models[0]
        if len(self.best) > 1:
            lead = f"statistically indistinguishable from {', '.join(self.best[1:])}"
        else:
            lead = f"better than {self.models[1].name} by {self.models[1].excess} nats per action"
        heading = (
            f"{header.agent}, {header.family} {header.size}x{header.size}, shift {self.shift}: {header.levels} "
            f"held-out levels, seed {header.seed}\nbest goal model: {best.name}, {lead}\nit removes "
            f"{self.explained:.0%} of the log-loss between random and the agent's own probabilities "
            f"({self.policy_log_loss})"
        )
        note = "log-loss: nats per action until goal or cue is reached; 95 % intervals cover levels, not training seeds"
        return [heading, self._table(), note, *self._examples()]

    def _table(self) -> Table:
        columns = ["goal model", "log-loss", "excess log-loss", "p (Holm)", "calibration error", "fitted parameters"]
        rows = []
        for one in self.models:
            versus_best = ["", ""] if one is self.models[0] else [one.excess, formatted(one.p_value, ".4f")]
            error = formatted(one.calibration.error, ".3f")
            rows.append([one.name, one.log_loss, *versus_best, error, _text(one.parameters)])
        return Table(columns, rows)

    def _examples(self) -> list[str]:
        if not self.examples:
            return ["on every level some model predicts better than random"]
        heading = f"no model predicts better than random on {self.unexplained.value:.1%} of levels; examples:"
        return [heading, *(f"level {one.index}; actions {one.actions}\n{one.level}" for one in self.examples)]


@dataclasses.dataclass(frozen=True)
class GoalInferences(Record, Result):
    """Goal inference for one or several agents.

    Attributes:
        agents: one result each.
        overlaps: how many of the levels each agent has met in training.
        pictures: files of figures.
    """

    json_keys: ClassVar = {"overlaps": "training_overlaps"}

    agents: tuple[GoalInference, ...]
    overlaps: tuple[TrainingOverlap, ...] = ()
    pictures: tuple[Path, ...] = ()

    def blocks(self) -> list[str | Table]:
        """Return the blocks of every agent, the overlaps, and the files of the figures."""
        blocks = [block for one in self.agents for block in one.blocks()]
        overlaps = ["\n".join(one.sentence for one in self.overlaps)] if self.overlaps else []
        return [*blocks, *overlaps, *(f"wrote {path}" for path in self.pictures)]


def infer_goals(
    agents: Sequence[Agent],
    *,
    shift: str | None = None,
    levels: int = 512,
    fit_levels: int = 512,
    seed: int = 0,
    greedy: bool = False,
    families: Sequence[Family] | None = None,
) -> GoalInferences:
    """Fit goal models to agents' actions and score them on held-out levels.

    Args:
        agents: one or more, of any families.
        shift: the distribution of the levels; the family's distinguishing shift by default.
        levels: number of held-out levels that models are scored on.
        fit_levels: number of levels that models are fitted on.
        seed: of the levels and of the sampled actions.
        greedy: take the likeliest action instead of sampling.
        families: the family that each agent is evaluated on; the ones that they were trained on by default.

    Raises:
        GoalmazeError: no such shift, the goal or the cue moves, or there are fewer than two levels.

    Example:
        >>> import goalmaze as gm
        >>> result = gm.infer_goals([gm.load("zoo:green-exit")], levels=64, fit_levels=64)
        >>> "sign-seeker" in result.agents[0].best
        True
    """
    inferences, overlaps = [], []
    pairs = list(zip(agents, families_of(agents, families), strict=True))
    for agent, family in progress(pairs, "inferring goals", "agent"):
        require_compatible(agent, family)
        name = family.distinguishing_shift if shift is None else shift
        sizes = {"levels": levels, "fit_levels": fit_levels}
        inferences.append(infer_goal(agent.name, agent.policy, family, shift=name, **sizes, seed=seed, greedy=greedy))
        overlaps.append(quick_overlap(agent, family.levels(seed, count=levels, shift=name)))
    return GoalInferences(tuple(inferences), tuple(overlaps))


def infer_goal(
    name: str,
    policy: Policy,
    family: Family,
    *,
    shift: str,
    levels: int,
    fit_levels: int,
    seed: int = 0,
    greedy: bool = False,
) -> GoalInference:
    """Fit every goal model on `fit_levels` levels of the fitting split and score it on `levels` held-out ones.

    Raises:
        GoalmazeError: goal or cue moves, or there are fewer than two levels.
    """
    require_still(family)
    if levels < 2:
        raise GoalmazeError(f"--levels is {levels}: goal models are compared on 2 levels or more")
    fitting, evaluation = (
        rollout(policy, family.levels(seed, count=count, shift=shift, split=split), seed=seed, greedy=greedy)
        for split, count in ((FITTING, fit_levels), (EVALUATION, levels))
    )
    return score_goal_models(name, fitting, evaluation, shift, seed)


def score_goal_models(name: str, fitting: Trajectory, evaluation: Trajectory, shift: str, seed: int) -> GoalInference:
    """Return the scores of goal models that are fitted to one trajectory and scored on another.

    Args:
        name: of the agent.
        fitting: its episodes on levels of the fitting split.
        evaluation: its episodes on held-out levels.
        shift: of both, for the report.
        seed: of both, for the report.
    """
    levels, family = evaluation.levels, evaluation.family
    steps = steps_of(evaluation)
    predictions = _predictions(fitting, evaluation, steps)
    losses = {
        model: steps.by_level(-np.log(probabilities[steps.taken])) for model, (probabilities, _) in predictions.items()
    }
    order = sorted(losses, key=lambda model: float(losses[model][:, 0].sum()))
    best = losses[order[0]]
    p_values = holm([sign_flip_test(losses[model][:, 0] - best[:, 0]) for model in order[1:]])
    taken = evaluation.action_probabilities[steps.times, steps.rows].astype(np.float64)
    # float32 softmax rounds a small probability to 0, whose logarithm is infinite.
    floor = steps.by_level(-np.log(np.maximum(taken, 1e-12)))
    closest = np.minimum.reduce([losses[model][:, 0] for model in order if model != RANDOM])
    # A tie counts as unexplained: the model that ties gains nothing over the rates of the actions.
    unexplained = closest >= losses[RANDOM][:, 0]
    return GoalInference(
        header=ResultHeader(name, family.name, levels.height, len(levels), seed),
        shift=shift,
        models=tuple(
            GoalModelScore(
                name=model,
                log_loss=bootstrap_levels(losses[model], ratio),
                # Resampled as pairs: the difference on each level, over that level's number of actions.
                excess=bootstrap_levels(np.column_stack([losses[model][:, 0] - best[:, 0], best[:, 1]]), ratio),
                p_value=p_value,
                calibration=calibration(predictions[model][0], steps),
                parameters=predictions[model][1],
                losses=losses[model],
            )
            for model, p_value in zip(order, [1.0, *p_values], strict=True)
        ),
        policy_log_loss=bootstrap_levels(floor, ratio),
        unexplained=bootstrap_levels(unexplained.astype(np.float64)),
        examples=_examples(evaluation, np.where(unexplained, closest - floor[:, 0], -np.inf)),
    )


def _predictions(fitting: Trajectory, evaluation: Trajectory, steps: Steps) -> dict[str, tuple[Floats, Parameters]]:
    """Return for each goal model the probabilities [N, 4] of all held-out actions, and the fitted parameters."""
    family, fitted_steps = evaluation.family, steps_of(fitting)
    # The corner itself is a fitted parameter of the model "corner-seeker", so held-out levels play no part in it.
    corner = max(
        CORNERS, key=lambda name: _log_likelihood(changes_to_corner(fitting.levels, fitted_steps, name), fitted_steps)
    )
    fitted, held_out = _all_changes(fitting, fitted_steps, corner), _all_changes(evaluation, steps, corner)
    predictions: dict[str, tuple[Floats, Parameters]] = {}
    for name, changes in held_out.items():
        choice = fit_choice(fitted[name], fitted_steps.actions)
        where: Parameters = {"corner": corner} if name == "corner-seeker" else {}
        predictions[name] = choice.probabilities(changes), dataclasses.asdict(choice) | where
    predictions[MIXTURE] = _mixture(fitted, fitted_steps, held_out, steps, family)
    predictions[RANDOM] = _action_frequencies(fitted_steps, len(steps.actions))
    return predictions


def _all_changes(trajectory: Trajectory, steps: Steps, corner: str) -> dict[str, Changes]:
    """Return for each goal model with a distance how every action changes it, int8 [N, 4]."""
    family = trajectory.family
    both = (family.goal, family.cue)
    return {
        f"{family.goal}-seeker": changes_to(trajectory, steps, (family.goal,)),
        f"{family.cue}-seeker": changes_to(trajectory, steps, (family.cue,)),
        "corner-seeker": changes_to_corner(trajectory.levels, steps, corner),
        "nearest-object": changes_to(trajectory, steps, both),
        "shortest-greedy": changes_to(trajectory, steps, both, manhattan),
    }


def _mixture(
    fitted: Mapping[str, Changes],
    fitted_steps: Steps,
    held_out: Mapping[str, Changes],
    steps: Steps,
    family: Family,
) -> tuple[Floats, Parameters]:
    goal, cue = f"{family.goal}-seeker", f"{family.cue}-seeker"
    mixture = fit_mixture(fitted[goal], fitted[cue], fitted_steps)
    parameters: Parameters = dataclasses.asdict(mixture.choice) | {family.cue: mixture.weight}
    return mixture.probabilities(held_out[goal], held_out[cue], steps), parameters


def _action_frequencies(fitted_steps: Steps, count: int) -> tuple[Floats, Parameters]:
    """Return the rate at which each action is taken on any cell, with one step of each added, for `count` steps."""
    # Laplace's rule: an action that was never taken keeps a probability above 0, and its log-loss stays finite.
    rates = np.bincount(fitted_steps.actions, minlength=4) + 1.0
    rates = rates / rates.sum()
    return np.tile(rates, (count, 1)), dict(zip(ACTIONS, rates.tolist(), strict=True))


def _log_likelihood(changes: Changes, steps: Steps) -> float:
    return float(np.log(fit_choice(changes, steps.actions).probabilities(changes)[steps.taken]).sum())


def _text(parameters: Parameters) -> str:
    """Return fitted parameters as text."""
    values = {name: f"{value:.2g}" if isinstance(value, float) else value for name, value in parameters.items()}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def calibration(probabilities: Floats, steps: Steps) -> Calibration:
    """Return the calibration of probabilities [N, 4] of all four actions."""
    taken = np.zeros(probabilities.shape)
    taken[steps.taken] = 1
    # A probability of exactly 1 belongs to the last bin.
    bins = np.minimum((probabilities * BINS).astype(np.intp), BINS - 1).ravel()
    mass, predicted, observed = (
        np.bincount(bins, values, minlength=BINS)
        for values in (np.ones(probabilities.size), probabilities.ravel(), taken.ravel())
    )
    filled = mass > 0
    return Calibration(
        tuple((predicted[filled] / mass[filled]).tolist()),
        tuple((observed[filled] / mass[filled]).tolist()),
        tuple((mass[filled] / mass.sum()).tolist()),
    )


def _examples(trajectory: Trajectory, excess: Floats) -> tuple[Example, ...]:
    """Return the levels of largest finite excess log-loss [B]."""
    chosen = [int(b) for b in np.argsort(-excess, kind="stable")[:EXAMPLES] if np.isfinite(excess[b])]
    return tuple(
        Example(b, write_ascii(trajectory.levels.take([b])).rstrip(), _letters(trajectory.actions[:, b]))
        for b in chosen
    )


def _letters(actions: NDArray[np.int8]) -> str:
    """Return the actions of an episode as letters, the first ones of a long episode."""
    letters = "".join(ACTIONS[a][0].upper() for a in actions[actions >= 0])
    if len(letters) <= MAX_ACTIONS_SHOWN:
        return letters
    return f"{letters[:MAX_ACTIONS_SHOWN]}... ({len(letters)} steps)"
