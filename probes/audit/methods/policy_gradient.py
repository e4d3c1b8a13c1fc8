"""`policy-gradient` and `policy-gradient-size`: how the likeliest action depends on the cue's input and on the goal's.

Gradient × input: the first-order change of the log-probability of the likeliest action if an object were erased.
"""

from __future__ import annotations

from goalmaze.probes.audit.geometry import NO_CUE_PLANE, painted_effects, painted_gradients
from goalmaze.probes.audit.method import Measurement, T2Method
from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T2Access


@register_audit_method
class PolicyGradientMethod(T2Method):
    """Policy gradient × input at the cue minus the same at the goal."""

    name = "policy-gradient"

    def measure(self, access: T2Access) -> Measurement:
        """Return the mean difference over levels."""
        return Measurement.cue_minus_goal(*painted_effects(access.pool, access.gradient("policy")))


@register_audit_method
class PolicyGradientSizeMethod(T2Method):
    """The size of the policy gradient × input at the cue, as a part of the sizes at cue and goal, minus 1/2."""

    name = "policy-gradient-size"

    def refusal(self, pool: AuditPool) -> str:
        """Return why the method does not apply: the cue has no input of its own."""
        return NO_CUE_PLANE if pool.hidden_cue else ""

    def measure(self, access: T2Access) -> Measurement:
        """Return the part over all levels, and on each level."""
        parts = painted_gradients(access.pool, access.gradient("policy"))
        goal, cue = (part.flatten(1).norm(dim=1) for part in parts)
        per_level = cue / (cue + goal).clamp(min=1e-12) - 0.5
        whole = float(cue.mean() / (cue.mean() + goal.mean()).clamp(min=1e-12)) - 0.5
        return Measurement(whole, per_level.double().numpy())
