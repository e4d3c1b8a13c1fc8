"""The base of penalties that read linear directions of an activation, one class for each action.

Axes: N levels, b observations, A actions, F features of an activation, flattened.
"""

from __future__ import annotations

import abc
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import find_site, with_border
from goalmaze.agents.training.penalties.base import Penalty, PenaltyOptions
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import View
from goalmaze.probes.readout.linear import GlobalFitter


def site_features(network: Network, observations: Tensor, site: str) -> Tensor:
    """Return [b, F], the activation at a site for observations [b, ...], flattened; gradients pass.

    Raises:
        GoalmazeError: there is no such site.
    """
    kept: list[Tensor] = []
    found, module = find_site(network, site)

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        kept.append(with_border(output, found).flatten(1))

    handle = module.register_forward_hook(keep)
    try:
        network(observations)
    finally:
        handle.remove()
    return kept[-1]


class DirectionPenalty(Penalty):
    """A linear reading with one score for each action; a subclass says which actions count as read, and how it fits.

    The number is how far the log-probability of the actions that count exceeds that of a uniform guess, in nats; 0
    where it does not. Without this floor the term would reward a network for encoding the opposite.

    Args:
        family: the family of the run.
        view: what draws its observations.
        seed: of the levels in the pool.
        options: the options.

    Attributes:
        weights: float32 [F, A]; empty before the first fit.
        bias: float32 [A].
    """

    has_directions = True

    def __init__(self, family: Family, view: View, seed: int, options: PenaltyOptions) -> None:
        super().__init__(family, view, seed, options)
        self.weights, self.bias = torch.zeros(0), torch.zeros(0)

    @property
    def shift(self) -> str:
        """The distinguishing shift, whose levels separate goal and cue."""
        return self.family.distinguishing_shift

    @abc.abstractmethod
    def classes(self, observations: Tensor) -> Tensor:
        """Return bool [b, A], the classes that count as read on observations [b, ...]; none where it has no label."""

    def fit(self, network: Network) -> None:
        """Fit the probe to a network, on all levels of the pool that have a label."""
        with torch.no_grad():
            features = site_features(network, self.pool, self.site_of(network)).float()
        self.weights, self.bias = self.fitted(features, self.classes(self.pool))

    def fitted(self, features: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights [F, A] and bias [A] from features [N, F] and the classes bool [N, A] of the pool."""
        labels = torch.where(classes.any(dim=1), classes.int().argmax(dim=1), -1)
        probe = GlobalFitter(features).fit_classes(labels, classes.shape[1])
        return probe.weights, probe.bias

    def scores(self, network: Network, observations: Tensor) -> Tensor:
        """Return float32 [b], the excess over a uniform guess in nats."""
        logits = site_features(network, observations, self.site_of(network)).float() @ self.weights + self.bias
        return excess(logits, self.classes(observations))

    def directions(self, network: Network) -> tuple[str, Tensor]:
        """Return the site and float32 [F, A], the weights less their mean over classes, which no class differs by."""
        return self.site_of(network), self.weights - self.weights.mean(dim=1, keepdim=True)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the probe, as arrays."""
        return {"weights": self.weights.numpy(), "bias": self.bias.numpy()}

    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        """Restore the probe."""
        self.weights, self.bias = (torch.from_numpy(arrays[name]) for name in ("weights", "bias"))


def excess(logits: Tensor, classes: Tensor) -> Tensor:
    """Return [b], by how many nats the probability of the classes that count exceeds that of a uniform guess, or 0.

    Args:
        logits: [b, A].
        classes: bool [b, A], the classes that count; rows without any have the number 0.
    """
    count = classes.sum(dim=1)
    # A finite number and not -inf: rows without a class would otherwise have NaN as their gradient.
    chosen = torch.where(classes, logits.log_softmax(dim=1), -1e9).logsumexp(dim=1)
    above = chosen + math.log(classes.shape[1]) - count.clamp(min=1).log()
    return torch.where(count > 0, torch.relu(above), 0.0)
