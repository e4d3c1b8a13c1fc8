"""Dictionaries of features of windows, trained or not, and how well one feature names a concept."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from goalmaze.probes.steering.sae import Autoencoder

THRESHOLDS = 24
"""Thresholds that are tried for each feature."""

DEAD = 1e-6
"""A feature that is never larger than this is dead."""

Labels = NDArray[np.bool_]


def identity_dictionary(width: int) -> Autoencoder:
    """Return the dictionary whose features are the entries of a window themselves."""
    return Autoencoder(torch.eye(width), torch.zeros(width), torch.eye(width), torch.zeros(width))


def random_dictionary(samples: Tensor, features: int, seed: int) -> Autoencoder:
    """Return a dictionary of random directions, centred on samples [N, W]: a control that has learned nothing."""
    generator = torch.Generator().manual_seed(seed)
    directions = normalize(torch.randn((features, samples.shape[1]), generator=generator), dim=1)
    return Autoencoder(directions.T.contiguous(), torch.zeros(features), directions, samples.mean(dim=0))


def dead_rate(coder: Autoencoder, samples: Tensor) -> float:
    """Return the fraction of features that are 0 on all samples [N, W]."""
    return float((coder.encode(samples).max(dim=0).values <= DEAD).float().mean())


def stability(one: Autoencoder, other: Autoencoder) -> float:
    """Return the mean over features of one dictionary of the largest cosine with a feature of another."""
    rows = normalize(one.decoder, dim=1) @ normalize(other.decoder, dim=1).T
    return float(rows.max(dim=1).values.mean())


@dataclasses.dataclass(frozen=True, eq=False)
class Detectors:
    """For each concept the one feature and threshold that name it best on fitting mazes.

    Attributes:
        features: int64 [J].
        thresholds: float64 [J]; the concept holds above.
    """

    features: NDArray[np.int64]
    thresholds: NDArray[np.float64]

    def f1(self, values: Tensor, labels: Labels) -> NDArray[np.float64]:
        """Return float64 [J], the F1 on other samples.

        Args:
            values: [n, K], the features there.
            labels: bool [n, J], the concepts.
        """
        said = values[:, torch.from_numpy(self.features)].double().numpy() > self.thresholds
        return f1_scores(said, labels)


def f1_scores(said: Labels, labels: Labels) -> NDArray[np.float64]:
    """Return float64 [J], the harmonic mean of precision and recall of predictions bool [n, J]; 0 without a hit."""
    hits = (said & labels).sum(axis=0)
    return np.asarray(2 * hits / np.maximum(said.sum(axis=0) + labels.sum(axis=0), 1))


def fit_detectors(values: Tensor, labels: Labels) -> Detectors:
    """Return the best single feature and threshold for each concept.

    Args:
        values: [n, K], features on fitting samples.
        labels: bool [n, J], the concepts there.
    """
    truth = torch.from_numpy(labels).float()
    # Most features are 0 in most places, so thresholds are quantiles of what is above 0.
    grid = torch.linspace(0, 0.98, THRESHOLDS)
    best = np.full(labels.shape[1], -1.0)
    which = np.zeros(labels.shape[1], np.int64)
    thresholds = np.zeros(labels.shape[1])
    cuts = torch.stack([_cuts(values[:, k], grid) for k in range(values.shape[1])], dim=1)
    positives = truth.sum(dim=0)
    for cut in cuts:
        said = (values > cut).float()
        f1 = (2 * said.T @ truth / (said.sum(dim=0)[:, None] + positives).clamp(min=1)).double().numpy()
        top = f1.argmax(axis=0)
        better = f1.max(axis=0) > best
        best = np.where(better, f1.max(axis=0), best)
        which = np.where(better, top, which)
        thresholds = np.where(better, cut.double().numpy()[top], thresholds)
    return Detectors(which, thresholds)


def _cuts(values: Tensor, grid: Tensor) -> Tensor:
    """Return the quantiles of the values above 0; 0 where there are none."""
    above = values[values > 0]
    return torch.quantile(above, grid) * (grid > 0) if len(above) else torch.zeros_like(grid)
