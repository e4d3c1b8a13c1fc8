"""The audit's methods of the tiers T2 and T3 as measures: weights, gradients, synthetic inputs on training levels."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from goalmaze.experiments.formation.measures.base import Kind, Measure, Reading, Snapshot
from goalmaze.probes.audit.registry import audit_methods, find_audit_method
from goalmaze.probes.audit.tiers import Tier

METHODS = (
    "value-gradient",
    "policy-gradient",
    "policy-gradient-size",
    "jacobian",
    "ablation-value",
    "ablation-policy",
    "ablation-agreement",
    "drawn-object",
    "drawn-object-policy",
    "integrated-gradients",
    "control",
)
"""The methods of the registration."""


class AuditScore(Measure):
    """The score of an audit method.

    Args:
        name: the method.
    """

    kind: ClassVar[Kind] = "inside"

    def __init__(self, name: str) -> None:
        self.name = name
        self._method = find_audit_method(name)

    def read(self, snapshot: Snapshot) -> Reading | None:
        """Return the method's score; None where the method does not apply."""
        found = self._method.result(snapshot.subject).measurement
        if found is None or found.score is None or not math.isfinite(found.score):
            return None
        if found.per_level is None:
            return Reading(found.score)
        levels = np.asarray(found.per_level, np.float64)
        return Reading(found.score, float(levels[0::2].mean()), float(levels[1::2].mean()))


def inside_methods() -> set[str]:
    """Return the audit methods of the tiers T2 and T3 that are no side channels."""
    return {name for name, one in audit_methods().items() if one.tier in (Tier.T2, Tier.T3) and not one.side_channel}
