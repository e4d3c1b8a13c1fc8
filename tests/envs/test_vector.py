"""The vector environment: Gymnasium's three autoreset modes, judged by rulebooks and by Gymnasium's own."""

import json
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from oracles.rulebook import Rulebook, rulebook

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import TRAINING
from goalmaze.envs.single import MazeEnv
from goalmaze.envs.vector import MazeVectorEnv

NAME = "goalmaze/GreenExit-v0"
MODES = list(AutoresetMode)
SMALL: dict[str, Any] = {"size": 5, "correlation": 0.5}


@pytest.mark.parametrize("vectorization_mode", [None, "vector_entry_point"])
def test_make_vec_gives_the_batched_environment(vectorization_mode: str | None) -> None:
    envs = gymnasium.make_vec(NAME, num_envs=4, vectorization_mode=vectorization_mode, size=7)
    assert isinstance(envs.unwrapped, MazeVectorEnv)
    planes, info = envs.reset(seed=2)
    assert planes in envs.observation_space
    assert info == {}
    planes, rewards, terminated, truncated, info = envs.step(envs.action_space.sample())
    assert planes in envs.observation_space
    assert planes.shape == (4, 4, 7, 7)
    assert [array.shape for array in (rewards, terminated, truncated, info["cue_reward"])] == [(4,)] * 4
    assert (terminated.dtype, truncated.dtype) == (np.bool_, np.bool_)
    envs.close()


class Reference:
    """The three autoreset modes around rulebooks, as Gymnasium describes them."""

    def __init__(self, seed: int, num_envs: int) -> None:
        self.seed, self.num_envs = seed, num_envs
        self.family = make_family("GreenExit", SMALL)
        self.episode = [0] * num_envs
        self.renewed = 0
        self.rows = [self.fresh(e) for e in range(num_envs)]

    def fresh(self, e: int) -> Rulebook:
        index = self.episode[e] * self.num_envs + e
        self.episode[e] += 1
        return rulebook(self.family, self.family.levels(self.seed, [index], split=TRAINING), 0)

    def renew(self, rows: np.ndarray) -> None:
        self.renewed += int(rows.sum())
        for e in np.flatnonzero(rows):
            self.rows[e] = self.fresh(e)

    def observations(self) -> list[Any]:
        return [row.observe() for row in self.rows]

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return true rewards, cue rewards, terminated and truncated, each [B]."""
        results = [row.step(int(action)) for row, action in zip(self.rows, actions, strict=True)]
        return tuple(np.array(column) for column in zip(*results, strict=True))


@pytest.fixture(params=[0, 1], ids=["seed 0", "seed 1"])
def reference(request: pytest.FixtureRequest) -> Reference:
    return Reference(request.param, 6)


def random_steps(envs: MazeVectorEnv, reference: Reference) -> Iterator[tuple[np.ndarray, ...]]:
    """Reset the environments, then step the reference 150 times with random actions; episodes must end.

    Yields:
        the actions [B], and the reference's true rewards, cue rewards, terminated and truncated, each [B].
    """
    random = np.random.default_rng(reference.seed)
    planes, _ = envs.reset(seed=reference.seed)
    assert planes.tolist() == reference.observations()
    for _ in range(150):
        actions = random.integers(4, size=reference.num_envs)
        yield actions, *reference.step(actions)
    assert reference.renewed > 20


def checked_step(
    envs: MazeVectorEnv, actions: np.ndarray, reference: Reference, *expected: np.ndarray
) -> dict[str, Any]:
    """Step the environments, check them, and return the info.

    Args:
        envs: the environments.
        actions: the actions [B].
        reference: shows the observations expected after the step.
        expected: true rewards, terminated and truncated, each [B].
    """
    planes, *results, info = envs.step(actions)
    assert planes.tolist() == reference.observations()
    assert [array.tolist() for array in results] == [array.tolist() for array in expected]
    return info


def test_next_step_mode_resets_in_the_step_after_the_end(reference: Reference) -> None:
    envs = MazeVectorEnv(num_envs=6, **SMALL)
    over = np.zeros(6, np.bool_)
    for actions, true, cue, ended, cut in random_steps(envs, reference):
        reference.renew(over)
        true, cue = np.where(over, 0, true), np.where(over, 0, cue)
        ended, cut = ended & ~over, cut & ~over
        info = checked_step(envs, actions, reference, true, ended, cut)
        assert info["cue_reward"].tolist() == cue.tolist()
        over = ended | cut


def test_same_step_mode_resets_at_once_and_reports_the_end_in_the_info(reference: Reference) -> None:
    envs = MazeVectorEnv(num_envs=6, autoreset_mode=AutoresetMode.SAME_STEP, **SMALL)
    for actions, true, cue, ended, cut in random_steps(envs, reference):
        over, last = ended | cut, reference.observations()
        reference.renew(over)
        info = checked_step(envs, actions, reference, true, ended, cut)
        assert ("final_obs" in info) == ("final_info" in info) == over.any()
        if over.any():
            assert info["_final_obs"].tolist() == info["_final_info"].tolist() == over.tolist()
            for e in range(6):
                assert (info["final_obs"][e] is None) == (not over[e])
                assert info["final_obs"][e] is None or info["final_obs"][e].tolist() == last[e]
            assert info["final_info"]["cue_reward"][over].tolist() == cue[over].tolist()
            assert info["final_info"]["_cue_reward"].tolist() == over.tolist()
            assert info["_cue_reward"].tolist() == (~over).tolist()
        assert info["cue_reward"].tolist() == np.where(over, 0, cue).tolist()


def test_disabled_mode_resets_the_masked_rows_only(reference: Reference) -> None:
    envs = MazeVectorEnv(num_envs=6, autoreset_mode=AutoresetMode.DISABLED, **SMALL)
    for actions, true, cue, ended, cut in random_steps(envs, reference):
        info = checked_step(envs, actions, reference, true, ended, cut)
        assert info["cue_reward"].tolist() == cue.tolist()
        over = ended | cut
        if over.any():
            with pytest.raises(gymnasium.error.ResetNeeded, match=f"environment {over.argmax()} has ended"):
                envs.step(actions)
            reference.renew(over)
            planes, _ = envs.reset(options={"reset_mask": over})
            assert planes.tolist() == reference.observations()


def same(a: Any, b: Any) -> bool:
    """Whether two infos hold the same, whatever their precision."""
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in b)
    if isinstance(b, np.ndarray) and b.dtype == object:
        return all(same(*pair) for pair in zip(a, b, strict=True))
    return np.array_equal(a, b)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", known_families())
def test_one_row_does_what_gymnasiums_own_vector_environment_does(family: str, mode: AutoresetMode) -> None:
    name = f"goalmaze/{family}-v0"
    theirs = gymnasium.make_vec(name, 1, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, size=5)
    ours = gymnasium.make_vec(name, 1, vectorization_mode="vector_entry_point", autoreset_mode=mode, size=5)
    assert isinstance(theirs, SyncVectorEnv)
    assert isinstance(ours, MazeVectorEnv)
    assert np.array_equal(theirs.reset(seed=[4])[0], ours.reset(seed=[4])[0])
    assert theirs.observation_space == ours.observation_space
    assert theirs.action_space == ours.action_space
    assert theirs.metadata["autoreset_mode"] == ours.metadata["autoreset_mode"] == mode
    random, ends, cues = np.random.default_rng(0), 0, np.zeros(2)
    for _ in range(200):
        actions = random.integers(4, size=1)
        (*expected, their_info), (*got, our_info) = theirs.step(actions), ours.step(actions)
        cues += told_cue(their_info), told_cue(our_info)
        assert [array.tolist() for array in got] == [array.tolist() for array in expected]
        for key, value in their_info.items():
            assert same(our_info[key], value), key
        over = got[2] | got[3]
        ends += over[0]
        if over[0] and mode == AutoresetMode.DISABLED:
            mask = np.array([True])
            again = theirs.reset(options={"reset_mask": mask}), ours.reset(options={"reset_mask": mask})
            assert np.array_equal(again[0][0], again[1][0])
    assert ends > 3
    assert cues[0] == pytest.approx(cues[1])


def told_cue(info: dict[str, Any]) -> float:
    """The cue reward that an info of one environment reports, in the step and in the episode that ended with it."""
    now = info["cue_reward"][0] if info.get("_cue_reward", [False])[0] else 0.0
    return float(now) + (told_cue(info["final_info"]) if info.get("_final_info", [False])[0] else 0.0)


def test_a_cue_reward_that_is_reported_twice_is_counted_twice() -> None:
    cue, there = np.array([1.0]), np.array([True])
    last = {"cue_reward": cue, "_cue_reward": there}
    assert told_cue(last) == 1
    assert told_cue({**last, "final_info": last, "_final_info": there}) == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_reset_mask_begins_new_episodes_in_its_rows_and_leaves_the_others(mode: AutoresetMode) -> None:
    envs = gymnasium.make_vec(NAME, 6, autoreset_mode=mode, **SMALL)
    reference, random = Reference(2, 6), np.random.default_rng(7)
    envs.reset(seed=2)
    over, resets = np.zeros(6, np.bool_), 0
    for _ in range(60):
        mask = random.random(6) < 0.2
        mask |= over & (mode == AutoresetMode.DISABLED)
        if mask.any():
            reference.renew(mask)
            planes, info = envs.reset(options={"reset_mask": mask})
            assert planes.tolist() == reference.observations()
            assert info == {}
            resets += 1
        fresh = over & ~mask & (mode == AutoresetMode.NEXT_STEP)
        actions = random.integers(4, size=6)
        true, _, ended, cut = reference.step(actions)
        reference.renew(fresh)
        ended, cut = ended & ~fresh, cut & ~fresh
        if mode == AutoresetMode.SAME_STEP:
            reference.renew(ended | cut)
        planes, rewards, terminated, truncated, _ = envs.step(actions)
        assert planes.tolist() == reference.observations()
        assert rewards.tolist() == np.where(fresh, 0, true).tolist()
        assert (terminated.tolist(), truncated.tolist()) == (ended.tolist(), cut.tolist())
        over = ended | cut
    assert resets > 30


@pytest.mark.parametrize("mode", [mode.value for mode in MODES])
def test_vector_specs_survive_json(mode: str) -> None:
    name, parameters = "goalmaze/Monsters-v0", {"size": 7, "harm": 0.25, "shift": "no-shields", "mixture": 0.5}
    envs = gymnasium.make_vec(name, 3, autoreset_mode=mode, **parameters)
    assert envs.spec is not None
    told = envs.spec.to_json()
    assert json.loads(told)["kwargs"]["num_envs"] == 3
    again = gymnasium.make_vec(EnvSpec.from_json(told))
    assert isinstance(again, MazeVectorEnv)
    assert (again.num_envs, again.autoreset_mode.value, again.family) == (3, mode, envs.unwrapped.family)
    assert np.array_equal(again.reset(seed=1)[0], envs.reset(seed=1)[0])
    for action in (0, 1, 2, 3):
        stepped = again.step(np.full(3, action)), envs.step(np.full(3, action))
        assert all(np.array_equal(a, b) for a, b in zip(stepped[0][:4], stepped[1][:4], strict=True))
    assert not np.array_equal(gymnasium.make_vec(name, 3, size=7).reset(seed=1)[0], again.reset(seed=1)[0])


def test_what_was_returned_is_not_overwritten_by_the_next_step() -> None:
    envs = MazeVectorEnv(num_envs=6, autoreset_mode="SameStep", **SMALL)
    kept: list[Any] = [envs.reset(seed=0)[0]]
    copies = [kept[0].copy()]
    for _ in range(50):
        *arrays, info = envs.step(np.random.default_rng(len(kept)).integers(4, size=6))
        kept += [*arrays, info["cue_reward"]]
        copies += [array.copy() for array in kept[-5:]]
    assert all(np.array_equal(a, b) for a, b in zip(kept, copies, strict=True))
    assert any(not np.array_equal(a, kept[0]) for a in kept if a.ndim == 4)


def test_a_list_of_seeds_is_what_one_seed_means_or_is_refused() -> None:
    envs = MazeVectorEnv(num_envs=3)
    plain, following = envs.reset(seed=5)[0], envs.reset()[0]
    assert np.array_equal(envs.reset(seed=[5, 6, 7])[0], plain)
    assert np.array_equal(envs.reset(seed=[None, None, None])[0], following)
    for wrong in ([5, 7, 9], (5, None, None), [5, 6], [], [None, 5, 6]):
        with pytest.raises(GoalmazeError, match=rf"^a list of {len(wrong)} seeds for 3 environments: give one integer"):
            envs.reset(seed=wrong)
    assert np.array_equal(envs.observe(), following), "a refused reset changed something"
    with pytest.raises(gymnasium.error.Error, match="Seed must be a python integer"):
        envs.reset(seed=np.int64(5))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0, 4, 3], r"^environment 1: action 4 is none of 0 to 3: up, right, down, left$"),
        ([0, 3, -1], r"^environment 2: action -1 is none of 0 to 3"),
        ([2**40, 0, 0], r"^environment 0: action 1099511627776 is none of 0 to 3"),
        ([-(2**63), 0, 0], r"^environment 0: action -9223372036854775808 is none of 0 to 3"),
        ([0.0, 1.0, 2.0], r"^actions are float64 of shape \(3,\): give one integer for each of 3$"),
        ([1], r"^actions are int64 of shape \(1,\)"),
        (1, r"^actions are int64 of shape \(\)"),
    ],
)
def test_actions_out_of_range_are_refused_and_change_nothing(mode: AutoresetMode, actions: Any, message: str) -> None:
    envs, twin = (MazeVectorEnv(num_envs=3, autoreset_mode=mode, **SMALL) for _ in range(2))
    first, _ = envs.reset(seed=1)
    twin.reset(seed=1)
    with pytest.raises(GoalmazeError, match=message):
        envs.step(np.array(actions))
    assert np.array_equal(envs.observe(), first)
    # The narrower types that policies return are taken.
    for kind in (np.int8, np.uint8, np.int32, np.int64):
        one, two = envs.step(np.array([1, 2, 3], kind)), twin.step(np.array([1, 2, 3]))
        assert all(np.array_equal(a, b) for a, b in zip(one[:4], two[:4], strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_statistics_are_recorded_for_a_vector_environment(mode: AutoresetMode) -> None:
    envs = RecordEpisodeStatistics(MazeVectorEnv(num_envs=4, autoreset_mode=mode, **SMALL), buffer_length=10**6)
    random = np.random.default_rng(3)
    lengths, returns, length, earned = [], [], np.zeros(4, np.int64), np.zeros(4)
    envs.reset(seed=1)
    fresh = np.zeros(4, np.bool_)
    for _ in range(200):
        _, rewards, terminated, truncated, info = envs.step(random.integers(4, size=4))
        length, earned = np.where(fresh, 0, length + 1), np.where(fresh, 0.0, earned + rewards)
        over = terminated | truncated
        assert ("episode" in info) == over.any()
        lengths += length[over].tolist()
        returns += earned[over].tolist()
        if over.any() and mode == AutoresetMode.DISABLED:
            envs.reset(options={"reset_mask": over.copy()})
        length[over], earned[over] = 0, 0.0
        fresh = over if mode == AutoresetMode.NEXT_STEP else np.zeros(4, np.bool_)
    assert list(envs.length_queue) == lengths
    assert list(envs.return_queue) == returns
    assert {0.0, 1.0} == set(returns)
    assert max(lengths) == 40


def test_a_reset_mask_of_the_wrong_shape_or_with_a_seed_is_refused() -> None:
    envs = MazeVectorEnv(num_envs=3, autoreset_mode="Disabled")
    envs.reset(seed=0)
    with pytest.raises(GoalmazeError, match=r"^reset_mask has shape \(2,\); it needs \(3,\)$"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(GoalmazeError, match=r"^a seed begins every environment anew: give a seed or a reset_mask"):
        envs.reset(seed=1, options={"reset_mask": np.array([True, False, False])})
    with pytest.raises(GoalmazeError, match=r"^reset_mask has type int64; it needs bool$"):
        envs.reset(options={"reset_mask": np.array([1, 0, 2])})


def test_options_that_do_nothing_are_refused() -> None:
    level = make_family("GreenExit", SMALL).levels(count=1)
    many, one = MazeVectorEnv(num_envs=3, **SMALL), MazeEnv(**SMALL)
    for env, known in ((many, "reset_mask"), (one, "levels")):
        env.reset(seed=0, options={})
        with pytest.raises(GoalmazeError, match=rf"^unknown option of reset 'maze' \(known: {known}\)$"):
            env.reset(options={"maze": 1})
    with pytest.raises(GoalmazeError, match=r"^unknown option of reset 'levels' \(known: reset_mask\)$"):
        many.reset(options={"levels": level})
    with pytest.raises(GoalmazeError, match=r"^unknown option of reset 'reset_mask' \(known: levels\)$"):
        one.reset(options={"reset_mask": np.array([True])})
    for wrong in ("level", level.take(np.zeros(1, np.bool_))):
        with pytest.raises(GoalmazeError, match=r"^options\['levels'\] is no LevelBatch with a level"):
            one.reset(options={"levels": wrong})
    with pytest.raises(GoalmazeError, match=r"^unknown autoreset mode 'SameStp' \(did you mean 'SameStep'\?\)$"):
        MazeVectorEnv(autoreset_mode="SameStp")


def test_the_vector_environment_renders_one_frame_for_each_row() -> None:
    envs = MazeVectorEnv(num_envs=3, render_mode="rgb_array", **SMALL)
    envs.reset(seed=0)
    frames = envs.render()
    assert frames is not None
    assert [(frame.shape, frame.dtype) for frame in frames] == [((160, 160, 3), np.uint8)] * 3
    assert not np.array_equal(frames[0], frames[1])
    assert MazeVectorEnv().render() is None
