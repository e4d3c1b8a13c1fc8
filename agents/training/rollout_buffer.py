"""What PPO learns from: one rollout as tensors on the device, and the minibatches it is cut into.

Axes: T steps, B environments, b of them or of their steps in a minibatch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

KINDS = {np.dtype(np.uint8): torch.uint8, np.dtype(np.float32): torch.float32}


class Batch(NamedTuple):
    """A minibatch, [b, ...], or [T, b, ...] where whole sequences stay together.

    Attributes:
        observations: what was seen.
        actions: int64, what was done.
        old_log_chances: float32, its log-probability then.
        old_values: float32, the value predicted then.
        advantages: float32.
        returns: float32.
        begins: bool, whether an episode begins there.
        memory: [b, ...] before the first step, of a recurrent network.
    """

    observations: Tensor
    actions: Tensor
    old_log_chances: Tensor
    old_values: Tensor
    advantages: Tensor
    returns: Tensor
    begins: Tensor
    memory: Tensor | None = None

    def flattened(self) -> Batch:
        """Return sequences [T, b, ...] as single steps [T*b, ...], without memory."""
        return Batch._make([*(part.flatten(0, 1) for part in self[:-1]), None])


class TensorRolloutBuffer:
    """One rollout; arguments are those that stable-baselines3 hands a rollout buffer.

    Attributes:
        observations: [T, B, ...].
        actions: int64 [T, B].
        log_chances: float32 [T, B], of the actions.
        values: float32 [T, B], as predicted.
        rewards: float32 [T, B].
        begins: bool [T, B], whether an episode begins there.
        advantages: float32 [T, B].
        returns: float32 [T, B], what the values should have been.
        memory: [B, ...] before the first step, of a recurrent network.
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
        kind = KINDS[np.dtype(observation_space.dtype)]
        self.observations = self._blank(kind, *observation_space.shape)
        self.actions = self._blank(torch.int64)
        self.log_chances, self.values, self.rewards = (self._blank(torch.float32) for _ in range(3))
        self.advantages, self.returns = self._blank(torch.float32), self._blank(torch.float32)
        self.begins = self._blank(torch.bool)
        self.memory: Tensor | None = None

    def _blank(self, kind: torch.dtype, *shape: int) -> Tensor:
        return torch.zeros((self.steps, self.envs, *shape), dtype=kind, device=self.device)

    def estimate(self, last_values: Tensor, last_begins: Tensor) -> None:
        """Fill advantages and returns by generalised advantage estimation.

        Args:
            last_values: float32 [B], of what is seen after the last step.
            last_begins: bool [B], whether an episode begins there.
        """
        following = torch.cat([self.values[1:], last_values.unsqueeze(0)])
        goes_on = 1.0 - torch.cat([self.begins[1:], last_begins.unsqueeze(0)]).float()
        surprise = self.rewards + self.gamma * following * goes_on - self.values
        fading = self.gamma * self.gae_lambda * goes_on
        advantage = torch.zeros_like(last_values)
        for t in range(self.steps - 1, -1, -1):
            advantage = surprise[t] + fading[t] * advantage
            self.advantages[t] = advantage
        torch.add(self.advantages, self.values, out=self.returns)

    def minibatches(self, size: int) -> Iterator[Batch]:
        """Yield all steps once, `size` [b] at a time, in the order in which stable-baselines3 would."""
        order = torch.from_numpy(np.random.permutation(self.steps * self.envs))  # noqa: NPY002  its generator
        places = ((order % self.steps) * self.envs + order // self.steps).to(self.device)
        flat = [tensor.flatten(0, 1) for tensor in self._parts()]
        for begin in range(0, len(places), size):
            rows = places[begin : begin + size]
            yield Batch._make([*(tensor.index_select(0, rows) for tensor in flat), None])

    def sequences(self, envs: int) -> Iterator[Batch]:
        """Yield the sequences [T, b, ...] of all environments once, `envs` of them at a time, with their memory."""
        assert self.memory is not None
        order = torch.from_numpy(np.random.permutation(self.envs)).to(self.device)  # noqa: NPY002
        for begin in range(0, self.envs, envs):
            rows = order[begin : begin + envs]
            parts = [tensor.index_select(1, rows) for tensor in self._parts()]
            yield Batch._make([*parts, self.memory.index_select(0, rows)])

    def _parts(self) -> tuple[Any, ...]:
        return (
            *(self.observations, self.actions, self.log_chances, self.values),
            *(self.advantages, self.returns, self.begins),
        )

    def reset(self) -> None:
        """Do nothing: what a rollout held is overwritten by the next."""
