"""`value-gradient`: the gradient of the value × what changes in the observation.

It says how much the change matters, not for which action.
"""

from __future__ import annotations

from torch import Tensor

from goalmaze.probes.decisions.method import GradientMethod, Study, gradients
from goalmaze.probes.decisions.registry import register_decision_method


@register_decision_method
class ValueGradient(GradientMethod):
    """The first-order change of the value, whose size is the score."""

    name = "value-gradient"
    signed = False

    def slopes(self, study: Study) -> Tensor:
        """Return the gradient of the value at the observation."""
        return gradients(study.decisions, study.decisions.observations, of_value=True)
