"""How well a plan can be read on every square, at every tick and layer, beside baselines of the same footprint."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import Trajectory, observations_of, rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import EVALUATION, FITTING, NO_SHIFT, Family, LevelBatch
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.evaluate.training_overlap import wall_digests
from goalmaze.probes.labels import Labels
from goalmaze.probes.plans import PLAN_CONCEPTS, plan_labels, planning_network, read_ticks
from goalmaze.probes.readout.baselines import shuffle_labels
from goalmaze.probes.readout.scores import Estimate, f1_counts, recall_counts
from goalmaze.probes.readout.windows import SquareClassFitter, WindowClassProbe

SIDES = (1, 3)
"""Sides of the windows that probes use: each square, and the 3x3 squares around it."""

MAX_EXAMINED = 64
"""At most so many evaluation levels are examined for each one that is wanted with walls that no probe was fitted on."""


@dataclasses.dataclass(frozen=True, eq=False)
class PlanData:
    """Levels with what the agent does in them and the maps along its ticks.

    Attributes:
        levels: N levels.
        observations: float32 [N, C, H, W], the first observations.
        trained: tick → layer → float32 [N, C, H, W], the cell states of the agent's network.
        untrained: the same of the network with random weights.
        trajectory: the episodes of the agent's likeliest actions.
        labels: by concept.
    """

    levels: LevelBatch
    observations: Tensor
    trained: list[list[Tensor]]
    untrained: list[list[Tensor]]
    trajectory: Trajectory
    labels: dict[str, Labels]


@dataclasses.dataclass(frozen=True, eq=False)
class PlanSplits:
    """Mazes to fit probes on, and held-out mazes with other walls to evaluate them on."""

    fit: PlanData
    evaluation: PlanData


@dataclasses.dataclass(frozen=True)
class PlanReading:
    """How well a probe predicts a concept of the plan from the cell state of a layer, on held-out mazes.

    Attributes:
        concept: one of `PLAN_CONCEPTS`.
        side: of the window in squares.
        layer: from 1.
        tick: from 1, of the first step.
        score: macro-F1.
        recall: balanced accuracy, the mean recall over classes.
        observation: macro-F1 of the same probe of the observation.
        untrained: of the same probe of the network with random weights.
        shuffled: of the same probe with shuffled labels.
    """

    concept: str
    side: int
    layer: int
    tick: int
    score: Estimate
    recall: Estimate
    observation: Estimate
    untrained: Estimate
    shuffled: Estimate

    @property
    def above(self) -> bool:
        """Whether the interval of the score lies above those of all baselines."""
        return self.score.low > max(one.high for one in (self.observation, self.untrained, self.shuffled))

    def json(self) -> JsonObject:
        """Return the reading as plain data."""
        return {
            "concept": self.concept,
            "window": self.side,
            "layer": self.layer,
            "tick": self.tick,
            "macro_f1": number(self.score.value),
            "macro_f1_interval": {"low": number(self.score.low), "high": number(self.score.high)},
            "balanced_accuracy": number(self.recall.value),
            "baselines": {name: number(getattr(self, name).value) for name in ("observation", "untrained", "shuffled")},
            "above_baselines": self.above,
        }


@dataclasses.dataclass(frozen=True)
class PlanRefinement:
    """How well one probe of each square predicts a plan along the ticks of several passes on one observation.

    Attributes:
        concept: one of `PLAN_CONCEPTS`.
        layer: from 1.
        scores: macro-F1 after each tick, of the probe that was fitted at the last tick of the first step.
    """

    concept: str
    layer: int
    scores: tuple[Estimate, ...]

    def json(self) -> JsonObject:
        """Return the scores as plain data."""
        return {
            "concept": self.concept,
            "layer": self.layer,
            "macro_f1": [number(one.value) for one in self.scores],
            "macro_f1_intervals": [{"low": number(one.low), "high": number(one.high)} for one in self.scores],
        }


@dataclasses.dataclass(frozen=True, eq=False)
class PlanReadings:
    """All readings of an agent.

    Attributes:
        readings: by concept, window, layer and tick of the first step.
        refinements: by concept and layer, along the ticks of several passes.
        probes: the probes of single squares at the last tick of the first step, by concept and layer from 0.
    """

    readings: tuple[PlanReading, ...]
    refinements: tuple[PlanRefinement, ...]
    probes: dict[tuple[str, int], WindowClassProbe] = dataclasses.field(repr=False)


def gather_plan_data(
    agent: Agent, *, family: Family, levels: int, fit_levels: int, passes: int, seed: int
) -> PlanSplits:
    """Return what probes of plans are fitted to and evaluated on: no walls of the one occur in the other.

    Args:
        agent: the agent, with network drc.
        family: of the levels.
        levels: number of evaluation levels.
        fit_levels: number of fitting levels.
        passes: number of forward passes on the first observation.
        seed: of the levels and of the untrained network.

    Raises:
        GoalmazeError: the network has no ticks, or there are too few mazes with other walls.
    """
    network = planning_network(agent.network)
    family.check_addresses(seed, NO_SHIFT, EVALUATION)
    fit = family.levels(seed, np.arange(fit_levels), NO_SHIFT, FITTING)
    evaluation = levels_with_other_walls(fit, family, levels, seed)
    untrained = planning_network(network.untrained(seed))

    def gather(batch: LevelBatch) -> PlanData:
        observations = observations_of(agent.policy, batch).copy()
        trajectory = greedy_rollout(agent.policy, batch, seed)
        return PlanData(
            batch,
            torch.from_numpy(observations).float(),
            read_ticks(network, observations, passes),
            read_ticks(untrained, observations, passes),
            trajectory,
            plan_labels(trajectory),
        )

    return PlanSplits(gather(fit), gather(evaluation))


def greedy_rollout(policy: NetworkPolicy, levels: LevelBatch, seed: int) -> Trajectory:
    """Return one episode of the likeliest actions on each level; it ends at the goal or the cue."""
    return rollout(policy, levels, seed=seed, greedy=True, until=levels.cells(levels.family.cue))


def levels_with_other_walls(fit: LevelBatch, family: Family, count: int, seed: int) -> LevelBatch:
    """Return the first `count` evaluation levels whose walls are not those of a fitting level.

    Raises:
        GoalmazeError: there are too few of them.
    """
    known, kept, examined = wall_digests(fit), list[int](), 0
    while len(kept) < count and examined < MAX_EXAMINED * count:
        indices = np.arange(examined, examined + count)
        batch = family.levels(seed, indices, NO_SHIFT, EVALUATION)
        kept += indices[~np.isin(wall_digests(batch), known)].tolist()
        examined += count
    if len(kept) < count:
        raise GoalmazeError(
            f"only {len(kept)} of the first {examined} evaluation levels have walls that no fitting level has: ask for "
            "fewer levels or fitting levels, or choose a larger size or a higher braid"
        )
    return family.levels(seed, kept[:count], NO_SHIFT, EVALUATION)


def read_plans(splits: PlanSplits, ticks: int, seed: int) -> PlanReadings:
    """Return the readings of all concepts, windows, layers and ticks of the first step, and their refinement.

    Args:
        splits: what to fit to and to evaluate on.
        ticks: number of ticks of one step.
        seed: of the mazes that probes are fitted on, of shuffled labels and of intervals.
    """
    fit, evaluation = splits.fit, splits.evaluation
    layers = range(len(fit.trained[0]))
    jobs = [(side, layer, tick) for side in SIDES for layer in layers for tick in range(ticks)]
    observation = {
        (concept, side): score
        for side in SIDES
        for concept, score in _scores(splits, fit.observations, evaluation.observations, side, seed)
    }
    probes: dict[tuple[str, int], WindowClassProbe] = {}
    readings: list[PlanReading] = []
    for side, layer, tick in progress(jobs, "reading plans", "map"):
        for reading, probe in _readings_at(splits, side, layer, tick, observation, seed):
            readings.append(reading)
            if side == 1 and tick == ticks - 1:
                probes[reading.concept, layer] = probe
    refinements = tuple(
        PlanRefinement(
            concept,
            layer + 1,
            tuple(_score(evaluation.labels[concept], probe(tick[layer]), seed) for tick in evaluation.trained),
        )
        for (concept, layer), probe in sorted(
            probes.items(), key=lambda one: (PLAN_CONCEPTS.index(one[0][0]), one[0][1])
        )
    )
    readings.sort(key=lambda one: (PLAN_CONCEPTS.index(one.concept), one.side, one.layer, one.tick))
    return PlanReadings(tuple(readings), refinements, probes)


def _score(labels: Labels, predicted: Tensor, seed: int) -> Estimate:
    """Return the macro-F1 of predictions int64 [N, H*W]."""
    return f1_counts(predicted, labels.values, len(labels.classes)).estimate(seed)


def _scores(splits: PlanSplits, fit: Tensor, held_out: Tensor, side: int, seed: int) -> Iterator[tuple[str, Estimate]]:
    """Yield the macro-F1 of a probe of each concept, fitted to maps [N, C, H, W] and applied to others."""
    fitter = SquareClassFitter(fit, side, seed)
    for concept, labels in splits.fit.labels.items():
        probe = fitter.fit(labels.values, len(labels.classes))
        yield concept, _score(splits.evaluation.labels[concept], probe(held_out), seed)


def _readings_at(
    splits: PlanSplits, side: int, layer: int, tick: int, observation: dict[tuple[str, int], Estimate], seed: int
) -> Iterator[tuple[PlanReading, WindowClassProbe]]:
    """Yield the reading of each concept at one map, and its probe."""
    fit, evaluation = splits.fit, splits.evaluation
    held_out = evaluation.trained[tick][layer]
    fitter = SquareClassFitter(fit.trained[tick][layer], side, seed)
    untrained = dict(_scores(splits, fit.untrained[tick][layer], evaluation.untrained[tick][layer], side, seed))
    for concept, labels in fit.labels.items():
        truth, classes = evaluation.labels[concept], len(labels.classes)
        probe = fitter.fit(labels.values, classes)
        shuffled = fitter.fit(shuffle_labels(labels.values, seed), classes)
        predicted = probe(held_out)
        # Another seed for the held-out labels, so that the two permutations are independent.
        shuffled_truth = dataclasses.replace(truth, values=shuffle_labels(truth.values, seed + 1))
        yield (
            PlanReading(
                concept,
                side,
                layer + 1,
                tick + 1,
                _score(truth, predicted, seed),
                recall_counts(predicted, truth.values, classes).estimate(seed),
                observation[concept, side],
                untrained[concept],
                _score(shuffled_truth, shuffled(held_out), seed),
            ),
            probe,
        )
