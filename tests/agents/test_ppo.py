"""PPO: its policy against arithmetic done by hand, and that it learns a small maze and nothing by itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.agents.scripted import RandomWalker
from goalmaze.agents.training.algorithms import make_algorithm, network_of
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.agents.training.sb3_environment import MazeVecEnv
from goalmaze.agents.training.sb3_policy import MazePolicy
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family

MAZES = {"size": 5}
NETWORK = {"channels": 16, "blocks": 3, "hidden": 32}
ROLLOUTS = Recipe(network_options=NETWORK, steps=16_384, envs=32, rollout_steps=32, minibatches=4, epochs=4)
LOSS = dataclasses.replace(ROLLOUTS, discount=0.95, gae_lambda=0.95, clip=0.2, entropy=0.01, precision="fp32")
RECIPE = dataclasses.replace(LOSS, parameters=MAZES, shaping=0.3, learning_rate=3e-3, gradient_clip=0.5)
FAMILY = make_family("GreenExit", MAZES)


def algorithm(recipe: Recipe = RECIPE) -> PPO:
    algorithm = make_algorithm(recipe, MazeVecEnv(FAMILY, recipe.envs, recipe.seed, recipe.shaping))
    assert isinstance(algorithm, PPO)
    return algorithm


@pytest.fixture
def policy() -> MazePolicy:
    policy = algorithm().policy
    assert isinstance(policy, MazePolicy)
    torch.nn.init.orthogonal_(policy.network.get_submodule("policy").weight, 2.0)
    return policy


@pytest.fixture
def observations() -> torch.Tensor:
    return torch.from_numpy(MazeVecEnv(FAMILY, 40, 1).reset())  # type: ignore[arg-type]


def test_evaluating_actions_is_the_softmax_done_by_hand(policy: MazePolicy, observations: torch.Tensor) -> None:
    actions = torch.arange(40) % 4
    with torch.no_grad():
        values, log_probabilities, entropies = policy.evaluate_actions(observations, actions)
        logits, expected_values = (tensor.double().numpy() for tensor in policy.network(observations))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(log_probabilities, np.log(probabilities[np.arange(40), actions]), atol=1e-5)
    np.testing.assert_allclose(entropies, -(probabilities * np.log(probabilities)).sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(values[:, 0], expected_values, atol=1e-5)
    np.testing.assert_array_equal(policy.predict_values(observations).detach(), values)
    assert np.ptp(probabilities, axis=1).min() > 0.01


def test_forward_returns_the_log_probability_of_its_action(policy: MazePolicy, observations: torch.Tensor) -> None:
    with torch.no_grad():
        actions, values, log_probabilities = policy(observations)
        again = policy.evaluate_actions(observations, actions)
    torch.testing.assert_close((values, log_probabilities), again[:2])


def test_predicting_takes_the_likeliest_action_or_samples(policy: MazePolicy, observations: torch.Tensor) -> None:
    with torch.no_grad():
        likeliest = policy.network(observations)[0].argmax(dim=1).numpy()
    pictures = observations.numpy()
    np.testing.assert_array_equal(policy.predict(pictures, deterministic=True)[0], likeliest)
    assert policy.predict(pictures[0], deterministic=True)[0] == likeliest[0]
    samples = np.stack([policy.predict(pictures)[0] for _ in range(20)])
    assert (samples != likeliest).any()
    assert (samples == likeliest).mean() > 0.25


def test_half_precision_is_close_to_full_and_not_equal(policy: MazePolicy, observations: torch.Tensor) -> None:
    actions = torch.arange(40) % 4
    with torch.no_grad():
        _, full, _ = policy.evaluate_actions(observations, actions)
        policy._bf16 = True
        _, half, _ = policy.evaluate_actions(observations, actions)
    torch.testing.assert_close(half, full, atol=0.1, rtol=0)
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)


def test_the_learning_rate_falls_to_nothing() -> None:
    schedule = algorithm().lr_schedule
    assert [schedule(left) for left in (1.0, 0.5, 0.0)] == pytest.approx([3e-3, 1.5e-3, 0.0])


@pytest.mark.parametrize("decay", [0.0, 2.0])
def test_weight_decay_shrinks_weights_without_gradient(decay: float) -> None:
    pupil = algorithm(dataclasses.replace(RECIPE, weight_decay=decay)).policy
    before = [parameter.detach().clone() for parameter in pupil.parameters()]
    for parameter in pupil.parameters():
        parameter.grad = torch.zeros_like(parameter)
    pupil.optimizer.step()
    for parameter, former in zip(pupil.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), former * (1 - RECIPE.learning_rate * decay), rtol=1e-6, atol=0)
    assert pupil.optimizer.defaults["eps"] == 1e-5


def test_training_beats_the_random_walker_and_not_training_does_not() -> None:
    levels = FAMILY.levels(0, np.arange(500))

    def length(policy: NetworkPolicy | RandomWalker) -> float:
        return float(rollout(policy, levels, seed=1).steps.mean())

    torch.set_num_threads(1)
    pupil = algorithm()
    walker, untrained = length(RandomWalker()), length(NetworkPolicy(network_of(pupil)))
    pupil.learn(RECIPE.steps)
    trained = length(NetworkPolicy(network_of(pupil)))
    assert untrained == pytest.approx(walker, rel=0.15)
    assert trained < 0.35 * walker


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"stepz": 3}, r"unknown field of a recipe 'stepz' \(did you mean 'steps'"),
        ({"steps": "many"}, "recipe: Expected `int`"),
        ({"steps": 0}, "steps is 0: choose 1 to 1000000000000"),
        ({"seed": -1}, "seed is -1: choose 0 to 4294967294"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1: choose 0 to 100"),
        ({"precision": "fp8"}, "recipe: Invalid enum value 'fp8'"),
        ({"envs": 3, "rollout_steps": 5, "minibatches": 2}, "does not split into 2 equal minibatches"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_field(data: dict[str, object], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        recipe_from(data)


def test_a_right_recipe_is_read() -> None:
    assert recipe_from({"steps": 5, "parameters": {"size": 5}}) == Recipe(steps=5, parameters={"size": 5})
