"""Dictionaries of features: the best detector is that of scikit-learn's curves; setting a feature sets just that."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import f1_score, precision_recall_curve

from goalmaze.probes.steering.sae import Autoencoder, SAEFeatures
from goalmaze.probes.units.dictionaries import (
    count_by_maze,
    dead_rate,
    entry_dictionary,
    fit_detectors,
    mean_active,
    probe_dictionary,
    random_dictionary,
    sampled_dictionary,
    stability,
)

RNG = np.random.default_rng(0)


def draw(*sides: int) -> torch.Tensor:
    return torch.from_numpy(RNG.normal(size=sides)).float()


def test_detectors_are_the_best_points_of_all_precision_recall_curves() -> None:
    # Rounded and rectified, so that many values are equal.
    values = (2 * draw(400, 6)).round().relu()
    labels = np.stack([(values[:, 2] > 1).numpy() ^ (RNG.random(400) < 0.05), RNG.random(400) < 0.1], axis=1)
    detectors = fit_detectors(values, labels)
    predictions = detectors.predictions(values)
    for j in range(2):
        best = 0.0
        for k in range(6):
            precision, recall, _ = precision_recall_curve(labels[:, j], values[:, k].numpy())
            best = max(best, float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))))
        assert np.isclose(f1_score(labels[:, j], predictions[:, j]), best)
    assert detectors.features[0] == 2
    assert 1 < detectors.thresholds[0] < 2
    # Probes answer for their own concept only, however good the others are.
    assert fit_detectors(values, labels, own=True).features.tolist() == [0, 1]


def test_f1_of_resampled_mazes_is_that_of_repeated_samples() -> None:
    labels, predictions = RNG.random((90, 3)) < 0.4, RNG.random((90, 3)) < 0.5
    mazes = np.sort(RNG.integers(0, 7, 90))
    counts = count_by_maze(predictions, labels, mazes, 7)
    weights = RNG.multinomial(7, np.full(7, 1 / 7), size=2)
    for row, f1 in zip([np.ones(7, int), *weights], [*counts.f1(), *counts.f1(weights.astype(float))], strict=True):
        repeated = np.repeat(np.arange(90), row[mazes])
        expected = [f1_score(labels[repeated, j], predictions[repeated, j]) for j in range(3)]
        np.testing.assert_allclose(f1, expected)
    assert count_by_maze(np.zeros((4, 1), bool), np.zeros((4, 1), bool), np.arange(4), 4).f1().tolist() == [[0.0]]


def test_stability_is_one_for_the_same_features_in_another_order_and_skips_dead_ones() -> None:
    samples = draw(200, 5)
    one, other = (random_dictionary(samples, 8, seed) for seed in (0, 1))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    same = Autoencoder(one.encoder[:, order], one.bias[order], one.decoder[order], one.centre)
    assert np.isclose(stability(one, same, samples), 1)
    assert stability(one, other, samples) < 0.95
    dead = torch.zeros(8)
    dead[:6] = -1e6
    mostly = Autoencoder(other.encoder, dead, torch.cat([other.decoder[:6], one.decoder[6:]]), one.centre)
    assert dead_rate(mostly, samples) == 0.75
    assert np.isclose(stability(mostly, one, samples), 1)
    assert np.isnan(stability(Autoencoder(one.encoder, dead - 1e6, one.decoder, one.centre), one, samples))


def test_controls_read_what_they_are_named_after_and_set_nothing_else() -> None:
    samples = draw(300, 4)
    entries = entry_dictionary(samples)
    values = entries.encode(samples)
    torch.testing.assert_close(values[:, :4], samples - samples.min(0).values)
    torch.testing.assert_close(values[:, 4:], samples.max(0).values - samples)
    new = SAEFeatures(entries, (6,)).set(samples, torch.tensor([0.5]))
    torch.testing.assert_close(new[:, 2], (samples[:, 2].max() - 0.5).expand(300))
    assert torch.equal(new[:, [0, 1, 3]], samples[:, [0, 1, 3]])

    truth = samples @ torch.tensor([2.0, -1.0, 0.0, 0.5])
    labels = np.stack([(truth > 0.7).numpy(), (samples[:, 2] > 0).numpy()], axis=1)
    probes = probe_dictionary(samples, labels, np.arange(300))
    detectors = fit_detectors(probes.encode(samples), labels, own=True)
    assert (detectors.predictions(probes.encode(samples)) == labels).mean() > 0.95
    # Setting a probe's feature gives its score that value.
    raised = SAEFeatures(probes, (0,)).set(samples, torch.tensor([7.0]))
    torch.testing.assert_close(probes.encode(raised)[:, 0], torch.full((300,), 7.0), atol=1e-3, rtol=1e-3)

    # A direction of a sample from the mean is the largest feature of that sample.
    drawn = sampled_dictionary(samples, 40, 0)
    assert mean_active(drawn, samples) > 10
    cosines = torch.nn.functional.normalize(samples - samples.mean(0), dim=1) @ drawn.decoder.T
    assert (cosines.max(dim=0).values > 0.9999).all()
