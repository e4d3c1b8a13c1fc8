"""Observations written past the caches are those that a step hands out."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families
from goalmaze.envs.jit.nontemporal import stream
from goalmaze.envs.vector import MazeVectorEnv


@pytest.mark.parametrize("family", known_families())
@pytest.mark.parametrize("batch", [1, 15, 16, 50])
def test_step_into_is_step(family: str, batch: int) -> None:
    plain, streamed = (MazeVectorEnv(family, batch) for _ in range(2))
    first, _ = plain.reset(seed=3)
    streamed.reset(seed=3)
    buffer = np.full((200, *first.shape), 255, np.uint8)
    actions = np.random.default_rng(0).integers(0, 4, (200, batch))
    for t in range(200):
        seen, *rest, info = plain.step(actions[t])
        out, *others, told = streamed.step_into(actions[t], buffer[t])
        assert out is not None
        assert np.array_equal(seen, buffer[t])
        assert all(np.array_equal(one, other) for one, other in zip(rest, others, strict=True))
        assert np.array_equal(info["cue_reward"], told["cue_reward"])


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("observation", ["planes", "rgb", "partial"])
def test_step_into_works_in_every_mode(mode: AutoresetMode, observation: str) -> None:
    envs = [MazeVectorEnv("GreenExit", 5, autoreset_mode=mode, observation=observation) for _ in range(2)]
    first, _ = envs[0].reset(seed=1)
    envs[1].reset(seed=1)
    out = np.zeros(first.shape, np.uint8)
    for t in range(20):
        seen = envs[0].step(np.full(5, t % 4))[0]
        envs[1].step_into(np.full(5, t % 4), out)
        assert np.array_equal(seen, out)


@pytest.mark.parametrize("shift", [0, 1, 7, 63])
def test_rows_are_copied_wherever_the_target_lies_and_nothing_else_is(shift: int) -> None:
    source = np.random.default_rng(0).integers(1, 255, (10, 3, 49), np.uint8)
    room = np.zeros(source.size + 200, np.uint8)
    out = room[shift : shift + source.size]
    stream(source, out)
    assert np.array_equal(out, source.reshape(-1))
    assert room.sum() == out.sum()


def test_a_buffer_that_does_not_fit_is_refused() -> None:
    env = MazeVectorEnv("GreenExit", 4)
    first, _ = env.reset(seed=0)
    for wrong in (np.zeros((3, *first.shape[1:]), np.uint8), np.zeros(first.shape), first[..., ::-1]):
        with pytest.raises(GoalmazeError, match="give contiguous uint8"):
            env.step_into(np.zeros(4, np.int64), wrong)
