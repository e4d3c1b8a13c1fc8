"""Many mazes at once as a Gymnasium `VectorEnv`, stepped by one compiled call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from goalmaze.envs.episodes import Episodes, Planes
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import make_family
from goalmaze.envs.families.base import NO_SHIFT, TRAINING, Family
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.rendering import frame

RENDER_MODES = ("ansi", "rgb_array", "human")


def observation_space(family: Family) -> gymnasium.spaces.Box:
    """Return the space of one observation, uint8 [C, H, W]; each plane's bound is how strongly its thing shows."""
    rules = family.rules
    highest = np.ones(family.planes, np.uint8)
    highest[rules.plane_of] = rules.value_of
    shape = (family.planes, family.size, family.size)
    return gymnasium.spaces.Box(0, np.broadcast_to(highest[:, None, None], shape), shape, np.uint8)


class MazeVectorEnv(VectorEnv[Planes, NDArray[np.int64], NDArray[Any]]):
    """A batch of environments of one family, with fresh levels for every episode.

    Level number ``n * num_envs + e`` of the seed is played by environment e in its n-th episode, so the levels do not
    depend on how fast the episodes end. Rewards are the true rewards; ``info["cue_reward"]`` float32 [B] leaves with
    them.

    Args:
        family: a family's name, or a family with its parameters.
        num_envs: number B of environments.
        shift: the level distribution, see `Family.levels`.
        split: the split the levels come from.
        autoreset_mode: any of Gymnasium's three; with `DISABLED` reset with ``options={"reset_mask": mask}``.
        render_mode: "rgb_array" or None.
        parameters: the family's, where `family` is a name.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        family: str | Family = "GreenExit",
        num_envs: int = 1,
        *,
        shift: str = NO_SHIFT,
        split: str = TRAINING,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **parameters: Any,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise unknown("render mode", render_mode, self.metadata["render_modes"])
        self.family = make_family(family, parameters) if isinstance(family, str) else family
        self.num_envs = num_envs
        self.shift = shift
        self.split = split
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = observation_space(self.family)
        self.single_action_space = gymnasium.spaces.Discrete(4)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.level_seed: int | None = None
        self.episodes: Episodes
        self._started = np.zeros(num_envs, np.int64)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Planes, dict[str, Any]]:
        """Begin new episodes everywhere, or where ``options["reset_mask"]`` bool [B] is True.

        Args:
            seed: the level seed; a sequence is accepted as Gymnasium asks and its first entry used, since levels are
                addressed by environment and episode.
            options: may hold "reset_mask" where no seed is given.

        Returns:
            Observations uint8 [B, C, H, W] and an empty info.
        """
        seed = seed[0] if isinstance(seed, Sequence) else seed
        mask = np.ones(self.num_envs, np.bool_)
        if options is not None and "reset_mask" in options:
            mask = np.asarray(options["reset_mask"], np.bool_)
            if mask.shape != (self.num_envs,):
                raise GoalmazeError(f"reset_mask has shape {mask.shape}; it needs ({self.num_envs},)")
            if seed is not None:
                raise GoalmazeError("a seed begins every environment anew: give a seed or a reset_mask, not both")
        if seed is not None:
            super().reset(seed=seed)
        if seed is not None or self.level_seed is None:
            self.level_seed = seed if seed is not None else int(self.np_random.integers(2**31))
            self._started[:] = 0
            self.episodes = Episodes(self.family, self._next_levels(np.arange(self.num_envs)))
        else:
            self._begin(np.flatnonzero(mask))
        return self.episodes.observe().copy(), {}

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Planes, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Advance every environment by one of `actions` int [B]."""
        episodes = self.episodes
        finished = np.flatnonzero(episodes.done)
        if len(finished) and self.autoreset_mode == AutoresetMode.DISABLED:
            raise gymnasium.error.ResetNeeded(f"environment {finished[0]} has ended; reset it with a reset_mask")
        episodes.step(actions)
        if len(finished) and self.autoreset_mode == AutoresetMode.NEXT_STEP:
            self._begin(finished)
            episodes.rewards[finished] = 0.0
        rewards = episodes.rewards[:, 0].copy()
        terminated, truncated = episodes.terminated.copy(), episodes.truncated.copy()
        info = {"cue_reward": episodes.rewards[:, 1].copy(), "_cue_reward": np.ones(self.num_envs, np.bool_)}
        done = terminated | truncated
        if self.autoreset_mode == AutoresetMode.SAME_STEP and done.any():
            info |= self._final(done, info["cue_reward"])
            self._begin(np.flatnonzero(done))
        return episodes.observe().copy(), rewards, terminated, truncated, info

    def _final(self, done: NDArray[np.bool_], cue_reward: NDArray[Any]) -> dict[str, Any]:
        """Return what Gymnasium wants told of episodes that ended and were reset in the same step."""
        last = np.full(self.num_envs, None, dtype=object)
        planes = self.episodes.observe()
        for row in np.flatnonzero(done):
            last[row] = planes[row].copy()
        final_info = {"cue_reward": np.where(done, cue_reward, 0.0), "_cue_reward": done}
        return {"final_obs": last, "_final_obs": done, "final_info": final_info, "_final_info": done}

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return one RGB frame uint8 [h, w, 3] for each environment, or None without a render mode."""
        if self.render_mode is None:
            return None
        levels = self.episodes.levels()
        return tuple(frame(levels, b, self.family, self.episodes.agent[b]) for b in range(self.num_envs))

    def _begin(self, rows: NDArray[np.intp]) -> None:
        if len(rows):
            self.episodes.begin(rows, self._next_levels(rows))

    def _next_levels(self, rows: NDArray[np.intp]) -> LevelBatch:
        assert self.level_seed is not None
        indices = self._started[rows] * self.num_envs + rows
        self._started[rows] += 1
        return self.family.levels(self.level_seed, indices, self.shift, self.split)
