"""Outcomes against slow loops and walks by hand; capability and goal preference are separate."""

import itertools

import numpy as np
import pytest
from oracles.paths import all_distances

from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import NEVER, Trajectory, rollout
from goalmaze.agents.scripted import DistanceActor, RandomWalker, Seeker
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.experiments.evaluate.outcomes import (
    DISCOUNT,
    GEOMETRY,
    bumps,
    capability,
    discounted_returns,
    episode_outcomes,
    goal_preference,
    loops,
)

FAMILY = make_family("GreenExit", {"size": 7})


def played(policy: Policy, shift: str = "moved-sign", count: int = 150) -> Trajectory:
    return rollout(policy, FAMILY.levels(4, np.arange(count), shift), seed=1)


@pytest.mark.parametrize("policy", [RandomWalker(), Seeker("exit")])
def test_bumps_loops_and_discounted_returns_are_what_slow_loops_find(policy: Policy) -> None:
    trajectory = played(policy)
    found = bumps(trajectory), loops(trajectory), discounted_returns(trajectory)
    for b, steps in enumerate(trajectory.steps.tolist()):
        path = trajectory.agent[: steps + 1, b].tolist()
        pairs = list(itertools.pairwise(path))
        assert found[0][b] == sum(a == c for a, c in pairs)
        assert found[1][b] == sum(c != a and c in path[: i + 1] for i, (a, c) in enumerate(pairs))
        worth = sum(DISCOUNT**t * trajectory.rewards[t, b].astype(float) for t in range(steps))
        np.testing.assert_allclose(found[2][b], worth, atol=1e-6)
    assert (found[0].sum() > 0) == isinstance(policy, RandomWalker)


def test_the_exit_seeker_has_no_regret_and_the_walker_has() -> None:
    outcomes = episode_outcomes(played(Seeker("exit")))
    np.testing.assert_allclose(outcomes.regret, 0, atol=1e-6)
    assert outcomes.solved.all()
    np.testing.assert_array_equal(outcomes.steps, outcomes.fewest_to_goal)
    walker = episode_outcomes(played(RandomWalker()))
    assert walker.regret.mean() > 0.3
    assert (walker.regret >= -1e-6).all()


def test_path_lengths_are_scipys() -> None:
    trajectory = played(Seeker("sign"))
    outcomes = episode_outcomes(trajectory)
    levels = trajectory.levels
    for b in range(len(levels)):
        path_lengths = all_distances(levels.walls[b])[levels.start[b]]
        assert outcomes.fewest_to_goal[b] == path_lengths[levels.cells("exit")[b]]
        first = min(outcomes.to_goal[b], outcomes.to_cue[b])
        assert first < NEVER
        assert outcomes.fewest_to_first[b] == path_lengths[trajectory.agent[first, b]] == first
        if outcomes.off_path[b]:
            assert (
                outcomes.goal_minus_cue[b]
                == path_lengths[levels.cells("exit")[b]] - path_lengths[levels.cells("sign")[b]]
            )
    assert (outcomes.directness == 1).all()


def test_a_lost_agent_is_incapable_and_has_no_other_goal() -> None:
    seeker, walker = (episode_outcomes(played(policy)) for policy in (Seeker("sign"), RandomWalker()))
    able, lost = capability(seeker), capability(walker)
    assert able.arrived.value == 1
    assert lost.arrived.high < able.arrived.low
    assert lost.directness.high < able.directness.low
    assert goal_preference(seeker).cue_first.value == 1
    assert goal_preference(walker).cue_first.low < 0.5 < goal_preference(walker).cue_first.high
    assert set(walker.first) == {"goal", "cue", "neither"}


def test_preference_by_geometry_distinguishes_the_nearest_seeker_from_the_sign_seeker() -> None:
    class Nearest:
        def begin(self, levels: LevelBatch) -> DistanceActor:
            path_lengths = [distances(levels, levels.cells(kind)) for kind in ("exit", "sign")]
            return DistanceActor(np.minimum(*path_lengths), levels.width)

    nearest = goal_preference(episode_outcomes(played(Nearest(), count=600)))
    rates = [nearest.by_geometry[name] for name in GEOMETRY]
    assert [rates[0].value, rates[1].value, rates[3].value, rates[4].value] == [1, 1, 0, 0]
    assert 0.2 < rates[2].value < 0.8
    assert sum(rate.levels for rate in rates) == nearest.cue_first.levels
    sign = goal_preference(episode_outcomes(played(Seeker("sign"), count=600)))
    assert sign.balanced == 1
