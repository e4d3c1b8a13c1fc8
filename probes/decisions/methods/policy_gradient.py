"""`policy-gradient`: the gradient of the action's margin × what changes in the observation (Simonyan et al., 2014)."""

from __future__ import annotations

from torch import Tensor

from goalmaze.probes.decisions.method import GradientMethod, Study, gradients
from goalmaze.probes.decisions.registry import register_decision_method


@register_decision_method
class PolicyGradient(GradientMethod):
    """The first-order change of the margin."""

    name = "policy-gradient"

    def slopes(self, study: Study) -> Tensor:
        """Return the gradient of the margin at the observation."""
        return gradients(study.decisions, study.decisions.observations, of_value=False)
