"""Procgen's mazes through Gymnasium and stable-baselines3: stock frames, stock rewards, our levels."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, TRAINING
from goalmaze.envs.procgen import engine as engine_module
from goalmaze.envs.procgen.codec import parse
from goalmaze.envs.procgen.engine import ProcgenEngine
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.simulator import build, frames_of, procgen
from goalmaze.envs.procgen.single import ProcgenMazeEnv
from goalmaze.envs.procgen.vector import ProcgenVectorEnv
from goalmaze.envs.vector import MazeVectorEnv

BATCH = 16
SPEC = "goalmaze/ProcgenMaze-v0"


def test_what_is_built_is_what_stock_procgen_shows(mode: str) -> None:
    for seed in (0, 7, 123456):
        stock = procgen().ProcgenGym3Env(
            num=1, env_name="maze", distribution_mode=mode, start_level=seed, num_levels=1, num_threads=0
        )
        shown = stock.observe()[1]["rgb"]
        np.testing.assert_array_equal(shown, frames_of(mode, build(mode, [seed])))
        assert not np.array_equal(shown, frames_of(mode, build(mode, [seed + 1])))
        stock.close()


def test_rewards_ends_and_places_are_procgens(mode: str) -> None:
    env = ProcgenVectorEnv(num_envs=BATCH, mode=mode, region=9)
    env.reset(seed=0)
    simulator, steps = env.engine.simulator, list[Any]()
    stock_step = simulator.step
    simulator.step = lambda actions: steps.append(stock_step(actions)) or steps[-1]  # type: ignore[method-assign, func-returns-value]
    random, was_over, ends = np.random.default_rng(0), np.zeros(BATCH, np.bool_), np.zeros(2)
    for step in range(1100):
        _, reward, terminated, truncated, _ = env.step(random.integers(0, 15, BATCH))
        live = ~was_over
        earned, first = steps[-1]
        np.testing.assert_array_equal(reward[live], earned[live])
        np.testing.assert_array_equal((terminated | truncated)[live], first[live])
        was_over = terminated | truncated
        ends += terminated.sum(), truncated.sum()
        if step % 100 == 7:
            for b in np.flatnonzero(~was_over):
                row, column = parse(simulator.state(b)).mouse
                assert env.engine.agent[b] == (row + 1) * env.family.size + column + 1
    assert ends.min() > 3
    env.close()


@pytest.mark.parametrize("limit", [0, 9])
@pytest.mark.parametrize("way", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_every_autoreset_mode_plays_the_levels_of_the_addresses(way: AutoresetMode, limit: int) -> None:
    family = ProcgenMaze(mode="easy", region=3, sign=True, training_limit=limit)
    env, rounds = ProcgenVectorEnv(family, 4, autoreset_mode=way), 3
    env.reset(seed=9)
    expected = family.levels(9, np.arange(4 * rounds), split=TRAINING)
    shown = first_observations(expected)
    begun, over = np.zeros(4, int), np.zeros(4, np.bool_)
    random = np.random.default_rng(1)
    seen = env.engine.observe().copy()
    while begun.min() < rounds - 1:
        for e in range(4):
            if env.engine.steps[e] == 0 and begun[e] < rounds:
                np.testing.assert_array_equal(seen[e], shown[begun[e] * 4 + e])
                assert env.engine.levels().take([e]) == expected.take([begun[e] * 4 + e])
        seen, _, terminated, truncated, _ = env.step(random.integers(0, 15, 4))
        done = terminated | truncated
        if way is AutoresetMode.DISABLED and done.any():
            seen, _ = env.reset(options={"reset_mask": done})
        begun += over if way is AutoresetMode.NEXT_STEP else done
        over = done
    env.close()


def test_a_group_plays_what_its_seed_alone_plays() -> None:
    family = ProcgenMaze(mode="easy", region=3, training_limit=7)
    grouped, *alone = (ProcgenVectorEnv(family, envs) for envs in (6, 3, 3))
    frames = [grouped.reset_groups([4, 9]), *(env.reset(seed=seed)[0] for env, seed in zip(alone, (4, 9), strict=True))]
    assert not np.array_equal(frames[0][:3], frames[0][3:])
    random = np.random.default_rng(2)
    for _ in range(30):
        actions = random.integers(0, 15, 6)
        expected = [env.step(part) for env, part in zip(alone, (actions[:3], actions[3:]), strict=True)]
        for one, *others in zip(grouped.step(actions)[:4], *(step[:4] for step in expected), strict=True):
            np.testing.assert_array_equal(one, np.concatenate(others))
    assert grouped.levels_begun.tolist() == [int(env.levels_begun[0]) for env in alone]
    assert grouped.levels_begun.min() > 6
    for env in (grouped, *alone):
        env.close()


def test_only_episodes_of_training_are_cut_off_early() -> None:
    family, random = ProcgenMaze(mode="easy", training_limit=12), np.random.default_rng(5)
    lengths: dict[str, list[int]] = {}
    for split in (TRAINING, EVALUATION):
        env = ProcgenVectorEnv(family, 8, split=split, autoreset_mode=AutoresetMode.SAME_STEP)
        env.reset(seed=1)
        steps, lengths[split] = np.zeros(8, int), []
        for _ in range(60):
            _, _, terminated, truncated, _ = env.step(random.integers(0, 15, 8))
            steps += 1
            done = terminated | truncated
            np.testing.assert_array_equal(truncated, ~terminated & (steps == family.limit_in(split)))
            lengths[split] += steps[done].tolist()
            steps[done] = 0
        env.close()
    assert steps.max() == 60
    assert lengths[TRAINING].count(12) > 20
    assert max(lengths[TRAINING]) == 12
    assert (family.limit_in(TRAINING), family.limit_in(EVALUATION), ProcgenMaze().limit_in(TRAINING)) == (12, 500, 500)
    single = ProcgenMazeEnv(family)
    single.reset(seed=0)
    ends = [single.step(4)[3] for _ in range(12)]
    assert ends == [False] * 11 + [True]
    single.close()


def test_procgen_goes_on_to_the_very_state_that_is_built_for_the_next_level() -> None:
    env = ProcgenVectorEnv(num_envs=8, mode="easy", region=5)
    env.reset(seed=2)
    followed = 0
    while followed < 12:
        _, _, terminated, truncated, _ = env.step(np.random.default_rng(followed).integers(0, 15, 8))
        for row in np.flatnonzero(terminated | truncated):
            made, built = (parse(s) for s in (env.engine.following[row], build("easy", [env.engine.next_seed(row)])[0]))
            np.testing.assert_array_equal(made.grid, built.grid)
            assert (made.entities, made.window, made.progress.current_level_seed) == (
                built.entities,
                built.window,
                built.progress.current_level_seed,
            )
            followed += 1
    env.close()


def test_no_level_is_built_after_an_earlier_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    family = ProcgenMaze(mode="easy", region=5, training_limit=6)
    env = ProcgenVectorEnv(family, 8, autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=2)
    expected = family.levels(2, np.arange(8 * 20), split=TRAINING)
    monkeypatch.setattr(engine_module, "build", lambda _, seeds: pytest.fail("a level was built") if seeds else [])
    limits, random = 0, np.random.default_rng(0)
    for _ in range(60):
        _, _, _, truncated, _ = env.step(random.integers(0, 15, 8))
        limits += int(truncated.sum())
        played = (env.engine.next_levels - 8).tolist()
        assert env.engine.levels() == expected.take(played)
    assert limits > 60
    env.close()


def test_threads_change_no_result() -> None:
    engines = []
    for threads in (1, 3):
        env = ProcgenVectorEnv(num_envs=8, mode="easy", region=5, training_limit=20, sign=True)
        env.engine.use_threads(threads)
        env.reset(seed=6)
        engines.append(env)
    assert [env.engine.simulator._threads for env in engines] == [0, 3]
    random = np.random.default_rng(4)
    for _ in range(60):
        actions = random.integers(0, 15, 8)
        for one, two in zip(*(env.step(actions)[:4] for env in engines), strict=True):
            np.testing.assert_array_equal(one, two)
    for env in engines:
        env.close()


def test_an_environment_put_back_goes_on_the_same() -> None:
    def made() -> ProcgenVectorEnv:
        return ProcgenVectorEnv(num_envs=6, mode="easy", region=5, sign=True)

    random = np.random.default_rng(0)
    env = made()
    env.reset(seed=4)
    for _ in range(300):
        env.step(random.integers(0, 15, 6))
    extra, following = env.engine.extra_arrays(), random.integers(0, 15, (400, 6))
    arrays = {n: a.copy() for n, a in env.engine.state._asdict().items() if isinstance(a, np.ndarray)}
    numbers = env.engine.next_levels.copy()
    other = made()
    other.reset(seed=4)
    for name, array in arrays.items():
        getattr(other.engine.state, name)[...] = array
    other.engine.next_levels[...] = numbers
    other.engine.restore_extra_arrays(extra)
    np.testing.assert_array_equal(env.engine.observe(), other.engine.observe())
    for actions in following:
        for one, two in zip(env.step(actions)[:4], other.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(one, two)
    env.close()
    other.close()


def test_gymnasiums_checker_is_content() -> None:
    env = gymnasium.make(SPEC, mode="easy", disable_env_checker=True)
    check_env(env.unwrapped, skip_render_check=True)
    shown = gymnasium.make(SPEC, mode="easy", render_mode="rgb_array", disable_env_checker=True).unwrapped
    shown.reset(seed=0)
    picture: Any = shown.render()
    assert picture.shape == (512, 512, 3)
    with pytest.raises(GoalmazeError, match="action 15 is none of 0 to 14: up 5, right 6 7 8, down 3, left 0 1 2"):
        shown.step(15)


def test_make_vec_makes_it() -> None:
    env = gymnasium.make_vec(SPEC, 3, vectorization_mode="vector_entry_point", mode="easy", region=3)
    assert isinstance(env.unwrapped, ProcgenVectorEnv)
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen)
    assert env.action_space.nvec.tolist() == [15, 15, 15]
    env.close()


def test_our_own_loop_takes_four_actions_and_procgens_fifteen_do_as_their_groups() -> None:
    family = ProcgenMaze(mode="easy", region=3)
    mazes = MazeVectorEnv(family, 4, observation="rgb64")
    fifteen = ProcgenVectorEnv(family, 4)
    assert isinstance(mazes.engine, ProcgenEngine)
    mazes.reset(seed=0)
    fifteen.reset(seed=0)
    random = np.random.default_rng(0)
    for _ in range(200):
        ways = random.integers(0, 4, 4)
        same = [random.choice(((5,), (6, 7, 8), (3,), (0, 1, 2))[way]) for way in ways]
        np.testing.assert_array_equal(mazes.step(ways)[0], fifteen.step(np.array(same))[0])
    assert mazes.single_action_space == gymnasium.spaces.Discrete(4)
    before = fifteen.engine.agent.copy()
    fifteen.step(np.array([4, 9, 12, 14]))
    going_on = fifteen.engine.steps > 0
    np.testing.assert_array_equal(fifteen.engine.agent[going_on], before[going_on])
    with pytest.raises(GoalmazeError, match="actions is 5: choose 15 for Procgen's own"):
        ProcgenVectorEnv(family, 1, actions=5)
    with pytest.raises(GoalmazeError, match="observation mode of ProcgenMaze"):
        ProcgenVectorEnv(family, 1, observation="planes")
    assert not isinstance(MazeVectorEnv(num_envs=1).engine, ProcgenEngine)


@pytest.mark.parametrize("sign", [False, True])
@pytest.mark.parametrize("again", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copied_environment_goes_on_by_itself(again: Callable[[Any], Any], sign: bool) -> None:
    many = ProcgenVectorEnv(num_envs=4, mode="easy", region=3, sign=sign, training_limit=25)
    single = ProcgenMazeEnv(mode="easy", sign=sign, training_limit=25)
    many.reset(seed=2)
    single.reset(seed=2)
    random = np.random.default_rng(0)
    for _ in range(40):
        many.step(random.integers(0, 15, 4))
    others, other = again(many), again(single)
    ends = 0
    for _ in range(60):
        actions = random.integers(0, 15, 4)
        one, two = many.step(actions), others.step(actions)
        assert all(np.array_equal(a, b) for a, b in zip(one[:4], two[:4], strict=True))
        ends += int(one[2].sum() + one[3].sum())
        assert np.array_equal(single.step(actions[0])[0], other.step(actions[0])[0])
        if single.engine.done[0]:
            assert np.array_equal(single.reset()[0], other.reset()[0])
    assert ends > 2
    before = others.observe().copy()
    many.step(np.full(4, 5))
    assert np.array_equal(others.observe(), before)
    for env in (many, others, single, other):
        env.close()


def test_what_is_not_supported_is_refused_as_in_every_family() -> None:
    many, one = ProcgenVectorEnv(num_envs=2, mode="easy"), ProcgenMazeEnv(mode="easy")
    first, _ = many.reset(seed=0)
    one.reset(seed=0)
    four = ProcgenVectorEnv(num_envs=2, mode="easy", actions=4)
    four.reset(seed=0)
    for env, wrong, message in (
        (many, [0, 15], "environment 1: action 15 is none of 0 to 14: up 5, right 6 7 8"),
        (many, [-1, 0], "environment 0: action -1 is none of 0 to 14"),
        (four, [4, 0], "environment 0: action 4 is none of 0 to 3: up, right, down, left"),
    ):
        with pytest.raises(GoalmazeError, match=message):
            env.step(np.array(wrong))
    assert np.array_equal(many.observe(), first)
    with pytest.raises(GoalmazeError, match="a list of 2 seeds for 2 environments"):
        many.reset(seed=[0, 9])
    for env in (many, one):
        with pytest.raises(GoalmazeError, match="unknown option of reset 'maze'"):
            env.reset(options={"maze": 1})
    with pytest.raises(GoalmazeError, match="threads is -1"):
        ProcgenVectorEnv(threads=-1)
    assert many.metadata["render_fps"] == one.metadata["render_fps"] == 15
    assert set(one.get_keys_to_action().values()) == {1, 3, 5, 7}
    for env in (many, one, four):
        env.close()


def test_stock_stable_baselines_learns_on_it() -> None:
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    env = DummyVecEnv([lambda: ProcgenMazeEnv(mode="easy", region=3)])
    algorithm = PPO("CnnPolicy", env, n_steps=16, batch_size=8, n_epochs=1, device="cpu")
    before = algorithm.policy.action_net.weight.detach().clone()
    algorithm.learn(16)
    assert algorithm.num_timesteps == 16
    assert not before.equal(algorithm.policy.action_net.weight)


def test_a_given_level_is_played() -> None:
    family = ProcgenMaze(mode="easy")
    env, levels = ProcgenMazeEnv(family), family.levels(8, [3, 4], "goal-anywhere")
    seen, _ = env.reset(options={"levels": levels.take([1])})
    np.testing.assert_array_equal(seen, first_observations(levels)[1])
    with pytest.raises(GoalmazeError, match="plays 17x17"):
        env.reset(options={"levels": ProcgenMaze(mode="hard").levels(0, [0])})
    with pytest.raises(GoalmazeError, match="the levels are not Procgen's"):
        env.reset(options={"levels": "level"})
    env.close()
