"""Dictionaries of features of activations, trained or not, and how well one feature names a concept."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from goalmaze.probes.readout.linear import GlobalFitter
from goalmaze.probes.steering.sae import Autoencoder

DEAD = 1e-6
"""A feature that is never larger than this is dead."""

Labels = NDArray[np.bool_]


def entry_dictionary(samples: Tensor) -> Autoencoder:
    """Return the dictionary of single entries, in both directions: 2W features of samples [N, W].

    Entry e is feature e; W + e is large where entry e is small. Both are 0 at the most extreme of the samples.
    """
    width = samples.shape[1]
    signs = torch.cat([torch.eye(width), -torch.eye(width)])
    bias = torch.cat([-samples.min(dim=0).values, samples.max(dim=0).values])
    return Autoencoder(signs.T.contiguous(), bias, signs, torch.zeros(width))


def random_dictionary(samples: Tensor, features: int, seed: int) -> Autoencoder:
    """Return random directions around the mean of samples [N, W]."""
    generator = torch.Generator().manual_seed(seed)
    directions = normalize(torch.randn((features, samples.shape[1]), generator=generator), dim=1)
    return Autoencoder(directions.T.contiguous(), torch.zeros(features), directions, samples.mean(dim=0))


def sampled_dictionary(samples: Tensor, features: int, seed: int) -> Autoencoder:
    """Return directions from the mean of samples [N, W] to some of them: what training an autoencoder starts with."""
    generator = torch.Generator().manual_seed(seed)
    centre = samples.mean(dim=0)
    drawn = samples[torch.randint(0, len(samples), (features,), generator=generator)] - centre
    directions = normalize(drawn, dim=1)
    return Autoencoder(directions.T.contiguous(), torch.zeros(features), directions, centre)


def probe_dictionary(samples: Tensor, labels: Labels, mazes: NDArray[np.int64]) -> Autoencoder:
    """Return the dictionary whose feature j is a logistic regression of concept j.

    Args:
        samples: [N, W].
        labels: bool [N, J], the concepts.
        mazes: int64 [N], the maze of each sample, ascending; the last fifth selects the penalty.
    """
    fitter = GlobalFitter(samples, torch.from_numpy(mazes))
    probes = [fitter.fit_classes(torch.from_numpy(labels[:, j]).long(), 2) for j in range(labels.shape[1])]
    weights = torch.stack([probe.weights[:, 1] - probe.weights[:, 0] for probe in probes], dim=1)
    bias = -(samples @ weights).min(dim=0).values
    # A step of w / |w|² raises the score by 1.
    decoder = weights / weights.square().sum(dim=0).clamp(min=1e-12)
    return Autoencoder(weights, bias, decoder.T.contiguous(), torch.zeros(len(weights)))


def dead_rate(coder: Autoencoder, samples: Tensor) -> float:
    """Return the fraction of features that are 0 on all samples [N, W]."""
    return float((~alive(coder, samples)).float().mean())


def mean_active(coder: Autoencoder, samples: Tensor) -> float:
    """Return the mean number of features above 0 on samples [N, W]."""
    return float((coder.encode(samples) > DEAD).float().sum(dim=1).mean())


def alive(coder: Autoencoder, samples: Tensor) -> Tensor:
    """Return bool [M], whether a feature is above 0 on any of samples [N, W]."""
    return coder.encode(samples).max(dim=0).values > DEAD


def stability(one: Autoencoder, other: Autoencoder, samples: Tensor) -> float:
    """Return the mean over features of one dictionary of the largest cosine with a feature of another.

    Features that are 0 on all samples [N, W] do not count; NaN where one of the two has no others.
    """
    rows = [normalize(coder.decoder[alive(coder, samples)], dim=1) for coder in (one, other)]
    if not len(rows[0]) or not len(rows[1]):
        return float("nan")
    return float((rows[0] @ rows[1].T).max(dim=1).values.mean())


@dataclasses.dataclass(frozen=True, eq=False)
class Detectors:
    """For each concept the one feature and threshold that name it best on fitting mazes.

    Attributes:
        features: int64 [J].
        thresholds: float64 [J]; the concept holds above.
    """

    features: NDArray[np.int64]
    thresholds: NDArray[np.float64]

    def predictions(self, values: Tensor) -> Labels:
        """Return bool [n, J], where the features [n, K] of other samples lie above the thresholds."""
        chosen = values[:, torch.from_numpy(self.features)].double().numpy()
        return np.asarray(chosen > self.thresholds)


def fit_detectors(values: Tensor, labels: Labels, own: bool = False) -> Detectors:
    """Return the feature and the threshold with the highest F1 for each concept, of all features and thresholds.

    Args:
        values: [n, K], features on fitting samples.
        labels: bool [n, J], the concepts there.
        own: concept j gets feature j, whatever the others would reach.
    """
    truth = torch.from_numpy(labels).float()
    count, concepts = labels.shape
    positives, ranks = truth.sum(dim=0), torch.arange(1, count + 1)[:, None]
    best = np.full(concepts, -1.0)
    which, thresholds = np.zeros(concepts, np.int64), np.zeros(concepts)
    for k in range(values.shape[1]):
        ordered, order = values[:, k].sort(descending=True)
        # F1 = 2 hits / (predictions + positives), if the samples up to each rank are predicted.
        f1 = 2 * truth[order].cumsum(dim=0) / (ranks + positives)
        # Equal values fall on the same side of a threshold.
        last = torch.ones(count, dtype=torch.bool)
        last[:-1] = ordered[:-1] > ordered[1:]
        f1[~last] = -1
        top, rank = (one.numpy() for one in f1.max(dim=0))
        below = torch.cat([ordered[1:], torch.tensor([-torch.inf])])
        cuts = ((ordered + below) / 2).double().numpy()[rank]
        better = top > best if not own else np.arange(concepts) == k
        best, which = np.where(better, top, best), np.where(better, k, which)
        thresholds = np.where(better, cuts, thresholds)
    return Detectors(which, thresholds)


@dataclasses.dataclass(frozen=True, eq=False)
class Counts:
    """Hits and totals of predictions in each maze, of which the F1 of any sample of mazes follows.

    Attributes:
        hits: float64 [M, J], predictions that hold.
        totals: float64 [M, J], predictions plus positives.
    """

    hits: NDArray[np.float64]
    totals: NDArray[np.float64]

    def f1(self, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return the F1 [R, J] where mazes count as often as weights [R, M] say; [1, J], once each, by default.

        F1 is the harmonic mean of precision and recall; 0 without a hit.
        """
        weights = np.ones((1, len(self.hits))) if weights is None else weights
        return np.asarray(2 * (weights @ self.hits) / np.maximum(weights @ self.totals, 1))


def count_by_maze(predictions: Labels, labels: Labels, mazes: NDArray[np.int64], count: int) -> Counts:
    """Return hits and totals in each of `count` mazes of predictions bool [n, J] of concepts bool [n, J]."""
    hits, totals = np.zeros((count, labels.shape[1])), np.zeros((count, labels.shape[1]))
    np.add.at(hits, mazes, predictions & labels)
    np.add.at(totals, mazes, predictions.astype(int) + labels)
    return Counts(hits, totals)
