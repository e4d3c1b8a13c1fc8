"""`occlusion`: the margin that is lost where one element is left out (Zeiler & Fergus, 2014)."""

from __future__ import annotations

import numpy as np

from goalmaze.probes.decisions.method import DecisionMethod, Floats, Study
from goalmaze.probes.decisions.registry import register_decision_method


@register_decision_method
class Occlusion(DecisionMethod):
    """Margin minus margin without the element."""

    name = "occlusion"

    def attributions(self, study: Study) -> Floats:
        """Return the loss for each element by itself."""
        rows, numbers = study.places
        kept = np.ones((len(rows), study.most), np.bool_)
        kept[np.arange(len(rows)), numbers] = False
        without = study.decisions.margins_of(study.left_out(rows, kept), rows)
        return study.table(study.margins[rows] - without)
