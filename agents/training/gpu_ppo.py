"""PPO for one agent on a GPU: the passes of the network are recorded as CUDA graphs.

It computes what `TensorPPO` computes. Between two kernels of a small network a GPU waits for Python; a graph launches
all of them at once. The device is waited for once a step, when the environments need the actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from goalmaze.agents.networks.forward_pass import masked_memory
from goalmaze.agents.training.cuda_graphs import Outputs, make_state, recorded, state_tensors
from goalmaze.agents.training.losses import LossWeights
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.rollout_buffer import Minibatch
from goalmaze.agents.training.sb3_policy import MazePolicy
from goalmaze.envs.engines import Observations


class GpuPPO(TensorPPO):
    """`TensorPPO` with recorded passes of the network; on a CPU the passes are called as they are."""

    def __init__(self, policy: type[MazePolicy], env: VecEnv, **options: Any) -> None:
        super().__init__(policy, env, **options)
        if self.device.type == "cuda":
            # Batches have one size, so the search for the fastest convolution pays.
            torch.backends.cudnn.benchmark = True
            # Convolutions of few channels are several times faster on maps that lie channels-last in memory.
            self.policy.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for group in self.policy.optimizer.param_groups:
                # A recorded step of Adam reads its rate from a tensor.
                group |= {"lr": torch.tensor(float(group["lr"]), device=self.device), "capturable": True}
        self._host: Tensor | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._pass: Callable[[], Outputs] | None = None
        self._batch: Minibatch | None = None
        self._step: Callable[[], Outputs] | None = None
        self._weights: LossWeights | None = None

    def _on_host(self, observations: Observations) -> Tensor:
        """Return the observations [B, ...] in page-locked memory, from which a copy to a GPU need not wait."""
        if self.device.type != "cuda":
            return super()._on_host(observations)
        source = torch.from_numpy(observations)
        if self._host is None:
            self._host = torch.empty_like(source, pin_memory=True)
        # The copy of the step before has ended: its actions were waited for.
        return self._host.copy_(source)

    def _outputs(self, observations: Tensor, episode_starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B], which the next call overwrites, and update the memory."""
        given = (observations,) if self.memory is None else (observations, episode_starts, self.memory)
        if self._pass is None:
            self._inputs = tuple(tensor.clone() for tensor in given)
            self._pass = recorded(self._network_pass, self.device)
        for place, tensor in zip(self._inputs, given, strict=True):
            place.copy_(tensor)
        logits, values, *memory = self._pass()
        if memory:
            # A copy: the buffer keeps the memory before the rollout.
            self.memory = memory[0].clone()
        return logits, values

    @torch.no_grad()
    def _network_pass(self) -> Outputs:
        """Return logits, values and the new memory of a recurrent network, for the inputs that are in place."""
        if len(self._inputs) == 1:
            return self.policy.outputs(self._inputs[0])
        observations, episode_starts, memory = self._inputs
        memory = masked_memory(memory, episode_starts, self.policy.initial_memory(len(observations)))
        return self.policy.step(observations, memory)

    def _values(self, observations: Tensor, memory: Tensor | None) -> Tensor:
        """Return values [b] of observations [b, ...] and memories [b, ...], without changing the memory in use."""
        if self._pass is None:
            return super()._values(observations, memory)
        # In batches of the size that is recorded. For others a GPU would have to find its fastest convolutions anew.
        size, values = len(self._inputs[0]), []
        for start in range(0, len(observations), size):
            part = slice(start, start + size)
            count = len(observations[part])
            self._inputs[0][:count].copy_(observations[part])
            if memory is not None:
                # The caller has put initial memories where an episode starts.
                self._inputs[1].fill_(False)
                self._inputs[2][:count].copy_(memory[part])
            values.append(self._pass()[1][:count].clone())
        return torch.cat(values)

    def _update(self, batch: Minibatch, weights: LossWeights) -> Tensor:
        """Take an optimiser step; see `TensorPPO._update`."""
        if self.target_kl is not None:
            # The limit is compared in Python after every minibatch, which no graph can hold.
            return super()._update(batch, weights)
        if self._step is None or self._batch is None or self._weights != weights:
            self._batch, self._weights = _copied(batch), weights
            self._step = recorded(self._recorded_update, self.device, self._changed)
        for place, tensor in zip(self._batch, batch, strict=True):
            if place is not None and tensor is not None:
                place.copy_(tensor)
        return self._step()[0].clone()

    def _recorded_update(self) -> Outputs:
        return (super()._update(cast(Minibatch, self._batch), cast(LossWeights, self._weights)),)

    def _changed(self) -> list[Tensor]:
        """Return the tensors that an update changes."""
        make_state(self.policy.optimizer)
        return [*self._parameters, *state_tensors(self.policy.optimizer)]

    def _update_learning_rate(self, optimizers: list[torch.optim.Optimizer] | torch.optim.Optimizer) -> None:
        """Set the learning rate of this point of training, on a GPU in the tensor that a recorded update reads."""
        if self.device.type != "cuda":
            super()._update_learning_rate(optimizers)
            return
        rate = float(self.lr_schedule(self._current_progress_remaining))
        self.logger.record("train/learning_rate", rate)
        for group in cast(Iterable[dict[str, Any]], self.policy.optimizer.param_groups):
            group["lr"].fill_(rate)


def _copied(batch: Minibatch) -> Minibatch:
    """Return a copy of a minibatch."""
    memory = None if batch.memory is None else batch.memory.clone()
    return Minibatch(*(tensor.clone() for tensor in batch.steps()))._replace(memory=memory)
