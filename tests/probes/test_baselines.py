"""Controls: at chance where they must be, and intervals and p-values that other methods confirm."""

from __future__ import annotations

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
    explained_variance_counts,
    f1_counts,
    macro_f1_metric,
)


def mazes_where_the_target_stands_out(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return maps [N, 2, 6, 6] and targets: free squares show in channel 0, where the target's stands out.

    A target never stands on a wall, so dealing the labels out leaves "free" to be learned.
    """
    luck = torch.Generator().manual_seed(seed)
    open_squares = torch.rand(count, 36, generator=luck) < torch.linspace(0.1, 0.9, 36)
    open_squares[:, 35] = True
    targets = torch.multinomial(open_squares.float(), 1, generator=luck)[:, 0]
    maps = torch.randn(count, 2, 36, generator=luck) * 0.2
    maps[:, 0] += open_squares.float()
    maps[torch.arange(count), 0, targets] += 4
    return maps.reshape(count, 2, 6, 6), targets


def test_the_shuffled_control_is_at_chance_where_judging_it_by_true_labels_is_not() -> None:
    maps, labels = mazes_where_the_target_stands_out(1000, 0)
    held_out, truth = mazes_where_the_target_stands_out(1000, 1)
    fitter = SquareFitter(maps)
    misjudged = count_correct(fitter.fit(shuffle_labels(labels, 0)), held_out, truth)
    assert misjudged[0] > 500
    hits, of = count_correct(fitter.fit(shuffle_labels(labels, 0)), held_out, shuffle_labels(truth, 1))
    chance = float((torch.bincount(truth, minlength=36) / 1000).square().sum())
    assert of == 1000
    assert stats.binomtest(hits, of, chance).pvalue > 1e-3
    assert count_correct(fitter.fit(labels), held_out, truth)[0] > 900


def test_a_control_task_gives_each_type_one_label_as_often_as_the_true_ones() -> None:
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


def test_the_permutation_test_is_that_of_scipy_and_fair_when_there_is_nothing() -> None:
    luck = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (40,), generator=luck)
    read = torch.where(torch.rand(40, generator=luck) < 0.3, truth, torch.randint(0, 3, (40,), generator=luck))

    def share(dealt: Tensor) -> float:
        return float((dealt == truth).double().mean())

    ours = permutation_test(read, share, 4000)
    theirs = stats.permutation_test(
        (read.numpy(),),
        lambda dealt: float((dealt == truth.numpy()).mean()),
        permutation_type="pairings",
        alternative="greater",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    )
    assert ours == pytest.approx(theirs.pvalue, abs=0.03)
    assert permutation_test(truth, share, 99) == 0.01
    blind = [permutation_test(torch.randint(0, 3, (40,), generator=luck), share, 99, seed) for seed in range(100)]
    assert 0.3 < np.mean(np.array(blind) <= 0.5) < 0.8


def test_mazes_and_not_squares_are_dealt_and_drawn() -> None:
    luck = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 2, (30, 1), generator=luck).expand(30, 100)
    read = torch.randint(0, 2, (30, 1), generator=luck).expand(30, 100)
    by_maze = accuracy_counts(truth[:, 0], read[:, 0]).interval()
    squares = f1_counts(read, truth, 2).interval()
    as_if_many = f1_counts(read.reshape(-1, 1), truth.reshape(-1, 1), 2).interval()
    assert squares[1] - squares[0] > 0.8 * (by_maze[1] - by_maze[0])
    assert as_if_many[1] - as_if_many[0] < 0.3 * (squares[1] - squares[0])
    # What is alike within a maze is no evidence, however many squares it has.
    assert permutation_test(read, lambda dealt: float((dealt == truth).double().mean()), 199) > 0.01


def test_scores_are_those_of_scikit_learn_and_unlabelled_ones_do_not_count() -> None:
    luck = torch.Generator().manual_seed(0)
    truth = torch.randint(-1, 4, (50, 9), generator=luck)
    read = torch.where(torch.rand(50, 9, generator=luck) < 0.5, truth.clamp(min=0), 1)
    kept = truth >= 0
    theirs = f1_score(truth[kept], read[kept], average="macro")
    assert f1_counts(read, truth, 4).score == pytest.approx(theirs)
    assert macro_f1_metric(truth, 4)(read) == f1_counts(read, truth, 4).score
    assert accuracy_metric(truth[:, 0])(read[:, 0]) == accuracy_counts(read[:, 0], truth[:, 0]).score
    assert f1_counts(read, truth.clamp(min=0), 4).score != pytest.approx(theirs, abs=1e-3)
    numbers, guess = torch.randn(60, generator=luck), torch.randn(60, generator=luck)
    mean = float(numbers.mean())
    explained = explained_variance_counts(0.6 * numbers + 0.2 * guess, numbers, mean).score
    assert explained == pytest.approx(r2_score(numbers, 0.6 * numbers + 0.2 * guess), abs=1e-5)
    partly = torch.cat([numbers, torch.full((5,), torch.nan)])
    padded = torch.cat([0.6 * numbers + 0.2 * guess, torch.full((5,), 99.0)])
    assert explained_variance_counts(padded, partly, mean).score == pytest.approx(explained)
    assert explained_variance_counts(torch.full((60,), mean), numbers, mean).score == pytest.approx(0)


def test_the_interval_over_mazes_is_the_binomial_one_and_covers() -> None:
    read, truth = torch.zeros(200, dtype=torch.long), torch.arange(200) % 4
    low, high = accuracy_counts(read, truth).interval()
    exact = stats.binomtest(50, 200).proportion_ci(method="wilson")
    assert low == pytest.approx(exact.low, abs=0.015)
    assert high == pytest.approx(exact.high, abs=0.015)
    luck = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        hits = torch.from_numpy((luck.random(150) < 0.7).astype(np.int64))
        low, high = accuracy_counts(hits, torch.ones(150, dtype=torch.long)).interval(seed)
        inside += low <= 0.7 <= high
    assert 180 <= inside <= 199
    with pytest.raises(GoalmazeError, match="no maze has a label"):
        accuracy_counts(read, torch.full((200,), -1)).interval()
