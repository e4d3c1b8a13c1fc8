"""Many mazes at once as a Gymnasium `VectorEnv`, stepped by one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from goalmaze.envs.engine.level_generation import World
from goalmaze.envs.episodes import Episodes, Planes
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import resolve_family
from goalmaze.envs.jit.nontemporal import stream
from goalmaze.envs.levels import NO_SHIFT, TRAINING, Family
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.rendering import frame

RENDER_MODES = ("ansi", "rgb_array", "human")


@runtime_checkable
class Staged(Protocol):
    """A family whose environments another engine than ours steps."""

    def vector_env(self, num_envs: int, **options: Any) -> MazeVectorEnv:
        """Return B environments of the family; options as those of `MazeVectorEnv`."""


def begin_environments(family: Family, num_envs: int, **options: Any) -> MazeVectorEnv:
    """Return B environments of a family in the engine that is the family's; options as those of `MazeVectorEnv`."""
    kind = family.vector_env if isinstance(family, Staged) else partial(MazeVectorEnv, family)
    return kind(num_envs, **options)


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
        observation: what agents see, a mode of `goalmaze.envs.observations.views`.
        pixels: per cell, in mode "rgb".
        radius: of what is seen around the agent, in cells, in modes "crop" and "partial".
        copy: hand out copies; otherwise the live arrays, which the next step changes in place.
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
        observation: str = "planes",
        pixels: int = 8,
        radius: int = 3,
        copy: bool = True,
        **parameters: Any,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise unknown("render mode", render_mode, self.metadata["render_modes"])
        if num_envs < 1:
            raise GoalmazeError(f"num_envs is {num_envs}: choose 1 or more")
        self.family = resolve_family(family, parameters)
        self.view = make_view(self.family, observation, pixels, radius)
        self.num_envs = num_envs
        self.shift = shift
        self.split = split
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.view.space
        self.single_action_space = gymnasium.spaces.Discrete(4)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.level_seed: int | None = None
        self.copy = copy
        self.episodes: Episodes
        self._world: World
        self._play: Callable[[NDArray[np.int64]], None]
        self._next = np.arange(num_envs, dtype=np.int64)
        self._everywhere = np.ones(num_envs, np.bool_)
        self._seen = None if self.view.mode == "planes" else self.view.buffer(num_envs)
        self._memory = self.view.memory(num_envs)

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
            if self.level_seed is None:
                raise GoalmazeError("the first reset begins every environment: leave reset_mask out")
            if seed is not None:
                raise GoalmazeError("a seed begins every environment anew: give a seed or a reset_mask, not both")
        if seed is not None:
            super().reset(seed=seed)
        if seed is not None or self.level_seed is None:
            self._prepare(seed if seed is not None else int(self.np_random.integers(2**31)))
        self._renew(np.flatnonzero(mask))
        return self._out(self._observe()), {}

    def _prepare(self, level_seed: int) -> None:
        """Make ready for the levels of a seed, from the first one on."""
        self.level_seed = level_seed
        self._world = self.family.world(level_seed, self.shift, self.split)
        self._next = np.arange(self.num_envs, dtype=np.int64)
        self.episodes = Episodes(self.family, self.num_envs)
        self._play = self.episodes.player(self._world, self._next)

    def _renew(self, rows: NDArray[np.intp]) -> None:
        """Begin new episodes in `rows`, each on the next level of its environment."""
        self.episodes.renew(rows, self._world, self._next)

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Planes, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Advance every environment by one of `actions` int [B]."""
        results = self._step(actions)
        return self._out(self._observe()), *results

    def step_into(
        self, actions: NDArray[np.int64], out: Planes
    ) -> tuple[Planes, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Do as `step`, and write the observations to `out` uint8 [B, ...], a part of a larger buffer.

        They are written past the caches, and returned as `out`: the fastest way to fill a rollout buffer that is read
        much later.

        Raises:
            GoalmazeError: `out` has another shape or type than a batch of observations, or is not contiguous.
        """
        if out.shape != self.observation_space.shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise GoalmazeError(f"out is {out.dtype} {out.shape}: give contiguous uint8 {self.observation_space.shape}")
        reward, terminated, truncated, info = self._step(actions)
        stream(self._observe(), out)
        return out, reward, terminated, truncated, info

    def _step(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Step without observing; return rewards, ends and info."""
        if self.level_seed is None:
            raise gymnasium.error.ResetNeeded("call reset before the first step")
        episodes, mode = self.episodes, self.autoreset_mode
        if mode is AutoresetMode.NEXT_STEP:
            self._play(actions)
        elif mode is AutoresetMode.DISABLED and episodes.done.any():
            ended = int(episodes.done.argmax())
            raise gymnasium.error.ResetNeeded(f"environment {ended} has ended; reset it with a reset_mask")
        else:
            episodes.step(actions)
        rewards, terminated, truncated = episodes.rewards, episodes.terminated, episodes.truncated
        if self.copy or mode is AutoresetMode.SAME_STEP:
            rewards, terminated, truncated = rewards.copy(), terminated.copy(), truncated.copy()
        info = {"cue_reward": rewards[:, 1], "_cue_reward": self._everywhere}
        if mode is AutoresetMode.SAME_STEP and episodes.done.any():
            info |= self._renew_at_once(terminated | truncated, rewards[:, 1])
        return rewards[:, 0], terminated, truncated, info

    def _observe(self) -> Planes:
        if self._seen is None:
            return self.episodes.observe()
        self.view.update(self.episodes.state, self._seen, self._memory)
        return self._seen

    def _renew_at_once(self, done: NDArray[np.bool_], cue_reward: NDArray[Any]) -> dict[str, Any]:
        """Begin new episodes where one has ended, and return what Gymnasium wants told of those that ended."""
        seen = self._observe()
        last = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(done):
            last[row] = seen[row].copy()
        self._renew(np.flatnonzero(done))
        final_info = {"cue_reward": np.where(done, cue_reward, 0.0), "_cue_reward": done}
        return {"final_obs": last, "_final_obs": done, "final_info": final_info, "_final_info": done}

    def beside(self) -> dict[str, NDArray[Any]]:
        """Return copies of the arrays that episodes under way hang on beside their `State`; here there are none."""
        return {}

    def put_beside(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Go on from what `beside` returned, after `State` was put back."""

    @property
    def levels_begun(self) -> int:
        """One more than the highest level index that any environment has played."""
        return int(self._next.max()) - self.num_envs + 1

    @property
    def nbytes(self) -> int:
        """Bytes of memory held for all environments, once reset: episodes, and what was drawn of them."""
        drawn = 0 if self._seen is None else self._seen.nbytes + self._memory.walls.nbytes + self._memory.cells.nbytes
        return self.episodes.nbytes + drawn

    def _out(self, array: NDArray[Any]) -> NDArray[Any]:
        return array.copy() if self.copy else array

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return one RGB frame uint8 [h, w, 3] for each environment, or None without a render mode."""
        if self.render_mode is None:
            return None
        levels = self.episodes.present()
        return tuple(frame(levels, b, self.episodes.agent[b]) for b in range(self.num_envs))
