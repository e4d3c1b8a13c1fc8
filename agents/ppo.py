"""stable-baselines3 PPO on our networks and environments."""

from __future__ import annotations

import contextlib
from typing import Any, cast

import gymnasium
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.recipe import Recipe
from goalmaze.agents.sb3 import MazeVecEnv


class MazePolicy(ActorCriticPolicy):
    """A stable-baselines3 policy that is one of our networks, without feature extractors of its own.

    Args:
        network: the network's name.
        options: its hyperparameters.
        bf16: whether to run it in bfloat16 where autocast thinks it safe.
    """

    network: Network

    def __init__(
        self,
        observation_space: gymnasium.spaces.Box,
        action_space: gymnasium.spaces.Discrete,
        lr_schedule: Schedule,
        *,
        network: str,
        options: dict[str, Any],
        bf16: bool = False,
        **sb3: Any,
    ) -> None:
        self._network_name = network
        self._network_options = options
        self._bf16 = bf16
        super().__init__(observation_space, action_space, lr_schedule, net_arch=[], **sb3)

    def _build(self, lr_schedule: Schedule) -> None:
        space = cast(gymnasium.spaces.Box, self.observation_space)
        actions = int(cast(gymnasium.spaces.Discrete, self.action_space).n)
        self.network = make_network(self._network_name, Shape(space.shape[0], actions), self._network_options)
        optimizer_class = cast(Any, self.optimizer_class)
        self.optimizer = optimizer_class(self.network.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _heads(self, observation: PyTorchObs) -> tuple[CategoricalDistribution, Tensor]:
        observation = cast(Tensor, observation)
        with torch.autocast(observation.device.type, torch.bfloat16) if self._bf16 else contextlib.nullcontext():
            logits, values = self.network(observation)
        distribution = cast(CategoricalDistribution, self.action_dist)
        return distribution.proba_distribution(logits.float()), values.float().unsqueeze(1)

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions [B], values [B, 1] and log-probabilities [B] for observations [B, C, H, W]."""
        distribution, values = self._heads(obs)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, values, distribution.log_prob(actions)

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values [B, 1], log-probabilities [B] and entropies [B] of given actions."""
        distribution, values = self._heads(obs)
        return values, distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """Return the distribution over actions for observations [B, C, H, W]."""
        return self._heads(obs)[0]

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """Return values [B, 1] for observations [B, C, H, W]."""
        return self._heads(obs)[1]


def make_learner(recipe: Recipe, mazes: MazeVecEnv) -> PPO:
    """Return a PPO learner for a recipe on its environments; learning rate annealed to 0."""
    return PPO(
        MazePolicy,
        mazes,
        policy_kwargs={
            "network": recipe.network,
            "options": recipe.network_options,
            "bf16": recipe.precision == "bf16",
        },
        learning_rate=lambda remaining: recipe.learning_rate * remaining,
        n_steps=recipe.rollout_steps,
        batch_size=recipe.envs * recipe.rollout_steps // recipe.minibatches,
        n_epochs=recipe.epochs,
        gamma=recipe.discount,
        gae_lambda=recipe.gae_lambda,
        clip_range=recipe.clip,
        ent_coef=recipe.entropy,
        max_grad_norm=recipe.gradient_clip,
        seed=recipe.seed,
        device="cpu",
    )


def network_of(learner: BaseAlgorithm) -> Network:
    """Return the network that a learner trains."""
    return cast(MazePolicy, learner.policy).network
