"""Our vector environment as stable-baselines3 wants it, with the shaping that training may add to the reward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from goalmaze.envs.families.base import TRAINING, Family
from goalmaze.envs.solving import distances, pick
from goalmaze.envs.vector import MazeVectorEnv


class MazeVecEnv(VecEnv):
    """A stable-baselines3 `VecEnv` over `MazeVectorEnv`: no Python per environment except where an episode ended.

    The info of an episode's last step holds ``episode`` (r: true return, c: cue return, l: length in steps),
    ``terminal_observation`` and ``TimeLimit.truncated``.

    Args:
        family: the world.
        num_envs: number B of environments.
        seed: level seed.
        shaping: reward per cell by which a step shortens the shortest path to the goal; nothing in families with
            several goals.
    """

    def __init__(self, family: Family, num_envs: int, seed: int, shaping: float = 0.0) -> None:
        self.mazes = MazeVectorEnv(family, num_envs, split=TRAINING, autoreset_mode=AutoresetMode.DISABLED)
        self.render_mode = None
        super().__init__(num_envs, self.mazes.single_observation_space, self.mazes.single_action_space)
        self.shaping = shaping if family.slots.count(family.goal) == 1 else 0.0
        self._level_seed: int | None = seed
        self._returns = np.zeros((num_envs, 2))
        self._actions: NDArray[np.int64] = np.zeros(num_envs, np.int64)
        self._to_goal = np.zeros((num_envs, family.size**2), np.int32)

    def reset(self) -> VecEnvObs:
        """Begin all episodes."""
        observations, _ = self.mazes.reset(seed=self._level_seed)
        self._level_seed = None
        self._returns[:] = 0
        self._solve(np.arange(self.num_envs))
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions int [B] for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Advance all episodes and begin new ones where one ended."""
        episodes = self.mazes.episodes
        before = pick(self._to_goal, episodes.agent)
        observations, rewards, terminated, truncated, _ = self.mazes.step(self._actions)
        rewards += self.shaping * (before - pick(self._to_goal, episodes.agent))
        self._returns += episodes.rewards
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        ended = np.flatnonzero(done)
        for row in ended:
            infos[row] = {
                "episode": {
                    "r": self._returns[row, 0],
                    "c": self._returns[row, 1],
                    "l": int(episodes.steps[row]),
                },
                "terminal_observation": observations[row],
                "TimeLimit.truncated": bool(truncated[row]),
            }
        if len(ended):
            observations, _ = self.mazes.reset(options={"reset_mask": done})
            self._returns[ended] = 0
            self._solve(ended)
        return observations, rewards, done, infos

    def _solve(self, rows: NDArray[np.intp]) -> None:
        if self.shaping:
            levels = self.mazes.episodes.levels().take(rows)
            self._to_goal[rows] = distances(levels, levels.cells(self.mazes.family.goal))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Use `seed` for the levels from the next reset on."""
        self._level_seed = seed
        return [seed] * self.num_envs

    def close(self) -> None:
        """Release nothing: there are no processes or windows."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the batch once for each index."""
        return [getattr(self.mazes, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: the environments of a batch share everything."""
        raise NotImplementedError("the environments of a batch share their attributes; make a new one")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the batch and return its result once for each index."""
        result = getattr(self.mazes, method_name)(*args, **kwargs)
        return [result] * len(list(self._get_indices(indices)))

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return False for each index: nothing is wrapped."""
        return [False] * len(list(self._get_indices(indices)))
