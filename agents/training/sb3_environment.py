"""Our vector environment as stable-baselines3 wants it, with the shaping that training may add to the reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from goalmaze.agents.training.shaping import Reward, Shaping
from goalmaze.envs.engines import Observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import TRAINING, Family
from goalmaze.envs.vector import MazeVectorEnv

RECENT_EPISODES = 1000
BESIDE = "beside."

Arrays = dict[str, NDArray[Any]]


class Ends(NamedTuple):
    """The E episodes that ended with a step.

    Attributes:
        rows: int [E], their environments.
        truncated: bool [E], whether time was up and no more.
        returns: float64 [E, 2], true and cue return.
        steps: int32 [E], their lengths.
        observations: uint8 [E, ...], what was seen last.
    """

    rows: NDArray[np.intp]
    truncated: NDArray[np.bool_]
    returns: NDArray[np.float64]
    steps: NDArray[np.int32]
    observations: Observations

    def info(self, e: int) -> dict[str, Any]:
        """Return what stable-baselines3 wants told of the e-th of them."""
        true, cue = self.returns[e]
        return {
            "episode": {"r": true, "c": cue, "l": int(self.steps[e])},
            "terminal_observation": self.observations[e],
            "TimeLimit.truncated": bool(self.truncated[e]),
        }


class EpisodeRecord:
    """What became of the latest episodes.

    Attributes:
        count: of all episodes that ended.
        recent: float64 [RECENT_EPISODES, 4], solved, length, true and cue return of the latest, in a ring.
    """

    def __init__(self) -> None:
        self.count = 0
        self.recent = np.zeros((RECENT_EPISODES, 4))

    def add(self, ends: Ends) -> None:
        """Take note of episodes that ended."""
        solved = ~ends.truncated & (ends.returns[:, 0] > 0)
        places = np.arange(self.count, self.count + len(ends.rows)) % RECENT_EPISODES
        self.recent[places] = np.column_stack([solved, ends.steps, ends.returns])
        self.count += len(ends.rows)

    def means(self) -> NDArray[np.float64]:
        """Return float64 [4], means over the latest episodes; NaN before any ended."""
        known = self.recent[: min(self.count, RECENT_EPISODES)]
        return known.mean(axis=0) if len(known) else np.full(4, np.nan)


class MazeVecEnv(VecEnv):
    """A stable-baselines3 `VecEnv` over `MazeVectorEnv`: no Python per environment except where an episode ended.

    The info of an episode's last step holds ``episode`` (r: true return, c: cue return, l: length in steps),
    ``terminal_observation`` and ``TimeLimit.truncated``.

    Args:
        family: the world.
        num_envs: number B of environments.
        seed: level seed.
        shaping: reward per cell by which a step shortens the way to what pays, see `goalmaze.agents.training.shaping`.
        observation: what agents see, a mode of `goalmaze.envs.observations.views`.
        options: of that mode.
        reward: which reward the agent is to learn from, the true one or the cue's.

    Attributes:
        record: what became of the latest episodes.
    """

    def __init__(
        self,
        family: Family,
        num_envs: int,
        seed: int,
        shaping: float = 0.0,
        observation: str = "planes",
        options: Mapping[str, int] | None = None,
        reward: Reward = "true",
    ) -> None:
        mode: AutoresetMode = AutoresetMode.DISABLED
        way: dict[str, Any] = dict(options or {})
        self.mazes = MazeVectorEnv(
            family, num_envs, split=TRAINING, autoreset_mode=mode, copy=False, observation=observation, **way
        )
        self.render_mode = None
        super().__init__(num_envs, self.mazes.single_observation_space, self.mazes.single_action_space)
        self.shaping = Shaping(family, num_envs, shaping, reward)
        self._paid = 0 if reward == "true" else 1
        self.record = EpisodeRecord()
        self._first_seed = seed
        self._level_seed: int | None = seed
        self._returns = np.zeros((num_envs, 2))
        self._actions: NDArray[np.int64] = np.zeros(num_envs, np.int64)
        self._seen: Observations

    @property
    def observations(self) -> Observations:
        """uint8 [B, ...], what the agents see now; the next step changes it in place."""
        return self._seen

    def reset(self) -> VecEnvObs:
        """Begin all episodes."""
        self._seen, _ = self.mazes.reset(seed=self._level_seed)
        self._level_seed = None
        self._returns[:] = 0
        self.shaping.begin(self.mazes.engine.state, np.arange(self.num_envs))
        return self._seen.copy()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions int [B] for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Advance all episodes and begin new ones where one ended."""
        rewards, done, ends = self.advance(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for e, row in enumerate(ends.rows):
            infos[row] = ends.info(e)
        return self._seen.copy(), rewards, done, infos

    def advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_], Ends]:
        """Take a step as `step` does; return rewards float32 [B], done bool [B], and the episodes that ended.

        What is seen afterwards is in `observations`.
        """
        engine = self.mazes.engine
        targets = self.shaping.targets(engine.state)
        before = self.shaping.left(targets, engine.agent)
        self._seen, _, terminated, truncated, _ = self.mazes.step(actions)
        rewards: NDArray[np.float32] = engine.rewards[:, self._paid] + np.float32(self.shaping.scale) * (
            before - self.shaping.left(targets, engine.agent)
        ).astype(np.float32)
        self._returns += engine.rewards
        done = terminated | truncated
        rows = np.flatnonzero(done)
        ends = Ends(rows, truncated[rows], self._returns[rows], engine.steps[rows], self._seen[rows])
        if len(rows):
            self.record.add(ends)
            self._seen, _ = self.mazes.reset(options={"reset_mask": done})
            self._returns[rows] = 0
            self.shaping.begin(self.mazes.engine.state, rows)
        return rewards, done, ends

    def snapshot(self) -> Arrays:
        """Return a copy of all that `restore` needs to go on from here, episodes under way included."""
        kept = {name: array.copy() for name, array in self._arrays().items()} | self._beside()
        return kept | {"episodes": np.array(self.record.count), "level_seed": np.array(self.mazes.level_seed)}

    def restore(self, arrays: Arrays) -> None:
        """Go on from a `snapshot` of an environment made with the same arguments.

        Raises:
            GoalmazeError: it is of another family, size, batch, seed or version.
        """
        self._level_seed = self._first_seed
        self.reset()
        own, beside = self._arrays(), self._beside()
        if {*own, *beside, "episodes", "level_seed"} != set(arrays) or arrays["level_seed"] != self.mazes.level_seed:
            raise GoalmazeError("these environments were kept by another version of goalmaze or with another seed")
        for name, array in own.items():
            if array.shape != arrays[name].shape or array.dtype != arrays[name].dtype:
                raise GoalmazeError(f"'{name}' of these environments does not fit: {arrays[name].shape}")
            array[...] = arrays[name]
        self.mazes.engine.restore_extra_arrays({name.removeprefix(BESIDE): arrays[name] for name in beside})
        self.shaping.begin(self.mazes.engine.state, np.arange(self.num_envs))
        self.record.count = int(arrays["episodes"])
        self._seen = self.mazes.observe()

    def _beside(self) -> Arrays:
        """Return copies of what changes in an engine that is not ours."""
        return {f"{BESIDE}{name}": array for name, array in self.mazes.engine.extra_arrays().items()}

    def _arrays(self) -> Arrays:
        """Return the live arrays in which all is that changes."""
        state = self.mazes.engine.state
        arrays = {f"state.{name}": array for name, array in state._asdict().items() if isinstance(array, np.ndarray)}
        arrays |= {"numbers": self.mazes.engine.next_levels, "returns": self._returns}
        return arrays | {"recent": self.record.recent}

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


def mazes_of(env: VecEnv | None) -> MazeVecEnv:
    """Return our environment inside those that stable-baselines3 wraps it in."""
    inner = None if env is None else env.unwrapped
    assert isinstance(inner, MazeVecEnv)
    return inner


def as_seen(env: VecEnv | None, observations: Observations) -> Observations:
    """Return observations [B, ...] as the algorithm sees them: stable-baselines3 turns pictures, [B, 3, h, w]."""
    if isinstance(env, VecTransposeImage):
        return cast(Observations, env.transpose_observations(observations))
    return observations
