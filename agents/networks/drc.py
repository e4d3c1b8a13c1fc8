"""The `drc` network: Deep Repeated ConvLSTM, Guez et al., "An investigation of model-free planning" (ICML 2019).

D layers of ConvLSTM run N times (ticks) at every step. The inputs of a layer are the encoded observation, the hidden
state of the layer below, its own hidden state, the same pooled over the maze and broadcast to every cell, and a plane
that marks the border. The lowest layer has the top layer of the tick before as its layer below.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, cast

import msgspec
import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import NetworkOptions, RecurrentNetwork, Shape, Site
from goalmaze.agents.networks.layers import (
    Readout,
    Width,
    add_memory_parts,
    add_trunk,
    initialise,
    memory_part_sites,
    next_cell_state,
    read_out,
    readout_features,
    run_memory_parts,
    run_trunk,
)
from goalmaze.agents.networks.registry import register_network

FORGET = 1
"""Index of the forget gate among the four: input, forget, output, candidate."""


@dataclasses.dataclass(frozen=True)
class DRCOptions(NetworkOptions):
    """Hyperparameters.

    Attributes:
        layers: number D of ConvLSTM layers.
        ticks: number N of times that the layers run at every step.
        channels: channels of the encoding and of every hidden state.
        hidden: hidden units of the read-out.
        readout: "cell" reads the top layer at the agent's cell; "flat" reads all cells as published, for one maze size.
    """

    layers: Annotated[int, msgspec.Meta(ge=1, le=8)] = 3
    ticks: Annotated[int, msgspec.Meta(ge=1, le=16)] = 3
    channels: Width = 32
    hidden: Width = 256
    readout: Readout = "cell"


class ConvLSTM(nn.Module):
    """One layer: an LSTM in every cell, whose gates are a convolution.

    Args:
        channels: channels of the encoding and of the states.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.Linear(2 * channels, channels, bias=False)
        self.gates = nn.Conv2d(4 * channels + 1, 4 * channels, 3, padding=1)

    def forward(self, encoding: Tensor, below: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next cell state and the logits of the output gate, both [B, C, H, W].

        The caller computes the hidden state from them, so that an edit of the cell state changes it too.

        Args:
            encoding: [B, C, H, W], the encoded observation.
            below: [B, C, H, W], the hidden state of the layer below.
            hidden: [B, C, H, W], the layer's own hidden state.
            cell: [B, C, H, W], its cell state.
        """
        # "Pool and inject": maximum and mean over the maze, so that one tick carries information across it.
        pooled = self.pool(torch.cat([hidden.amax((2, 3)), hidden.mean((2, 3))], 1))
        injected = pooled[:, :, None, None].expand_as(hidden)
        gates = self.gates(torch.cat([encoding, below, injected, hidden, border_plane(encoding)], 1))
        return next_cell_state(gates, cell)


@register_network
class DRCNetwork(RecurrentNetwork):
    """A recurrent network that runs its layers several times for every step.

    Its sites are `stem`, `stem_relu` (the encoding), and for every tick n and layer d the cell state
    `tickN_layerD_cell` and the hidden state `tickN_layerD`, all maps [B, C, H, W]; then `hidden` [B, F], the read-out.
    The memory is [B, D, 2, C, H, W], hidden and cell state of each layer. Its sites between two steps are maps:
    `memory` [B, 2DC, H, W], and for every layer d `memory_layerD_hidden` and `memory_layerD_cell` [B, C, H, W].
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
        add_memory_parts(self, self._memory_parts())
        features = readout_features(2 * options.channels, shape, options.readout)
        self.hidden = nn.Sequential(nn.Linear(features, options.hidden), nn.ReLU())
        self.policy = nn.Linear(options.hidden, shape.actions)
        self.value = nn.Linear(options.hidden, 1)
        self._initialise()

    def _initialise(self) -> None:
        initialise(self, self.policy, self.value)
        for layer in self._layers():
            # Gates have no ReLU behind them, so a gain of 1; a forget gate that starts open lets gradients pass.
            nn.init.orthogonal_(layer.pool.weight, 1.0)
            nn.init.xavier_uniform_(layer.gates.weight)
            nn.init.constant_(cast(Tensor, layer.gates.bias).chunk(4)[FORGET], 1.0)

    def initial_memory(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        """Return zeros [B, D, 2, C, H, W] for observations [C, H, W]."""
        return self._zeros(batch, self.options.layers, 2, self.options.channels, *observation_shape[1:])

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory for observations [B, C, H, W], which need no encoding."""
        encoding = run_trunk(self, features, 0)
        # Lists, which `_run_tick` updates in place: hidden and cell state of each layer.
        states = [list(layer.unbind(1)) for layer in memory.unbind(1)]
        for tick in range(self.options.ticks):
            self._run_tick(f"tick{tick + 1}", encoding, states)
        top = torch.cat([encoding, states[-1][0]], 1)
        hidden = self.hidden(read_out(top, features, self.shape, self.options.readout))
        maps = (state.to(memory.dtype) for layer in states for state in layer)
        kept = run_memory_parts(self, dict(zip(self._memory_parts(), maps, strict=True)))
        # A reshape and not a view: on a GPU the maps of a batch may lie channel by channel in memory.
        return self.policy(hidden), self.value(hidden).squeeze(1), kept.reshape(memory.shape)

    def _run_tick(self, tick: str, encoding: Tensor, states: list[list[Tensor]]) -> None:
        """Run every layer once, from the lowest to the top, and store its hidden and cell state in `states`."""
        below = states[-1][0]
        for number, (layer, state) in enumerate(zip(self._layers(), states, strict=True), start=1):
            cell, output_gate = layer(encoding, below, *state)
            cell = self.get_submodule(f"{tick}_layer{number}_cell")(cell)
            below = self.get_submodule(f"{tick}_layer{number}")(torch.sigmoid(output_gate) * torch.tanh(cell))
            state[:] = below, cell

    def _layers(self) -> list[ConvLSTM]:
        return [cast(ConvLSTM, self.get_submodule(f"layer{d + 1}")) for d in range(self.options.layers)]

    def _states(self) -> list[str]:
        """Return the names of the cell and hidden states in the order in which they are computed."""
        ticks, layers = range(1, self.options.ticks + 1), range(1, self.options.layers + 1)
        return [f"tick{n}_layer{d}{state}" for n in ticks for d in layers for state in ("_cell", "")]

    def tick_sites(self, tick: int) -> list[str]:
        """Return the sites of the cell states after a tick, numbered from 1, from the lowest layer to the top."""
        return [f"tick{tick}_layer{d}_cell" for d in range(1, self.options.layers + 1)]

    def _memory_parts(self) -> list[str]:
        """Return the names of the memory's parts, in the order of the memory."""
        return [f"memory_layer{d + 1}_{state}" for d in range(self.options.layers) for state in ("hidden", "cell")]

    def memory_sites(self) -> tuple[Site, ...]:
        """Return the whole memory between two steps, and hidden and cell state of every layer."""
        return memory_part_sites(self._memory_parts(), self.options.channels, is_map=True)

    def sites(self) -> tuple[Site, ...]:
        """Return the encoding, every cell and hidden state of every tick, and the hidden units."""
        maps = (Site(name, self.options.channels, is_map=True) for name in ("stem", "stem_relu", *self._states()))
        return (*maps, Site("hidden", self.options.hidden, is_map=False))


def border_plane(maps: Tensor) -> Tensor:
    """Return [B, 1, H, W], 1 along the border and 0 inside, for maps [B, C, H, W]."""
    border = torch.ones_like(maps[:, :1])
    border[:, :, 1:-1, 1:-1] = 0
    return border
