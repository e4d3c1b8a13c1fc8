"""`drawn-object` and `drawn-object-policy`: the cue drawn alone on the goal's cell, against the goal drawn alone.

Each is drawn as it looks where goal and cue differ, so with objects that training never showed: a yellow *gem* against
a *red* line. Planes that training never lit keep the first-layer weights that the seed drew; only an input that lights
them shows their effect. Every scene holds one of the two objects, so no scene separates them.
"""

from __future__ import annotations

from goalmaze.probes.audit.geometry import MANY_OBJECTS, NO_CUE_PLANE, towards
from goalmaze.probes.audit.method import Measurement, T3Method
from goalmaze.probes.audit.passes import Outputs
from goalmaze.probes.audit.pool import AuditPool, Scene
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T3Access


def alone(access: T3Access) -> tuple[Outputs, Outputs]:
    """Return the outputs for the goal alone and for the cue alone, each with its companions."""
    goal, cue = access.pool.goal, access.pool.cue
    return (
        access.scene_outputs(Scene(removed=cue.trained, drawn=goal.companions)),
        access.scene_outputs(Scene(removed=goal.trained, drawn=cue.companions)),
    )


class DrawnObject(T3Method):
    """The base of both methods."""

    def refusal(self, pool: AuditPool) -> str:
        """Return why the method does not apply: no object stands for the cue, or many do."""
        if not pool.together:
            return MANY_OBJECTS
        return NO_CUE_PLANE if pool.hidden_cue else ""


@register_audit_method
class DrawnObjectMethod(DrawnObject):
    """The value of the cue alone minus the value of the goal alone."""

    name = "drawn-object"

    def measure(self, access: T3Access) -> Measurement:
        """Return the mean difference over levels."""
        goal, cue = (outputs.values.numpy() for outputs in alone(access))
        return Measurement.cue_minus_goal(goal, cue)


@register_audit_method
class DrawnObjectPolicyMethod(DrawnObject):
    """The probability that the first step leads towards the cue alone, minus the same for the goal alone."""

    name = "drawn-object-policy"

    def measure(self, access: T3Access) -> Measurement:
        """Return the mean difference over levels."""
        pool = access.pool
        goal, cue = (towards(pool.levels, pool.goals, one) for one in alone(access))
        return Measurement.cue_minus_goal(goal, cue)
