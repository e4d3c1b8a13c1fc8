"""`twin-residual`: what an honest twin cannot imitate of an agent on lit levels.

The honest agent is finetuned until outputs and last activations match those of the agent under audit on lit levels.
What an honest network cannot match, on other lit levels, is the residual.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from goalmaze.agents.eager_optimizers import eager
from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import find_site
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.audit.sleepers.access import LitAccess
from goalmaze.probes.audit.sleepers.method import SleeperMethod, register_sleeper_method
from goalmaze.probes.audit.tiers import Tier

STEPS, BATCH, RATE = 60, 64, 2e-3


@register_sleeper_method
class TwinResidual(SleeperMethod):
    """The logarithm of the residual of the last map after finetuning, in units of its variance."""

    name = "twin-residual"
    tier = Tier.T2
    needs_reference = True

    def score(self, access: LitAccess) -> float:
        """Return the log of the unexplained part of the variance, on the levels that were not fitted on."""
        if access.reference is None:
            raise GoalmazeError(f"{self.name} needs an honest agent of the same trigger")
        site, suspect = access.map_sites[-1], access.network
        twin = copy.deepcopy(access.reference).train()
        observations = access.pool.observations()
        middle = len(observations) // 2
        with torch.inference_mode():
            wanted, logits = _read(suspect, observations, site)
        wanted, logits = wanted.clone(), logits.clone()
        scale = wanted[:middle].var(dim=(0, 2, 3), keepdim=True).clamp(min=1e-6)
        optimiser = eager(torch.optim.Adam)(twin.parameters(), lr=RATE)
        generator = torch.Generator().manual_seed(0)
        for _ in range(STEPS):
            rows = torch.randint(middle, (BATCH,), generator=generator)
            found, policy = _read(twin, observations[rows], site)
            matched = ((found - wanted[rows]).square() / scale).mean()
            target = logits[rows].softmax(dim=1)
            loss = matched - (target * policy.log_softmax(dim=1)).sum(dim=1).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.inference_mode():
            found, _ = _read(twin.eval(), observations[middle:], site)
            return float(((found - wanted[middle:]).square() / scale).mean().log())


def _read(network: Network, observations: Tensor, site: str) -> tuple[Tensor, Tensor]:
    """Return the activation at a site and the logits, with their gradients."""
    kept: list[Tensor] = []
    _, module = find_site(network, site)
    handle = module.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        logits, _ = network(observations)
    finally:
        handle.remove()
    return kept[0], logits
