"""Rollouts of a population: the network computes the actions of one half of the agents while the other half's
environments advance.

A half has tensors of its own that stay where they are, so that a GPU can record its step as a CUDA graph. On a GPU
nothing waits for the device but the read of the actions.

Axes: T steps, P agents, p agents of one half, E environments of each agent, B = P * E, A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.forward_pass import masked_memory
from goalmaze.agents.networks.stacked import StackedNetwork
from goalmaze.agents.training.addressed_draws import action_numbers, sampled_actions
from goalmaze.agents.training.cuda_graphs import Outputs, recorded
from goalmaze.agents.training.population.environments import EnvironmentHalf, PopulationEnvironments, Truncated
from goalmaze.agents.training.rollout_buffer import TORCH_TYPES, TensorRolloutBuffer


class ActingHalf:
    """The step of one half: observations in, actions out.

    Args:
        network: the networks of all agents.
        half: the environments of the half.
        observations: [P, E, ...] on the device, the present observations of all agents.
        starts: bool [P, E], whether an episode starts there.
        memory: [P, E, ...], the memory of recurrent networks; None for others.
    """

    def __init__(
        self,
        network: StackedNetwork,
        half: EnvironmentHalf,
        observations: Tensor,
        starts: Tensor,
        memory: Tensor | None,
    ) -> None:
        self.half, self._network = half, network
        # Views: a half writes to its part, and the values after the rollout are computed from the whole.
        self._observations, self._starts = observations[half.agents], starts[half.agents]
        self._memory = None if memory is None else memory[half.agents]
        self._numbers = torch.zeros(self._starts.shape, device=observations.device)
        self._on_gpu = observations.is_cuda
        # Copies from and to page-locked memory need not wait.
        self._host_observations, self._host_starts = (
            torch.zeros(one.shape, dtype=one.dtype, pin_memory=self._on_gpu)
            for one in (self._observations, self._starts)
        )
        self._host_actions = torch.zeros(self._starts.shape, dtype=torch.int64, pin_memory=self._on_gpu)
        self._ready = torch.cuda.Event() if self._on_gpu else None  # type: ignore[no-untyped-call]
        changed = () if self._memory is None else (self._memory,)
        self._act = recorded(self._step, observations.device, lambda: changed)

    @torch.no_grad()
    def _step(self) -> Outputs:
        """Return actions int64, their log-probabilities and values, all [p, E], and update the memory."""
        agents = self.half.agents
        if self._memory is None:
            logits, values = self._network.outputs(self._observations, agents)
        else:
            memory = masked_memory(self._memory, self._starts, torch.zeros_like(self._memory))
            logits, values, new_memory = self._network.step(self._observations, memory, agents)
            self._memory.copy_(new_memory)
        log_probs = torch.log_softmax(logits, dim=-1)
        actions = sampled_actions(log_probs.exp(), self._numbers)
        return actions, log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1), values

    def upload(self, starts: NDArray[np.bool_]) -> None:
        """Copy the present observations, and bool [B] whether episodes start there, to the device."""
        # The copy before has ended: the actions that followed it on the device were waited for.
        self.half.observe_into(self._host_observations.flatten(0, 1).numpy())
        self._host_starts.flatten().numpy()[:] = starts[self.half.rows]
        self._observations.copy_(self._host_observations, non_blocking=True)
        self._starts.copy_(self._host_starts, non_blocking=True)

    def launch(self, t: int, numbers: Tensor, buffer: TensorRolloutBuffer) -> None:
        """Start to compute the actions of step t, and store everything that belongs to it except its reward.

        Args:
            t: the step of the rollout.
            numbers: float32 [T, P, E], the numbers that choose the actions.
            buffer: the rollout of all agents.
        """
        rows = self.half.rows
        self._numbers.copy_(numbers[t, self.half.agents])
        actions, log_probs, values = self._act()
        self._host_actions.copy_(actions, non_blocking=True)
        if self._ready is not None:
            self._ready.record()
        buffer.observations[t, rows] = self._observations.flatten(0, 1)
        buffer.actions[t, rows], buffer.values[t, rows] = actions.flatten(), values.flatten()
        buffer.log_probs[t, rows] = log_probs.flatten()

    def actions(self) -> NDArray[np.int64]:
        """Wait for the actions of the step that was launched, int64 [p * E]."""
        if self._ready is not None:
            self._ready.synchronize()
        return self._host_actions.flatten().numpy()


class Rollouts:
    """Takes the rollouts of a population.

    Args:
        network: the networks of all agents.
        environments: their environments.
        seeds: P training seeds.
        buffer: the rollout buffer of B environments.
        overlap: whether the two halves take turns. It changes no result.

    Attributes:
        buffer: as given.
        memory: [P, E, ...], the memory of recurrent networks; None for others.
        starts: bool [B], whether the next step starts an episode.
    """

    def __init__(
        self,
        network: StackedNetwork,
        environments: PopulationEnvironments,
        seeds: Sequence[int],
        buffer: TensorRolloutBuffer,
        overlap: bool = True,
    ) -> None:
        self.buffer, self._network, self._seeds, self._overlap = buffer, network, seeds, overlap
        self._envs, device = environments.envs, buffer.device
        space = environments.first.observation_space
        sides = (len(seeds), self._envs, *space.shape)  # type: ignore[misc]
        self._observations = torch.zeros(sides, dtype=TORCH_TYPES[np.dtype(space.dtype)], device=device)
        self._device_starts = torch.zeros(sides[:2], dtype=torch.bool, device=device)
        self.memory = network.initial_memory(self._envs).to(device) if network.is_recurrent else None
        self._value_memory = None if self.memory is None else self.memory.clone()
        self.starts = np.ones(buffer.envs, np.bool_)
        self._halves = [
            ActingHalf(network, half, self._observations, self._device_starts, self.memory)
            for half in environments.halves
        ]
        self._value_step = recorded(self._values, device)
        self._numbers: tuple[int, Tensor] | None = None

    def prepare(self, first_step: int) -> None:
        """Draw the numbers that choose the actions of a rollout, unless they were drawn before.

        Args:
            first_step: number of steps that every environment has taken before the rollout.
        """
        if self._numbers is None or self._numbers[0] != first_step:
            numbers = action_numbers(self._seeds, first_step, self.buffer.steps, self._envs)
            self._numbers = first_step, torch.from_numpy(numbers)

    @torch.no_grad()
    def collect(self, first_step: int) -> None:
        """Take T steps in every environment, and compute the advantages.

        Args:
            first_step: number of steps that every environment has taken before.
        """
        self.prepare(first_step)
        buffer = self.buffer
        buffer.memory = None if self.memory is None else self.memory.flatten(0, 1).clone()
        numbers = cast("tuple[int, Tensor]", self._numbers)[1].to(buffer.device)
        rewards = np.empty((buffer.steps, buffer.envs), np.float32)
        starts = np.empty((buffer.steps + 1, buffer.envs), np.bool_)
        starts[0] = self.starts
        truncated: list[tuple[int, Truncated, Tensor | None]] = []
        for half in self._halves:
            half.upload(starts[0])
        if self._overlap:
            for half in self._halves:
                half.launch(0, numbers, buffer)
        for t in range(buffer.steps):
            for half in self._halves:
                if not self._overlap:
                    half.launch(t, numbers, buffer)
                rows = half.half.rows
                ends = half.half.advance(half.actions(), rewards[t, rows], starts[t + 1, rows])
                truncated += [(t, one, self._memory_of(one)) for one in ends]
                half.upload(starts[t + 1])
                # The device works on this half while the next one's environments advance.
                if self._overlap and t + 1 < buffer.steps:
                    half.launch(t + 1, numbers, buffer)
        self.starts = starts[-1].copy()
        self._finish(rewards, starts, truncated)

    def _memory_of(self, truncated: Truncated) -> Tensor | None:
        """Return the memory [e, ...] after the last step of truncated episodes."""
        if self.memory is None:
            return None
        return self.memory.flatten(0, 1)[torch.from_numpy(truncated.rows).to(self.memory.device)]

    def _finish(
        self,
        rewards: NDArray[np.float32],
        starts: NDArray[np.bool_],
        truncated: list[tuple[int, Truncated, Tensor | None]],
    ) -> None:
        """Fill rewards and episode starts, bootstrap, and compute the advantages.

        Args:
            rewards: float32 [T, B].
            starts: bool [T + 1, B], whether an episode starts there.
            truncated: the truncated episodes of all steps, with the memory after them.
        """
        buffer = self.buffer
        if self.memory is not None and self._value_memory is not None:
            self._value_memory.copy_(masked_memory(self.memory, self._device_starts, torch.zeros_like(self.memory)))
        last_values = self._value_step()[0].flatten().clone()
        buffer.rewards.copy_(torch.from_numpy(rewards))
        there = torch.from_numpy(starts).to(buffer.device)
        buffer.episode_starts.copy_(there[:-1])
        if truncated:
            self._bootstrap(truncated)
        buffer.compute_advantages(last_values, there[-1])

    def _values(self) -> Outputs:
        """Return the values [P, E] of the observations and memories that are in place."""
        with torch.no_grad():
            if self._value_memory is None:
                return (self._network.outputs(self._observations)[1],)
            return (self._network.step(self._observations, self._value_memory)[1],)

    def _bootstrap(self, truncated: list[tuple[int, Truncated, Tensor | None]]) -> None:
        """Add gamma * V(last observation) to the last reward of truncated episodes, which would have gone on."""
        buffer, device = self.buffer, self.buffer.device
        steps = np.concatenate([np.full(len(one.rows), t) for t, one, _ in truncated])
        rows = np.concatenate([one.rows for _, one, _ in truncated])
        observations = torch.from_numpy(np.concatenate([one.observations for _, one, _ in truncated]))
        agents = rows // self._envs
        places = _count_before(agents)
        # In batches of E rows for every agent, whatever the number of episodes: one shape for all graphs, and the
        # rounding of one agent's values does not depend on the others.
        for batch in range(int(places.max()) // self._envs + 1):
            chosen = np.flatnonzero(places // self._envs == batch)
            place = torch.from_numpy(agents[chosen] * self._envs + places[chosen] % self._envs).to(device)
            self._observations.zero_()
            self._observations.flatten(0, 1)[place] = observations[chosen].to(device)
            if self._value_memory is not None:
                memory = torch.cat([one for _, _, one in truncated if one is not None])
                self._value_memory.zero_()
                self._value_memory.flatten(0, 1)[place] = memory[torch.from_numpy(chosen).to(device)]
            values = self._value_step()[0].flatten()[place]
            where = tuple(torch.from_numpy(one[chosen]).to(device) for one in (steps, rows))
            buffer.rewards[where] += buffer.gamma * values


def _count_before(agents: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for every entry how many entries before it are equal, int [e]."""
    order = np.argsort(agents, kind="stable")
    ordered = agents[order]
    counts = np.empty_like(agents)
    counts[order] = np.arange(len(agents)) - np.searchsorted(ordered, ordered)
    return counts
