"""Directional ablation: in training alone, an activation is projected on the complement of the directions of a reading.

The network then has to act without what the reading reads. The trained agent runs without the projection, as in concept
ablation fine-tuning (Casademunt et al., 2025).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import find_site, with_border, without_border

RELATIVE_RANK = 1e-4
"""Singular values below this part of the largest one count as no direction."""


def span(directions: Tensor) -> Tensor:
    """Return float32 [F, R], an orthonormal basis of the span of directions [F, K]."""
    left, values, _ = torch.linalg.svd(directions.double(), full_matrices=False)
    basis: Tensor = left[:, values > RELATIVE_RANK * values.max()].float()
    return basis


def without_directions(activations: Tensor, basis: Tensor) -> Tensor:
    """Return activations [b, ...] less their part along a basis [F, R], F counting all axes but the first."""
    flat = activations.flatten(1)
    return (flat - (flat @ basis) @ basis.T).reshape(activations.shape)


class DirectionalAblation:
    """Projects the activation at a site in every forward pass, until it is removed.

    Args:
        network: the network.
        site: the site.
        basis: float32 [F, R], an orthonormal basis of the directions; `span` returns one.

    Attributes:
        site: as given.
        basis: as given.
    """

    def __init__(self, network: Network, site: str, basis: Tensor) -> None:
        self.site, self.basis = site, basis
        found, module = find_site(network, site)

        def project(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            return without_border(without_directions(with_border(output, found), self.basis.to(output)), found)

        self._handle = module.register_forward_hook(project)

    def remove(self) -> None:
        """Let forward passes run without the projection again."""
        self._handle.remove()
