"""PPO for one agent on a GPU: the passes of the network are recorded as CUDA graphs.

It computes what `TensorPPO` computes. Between two kernels of a small network a GPU waits for Python; a graph launches
all of them at once. The environments advance in two halves in turn: the GPU computes the actions of one half meanwhile.
The device is waited for once a step of a half, when its environments need the actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from goalmaze.agents.networks.forward_pass import masked_memory
from goalmaze.agents.training.addressed_draws import AddressedDraws
from goalmaze.agents.training.cuda_graphs import Outputs, make_state, recorded, state_tensors
from goalmaze.agents.training.halves import Half, halves_of, joined_ends
from goalmaze.agents.training.losses import LossWeights
from goalmaze.agents.training.ppo import Step, TensorPPO
from goalmaze.agents.training.rollout_buffer import Minibatch, TensorRolloutBuffer
from goalmaze.agents.training.sb3_environment import MazeVecEnv
from goalmaze.agents.training.sb3_policy import MazePolicy
from goalmaze.envs.engines import Observations


class GpuPPO(TensorPPO):
    """`TensorPPO` with recorded passes of the network; on a CPU the passes are called as they are.

    Attributes:
        overlap: whether a half of the environments advances while the device computes the actions of the other half.
            It changes no result.
    """

    overlap = True

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
        self._halves: tuple[Half, ...] = ()
        self._inputs: tuple[Tensor, ...] = ()
        self._pass: Callable[[], Outputs] | None = None
        self._batch: Minibatch | None = None
        self._step: Callable[[], Outputs] | None = None
        self._weights: LossWeights | None = None

    def _take_step(
        self, buffer: TensorRolloutBuffer, t: int, env: MazeVecEnv, episode_starts: NDArray[np.bool_]
    ) -> Step:
        """Take step t of a rollout, in two halves in turn where the environments have such; see `TensorPPO`."""
        if t == 0:
            self._begin_halves(env)
        if not self._halves:
            return super()._take_step(buffer, t, env, episode_starts)
        if self.overlap and t == 0:
            for half in self._halves:
                self._launch(half, t, buffer, episode_starts[half.rows])
        steps = []
        for half in self._halves:
            if not self.overlap:
                self._launch(half, t, buffer, episode_starts[half.rows])
            actions = half.actions()
            steps.append(Step(actions, *half.env.advance(actions)))
            half.memory_before = half.memory
            # The device works on this half while the next one advances.
            if self.overlap and t + 1 < buffer.steps:
                self._launch(half, t + 1, buffer, steps[-1].dones)
        if self.memory is not None:
            # After step t, for episodes that the time limit ended with it, and for the next rollout.
            self.memory = torch.cat([cast(Tensor, half.memory_before) for half in self._halves])
        actions, rewards, dones = (np.concatenate(arrays) for arrays in zip(*(one[:3] for one in steps), strict=True))
        return Step(actions, rewards, dones, joined_ends([one.ends for one in steps], [h.rows for h in self._halves]))

    def _begin_halves(self, env: MazeVecEnv) -> None:
        """Make the halves for a rollout, since a reset before it may have made earlier ones invalid."""
        # Numbers of a generator depend on the order in which they are drawn.
        self._halves = halves_of(env, self.device) if isinstance(self.draws, AddressedDraws) else ()
        for half in self._halves:
            half.memory = None if self.memory is None else self.memory[half.rows]

    @torch.no_grad()
    def _launch(self, half: Half, t: int, buffer: TensorRolloutBuffer, episode_starts: NDArray[np.bool_]) -> None:
        """Start to compute the actions of a half, and store everything that belongs to step t except its reward."""
        rows = half.rows
        observations, starts = buffer.observations[t, rows], buffer.episode_starts[t, rows]
        half.upload(observations, starts, episode_starts)
        logits, values, half.memory = self._pass_of(observations, starts, half.memory)
        log_probs = torch.log_softmax(logits, dim=1)
        actions = cast(AddressedDraws, self.draws).actions(t, log_probs.exp(), rows)
        half.send(actions)
        buffer.actions[t, rows], buffer.values[t, rows] = actions, values
        buffer.log_probs[t, rows] = log_probs.gather(1, actions.unsqueeze(1)).squeeze(1)

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
        logits, values, self.memory = self._pass_of(observations, episode_starts, self.memory)
        return logits, values

    def _pass_of(
        self, observations: Tensor, episode_starts: Tensor, memory: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return logits [b, A] and values [b], which the next call overwrites, and the new memory.

        Args:
            observations: [b, ...], of as many environments as in every other call.
            episode_starts: bool [b], the environments whose memory starts anew.
            memory: [b, ...], the memory of a recurrent network; None for others.
        """
        given = (observations,) if memory is None else (observations, episode_starts, memory)
        if self._pass is None:
            self._inputs = tuple(tensor.clone() for tensor in given)
            self._pass = recorded(self._network_pass, self.device)
        for place, tensor in zip(self._inputs, given, strict=True):
            place.copy_(tensor)
        logits, values, *new_memory = self._pass()
        # A copy: the buffer keeps the memory before the rollout.
        return logits, values, new_memory[0].clone() if new_memory else None

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
