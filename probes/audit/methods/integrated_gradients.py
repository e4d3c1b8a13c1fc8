"""`integrated-gradients`: the value that goal and cue add, divided between their inputs along a line.

Sundararajan et al. (2017), from the levels without goal and cue to the pool. The parts of the two objects add up to the
whole difference of value, apart from the error of the sum over steps. The inputs on the line are synthetic.
"""

from __future__ import annotations

from goalmaze.probes.audit.geometry import painted_effects
from goalmaze.probes.audit.method import Measurement, T3Method
from goalmaze.probes.audit.pool import Scene
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T3Access

STEPS = 6
"""Points on the line."""


@register_audit_method
class IntegratedGradientsMethod(T3Method):
    """The cue's part of the value minus the goal's."""

    name = "integrated-gradients"

    def measure(self, access: T3Access) -> Measurement:
        """Return the mean difference over levels."""
        pool = access.pool
        blank = Scene(removed=(*pool.goal.trained, *pool.cue.trained))
        return Measurement.cue_minus_goal(*painted_effects(pool, access.path_gradient(blank, "value", STEPS)))
