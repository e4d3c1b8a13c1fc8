"""Every family, observation mode and autoreset mode in Gymnasium's own wrappers; every family as text, step by step."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.play import PlayableGame
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import vector as wrappers

from goalmaze.envs.actions import SDL_KEYS
from goalmaze.envs.ascii import letters_of, write_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.envs.observations.spec import MODES
from goalmaze.envs.single import MazeEnv
from goalmaze.envs.vector import MazeVectorEnv

ENVS, STEPS = 3, 45


def family_at_5(name: str) -> dict[str, Any]:
    """The parameters of a family in the smallest maze."""
    return {"size": 5} | {"KeysChests": {"many": 3}, "Monsters": {"shields": 2}}.get(name, {})


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("observation", MODES)
@pytest.mark.parametrize("family", known_families())
def test_gymnasiums_statistics_are_those_of_the_episodes(family: str, observation: str, mode: AutoresetMode) -> None:
    envs = MazeVectorEnv(family, ENVS, observation=observation, autoreset_mode=mode, **family_at_5(family))
    recorded = wrappers.RecordEpisodeStatistics(envs, buffer_length=1000)
    seen, _ = recorded.reset(seed=3)
    random, earned, ended = np.random.default_rng(0), [], np.zeros(ENVS, np.bool_)
    totals = np.zeros(ENVS)
    for _ in range(STEPS):
        assert envs.observation_space.contains(seen)
        assert seen.dtype == envs.observation_space.dtype
        seen, rewards, terminated, truncated, info = recorded.step(random.integers(4, size=ENVS))
        assert rewards.shape == terminated.shape == truncated.shape == info["cue_reward"].shape == (ENVS,)
        assert not (terminated & truncated).any()
        # In mode NEXT_STEP, the step after the end begins the next episode.
        totals = np.where(ended & (mode is AutoresetMode.NEXT_STEP), 0, totals + rewards)
        ended = terminated | truncated
        earned += totals[ended].tolist()
        totals[ended] = 0
        if mode is AutoresetMode.SAME_STEP and ended.any():
            assert all((last is not None) == over for last, over in zip(info["final_obs"], ended, strict=True))
            assert all(last in envs.single_observation_space for last in info["final_obs"][ended])
        if mode is AutoresetMode.DISABLED and ended.any():
            seen, _ = recorded.reset(options={"reset_mask": ended})
    assert earned
    assert list(recorded.return_queue) == pytest.approx(earned)


WRAPPED = {
    "NormalizeObservation": wrappers.NormalizeObservation,
    "NormalizeReward": wrappers.NormalizeReward,
    "ClipReward": lambda envs: wrappers.ClipReward(envs, -1, 1),
    "FlattenObservation": wrappers.FlattenObservation,
    "DtypeObservation": lambda envs: wrappers.DtypeObservation(envs, np.float32),
    "RescaleObservation": lambda envs: wrappers.RescaleObservation(wrappers.DtypeObservation(envs, np.float32), 0, 1),
    "DictInfoToList": wrappers.DictInfoToList,
}


CASES = [(name, AutoresetMode.NEXT_STEP) for name in WRAPPED]
# Gymnasium's wrappers of observations refuse mode SAME_STEP themselves.
CASES += [(name, AutoresetMode.SAME_STEP) for name in WRAPPED if "Observation" not in name]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_gymnasiums_vector_wrappers_work(name: str, mode: AutoresetMode) -> None:
    envs: VectorEnv[Any, Any, Any] = WRAPPED[name](
        MazeVectorEnv("Monsters", ENVS, autoreset_mode=mode, size=5, shields=2)
    )
    envs.reset(seed=0)
    ends = 0
    for _ in range(STEPS):
        seen, _, terminated, truncated, info = envs.step(np.ones(ENVS, np.int64))
        ends += int(terminated.sum() + truncated.sum())
        assert seen.shape == envs.observation_space.shape
    assert ends
    if name == "DictInfoToList":
        assert len(info) == ENVS
        assert all(("cue_reward" in one) != ("final_info" in one) for one in info)


def test_a_batch_has_a_speed_for_gymnasiums_own_window() -> None:
    envs = MazeVectorEnv(num_envs=2, size=5, render_mode="rgb_array")
    assert envs.metadata["render_fps"] == MazeEnv.metadata["render_fps"]
    wrappers.HumanRendering(envs)
    del envs.metadata["render_fps"]
    with pytest.raises(ValueError, match="render_fps"):
        wrappers.HumanRendering(envs)


@pytest.mark.parametrize("family", known_families())
def test_the_arrow_keys_play_every_family(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gymnasium.make(f"goalmaze/{family}-v0", render_mode="rgb_array")
    keys = env.unwrapped.get_keys_to_action()
    assert keys == {(code,): action for action, code in enumerate(SDL_KEYS)}
    assert all(action in env.action_space for action in keys.values())
    env.reset(seed=0)
    game = PlayableGame(env, keys)
    assert game.relevant_keys == set(SDL_KEYS)


def letters_at(env: MazeEnv) -> list[set[str]]:
    """For each cell of the maze, the letters that may stand there now."""
    level, family = env.engine.present(), env.family
    letters = letters_of(family)
    allowed = [{"#"} if wall else {"."} for wall in level.walls.reshape(-1)]
    for cell in range(len(allowed)):
        there = [kind for kind, at in zip(level.slots, level.objects[0], strict=True) if at == cell]
        exact = {letter for letter, stack in letters.items() if sorted(stack) == sorted(there)}
        # Without a letter for exactly these, that of one of them.
        alone = {letter for letter, stack in letters.items() if len(stack) == 1 and stack[0] in there}
        allowed[cell] = exact or alone or allowed[cell]
    allowed[int(env.engine.agent[0])] = {"A"}
    return allowed


@pytest.mark.parametrize("family", known_families())
def test_text_shows_every_moment_of_an_episode(family: str) -> None:
    meetings = 0
    for shift in (NO_SHIFT, *make_family(family).shifts):
        env = MazeEnv(family, shift=shift, render_mode="ansi", **family_at_5(family))
        env.reset(seed=1)
        random = np.random.default_rng(2)
        for _ in range(STEPS):
            _, _, terminated, truncated, _ = env.step(int(random.integers(4)))
            text = env.render()
            assert isinstance(text, str)
            assert all(letter in there for letter, there in zip("".join(text.split()), letters_at(env), strict=True))
            present = env.engine.present()
            try:
                write_ascii(present)
            except GoalmazeError:
                meetings += 1
            if terminated or truncated:
                env.reset()
    # Where objects move, levels occur that no text can be read back to; elsewhere none does.
    assert (meetings > 0) == (family in ("FollowLeader", "Monsters"))
