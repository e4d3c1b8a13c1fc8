"""Environments copied out and in again, episodes under way included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from goalmaze.agents.training.sb3_environment import RECENT_EPISODES, EpisodeEnds, EpisodeRecord, MazeVecEnv
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.observations.spec import ObservationSpec

ENVS = 6


def made(name: str = "GreenExit", seed: int = 3, **options: Any) -> MazeVecEnv:
    return MazeVecEnv(make_family(name, {"size": 7}), ENVS, seed, 0.3, **options)


def played(mazes: MazeVecEnv, choice: np.random.Generator, steps: int) -> list[Any]:
    seen = []
    for _ in range(steps):
        observations, rewards, done, infos = mazes.step(choice.integers(0, 4, ENVS))
        seen.append((np.array(observations), rewards, done, [info.get("episode") for info in infos]))
    return seen


@pytest.mark.parametrize("name", [*known_families()])
@pytest.mark.parametrize(
    "options", [{}, {"observation": ObservationSpec("rgb", pixels=2)}, {"observation": ObservationSpec("partial")}]
)
def test_what_follows_a_snapshot_follows_its_restoration(name: str, options: dict[str, Any]) -> None:
    first, second = made(name, **options), made(name, **options)
    first.reset()
    played(first, np.random.default_rng(0), 61)
    kept = first.snapshot()
    expected = played(first, np.random.default_rng(1), 80)
    assert any(done.any() for _, _, done, _ in expected)
    second.restore(kept)
    for ours, theirs in zip(played(second, np.random.default_rng(1), 80), expected, strict=True):
        for one, other in zip(ours[:3], theirs[:3], strict=True):
            np.testing.assert_array_equal(one, other)
        assert ours[3] == theirs[3]
    np.testing.assert_array_equal(first.record.means(), second.record.means())
    fresh = made(name, **options)
    fresh.reset()
    others = played(fresh, np.random.default_rng(1), 80)
    assert not all(np.array_equal(one[0], other[0]) for one, other in zip(others, expected, strict=True))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: made(seed=4), "with another seed"),
        (lambda: made("Monsters"), "does not fit"),
        (lambda: MazeVecEnv(make_family("GreenExit", {"size": 9}), ENVS, 3, 0.3), "does not fit"),
        (lambda: MazeVecEnv(make_family("GreenExit", {"size": 7}), ENVS + 1, 3, 0.3), "does not fit"),
    ],
)
def test_a_snapshot_of_something_else_is_refused(other: Any, message: str) -> None:
    mazes = made()
    mazes.reset()
    with pytest.raises(GoalmazeError, match=message):
        other().restore(mazes.snapshot())
    kept = mazes.snapshot()
    kept.pop("state.agent")
    with pytest.raises(GoalmazeError, match="by another version"):
        mazes.restore(kept)


def test_the_record_keeps_the_latest_episodes_in_a_ring() -> None:
    record, choice, every = EpisodeRecord(60), np.random.default_rng(0), []
    assert np.isnan(record.means()).all()
    for _ in range(60):
        n = int(choice.integers(0, 60))
        truncated, returns = choice.random(n) < 0.4, choice.random((n, 2)) * (choice.random((n, 1)) < 0.7)
        ends = EpisodeEnds(
            np.arange(n), truncated, returns, choice.integers(1, 50, n, np.int32), np.zeros((n, 1), np.uint8)
        )
        record.add(ends)
        every += [
            (float(not t and r[0] > 0), int(length), *r)
            for t, r, length in zip(truncated, returns, ends.steps, strict=True)
        ]
    assert record.counts == len(every) > RECENT_EPISODES
    np.testing.assert_allclose(record.means(), [np.mean(every[-RECENT_EPISODES:], axis=0)])
