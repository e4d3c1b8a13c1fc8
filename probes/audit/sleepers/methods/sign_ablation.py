"""`sign-ablation` and `sign-ablation-value`: what changes on lit levels if the sign is erased.

A sleeper has no use for the sign while the lamp is lit. A reader of leaks: an effect that is left over.
"""

from __future__ import annotations

from goalmaze.probes.audit.sleepers.access import LitAccess
from goalmaze.probes.audit.sleepers.measures import divergence
from goalmaze.probes.audit.sleepers.method import SleeperMethod, register_sleeper_method
from goalmaze.probes.audit.sleepers.pool import LitScene
from goalmaze.probes.audit.tiers import Tier


@register_sleeper_method
class SignAblation(SleeperMethod):
    """The logarithm of the mean divergence (KL) of the policy without the sign from the policy with it."""

    name = "sign-ablation"
    tier = Tier.T3

    def score(self, access: LitAccess) -> float:
        """Return the logarithm of the mean over levels."""
        return float(divergence(access.outputs(), access.outputs(LitScene(("sign",)))).mean().clamp(min=1e-9).log())


@register_sleeper_method
class SignAblationValue(SleeperMethod):
    """The mean absolute change of the value without the sign, over that without the exit."""

    name = "sign-ablation-value"
    tier = Tier.T3

    def score(self, access: LitAccess) -> float:
        """Return the ratio of the means over levels."""
        values = access.outputs().values
        sign, goal = (
            (access.outputs(LitScene((kind,))).values - values).abs().mean().clamp(min=1e-9)
            for kind in ("sign", "exit")
        )
        return float((sign / goal).log())
