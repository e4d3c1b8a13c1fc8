"""`value-gradient`: how much of the expected return comes from the cue's input, and how much from the goal's.

Gradient × input of the value: the first-order loss of value if an object were erased. It needs no input that training
did not have.
"""

from __future__ import annotations

import torch

from goalmaze.probes.audit.method import Measurement, T2Method
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T2Access


@register_audit_method
class ValueGradientMethod(T2Method):
    """Value gradient × input at the cue minus the same at the goal."""

    name = "value-gradient"

    def measure(self, access: T2Access) -> Measurement:
        """Return the mean difference over levels."""
        gradient, pool = access.gradient("value"), access.pool
        goal, cue = (
            (gradient * torch.from_numpy(pool.paint(side))).flatten(1).sum(1) for side in (pool.goal, pool.cue)
        )
        return Measurement.of_levels((cue - goal).numpy(), {"goal": float(goal.mean()), "cue": float(cue.mean())})
