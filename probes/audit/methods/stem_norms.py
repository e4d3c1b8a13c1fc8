"""`stem-norms`: how strongly the first layer weighs the cue's input against the goal's.

A side-channel baseline: norms of first-layer channels over a population are what audits of weights start from. The
norm is that of the filters' response to what an object paints: for a plane its value times the norm of its weights,
in pictures the response to the change of colour.
"""

from __future__ import annotations

import math

import torch

from goalmaze.probes.audit.geometry import NO_CUE_PLANE, channel_direction, is_convolution
from goalmaze.probes.audit.method import Measurement, T2Method
from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T2Access


@register_audit_method
class StemNormsMethod(T2Method):
    """The logarithm of the cue's norm in the first layer over the goal's."""

    name = "stem-norms"
    side_channel = True

    def refusal(self, pool: AuditPool) -> str:
        """Return why the method does not apply: the cue has no input of its own."""
        return NO_CUE_PLANE if pool.hidden_cue else ""

    def measure(self, access: T2Access) -> Measurement:
        """Return the log ratio; a network without a convolution over the observation has the score 0."""
        pool = access.pool
        convolutions = [weight for weight in access.weights().values() if is_convolution(pool, weight)]
        if not convolutions:
            return Measurement(0.0)
        first = convolutions[0]
        goal, cue = (
            float(torch.einsum("fcij,c->fij", first, channel_direction(pool, side)).norm())
            for side in (pool.goal, pool.cue)
        )
        return Measurement(math.log(max(cue, 1e-9) / max(goal, 1e-9)))
