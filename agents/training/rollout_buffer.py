"""The rollout buffer of PPO: one rollout as tensors on the device, and its minibatches.

Axes: T steps, B environments, b environments or single steps of a minibatch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TORCH_TYPES = {np.dtype(np.uint8): torch.uint8, np.dtype(np.float32): torch.float32}
"""The types that observations may have."""


class Minibatch(NamedTuple):
    """Single steps [b, ...], or whole sequences [T, b, ...]. Names as in stable-baselines3.

    Attributes:
        observations: the observations.
        actions: int64, the actions taken.
        old_log_prob: float32, their log-probabilities when they were taken.
        old_values: float32, the values predicted then.
        advantages: float32, the estimated advantages.
        returns: float32, the targets of the values.
        episode_starts: bool, whether an episode starts there.
        memory: [b, ...], the memory of a recurrent network before the first step.
        trained: bool [T, b], the steps of sequences that are trained on; None for all.
    """

    observations: Tensor
    actions: Tensor
    old_log_prob: Tensor
    old_values: Tensor
    advantages: Tensor
    returns: Tensor
    episode_starts: Tensor
    memory: Tensor | None = None
    trained: Tensor | None = None

    def steps(self) -> tuple[Tensor, ...]:
        """Return what belongs to each step, in the order of the fields: all but memory and `trained`."""
        return cast("tuple[Tensor, ...]", self[:-2])

    def flattened(self) -> Minibatch:
        """Return sequences [T, b, ...] as single steps [T*b, ...], without memory."""
        return Minibatch(*(tensor.flatten(0, 1) for tensor in self.steps()))

    def take(self, chosen: Tensor) -> Minibatch:
        """Return the single steps at indices `chosen` [c]."""
        return Minibatch(*(tensor.index_select(0, chosen) for tensor in self.steps()))


class TensorRolloutBuffer:
    """One rollout; stable-baselines3's `PPO` makes it with these arguments.

    Attributes:
        observations: [T, B, ...], uint8 or float32.
        actions: int64 [T, B], the actions taken.
        log_probs: float32 [T, B], log-probabilities of the actions.
        values: float32 [T, B], predicted values.
        rewards: float32 [T, B], with the value after the last step added where the time limit ended the episode.
        episode_starts: bool [T, B], whether an episode starts there.
        advantages: float32 [T, B], filled by `compute_advantages`.
        returns: float32 [T, B], the targets of the values.
        memory: [B, ...], the memory of a recurrent network before the first step.
        trained: bool [T, B], the steps that are trained on; None for all.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: gymnasium.spaces.Box,
        action_space: gymnasium.spaces.Discrete,
        device: torch.device | str = "cpu",
        gae_lambda: float = 1.0,
        gamma: float = 0.99,
        n_envs: int = 1,
    ) -> None:
        self.steps, self.envs, self.device = buffer_size, n_envs, torch.device(device)
        self.gae_lambda, self.gamma = gae_lambda, gamma
        self.observations = self._zeros(TORCH_TYPES[np.dtype(observation_space.dtype)], *observation_space.shape)
        self.actions = self._zeros(torch.int64)
        self.log_probs, self.values, self.rewards = (self._zeros(torch.float32) for _ in range(3))
        self.advantages, self.returns = self._zeros(torch.float32), self._zeros(torch.float32)
        self.episode_starts = self._zeros(torch.bool)
        self.memory: Tensor | None = None
        self.trained: NDArray[np.bool_] | None = None

    def _zeros(self, dtype: torch.dtype, *shape: int) -> Tensor:
        return torch.zeros((self.steps, self.envs, *shape), dtype=dtype, device=self.device)

    def compute_advantages(self, last_values: Tensor, last_episode_starts: Tensor) -> None:
        """Fill advantages and returns by generalised advantage estimation (Schulman et al., 2016).

        Args:
            last_values: float32 [B], values of the observations after the last step.
            last_episode_starts: bool [B], whether an episode starts there.
        """
        # With c = 1 while the episode goes on and 0 where the next step starts another one:
        #   delta_t = r_t + gamma * c_t * V_{t+1} - V_t        (TD error)
        #   A_t = delta_t + gamma * lambda * c_t * A_{t+1}     (equation 16 of the paper, as a recursion)
        # Truncated episodes also end here; their value after the last step is already part of r_t.
        next_values = torch.cat([self.values[1:], last_values.unsqueeze(0)])
        continues = 1.0 - torch.cat([self.episode_starts[1:], last_episode_starts.unsqueeze(0)]).float()
        td_errors = self.rewards + self.gamma * next_values * continues - self.values
        decay = self.gamma * self.gae_lambda * continues
        advantage = torch.zeros_like(last_values)
        for t in range(self.steps - 1, -1, -1):
            advantage = td_errors[t] + decay[t] * advantage
            self.advantages[t] = advantage
        # The targets of TD(lambda): A_t = R_t - V_t.
        torch.add(self.advantages, self.values, out=self.returns)

    def minibatches(self, size: int, order: NDArray[np.int64]) -> Iterator[Minibatch]:
        """Yield steps once, in minibatches of `size` single steps [b, ...].

        Args:
            size: b.
            order: int64 [up to T * B], the steps in the order of the minibatches; step t of environment e is e * T + t.
        """
        # stable-baselines3 numbers steps by environment first; here they lie by time first, t * B + e.
        numbers = torch.from_numpy(order)
        indices = ((numbers % self.steps) * self.envs + numbers // self.steps).to(self.device)
        flat = [tensor.flatten(0, 1) for tensor in self.tensors()]
        for start in range(0, len(indices), size):
            chosen = indices[start : start + size]
            yield Minibatch(*(tensor.index_select(0, chosen) for tensor in flat))

    def sequences(self, envs: int, order: NDArray[np.int64]) -> Iterator[Minibatch]:
        """Yield the sequences of environments once, in minibatches [T, b, ...] of `envs` environments.

        Args:
            envs: b.
            order: int64 [up to B], the environments in the order of the minibatches.

        Raises:
            ValueError: the buffer has no memory of a recurrent network.
        """
        if self.memory is None:
            raise ValueError("sequences are minibatches of a recurrent network: set memory first")
        indices = torch.from_numpy(order).to(self.device)
        for start in range(0, len(indices), envs):
            chosen = indices[start : start + envs]
            tensors = (tensor.index_select(1, chosen) for tensor in self.tensors())
            trained = None if self.trained is None else torch.from_numpy(self.trained).to(self.device)[:, chosen]
            yield Minibatch(*tensors)._replace(memory=self.memory.index_select(0, chosen), trained=trained)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors [T, B, ...] of a minibatch, in the order of its fields."""
        return (
            self.observations,
            self.actions,
            self.log_probs,
            self.values,
            self.advantages,
            self.returns,
            self.episode_starts,
        )

    def trained_steps(self) -> NDArray[np.int64] | None:
        """Return int64 [n], the steps that are trained on, numbered as in `minibatches`; None for all."""
        return None if self.trained is None else np.flatnonzero(self.trained.T)

    def trained_environments(self) -> NDArray[np.int64] | None:
        """Return int64 [n], the environments of which at least one step is trained on; None for all."""
        return None if self.trained is None else np.flatnonzero(self.trained.any(axis=0))

    def reset(self) -> None:
        """No-op: the next rollout overwrites everything."""
