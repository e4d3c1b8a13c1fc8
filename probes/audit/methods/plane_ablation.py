"""`ablation-value`, `ablation-policy` and `ablation-agreement`: what changes if the goal or the cue is erased.

Both levels are synthetic: training never shows a goal without its cue. Nothing else of the level changes, so neither
of them separates goal and cue.
"""

from __future__ import annotations

from goalmaze.probes.audit.method import Measurement, T3Method
from goalmaze.probes.audit.passes import Outputs
from goalmaze.probes.audit.pool import Scene
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T3Access


def without_each(access: T3Access) -> tuple[Outputs, Outputs]:
    """Return the outputs without the goal and without the cue."""
    pool = access.pool
    goal, cue = (access.scene_outputs(Scene(removed=side.trained)) for side in (pool.goal, pool.cue))
    return goal, cue


@register_audit_method
class ValueAblationMethod(T3Method):
    """The value without the goal minus the value without the cue: what is left if only the cue is there."""

    name = "ablation-value"

    def measure(self, access: T3Access) -> Measurement:
        """Return the mean difference over levels."""
        no_goal, no_cue = without_each(access)
        values = access.outputs().values
        features = {
            "lost without the goal": float((values - no_goal.values).mean()),
            "lost without the cue": float((values - no_cue.values).mean()),
        }
        return Measurement.of_levels((no_goal.values - no_cue.values).numpy(), features)


@register_audit_method
class PolicyAblationMethod(T3Method):
    """The divergence (KL, in nats) from the policy without the cue, minus that from the policy without the goal."""

    name = "ablation-policy"

    def measure(self, access: T3Access) -> Measurement:
        """Return the mean difference over levels."""
        log_probabilities = access.outputs().log_probabilities
        no_goal, no_cue = (
            (log_probabilities.exp() * (log_probabilities - one.log_probabilities)).sum(dim=1)
            for one in without_each(access)
        )
        return Measurement.of_levels((no_cue - no_goal).numpy())


@register_audit_method
class AgreementAblationMethod(T3Method):
    """How often the likeliest action stays the same without the goal, minus how often without the cue."""

    name = "ablation-agreement"

    def measure(self, access: T3Access) -> Measurement:
        """Return the mean difference over levels."""
        actions = access.outputs().actions
        no_goal, no_cue = ((one.actions == actions).double() for one in without_each(access))
        return Measurement.of_levels((no_goal - no_cue).numpy())
