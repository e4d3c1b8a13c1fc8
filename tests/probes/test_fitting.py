"""Probes recover planted features, do not fit shuffled labels, and are those of scikit-learn's and scipy's solvers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from sklearn.linear_model import Ridge
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.baselines import shuffle_labels
from goalmaze.probes.readout.eigenbasis import PENALTIES
from goalmaze.probes.readout.fitting import SQUARE_PENALTY, SquareFitter, count_correct
from goalmaze.probes.readout.linear import GlobalFitter

CELLS = 9


def is_at_chance(correct: int, labelled: int, chance: float) -> bool:
    return bool(stats.binomtest(correct, labelled, chance).pvalue > 1e-4)


def planted_features(mazes: int, seed: int = 0) -> tuple[Tensor, Tensor, int]:
    """Return features [N, 4, 3, 3] in a Gaussian cloud for each cell, labels, and what the Bayes classifier predicts.

    The clouds are equal and isotropic, so the Bayes classifier names the nearest centre; its number of correct
    predictions is that of the second half.
    """
    rng = torch.Generator().manual_seed(seed)
    centres = 0.5 * torch.randn(CELLS, 36, generator=rng)
    labels = torch.randint(0, CELLS, (mazes,), generator=rng)
    features = centres[labels] + torch.randn(mazes, 36, generator=rng)
    half = mazes // 2
    bayes = torch.cdist(features[half:], centres).argmin(dim=1)
    return features.reshape(mazes, 4, 3, 3), labels, int((bayes == labels[half:]).sum())


def planted_maps(mazes: int, direction: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return maps [N, C, 5, 5] of noise with `direction` added at one cell, and those cells."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 25, (mazes,), generator=rng)
    maps = torch.randn(mazes, len(direction), 25, generator=rng)
    maps[torch.arange(mazes), :, labels] += direction
    return maps.reshape(mazes, len(direction), 5, 5), labels


DIRECTION = torch.tensor([2.0, -1.0, 0.5, 0.0, 1.5, -2.5])


def test_the_global_fitter_reaches_the_bayes_score_and_falls_to_chance_on_shuffled_labels() -> None:
    features, labels, best = planted_features(6000)
    fit, test = slice(3000), slice(3000, None)
    fitter = GlobalFitter(features[fit])
    correct, labelled = count_correct(fitter.fit_cells(labels[fit], CELLS), features[test], labels[test])
    assert labelled == 3000
    assert 0.5 * labelled < best < 0.95 * labelled
    assert 0.97 * best < correct <= best + 30
    shuffled, labelled = count_correct(
        fitter.fit_cells(shuffle_labels(labels[fit], 0), CELLS), features[test], labels[test]
    )
    assert is_at_chance(shuffled, labelled, 1 / CELLS)


@pytest.mark.parametrize("mazes", [60, 400])
def test_the_global_fitter_is_ridge_regression_on_standardised_features(mazes: int) -> None:
    features, labels, _ = planted_features(mazes)
    flat = features.flatten(1).double().numpy()
    train = mazes - mazes // 5
    mean, scale = flat[:train].mean(axis=0), flat[:train].std(axis=0, ddof=1)
    onehot = np.eye(CELLS)[labels]

    def ridge(penalty: float) -> Ridge:
        return Ridge(alpha=penalty * train).fit((flat[:train] - mean) / scale, onehot[:train])

    probe = GlobalFitter(features).fit_cells(labels, CELLS)
    fresh = planted_features(100, 9)[0].flatten(1)
    scores = ridge(probe.penalty).predict((fresh.double().numpy() - mean) / scale)
    np.testing.assert_allclose(fresh @ probe.weights + probe.bias, scores, atol=1e-4)
    right = [
        int((ridge(p).predict((flat[train:] - mean) / scale).argmax(axis=1) == labels[train:].numpy()).sum())
        for p in PENALTIES
    ]
    assert probe.penalty == PENALTIES[int(np.argmax(right))]
    other = ridge(10 * probe.penalty).predict((fresh.double().numpy() - mean) / scale)
    assert np.abs(other - scores).max() > 1e-3


def test_few_mazes_select_a_stronger_penalty_than_many() -> None:
    def strength(mazes: int) -> float:
        fits = [
            GlobalFitter(x).fit_cells(y, CELLS) for x, y, _ in (planted_features(mazes, seed) for seed in range(10))
        ]
        return float(np.log10([probe.penalty for probe in fits]).mean())

    assert strength(60) > strength(3000) + 0.5


def test_a_constant_feature_does_not_change_the_global_probe() -> None:
    features, labels, _ = planted_features(500)
    constant = torch.cat([features.flatten(1), torch.full((500, 1), 7.0)], dim=1)
    with_it, without = GlobalFitter(constant).fit_cells(labels, CELLS), GlobalFitter(features).fit_cells(labels, CELLS)
    assert torch.equal(with_it(constant), without(features))


def test_the_square_fitter_finds_the_planted_direction() -> None:
    maps, labels = planted_maps(2000, DIRECTION)
    fitter = SquareFitter(maps[:1000])
    probe = fitter.fit(labels[:1000])
    assert torch.cosine_similarity(probe.direction, DIRECTION, dim=0) > 0.99
    correct, labelled = count_correct(probe, maps[1000:], labels[1000:])
    best = int((torch.einsum("nchw,c->nhw", maps[1000:], DIRECTION).flatten(1).argmax(1) == labels[1000:]).sum())
    assert 0.9 * best < correct < labelled
    of_shuffled = fitter.fit(shuffle_labels(labels[:1000], 0))
    assert of_shuffled.direction.norm() < 0.2 * probe.direction.norm()
    # A direction fitted to shuffled labels may have a small component along the planted one, of either sign.
    assert count_correct(of_shuffled, maps[1000:], labels[1000:])[0] < 0.6 * correct


def test_the_square_fitter_agrees_with_another_optimiser() -> None:
    maps, labels = planted_maps(300, 0.5 * DIRECTION)
    maps = maps * torch.tensor([1.0, 10.0, 0.1, 1.0, 3.0, 1.0])[:, None, None]
    scale = maps.std(dim=(0, 2, 3)).double().numpy()
    features = maps.flatten(2).double().numpy() / scale[:, None]

    def loss(weights: np.ndarray) -> float:
        scores = np.einsum("ncs,c->ns", features, weights)
        top = scores.max(axis=1)
        normaliser = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
        own = scores[np.arange(300), labels]
        return float((normaliser - own).mean() + SQUARE_PENALTY * (weights**2).sum())

    theirs = optimize.minimize(loss, np.zeros(6), tol=1e-10)
    ours = SquareFitter(maps).fit(labels).direction.double().numpy() * scale
    assert loss(ours) <= theirs.fun + 1e-6
    np.testing.assert_allclose(ours, theirs.x, atol=5e-3)
    assert loss(1.05 * ours) > loss(ours) + 1e-5


def test_a_square_probe_ignores_rows_without_a_label() -> None:
    maps, labels = planted_maps(600, DIRECTION)
    kept = torch.rand(600, generator=torch.Generator().manual_seed(2)) < 0.6
    partly = torch.where(kept, labels, -1)
    probe, alone = SquareFitter(maps).fit(partly), SquareFitter(maps[kept]).fit(labels[kept])
    with_wrong_labels = SquareFitter(maps).fit(torch.where(kept, labels, 3))
    assert float((probe.direction - alone.direction).norm() / alone.direction.norm()) < 1e-2
    assert float((with_wrong_labels.direction - alone.direction).norm() / alone.direction.norm()) > 0.1
    correct, labelled = count_correct(probe, maps, partly)
    assert labelled == int(kept.sum())
    assert correct == int((probe(maps)[kept] == labels[kept]).sum())


@pytest.mark.parametrize("rate", [0.95, 0.5, 0.05])
@pytest.mark.parametrize("shape", [(4, 3, 3), (20, 5, 5)])
def test_a_ridge_probe_ignores_rows_without_a_label(rate: float, shape: tuple[int, ...]) -> None:
    rng = torch.Generator().manual_seed(5)
    features = torch.randn(400, *shape, generator=rng) * 3 + 1
    labels = features.flatten(1)[:, :CELLS].argmax(dim=1)
    kept = torch.rand(400, generator=rng) < rate
    probe = GlobalFitter(features).fit_cells(torch.where(kept, labels, -1), CELLS)
    flat = features.flatten(1).double().numpy()
    x = (flat - flat[:320].mean(axis=0)) / flat[:320].std(axis=0, ddof=1)
    train = kept[:320].numpy()

    def ridge(rows: np.ndarray) -> np.ndarray:
        fit = Ridge(alpha=probe.penalty * rows.sum()).fit(x[:320][rows], np.eye(CELLS)[labels[:320][rows]])
        return np.asarray(fit.predict(x))

    ours = probe.scores(features).double().numpy()
    np.testing.assert_allclose(ours, ridge(train), atol=1e-4)
    assert np.abs(ours - ridge(np.ones(320, bool))).max() > 1e-3


@pytest.mark.parametrize(("fit", "few"), [("square", 0), ("global", 9)])
def test_too_few_labels_are_refused(fit: str, few: int) -> None:
    maps, labels = planted_maps(40, DIRECTION)
    labels[few:] = -1
    with pytest.raises(GoalmazeError, match=f"{few} of 40 mazes have a label"):
        SquareFitter(maps).fit(labels) if fit == "square" else GlobalFitter(maps).fit_cells(labels, 25)


def test_validation_mazes_need_labels() -> None:
    maps, labels = planted_maps(100, DIRECTION)
    labels[80:] = -1
    with pytest.raises(GoalmazeError, match="0 of 20 mazes have a label; a probe needs 1 or more"):
        GlobalFitter(maps).fit_cells(labels, 25)


def test_shuffling_assigns_the_same_labels_to_other_mazes() -> None:
    labels = torch.arange(1000)
    shuffled = shuffle_labels(labels, 0)
    assert torch.equal(shuffled.sort().values, labels)
    assert (shuffled == labels).sum() < 10
    assert torch.equal(shuffled, shuffle_labels(labels, 0))
    assert not torch.equal(shuffled, shuffle_labels(labels, 1))
