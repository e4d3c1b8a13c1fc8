"""Our environments in stable-baselines3: against single mazes played by hand, and under its own algorithms."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from oracles.paths import all_distances
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecCheckNan,
    VecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)

from goalmaze.agents.training.sb3_environment import CUE_RETURN, MazeVecEnv
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import TRAINING, Family
from goalmaze.envs.observations.spec import MODES, ObservationSpec
from goalmaze.envs.single import MazeEnv

ENVS, SEED = 5, 3


@pytest.fixture(scope="module")
def small() -> Family:
    return make_family("GreenExit", {"size": 5, "correlation": 0.5, "braid": 0.5})


class ByHand:
    """One environment of the batch: its episodes played in a `MazeEnv`, its levels asked for by address."""

    def __init__(self, family: Family, number: int) -> None:
        self.family, self.number, self.begun = family, number, 0
        self.env = MazeEnv(family)

    def begin(self) -> np.ndarray:
        self.levels = self.family.levels(SEED, [self.begun * ENVS + self.number], split=TRAINING)
        self.begun += 1
        self.to_exit = all_distances(self.levels.walls[0])[self.levels.cells("exit")[0]]
        self.at = int(self.levels.start[0])
        self.earned, self.steps = np.zeros(2), 0
        return self.env.reset(options={"levels": self.levels})[0]

    def step(self, action: int, shaping: float) -> tuple[np.ndarray, float, bool, bool]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        before, self.at = self.at, int(observation[1].argmax())
        self.earned += (reward, info["cue_reward"])
        self.steps += 1
        return observation, reward + shaping * (self.to_exit[before] - self.to_exit[self.at]), terminated, truncated


@pytest.mark.parametrize("shaping", [0.0, 0.3])
def test_a_batch_does_what_its_mazes_do_one_by_one(small: Family, shaping: float) -> None:
    batch = MazeVecEnv(small, ENVS, SEED, shaping)
    hands = [ByHand(small, number) for number in range(ENVS)]
    np.testing.assert_array_equal(batch.reset(), [hand.begin() for hand in hands])
    choice = np.random.default_rng(0)
    ends = {"terminated": 0, "truncated": 0}
    for _ in range(400):
        actions = choice.integers(0, 4, ENVS)
        observations, rewards, dones, infos = batch.step(actions)
        for e, hand in enumerate(hands):
            observation, reward, terminated, truncated = hand.step(int(actions[e]), shaping)
            assert rewards[e] == pytest.approx(reward, abs=1e-6)
            assert dones[e] == (terminated or truncated)
            if dones[e]:
                ends["terminated" if terminated else "truncated"] += 1
                np.testing.assert_array_equal(infos[e]["terminal_observation"], observation)
                assert infos[e]["TimeLimit.truncated"] == truncated
                assert infos[e]["episode"] == {"r": hand.earned[0], "c": hand.earned[1], "l": hand.steps}
                assert infos[e][CUE_RETURN] == hand.earned[1]
                observation = hand.begin()
            else:
                assert infos[e] == {}
            np.testing.assert_array_equal(observations[e], observation)
    assert min(ends.values()) > 5


def test_shaping_sums_to_the_decrease_of_the_distance(small: Family) -> None:
    plain, shaped = MazeVecEnv(small, ENVS, SEED), MazeVecEnv(small, ENVS, SEED, 0.5)
    plain.reset()
    shaped.reset()
    choice, extra, begun = np.random.default_rng(1), np.zeros(ENVS), np.zeros(ENVS, int)
    for _ in range(100):
        actions = choice.integers(0, 4, ENVS)
        (_, pay, dones, infos), (_, more, *_) = plain.step(actions), shaped.step(actions)
        extra += more - pay
        for e in np.flatnonzero(dones):
            levels = small.levels(SEED, [begun[e] * ENVS + e], split=TRAINING)
            ways = all_distances(levels.walls[0])[levels.cells("exit")[0]]
            last = int(infos[e]["terminal_observation"][1].argmax())
            assert extra[e] == pytest.approx(0.5 * (ways[levels.start[0]] - ways[last]), abs=1e-5)
            extra[e], begun[e] = 0, begun[e] + 1
    assert begun.sum() > 10


def test_a_second_reset_gives_the_next_levels_and_a_seed_the_first_again(small: Family) -> None:
    batch = MazeVecEnv(small, ENVS, SEED)
    first, second = batch.reset(), batch.reset()
    batch.seed(SEED)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(batch.reset(), first)


def test_common_attributes_can_be_read_but_not_set(small: Family) -> None:
    batch = MazeVecEnv(small, ENVS, SEED)
    assert batch.get_attr("family", [0, 2]) == [small, small]
    assert batch.env_is_wrapped(MazeEnv) == [False] * ENVS  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="share their attributes"):
        batch.set_attr("family", small)


def test_the_cue_return_survives_the_monitor(small: Family) -> None:
    batch = MazeVecEnv(small, ENVS, SEED)
    monitor = VecMonitor(batch, info_keywords=(CUE_RETURN,))
    monitor.reset()
    choice, cues, told = np.random.default_rng(0), np.zeros(ENVS), []
    for _ in range(80):
        _, _, dones, infos = monitor.step(choice.integers(0, 4, ENVS))
        # A new episode has begun where one ended, which clears the engine's rewards: the record has the last ones.
        cues += np.where(dones, 0, batch.mazes.engine.rewards[:, 1])
        for e in np.flatnonzero(dones):
            episode = infos[e]["episode"]
            assert "c" not in episode, "the monitor replaces the entry"
            assert infos[e][CUE_RETURN] == episode[CUE_RETURN] >= cues[e]
            told.append(episode[CUE_RETURN])
            cues[e] = 0
    assert len(told) > 10
    assert sum(told) / len(told) == pytest.approx(batch.record.means()[0, 3])
    assert 0 < sum(told) < len(told)


def test_pictures_of_all_mazes_are_tiled_and_filmed_at_their_speed(small: Family) -> None:
    batch = MazeVecEnv(small, 4, SEED)
    batch.reset()
    images = batch.get_images()
    assert [(image.shape, image.dtype) for image in images] == [((160, 160, 3), np.uint8)] * 4
    tiled = batch.render()
    assert tiled is not None
    assert np.array_equal(tiled, np.vstack([np.hstack(images[:2]), np.hstack(images[2:])]))
    assert batch.render_mode == "rgb_array"
    assert batch.metadata["render_fps"] == MazeEnv.metadata["render_fps"]
    batch.step(np.ones(4, np.int64))
    assert not np.array_equal(batch.render(), tiled)


def test_options_and_actions_without_effect_are_refused(small: Family) -> None:
    batch = MazeVecEnv(small, ENVS, SEED)
    first = batch.reset()
    batch.set_options({})
    batch.set_options()
    for options in ({"levels": 1}, [{}, {"levels": 1}]):
        with pytest.raises(GoalmazeError, match="reset takes no options, and levels is given: leave it out"):
            batch.set_options(options)
    with pytest.raises(GoalmazeError, match="environment 2: action 4 is none of 0 to 3"):
        batch.step(np.array([0, 1, 4, 0, 0]))
    np.testing.assert_array_equal(batch.observations, first)


BELOW = {"Monsters": {"shields": 2}}
"""Parameters that fit into the smallest maze."""


@pytest.mark.parametrize("observation", MODES)
@pytest.mark.parametrize("family", ["GreenExit", "FollowLeader", "Monsters"])
def test_wrappers_of_stable_baselines_take_a_batch_in_every_mode(family: str, observation: str) -> None:
    last = "last" if observation.startswith("rgb") else "first"
    for wrap in (lambda env: VecFrameStack(env, 3, channels_order=last), VecNormalize, VecMonitor, VecCheckNan):
        maze = make_family(family, {"size": 5, **BELOW.get(family, {})})
        batch = wrap(MazeVecEnv(maze, 2, SEED, observation=ObservationSpec(observation)))
        seen = batch.reset()
        assert seen.shape == (2, *batch.observation_space.shape)
        for action in range(4):
            seen, _, _, _ = batch.step(np.full(2, action))
            assert seen.shape == (2, *batch.observation_space.shape)
        batch.close()


@pytest.mark.parametrize("kind", [DummyVecEnv, SubprocVecEnv])
def test_single_environments_side_by_side_do_what_they_do_alone(kind: type[VecEnv]) -> None:
    options = {"start_method": "fork"} if kind is SubprocVecEnv else {}
    if options and sys.platform == "win32":
        pytest.skip("Windows has no fork, and a fresh process takes seconds")
    batch = kind([partial(MazeEnv, "Monsters", size=5, shields=2) for _ in range(2)], **options)
    batch.seed(4)
    alone = [MazeEnv("Monsters", size=5, shields=2) for _ in range(2)]
    first = [env.reset(seed=4 + e)[0] for e, env in enumerate(alone)]
    np.testing.assert_array_equal(batch.reset(), first)
    ends, choice = 0, np.random.default_rng(0)
    for _ in range(60):
        actions = choice.integers(0, 4, 2)
        seen, rewards, dones, infos = batch.step(actions)
        for e, env in enumerate(alone):
            observation, reward, terminated, truncated, info = env.step(actions[e])
            assert (rewards[e], dones[e]) == (np.float32(reward), terminated or truncated)
            assert infos[e]["cue_reward"] == info["cue_reward"]
            if dones[e]:
                ends += 1
                np.testing.assert_array_equal(infos[e]["terminal_observation"], observation)
                assert infos[e]["TimeLimit.truncated"] == (truncated and not terminated)
                observation = env.reset()[0]
            np.testing.assert_array_equal(seen[e], observation)
    batch.close()
    assert ends > 1


ALGORITHMS: list[tuple[type[BaseAlgorithm], dict[str, Any]]] = [
    (PPO, {"n_steps": 32, "batch_size": 32, "n_epochs": 1}),
    (A2C, {}),
    (DQN, {"buffer_size": 500, "learning_starts": 50, "train_freq": 4}),
]
STOCK = pytest.mark.parametrize(("algorithm", "options"), ALGORITHMS)


def learned(model: BaseAlgorithm, steps: int) -> bool:
    """Whether learning for so many steps changed the weights."""
    before = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    model.learn(steps)
    assert model.num_timesteps >= steps
    return any(not tensor.equal(before[name]) for name, tensor in model.policy.state_dict().items())


@STOCK
@pytest.mark.parametrize("name", ["GreenExit", "KeysChests", "FollowLeader"])
def test_algorithms_run_on_it(name: str, algorithm: type[BaseAlgorithm], options: dict[str, Any]) -> None:
    family = make_family(name, {"size": 5})
    batch = MazeVecEnv(family, ENVS, SEED, 0.1)
    model = algorithm("MlpPolicy", batch, seed=0, device="cpu", **options)
    assert learned(model, 480)
    assert model.ep_info_buffer
    assert all(1 <= episode["l"] <= family.time_limit for episode in model.ep_info_buffer)
    actions, _ = model.predict(batch.reset())
    assert actions.shape == (ENVS,)
    assert set(actions.tolist()) <= {0, 1, 2, 3}


@STOCK
@pytest.mark.parametrize("name", ["Dish", "Monsters"])
def test_algorithms_run_on_the_registered_environment(
    name: str, algorithm: type[BaseAlgorithm], options: dict[str, Any]
) -> None:
    model = algorithm("MlpPolicy", f"goalmaze/{name}-v0", seed=0, device="cpu", **options)
    assert learned(model, 160)
    assert model.ep_info_buffer
    assert all(1 <= episode["l"] <= make_family(name).time_limit for episode in model.ep_info_buffer)


def test_a_convolutional_policy_sees_pictures() -> None:
    env = gymnasium.make("goalmaze/Corner-v0", size=5, observation="rgb64")
    model = A2C("CnnPolicy", env, seed=0, device="cpu")
    assert learned(model, 10)
    assert model.observation_space.shape == (3, 64, 64)  # stable-baselines3 puts channels first


def test_what_a_learner_remembers_is_what_the_mazes_do_by_hand(small: Family) -> None:
    batch = MazeVecEnv(small, ENVS, SEED)
    options = {"buffer_size": 5000, "learning_starts": 50, "exploration_fraction": 1}
    model = DQN("MlpPolicy", batch, seed=SEED, device="cpu", **options)  # its seed is then the level seed
    model.learn(600)
    memory = model.replay_buffer
    assert memory is not None
    assert memory.pos == 600 // ENVS
    ends = 0
    for e in range(ENVS):
        hand = ByHand(small, e)
        observation = hand.begin()
        for t in range(memory.pos):
            np.testing.assert_array_equal(memory.observations[t, e], observation)
            observation, reward, terminated, truncated = hand.step(int(memory.actions[t, e, 0]), 0.0)
            np.testing.assert_array_equal(memory.next_observations[t, e], observation)
            assert memory.rewards[t, e] == reward
            assert memory.dones[t, e] == (terminated or truncated)
            assert memory.timeouts[t, e] == truncated
            if terminated or truncated:
                observation = hand.begin()
                ends += 1
    assert ends > 5
