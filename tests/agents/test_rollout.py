"""The one loop: against shortest paths from scipy, the slow rulebook, and itself in other company."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracles.paths import all_distances
from oracles.rulebook import rulebook
from scipy import stats

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.policies import NetworkPolicy, Policy
from goalmaze.agents.rollout import NEVER, Trajectory, rollout, stepwise
from goalmaze.agents.scripted import RandomWalker, Seeker, scripted_baselines
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch, concatenate
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.vector import MazeVectorEnv

SURELY = 1e-6
"""How unlikely chance must be before a test blames the code."""


def ways(levels: LevelBatch, sources: NDArray[np.int32], targets: NDArray[np.int32]) -> NDArray[np.float64]:
    pairs = zip(levels.walls, sources, targets, strict=True)
    return np.array([all_distances(walls)[a, b] for walls, a, b in pairs])


def same(one: Trajectory, other: Trajectory, rows: int) -> bool:
    """Return whether the first rows of two trajectories, of whatever lengths, tell the same."""
    until = int(one.steps[:rows].max())
    return bool(
        np.array_equal(one.steps[:rows], other.steps[:rows])
        and np.array_equal(one.agent[: until + 1, :rows], other.agent[: until + 1, :rows])
        and np.array_equal(one.actions[:until, :rows], other.actions[:until, :rows])
        and np.array_equal(one.returns[:rows], other.returns[:rows])
    )


@pytest.mark.parametrize("shift", ["none", "moved-sign", "two-signs"])
def test_the_exit_seeker_walks_exactly_the_shortest_path(family: Family, shift: str) -> None:
    levels = family.levels(1, np.arange(40), shift)
    trajectory = rollout(Seeker("exit"), levels)
    np.testing.assert_array_equal(trajectory.steps, ways(levels, levels.start, levels.cells("exit")))
    assert trajectory.terminated.all()


def test_the_sign_seeker_walks_the_shortest_path_unless_the_exit_lies_on_it(family: Family) -> None:
    levels = family.levels(2, np.arange(60), "moved-sign")
    exits, signs = levels.cells("exit"), levels.cells("sign")
    visit = rollout(Seeker("sign"), levels).first_visit(signs)
    whole = ways(levels, levels.start, signs)
    stopped = visit == NEVER
    np.testing.assert_array_equal(visit[~stopped], whole[~stopped])
    through_exit = ways(levels, levels.start, exits) + ways(levels, exits, signs)
    np.testing.assert_array_equal(through_exit[stopped], whole[stopped])
    assert 0 < stopped.sum() < 30


@pytest.mark.parametrize("greedy", [False, True])
def test_an_episode_followed_until_a_cell_is_the_beginning_of_the_whole(
    family: Family, network: Network, greedy: bool
) -> None:
    levels = family.levels(3, np.arange(60), "moved-sign")
    ends = levels.cells("sign")
    whole, part = (
        rollout(NetworkPolicy(network), levels, seed=2, greedy=greedy, until=until) for until in (None, ends)
    )
    visit = whole.first_visit(ends)
    np.testing.assert_array_equal(part.first_visit(ends), visit)
    np.testing.assert_array_equal(part.steps, np.minimum(whole.steps, visit))
    for b in range(60):
        followed = int(part.steps[b])
        np.testing.assert_array_equal(part.agent[: followed + 1, b], whole.agent[: followed + 1, b])
        np.testing.assert_array_equal(part.actions[:followed, b], whole.actions[:followed, b])
        assert (part.actions[followed:, b] == -1).all()
        assert (part.agent[followed:, b] == part.agent[followed, b]).all()
    assert 0 < (part.steps < whole.steps).sum() < 60


def test_a_seeker_goes_to_the_nearer_of_two(family: Family) -> None:
    levels = family.levels(3, np.arange(60), "two-signs")
    first, second = (ways(levels, levels.start, levels.cells("sign", which)) for which in (0, 1))
    trajectory = rollout(Seeker("sign"), levels)
    reached = np.minimum(*(trajectory.first_visit(levels.cells("sign", which)) for which in (0, 1)))
    np.testing.assert_array_equal(reached, np.minimum(first, second))
    assert (second < first).any()


def test_a_seeker_without_its_object_wanders_until_the_end(family: Family) -> None:
    levels = family.levels(4, np.arange(30), "no-sign")
    trajectory = rollout(Seeker("sign"), levels)
    assert same(trajectory, rollout(RandomWalker(), levels), len(levels))


def test_a_seeker_of_nothing_known_is_refused(family: Family) -> None:
    with pytest.raises(GoalmazeError, match="unknown object 'exti' \\(did you mean 'exit'"):
        Seeker("exti").begin(family.levels(0, [0]))


def test_scripted_baselines_behave_as_their_names_say(family: Family) -> None:
    assert scripted_baselines(family) == {
        "exit-seeker": Seeker("exit"),
        "sign-seeker": Seeker("sign"),
        "random-walker": RandomWalker(),
    }


@pytest.mark.parametrize("kind", ["network", "walker", "seeker"])
def test_a_trajectory_replays_under_the_slow_rulebook(family: Family, network: Network, kind: str) -> None:
    policies: dict[str, Policy] = {
        "network": NetworkPolicy(network),
        "walker": RandomWalker(),
        "seeker": Seeker("sign"),
    }
    levels = family.levels(5, np.arange(25), "two-signs")
    trajectory = rollout(policies[kind], levels, seed=7)
    for b in range(len(levels)):
        book = rulebook(family, levels, b)
        total = np.zeros(2)
        for step in range(int(trajectory.steps[b])):
            *rewards, ended, cut = book.step(int(trajectory.actions[step, b]))
            total += rewards
            assert np.ravel_multi_index(book.agent, (family.size, family.size)) == trajectory.agent[step + 1, b]
            assert (ended or cut) == (step + 1 == trajectory.steps[b])
        assert ended == trajectory.terminated[b]
        np.testing.assert_array_equal(total, trajectory.returns[b])


@pytest.mark.parametrize("greedy", [False, True])
def test_a_level_fares_the_same_in_other_company(family: Family, network: Network, greedy: bool) -> None:
    levels, others = family.levels(6, np.arange(30)), family.levels(99, np.arange(50), "moved-sign")
    for policy in (NetworkPolicy(network), RandomWalker(), Seeker("sign")):
        alone = rollout(policy, levels.take(np.arange(12)), seed=3, greedy=greedy)
        in_company = rollout(policy, concatenate([levels.take(np.arange(12)), others]), seed=3, greedy=greedy)
        assert same(alone, in_company, 12)


def test_another_seed_gives_another_trajectory(family: Family) -> None:
    levels = family.levels(6, np.arange(30))
    one = rollout(RandomWalker(), levels, seed=3)
    assert same(one, rollout(RandomWalker(), levels, seed=3), 30)
    assert not same(one, rollout(RandomWalker(), levels, seed=4), 30)


def test_identical_levels_in_one_batch_have_independent_draws(family: Family) -> None:
    levels = family.levels(6, [0]).removed("exit").take(np.zeros(30, np.int64))
    assert np.unique(rollout(RandomWalker(), levels).actions, axis=1).shape == (family.time_limit, 30)


def test_greedy_takes_the_likeliest_action_whatever_the_seed(family: Family, network: Network) -> None:
    levels = family.levels(7, np.arange(30))
    policy = NetworkPolicy(network)
    for record in stepwise(policy, levels, greedy=True):
        likeliest = record.probabilities.argmax(axis=1)
        np.testing.assert_array_equal(record.actions[record.active], likeliest[record.active])
    one, other = (rollout(policy, levels, seed=seed, greedy=True) for seed in (0, 1))
    assert same(one, other, 30)
    assert not same(one, rollout(policy, levels, seed=0), 30)


def test_sampling_follows_the_returned_probabilities(family: Family, network: Network) -> None:
    levels = family.levels(8, np.arange(400))
    expected, seen = np.zeros(4), np.zeros(4)
    for record in stepwise(NetworkPolicy(network), levels):
        expected += record.probabilities.sum(axis=0)
        seen += np.bincount(record.actions[record.active], minlength=4)
    assert np.isclose(expected.sum(), seen.sum(), rtol=1e-4)
    spread = np.sqrt(expected * (1 - expected / expected.sum()))
    assert (np.abs(seen - expected) < 5 * spread).all()
    assert np.ptp(expected) > 20 * spread.max()


def test_first_visit_is_what_a_slow_loop_finds(family: Family) -> None:
    levels = family.levels(9, np.arange(60))
    trajectory = rollout(RandomWalker(), levels)
    cells = np.random.default_rng(0).choice(np.flatnonzero(~levels.walls.all(axis=0)), 60).astype(np.int32)
    cells[:3] = levels.start[:3]
    cells[3:6] = ABSENT
    found = []
    for b, cell in enumerate(cells.tolist()):
        path = trajectory.agent[:, b].tolist()
        found.append(path.index(cell) if cell in path else NEVER)
    np.testing.assert_array_equal(trajectory.first_visit(cells), found)
    assert found[:6] == [0, 0, 0, NEVER, NEVER, NEVER]
    assert any(0 < f < NEVER for f in found)


def test_the_moments_add_up_to_the_trajectory(family: Family) -> None:
    levels = family.levels(10, np.arange(40), "moved-sign")
    records = list(stepwise(Seeker("sign"), levels, seed=5))
    whole = rollout(Seeker("sign"), levels, seed=5)
    assert len(records) == whole.steps.max() == len(whole.actions)
    np.testing.assert_array_equal(sum(record.rewards for record in records), whole.returns)
    np.testing.assert_array_equal(sum(record.active.astype(int) for record in records), whole.steps)
    for step, record in enumerate(records):
        np.testing.assert_array_equal(record.agent, whole.agent[step + 1])
        np.testing.assert_array_equal(record.actions, whole.actions[step])


def test_a_moment_is_not_changed_by_the_next(family: Family) -> None:
    levels = family.levels(10, np.arange(20))
    copies, records = [], []
    for record in stepwise(RandomWalker(), levels):
        records.append(record)
        copies.append((record.active.copy(), record.agent.copy(), record.terminated.copy()))
    for record, copy in zip(records, copies, strict=True):
        for now, then in zip((record.active, record.agent, record.terminated), copy, strict=True):
            np.testing.assert_array_equal(now, then)


def test_who_has_finished_stays_put_and_earns_nothing(family: Family) -> None:
    levels = family.levels(11, np.arange(60), "two-signs")
    last = levels.start
    ended = np.zeros(60, np.bool_)
    for record in stepwise(RandomWalker(), levels):
        rest = ~record.active
        np.testing.assert_array_equal(record.agent[rest], last[rest])
        assert (record.actions[rest] == -1).all()
        assert (record.actions[record.active] >= 0).all()
        assert not record.rewards[rest].any()
        assert not record.probabilities[rest].any()
        assert not (record.active & ended).any()
        assert (record.terminated | ~ended).all()
        last, ended = record.agent, record.terminated
    assert 0 < ended.sum() < 60


def test_the_random_walker_takes_all_actions_equally_often(family: Family) -> None:
    def uniformity(policy: Policy) -> float:
        actions = rollout(policy, family.levels(12, np.arange(400))).actions
        return float(stats.chisquare(np.bincount(actions[actions >= 0], minlength=4)).pvalue)

    assert uniformity(RandomWalker()) > SURELY
    levels = read_ascii("#######\n#A...E#\n#######", family)
    rights = rollout(Seeker("exit"), levels).actions
    np.testing.assert_array_equal(rights, np.ones((4, 1)))


def test_an_episode_is_cut_off_at_the_time_limit(family: Family) -> None:
    levels = family.levels(13, np.arange(30)).removed("exit").removed("sign")
    trajectory = rollout(RandomWalker(), levels)
    assert (trajectory.steps == family.time_limit).all()
    assert not trajectory.terminated.any()


def test_no_levels_are_refused(family: Family, network: Network) -> None:
    nothing = family.levels(0, np.arange(3)).take(np.arange(0))
    for policy in (NetworkPolicy(network), RandomWalker(), Seeker("sign")):
        with pytest.raises(GoalmazeError, match="there are no levels to play: give at least one"):
            rollout(policy, nothing)


@pytest.mark.parametrize("mode", ["rgb64", "rgb", "crop", "partial"])
def test_a_policy_gets_observations_of_its_own_mode_at_every_step(family: Family, mode: str) -> None:
    torch.manual_seed(0)
    shape = Shape.seeing(make_view(family, ObservationSpec(mode, pixels=3, radius=2)))
    network = make_network("impala", shape)
    torch.nn.init.orthogonal_(network.get_submodule("fc_policy").weight, 3.0)
    levels = family.levels(2, np.arange(8), "moved-sign")
    shown: list[NDArray[np.uint8]] = []
    handle = network.register_forward_pre_hook(lambda _m, inputs: shown.append(inputs[0].numpy().copy()))
    records = list(stepwise(NetworkPolicy(network), levels, seed=3))
    handle.remove()
    mazes = MazeVectorEnv(family, 8, observation=mode, pixels=3, radius=2, autoreset_mode="Disabled")
    mazes.reset(seed=0)
    mazes.engine.begin(np.arange(8), levels)
    assert len(shown) == len(records) > 1
    for record, seen in zip(records, shown, strict=True):
        view = mazes.view.buffer(8)
        mazes.view.draw(mazes.engine.state, view)
        np.testing.assert_array_equal(seen, view[record.active])
        assert seen.any()
        mazes.engine.step(record.actions)
    assert not np.array_equal(shown[0], shown[1][: len(shown[0])])


def test_rewards_and_probabilities_are_those_of_each_step(family: Family, network: Network) -> None:
    levels = family.levels(12, np.arange(30), "moved-sign")
    policy = NetworkPolicy(network)
    trajectory = rollout(policy, levels, seed=2)
    for step, record in enumerate(stepwise(policy, levels, seed=2)):
        np.testing.assert_array_equal(trajectory.rewards[step], record.rewards)
        for b in range(len(levels)):
            probability = record.probabilities[b, record.actions[b]] if record.active[b] else 0
            assert trajectory.action_probabilities[step, b] == probability
    np.testing.assert_array_equal(trajectory.rewards.sum(axis=0), trajectory.returns)
    assert ((trajectory.action_probabilities > 0) == (trajectory.actions >= 0)).all()
    assert 0 < trajectory.action_probabilities[trajectory.actions >= 0].min() < 1
