"""Vectorized mazes for stable-baselines3, with the reward shaping of training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, Self, TypeAlias, cast

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from goalmaze.agents.training.colour_jitter import ColourJitter
from goalmaze.agents.training.curricula.registry import CurriculumChoice, make_curriculum
from goalmaze.agents.training.shaping import Kind, Reward, Shaping
from goalmaze.envs.engines import Observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import TRAINING, Family
from goalmaze.envs.observations.spec import DEFAULT_SPEC, ObservationSpec
from goalmaze.envs.vector import MazeVectorEnv

RECENT_EPISODES = 1000
"""Number of latest episodes that the log averages over."""

EXTRA = "beside."
"""Prefix of an engine's extra arrays in a training state."""

CURRICULUM = "curriculum."
"""Prefix of a curriculum's arrays in a training state."""

SEEDS = "level_seeds"
"""Array of a training state: int64 [S], the seeds of the levels."""

JITTER = "jitter.episodes"
"""Array of a training state: the episodes of colour jitter."""

CUE_RETURN = "cue_return"
"""Key of the cue return in the info of an episode's last step, for `VecMonitor(env, info_keywords=(CUE_RETURN,))`.

`VecMonitor` replaces the entry "episode", and with it the cue return in there."""

Arrays: TypeAlias = dict[str, NDArray[np.generic]]
"""Arrays of any type by name, as a training state holds them."""

Info: TypeAlias = dict[str, object]
"""The info dictionary of one environment after a step, in the form of stable-baselines3."""


class EpisodeEnds(NamedTuple):
    """The E episodes that ended with one step.

    Attributes:
        rows: int [E], their environments.
        truncated: bool [E], whether the time limit ended them.
        returns: float64 [E, 2], true and cue return.
        steps: int32 [E], their lengths in steps.
        observations: uint8 [E, ...], their last observations.
    """

    rows: NDArray[np.intp]
    truncated: NDArray[np.bool_]
    returns: NDArray[np.float64]
    steps: NDArray[np.int32]
    observations: Observations

    @property
    def solved(self) -> NDArray[np.bool_]:
        """bool [E], whether each ended by the rules with a true return above 0."""
        return np.asarray(~self.truncated & (self.returns[:, 0] > 0))

    def summary(self, e: int) -> dict[str, float]:
        """Return true return "r", cue return "c" and length in steps "l" of the e-th episode."""
        true, cue = self.returns[e]
        return {"r": true, "c": cue, "l": int(self.steps[e])}

    def info(self, e: int) -> Info:
        """Return the info dictionary of stable-baselines3 about the e-th episode."""
        return {
            "episode": self.summary(e),
            CUE_RETURN: self.returns[e, 1],
            "terminal_observation": self.observations[e],
            "TimeLimit.truncated": bool(self.truncated[e]),
        }


class EpisodeRecord:
    """Statistics of the latest episodes of S equal groups of environments, one group for each seed.

    Args:
        num_envs: number of environments.
        groups: number S of groups.

    Attributes:
        counts: int64 [S], number of all episodes that ended.
        recent: float64 [S, RECENT_EPISODES, 4], ring buffers of solved, length, true return and cue return.
    """

    def __init__(self, num_envs: int, groups: int = 1) -> None:
        self.counts = np.zeros(groups, np.int64)
        self.recent = np.zeros((groups, RECENT_EPISODES, 4))
        self._group_size = num_envs // groups

    def add(self, ends: EpisodeEnds) -> None:
        """Record episodes that ended."""
        groups = ends.rows // self._group_size
        ended = np.bincount(groups, minlength=len(self.counts))
        # Rows ascend, so those of a group stand together, and this is their number within it.
        rank = np.arange(len(groups)) - (np.cumsum(ended) - ended)[groups]
        slots = (self.counts[groups] + rank) % RECENT_EPISODES
        self.recent[groups, slots] = np.column_stack([ends.solved, ends.steps, ends.returns])
        self.counts += ended

    def means(self) -> NDArray[np.float64]:
        """Return float64 [S, 4], means over the latest episodes of each group; NaN before its first has ended."""
        counts = np.minimum(self.counts, RECENT_EPISODES)
        # Slots that no episode has filled hold 0.
        means: NDArray[np.float64] = self.recent.sum(axis=1) / np.where(counts > 0, counts, np.nan)[:, None]
        return means


class MazeVecEnv(VecEnv):
    """A stable-baselines3 `VecEnv` over `MazeVectorEnv`. Python runs per environment only where an episode ended.

    The info of an episode's last step holds ``episode`` (r: true return, c: cue return, l: length in steps),
    ``cue_return``, ``terminal_observation`` and ``TimeLimit.truncated``. The render mode is "rgb_array".

    Args:
        family: the family of levels.
        num_envs: number B of environments.
        seed: seed of the levels; or S seeds, then the environments are S equal groups, and each group plays what B/S
            environments with its seed alone play.
        shaping: reward for each cell of progress, see `goalmaze.agents.training.shaping`.
        observation: the observation mode with its options.
        reward: the reward to learn from, the true one or the cue's.
        shaping_kind: "progress", or "potential" for potential-based shaping.
        discount: the learner's discount, which potential-based shaping and curricula need.
        curriculum: the curriculum, which chooses the level of every episode.
        colour_jitter: the largest factor of an object's plane, see `ColourJitter`; 1 for none.
        threads: number of threads that step episodes, where the family's engine has such; see `Engine.use_threads`.

    Attributes:
        mazes: the environments.
        curriculum: the curriculum.
        record: statistics of the latest episodes, for each seed.

    Raises:
        GoalmazeError: B is no multiple of S, the curriculum does not support the family or several seeds, or colour
            jitter does not support the observation mode or several seeds.
    """

    def __init__(
        self,
        family: Family,
        num_envs: int,
        seed: int | Sequence[int],
        shaping: float = 0.0,
        observation: ObservationSpec = DEFAULT_SPEC,
        reward: Reward = "true",
        shaping_kind: Kind = "progress",
        discount: float = 1.0,
        curriculum: CurriculumChoice = CurriculumChoice(),  # noqa: B008  immutable
        colour_jitter: int = 1,
        threads: int = 1,
    ) -> None:
        self.mazes = MazeVectorEnv(
            family,
            num_envs,
            split=TRAINING,
            autoreset_mode=AutoresetMode.DISABLED,
            # Pictures are drawn only when they are asked for.
            render_mode="rgb_array",
            copy=False,
            observation=observation,
        )
        self.mazes.engine.use_threads(threads)
        super().__init__(num_envs, self.mazes.single_observation_space, self.mazes.single_action_space)
        self.metadata |= {"render_fps": self.mazes.metadata["render_fps"]}
        self.shaping = Shaping(family, num_envs, shaping, reward, shaping_kind, discount)
        self._reward_column = 0 if reward == "true" else 1
        seeds = (seed,) if isinstance(seed, int) else tuple(seed)
        if not seeds or num_envs % len(seeds):
            raise GoalmazeError(f"{num_envs} environments do not split into equal groups for {len(seeds)} seeds")
        self._first_seeds, self._next_seeds = seeds, cast("tuple[int, ...] | None", seeds)
        self.record = EpisodeRecord(num_envs, len(self._first_seeds))
        self.curriculum = make_curriculum(curriculum, self.mazes.engine, self._first_seeds[0], discount)
        if self.curriculum.is_selective and len(self._first_seeds) > 1:
            raise GoalmazeError(f"curriculum {curriculum.name} trains one agent at a time: give one seed")
        self._jitter: ColourJitter | None = None
        if colour_jitter > 1:
            if len(self._first_seeds) > 1:
                raise GoalmazeError("colour_jitter is for one agent at a time: add --device cpu")
            self._jitter = ColourJitter(self.mazes.view, num_envs, self._first_seeds[0], colour_jitter)
        self._returns = np.zeros((num_envs, 2))
        self._actions: NDArray[np.int64] = np.zeros(num_envs, np.int64)
        self._observations: Observations

    @property
    def observations(self) -> Observations:
        """uint8 [B, ...], the present observations; the next step changes them in place."""
        return self._observations

    def reset(self) -> VecEnvObs:
        """Start all episodes."""
        if self._next_seeds is None:
            # A later reset without a seed goes on to new levels.
            drawn, _ = self.mazes.reset()
        else:
            drawn = self.mazes.reset_groups(self._next_seeds)
        if self._jitter is not None:
            self._jitter.restart()
        self._observations = self._seen(drawn)
        self._next_seeds = None
        self.curriculum.restart()
        self._returns[:] = 0
        self.shaping.begin(self.mazes.engine.state, np.arange(self.num_envs))
        return self._observations.copy()

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Store the actions int [B] for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Advance all episodes and start new ones where one ended."""
        rewards, done, ends = self.advance(self._actions)
        infos: list[Info] = [{} for _ in range(self.num_envs)]
        for e, row in enumerate(ends.rows):
            infos[row] = ends.info(e)
        return self._observations.copy(), rewards, done, infos

    def advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_], EpisodeEnds]:
        """Take a step as `step` does, without info dictionaries; the new observations are in `observations`.

        Args:
            actions: int [B].

        Returns:
            Rewards float32 [B], done bool [B], and the episodes that ended.
        """
        engine = self.mazes.engine
        targets = self.shaping.targets(engine.state)
        before = self.shaping.distance_left(targets, engine.agent)
        drawn, _, terminated, truncated, _ = self.mazes.step(actions)
        self._observations = self._seen(drawn)
        rewards: NDArray[np.float32] = engine.rewards[:, self._reward_column] + self.shaping.step_reward(
            targets, before, engine.state, engine.agent, terminated
        )
        # Without shaping: the log compares runs whatever their shaping is.
        self._returns += engine.rewards
        self.curriculum.record_step()
        done = terminated | truncated
        rows = np.flatnonzero(done)
        # Indexing with `rows` copies. The last observations must be kept before the reset overwrites them.
        ends = EpisodeEnds(rows, truncated[rows], self._returns[rows], engine.steps[rows], self._observations[rows])
        if len(rows):
            self.record.add(ends)
            self.curriculum.record_ends(rows, ends.solved)
            self.curriculum.begin(rows)
            if self._jitter is not None:
                self._jitter.begin(rows)
            self._observations = self._seen(self.mazes.observe())
            self._returns[rows] = 0
            self.shaping.begin(self.mazes.engine.state, rows)
        return rewards, done, ends

    def _seen(self, drawn: Observations) -> Observations:
        """Return observations uint8 [B, ...] as the learner receives them."""
        return drawn if self._jitter is None else self._jitter.apply(drawn)

    def part(self, rows: slice) -> Self | None:
        """Return some consecutive environments, which share all arrays and the record with this batch.

        Their `advance` does what that of the whole batch does in these rows. Only after a reset, and valid until the
        next one.

        Args:
            rows: the environments.

        Returns:
            The environments; None where they cannot advance by themselves: those of Procgen, of several seeds, of a
            curriculum that chooses among levels, and with colour jitter.
        """
        if len(self._first_seeds) > 1 or self.curriculum.is_selective or self._jitter is not None:
            return None
        mazes = self.mazes.part(rows)
        if mazes is None:
            return None
        part = copy.copy(self)
        part.mazes, part.num_envs, part.shaping = mazes, mazes.num_envs, self.shaping.part(rows)
        part.curriculum = self.curriculum.of_engine(mazes.engine)
        part._returns, part._observations = self._returns[rows], self._observations[rows]
        return part

    def snapshot(self) -> Arrays:
        """Return a copy of everything that `restore` needs to continue from here, running episodes included."""
        copies = {name: array.copy() for name, array in self._arrays().items()} | self._extra_arrays()
        return copies | {SEEDS: np.array(self.mazes.level_seeds)}

    def restore(self, arrays: Arrays) -> None:
        """Continue from a `snapshot` of environments that were made with the same arguments.

        Raises:
            GoalmazeError: the snapshot is of another family, size, batch, seed or version.
        """
        # A reset first: it makes all arrays, which are then filled in place.
        self._next_seeds = self._first_seeds
        self.reset()
        own, extra = self._arrays(), self._extra_arrays()
        if {*own, *extra, SEEDS} != set(arrays) or not np.array_equal(arrays[SEEDS], self.mazes.level_seeds):
            raise GoalmazeError("the environments were saved by another version of goalmaze or with another seed")
        for name, array in own.items():
            if array.shape != arrays[name].shape or array.dtype != arrays[name].dtype:
                raise GoalmazeError(
                    f"array '{name}' of the saved environments does not fit: {arrays[name].shape}, not {array.shape}"
                )
            array[...] = arrays[name]
        self.mazes.engine.restore_extra_arrays({name.removeprefix(EXTRA): arrays[name] for name in extra})
        # Distances are not in the snapshot: they follow from the levels.
        self.shaping.begin(self.mazes.engine.state, np.arange(self.num_envs))
        if self._jitter is not None:
            self._jitter.redraw(np.arange(self.num_envs))
        self._observations = self._seen(self.mazes.observe())

    def _extra_arrays(self) -> Arrays:
        """Return copies of the arrays that an engine has in addition to its state, such as Procgen's own state."""
        return {f"{EXTRA}{name}": array for name, array in self.mazes.engine.extra_arrays().items()}

    def _arrays(self) -> Arrays:
        """Return the arrays that hold everything that changes in training, not copied."""
        state = self.mazes.engine.state
        arrays = {f"state.{name}": array for name, array in state._asdict().items() if isinstance(array, np.ndarray)}
        arrays |= {"numbers": self.mazes.engine.next_levels, "returns": self._returns}
        arrays |= {f"{CURRICULUM}{name}": array for name, array in self.curriculum.arrays().items()}
        arrays |= {} if self._jitter is None else {JITTER: self._jitter.episodes}
        return arrays | {"recent": self.record.recent, "episodes": self.record.counts}

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the seed of the levels, from the next reset on.

        Raises:
            GoalmazeError: the environments have several seeds.
        """
        if len(self._first_seeds) > 1:
            raise GoalmazeError(f"the environments have {len(self._first_seeds)} seeds: make a new MazeVecEnv")
        self._next_seeds = None if seed is None else (seed,)
        return [seed] * self.num_envs

    def set_options(self, options: Sequence[Info] | Info | None = None) -> None:
        """Refuse options of a reset: there are none.

        Raises:
            GoalmazeError: an option is given.
        """
        for one in [options] if isinstance(options, dict) else options or []:
            if one:
                raise GoalmazeError(f"reset takes no options, and {', '.join(one)} is given: leave it out")

    def get_images(self) -> Sequence[NDArray[np.uint8]]:
        """Return one RGB picture uint8 [h, w, 3] of each environment; `render` tiles them."""
        return self.mazes.engine.pictures()

    def close(self) -> None:
        """Close the engine."""
        self.mazes.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the batch once for each index."""
        return [getattr(self.mazes, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Raise `NotImplementedError`: the environments of a batch share their attributes."""
        raise NotImplementedError("the environments of a batch share their attributes: make a new MazeVecEnv")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the batch and return its result once for each index."""
        result = getattr(self.mazes, method_name)(*args, **kwargs)
        return [result] * len(list(self._get_indices(indices)))

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return False for each index: the environments have no wrappers."""
        return [False] * len(list(self._get_indices(indices)))


def unwrap(env: VecEnv | None) -> MazeVecEnv:
    """Return the `MazeVecEnv` inside the wrappers of stable-baselines3.

    Raises:
        GoalmazeError: there is no `MazeVecEnv`.
    """
    inner = None if env is None else env.unwrapped
    if not isinstance(inner, MazeVecEnv):
        raise GoalmazeError("the algorithm has no MazeVecEnv: make one with make_environments(recipe)")
    return inner


def as_algorithm_input(env: VecEnv | None, observations: Observations) -> Observations:
    """Return observations [B, ...] as the algorithm receives them: stable-baselines3 may transpose pictures."""
    if isinstance(env, VecTransposeImage):
        return cast(Observations, env.transpose_observations(observations))
    return observations
