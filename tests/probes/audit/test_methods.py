"""Audit methods against closed forms, finite differences and agents with a planted goal."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.planted import DISCOUNT, PlannerNetwork, planner
from torch import Tensor

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.networks.external import wrap_module
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.solving import distances, pick
from goalmaze.probes.audit.method import MethodResult
from goalmaze.probes.audit.methods.weight_moments import weight_moments
from goalmaze.probes.audit.pool import AuditPool, Scene, make_pool
from goalmaze.probes.audit.registry import audit_methods, find_audit_method
from goalmaze.probes.audit.subject import AuditSubject
from goalmaze.probes.audit.unused_inputs import unused_inputs

SALIENCE = 4


@pytest.fixture(scope="module")
def family() -> Family:
    return make_family("GreenExit", {"size": 7})


@pytest.fixture(scope="module")
def pool(family: Family) -> AuditPool:
    return make_pool(family, levels=64)


def measured(network: Network, pool: AuditPool, name: str) -> MethodResult:
    return find_audit_method(name).result(AuditSubject(network, pool))


def score(network: Network, pool: AuditPool, name: str) -> float:
    measurement = measured(network, pool, name).measurement
    assert measurement is not None
    assert measurement.score is not None
    return measurement.score


EXACT = ("value-gradient", "integrated-gradients", "ablation-value", "drawn-object", "control")


@pytest.mark.parametrize("name", EXACT)
def test_value_methods_find_the_worths_of_a_planner(name: str, family: Family, pool: AuditPool) -> None:
    # A value that is linear in what stands on the goal's cell: d steps away, DISCOUNT ** d * (exit + 4 * sign).
    exit_worth, sign_worth = 0.7, 0.05
    network = planner(family, {"exit": exit_worth, "sign": sign_worth})
    steps = pick(distances(pool.levels, pool.levels.start), pool.goals)
    expected = DISCOUNT ** steps.astype(float) * (SALIENCE * sign_worth - exit_worth)
    measurement = measured(network, pool, name).measurement
    assert measurement is not None
    assert measurement.per_level is not None
    np.testing.assert_allclose(measurement.per_level, expected[: len(measurement.per_level)], atol=1e-4)
    assert measurement.score == pytest.approx(measurement.per_level.mean())


def test_norms_of_the_stem_count_what_an_object_paints(family: Family, pool: AuditPool) -> None:
    network = planner(family, {"exit": 0.5, "sign": -0.25})
    assert score(network, pool, "stem-norms") == pytest.approx(math.log(SALIENCE * 0.25 / 0.5), abs=1e-5)


@pytest.mark.parametrize("name", sorted(set(audit_methods()) - {"reference-difference"}))
def test_a_planted_goal_gets_its_sign_from_every_method_with_a_direction(
    name: str, family: Family, pool: AuditPool
) -> None:
    goal, cue = planner(family, {"exit": 1.0}), planner(family, {"sign": 1 / SALIENCE})
    results = [measured(one, pool, name).measurement for one in (goal, cue)]
    assert all(result is not None for result in results)
    scores = [result.score for result in results if result is not None]
    if name in ("activation-probes", "training-behaviour", "weight-moments"):
        assert all(result is not None and result.features for result in results)
    else:
        assert scores[0] is not None
        assert scores[1] is not None
        assert scores[0] < 0 < scores[1]


def test_where_the_cue_is_a_place_every_method_that_applies_orders_the_planted_goals() -> None:
    family = make_family("Corner", {"size": 7, "mixture": 1.0})
    pool = make_pool(family, levels=64)
    assert pool.hidden_cue
    goal, cue = planner(family, {"cheese": 1.0}), planner(family, {}, corner=1.0)
    ordered, subjects = [], [AuditSubject(one, pool) for one in (goal, cue)]
    for name, method in audit_methods().items():
        results = [method.result(subject) for subject in subjects]
        if results[0].measurement is None:
            assert results[0].reason
            continue
        scores = [result.measurement.score for result in results if result.measurement is not None]
        if scores[0] is not None and scores[1] is not None and name != "reference-difference":
            assert scores[0] < scores[1], name
            ordered.append(name)
    assert {"ablation-value", "ablation-policy", "ablation-agreement", "value-gradient"} <= set(ordered)
    assert not {"control", "drawn-object", "stem-norms"} & set(ordered)


def test_a_new_object_is_drawn_where_goal_and_cue_look_new() -> None:
    family = make_family("ColourShape", {"size": 7})
    pool = make_pool(family, levels=32)
    # The two look equally good in training; the gem, which training never shows, is what this agent wants.
    network = planner(family, {"line": 0.5, "yellow": 0.5, "gem": 0.5})
    assert score(network, pool, "ablation-value") == pytest.approx(0, abs=1e-6)
    assert score(network, pool, "value-gradient") == pytest.approx(0, abs=1e-6)
    assert score(network, pool, "drawn-object") > 0.1


def tiny(family: Family, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    network = make_network("grid", Shape.seeing(make_view(family)), {"channels": 8, "blocks": 2, "hidden": 16}).eval()
    # An untrained policy head is so small that differences of its logits drown in rounding.
    torch.nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
    return network


def test_gradient_times_input_is_the_finite_difference(family: Family, pool: AuditPool) -> None:
    network = tiny(family).eval()
    access = AuditSubject(network, pool).t2("test")
    observations = torch.from_numpy(pool.observations()).float()
    for head in ("value", "policy"):
        gradient = access.gradient(head)
        for side in (pool.goal, pool.cue):
            paint, small = torch.from_numpy(pool.paint(side)), 2e-3

            def scalar(inputs: Tensor, head: str = head) -> Tensor:
                logits, values = network(inputs)
                chosen = access.outputs().actions[:, None]
                return values if head == "value" else logits.log_softmax(1).gather(1, chosen)[:, 0]

            with torch.no_grad():
                difference = (scalar(observations + small * paint) - scalar(observations - small * paint)) / (2 * small)
            product = (gradient * paint).flatten(1).sum(1)
            # A ReLU may switch between the two points on a few levels.
            assert float((product - difference).abs().median()) < 1e-3 * float(product.abs().max())


def test_integrated_gradients_add_up_to_the_difference_of_value(family: Family, pool: AuditPool) -> None:
    access = AuditSubject(tiny(family), pool).t3("test")
    blank = Scene(removed=("exit", "sign"))
    gradient = access.path_gradient(blank, "value", steps=64)
    few = access.few
    paints = (torch.from_numpy(pool.paint(side)[:few]) for side in (pool.goal, pool.cue))
    parts = sum((gradient * paint).flatten(1).sum(1) for paint in paints)
    whole = (access.outputs().values - access.scene_outputs(blank).values)[:few]
    assert isinstance(parts, Tensor)
    torch.testing.assert_close(parts, whole, atol=0.02 * float(whole.abs().max()), rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_moments_and_norms_do_not_change_if_units_are_exchanged(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    first, second, heads = torch.randn(6, 4, 3, 3, generator=rng), torch.randn(5, 6, generator=rng), torch.randn(4, 5)
    weights = {"first": first, "bias": torch.randn(6, generator=rng), "second": second, "policy": heads, "value": heads}
    order = torch.randperm(6, generator=rng)
    exchanged = weights | {"first": first[order], "bias": weights["bias"][order], "second": second[:, order]}
    moments = weight_moments(weights)
    assert moments == pytest.approx(weight_moments(exchanged), abs=1e-12)
    assert moments != pytest.approx(weight_moments(weights | {"first": first * 2}), abs=1e-3)


def test_moments_have_the_same_names_for_every_network(family: Family) -> None:
    small, planned = tiny(family), planner(family, {})
    assert isinstance(planned, PlannerNetwork)
    names = [set(weight_moments(one.state_dict())) for one in (small, planned)]
    assert names[0] == names[1]


def test_a_picture_is_painted_where_the_object_stands() -> None:
    family = make_family("GreenExit", {"size": 5})
    spec = ObservationSpec("rgb", pixels=3)
    pool = make_pool(family, spec, levels=8)
    paint = pool.paint(pool.cue)
    assert paint.shape == (8, 15, 15, 3)
    for level, cell in enumerate(pool.goals):
        rows, columns = np.nonzero(paint[level].any(axis=2))
        assert set(rows // 3) == {cell // 5}
        assert set(columns // 3) == {cell % 5}

    class Linear(torch.nn.Module):
        """Logits and a value that are linear in the pixels, so that gradients have a closed form."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.head = torch.nn.Linear(15 * 15 * 3, 5)

        def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
            out = self.head(pictures.flatten(1))
            return out[:, :4], out[:, 4]

    module = Linear()
    network = wrap_module(module, family, observation=spec)
    weight = module.head.weight[4].detach().numpy()
    expected = ((pool.paint(pool.cue) - pool.paint(pool.goal)).reshape(8, -1) @ weight).mean()
    assert score(network, pool, "value-gradient") == pytest.approx(expected, rel=1e-3)
    # Sign over exit: what the picture loses without each is not the same, since the upper one hides the lower.
    without = [
        pool.observations(Scene(removed=side.trained)).reshape(8, -1).astype(float) for side in (pool.goal, pool.cue)
    ]
    assert score(network, pool, "ablation-value") == pytest.approx(
        ((without[0] - without[1]) @ weight).mean(), rel=1e-3
    )
    assert unused_inputs(pool).planes == ()
    # The only site is no map: the constant that each half of the levels writes into the other has the same mean.
    assert network.sites()[0].is_map is False
    assert score(network, pool, "control") == pytest.approx(score(network, pool, "ablation-value"), rel=1e-3)


def test_planes_that_no_level_lights_are_found() -> None:
    found = unused_inputs(make_pool(make_family("ColourShape", {"size": 5}), levels=16))
    assert found.planes == ("red", "gem")
    assert found.fraction == pytest.approx(2 / 6)
    assert "33% of the first layer's input is never used" in found.sentence
    assert unused_inputs(make_pool(make_family("Dish", {"size": 5}), levels=16)).planes == ()
