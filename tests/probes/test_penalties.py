"""Penalties: their gradient, a planted linear case, weight 0, resuming, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import digest, ending_at_save
from plans import SMALL_RECIPE
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from goalmaze.agents.loading import load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.training.algorithms import make_algorithm, make_environments, network_of
from goalmaze.agents.training.directional_ablation import DirectionalAblation, span
from goalmaze.agents.training.gradient_routing import first_convolution
from goalmaze.agents.training.log import read_log
from goalmaze.agents.training.penalties.base import Penalty, PenaltyOptions
from goalmaze.agents.training.penalties.cue_planes import CuePlanes
from goalmaze.agents.training.penalties.registry import known_penalties, make_penalty
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import resume, train
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.spec import DEFAULT_SPEC
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.solving import distances
from goalmaze.probes.penalties.directions import excess, site_features
from goalmaze.probes.penalties.shipped import SHIPPED

FAMILY = make_family("GreenExit", {"size": 5})
VIEW = make_view(FAMILY, DEFAULT_SPEC)
OPTIONS = PenaltyOptions(levels=256, batch=32)
SMALL = dataclasses.replace(SMALL_RECIPE, steps=1024, penalty_options={"levels": 64, "batch": 16})


def network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return make_network("grid", Shape.seeing(VIEW), {"channels": 4, "blocks": 1, "hidden": 8})


def penalty(name: str) -> Penalty:
    return make_penalty(name, FAMILY, VIEW, 3, OPTIONS)


def test_all_shipped_penalties_are_registered() -> None:
    assert {one.name for one in SHIPPED} | {"value-gradient", "plane-ablation"} == set(known_penalties())


@pytest.mark.parametrize("name", ["linear-probe", "value-gradient", "plane-ablation", "irrelevant-probe"])
def test_the_gradient_is_that_of_finite_differences(name: str) -> None:
    one, net = penalty(name), network()
    one.fit(net)
    observations = one.inputs(0)

    def term() -> Tensor:
        return one.scores(net, observations).double().mean()

    parameters = [first_convolution(net).weight, net.get_parameter("value.weight")]
    gradients = torch.autograd.grad(term(), parameters, allow_unused=True)
    rng = torch.Generator().manual_seed(1)
    largest = 0.0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        direction = torch.randn(parameter.shape, generator=rng)
        direction /= direction.norm()
        expected = 0.0 if gradient is None else float((gradient * direction).sum())
        errors = []
        for h in (1e-2, 3e-3, 1e-3):
            with torch.no_grad():
                parameter += h * direction
                above = float(term())
                parameter -= 2 * h * direction
                below = float(term())
                parameter += h * direction
            errors.append(abs((above - below) / (2 * h) - expected))
        # A ReLU may switch inside a large step, and a small one is lost in rounding: one of the three fits.
        assert min(errors) < 0.02 * max(abs(expected), 0.02)
        largest = max(largest, abs(expected))
    assert largest > 0.01


def test_the_probe_finds_a_planted_direction_and_random_directions_do_not() -> None:
    """Features that are the one-hot step towards the cue are read; the gradient points away from that code."""
    one, control = penalty("linear-probe"), penalty("random-direction")
    classes = one.classes(one.pool)  # type: ignore[attr-defined]
    noise = torch.randn(len(classes), 6, generator=torch.Generator().manual_seed(0))
    planted = torch.cat([classes.float(), noise], dim=1)
    weights, bias = one.fitted(planted, classes)  # type: ignore[attr-defined]
    assert (excess(planted @ weights + bias, classes) > 1).float().mean() > 0.9
    assert weights[:4].norm() > 20 * weights[4:].norm()
    random, random_bias = control.fitted(planted, classes)  # type: ignore[attr-defined]
    assert torch.allclose(random.norm(dim=0), weights.norm(dim=0), rtol=1e-4)
    assert excess(planted @ random + random_bias, classes).mean() < 0.7
    planted.requires_grad_()
    excess(planted @ weights + bias, classes).mean().backward()
    gradient = planted.grad
    assert gradient is not None
    # Of every row, the gradient is along the code of its own class.
    along = (gradient[:, :4] * classes).sum(dim=1)
    assert (along[classes.sum(dim=1) == 1] > 0).all()


def test_the_excess_is_never_below_zero_and_zero_for_a_uniform_guess() -> None:
    classes = torch.tensor([[True, False, False, False], [True, True, False, False], [False] * 4])
    assert torch.equal(excess(torch.zeros(3, 4), classes), torch.zeros(3))
    logits = torch.tensor([[3.0, 0, 0, 0], [-3.0, -3, 0, 0], [1.0, 0, 0, 0]], requires_grad=True)
    value = excess(logits, classes)
    expected = torch.log(torch.softmax(torch.tensor([3.0, 0, 0, 0]), 0)[0] * 4)
    assert torch.allclose(value, torch.tensor([float(expected), 0, 0]))
    value.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_steps_towards_the_cue_are_those_of_the_solver() -> None:
    one = penalty("linear-probe")
    levels = FAMILY.levels(3, count=OPTIONS.levels, shift="moved-sign", split="fitting")
    steps = distances(levels, levels.cells("sign"))
    towards = one.planes.steps_towards(one.pool, one.planes.cue).numpy()
    for b in range(0, len(levels), 17):
        for action, (row, column) in enumerate([(-1, 0), (0, 1), (1, 0), (0, -1)]):
            cell = levels.start[b] + row * levels.width + column
            assert towards[b, action] == (steps[b, cell] < steps[b, levels.start[b]])


def test_weight_0_gives_bitwise_the_training_without_it(tmp_path: Path) -> None:
    plain = train(dataclasses.replace(SMALL, steps=512, penalty_options={}), tmp_path / "plain").folder
    for name, through in (("linear-probe", "reward"), ("value-gradient", "loss")):
        recipe = dataclasses.replace(SMALL, steps=512, penalty={name: 0.0}, penalty_through=through)
        assert same_weights(plain, train(recipe, tmp_path / name).folder)
    other = train(dataclasses.replace(SMALL, steps=512, penalty={"linear-probe": 1.0}), tmp_path / "one").folder
    assert not same_weights(plain, other)
    assert {"penalty", "penalty_kl"} <= read_log(other)[0].keys()


def same_weights(one: Path, other: Path) -> bool:
    first, second = (load_agent(str(folder)).network.state_dict() for folder in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "changes",
    [
        {"penalty": {"linear-probe": 1.0}, "penalty_through": "refitted", "penalty_kl": 0.1, "start": "START"},
        {"penalty": {"linear-probe": 1.0}, "penalty_through": "reward"},
        {"penalty": {"random-direction": 1.0}, "ablate_direction": "linear-probe", "route_cue": 1},
        {"distill": "zoo:green-exit", "penalty_options": {}},
    ],
    ids=str,
)
def test_a_resumed_run_ends_bitwise_where_an_uninterrupted_one_does(
    tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if changes.get("start"):
        start = train(dataclasses.replace(SMALL_RECIPE, seed=5, steps=256), tmp_path / "start").folder
        changes = changes | {"start": str(start)}
    recipe = dataclasses.replace(SMALL, **changes)
    train(recipe, tmp_path / "whole", save_every=0)

    class EndedError(Exception):
        pass

    with ending_at_save(3, EndedError, monkeypatch), pytest.raises(EndedError):
        train(recipe, tmp_path / "cut", save_every=0)
    assert digest(tmp_path / "cut") != digest(tmp_path / "whole")
    resume(tmp_path / "cut")
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")


def test_the_kl_term_keeps_the_policy_and_a_last_phase_trains_on_the_term_alone(tmp_path: Path) -> None:
    start = train(dataclasses.replace(SMALL_RECIPE, seed=5), tmp_path / "start").folder
    settings: dict[str, Any] = {"penalty": {"plane-ablation": 3.0}, "start": str(start), "learning_rate": 0.01}
    moved = []
    for kl in (0.0, 100.0):
        recipe = dataclasses.replace(SMALL, **settings, penalty_kl=kl)
        folder = train(recipe, tmp_path / f"kl{kl}").folder
        moved.append(divergence(load_agent(str(start)).network, load_agent(str(folder)).network))
    assert moved[1] < moved[0] / 3
    recipe = dataclasses.replace(
        SMALL, **settings, penalty_through="last-phase", penalty_options={"levels": 64, "begin": 0.0}
    )
    last = train(recipe, tmp_path / "last").folder
    alone = load_agent(str(last)).network.state_dict()
    first = load_agent(str(start)).network.state_dict()
    # The ablation reads the value alone, so only PPO would change the head of the policy.
    assert torch.equal(alone["policy.weight"], first["policy.weight"])
    assert not torch.equal(alone["value.weight"], first["value.weight"])


def divergence(one: Network, other: Network) -> float:
    observations = penalty("plane-ablation").pool
    with torch.no_grad():
        before, now = (net(observations)[0].log_softmax(dim=1) for net in (one, other))
    return float((now.exp() * (now - before)).sum(dim=1).mean())


def test_a_distilled_agent_has_its_teachers_policy_and_values_and_no_use_for_the_reward(tmp_path: Path) -> None:
    recipe = Recipe(
        parameters={"size": 5},
        network_options={"channels": 8, "blocks": 4, "hidden": 16},
        steps=24_576,
        learning_rate=0.01,
        threads=1,
        distill="zoo:green-exit-twin",
    )
    teacher = load_agent("zoo:green-exit-twin").network
    student = train(recipe, tmp_path / "student").folder
    other = train(dataclasses.replace(recipe, reward="cue", shaping=-3.0), tmp_path / "other").folder
    assert same_weights(student, other), "the reward must not matter"
    # Against an untrained network of the same kind.
    seen = CuePlanes(FAMILY, VIEW).first_observations(FAMILY.levels(99, count=512))
    learned = load_agent(str(student)).network
    distances = [imitation(teacher, net, seen) for net in (learned, learned.untrained(0))]
    assert distances[0][0] < distances[1][0] / 4
    assert distances[0][1] < distances[1][1] / 4
    log = [float(row["penalty_kl"]) for row in read_log(student)]
    assert log[-1] < log[0] / 4


def imitation(teacher: Network, student: Network, observations: Tensor) -> tuple[float, float]:
    """Return the divergence of a teacher's policy from a student's, and the mean squared difference of values."""
    with torch.no_grad():
        (taught, worth), (logits, values) = teacher(observations), student(observations)
    wanted = Categorical(logits=taught)
    return float(kl_divergence(wanted, Categorical(logits=logits)).mean()), float(((worth - values) ** 2).mean())


def test_the_reward_is_lowered_by_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    rewards = []
    for weight in (0.0, 2.0):
        recipe = dataclasses.replace(
            SMALL, steps=256, penalty={"plane-ablation": weight}, penalty_through="reward", learning_rate=0.0
        )
        algorithm = make_algorithm(recipe, make_environments(recipe))
        algorithm.learn(256)
        assert isinstance(algorithm, TensorPPO)
        rewards.append(algorithm.tensor_buffer.rewards.clone())
        observations = algorithm.tensor_buffer.observations
        term = algorithm.term
    assert term is not None
    with torch.no_grad():
        scores = term.settings.penalties[0][0].scores(network_of(algorithm), observations.flatten(0, 1))
    assert torch.allclose(rewards[0] - rewards[1], 2 * scores.reshape(rewards[0].shape), atol=1e-5)


def test_ablated_directions_are_gone_and_others_stay() -> None:
    net, one = network(), penalty("linear-probe")
    one.fit(net)
    site, directions = one.directions(net)
    before = site_features(net, one.pool, site).detach()
    ablation = DirectionalAblation(net, site, span(directions))
    after = site_features(net, one.pool, site).detach()
    assert (after @ directions).abs().max() < 1e-4 < (before @ directions).abs().max()
    basis = ablation.basis
    assert basis.shape[1] == 3, "of four classes, the mean is no direction"
    rest = torch.eye(len(basis)) - basis @ basis.T
    assert torch.allclose(after @ rest, before @ rest, atol=1e-4)
    ablation.remove()
    assert torch.equal(site_features(net, one.pool, site), before)


def test_the_cue_is_routed_to_the_chosen_channels_alone(tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, penalty_options={}, route_cue=1)
    net = load_agent(str(train(recipe, tmp_path / "run").folder)).network
    weight, cue = first_convolution(net).weight, penalty("plane-ablation").planes.cue
    assert weight[1:, cue].abs().max() == 0 < weight[:1, cue].abs().min()
    assert weight[1:, :2].abs().min() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"penalty": {"linear-prob": 1.0}}, "did you mean 'linear-probe'"),
        ({"penalty": {"linear-probe": -1.0}}, "weight of penalty linear-probe"),
        ({"penalty": {"linear-probe": 1.0}, "penalty_options": {"evry": 2}}, "did you mean 'every'"),
        ({"penalty": {"linear-probe": 1.0}, "penalty_options": {"site": "blok1"}}, "blok1"),
        ({"penalty": {"linear-probe": 1.0}, "penalty_options": {"begin": 1.5}}, "begin"),
        ({"penalty_options": {"every": 2}, "penalty": {}}, "add --penalty"),
        ({"penalty": {}, "penalty_options": {}, "penalty_through": "reward"}, "add --penalty"),
        ({"penalty": {"linear-probe": 1.0}, "penalty_kl": 0.1}, "add --start"),
        ({"penalty": {"linear-probe": 1.0}, "algorithm": "sb3-ppo"}, "choose ppo"),
        ({"penalty": {"linear-probe": 1.0}, "network": "lstm", "network_options": {}}, "memory"),
        ({"penalty": {"linear-probe": 1.0}, "observation": "partial"}, "observation mode planes"),
        ({"penalty": {"linear-probe": 1.0}, "family": "Corner"}, "no observation plane"),
        ({"ablate_direction": "plane-ablation"}, "reads no directions"),
        ({"route_cue": 99, "penalty_options": {}}, "lower it"),
        ({"distill": "zoo:corner", "penalty_options": {}}, "an agent of Corner, and this run trains on GreenExit"),
        ({"distill": "zoo:green-exit", "penalty_options": {}, "observation": "crop"}, "the same family and mode"),
        ({"distill": "zoo:green-exit-lstm", "penalty_options": {}}, "has a memory"),
        ({"distill": "zoo:green-exit", "penalty_options": {}, "network": "lstm", "network_options": {}}, "choose grid"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message) as raised:
        train(dataclasses.replace(SMALL, **changes), tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_a_recipe_records_the_penalty() -> None:
    recipe = Recipe(penalty={"linear-probe": 0.5}, penalty_through="refitted", penalty_options={"every": 2})
    algorithm = make_algorithm(dataclasses.replace(SMALL, penalty=recipe.penalty), make_environments(SMALL))
    assert isinstance(algorithm, TensorPPO)
    assert algorithm.term is not None
    assert algorithm.term.settings.penalties[0][1] == 0.5
    assert np.isnan(algorithm.term.last[0])
