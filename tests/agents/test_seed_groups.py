"""Environments of several seeds in one batch: each group plays what environments with its seed alone play."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from goalmaze.agents.training.sb3_environment import MazeVecEnv
from goalmaze.envs.engines import engine_class
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import NO_SHIFT, TRAINING
from goalmaze.envs.vector import MazeVectorEnv

FAMILIES = [name for name in known_families() if name != "ProcgenMaze"]
STEPS = 70


def made(name: str, envs: int, seed: Any) -> MazeVecEnv:
    env = MazeVecEnv(make_family(name, {"size": 5}), envs, seed, 0.3)
    env.reset()
    return env


def played(env: MazeVecEnv, actions: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Return observations [T, B, ...], rewards, ends, and the returns and lengths of the episodes that ended."""
    observations, steps = [env.observations.copy()], []
    for step in actions:
        rewards, done, ends = env.advance(step)
        returns, lengths = np.zeros((env.num_envs, 2)), np.zeros(env.num_envs)
        returns[ends.rows], lengths[ends.rows] = ends.returns, ends.steps
        observations.append(env.observations.copy())
        steps.append((rewards, done, returns, lengths))
    return [np.stack(observations), *(np.stack(part) for part in zip(*steps, strict=True))]


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(FAMILIES),
    st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4),
    st.integers(1, 5),
    st.integers(0, 2**32),
)
def test_a_group_plays_what_its_seed_alone_plays(name: str, seeds: list[int], size: int, choice: int) -> None:
    batch, halfway = made(name, size * len(seeds), seeds), STEPS // 2
    actions = np.random.default_rng(choice).integers(0, 4, (STEPS, size * len(seeds)))
    first = played(batch, actions[:halfway])
    kept = batch.snapshot()
    second = played(batch, actions[halfway:])
    # From the snapshot on, other environments with the same arguments do the same.
    restored = made(name, size * len(seeds), seeds)
    restored.restore(kept)
    for one, other in zip(played(restored, actions[halfway:]), second, strict=True):
        np.testing.assert_array_equal(one, other)
    for s, seed in enumerate(seeds):
        rows, single = slice(s * size, (s + 1) * size), made(name, size, seed)
        for part, steps in ((first, actions[:halfway]), (second, actions[halfway:])):
            for ours, theirs in zip(part, played(single, steps[:, rows]), strict=True):
                np.testing.assert_array_equal(ours[:, rows], theirs)
        for record in (batch.record, restored.record):
            assert record.counts[s] == single.record.counts[0]
            np.testing.assert_array_equal(record.means()[s], single.record.means()[0])
        assert batch.mazes.levels_begun[s] == single.mazes.levels_begun[0] >= size


def test_groups_differ_by_their_seeds_alone() -> None:
    same, other = (played(made("Corner", 8, seeds), np.zeros((40, 8), np.int64)) for seeds in ([3, 3], [3, 4]))
    for part in same:
        np.testing.assert_array_equal(part[:, :4], part[:, 4:])
    assert not np.array_equal(other[0][:, :4], other[0][:, 4:])
    one_batch = played(made("Corner", 8, 3), np.zeros((40, 8), np.int64))
    assert not np.array_equal(one_batch[0][:, :4], one_batch[0][:, 4:]), "one seed gives every row other levels"


def test_a_list_of_seeds_still_means_its_first_one_to_gymnasium() -> None:
    family = make_family("GreenExit", {"size": 5})
    listed, alone, grouped = (MazeVectorEnv(family, 4) for _ in range(3))
    np.testing.assert_array_equal(listed.reset(seed=[7, 8, 9, 10])[0], alone.reset(seed=7)[0])
    assert not np.array_equal(grouped.reset_groups([7, 8, 9, 10]), alone.reset(seed=7)[0])
    for e, row in enumerate(grouped.reset_groups([7, 8, 9, 10])):
        np.testing.assert_array_equal(row, MazeVectorEnv(family, 1).reset(seed=7 + e)[0][0])


@pytest.mark.parametrize("seeds", [[1, 2, 3], []])
def test_environments_that_do_not_split_are_refused(seeds: list[int]) -> None:
    message = f"8 environments do not split into equal groups for {len(seeds)} seeds"
    family = make_family("GreenExit", {"size": 5})
    with pytest.raises(GoalmazeError, match=message):
        MazeVecEnv(family, 8, seeds)
    with pytest.raises(GoalmazeError, match=message):
        engine_class(family)(family, 8).use_levels(seeds, NO_SHIFT, TRAINING)
    with pytest.raises(GoalmazeError, match="seed is -1"):
        MazeVecEnv(family, 8, [0, -1]).reset()
    with pytest.raises(GoalmazeError, match="the environments have 2 seeds"):
        MazeVecEnv(family, 8, [0, 1]).seed(3)


def test_a_snapshot_of_other_seeds_is_refused() -> None:
    snapshot = made("GreenExit", 8, [0, 1]).snapshot()
    for seeds in ([1, 0], [0, 1, 2, 3], 0):
        with pytest.raises(GoalmazeError, match="with another seed"):
            made("GreenExit", 8, seeds).restore(snapshot)
