"""Scores of probes at the sites of a network, with the baselines that a score must exceed to be evidence.

The baseline of the observation uses the same squares as the probe: each square, all of them together, or the window of
the same side around the agent. Where one prediction is made for the maze, a second baseline uses the whole observation
centred on the agent, which includes what any layer can have moved to the agent's square.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.labels import Labels
from goalmaze.probes.readout.baselines import control_labels, permutation_test, shuffle_labels
from goalmaze.probes.readout.probe_data import ProbeData
from goalmaze.probes.readout.probe_fitter import (
    AGENT_SIDES,
    WINDOW_SIDES,
    ProbeFitter,
    ProbeKind,
    around_agent,
    used_features,
)
from goalmaze.probes.readout.scores import (
    Estimate,
    ScoreCounts,
    accuracy_counts,
    accuracy_metric,
    ceiling,
    explained_variance_counts,
    f1_counts,
    macro_f1_metric,
)

PERMUTATIONS = 199
ALPHA = 0.05
"""Significance level of the permutation test."""

ACCURACY, MACRO_F1, EXPLAINED_VARIANCE = "accuracy", "macro-F1", "explained variance"

CENTRED: Literal["centred"] = "centred"
"""The name of the baseline that uses the whole observation centred on the agent."""

Verdict = Literal["evidence", "no evidence", "undecidable"]


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """How well a probe predicts a concept at a site, on held-out mazes, and its baselines.

    Attributes:
        site: the site.
        concept: the concept.
        kind: of the probe.
        metric: `ACCURACY` of cells and classes, `MACRO_F1` of squares, `EXPLAINED_VARIANCE` of numbers.
        score: of the probe.
        observation: score of the same probe of the observation alone, with the same window.
        centred: score of a linear probe of the whole observation centred on the agent; None where the probe predicts
            squares, or the observation is no map of squares.
        untrained: score of the same probe of the network with random weights.
        shuffled: score of the same probe with shuffled labels.
        majority: score of always predicting the most common label.
        control: score of the same probe on a control task, which it can only memorise.
        p: p-value of a permutation test over mazes.
        labelled: number of held-out mazes that have a label.
        probe: the fitted probe, a function from the features that its kind uses [N, ...] to predictions.
    """

    site: str
    concept: str
    kind: ProbeKind
    metric: str
    score: Estimate
    observation: Estimate
    centred: Estimate | None
    untrained: Estimate
    shuffled: Estimate
    majority: Estimate
    control: Estimate
    p: float
    labelled: int
    probe: Callable[[Tensor], Tensor] = dataclasses.field(repr=False, compare=False)

    @property
    def baselines(self) -> dict[str, Estimate]:
        """The baselines by name."""
        return {
            "observation": self.observation,
            **({} if self.centred is None else {CENTRED: self.centred}),
            "untrained": self.untrained,
            "shuffled": self.shuffled,
            "majority": self.majority,
        }

    @property
    def selectivity(self) -> float:
        """The score minus that on the control task (Hewitt & Liang, 2019)."""
        return self.score.value - self.control.value

    @property
    def verdict(self) -> Verdict:
        """Whether the score is evidence that the trained network encodes the concept.

        It is evidence where its interval lies above those of all baselines and p is at most `ALPHA`. It is undecidable
        where the interval of a baseline reaches that of a perfect score, which no score can exceed.
        """
        highest = max(baseline.high for baseline in self.baselines.values())
        if highest >= ceiling(self.labelled):
            return "undecidable"
        return "evidence" if self.score.low > highest and self.p <= ALPHA else "no evidence"


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
        self._observations: dict[str, _Features] = {}
        self._observation_scores: dict[tuple[str, str], Estimate] = {}
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
        fit, evaluation = self._fit, self._evaluation
        trained = self._features(fit.trained[site], evaluation.trained[site], kind)
        untrained = self._features(fit.untrained[site], evaluation.untrained[site], kind)
        return [self._read(site, concept, kind, trained, untrained) for concept in concepts]

    def _features(self, fit: Tensor, held_out: Tensor, kind: ProbeKind) -> _Features:
        used, held_out = (
            used_features(activations, data.levels, kind)
            for activations, data in ((fit, self._fit), (held_out, self._evaluation))
        )
        return _Features(ProbeFitter(used, self._fit.levels, self._seed), held_out)

    def _read(self, site: str, concept: str, kind: ProbeKind, trained: _Features, untrained: _Features) -> ProbeResult:
        labels, truth, seed = self._fit.labels[concept], self._evaluation.labels[concept].values, self._seed
        probe = trained.fitter.fit(labels, kind)
        predicted = probe(trained.held_out)

        def score(features: _Features, fit_values: Tensor, held_out_values: Tensor) -> Estimate:
            return features.score(dataclasses.replace(labels, values=fit_values), held_out_values, kind, seed)

        control_fit = control_labels(_control_types(self._fit, labels), labels.values, seed)
        control_truth = control_labels(_control_types(self._evaluation, labels), labels.values, seed)
        return ProbeResult(
            site,
            concept,
            kind,
            {"squares": MACRO_F1, "number": EXPLAINED_VARIANCE}.get(labels.label_type, ACCURACY),
            score_counts(labels, predicted, truth).estimate(seed),
            observation=self._observation_score(concept, kind),
            centred=self._centred_score(concept, kind),
            untrained=score(untrained, labels.values, truth),
            # Another seed for the held-out labels, so that the two permutations are independent.
            shuffled=score(trained, shuffle_labels(labels.values, seed), shuffle_labels(truth, seed + 1)),
            majority=score_counts(labels, _majority(labels, truth), truth).estimate(seed),
            control=score(trained, control_fit, control_truth),
            p=permutation_test(predicted, metric_of(labels, truth), PERMUTATIONS, seed),
            labelled=labelled_mazes(self._evaluation.labels[concept]),
            probe=probe,
        )

    def _observation_score(self, concept: str, kind: ProbeKind) -> Estimate:
        """Return the score of the same probe of the observation, which is the same for every site."""
        kind = kind if _is_map(self._fit.observations, self._fit.levels) else "global"
        fit, evaluation = self._fit.observations, self._evaluation.observations
        # Probes of all squares share one fitter; what probes of the agent's square use depends on their kind.
        look = kind if kind in AGENT_SIDES else "all squares"
        return self._baseline(concept, kind, look, lambda: self._features(fit, evaluation, kind))

    def _centred_score(self, concept: str, kind: ProbeKind) -> Estimate | None:
        """Return the score of a global probe of the whole observation centred on the agent, the same for every site."""
        if kind in WINDOW_SIDES or not _is_map(self._fit.observations, self._fit.levels):
            return None

        def centred() -> _Features:
            fit, held_out = (
                # From a corner, a window of this side still covers the opposite corner.
                around_agent(data.observations, data.levels, 2 * max(data.levels.height, data.levels.width) - 1)
                for data in (self._fit, self._evaluation)
            )
            return _Features(ProbeFitter(fit, self._fit.levels, self._seed), held_out)

        return self._baseline(concept, "global", CENTRED, centred)

    def _baseline(self, concept: str, kind: ProbeKind, look: str, features: Callable[[], _Features]) -> Estimate:
        """Return the score of a probe of the observation, of features that are computed once for each look."""
        key = (concept, f"{kind} {look}")
        # Held during the fit too: another thread that needs the same score waits for it instead of fitting it again.
        with self._observation_lock:
            if key not in self._observation_scores:
                if look not in self._observations:
                    self._observations[look] = features()
                labels, truth = self._fit.labels[concept], self._evaluation.labels[concept].values
                self._observation_scores[key] = self._observations[look].score(labels, truth, kind, self._seed)
            return self._observation_scores[key]


@dataclasses.dataclass(frozen=True, eq=False)
class _Features:
    """What a kind of probe uses: of the mazes to fit on, inside a fitter, and of the held-out mazes.

    Attributes:
        fitter: fits probes to the features of the mazes to fit on.
        held_out: [M, ...], the features of the held-out mazes.
    """

    fitter: ProbeFitter
    held_out: Tensor

    def score(self, labels: Labels, truth: Tensor, kind: ProbeKind, seed: int) -> Estimate:
        """Return the score on held-out labels like `truth` of a probe fitted to `labels`."""
        return score_counts(labels, self.fitter.fit(labels, kind)(self.held_out), truth).estimate(seed)


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


def labelled_mazes(labels: Labels) -> int:
    """Return the number of mazes that have a label, of at least one square where every square can have one."""
    values = labels.values.reshape(len(labels.values), -1)
    known = ~values.isnan() if labels.label_type == "number" else values >= 0
    return int(known.any(dim=1).sum())


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
