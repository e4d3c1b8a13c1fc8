"""The `lstm` network: the encoder of `grid`, and an LSTM that reads its hidden units.

Policy and value head read the output of the LSTM and, past it, the hidden units themselves. The network therefore
learns what needs no memory as fast as a network without one.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor, nn

from goalmaze.agents.networks.base import RecurrentNetwork, Shape, Site
from goalmaze.agents.networks.layers import (
    MEMORY_PARTS,
    EncoderOptions,
    Readout,
    Width,
    add_encoder,
    add_memory_parts,
    encoder_sites,
    initialise,
    initialise_gates,
    memory_part_sites,
    run_encoder,
    run_lstm,
)
from goalmaze.agents.networks.registry import register_network


@dataclasses.dataclass(frozen=True)
class LSTMOptions(EncoderOptions):
    """Hyperparameters, beside those of the encoder.

    Attributes:
        units: units U of the LSTM.
        readout: "cell" reads the last map at the agent's cell; "flat" reads all cells, for one maze size.
    """

    units: Width = 64
    readout: Readout = "cell"


@register_network
class LSTMNetwork(RecurrentNetwork):
    """A recurrent network with one LSTM.

    Its sites are `stem`, `stem_relu`, `block1` … `blockN` and `hidden`, as in `grid`, then the states of the LSTM after
    the step: `cell_state` [B, U] and `hidden_state` [B, U], its output. The memory is [B, 2, U], hidden state and cell
    state; its sites between two steps are `memory` [B, 2U], and `memory_hidden` and `memory_cell` [B, U].
    """

    name = "lstm"
    Options = LSTMOptions
    variants: ClassVar = ({},)
    former_sites: ClassVar = {"kept": "cell_state", "recalled": "hidden_state"}

    options: LSTMOptions

    def __init__(self, shape: Shape, options: LSTMOptions | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.options = options = options or LSTMOptions()
        add_encoder(self, shape, options, options.readout)
        self.gates = nn.Linear(options.hidden + options.units, 4 * options.units)
        # The states are results of formulas, not of layers. Identities make submodules of them, which hooks can reach.
        self.hidden_state = nn.Identity()
        self.cell_state = nn.Identity()
        add_memory_parts(self, MEMORY_PARTS)
        self.policy = nn.Linear(options.hidden + options.units, shape.actions)
        self.value = nn.Linear(options.hidden + options.units, 1)
        initialise(self, self.policy, self.value, options.blocks)
        initialise_gates(self.gates)

    def initial_memory(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        """Return zeros [B, 2, U]."""
        return self._zeros(batch, 2, self.options.units)

    def encode(self, observation: Tensor) -> Tensor:
        """Return the hidden units [N, F] of observations [N, C, H, W]."""
        return run_encoder(self, observation, self.shape, self.options, self.options.readout)

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory for hidden units [B, F] and a memory [B, 2, U]."""
        both, memory = run_lstm(self, features, memory)
        return self.policy(both), self.value(both).squeeze(1), memory

    def sites(self) -> tuple[Site, ...]:
        """Return the encoder's maps and hidden units, and cell state and hidden state of the LSTM."""
        states = (Site(name, self.options.units, is_map=False) for name in ("cell_state", "hidden_state"))
        return (*encoder_sites(self.options), *states)

    def memory_sites(self) -> tuple[Site, ...]:
        """Return the whole memory between two steps, and its two states."""
        return memory_part_sites(MEMORY_PARTS, self.options.units, is_map=False)
