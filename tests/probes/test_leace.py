"""LEACE: no linear probe reads the erased concept, and the change is the least one, by a second formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.probes.activations import captured, read_activations
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.leace import Erase, Eraser, fit_eraser


def planted(count: int = 4000) -> tuple[Tensor, Tensor]:
    """Return correlated features [N, 6] in which three classes are planted, and the classes one-hot [N, 3]."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (count,), generator=generator)
    mixing = torch.randn(6, 6, generator=generator)
    centres = torch.randn(3, 6, generator=generator)
    noise = torch.randn(count, 6, generator=generator) @ mixing
    return noise + 2 * centres[labels] + 3.0, torch.nn.functional.one_hot(labels, 3).float()


def oblique(features: Tensor, concept: Tensor) -> np.ndarray:
    """Return the removal by the method of Lagrange multipliers: the least A with (I - A) Cov(x, z) = 0."""
    x = features.double().numpy() - features.double().numpy().mean(0)
    z = concept.double().numpy() - concept.double().numpy().mean(0)
    inverse, across = np.linalg.inv(x.T @ x / len(x)), x.T @ z[:, :-1] / len(x)
    return across @ np.linalg.solve(across.T @ inverse @ across, across.T @ inverse)


def read_score(features: Tensor, concept: Tensor) -> float:
    labels = concept.argmax(1).numpy()
    return float(LogisticRegression(C=1e3).fit(features.numpy(), labels).score(features.numpy(), labels))


def test_an_erased_concept_is_read_at_the_rate_of_the_majority_class() -> None:
    features, concept = planted()
    erased = fit_eraser(features, concept)(features)
    assert read_score(features, concept) > 0.6
    assert read_score(erased, concept) <= float(concept.mean(0).max()) + 1e-3
    assert read_score(fit_eraser(features, concept.roll(1, 0))(features), concept) > 0.6


def test_the_projection_is_the_least_change_by_another_formula() -> None:
    features, concept = planted()
    eraser = fit_eraser(features, concept)
    np.testing.assert_allclose(eraser.projection, oblique(features, concept), atol=1e-5)
    torch.testing.assert_close(eraser(features).mean(0), features.mean(0), atol=1e-4, rtol=0)
    centres = torch.stack([features[concept[:, c] > 0].mean(0) for c in range(3)])
    basis = torch.linalg.svd((centres - centres.mean(0)).T, full_matrices=False)[0][:, :2]
    blunt = Eraser(features.mean(0), basis @ basis.T)
    change, more = (float((one(features) - features).square().sum()) for one in (eraser, blunt))
    assert read_score(blunt(features), concept) < 0.4
    assert change < 0.95 * more


def test_constant_features_are_unchanged() -> None:
    features, concept = planted()
    padded = torch.cat([features, torch.full((len(features), 2), 7.0), features[:, :1]], dim=1)
    eraser = fit_eraser(padded, concept)
    erased = eraser(padded)
    torch.testing.assert_close(erased[:, 6:8], padded[:, 6:8], atol=1e-4, rtol=0)
    torch.testing.assert_close(erased[:, 8], erased[:, 0], atol=1e-3, rtol=0)
    assert read_score(erased, concept) <= float(concept.mean(0).max()) + 1e-3


def test_a_number_can_be_erased_and_a_constant_changes_nothing() -> None:
    features, concept = planted()
    number = concept @ torch.tensor([0.0, 1.0, 2.0])
    erased = fit_eraser(features, number)(features)
    covariance = (erased - erased.mean(0)).T @ (number - number.mean()) / len(number)
    assert covariance.abs().max() < 1e-3
    assert ((features - features.mean(0)).T @ (number - number.mean()) / len(number)).abs().max() > 0.1
    constant = fit_eraser(features, torch.ones(len(features)))
    assert torch.equal(constant(features), features)


def test_in_a_network_the_goals_square_no_longer_differs_in_its_mean(policy: NetworkPolicy, family: Family) -> None:
    context = FitContext(policy, family.levels(7, np.arange(200), split="fitting"))
    maps = context.activations(context.levels, "stem")
    squares = maps.movedim(1, -1).reshape(-1, 8)
    here = torch.zeros(200, 49)
    here[torch.arange(200), torch.tensor(context.goals, dtype=torch.long)] = 1
    edit = Erase("stem", eraser=fit_eraser(squares, here.flatten()))
    with torch.inference_mode(), applied(policy, [edit]), captured(policy.network, ["stem"]) as latest:
        policy.logits(np.arange(200), torch.from_numpy(observations_of(policy, context.levels)))
    after = latest["stem"].movedim(1, -1).reshape(-1, 8)
    means = [values[here.flatten() > 0].mean(0) - values[here.flatten() == 0].mean(0) for values in (squares, after)]
    assert means[1].abs().max() < 1e-3 < 0.1 < means[0].abs().max()
    none = Erase("stem", eraser=edit.eraser, strength=0.0)
    assert torch.equal(none(maps, EditContext.at_start(np.arange(200))), maps)


def test_what_does_not_fit_is_refused(policy: NetworkPolicy) -> None:
    features, concept = planted()
    with pytest.raises(GoalmazeError, match="4000 activations and 3999 labels do not fit"):
        fit_eraser(features, concept[1:])
    edit = Erase("stem", eraser=fit_eraser(features, concept))
    with pytest.raises(GoalmazeError, match="is for 6 channels, the site has 8"), applied(policy, [edit]):
        read_activations(policy.network, np.zeros((1, 4, 7, 7), np.uint8), ["stem"])
