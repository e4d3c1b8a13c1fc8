"""The `drc` network: Deep Repeated ConvLSTM, Guez et al., "An investigation of model-free planning" (ICML 2019).

D layers of ConvLSTM are run N times, the ticks, at every step. Each layer sees the encoded observation (a skip over the
layers below), the hidden state of the layer below, or at the bottom that of the top layer a tick before, its own hidden
state pooled over the maze and injected everywhere, and a plane that marks the border.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, cast

import msgspec
import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import NetworkOptions, RecurrentNetwork, Shape, Site
from goalmaze.agents.networks.layers import Readout, Width, add_trunk, features_read, initialise, read_out, run_trunk
from goalmaze.agents.networks.registry import register_network

KEEP = 1
"""The place of the gate that keeps the cell state, among four: admit, keep, tell, content."""


@dataclasses.dataclass(frozen=True)
class DRCOptions(NetworkOptions):
    """Hyperparameters.

    Attributes:
        layers: number D of ConvLSTMs.
        ticks: number N of times they run at every step.
        channels: of the encoding and of every hidden state.
        hidden: units of the read-out.
        readout: "cell" reads the top layer at the agent's cell, "flat" all of it as published, for one maze size.
    """

    layers: Annotated[int, msgspec.Meta(ge=1, le=8)] = 3
    ticks: Annotated[int, msgspec.Meta(ge=1, le=16)] = 3
    channels: Width = 32
    hidden: Width = 256
    readout: Readout = "cell"


class ConvLSTM(nn.Module):
    """One layer: gates convolved from encoding, layer below, pooled and own hidden state, and the border."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.Linear(2 * channels, channels, bias=False)
        self.gates = nn.Conv2d(4 * channels + 1, 4 * channels, 3, padding=1)

    def forward(self, encoding: Tensor, below: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next cell state and the logits of what is told of it, both [B, C, H, W], from four such maps."""
        pooled = self.pool(torch.cat([hidden.amax((2, 3)), hidden.mean((2, 3))], 1))
        injected = pooled[:, :, None, None].expand_as(hidden)
        gates = self.gates(torch.cat([encoding, below, injected, hidden, border_plane(encoding)], 1))
        admit, keep, tell, content = gates.chunk(4, dim=1)
        return torch.sigmoid(keep) * cell + torch.sigmoid(admit) * torch.tanh(content), tell


@register_network
class DRCNetwork(RecurrentNetwork):
    """Sites: `stem`, `stem_relu` (the encoding), for every tick n and layer d `tickN_layerD_cell` and `tickN_layerD`.

    The first of each pair is the cell state, the second the hidden state, maps [B, C, H, W]; the last site is `hidden`
    [B, F], the read-out. The memory is [B, D, 2, C, H, W], hidden and cell state of each layer.
    """

    name = "drc"
    Options = DRCOptions
    variants: ClassVar = ({}, {"layers": 1, "ticks": 1})

    options: DRCOptions

    def __init__(self, shape: Shape, options: DRCOptions | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.options = options = options or DRCOptions()
        add_trunk(self, shape.planes, options.channels, 0)
        for layer in range(options.layers):
            self.add_module(f"layer{layer + 1}", ConvLSTM(options.channels))
        for name in self._states():
            self.add_module(name, nn.Identity())
        features = features_read(2 * options.channels, shape, options.readout)
        self.hidden = nn.Sequential(nn.Linear(features, options.hidden), nn.ReLU())
        self.policy = nn.Linear(options.hidden, shape.actions)
        self.value = nn.Linear(options.hidden, 1)
        self._initialise()

    def _initialise(self) -> None:
        initialise(self, self.policy, self.value)
        for layer in self._layers():
            nn.init.orthogonal_(layer.pool.weight, 1.0)
            nn.init.xavier_uniform_(layer.gates.weight)
            nn.init.constant_(cast(Tensor, layer.gates.bias).chunk(4)[KEEP], 1.0)

    def blank(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        """Return zeros [B, D, 2, C, H, W] for observations [C, H, W]."""
        return self._zeros(batch, self.options.layers, 2, self.options.channels, *observation_shape[1:])

    def recall(self, perceived: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory for observations [B, C, H, W] and a memory."""
        encoding = run_trunk(self, perceived, 0)
        states = [list(layer.unbind(1)) for layer in memory.unbind(1)]
        for tick in range(self.options.ticks):
            self._think(f"tick{tick + 1}", encoding, states)
        seen = torch.cat([encoding, states[-1][0]], 1)
        hidden = self.hidden(read_out(seen, perceived, self.shape, self.options.readout))
        kept = torch.stack([torch.stack(state, 1) for state in states], 1).to(memory.dtype)
        return self.policy(hidden), self.value(hidden).squeeze(1), kept

    def _think(self, tick: str, encoding: Tensor, states: list[list[Tensor]]) -> None:
        """Run every layer once, from the lowest up, and put its hidden and cell state into `states`."""
        below = states[-1][0]
        for number, (layer, state) in enumerate(zip(self._layers(), states, strict=True), start=1):
            cell, tell = layer(encoding, below, *state)
            cell = self.get_submodule(f"{tick}_layer{number}_cell")(cell)
            below = self.get_submodule(f"{tick}_layer{number}")(torch.sigmoid(tell) * torch.tanh(cell))
            state[:] = below, cell

    def _layers(self) -> list[ConvLSTM]:
        return [cast(ConvLSTM, self.get_submodule(f"layer{d + 1}")) for d in range(self.options.layers)]

    def _states(self) -> list[str]:
        """Return the names of the cell and hidden states in the order in which they come about."""
        ticks, layers = range(1, self.options.ticks + 1), range(1, self.options.layers + 1)
        return [f"tick{n}_layer{d}{state}" for n in ticks for d in layers for state in ("_cell", "")]

    def sites(self) -> tuple[Site, ...]:
        """Return the encoding, every cell and hidden state of every tick, and the hidden units."""
        maps = (Site(name, self.options.channels, is_map=True) for name in ("stem", "stem_relu", *self._states()))
        return (*maps, Site("hidden", self.options.hidden, is_map=False))


def border_plane(maps: Tensor) -> Tensor:
    """Return [B, 1, H, W], 1 along the border and 0 inside, for maps [B, C, H, W]."""
    border = torch.ones_like(maps[:, :1])
    border[:, :, 1:-1, 1:-1] = 0
    return border
