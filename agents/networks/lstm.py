"""The `lstm` network: the trunk of `grid`, read out at the agent's cell, into an LSTM.

Policy and value head receive the output of the LSTM and, beside it, its input. The network therefore learns what needs
no memory as fast as a network without one.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import NetworkOptions, RecurrentNetwork, Shape, Site
from goalmaze.agents.networks.layers import (
    Depth,
    Readout,
    Width,
    add_trunk,
    block_names,
    initialise,
    read_out,
    readout_features,
    run_trunk,
)
from goalmaze.agents.networks.registry import register_network


@dataclasses.dataclass(frozen=True)
class LSTMOptions(NetworkOptions):
    """Hyperparameters.

    Attributes:
        channels: channels of every convolution.
        blocks: number of residual blocks.
        hidden: hidden units of the read-out.
        units: units U of the LSTM.
        readout: "cell" reads the last map at the agent's cell; "flat" reads all cells, for one maze size.
    """

    channels: Width = 16
    blocks: Depth = 8
    hidden: Width = 64
    units: Width = 64
    readout: Readout = "cell"


@register_network
class LSTMNetwork(RecurrentNetwork):
    """A recurrent network with one LSTM.

    Its sites are `stem`, `stem_relu`, `block1` … `blockN` and `hidden`, as in `grid`, then `kept` [B, U], the cell
    state of the LSTM, and `recalled` [B, U], its output. The memory is [B, 2, U], output and cell state.
    """

    name = "lstm"
    Options = LSTMOptions
    variants: ClassVar = ({},)

    options: LSTMOptions

    def __init__(self, shape: Shape, options: LSTMOptions | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.options = options = options or LSTMOptions()
        add_trunk(self, shape.planes, options.channels, options.blocks)
        features = readout_features(options.channels, shape, options.readout)
        self.hidden = nn.Sequential(nn.Linear(features, options.hidden), nn.ReLU())
        self.gates = nn.Linear(options.hidden + options.units, 4 * options.units)
        self.recalled = nn.Identity()
        self.kept = nn.Identity()
        self.policy = nn.Linear(options.hidden + options.units, shape.actions)
        self.value = nn.Linear(options.hidden + options.units, 1)
        initialise(self, self.policy, self.value, options.blocks)
        nn.init.orthogonal_(self.gates.weight, 1.0)
        # The forget gate starts open.
        nn.init.constant_(self.gates.bias[options.units : 2 * options.units], 1.0)

    def initial_memory(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        """Return zeros [B, 2, U]."""
        return self._zeros(batch, 2, self.options.units)

    def encode(self, observation: Tensor) -> Tensor:
        """Return the hidden units [N, F] of observations [N, C, H, W]."""
        maps = run_trunk(self, observation, self.options.blocks)
        return cast(Tensor, self.hidden(read_out(maps, observation, self.shape, self.options.readout)))

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory for hidden units [B, F] and a memory [B, 2, U]."""
        recalled, kept = memory.unbind(1)
        input_gate, forget_gate, output_gate, candidate = self.gates(torch.cat([features, recalled], 1)).chunk(4, dim=1)
        kept = self.kept(torch.sigmoid(forget_gate) * kept + torch.sigmoid(input_gate) * torch.tanh(candidate))
        recalled = self.recalled(torch.sigmoid(output_gate) * torch.tanh(kept))
        both = torch.cat([features, recalled], 1)
        return self.policy(both), self.value(both).squeeze(1), torch.stack([recalled, kept], 1).to(memory.dtype)

    def sites(self) -> tuple[Site, ...]:
        """Return the trunk's maps, the hidden units, and cell state and output of the LSTM."""
        names = ("stem", "stem_relu", *block_names(self.options.blocks))
        maps = (Site(name, self.options.channels, is_map=True) for name in names)
        units = (Site(name, self.options.units, is_map=False) for name in ("kept", "recalled"))
        return (*maps, Site("hidden", self.options.hidden, is_map=False), *units)
