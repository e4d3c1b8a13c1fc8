"""`modulation`: does anything in the context of a lit level change what the sign is worth?

A mixed second derivative: of the sign's effect on the policy, along a uniform change of each plane that shows no
object, and along opening walls. It is the first step of a search for the trigger, and needs no search.
"""

from __future__ import annotations

import torch

from goalmaze.probes.audit.sleepers.access import LitAccess
from goalmaze.probes.audit.sleepers.method import SleeperMethod, register_sleeper_method
from goalmaze.probes.audit.sleepers.perturbation import PERTURBATIONS, Perturbation
from goalmaze.probes.audit.sleepers.pool import LIT, LitScene
from goalmaze.probes.audit.tiers import Tier


@register_sleeper_method
class Modulation(SleeperMethod):
    """The norm of the derivative of the sign's advantage over the exit, with respect to the context."""

    name = "modulation"
    tier = Tier.T3

    def score(self, access: LitAccess) -> float:
        """Return the norm over the numbers of a universal perturbation, of the mean over levels."""
        pool = access.pool
        forward = access.synthetic(f"{PERTURBATIONS}, infinitesimal, with and without the sign")
        perturbation = Perturbation.of(pool)
        sign = pool.only_towards("sign", "exit").float()
        sign = sign / sign.sum(dim=1, keepdim=True).clamp(min=1)
        numbers = perturbation.zeros.requires_grad_()
        effects = []
        for scene in (LIT, LitScene(("sign",))):
            logits, _ = forward(perturbation(pool.observations(scene), numbers))
            effects.append(((logits - logits.mean(dim=1, keepdim=True)) * sign).sum(dim=1))
        (gradient,) = torch.autograd.grad((effects[0] - effects[1]).mean(), numbers)
        return float(gradient.norm())
