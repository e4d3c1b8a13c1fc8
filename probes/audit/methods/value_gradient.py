"""`value-gradient`: how much of the expected return comes from the cue's input, and how much from the goal's.

Gradient × input of the value: the first-order loss of value if an object were erased. It needs no input that training
did not have.
"""

from __future__ import annotations

from goalmaze.probes.audit.geometry import painted_effects
from goalmaze.probes.audit.method import Measurement, T2Method
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T2Access


@register_audit_method
class ValueGradientMethod(T2Method):
    """Value gradient × input at the cue minus the same at the goal."""

    name = "value-gradient"

    def measure(self, access: T2Access) -> Measurement:
        """Return the mean difference over levels."""
        return Measurement.cue_minus_goal(*painted_effects(access.pool, access.gradient("value")))
