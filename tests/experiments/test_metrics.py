"""Metrics on trajectories walked by hand and by the scripted agents."""

import numpy as np
import pytest

from goalmaze.agents.rollout import NEVER, Trajectory, rollout
from goalmaze.agents.scripted import RandomWalker, Seeker
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.engine import rules
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import NO_SHIFT, LevelBatch
from goalmaze.envs.optimal_returns import best_returns, paying
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.evaluate.evaluation import evaluate_policy
from goalmaze.experiments.evaluate.outcomes import episode_outcomes

CORRIDOR = """
#######
#A.S.E#
#######
#######
#######
#######
#######
"""
CROSSING = """
#######
#S#.#E#
#.#.#.#
#..A..#
#.#.#.#
#.#.#.#
#######
"""
TWO_SIGNS = """
#######
#S#.#G#
#.#.#.#
#..A..#
#.#.#.#
#.#.#.#
#######
"""


def walk(picture: str, cells: list[tuple[int, int]]) -> Trajectory:
    """Return a trajectory through the given (row, column) cells, written down without the rollout loop."""
    family = make_family("GreenExit", {"size": 7})
    levels = read_ascii(picture, family)
    agent = np.array([[r * 7 + c] for r, c in cells], np.int32)
    ended = agent[-1] == levels.cells("exit")
    steps = len(cells) - 1
    return Trajectory(
        levels,
        agent,
        np.zeros((steps, 1), np.int8),
        np.array([steps]),
        ended,
        np.zeros((1, 2)),
        np.zeros((steps, 1, 2)),
        np.ones((steps, 1)),
    )


def first(trajectory: Trajectory) -> metrics.Outcomes:
    return metrics.outcomes(trajectory.first_visit(trajectory.levels.cells("exit")), metrics.cue_visits(trajectory))


def rates(outcomes: metrics.Outcomes) -> tuple[float, float, float]:
    return outcomes.goal.value, outcomes.other.value, outcomes.neither.value


def test_the_sign_passed_on_the_path_to_the_exit_was_reached_first() -> None:
    assert rates(first(walk(CORRIDOR, [(1, c) for c in range(1, 6)]))) == (0, 1, 0)


def test_nothing_reached_is_neither() -> None:
    assert rates(first(walk(CORRIDOR, [(1, 1), (1, 2), (1, 1)]))) == (0, 0, 1)


def test_a_sign_on_the_exit_counts_as_the_exit() -> None:
    to_the_exit = walk(TWO_SIGNS, [(3, 3), (3, 4), (3, 5), (2, 5), (1, 5)])
    to_the_other_sign = walk(TWO_SIGNS, [(3, 3), (3, 2), (3, 1), (2, 1), (1, 1)])
    assert rates(first(to_the_exit)) == (1, 0, 0)
    assert rates(first(to_the_other_sign)) == (0, 1, 0)


def test_levels_are_off_path_only_where_neither_lies_on_the_path_to_the_other() -> None:
    family = make_family("GreenExit", {"size": 7})
    for picture, clear in ((CORRIDOR, False), (CROSSING, True)):
        levels = read_ascii(picture, family)
        found = metrics.off_each_others_path(levels, levels.cells("exit"), levels.cells("sign"))
        assert found.tolist() == [clear]
    gone = levels.removed("sign")
    assert not metrics.off_each_others_path(gone, gone.cells("exit"), gone.cells("sign")).any()


def test_preference_counts_only_clear_levels_where_something_was_reached() -> None:
    family = make_family("GreenExit")
    trajectory = rollout(RandomWalker(), family.levels(0, np.arange(100), "moved-sign"))
    to_goal, to_cue = metrics.goal_visits(trajectory), metrics.cue_visits(trajectory)
    scores = []
    for b in range(100):
        level = trajectory.levels.take([b])
        clear = metrics.off_each_others_path(level, level.cells("exit"), level.cells("sign"))[0]
        if clear and min(to_goal[b], to_cue[b]) < NEVER:
            scores.append(float(to_cue[b] < to_goal[b]))
    found = metrics.rate_of_scores(episode_outcomes(trajectory).cue_preferred)
    assert 10 < len(scores) < 90
    assert (found.value, found.levels) == (pytest.approx(np.mean(scores)), len(scores))


def detour_of(trajectory: Trajectory) -> float:
    levels = trajectory.levels
    fewest = pick(distances(levels, levels.start), levels.cells("exit"))
    return metrics.detour(episode_outcomes(trajectory).solved, trajectory.steps, fewest)


@pytest.mark.parametrize(("kind", "detour"), [("exit", 1.0)])
def test_the_exit_seeker_makes_no_detour(kind: str, detour: float) -> None:
    family = make_family("GreenExit")
    trajectory = rollout(Seeker(kind), family.levels(0, np.arange(100), "moved-sign"))
    assert detour_of(trajectory) == detour
    longer = rollout(Seeker("sign"), family.levels(0, np.arange(400), "moved-sign"))
    assert detour_of(longer) > 1.0


def collect(order: list[str], keys: int, chests: int) -> Trajectory:
    """Return a trajectory along a corridor of keys and chests that stops after the things in `order`."""
    family = make_family("KeysChests", {"size": 9, "few": 2, "many": 4})
    cells = {"agent": 9 * 1 + 1} | {f"key{i}": 9 * 1 + 2 + i for i in range(4)}
    cells |= {f"chest{i}": 9 * 3 + 2 + i for i in range(4)}
    objects = [cells[f"key{i}"] if i < keys else -1 for i in range(4)]
    objects += [cells[f"chest{i}"] if i < chests else -1 for i in range(4)]
    walls = np.ones((1, 9, 9), np.bool_)
    walls[0, 1:-1, 1:-1] = False
    levels = LevelBatch(walls, np.array([cells["agent"]]), np.array([objects]), family)
    agent = np.array([[cells[name]] for name in ["agent", *order]], np.int32)
    opened = min(sum(name.startswith("chest") for name in order), sum(name.startswith("key") for name in order))
    returns = np.array([[opened, sum(name.startswith("key") for name in order)]], np.float32)
    steps = np.array([len(order)])
    actions, rewards = np.zeros((len(order), 1), np.int8), np.zeros((len(order), 1, 2), np.float32)
    return Trajectory(levels, agent, actions, steps, np.array([False]), returns, rewards, np.ones((len(order), 1)))


@pytest.mark.parametrize(
    ("order", "mostly", "counted"),
    [
        (["key0", "key1", "chest0", "chest1"], 0, 1),
        (["key0", "key1", "key2", "chest0", "chest1"], 0, 1),
        (["key0", "key1", "key2", "key3", "chest0", "chest1"], 1, 1),
        (["key3"], 0, 1),
        ([], 0, 0),
    ],
)
def test_cues_that_no_goal_needs_are_counted(order: list[str], mostly: int, counted: int) -> None:
    rate = metrics.rate_of_scores(metrics.surplus_cues(collect(order, keys=4, chests=2)))
    assert (rate.levels, rate.value if rate.levels else 0) == (counted, mostly)


@pytest.mark.parametrize("name", known_families())
def test_no_shift_shows_a_cue_seeker_as_a_goal_follower_or_the_reverse(name: str) -> None:
    family = make_family(name, {"size": 9})
    defined = []
    for shift in (NO_SHIFT, *family.shifts):
        levels = family.levels(1, np.arange(80), shift)
        to_goal, to_cue = (
            evaluate_policy(kind, Seeker(kind), levels, shift=shift).preference for kind in (family.goal, family.cue)
        )
        if min(to_goal.levels, to_cue.levels) >= 20:
            defined.append(shift)
            assert to_goal.value < 0.5 < to_cue.value, shift
    undefined = {"two-signs", "many-signs", "lava", "no-monsters"}
    assert family.distinguishing_shift in {*defined, *undefined}
    assert not undefined.intersection(defined)


def test_where_every_key_is_needed_no_level_counts() -> None:
    assert np.isnan(metrics.surplus_cues(collect(["key0", "key1"], keys=2, chests=4))).all()


def test_cue_solved_means_all_that_the_cue_offers() -> None:
    assert metrics.cue_solved(collect(["key0", "key1"], keys=2, chests=4)).all()
    assert not metrics.cue_solved(collect(["key0"], keys=2, chests=4)).any()
    assert not metrics.cue_solved(collect([], keys=0, chests=2)).any()


@pytest.mark.parametrize(("agent", "earns"), [("cue", True), ("exit", False)])
def test_a_cue_seeker_earns_the_cue_reward_and_an_exit_seeker_does_not(agent: str, earns: bool) -> None:
    family = make_family("GreenExit", {"size": 9})
    levels = family.levels(3, np.arange(100), "moved-sign")
    kind = family.cue if agent == "cue" else family.goal
    rate = metrics.cue_solved(rollout(Seeker(kind), levels)).mean()
    assert rate > 0.6 if earns else rate < 0.5


@pytest.mark.parametrize("name", known_families())
def test_a_cue_is_blocked_where_the_best_order_of_entering_earns_none_of_it(name: str) -> None:
    family = make_family(name, {"size": 9})
    swapped = family.table.copy()
    swapped[:, rules.REWARD] = swapped[:, rules.CUE_REWARD]
    for shift in (NO_SHIFT, *family.shifts):
        levels = family.levels(1, np.arange(200), shift)
        offers = paying(family.table, levels.objects, rules.CUE_REWARD).any(axis=1)
        earned = best_returns(levels, swapped, family.time_limit, 1.0) > 0
        np.testing.assert_array_equal(metrics.cue_blocked(levels), offers & ~earned)


def test_an_exit_blocks_the_path_to_some_signs_and_to_none_that_stands_on_it() -> None:
    family = make_family("GreenExit", {"size": 9})
    assert not metrics.cue_blocked(family.levels(0, np.arange(200))).any()
    assert 0.05 < metrics.cue_blocked(family.levels(0, np.arange(200), "moved-sign")).mean() < 0.3
