"""The open room: a maze without inner walls."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled


@compiled
def open_room(walls: np.ndarray) -> None:
    """Free the whole interior of `walls` bool [H, W]."""
    walls[:] = True
    walls[1:-1, 1:-1] = False
