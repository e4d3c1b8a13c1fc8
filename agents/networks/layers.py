"""Parts that several networks share: the residual encoder at full resolution, the read-out, the initialisation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, cast

import msgspec
import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import NetworkOptions, Shape, Site, agent_cells
from goalmaze.envs.errors import GoalmazeError

Width = Annotated[int, msgspec.Meta(ge=1, le=1024)]
"""The range of channels and hidden units."""

Depth = Annotated[int, msgspec.Meta(ge=0, le=64)]
"""The range of the number of blocks."""

WHOLE_MEMORY = "memory"
"""The site of a whole memory."""

MEMORY_PARTS = ("memory_hidden", "memory_cell")
"""The parts of the memory of an LSTM: its hidden state, then its cell state."""

Readout = Literal["cell", "flat"]
"""Where the last map is read out: at the agent's cell, or at all cells, which fixes the maze size."""


@dataclasses.dataclass(frozen=True)
class EncoderOptions(NetworkOptions):
    """Hyperparameters of the encoder, which a network's own options extend.

    Attributes:
        channels: channels of every convolution.
        blocks: number of residual blocks.
        hidden: hidden units of the read-out.
    """

    channels: Width = 16
    blocks: Depth = 8
    hidden: Width = 64


class Block(nn.Module):
    """A residual block at full resolution: x ← relu(x + conv(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        return torch.relu(x + self.conv(x))


def block_names(blocks: int) -> list[str]:
    """Return `block1` … `blockN`."""
    return [f"block{i + 1}" for i in range(blocks)]


def add_trunk(network: nn.Module, planes: int, channels: int, blocks: int) -> None:
    """Add the submodules `stem`, `stem_relu` and `block1` … `blockN` to a network.

    They belong to the network itself and not to a module of their own: their paths are the names of tensors in
    checkpoints.
    """
    network.add_module("stem", nn.Conv2d(planes, channels, 3, padding=1))
    network.add_module("stem_relu", nn.ReLU())
    for name in block_names(blocks):
        network.add_module(name, Block(channels))


def run_trunk(network: nn.Module, observation: Tensor, blocks: int) -> Tensor:
    """Return [B, C, H, W], the last map of the trunk for observations [B, planes, H, W]."""
    x: Tensor = observation.float()
    for name in ("stem", "stem_relu", *block_names(blocks)):
        x = network.get_submodule(name)(x)
    return x


def add_encoder(network: nn.Module, shape: Shape, options: EncoderOptions, readout: Readout) -> None:
    """Add the trunk and the submodule `hidden`, the hidden units that read it out, to a network."""
    add_trunk(network, shape.planes, options.channels, options.blocks)
    features = readout_features(options.channels, shape, readout)
    network.add_module("hidden", nn.Sequential(nn.Linear(features, options.hidden), nn.ReLU()))


def run_encoder(
    network: nn.Module, observation: Tensor, shape: Shape, options: EncoderOptions, readout: Readout
) -> Tensor:
    """Return the hidden units [B, F] for observations [B, C, H, W]."""
    maps = run_trunk(network, observation, options.blocks)
    return cast(Tensor, network.get_submodule("hidden")(read_out(maps, observation, shape, readout)))


def encoder_sites(options: EncoderOptions) -> tuple[Site, ...]:
    """Return the sites of the encoder: the stem, every block, and the hidden units."""
    names = ("stem", "stem_relu", *block_names(options.blocks))
    maps = (Site(name, options.channels, is_map=True) for name in names)
    return (*maps, Site("hidden", options.hidden, is_map=False))


def readout_features(channels: int, shape: Shape, readout: Readout) -> int:
    """Return F, the number of features that `read_out` returns for maps of `channels` channels."""
    return channels if readout == "cell" else channels * shape.observation[1] * shape.observation[2]


def read_out(maps: Tensor, observation: Tensor, shape: Shape, readout: Readout) -> Tensor:
    """Return features [B, F]: maps [B, C, H, W] at the agent's cell, or at all cells.

    Raises:
        GoalmazeError: all cells are read, and the maze has another size than the network was made for.
    """
    if readout == "cell":
        # A gather and not advanced indexing: its gradient is written to one place in each row, without a sort.
        cells = agent_cells(observation)[:, None, None].expand(-1, maps.shape[1], -1)
        return maps.flatten(2).gather(2, cells).squeeze(2)
    expected, given = shape.observation[1:], tuple(maps.shape[2:])
    if expected != given:
        raise GoalmazeError(
            f"the network's flat read-out was made for observations of {expected[0]}x{expected[1]} cells, not "
            f"{given[0]}x{given[1]}: use that size, or train with the network option readout=cell"
        )
    return maps.flatten(1)


def next_cell_state(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next cell state of an LSTM and the logits of its output gate, both [B, U, ...].

    The caller computes the hidden state from them, so that an edit of the cell state changes it too.

    Args:
        gates: [B, 4U, ...], logits of input, forget and output gate, and the candidate.
        cell: [B, U, ...], the cell state.
    """
    input_gate, forget_gate, output_gate, candidate = gates.chunk(4, dim=1)
    return torch.sigmoid(forget_gate) * cell + torch.sigmoid(input_gate) * torch.tanh(candidate), output_gate


def run_lstm(network: nn.Module, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Return features and output of an LSTM side by side [B, F + U], and its new memory [B, 2, U].

    Args:
        network: the network, with a linear layer `gates`, the sites `cell_state` and `hidden_state`, and memory parts.
        features: [B, F], what the LSTM reads.
        memory: [B, 2, U], hidden state and cell state before the step.
    """
    hidden, cell = memory.unbind(1)
    gates = network.get_submodule("gates")(torch.cat([features, hidden], 1))
    cell, output_gate = next_cell_state(gates, cell)
    cell = network.get_submodule("cell_state")(cell)
    hidden = network.get_submodule("hidden_state")(torch.sigmoid(output_gate) * torch.tanh(cell))
    # Under autocast the states are bfloat16; the memory keeps its own type, as the rollout buffer expects.
    states = (state.to(memory.dtype) for state in (hidden, cell))
    kept = run_memory_parts(network, dict(zip(MEMORY_PARTS, states, strict=True)))
    return torch.cat([features, hidden], 1), kept.reshape(memory.shape)


def add_memory_parts(network: nn.Module, parts: Sequence[str]) -> None:
    """Add an identity for each part of a memory, and one named `memory` for all parts together."""
    for name in (*parts, WHOLE_MEMORY):
        network.add_module(name, nn.Identity())


def run_memory_parts(network: nn.Module, parts: Mapping[str, Tensor]) -> Tensor:
    """Return [B, P*C, ...], the P parts [B, C, ...] of a memory one behind the other, after edits at their sites."""
    kept = [network.get_submodule(name)(part) for name, part in parts.items()]
    return cast(Tensor, network.get_submodule(WHOLE_MEMORY)(torch.cat(kept, 1)))


def memory_part_sites(parts: Sequence[str], channels: int, is_map: bool) -> tuple[Site, ...]:
    """Return the sites of a memory of parts with `channels` channels each: all together, then each."""
    whole = Site(WHOLE_MEMORY, channels * len(parts), is_map)
    return (whole, *(Site(name, channels, is_map) for name in parts))


def initialise(network: nn.Module, policy: nn.Linear, value: nn.Linear, blocks: int = 0) -> None:
    """Initialise a network with orthogonal weights and zero biases.

    Args:
        network: the network, changed in place.
        policy: its policy head.
        value: its value head.
        blocks: number of its residual blocks.
    """
    # The blocks and the heads are drawn twice: first here with all other layers, then with a gain of their own. The
    # first draw advances torch's random generator, so without it every seed would give other weights.
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            # sqrt(2) keeps the variance through a ReLU, which sets half of its inputs to zero.
            nn.init.orthogonal_(module.weight, 2**0.5)
            if module.bias is not None:
                nn.init.constant_(module.bias, 0.0)
    for name in block_names(blocks):
        block = cast(Block, network.get_submodule(name))
        # The skip connection already passes the signal on; a smaller gain keeps it from growing with depth.
        nn.init.orthogonal_(block.conv.weight, 0.5)
    # Logits near 0: all actions start about equally likely, so training starts with the most exploration.
    nn.init.orthogonal_(policy.weight, 0.01)
    nn.init.orthogonal_(value.weight, 1.0)


def initialise_xavier(network: nn.Module, policy: nn.Linear, value: nn.Linear) -> None:
    """Initialise a network as procgenAISC does; arguments as `initialise`."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.constant_(cast(Tensor, module.bias), 0.0)
    nn.init.orthogonal_(policy.weight, 0.01)
    nn.init.orthogonal_(value.weight, 1.0)


def initialise_gates(gates: nn.Linear) -> None:
    """Initialise the gates of an LSTM."""
    # Without a ReLU behind the gates, a gain of 1 keeps the variance.
    nn.init.orthogonal_(gates.weight, 1.0)
    # A forget gate that starts open lets gradients pass through many steps (Jozefowicz et al., 2015).
    units = gates.out_features // 4
    nn.init.constant_(gates.bias[units : 2 * units], 1.0)
