"""Halves of the environments of one agent: one advances while a GPU computes the actions of the other.

Axes: B environments, b of one half, T steps, A actions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.training.sb3_environment import EpisodeEnds, MazeVecEnv


class Half:
    """Half of the environments, with the tensors by which it exchanges observations and actions with a device.

    Args:
        env: the environments of the half.
        rows: their rows among the B of the whole.
        device: the device that computes the actions.

    Attributes:
        env: as given.
        rows: as given.
        memory: [b, ...], the memory of a recurrent network after the last pass; None for other networks.
        memory_before: the same before the last pass.
    """

    def __init__(self, env: MazeVecEnv, rows: slice, device: torch.device) -> None:
        self.env, self.rows = env, rows
        self.memory: Tensor | None = None
        self.memory_before: Tensor | None = None
        on_gpu = device.type == "cuda"
        # Copies from and to page-locked memory need not wait.
        self._observations = torch.from_numpy(np.zeros_like(env.observations))
        self._starts = torch.zeros(env.num_envs, dtype=torch.bool)
        self._actions = torch.zeros(env.num_envs, dtype=torch.int64)
        if on_gpu:
            self._observations, self._starts = self._observations.pin_memory(), self._starts.pin_memory()
            self._actions = self._actions.pin_memory()
        self._ready = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]

    def upload(self, observations: Tensor, starts: Tensor, episode_starts: NDArray[np.bool_]) -> None:
        """Copy the present observations, and bool [b] whether episodes start there, to tensors of the device."""
        # The copy before has ended: the actions that followed it on the device were waited for.
        self._observations.numpy()[...] = self.env.observations
        self._starts.numpy()[:] = episode_starts
        observations.copy_(self._observations, non_blocking=True)
        starts.copy_(self._starts, non_blocking=True)

    def send(self, actions: Tensor) -> None:
        """Begin to copy actions int64 [b] from the device."""
        self._actions.copy_(actions, non_blocking=True)
        if self._ready is not None:
            self._ready.record()

    def actions(self) -> NDArray[np.int64]:
        """Wait for the actions that were sent last, and return a copy of them, int64 [b]."""
        if self._ready is not None:
            self._ready.synchronize()
        return self._actions.numpy().copy()


def halves_of(env: MazeVecEnv, device: torch.device) -> tuple[Half, ...]:
    """Return two equal halves of environments; none where they cannot advance by themselves."""
    middle = env.num_envs // 2
    rows = (slice(0, middle), slice(middle, env.num_envs))
    parts = [env.part(one) for one in rows] if env.num_envs % 2 == 0 else []
    return tuple(Half(part, one, device) for part, one in zip(parts, rows, strict=False) if part is not None)


def joined_ends(ends: Sequence[EpisodeEnds], rows: Sequence[slice]) -> EpisodeEnds:
    """Return the episodes that ended in parts of a batch as those of the batch, whose rows the parts have."""
    first = [one.rows + part.start for one, part in zip(ends, rows, strict=True)]
    others = [np.concatenate(arrays) for arrays in zip(*(one[1:] for one in ends), strict=True)]
    return EpisodeEnds(np.concatenate(first), *others)
