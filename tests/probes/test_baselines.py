"""Controls are at chance where they must be; scores, intervals and p-values are those of scipy and scikit-learn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import f1_score, r2_score
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.baselines import control_labels, permutation_test, shuffle_labels
from goalmaze.probes.readout.fitting import SquareFitter, count_correct
from goalmaze.probes.readout.scores import (
    accuracy_counts,
    accuracy_metric,
    ceiling,
    explained_variance_counts,
    f1_counts,
    macro_f1_metric,
)


def mazes_with_a_salient_target(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return maps [N, 2, 6, 6] and targets: channel 0 is high on free squares and highest on the target.

    A target is never on a wall, so a probe of shuffled labels still learns which squares are free.
    """
    rng = torch.Generator().manual_seed(seed)
    open_squares = torch.rand(count, 36, generator=rng) < torch.linspace(0.1, 0.9, 36)
    open_squares[:, 35] = True
    targets = torch.multinomial(open_squares.float(), 1, generator=rng)[:, 0]
    maps = torch.randn(count, 2, 36, generator=rng) * 0.2
    maps[:, 0] += open_squares.float()
    maps[torch.arange(count), 0, targets] += 4
    return maps.reshape(count, 2, 6, 6), targets


def test_the_shuffled_control_is_at_chance_for_shuffled_labels_and_not_for_true_ones() -> None:
    maps, labels = mazes_with_a_salient_target(1000, 0)
    held_out, truth = mazes_with_a_salient_target(1000, 1)
    fitter = SquareFitter(maps)
    by_true_labels = count_correct(fitter.fit(shuffle_labels(labels, 0)), held_out, truth)
    assert by_true_labels[0] > 500
    correct, labelled = count_correct(fitter.fit(shuffle_labels(labels, 0)), held_out, shuffle_labels(truth, 1))
    chance = float((torch.bincount(truth, minlength=36) / 1000).square().sum())
    assert labelled == 1000
    assert stats.binomtest(correct, labelled, chance).pvalue > 1e-3
    assert count_correct(fitter.fit(labels), held_out, truth)[0] > 900


def test_a_control_task_has_one_label_for_each_type_with_the_true_frequencies() -> None:
    types = torch.randint(0, 500, (20_000,), generator=torch.Generator().manual_seed(0))
    labels = torch.where(torch.rand(1000, generator=torch.Generator().manual_seed(1)) < 0.8, 2, 5)
    labels[:50] = -1
    drawn = control_labels(types, labels, 0)
    for one in range(0, 500, 50):
        assert len(drawn[types == one].unique()) == 1
    assert set(drawn.unique().tolist()) == {2, 5}
    assert abs(float((drawn == 2).float().mean()) - 0.8) < 0.06
    assert not torch.equal(drawn, control_labels(types, labels, 1))
    with pytest.raises(GoalmazeError, match="no label is known"):
        control_labels(types, torch.full((5,), -1), 0)


def test_the_permutation_test_agrees_with_scipy_and_is_uniform_under_the_null() -> None:
    rng = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (40,), generator=rng)
    predicted = torch.where(torch.rand(40, generator=rng) < 0.3, truth, torch.randint(0, 3, (40,), generator=rng))

    def accuracy(permuted: Tensor) -> float:
        return float((permuted == truth).double().mean())

    ours = permutation_test(predicted, accuracy, 4000)
    theirs = stats.permutation_test(
        (predicted.numpy(),),
        lambda permuted: float((permuted == truth.numpy()).mean()),
        permutation_type="pairings",
        alternative="greater",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    )
    assert ours == pytest.approx(theirs.pvalue, abs=0.03)
    assert permutation_test(truth, accuracy, 99) == 0.01
    p_values = [permutation_test(torch.randint(0, 3, (40,), generator=rng), accuracy, 99, seed) for seed in range(100)]
    assert 0.3 < np.mean(np.array(p_values) <= 0.5) < 0.8


def test_mazes_and_not_squares_are_permuted_and_resampled() -> None:
    rng = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 2, (30, 1), generator=rng).expand(30, 100)
    predicted = torch.randint(0, 2, (30, 1), generator=rng).expand(30, 100)
    by_maze = accuracy_counts(truth[:, 0], predicted[:, 0]).interval()
    squares = f1_counts(predicted, truth, 2).interval()
    as_independent = f1_counts(predicted.reshape(-1, 1), truth.reshape(-1, 1), 2).interval()
    assert squares[1] - squares[0] > 0.8 * (by_maze[1] - by_maze[0])
    assert as_independent[1] - as_independent[0] < 0.3 * (squares[1] - squares[0])
    # Correlated squares of a maze add no evidence.
    assert permutation_test(predicted, lambda permuted: float((permuted == truth).double().mean()), 199) > 0.01


def test_scores_are_those_of_scikit_learn_and_ignore_missing_labels() -> None:
    rng = torch.Generator().manual_seed(0)
    truth = torch.randint(-1, 4, (50, 9), generator=rng)
    predicted = torch.where(torch.rand(50, 9, generator=rng) < 0.5, truth.clamp(min=0), 1)
    kept = truth >= 0
    theirs = f1_score(truth[kept], predicted[kept], average="macro")
    assert f1_counts(predicted, truth, 4).score == pytest.approx(theirs)
    assert macro_f1_metric(truth, 4)(predicted) == f1_counts(predicted, truth, 4).score
    assert accuracy_metric(truth[:, 0])(predicted[:, 0]) == accuracy_counts(predicted[:, 0], truth[:, 0]).score
    assert f1_counts(predicted, truth.clamp(min=0), 4).score != pytest.approx(theirs, abs=1e-3)
    numbers, noise = torch.randn(60, generator=rng), torch.randn(60, generator=rng)
    mean = float(numbers.mean())
    explained = explained_variance_counts(0.6 * numbers + 0.2 * noise, numbers, mean).score
    assert explained == pytest.approx(r2_score(numbers, 0.6 * numbers + 0.2 * noise), abs=1e-5)
    partly = torch.cat([numbers, torch.full((5,), torch.nan)])
    padded = torch.cat([0.6 * numbers + 0.2 * noise, torch.full((5,), 99.0)])
    assert explained_variance_counts(padded, partly, mean).score == pytest.approx(explained)
    assert explained_variance_counts(torch.full((60,), mean), numbers, mean).score == pytest.approx(0)


@pytest.mark.parametrize("correct", [0, 1, 50, 200])
def test_the_interval_of_an_accuracy_is_wilsons(correct: int) -> None:
    predicted, truth = torch.zeros(200, dtype=torch.long), (torch.arange(200) >= correct).long()
    exact = stats.binomtest(correct, 200).proportion_ci(method="wilson")
    assert accuracy_counts(predicted, truth).interval() == pytest.approx((exact.low, exact.high))
    assert (accuracy_counts(predicted, truth).interval() == (0.0, 0.0)) is False, "a rate of 0 is not certain"
    assert ceiling(200) == pytest.approx(stats.binomtest(200, 200).proportion_ci(method="wilson").low)


@pytest.mark.parametrize("rate", [0.01, 0.7, 0.99])
def test_the_interval_of_an_accuracy_covers_also_near_its_ends(rate: float) -> None:
    rng, truth = np.random.default_rng(0), torch.ones(128, dtype=torch.long)
    counts = [accuracy_counts(torch.from_numpy((rng.random(128) < rate).astype(np.int64)), truth) for _ in range(150)]
    assert np.mean([low <= rate <= high for low, high in (one.interval() for one in counts)]) > 0.9
    if rate != 0.7:
        resampled = [dataclasses.replace(one, is_rate=False).interval() for one in counts]
        assert np.mean([low <= rate <= high for low, high in resampled]) < 0.85, "the bootstrap does not"


def test_an_accuracy_without_labels_has_no_interval() -> None:
    predicted = torch.zeros(200, dtype=torch.long)
    with pytest.raises(GoalmazeError, match="no maze has a label"):
        accuracy_counts(predicted, torch.full((200,), -1)).interval()
