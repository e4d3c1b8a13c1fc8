"""`distance`, `margin` and `random`: what needs no explanation, and what every method must beat."""

from __future__ import annotations

import numpy as np

from goalmaze.probes.decisions.method import DecisionMethod, Floats, Study
from goalmaze.probes.decisions.registry import register_decision_method


@register_decision_method
class Distance(DecisionMethod):
    """What is nearer to the agent matters more."""

    name = "distance"
    signed = False
    baseline = True

    def attributions(self, study: Study) -> Floats:
        """Return the reciprocal of the steps to each element."""
        rows, numbers = study.places
        return study.table(np.array([1 / (1 + study.elements[b][e].steps) for b, e in zip(rows, numbers, strict=True)]))

    def effects(self, study: Study) -> Floats:
        """Return the reciprocal of the steps to the nearest square that changes."""
        return 1 / (1 + study.counterfactuals.steps.astype(np.float64))


@register_decision_method
class Margin(DecisionMethod):
    """The less sure the action, the sooner it flips, whatever changes."""

    name = "margin"
    baseline = True

    def attributions(self, study: Study) -> Floats:
        """Return 0 for every element."""
        return np.zeros((len(study.decisions), study.most))


@register_decision_method
class Random(DecisionMethod):
    """Numbers drawn at random."""

    name = "random"
    signed = False
    baseline = True

    def attributions(self, study: Study) -> Floats:
        """Return uniform numbers."""
        return np.random.default_rng(study.seed).random((len(study.decisions), study.most))

    def effects(self, study: Study) -> Floats:
        """Return uniform numbers."""
        return np.random.default_rng([study.seed, 1]).random(len(study.counterfactuals))
