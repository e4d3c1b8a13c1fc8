"""Forward passes in bfloat16 or float32, whose results are float32 either way."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import cast

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Network, RecurrentNetwork


def precision(device: torch.device, bf16: bool) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a network runs in bfloat16 or float32."""
    return torch.autocast(device.type, torch.bfloat16) if bf16 else contextlib.nullcontext()


@dataclasses.dataclass(frozen=True)
class ForwardPass:
    """A network and the precision in which it runs. Losses and samples are computed in float32 either way.

    Attributes:
        network: the network; `encode`, `recur`, `step` and `initial_memory` need a recurrent one.
        bf16: whether it runs in bfloat16, by torch's autocast.
    """

    network: Network
    bf16: bool = False

    @property
    def recurrent(self) -> RecurrentNetwork | None:
        """The network if it is recurrent, else None."""
        return self.network if isinstance(self.network, RecurrentNetwork) else None

    def outputs(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] float32 of first observations [B, ...]."""
        with precision(observation.device, self.bf16):
            logits, values = self.network(observation)
        return logits.float(), values.float()

    def step(self, observation: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A] and values [B] float32, and the new memory [B, ...], for observations and a memory."""
        return self.recur(self.encode(observation), memory)

    def encode(self, observation: Tensor) -> Tensor:
        """Return the features of observations [N, ...] that depend on no memory."""
        with precision(observation.device, self.bf16):
            return cast(RecurrentNetwork, self.network).encode(observation)

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A] and values [B] float32, and the new memory [B, ...], for features [B, ...]."""
        with precision(features.device, self.bf16):
            logits, values, memory = cast(RecurrentNetwork, self.network).recur(features, memory)
        return logits.float(), values.float(), memory.float()

    def initial_memory(self, batch: int) -> Tensor:
        """Return the memory [B, ...] at the start of episodes."""
        return cast(RecurrentNetwork, self.network).initial_memory(batch, self.network.shape.observation)


def masked_memory(memory: Tensor, episode_starts: Tensor, initial: Tensor) -> Tensor:
    """Return memory [..., M], and the initial memory of the same shape where an episode starts, bool [...]."""
    # Not a product with a mask: infinities would become NaN. And no gradient passes from an episode to the one before.
    return torch.where(episode_starts[(..., *[None] * (memory.dim() - episode_starts.dim()))], initial, memory)
