"""Stacked networks: P networks of one architecture that run as one program.

Every parameter gets a first axis, that of the agents. A forward pass is the network's own code under `torch.vmap`, so
every registered network can be stacked: a convolution becomes a grouped convolution, a linear layer a batched product.

Axes: P agents, b rows of each agent, A actions.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import PICTURES, Network, RecurrentNetwork, Shape
from goalmaze.agents.networks.channels_last import ChannelsLast, laid_out
from goalmaze.agents.networks.forward_pass import ForwardPass
from goalmaze.envs.errors import GoalmazeError

Outputs = TypeVar("Outputs", Tensor, tuple[Tensor, ...], tuple[Tensor, Tensor], tuple[Tensor, Tensor, Tensor])


class _Caller(nn.Module):
    """Calls a function of the network as a forward pass, which is all that `functional_call` can run."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, function: Callable[..., Any], bf16: bool, *inputs: Tensor) -> Any:
        """Return the function of a forward pass and the inputs."""
        return function(ForwardPass(self.network, bf16), *inputs)


class StackedNetwork(nn.Module):
    """P networks of one architecture as one module.

    Args:
        networks: the networks, of one class, one shape and the same options. Their weights are copied.
        bf16: whether they run in bfloat16, by torch's autocast.
        channels_last: whether maps lie channels-last in memory, see `goalmaze.agents.networks.channels_last`; where
            None, they do so on a GPU.

    Attributes:
        agents: number P of networks.
        bf16: as given.

    Raises:
        GoalmazeError: there is no network, or they differ in more than their weights.

    Example:
        >>> import goalmaze as gm
        >>> from goalmaze.agents.networks.stacked import StackedNetwork
        >>> network = gm.load("zoo:green-exit").network
        >>> stacked = StackedNetwork([network, network.untrained(seed=1)])
        >>> stacked.tensors()["policy.weight"].shape
        torch.Size([2, 4, 64])
    """

    def __init__(self, networks: Sequence[Network], *, bf16: bool = False, channels_last: bool | None = None) -> None:
        super().__init__()
        _check_alike(networks)
        self.agents, self.bf16, self._channels_last = len(networks), bf16, channels_last
        states = [network.state_dict() for network in networks]
        # The module of one network that holds the tensors of all: names and order of its tensors are one network's.
        template = copy.deepcopy(networks[0])
        for path, module in list(template.named_modules()):
            prefix = f"{path}." if path else ""
            for name, old in list(module.named_parameters(recurse=False)):
                stacked = torch.stack([state[prefix + name] for state in states])
                setattr(module, name, nn.Parameter(stacked, requires_grad=old.requires_grad))
            for name, _ in list(module.named_buffers(recurse=False)):
                if prefix + name in states[0]:
                    setattr(module, name, torch.stack([state[prefix + name] for state in states]))
        self._caller = _Caller(template)

    @property
    def template(self) -> Network:
        """A network with the name, options and shape of all, whose tensors are the stacked ones; it cannot run."""
        return self._caller.network

    @property
    def shape(self) -> Shape:
        """The shape of one network's input and output."""
        return self.template.shape

    @property
    def is_recurrent(self) -> bool:
        """Whether the networks have a memory."""
        return isinstance(self.template, RecurrentNetwork)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors [P, ...] of all networks, by their names in the state of one; they are not copied."""
        return {name: tensor.detach() for name, tensor in self.template.state_dict().items()}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the tensors [P, ...] of all networks from those that `tensors` returned, from any device.

        Raises:
            ValueError: names or shapes differ.
        """
        own = self.tensors()
        shapes = [{name: tensor.shape for name, tensor in one.items()} for one in (own, tensors)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"the tensors of these {self.agents} networks have other names or shapes")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])

    def unstack(self, agent: int) -> dict[str, Tensor]:
        """Return a copy of the state of one network, which its `load_state_dict` takes."""
        return {name: tensor[agent].clone() for name, tensor in self.tensors().items()}

    def per_agent(self, function: Callable[..., Outputs], *inputs: Tensor, agents: slice = slice(None)) -> Outputs:
        """Return the results of a function for every agent, with the agents as first axis of each.

        Args:
            function: maps the `ForwardPass` of one agent and its inputs to a tensor or several. Gradients pass through.
            inputs: [P, ...], the inputs of all agents.
            agents: the agents that take part, where inputs [p, ...] are those of some alone.
        """
        # An autocast would otherwise keep casts of one captured graph for another.
        named = self._caller.named_parameters(), self._caller.named_buffers()
        stacked = {name: tensor[agents] for group in named for name, tensor in group}

        def call(parameters: dict[str, Tensor], *agent_inputs: Tensor) -> Any:
            return torch.func.functional_call(self._caller, parameters, (function, self.bf16, *agent_inputs))

        with self._layout(inputs[0].device):
            return cast(Outputs, torch.vmap(call)(stacked, *inputs))

    @contextlib.contextmanager
    def _layout(self, device: torch.device) -> Iterator[None]:
        if self.is_channels_last(device):
            with ChannelsLast():
                yield
        else:
            yield

    def is_channels_last(self, device: torch.device) -> bool:
        """Return whether maps lie channels-last in memory on a device."""
        return device.type == "cuda" if self._channels_last is None else self._channels_last

    def laid_out(self, observation: Tensor) -> Tensor:
        """Return observations [P, ..., *shape.observation] in the memory layout in which the networks run fastest."""
        if not self.is_channels_last(observation.device):
            return observation
        return laid_out(observation, -1 if self.shape.spec.mode in PICTURES else -3)

    def outputs(self, observation: Tensor, agents: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Return logits [P, b, A] and values [P, b] float32 for first observations [P, b, ...]."""
        return self.per_agent(ForwardPass.outputs, self.laid_out(observation), agents=agents)

    def step(self, observation: Tensor, memory: Tensor, agents: slice = slice(None)) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [P, b, A], values [P, b] and the new memory, for observations and a memory [P, b, ...]."""
        return self.per_agent(ForwardPass.step, self.laid_out(observation), memory, agents=agents)

    def encode(self, observation: Tensor) -> Tensor:
        """Return the features [P, N, ...] of observations [P, N, ...] that depend on no memory."""
        return self.per_agent(ForwardPass.encode, self.laid_out(observation))

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [P, b, A], values [P, b] and the new memory, for features and a memory [P, b, ...]."""
        return self.per_agent(ForwardPass.recur, features, memory)

    def initial_memory(self, batch: int) -> Tensor:
        """Return the memory [P, b, ...] of recurrent networks at the start of episodes."""
        memory = ForwardPass(self.template).initial_memory(batch)
        return memory.expand(self.agents, *memory.shape).clone()

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [P, b, A] and values [P, b] float32 for first observations [P, b, ...]."""
        return self.outputs(observation)


def _check_alike(networks: Sequence[Network]) -> None:
    """Raise `GoalmazeError` unless there are networks, which differ in their weights alone."""
    if not networks:
        raise GoalmazeError("a stacked network needs at least one network")
    first = networks[0]
    for number, network in enumerate(networks):
        if (type(network), network.shape, network.options) != (type(first), first.shape, first.options):
            raise GoalmazeError(
                f"network {number} is {network.name} {network.options} for {network.shape}, network 0 is {first.name} "
                f"{first.options} for {first.shape}: stack networks that differ in their weights alone"
            )
