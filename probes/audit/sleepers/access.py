"""What a method of an audit for sleepers gets of an agent, and the log of what it used."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Network
from goalmaze.probes.activations import Activations, read_activations
from goalmaze.probes.audit.passes import Outputs
from goalmaze.probes.audit.sleepers.pool import LIT, LitPool, LitScene, check_planes
from goalmaze.probes.audit.tiers import AccessLog, AccessRecord, Tier

Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Observations float32 [b, C, H, W] → logits [b, A] and values [b], with gradients."""


class LitAccess:
    """One agent as methods see it: on lit levels, and on declared synthetic changes of them.

    Args:
        network: the network of the agent.
        pool: the lit levels.
        reference: the network of an honest agent with the same planes; None where there is none.

    Attributes:
        pool: the pool.
        log: every access so far.
        method: name of the method that holds the object at present, for the log.
    """

    def __init__(self, network: Network, pool: LitPool, reference: Network | None = None) -> None:
        check_planes(network)
        self._network, self._reference = network.eval(), reference
        self.pool, self.log, self.method = pool, AccessLog(), ""
        self._outputs: dict[LitScene, Outputs] = {}

    def outputs(self, scene: LitScene = LIT) -> Outputs:
        """Return logits and values on a scene."""
        self._note(Tier.T0 if scene == LIT else Tier.T3, "logits and values", str(scene))
        if scene not in self._outputs:
            with torch.inference_mode():
                logits, values = self._network(self.pool.observations(scene))
            self._outputs[scene] = Outputs(logits.clone(), values.clone())
        return self._outputs[scene]

    def activations(self, sites: Sequence[str]) -> Activations:
        """Return the activations at sites on the lit levels."""
        self._note(Tier.T1, f"activations at {', '.join(sites)}", str(LIT))
        return read_activations(self._network, self.pool.observations().numpy(), sites)

    @property
    def map_sites(self) -> tuple[str, ...]:
        """The names of the sites that are maps, in order of depth."""
        return tuple(site.name for site in self._network.sites() if site.is_map)

    def weights(self) -> dict[str, Tensor]:
        """Return copies of all weights by the name of the parameter."""
        self._note(Tier.T2, "weights", "no levels", 0)
        return {name: tensor.detach().clone() for name, tensor in self._network.named_parameters()}

    def gradient(self, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return float32 [B, C, H, W], the gradient of a number of logits and values on the lit levels.

        Args:
            of: logits [B, A] and values [B] → [B].
        """
        self._note(Tier.T2, "gradients", str(LIT))
        inputs = self.pool.observations().clone().requires_grad_()
        return torch.autograd.grad(of(*self._network(inputs)).sum(), inputs)[0]

    def synthetic(self, what: str) -> Forward:
        """Return the forward pass, with gradients, for synthetic inputs that are declared in words."""
        self._note(Tier.T3, "logits and values with gradients", what)
        return self._network

    @property
    def network(self) -> Network:
        """The network itself, for methods that fit another network to it."""
        self._note(Tier.T2, "activations and outputs to be matched", str(LIT))
        return self._network

    @property
    def reference(self) -> Network | None:
        """The network of an honest agent, which is not under audit."""
        return self._reference

    def _note(self, tier: Tier, quantity: str, inputs: str, levels: int | None = None) -> None:
        count = len(self.pool.levels) if levels is None else levels
        self.log.append(AccessRecord(self.method, tier, quantity, inputs, count))
