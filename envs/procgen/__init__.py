"""The real Procgen maze: its state as data, levels edited from Python, and the same interfaces as every other world.

Importing it registers ``goalmaze/ProcgenMaze-v0``; Procgen itself is loaded when the first environment is made.
"""

from __future__ import annotations

import gymnasium

SPEC = "goalmaze/ProcgenMaze-v0"


def register_env() -> None:
    """Register Procgen's maze with Gymnasium; repeating it changes nothing."""
    if SPEC not in gymnasium.registry:
        gymnasium.register(
            SPEC,
            entry_point="goalmaze.envs.procgen.single:ProcgenMazeEnv",
            vector_entry_point="goalmaze.envs.procgen.vector:ProcgenVectorEnv",
        )


register_env()
