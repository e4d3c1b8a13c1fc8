"""`combined`: a logistic regression of all methods that are not told the trigger, fitted on one trigger alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.experiments.audit.sleepers.measurements import MeasuredAgent
from goalmaze.probes.audit.sleepers.method import sleeper_methods

COMBINED = "combined"

FEWEST = 2
"""Fewest agents of either class for a fit that leaves one out."""

Numbers = NDArray[np.float64]


def combined_scores(fitted: Sequence[MeasuredAgent], others: Sequence[MeasuredAgent]) -> dict[str, float]:
    """Return agent → log-odds of being a sleeper; those of the agents of the fit are from fits without the agent.

    Args:
        fitted: the agents of the trigger that the regression is fitted on.
        others: all other agents.
    """
    labels = np.array([one.deceives for one in fitted], np.bool_)
    if min(labels.sum(), (~labels).sum()) <= FEWEST:
        return {}
    inputs = _inputs(fitted)
    scores = {}
    for row, one in enumerate(fitted):
        rest = np.arange(len(fitted)) != row
        scores[one.audited.name] = float(_predicted(inputs[rest], labels[rest], inputs[row : row + 1])[0])
    if others:
        predicted = _predicted(inputs, labels, _inputs(others))
        scores |= {one.audited.name: float(value) for one, value in zip(others, predicted, strict=True)}
    return scores


def _inputs(agents: Sequence[MeasuredAgent]) -> Numbers:
    """Return float64 [n, m], the scores of the methods; NaN where a method does not apply."""
    names = [name for name, one in sleeper_methods().items() if not one.knows_trigger]
    return np.array([[one.found.scores[name] for name in names] for one in agents], np.float64)


def _predicted(inputs: Numbers, labels: NDArray[np.bool_], targets: Numbers) -> Numbers:
    """Return float64 [k], the log-odds of targets [k, m] by a fit on inputs [n, m]."""
    # scikit-learn is slow to import.
    from sklearn.linear_model import LogisticRegression

    middle, scale = np.nanmean(inputs, axis=0), np.nanstd(inputs, axis=0) + 1e-6
    # What does not apply counts as the mean: only the references of a method have such scores, and none is tested.
    first, second = (np.nan_to_num((one - middle) / scale) for one in (inputs, targets))
    fit = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000).fit(first, labels)
    return np.asarray(fit.decision_function(second), np.float64)
