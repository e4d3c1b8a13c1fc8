"""Colour jitter: which planes it changes, for how long, and that training with it resumes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from plans import SMALL_RECIPE
from scipy import stats

from goalmaze.agents.training.algorithms import make_environments
from goalmaze.agents.training.colour_jitter import ColourJitter
from goalmaze.agents.training.sb3_environment import MazeVecEnv
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import make_view

FAMILY = make_family("GreenExit", {"size": 5})
ENVS = 16


def environments(jitter: int) -> MazeVecEnv:
    mazes = MazeVecEnv(FAMILY, ENVS, 3, colour_jitter=jitter)
    mazes.reset()
    return mazes


def test_planes_of_objects_are_multiples_of_what_they_are_without_for_one_episode_each() -> None:
    plain, jittered = environments(1), environments(3)
    rng = np.random.default_rng(0)
    objects = [FAMILY.plane_names.index(name) for name in ("exit", "sign")]
    others = [plane for plane in range(len(FAMILY.plane_names)) if plane not in objects]
    factors: dict[tuple[int, int], np.ndarray] = {}
    episode = np.zeros(ENVS, np.int64)
    for _ in range(80):
        one, other = plain.observations.astype(int), jittered.observations.astype(int)
        np.testing.assert_array_equal(one[:, others], other[:, others])
        np.testing.assert_array_equal(one[:, objects] > 0, other[:, objects] > 0)
        factor = other[:, objects].max(axis=(2, 3)) // one[:, objects].max(axis=(2, 3))
        np.testing.assert_array_equal(other[:, objects], one[:, objects] * factor[:, :, None, None])
        for env in range(ENVS):
            # The same factors for the whole episode.
            np.testing.assert_array_equal(factors.setdefault((env, int(episode[env])), factor[env]), factor[env])
        actions = rng.integers(0, 4, ENVS)
        ends = [mazes.advance(actions)[2] for mazes in (plain, jittered)]
        np.testing.assert_array_equal(ends[0].rows, ends[1].rows)
        np.testing.assert_array_equal(ends[0].observations > 0, ends[1].observations > 0)
        episode[ends[0].rows] += 1
    drawn = np.array(list(factors.values()))
    assert set(drawn.ravel()) == {1, 2, 3}
    assert (drawn[:, 0] != drawn[:, 1]).any()


def test_factors_are_equally_likely() -> None:
    jitter = ColourJitter(make_view(FAMILY, ObservationSpec()), 2000, 0, 4)
    counts = np.bincount(jitter.apply(np.ones((2000, 4, 5, 5), np.uint8))[:, -1, 0, 0], minlength=5)[1:]
    assert stats.chisquare(counts).pvalue > 0.001


def test_a_snapshot_continues_with_the_same_factors() -> None:
    mazes, rng = environments(4), np.random.default_rng(1)
    for _ in range(40):
        mazes.advance(rng.integers(0, 4, ENVS))
    again = MazeVecEnv(FAMILY, ENVS, 3, colour_jitter=4)
    again.restore(mazes.snapshot())
    for _ in range(40):
        np.testing.assert_array_equal(mazes.observations, again.observations)
        actions = rng.integers(0, 4, ENVS)
        mazes.advance(actions)
        again.advance(actions)
    with pytest.raises(GoalmazeError, match="saved by another version"):
        environments(1).restore(mazes.snapshot())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"colour_jitter": 3, "observation": "rgb"},
            "colour_jitter multiplies observation planes, and mode rgb has none",
        ),
        ({"colour_jitter": 255}, "would exceed 255"),
    ],
)
def test_what_cannot_be_jittered_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        make_environments(dataclasses.replace(SMALL_RECIPE, **changes))  # type: ignore[arg-type]
    with pytest.raises(GoalmazeError, match="one agent at a time"):
        MazeVecEnv(FAMILY, ENVS, [0, 1], colour_jitter=2)
