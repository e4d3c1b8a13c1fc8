"""The `impala-lstm` network: the residual network of `impala`, and an LSTM that reads its hidden units.

Policy and value head read the output of the LSTM and, past it, the hidden units themselves, as in `lstm`.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor, nn

from goalmaze.agents.networks.base import PICTURES, PLANES, RecurrentNetwork, Shape, Site
from goalmaze.agents.networks.impala import HIDDEN, ImpalaOptions, embedder_sites, make_embedder, scaled_observation
from goalmaze.agents.networks.layers import (
    MEMORY_PARTS,
    Width,
    add_memory_parts,
    initialise_gates,
    initialise_xavier,
    memory_part_sites,
    run_lstm,
)
from goalmaze.agents.networks.registry import register_network


@dataclasses.dataclass(frozen=True)
class ImpalaLSTMOptions(ImpalaOptions):
    """Hyperparameters, beside those of `impala`.

    Attributes:
        units: units U of the LSTM.
    """

    units: Width = 256


@register_network
class ImpalaLSTMNetwork(RecurrentNetwork):
    """The network of published Procgen agents with one LSTM.

    Its sites are those of `impala`, then the states of the LSTM after the step: `cell_state` [B, U] and `hidden_state`
    [B, U], its output. The memory is [B, 2, U], hidden state and cell state; its sites between two steps are `memory`
    [B, 2U], and `memory_hidden` and `memory_cell` [B, U].
    """

    name = "impala-lstm"
    Options = ImpalaLSTMOptions
    modes = (*PICTURES, *PLANES)
    variants: ClassVar = ({},)

    options: ImpalaLSTMOptions

    def __init__(self, shape: Shape, options: ImpalaLSTMOptions | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.options = options = options or ImpalaLSTMOptions()
        self.embedder = make_embedder(shape, options)
        self.gates = nn.Linear(HIDDEN + options.units, 4 * options.units)
        self.hidden_state = nn.Identity()
        self.cell_state = nn.Identity()
        add_memory_parts(self, MEMORY_PARTS)
        self.fc_policy = nn.Linear(HIDDEN + options.units, shape.actions)
        self.fc_value = nn.Linear(HIDDEN + options.units, 1)
        initialise_xavier(self, self.fc_policy, self.fc_value)
        initialise_gates(self.gates)

    def initial_memory(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        """Return zeros [B, 2, U]."""
        return self._zeros(batch, 2, self.options.units)

    def encode(self, observation: Tensor) -> Tensor:
        """Return the hidden units [N, F] of pictures [N, h, w, 3], or [N, 3, h, w], or planes [N, C, H, W].

        Raises:
            GoalmazeError: the observations have another size than the network was made for.
        """
        hidden: Tensor = self.embedder(scaled_observation(observation, self.shape, self.options.centred, self.name))
        return hidden

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory for hidden units [B, F] and a memory [B, 2, U]."""
        both, memory = run_lstm(self, features, memory)
        return self.fc_policy(both), self.fc_value(both).squeeze(1), memory

    def sites(self) -> tuple[Site, ...]:
        """Return the sites of `impala`, and cell state and hidden state of the LSTM."""
        states = (Site(name, self.options.units, is_map=False) for name in ("cell_state", "hidden_state"))
        return (*embedder_sites(self.shape, self.options), *states)

    def memory_sites(self) -> tuple[Site, ...]:
        """Return the whole memory between two steps, and its two states."""
        return memory_part_sites(MEMORY_PARTS, self.options.units, is_map=False)
