"""Procgen's fifteen actions: five things to do in a maze, each under several numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ACTIONS = 15

GROUPS = {"up": (5,), "right": (6, 7, 8), "down": (3,), "left": (0, 1, 2), "stay": (4, 9, 10, 11, 12, 13, 14)}
"""The actions that do the same, by name; the first four in the order of `goalmaze.envs.engine.kernels.ACTIONS`."""

STAY = 4
"""One of Procgen's actions that stay."""

GROUP_OF: NDArray[np.int64] = np.array(
    [next(i for i, group in enumerate(GROUPS.values()) if action in group) for action in range(ACTIONS)]
)
"""int64 [15], the number of each action's group."""

EVERY = np.arange(ACTIONS, dtype=np.int32)
"""Procgen's own numbers."""

OURS: NDArray[np.int64] = np.array([-1 if group == len(GROUPS) - 1 else group for group in GROUP_OF])
"""int64 [15], what each of Procgen's actions is in `goalmaze.envs.engine.kernels.ACTIONS`; -1 stays."""

FOUR = np.array([5, 7, 3, 1], np.int32)
"""Procgen's numbers of up, right, down, left, in the order of `goalmaze.envs.engine.kernels.ACTIONS`."""


def grouped(chances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 [B, 5], the chance of each of `GROUPS`, from those of Procgen's actions [B, 15]."""
    together = [chances[:, list(group)].sum(axis=1) for group in GROUPS.values()]
    return np.stack(together, axis=1).astype(np.float32)
