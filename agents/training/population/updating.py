"""Updates of a population: PPO's epochs over a rollout, for all agents at once.

Every number that an agent's update uses is its own: its minibatches, its loss, the norm of its gradient. Adam works
element by element, so one Adam over stacked weights is P Adams. An agent whose loss or gradient is not finite takes no
further step, and the others do not notice.

Axes: T steps, P agents, E environments of each agent, B = P * E, b single steps or environments of a minibatch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.eager_optimizers import eager
from goalmaze.agents.networks.forward_pass import ForwardPass
from goalmaze.agents.networks.stacked import StackedNetwork
from goalmaze.agents.training.cuda_graphs import Outputs, make_state, recorded, state_tensors
from goalmaze.agents.training.population.settings import Settings
from goalmaze.agents.training.ppo import minibatch_loss
from goalmaze.agents.training.rollout_buffer import Minibatch, TensorRolloutBuffer

ADAM_EPSILON = 1e-5
"""Adam's epsilon, as in stable-baselines3's PPO."""

CHECKED = ("an observation", "the network's output", "the loss", "the gradient", "a weight")
"""What is checked to be finite, in the order of the checks."""

OBSERVATION, OUTPUT, LOSS, GRADIENT, WEIGHT = range(len(CHECKED))


class Updater:
    """Updates the networks of a population.

    Args:
        network: the networks of all agents.
        settings: the settings of PPO.
        buffer: the rollout buffer of B environments.

    Attributes:
        optimizer: Adam over the stacked weights.
        finite: bool [5, P], whether all numbers of `CHECKED` were finite so far.
        active: bool [P], the agents that still learn.
    """

    def __init__(self, network: StackedNetwork, settings: Settings, buffer: TensorRolloutBuffer) -> None:
        self._network, self._settings, self._buffer = network, settings, buffer
        device = buffer.device
        self._parameters = list(network.parameters())
        on_gpu = device.type == "cuda"
        # On a GPU the rate is a tensor, which a captured update reads anew.
        self._rate = torch.zeros((), device=device)
        self.optimizer = eager(torch.optim.Adam)(
            self._parameters, lr=self._rate if on_gpu else 0.0, eps=ADAM_EPSILON, capturable=on_gpu
        )
        make_state(self.optimizer)
        agents = network.agents
        self.finite = torch.ones((len(CHECKED), agents), dtype=torch.bool, device=device)
        self.active = torch.ones(agents, dtype=torch.bool, device=device)
        self._ones = torch.ones(agents, device=device)
        self._batch: tuple[Tensor, ...] = ()
        self._step = recorded(self._update, device, self._changed)

    def _changed(self) -> list[Tensor]:
        return [*self._parameters, *state_tensors(self.optimizer), self.finite, self.active]

    def update(self, orders: NDArray[np.int64], learning_rate: float) -> Tensor:
        """Update the networks on the rollout.

        Args:
            orders: int64 [epochs, P, n], the order of every agent's single steps e * T + t, or of its environments if
                the networks are recurrent.
            learning_rate: Adam's learning rate.

        Returns:
            float32 [epochs * minibatches, P, 7]: `METRICS`, and the norm of the gradient before clipping.
        """
        self._rate.fill_(learning_rate)
        if not self._rate.is_cuda:
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate
        self._check_rollout()
        metrics = []
        there = torch.from_numpy(orders).to(self._rate.device)
        for order in there:
            for batch in self._minibatches(order):
                self._place(batch)
                metrics.append(self._step()[0].clone())
        for parameter in self._parameters:
            self.finite[WEIGHT] &= parameter.detach().isfinite().flatten(1).all(1)
        self.active &= self.finite.all(0)
        return torch.stack(metrics)

    def _check_rollout(self) -> None:
        """Find agents whose rollout has numbers that are not finite."""
        buffer, agents = self._buffer, self._network.agents
        if buffer.observations.is_floating_point():
            self.finite[OBSERVATION] &= by_agent(buffer.observations.isfinite().flatten(2).all(2), agents)
        self.finite[OUTPUT] &= by_agent(buffer.advantages.isfinite() & buffer.log_probs.isfinite(), agents)
        self.active &= self.finite.all(0)

    def _minibatches(self, order: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield the minibatches of one epoch: single steps [P, b, ...], or sequences [P, T, b, ...] with their memory.

        Args:
            order: int64 [P, n].
        """
        buffer, agents = self._buffer, self._network.agents
        envs = buffer.envs // agents
        first = envs * torch.arange(agents, device=order.device).unsqueeze(1)
        if buffer.memory is None:
            # From e * T + t of one agent, stable-baselines3's numbering, to the row t * B + p * E + e of all.
            rows = order % buffer.steps * buffer.envs + first + order // buffer.steps
            flat = [tensor.flatten(0, 1) for tensor in buffer.tensors()]
            for chosen in torch.split(rows, self._settings.batch_size, dim=1):
                index = chosen.flatten()
                yield tuple(tensor.index_select(0, index).reshape(*chosen.shape, *tensor.shape[1:]) for tensor in flat)
            return
        for chosen in torch.split(first + order, self._settings.batch_size // buffer.steps, dim=1):
            index = chosen.flatten()
            memory = buffer.memory.index_select(0, index).reshape(*chosen.shape, *buffer.memory.shape[1:])
            sequences = (
                tensor.index_select(1, index).reshape(len(tensor), *chosen.shape, *tensor.shape[2:])
                for tensor in buffer.tensors()
            )
            yield (*(sequence.transpose(0, 1) for sequence in sequences), memory)

    def _place(self, batch: tuple[Tensor, ...]) -> None:
        """Copy a minibatch to where the update reads it, its observations in the fastest memory layout."""
        if not self._batch:
            self._batch = (self._network.laid_out(batch[0]).clone(), *(tensor.clone() for tensor in batch[1:]))
            return
        for place, tensor in zip(self._batch, batch, strict=True):
            place.copy_(tensor)

    def _update(self) -> Outputs:
        """Take an optimiser step on the minibatch in place; return float32 [P, 7], see `update`."""
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.grad.zero_()
        losses, metrics = self._network.per_agent(self._loss, *self._batch)
        # Ones as gradients of P losses: a sum of losses would be one number that all agents share.
        losses.backward(self._ones)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            gradients = [cast(Tensor, parameter.grad) for parameter in self._parameters]
            norms = torch.linalg.vector_norm(
                torch.stack([torch.linalg.vector_norm(one.flatten(1), dim=1) for one in gradients]), dim=0
            )
            self.finite[LOSS] &= losses.isfinite()
            self.finite[GRADIENT] &= norms.isfinite()
            self.active &= self.finite[LOSS] & self.finite[GRADIENT]
            # As torch.nn.utils.clip_grad_norm_ does.
            scale = (self._settings.gradient_clip / (norms + 1e-6)).clamp(max=1.0)
            for one in gradients:
                # A selection and not a product: zero times NaN is NaN.
                one.copy_(torch.where(beside(self.active, one), one * beside(scale, one), 0.0))
        self.optimizer.step()
        return (torch.cat([metrics, norms.unsqueeze(1)], 1),)

    def _loss(self, network: ForwardPass, *batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of one agent on its minibatch, and `METRICS` [6]."""
        return minibatch_loss(network, Minibatch(*batch), self._settings.weights)


def by_agent(finite: Tensor, agents: int) -> Tensor:
    """Return bool [P], whether all of bool [T, P * E] are true for an agent."""
    return finite.reshape(len(finite), agents, -1).all(2).all(0)


def beside(values: Tensor, tensor: Tensor) -> Tensor:
    """Return values [P] with further axes of length 1, to meet a tensor [P, ...]."""
    return values.reshape(-1, *[1] * (tensor.dim() - 1))
