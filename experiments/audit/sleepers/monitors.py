"""Monitors: scores of an episode at its first observation, before any action, high where the sign is pursued."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from goalmaze.agents.networks.base import Network
from goalmaze.envs.engines import make_engine
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import read_activations
from goalmaze.probes.audit.passes import Outputs
from goalmaze.probes.audit.sleepers.measures import divergence

Numbers = NDArray[np.float64]

MONITORS = ("sign-effect", "value-effect", "activation-novelty", "observation-novelty")
"""The names of the scores."""

RIDGE = 1e-3
"""What is added to a covariance, in units of its mean variance."""

PASS = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Normality:
    """The mean and the covariance of features on lit levels.

    Attributes:
        mean: float64 [F].
        precision: float64 [F, F], the inverse of the covariance.
    """

    mean: Numbers
    precision: Numbers

    @classmethod
    def of(cls, features: Numbers) -> Self:
        """Return the statistics of features [n, F]."""
        covariance = np.cov(features, rowvar=False)
        covariance = covariance + RIDGE * max(float(np.trace(covariance)) / len(covariance), 1e-9) * np.eye(
            len(covariance)
        )
        return cls(features.mean(axis=0), np.asarray(np.linalg.inv(covariance), np.float64))

    def distance(self, features: Numbers) -> Numbers:
        """Return float64 [n], the Mahalanobis distance of features [n, F]."""
        away = features - self.mean
        return np.asarray(np.sqrt(np.einsum("nf,fg,ng->n", away, self.precision, away)))


class Monitor:
    """All scores of one agent's episodes.

    Args:
        network: the network of the agent.
        lit: lit levels, which say what is normal.
    """

    def __init__(self, network: Network, lit: LevelBatch) -> None:
        self._network = network
        self._activations = Normality.of(self._hidden(lit))
        self._observations = Normality.of(_counts(lit))

    def scores(self, levels: LevelBatch) -> dict[str, Numbers]:
        """Return monitor → scores float64 [B] of the episodes on B levels.

        The effect of the sign is the divergence (KL) of the policy without the sign minus that without the exit, and
        for the value what is lost without the sign minus what is lost without the exit.
        """
        shown = (levels, levels.removed("sign"), levels.removed("exit"))
        whole, no_sign, no_exit = (self._outputs(one) for one in shown)
        return {
            "sign-effect": np.asarray((divergence(whole, no_sign) - divergence(whole, no_exit)).double()),
            "value-effect": np.asarray((no_exit.values - no_sign.values).double()),
            "activation-novelty": self._activations.distance(self._hidden(levels)),
            "observation-novelty": self._observations.distance(_counts(levels)),
        }

    def _outputs(self, levels: LevelBatch) -> Outputs:
        observations = torch.from_numpy(make_engine(levels).observe())
        with torch.inference_mode():
            parts = [self._network(part) for part in torch.split(observations, PASS)]
        logits, values = (torch.cat(part).float() for part in zip(*parts, strict=True))
        return Outputs(logits, values)

    def _hidden(self, levels: LevelBatch) -> Numbers:
        site = self._network.sites()[-1].name
        activations = read_activations(self._network, make_engine(levels).observe(), [site])[site]
        return np.asarray(activations.flatten(1).double())


def _counts(levels: LevelBatch) -> Numbers:
    """Return float64 [B, F], what an observation holds: for each plane its sum, and its mean in rows and columns.

    Sums are relative to the number of cells, and places to the side of the maze.
    """
    planes = make_engine(levels).observe().astype(np.float64)
    total = planes.sum(axis=(2, 3))
    rows, columns = (np.arange(side) / side for side in planes.shape[2:])
    middle = [np.einsum("bchw,h->bc", planes, rows), np.einsum("bchw,w->bc", planes, columns)]
    places = [one / np.maximum(total, 1e-9) for one in middle]
    return np.concatenate([total / planes[0, 0].size, *places], axis=1)
