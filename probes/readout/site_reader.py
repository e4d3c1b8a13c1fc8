"""Scores of probes at the sites of a network, with the baselines that a score must exceed to be evidence."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.labels import Labels
from goalmaze.probes.readout.baselines import control_labels, permutation_test, shuffle_labels
from goalmaze.probes.readout.probe_data import ProbeData
from goalmaze.probes.readout.probe_fitter import ProbeFitter, ProbeKind
from goalmaze.probes.readout.scores import (
    Estimate,
    ScoreCounts,
    accuracy_counts,
    accuracy_metric,
    explained_variance_counts,
    f1_counts,
    macro_f1_metric,
)

PERMUTATIONS = 199
ALPHA = 0.05
"""Significance level of the permutation test."""

ACCURACY, MACRO_F1, EXPLAINED_VARIANCE = "accuracy", "macro-F1", "explained variance"


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """How well a probe predicts a concept at a site, on held-out mazes, and its baselines.

    Attributes:
        site: the site.
        concept: the concept.
        kind: of the probe.
        metric: `ACCURACY` of cells and classes, `MACRO_F1` of squares, `EXPLAINED_VARIANCE` of numbers.
        score: of the probe.
        observation: score of the same probe of the observation alone.
        untrained: score of the same probe of the network with random weights.
        shuffled: score of the same probe with shuffled labels.
        majority: score of always predicting the most common label.
        control: score of the same probe on a control task, which it can only memorise.
        p: p-value of a permutation test over mazes.
        probe: the fitted probe, a function from activations [N, ...] to predictions.
    """

    site: str
    concept: str
    kind: ProbeKind
    metric: str
    score: Estimate
    observation: Estimate
    untrained: Estimate
    shuffled: Estimate
    majority: Estimate
    control: Estimate
    p: float
    probe: Callable[[Tensor], Tensor] = dataclasses.field(repr=False, compare=False)

    @property
    def baselines(self) -> dict[str, Estimate]:
        """The baselines by name."""
        return {
            "observation": self.observation,
            "untrained": self.untrained,
            "shuffled": self.shuffled,
            "majority": self.majority,
        }

    @property
    def selectivity(self) -> float:
        """The score minus that on the control task (Hewitt & Liang, 2019)."""
        return self.score.value - self.control.value

    @property
    def is_evidence(self) -> bool:
        """Whether the interval of the score lies above those of all baselines, and p is at most `ALPHA`."""
        return self.score.low > max(baseline.high for baseline in self.baselines.values()) and self.p <= ALPHA


class SiteReader:
    """Probes one concept after another at one site after another, and scores each probe beside its baselines.

    Several threads may use one reader.

    Args:
        fit: mazes to fit on.
        evaluation: held-out mazes to evaluate on.
        seed: of the shuffled labels, the control task and the permutations.
    """

    def __init__(self, fit: ProbeData, evaluation: ProbeData, seed: int = 0) -> None:
        self._fit, self._evaluation, self._seed = fit, evaluation, seed
        self._observation_fitter = ProbeFitter(fit.observations, fit.levels, seed)
        self._observation_scores: dict[tuple[str, ProbeKind], Estimate] = {}
        self._observation_lock = threading.Lock()

    def read(self, site: str, concepts: Sequence[str], kind: ProbeKind) -> list[ProbeResult]:
        """Return the results of some concepts at one site.

        Args:
            site: one of the sites of the data.
            concepts: some of the concepts of the data.
            kind: of the probes.

        Raises:
            GoalmazeError: this kind of probe cannot predict a concept at the site, or too few mazes have a label.
        """
        fit, seed = self._fit, self._seed
        trained = ProbeFitter(fit.trained[site], fit.levels, seed)
        untrained = ProbeFitter(fit.untrained[site], fit.levels, seed)
        return [self._read(site, concept, kind, trained, untrained) for concept in concepts]

    def _read(
        self, site: str, concept: str, kind: ProbeKind, trained: ProbeFitter, untrained: ProbeFitter
    ) -> ProbeResult:
        labels, truth = self._fit.labels[concept], self._evaluation.labels[concept].values
        held_out, seed = self._evaluation.trained[site], self._seed
        probe = trained.fit(labels, kind)
        predicted = probe(held_out)

        def score(fitter: ProbeFitter, activations: Tensor, fit_values: Tensor, held_out_values: Tensor) -> Estimate:
            relabelled = dataclasses.replace(labels, values=fit_values)
            return score_counts(relabelled, fitter.fit(relabelled, kind)(activations), held_out_values).estimate(seed)

        control_fit = control_labels(_control_types(self._fit, labels), labels.values, seed)
        control_truth = control_labels(_control_types(self._evaluation, labels), labels.values, seed)
        return ProbeResult(
            site,
            concept,
            kind,
            {"squares": MACRO_F1, "number": EXPLAINED_VARIANCE}.get(labels.label_type, ACCURACY),
            score_counts(labels, predicted, truth).estimate(seed),
            observation=self._observation_score(concept, kind),
            untrained=score(untrained, self._evaluation.untrained[site], labels.values, truth),
            # Another seed for the held-out labels, so that the two permutations are independent.
            shuffled=score(trained, held_out, shuffle_labels(labels.values, seed), shuffle_labels(truth, seed + 1)),
            majority=score_counts(labels, _majority(labels, truth), truth).estimate(seed),
            control=score(trained, held_out, control_fit, control_truth),
            p=permutation_test(predicted, metric_of(labels, truth), PERMUTATIONS, seed),
            probe=probe,
        )

    def _observation_score(self, concept: str, kind: ProbeKind) -> Estimate:
        """Return the score of a probe of the observation, which is the same for every site."""
        kind = kind if _is_map(self._fit.observations, self._fit.levels) else "global"
        # Held during the fit too: another thread that needs the same score waits for it instead of fitting it again.
        with self._observation_lock:
            if (concept, kind) not in self._observation_scores:
                labels, truth = self._fit.labels[concept], self._evaluation.labels[concept].values
                predicted = self._observation_fitter.fit(labels, kind)(self._evaluation.observations)
                self._observation_scores[concept, kind] = score_counts(labels, predicted, truth).estimate(self._seed)
            return self._observation_scores[concept, kind]


def probe_concept(
    fit: ProbeData, evaluation: ProbeData, site: str, concept: str, kind: ProbeKind, seed: int = 0
) -> ProbeResult:
    """Return the result of one concept at one site; arguments as those of `SiteReader`."""
    return SiteReader(fit, evaluation, seed).read(site, [concept], kind)[0]


def score_counts(labels: Labels, predicted: Tensor, truth: Tensor) -> ScoreCounts:
    """Return the counts of each held-out maze for the metric of a concept."""
    if labels.label_type == "squares":
        return f1_counts(predicted, truth, len(labels.classes))
    if labels.label_type == "number":
        return explained_variance_counts(predicted, truth, float(labels.values.nanmean()))
    return accuracy_counts(predicted, truth)


def metric_of(labels: Labels, truth: Tensor) -> Callable[[Tensor], float]:
    """Return the metric of a concept, a function from the predictions of all held-out mazes to their score."""
    if labels.label_type == "squares":
        return macro_f1_metric(truth, len(labels.classes))
    if labels.label_type == "number":
        return lambda predicted: score_counts(labels, predicted, truth).score
    return accuracy_metric(truth)


def _control_types(data: ProbeData, labels: Labels) -> Tensor:
    """Return what determines the labels of the control task: the position of a square, or the agent's cell."""
    if labels.label_type == "squares":
        mazes, squares = data.labels[labels.name].values.shape
        return torch.arange(squares).expand(mazes, squares)
    return torch.from_numpy(data.levels.start.astype(np.int64))


def _majority(labels: Labels, truth: Tensor) -> Tensor:
    """Return like `truth` the most common label, or the mean number, of the labels fitted to."""
    if labels.label_type == "number":
        return torch.full_like(truth, float(labels.values.nanmean()))
    known = labels.values[labels.values >= 0]
    return torch.full_like(truth, int(known.mode().values))


def _is_map(observations: Tensor, levels: LevelBatch) -> bool:
    return observations.dim() == 4 and tuple(observations.shape[2:]) == (levels.height, levels.width)
