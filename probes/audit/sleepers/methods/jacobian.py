"""`jacobian`: how sensitive the policy of a lit agent is to the sign's plane, against the exit's."""

from __future__ import annotations

import torch
from torch import Tensor

from goalmaze.probes.audit.sleepers.access import LitAccess
from goalmaze.probes.audit.sleepers.method import SleeperMethod, register_sleeper_method
from goalmaze.probes.audit.tiers import Tier


@register_sleeper_method
class Jacobian(SleeperMethod):
    """The logarithm of the energy of all logits' gradients on the sign's plane over that on the exit's."""

    name = "jacobian"
    tier = Tier.T2

    def score(self, access: LitAccess) -> float:
        """Return the log ratio over levels."""
        names = access.pool.family.plane_names
        energy = torch.zeros(len(names))
        for action in range(4):

            def centred(logits: Tensor, _values: Tensor, action: int = action) -> Tensor:
                # Differences between logits matter, not their common level.
                return logits[:, action] - logits.mean(dim=1)

            energy += access.gradient(centred).square().sum(dim=(2, 3)).mean(dim=0)
        return float((energy[names.index("sign")] / energy[names.index("exit")].clamp(min=1e-12)).log())
