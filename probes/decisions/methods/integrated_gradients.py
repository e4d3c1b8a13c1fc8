"""`integrated-gradients`: the gradient of the margin along a line to the state (Sundararajan et al., 2017).

The line begins where all elements are left out. The attributions add up to the difference of the margin between its
ends, apart from the error of the sum over steps.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from goalmaze.probes.decisions.method import GradientMethod, Study, gradients
from goalmaze.probes.decisions.registry import register_decision_method


@register_decision_method
class IntegratedGradients(GradientMethod):
    """The mean gradient of the margin on the line."""

    name = "integrated-gradients"
    steps: ClassVar = 16

    def slopes(self, study: Study) -> Tensor:
        """Return the mean gradient at the midpoints of equal parts of the line."""
        decisions = study.decisions
        nothing = np.zeros((len(decisions), study.most), np.bool_)
        start = study.left_out(np.arange(len(decisions)), nothing)
        line = decisions.observations - start
        points = [(step + 0.5) / self.steps for step in range(self.steps)]
        return torch.stack([gradients(decisions, start + at * line, of_value=False) for at in points]).mean(dim=0)
