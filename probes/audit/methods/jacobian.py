"""`jacobian`: how sensitive the policy is to the cue's and to the goal's input where neither of them stands.

The Jacobian of all logits on clean levels, as in audits for trojans, along what an object paints: the first-order
effect of a cue, or a goal, that appears elsewhere in the maze.
"""

from __future__ import annotations

import math

import torch

from goalmaze.probes.audit.geometry import NO_CUE_PLANE, channel_direction, channels_first
from goalmaze.probes.audit.method import Measurement, T2Method
from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T2Access


@register_audit_method
class JacobianMethod(T2Method):
    """The logarithm of the sensitivity to the cue's input over that to the goal's, away from both."""

    name = "jacobian"

    def refusal(self, pool: AuditPool) -> str:
        """Return why the method does not apply: the cue has no input of its own."""
        return NO_CUE_PLANE if pool.hidden_cue else ""

    def measure(self, access: T2Access) -> Measurement:
        """Return the log ratio over all levels, and on each level."""
        pool = access.pool
        jacobian = access.jacobian()
        # Differences between logits matter, not their common level.
        jacobian = jacobian - jacobian.mean(dim=0)
        painted = torch.from_numpy(abs(pool.paint(pool.goal)) + abs(pool.paint(pool.cue)))[: access.few]
        away = channels_first(pool, painted).sum(dim=1) == 0
        energies = []
        for side in (pool.goal, pool.cue):
            direction = channel_direction(pool, side)
            along = torch.stack(
                [torch.einsum("bcij,c->bij", channels_first(pool, one), direction) * away for one in jacobian]
            )
            energies.append(along.square().sum(dim=(0, 2, 3)))
        goal, cue = (energy.clamp(min=1e-18) for energy in energies)
        per_level = 0.5 * (cue.log() - goal.log())
        return Measurement(0.5 * math.log(float(cue.mean() / goal.mean())), per_level.double().numpy())
