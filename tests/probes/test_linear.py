"""Global probes of classes and numbers reach the Bayes score on planted features and are those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.eigenbasis import LOGISTIC_PENALTIES, training_rows
from goalmaze.probes.readout.linear import GlobalFitter

CLASSES = 4


def clouds(mazes: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return features [N, 10] in an isotropic Gaussian cloud for each class, labels, and Bayes predictions."""
    rng = torch.Generator().manual_seed(seed)
    centres = 0.7 * torch.randn(CLASSES, 10, generator=rng)
    labels = torch.randint(0, CLASSES, (mazes,), generator=rng)
    features = centres[labels] + torch.randn(mazes, 10, generator=rng)
    return features, labels, torch.cdist(features, centres).argmin(dim=1)


def test_classes_are_predicted_as_well_as_possible_and_at_chance_when_shuffled() -> None:
    features, labels, bayes = clouds(6000)
    fit, test = slice(3000), slice(3000, None)
    probe = GlobalFitter(features[fit]).fit_classes(labels[fit], CLASSES)
    correct = int((probe(features[test]) == labels[test]).sum())
    best = int((bayes[test] == labels[test]).sum())
    assert 1200 < best < 2900
    assert 0.98 * best < correct <= best + 30
    shuffled = labels[torch.randperm(6000, generator=torch.Generator().manual_seed(1))]
    of_shuffled = GlobalFitter(features[fit]).fit_classes(shuffled[fit], CLASSES)
    at_chance = int((of_shuffled(features[test]) == shuffled[test]).sum())
    assert (
        stats.binomtest(at_chance, 3000, float((shuffled[test] == shuffled[test].mode().values).float().mean())).pvalue
        > 1e-4
    )
    assert of_shuffled.weights.norm() < 0.1 * probe.weights.norm()


def test_the_class_probe_is_scikit_learns_at_the_penalty_of_lowest_validation_loss() -> None:
    features, labels, _ = clouds(400, 3)
    features = features * torch.linspace(0.1, 30, 10) + 5
    train = 320
    x = ((features - features[:train].mean(0)) / features[:train].std(0)).double().numpy()
    losses = []
    for penalty in LOGISTIC_PENALTIES:
        theirs = LogisticRegression(C=1 / (penalty * train), tol=1e-8, max_iter=2000).fit(x[:train], labels[:train])
        log_probabilities = theirs.predict_log_proba(x[train:])
        losses.append(-log_probabilities[np.arange(80), labels[train:]].mean())
    probe = GlobalFitter(features).fit_classes(labels, CLASSES)
    assert probe.penalty == LOGISTIC_PENALTIES[int(np.argmin(losses))]
    theirs = LogisticRegression(C=1 / (probe.penalty * train), tol=1e-8, max_iter=2000).fit(x[:train], labels[:train])
    ours = probe.scores(features).softmax(1).double().numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(x), atol=5e-3)
    other = LogisticRegression(C=1 / (100 * probe.penalty * train)).fit(x[:train], labels[:train])
    assert np.abs(ours - other.predict_proba(x)).max() > 0.05


def test_numbers_are_predicted_by_ridge_regression() -> None:
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(500, 6, 5, generator=rng) * 4 + 1
    numbers = features.flatten(1)[:, :3].sum(1) + torch.randn(500, generator=rng) * 3 + 20
    missing = torch.rand(500, generator=rng) < 0.2
    known = torch.where(missing, torch.nan, numbers)
    probe = GlobalFitter(features).fit_numbers(known)
    x = features.flatten(1).double().numpy()
    x = (x - x[:400].mean(0)) / x[:400].std(0, ddof=1)
    train = np.flatnonzero(~missing[:400].numpy())
    theirs = Ridge(alpha=probe.penalty * len(train)).fit(x[train], numbers[train])
    np.testing.assert_allclose(probe(features), theirs.predict(x), atol=1e-3)
    fresh = torch.randn(2000, 6, 5, generator=rng) * 4 + 1
    error = (probe(fresh) - fresh.flatten(1)[:, :3].sum(1) - 20).square().mean()
    assert error < 1.0 < 10 < numbers.var()


def test_no_maze_is_in_both_parts_of_the_split() -> None:
    rows = torch.arange(20).repeat_interleave(3)
    train = training_rows(rows)
    assert set(rows[train].tolist()) == set(range(16))
    assert set(rows[~train].tolist()) == set(range(16, 20))
    with pytest.raises(GoalmazeError, match="3 mazes have a label; a probe needs 10 or more"):
        training_rows(torch.tensor([0, 1, 2]))


def test_a_probe_of_another_site_is_refused() -> None:
    features, labels, _ = clouds(200)
    for probe in (
        GlobalFitter(features).fit_classes(labels, CLASSES),
        GlobalFitter(features).fit_numbers(labels.float()),
    ):
        with pytest.raises(GoalmazeError, match="probe reads 10 features, the activation has 12; fit it at this site"):
            probe(torch.zeros(3, 12))
    with pytest.raises(GoalmazeError, match="0 mazes have a label"):
        GlobalFitter(features).fit_classes(torch.full((200,), -1), CLASSES)
