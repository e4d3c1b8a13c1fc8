"""The world: levels, rules, families and Gymnasium environments. Importing it registers the environments."""

from __future__ import annotations

import gymnasium

from goalmaze.envs.families import known_families
from goalmaze.envs.family_docs import describe

NAMESPACE = "goalmaze"


def register_envs() -> None:
    """Register every known family with Gymnasium as ``goalmaze/NAME-v0``; repeating it changes nothing."""
    for name, family in known_families().items():
        describe(family)
        spec = f"{NAMESPACE}/{name}-v0"
        if spec not in gymnasium.registry:
            gymnasium.register(
                spec,
                entry_point="goalmaze.envs.single:MazeEnv",
                vector_entry_point="goalmaze.envs.vector:MazeVectorEnv",
                kwargs={"family": name},
            )


register_envs()
