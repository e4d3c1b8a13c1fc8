"""The `lstm` network: the trunk of `grid`, read out where the agent stands, into an LSTM.

The heads see what the LSTM holds beside what is seen now, so that acting on sight is learned as fast as without memory.
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
    features_read,
    initialise,
    read_out,
    run_trunk,
)
from goalmaze.agents.networks.registry import register_network


@dataclasses.dataclass(frozen=True)
class LSTMOptions(NetworkOptions):
    """Hyperparameters.

    Attributes:
        channels: of every convolution.
        blocks: number of residual blocks.
        hidden: units of the read-out.
        units: of the LSTM.
        readout: "cell" reads the last map at the agent's cell, "flat" all of it, for one maze size.
    """

    channels: Width = 16
    blocks: Depth = 8
    hidden: Width = 64
    units: Width = 64
    readout: Readout = "cell"


@register_network
class LSTMNetwork(RecurrentNetwork):
    """Sites: `stem`, `stem_relu`, `block1` … `blockN` as `grid` has them, `hidden`, then `recalled` and `kept`.

    `recalled` [B, U] is the output of the LSTM and `kept` [B, U] its cell state. The memory is [B, 2, U], both of them.
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
        features = features_read(options.channels, shape, options.readout)
        self.hidden = nn.Sequential(nn.Linear(features, options.hidden), nn.ReLU())
        self.gates = nn.Linear(options.hidden + options.units, 4 * options.units)
        self.recalled = nn.Identity()
        self.kept = nn.Identity()
        self.policy = nn.Linear(options.hidden + options.units, shape.actions)
        self.value = nn.Linear(options.hidden + options.units, 1)
        initialise(self, self.policy, self.value, options.blocks)
        nn.init.orthogonal_(self.gates.weight, 1.0)
        nn.init.constant_(self.gates.bias[options.units : 2 * options.units], 1.0)

    def blank(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        """Return zeros [B, 2, U]."""
        return self._zeros(batch, 2, self.options.units)

    def perceive(self, observation: Tensor) -> Tensor:
        """Return the hidden units [N, F] of observations [N, C, H, W]."""
        maps = run_trunk(self, observation, self.options.blocks)
        return cast(Tensor, self.hidden(read_out(maps, observation, self.shape, self.options.readout)))

    def recall(self, perceived: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory for hidden units [B, F] and a memory [B, 2, U]."""
        recalled, kept = memory.unbind(1)
        admit, keep, tell, content = self.gates(torch.cat([perceived, recalled], 1)).chunk(4, dim=1)
        kept = self.kept(torch.sigmoid(keep) * kept + torch.sigmoid(admit) * torch.tanh(content))
        recalled = self.recalled(torch.sigmoid(tell) * torch.tanh(kept))
        seen = torch.cat([perceived, recalled], 1)
        return self.policy(seen), self.value(seen).squeeze(1), torch.stack([recalled, kept], 1).to(memory.dtype)

    def sites(self) -> tuple[Site, ...]:
        """Return the trunk's maps, the hidden units, and what the LSTM keeps and recalls."""
        names = ("stem", "stem_relu", *block_names(self.options.blocks))
        maps = (Site(name, self.options.channels, is_map=True) for name in names)
        units = (Site(name, self.options.units, is_map=False) for name in ("kept", "recalled"))
        return (*maps, Site("hidden", self.options.hidden, is_map=False), *units)
