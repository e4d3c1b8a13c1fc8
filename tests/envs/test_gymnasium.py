"""The environment of one maze plays by the rulebook, on fresh levels and on given ones."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import RecordEpisodeStatistics
from oracles.rulebook import rulebook

from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.families.green_exit import GreenExit
from goalmaze.envs.levels import TRAINING, LevelBatch
from goalmaze.envs.single import MazeEnv
from goalmaze.envs.vector import MazeVectorEnv

NAME = "goalmaze/GreenExit-v0"
CORRIDOR = "#####\n#A.G#\n###.#\n#...#\n#####"
SMALL: dict[str, Any] = {"size": 5, "correlation": 0.5}


def test_the_single_environment_plays_by_the_rulebook() -> None:
    env, family = MazeEnv(**SMALL), make_family("GreenExit", SMALL)
    random, ends = np.random.default_rng(0), 0
    for episode in range(15):
        planes, info = env.reset(seed=8 if episode == 0 else None)
        book = rulebook(family, family.levels(8, [episode], split=TRAINING), 0)
        assert (planes.tolist(), info) == (book.observe(), {})
        over = False
        while not over:
            action = int(random.integers(4))
            planes, reward, terminated, truncated, info = env.step(action)
            assert (reward, info["cue_reward"], terminated, truncated) == book.step(action)
            assert planes.tolist() == book.observe()
            over = terminated or truncated
            ends += terminated
    assert 0 < ends < 15


def test_a_reset_with_a_seed_repeats_and_one_without_goes_on() -> None:
    for env in (MazeEnv(), MazeVectorEnv(num_envs=3)):
        first, second = env.reset(seed=5)[0], env.reset()[0]
        assert not np.array_equal(first, second)
        assert np.array_equal(env.reset(seed=5)[0], first)
        assert np.array_equal(env.reset()[0], second)
        assert not np.array_equal(env.reset(seed=6)[0], first)


def test_environments_without_a_seed_differ() -> None:
    assert not np.array_equal(MazeEnv().reset()[0], MazeEnv().reset()[0])
    assert not np.array_equal(MazeVectorEnv(num_envs=2).reset()[0], MazeVectorEnv(num_envs=2).reset()[0])


def test_a_given_level_is_played_and_its_size_checked() -> None:
    level = read_ascii(CORRIDOR, make_family("GreenExit"))
    env = gymnasium.make(NAME, size=5)
    planes, _ = env.reset(seed=0, options={"levels": level})
    assert planes.tolist() == rulebook(GreenExit(5), level, 0).observe()
    assert env.step(1)[1:4] == (0.0, False, False)
    assert env.step(1)[1:] == (1.0, True, False, {"cue_reward": 1.0})
    assert not np.array_equal(env.reset()[0], planes)
    with pytest.raises(GoalmazeError, match=r"the level is 5x5 with .*; this environment plays GreenExit at size 9$"):
        MazeEnv().reset(options={"levels": level})
    walls = level.walls.copy()
    walls[0, 1, 2] = True
    walled = LevelBatch(walls, level.start, level.objects, level.family)
    with pytest.raises(GoalmazeError, match=r"^level 0: the agent cannot reach the exit; open a wall$"):
        env.reset(options={"levels": walled})


def test_statistics_are_recorded_for_a_single_environment() -> None:
    env = RecordEpisodeStatistics(gymnasium.make(NAME, size=5))
    level = read_ascii(CORRIDOR, make_family("GreenExit"))
    env.reset(options={"levels": level})
    for action in (0, 1, 1):
        *_, info = env.step(action)
    assert (info["episode"]["r"], info["episode"]["l"]) == (1.0, 3)


def test_unknown_render_modes_are_refused_by_name() -> None:
    with pytest.raises(GoalmazeError, match=r"^unknown render mode 'rgb_aray' \(did you mean 'rgb_array'\?\)$"):
        MazeEnv(render_mode="rgb_aray")
    with pytest.raises(GoalmazeError, match=r"^unknown render mode 'human' \(known: rgb_array\)$"):
        MazeVectorEnv(render_mode="human")
