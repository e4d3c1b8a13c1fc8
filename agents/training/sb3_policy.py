"""Policies of stable-baselines3 made of the package's networks: actor-critic for PPO and A2C, Q-network for DQN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor

from goalmaze.agents.eager_optimizers import eager
from goalmaze.agents.networks.base import Network, RecurrentNetwork, Shape
from goalmaze.agents.networks.forward_pass import ForwardPass, masked_memory, precision
from goalmaze.agents.training.finite import check_finite
from goalmaze.agents.training.initial_network import initial_network
from goalmaze.envs.json_data import ReadonlyJsonObject

TEMPERATURE = 0.05
"""Action values are logits times this number, so a network trained by DQN acts by softmax(value / TEMPERATURE)."""


class _NetworkPolicy(BasePolicy):
    """What both policies add to those of stable-baselines3: the network that they build, and its precision.

    Args:
        observation_space: space of one observation.
        action_space: space of the actions.
        lr_schedule: learning rate by the fraction of training that remains.
        network: name of the network.
        options: its hyperparameters.
        shape: shape of its input and output.
        initial_seed: seed of its initial weights.
        bf16: whether to run it in bfloat16, by torch's autocast.
        sb3: further arguments of the policy in stable-baselines3.
    """

    def __init__(
        self,
        observation_space: gymnasium.spaces.Box,
        action_space: gymnasium.spaces.Discrete,
        lr_schedule: Schedule,
        *,
        network: str,
        options: ReadonlyJsonObject,
        shape: Shape,
        initial_seed: int = 0,
        bf16: bool = False,
        **sb3: Any,
    ) -> None:
        # Before the call of super: the constructors of stable-baselines3 already build the network.
        self._make_network: Callable[[], Network] = lambda: initial_network(network, shape, options, initial_seed)
        self._bf16 = bf16
        super().__init__(observation_space, action_space, lr_schedule, net_arch=[], **sb3)


class MazePolicy(_NetworkPolicy, ActorCriticPolicy):
    """An actor-critic policy whose only module is one of the package's networks; arguments as `_NetworkPolicy`.

    Attributes:
        network: the network.
    """

    network: Network

    def _build(self, lr_schedule: Schedule) -> None:
        self.network = self._make_network()
        # Here and not in the constructor: for Adam itself, that of stable-baselines3 sets an epsilon.
        make_optimizer: Callable[..., torch.optim.Optimizer] = eager(self.optimizer_class)
        # A schedule takes the fraction of training that remains: 1 at the start.
        self.optimizer = make_optimizer(self.network.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    @property
    def forward_pass(self) -> ForwardPass:
        """The network and the precision in which it runs."""
        return ForwardPass(self.network, self._bf16)

    @property
    def recurrent(self) -> RecurrentNetwork | None:
        """The network if it is recurrent, else None."""
        return self.forward_pass.recurrent

    def outputs(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] float32 of first observations [B, ...]."""
        return self.forward_pass.outputs(observation)

    def step(self, observation: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A] and values [B] float32, and the new memory [B, ...], for observations and a memory."""
        return self.forward_pass.step(observation, memory)

    def initial_memory(self, batch: int) -> Tensor:
        """Return the memory [B, ...] of a recurrent network at the start of episodes."""
        return self.forward_pass.initial_memory(batch).to(self.device)

    def _heads(self, observation: PyTorchObs) -> tuple[CategoricalDistribution, Tensor]:
        logits, values = self.outputs(_in_drawn_order(cast(Tensor, observation), self.network.shape))
        check_finite("the network's output", logits, values)
        distribution = cast(CategoricalDistribution, self.action_dist)
        # stable-baselines3 has values [B, 1].
        return distribution.proba_distribution(logits), values.unsqueeze(1)

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions [B], values [B, 1] and log-probabilities [B] for observations [B, ...]."""
        distribution, values = self._heads(obs)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, values, distribution.log_prob(actions)

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values [B, 1], log-probabilities [B] and entropies [B] of given actions."""
        distribution, values = self._heads(obs)
        return values, distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """Return the distribution over actions for observations [B, ...]."""
        return self._heads(obs)[0]

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """Return values [B, 1] for observations [B, ...]."""
        return self._heads(obs)[1]

    def predict(
        self,
        observation: NDArray[np.generic] | dict[str, NDArray[np.generic]],
        state: tuple[NDArray[np.generic], ...] | None = None,
        episode_start: NDArray[np.generic] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.generic], tuple[NDArray[np.generic], ...] | None]:
        """Return actions int [B], and the state to pass at the next step if the network is recurrent.

        Arguments as in stable-baselines3. Without a state, all episodes are taken to start.
        """
        if self.recurrent is None:
            return super().predict(observation, state, episode_start, deterministic)
        self.set_training_mode(False)
        tensor, is_batch = self.obs_to_tensor(observation)
        observations = cast(Tensor, tensor)
        memory = self.initial_memory(len(observations))
        if state is not None:
            starts = torch.zeros(len(observations), dtype=torch.bool)
            if episode_start is not None:
                starts = torch.from_numpy(np.asarray(episode_start, np.bool_))
            memory = masked_memory(torch.from_numpy(state[0]).to(memory), starts.to(memory.device), memory)
        with torch.no_grad():
            logits, _, memory = self.step(observations, memory)
            distribution = cast(CategoricalDistribution, self.action_dist).proba_distribution(logits)
            actions = distribution.get_actions(deterministic=deterministic).cpu().numpy()
        return actions if is_batch else actions.squeeze(axis=0), (memory.cpu().numpy(),)


class MazeQNetwork(BasePolicy):
    """The Q-network of DQN: one of the package's networks, whose logits times `TEMPERATURE` are the action values."""

    def __init__(
        self, observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any], network: Network, bf16: bool
    ) -> None:
        super().__init__(observation_space, action_space)
        self.network, self._bf16 = network, bf16

    def forward(self, obs: PyTorchObs) -> Tensor:
        """Return action values [B, A] for observations [B, ...]."""
        observations = _in_drawn_order(cast(Tensor, obs), self.network.shape)
        with precision(observations.device, self._bf16):
            logits: Tensor = self.network(observations)[0]
        check_finite("the network's output", logits)
        return TEMPERATURE * logits.float()

    def _predict(self, observation: PyTorchObs, deterministic: bool = True) -> Tensor:
        values: Tensor = self(observation)
        return values.argmax(dim=1)


class MazeDQNPolicy(_NetworkPolicy, DQNPolicy):
    """The policy of DQN with a `MazeQNetwork`; arguments as `_NetworkPolicy`."""

    def _build(self, lr_schedule: Schedule) -> None:
        self.optimizer_class = eager(self.optimizer_class)
        super()._build(lr_schedule)

    def make_q_net(self) -> QNetwork:
        """Return a Q-network with fresh weights."""
        values = MazeQNetwork(self.observation_space, self.action_space, self._make_network(), self._bf16)
        # No QNetwork, but it has all that DQN calls. A QNetwork would add a feature extractor and layers of its own.
        return cast(QNetwork, values.to(self.device))

    @property
    def network(self) -> Network:
        """The network of the online (not the target) action values."""
        return cast(MazeQNetwork, self.q_net).network


def _in_drawn_order(observation: Tensor, shape: Shape) -> Tensor:
    """Return observations [B, ...] as the view draws them; stable-baselines3's own algorithms transpose pictures."""
    return observation if tuple(observation.shape[1:]) == shape.observation else observation.permute(0, 2, 3, 1)
