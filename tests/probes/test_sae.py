"""Sparse autoencoders: planted features are recovered from sparse sums only, and setting them has its exact effect."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import MiniBatchDictionaryLearning
from torch import Tensor

from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.probes.activations import captured
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.coordinates import GoalCoordinates, SetCoordinates
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.information import uses_only_cells
from goalmaze.probes.squares import read_square
from goalmaze.probes.steering.sae import (
    SPARSITY,
    UPDATES,
    Autoencoder,
    SAEFeatures,
    autoencoder_loss,
    fit_goal_features,
    largest,
    train_autoencoder,
)
from goalmaze.probes.targets import draw_targets

PLANTED = 20


def dictionary() -> Tensor:
    return torch.nn.functional.normalize(torch.randn(PLANTED, 12, generator=torch.Generator().manual_seed(0)), dim=1)


def sums(probability: float, count: int = 20_000) -> Tensor:
    """Return [N, 12], sums of planted directions, each present with a probability."""
    generator = torch.Generator().manual_seed(1)
    present = torch.rand(count, PLANTED, generator=generator) < probability
    return (present * (0.5 + torch.rand(count, PLANTED, generator=generator))) @ dictionary() + 1.0


def recovered(directions: Tensor) -> float:
    """Return the fraction of planted directions that one of [M, 12] has a cosine above 0.95 with."""
    rows = torch.nn.functional.normalize(directions, dim=1)
    return float(((dictionary() @ rows.T).max(dim=1).values > 0.95).float().mean())


def loss(coder: Autoencoder, x: Tensor) -> float:
    """Return the loss that training minimises, on all samples [N, C]."""
    features, scale = coder.encode(x), x.std(dim=0).mean()
    return float((((coder.decode(features) - x) / scale).square().sum(dim=1) + SPARSITY * features.sum(dim=1)).mean())


def test_planted_features_are_recovered_from_sparse_sums_and_not_from_dense_ones() -> None:
    x = sums(0.06)
    sparse = train_autoencoder(x, 32)
    assert recovered(sparse.decoder) >= 0.9
    assert sparse.explained(x) > 0.85
    # Each sum has 1.2 directions on average.
    assert (sparse.encode(x) > 1e-3).float().sum(dim=1).mean() < 2.5
    quarter, sixteenth = (train_autoencoder(x, 32, updates=UPDATES // part) for part in (4, 16))
    assert loss(quarter, x) < 1.03 * loss(sparse, x), "the default is long enough: a quarter of it is nearly as good"
    assert loss(sixteenth, x) > 1.05 * loss(sparse, x), "and too short a training is seen"
    assert recovered(train_autoencoder(sums(0.9), 32, updates=1000).decoder) < 0.5


def test_what_the_dictionary_learning_of_scikit_learn_recovers_topk_recovers_too() -> None:
    """An independent program with another algorithm: online dictionary learning with coordinate descent."""
    x = sums(0.06)
    theirs = MiniBatchDictionaryLearning(
        32, alpha=0.3, max_iter=12, batch_size=64, positive_code=True, fit_algorithm="cd", random_state=0
    )
    theirs.fit((x[:4000] - 1.0).double().numpy())
    assert recovered(torch.from_numpy(theirs.components_).float()) > 0.85
    # The best of four starts by what it explains: the last bits of arithmetic decide what one start finds.
    starts = [train_autoencoder(x, 32, updates=1000, active=2, seed=seed) for seed in range(4)]
    topk = max(starts, key=lambda one: one.explained(x))
    assert recovered(topk.decoder) > 0.85
    assert int((topk.encode(x) > 0).sum(dim=1).max()) == 2
    assert topk.explained(x) > 0.85
    assert recovered(train_autoencoder(sums(0.9), 32, updates=500, active=2).decoder) < 0.5


def test_the_loss_of_topk_and_its_gradient_are_those_of_loops_over_numbers() -> None:
    rng = torch.Generator().manual_seed(3)
    x, encoder, decoder = (
        torch.randn(*sides, generator=rng, dtype=torch.float64) for sides in ((5, 4), (4, 6), (6, 4))
    )
    bias = torch.randn(6, generator=rng, dtype=torch.float64)

    def by_loops(active: int, sparsity: float) -> float:
        total = 0.0
        for sample in x.tolist():
            before = [sum(sample[c] * encoder[c, m].item() for c in range(4)) + bias[m].item() for m in range(6)]
            kept = sorted(range(6), key=lambda m: -before[m])[:active]
            features = [max(before[m], 0.0) if m in kept else 0.0 for m in range(6)]
            lengths = [sum(decoder[m, c].item() ** 2 for c in range(4)) ** 0.5 for m in range(6)]
            guess = [sum(features[m] * decoder[m, c].item() / lengths[m] for m in range(6)) for c in range(4)]
            total += sum((one - actual) ** 2 for one, actual in zip(guess, sample, strict=True))
            total += sparsity * sum(features)
        return total / len(x)

    for active, sparsity in ((2, 0.0), (6, 0.7)):
        parameters = [encoder, bias, decoder]
        gradients = torch.autograd.grad(
            autoencoder_loss(x, *(one.requires_grad_() for one in parameters), sparsity, active), parameters
        )
        for parameter, gradient in zip(parameters, gradients, strict=True):
            flat = parameter.detach().view(-1)
            for i in range(0, len(flat), 5):
                kept = float(flat[i])
                flat[i] = kept + 1e-6
                above = by_loops(active, sparsity)
                flat[i] = kept - 1e-6
                slope = (above - by_loops(active, sparsity)) / 2e-6
                flat[i] = kept
                assert float(gradient.view(-1)[i]) == pytest.approx(slope, rel=1e-5, abs=1e-6)
        loss = float(autoencoder_loss(x, *(one.detach() for one in parameters), sparsity, active))
        assert loss == pytest.approx(by_loops(active, sparsity))
    values = torch.tensor([[3.0, 1.0, 2.0]])
    assert largest(values, 2).tolist() == [[3.0, 0.0, 2.0]]
    assert largest(values, 5) is values


def test_more_sparsity_means_fewer_active_features_and_a_worse_reconstruction() -> None:
    x = sums(0.06)
    loose, tight = (train_autoencoder(x, 32, sparsity, updates=600) for sparsity in (0.05, 3.0))
    alive = [(coder.encode(x) > 1e-3).float().sum(1).mean() for coder in (loose, tight)]
    assert alive[0] > alive[1]
    assert loose.explained(x) > tight.explained(x)


def test_training_repeats_and_depends_on_its_seed() -> None:
    one, again, other = (train_autoencoder(sums(0.06), 16, updates=20, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.decoder, again.decoder)
    assert not torch.equal(one.decoder, other.decoder)


def test_setting_features_moves_windows_along_their_directions_by_the_difference() -> None:
    coder = train_autoencoder(sums(0.06), 24, updates=300)
    maps = sums(0.06, 3 * 25).reshape(3, 25, 12).movedim(2, 1).reshape(3, 12, 5, 5)
    goals, targets = np.array([6, -1, 8], np.int32), np.array([12, 3, 24], np.int32)
    low, high = torch.tensor([0.0, 0.1]), torch.tensor([2.0, 1.5])
    edit = SetCoordinates(
        "stem", coordinates=SAEFeatures(coder, (4, 9)), move=GoalMove(goals, targets, 5, 5), absent=low, present=high
    )
    after = edit(maps, EditContext.at_start(np.arange(3)))
    for cells, values in ((goals, low), (targets, high)):
        own, new = read_square(maps, cells), read_square(after, cells)
        expected = own + (values - coder.encode(own)[:, [4, 9]]) @ coder.decoder[[4, 9]]
        standing = torch.from_numpy(cells >= 0)
        torch.testing.assert_close(new[standing], expected[standing])
    changed = (after != maps).any(1).flatten(1)
    assert [row.nonzero().flatten().tolist() for row in changed] == [[6, 12], [3], [8, 24]]
    assert uses_only_cells(edit.uses)


def test_goal_features_of_a_network_bring_the_target_closer_to_a_goal(policy: NetworkPolicy, family: Family) -> None:
    context = FitContext(policy, family.levels(7, np.arange(150), split="fitting"))
    found = fit_goal_features(context, "stem", updates=300)
    assert len(found.present) == len(found.absent) == 4
    levels, rows = family.levels(0, np.arange(60)), np.arange(60)
    targets = draw_targets(levels, 2)

    def distance(strength: float) -> float:
        """Return the mean distance of the target's square from its activation with the goal really there."""
        edit = found.edit(GoalMove.on(levels, targets), strength)
        with torch.inference_mode(), applied(policy, [edit]), captured(policy.network, ["stem"]) as latest:
            policy.logits(rows, torch.from_numpy(observations_of(policy, levels)))
        moved = levels.with_goal_and_cue_at(targets)
        really = FitContext(policy, moved).activations(moved, "stem")
        return float((read_square(latest["stem"], targets) - read_square(really, targets)).norm(dim=1).mean())

    assert distance(1.0) < 0.7 * distance(0.0)


def test_what_does_not_fit_is_refused(policy: NetworkPolicy, levels: LevelBatch) -> None:
    with pytest.raises(GoalmazeError, match="no autoencoder of 8 features learns from samples"):
        train_autoencoder(torch.zeros(0, 4), 8)
    with pytest.raises(GoalmazeError, match="site 'hidden' is not a map"):
        fit_goal_features(FitContext(policy, levels), "hidden")
    coder = train_autoencoder(sums(0.06), 4, updates=2)
    foreign = GoalCoordinates("stem", SAEFeatures(coder, (0,)), torch.ones(1), torch.zeros(1), False)
    with (
        pytest.raises(GoalmazeError, match="is for 12 channels, the site has 8"),
        applied(policy, [foreign.edit(GoalMove(levels.start, levels.start, 7, 7))]),
    ):
        pytest.fail("the context was entered")
