"""A batch of mazes as a Gymnasium `VectorEnv`, stepped by one compiled call."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from goalmaze.envs.cells import Bools
from goalmaze.envs.engines import Engine, Observations, engine_class
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.gymnasium_types import Info
from goalmaze.envs.jit.nontemporal import stream
from goalmaze.envs.levels import NO_SHIFT, TRAINING, Family
from goalmaze.envs.observations.raster import Memory
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import environment_view
from goalmaze.envs.registry import resolve_family
from goalmaze.envs.rendering import RENDER_FPS
from goalmaze.envs.reset_request import RESET_MASK, check_mask, check_options, one_seed


class MazeVectorEnv(VectorEnv[Observations, NDArray[np.int64], NDArray[np.generic]]):
    """A batch of environments of one family, with fresh levels for every episode.

    Level number ``n * num_envs + e`` of the seed is played by environment e in its n-th episode, so the levels do not
    depend on how fast the episodes end. Rewards are the true rewards; ``info["cue_reward"]`` float32 [B] comes with
    them. Specs have no `max_episode_steps`, since the time limit depends on the family's parameters: the environment
    truncates its episodes itself, after `Family.time_limit` steps.

    Args:
        family: a family's name, or a family with its parameters.
        num_envs: number B of environments.
        shift: the level distribution, see `Family.levels`.
        split: the split the levels come from.
        autoreset_mode: any of Gymnasium's three; with `DISABLED` reset with ``options={"reset_mask": mask}``.
        render_mode: "rgb_array" or None.
        observation: the observation mode, one of `goalmaze.envs.observations.spec.MODES`, or the mode with its options.
        pixels: pixels per cell, where `observation` is the name "rgb".
        radius: cells visible on each side of the agent, where `observation` is the name "crop" or "partial".
        copy: return copies; otherwise the live arrays, which the next step changes in place.
        parameters: the family's, where `family` is a name.
    """

    metadata: Info = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": RENDER_FPS,
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
        observation: str | ObservationSpec = "planes",
        pixels: int = 8,
        radius: int = 3,
        copy: bool = True,
        **parameters: object,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise unknown("render mode", render_mode, self.metadata["render_modes"])
        modes = [mode.value for mode in AutoresetMode]
        if not isinstance(autoreset_mode, AutoresetMode) and autoreset_mode not in modes:
            raise unknown("autoreset mode", str(autoreset_mode), modes)
        if num_envs < 1:
            raise GoalmazeError(f"num_envs is {num_envs}: choose 1 or more")
        self.family = resolve_family(family, parameters)
        self.family.check_addresses(0, shift, split)
        self.view = environment_view(self.family, observation, pixels, radius)
        self.engine = self._make_engine(num_envs)
        self.num_envs = num_envs
        self.shift = shift
        self.split = split
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.view.space
        self.single_action_space = gymnasium.spaces.Discrete(self.engine.actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.level_seeds: tuple[int, ...] = ()
        self.copy = copy
        self._everywhere = np.ones(num_envs, np.bool_)
        self._drawn = None if self.view.mode == self.engine.mode else self.view.buffer(num_envs)
        self._memory = self.view.memory(num_envs)

    def _make_engine(self, num_envs: int) -> Engine:
        """Return an engine for B episodes of the family, none of them begun."""
        return engine_class(self.family)(self.family, num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Info | None = None
    ) -> tuple[Observations, Info]:
        """Begin new episodes everywhere, or where ``options["reset_mask"]`` bool [B] is True.

        Args:
            seed: the level seed, since levels are addressed by one seed, environment and episode; or the list s, s + 1,
                s + 2, …, which means the seed s to Gymnasium.
            options: may hold "reset_mask" where no seed is given.

        Returns:
            Observations uint8 [B, ...] and an empty info.

        Raises:
            GoalmazeError: another option, a mask that does not fit, or seeds of single environments.
        """
        seed, options = one_seed(seed, self.num_envs), check_options(options, RESET_MASK)
        mask = self._everywhere
        if RESET_MASK in options:
            mask = check_mask(options[RESET_MASK], self.num_envs)
            if not self.level_seeds:
                raise GoalmazeError("the first reset begins every environment: leave reset_mask out")
            if seed is not None:
                raise GoalmazeError("a seed begins every environment anew: give a seed or a reset_mask, not both")
        # Only a given seed starts a new sequence of levels; without one, the episodes go on through the old sequence.
        if seed is not None:
            super().reset(seed=seed)
        if seed is not None or not self.level_seeds:
            self._use_levels([seed if seed is not None else int(self.np_random.integers(2**31))])
        self.engine.renew(np.flatnonzero(mask))
        return self._out(self.observe()), {}

    def reset_groups(self, seeds: Sequence[int]) -> Observations:
        """Begin new episodes everywhere, with a level seed for each of S equal groups of environments.

        Environments of a group play what a batch of B/S environments with the group's seed alone plays.

        Args:
            seeds: S seeds, in the order of the groups.

        Returns:
            Observations uint8 [B, ...].

        Raises:
            GoalmazeError: B is no multiple of S, or a seed is out of range.
        """
        self._use_levels(seeds)
        self.engine.renew(np.flatnonzero(self._everywhere))
        return self._out(self.observe())

    def _use_levels(self, seeds: Sequence[int]) -> None:
        self.engine.use_levels(seeds, self.shift, self.split)
        self.level_seeds = tuple(seeds)

    def step(self, actions: NDArray[np.int64]) -> tuple[Observations, NDArray[np.float32], Bools, Bools, Info]:
        """Advance every environment by one of `actions` int [B].

        Raises:
            GoalmazeError: the actions are not B integers, or one is out of range; then nothing changes.
        """
        results = self._step(actions)
        return self._out(self.observe()), *results

    def step_into(
        self, actions: NDArray[np.int64], out: Observations
    ) -> tuple[Observations, NDArray[np.float32], Bools, Bools, Info]:
        """Step like `step`, and write the observations to `out` uint8 [B, ...], a part of a larger buffer.

        The stores bypass the caches: this is the fastest way to fill a rollout buffer that is read much later.

        Raises:
            GoalmazeError: `out` has another shape or type than a batch of observations, or is not contiguous; or the
                actions are refused, see `step`.
        """
        if out.shape != self.observation_space.shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise GoalmazeError(f"out is {out.dtype} {out.shape}: give contiguous uint8 {self.observation_space.shape}")
        reward, terminated, truncated, info = self._step(actions)
        stream(self.observe(), out)
        return out, reward, terminated, truncated, info

    def _step(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float32], Bools, Bools, Info]:
        """Step without observing; return rewards, ends and info."""
        if not self.level_seeds:
            raise gymnasium.error.ResetNeeded("call reset before the first step")
        engine, mode = self.engine, self.autoreset_mode
        if mode is AutoresetMode.NEXT_STEP:
            engine.step_or_renew(actions)
        elif mode is AutoresetMode.DISABLED and engine.done.any():
            ended = int(engine.done.argmax())
            raise gymnasium.error.ResetNeeded(f"environment {ended} has ended; reset it with a reset_mask")
        else:
            engine.step_strictly(actions)
        rewards, terminated, truncated = engine.rewards, engine.terminated, engine.truncated
        # In mode SAME_STEP the new episodes clear these arrays below, before the caller reads them.
        if self.copy or mode is AutoresetMode.SAME_STEP:
            rewards, terminated, truncated = rewards.copy(), terminated.copy(), truncated.copy()
        info = {"cue_reward": rewards[:, 1], "_cue_reward": self._everywhere.copy() if self.copy else self._everywhere}
        if mode is AutoresetMode.SAME_STEP and engine.done.any():
            info = self._renew_at_once(terminated | truncated, rewards[:, 1])
        return rewards[:, 0], terminated, truncated, info

    def part(self, rows: slice) -> Self | None:
        """Return some consecutive environments, which share all arrays with this batch; see `Engine.part`.

        Only after the first reset, and valid until the next one with a seed.
        """
        engine = self.engine.part(rows)
        if engine is None:
            return None
        part = copy.copy(self)
        part.engine, part.num_envs, part._everywhere = engine, len(engine), self._everywhere[rows]
        part._drawn = None if self._drawn is None else self._drawn[rows]
        part._memory = Memory(self._memory.walls[rows], self._memory.cells[rows])
        return part

    def observe(self) -> Observations:
        """Return uint8 [B, ...], the observations now: live arrays, which the next step changes in place."""
        if self._drawn is None:
            return self.engine.observe()
        self.view.update(self.engine.state, self._drawn, self._memory)
        return self._drawn

    def _renew_at_once(self, done: Bools, cue_reward: NDArray[np.float32]) -> Info:
        """Begin new episodes where one has ended, and return Gymnasium's info about this step.

        The cue reward of an episode's last step stands in "final_info" alone, so that no sum counts it twice.
        """
        observations = self.observe()
        last = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(done):
            # A copy: the new episode is drawn into the same memory.
            last[row] = observations[row].copy()
        self.engine.renew(np.flatnonzero(done))
        zero = np.float32(0)
        return {
            "cue_reward": np.where(done, zero, cue_reward),
            "_cue_reward": ~done,
            "final_obs": last,
            "_final_obs": done,
            "final_info": {"cue_reward": np.where(done, cue_reward, zero), "_cue_reward": done},
            "_final_info": done,
        }

    @property
    def levels_begun(self) -> NDArray[np.int64]:
        """int64 [S], one more than the highest level index that any environment of each level seed has played."""
        groups = self.engine.next_levels.reshape(-1, self.engine.group_size)
        begun: NDArray[np.int64] = groups.max(axis=1) - self.engine.group_size + 1
        return begun

    @property
    def nbytes(self) -> int:
        """Bytes of memory of all environments: episodes and observations."""
        memory = self._memory
        return self.engine.nbytes + (0 if self._drawn is None else self._drawn.nbytes + memory.nbytes)

    def _out(self, array: Observations) -> Observations:
        return array.copy() if self.copy else array

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return one RGB picture uint8 [h, w, 3] for each environment, or None without a render mode."""
        return None if self.render_mode is None else self.engine.pictures()

    def close_extras(self, **kwargs: object) -> None:
        """Close the engine."""
        self.engine.close()
