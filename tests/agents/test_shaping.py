"""Training draws towards what pays next, by the reward that is learned from."""

import numpy as np
import pytest
from oracles.paths import all_distances

from goalmaze.agents.training.algorithms import make_environments
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.sb3_environment import MazeVecEnv
from goalmaze.agents.training.shaping import Shaping
from goalmaze.envs.engine.state import WALL
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.maze_engine import MazeEngine

COUNT = 60


def begun(name: str) -> tuple[LevelBatch, MazeEngine, Shaping]:
    """Return levels of a family, their episodes, and the shaping towards the true reward at their first step."""
    family = make_family(name, {"size": 9})
    levels = family.levels(4, np.arange(COUNT))
    episodes = MazeEngine.from_levels(levels)
    shaping = Shaping(family, COUNT, 0.3, "true")
    shaping.begin(episodes.state, np.arange(COUNT))
    return levels, episodes, shaping


@pytest.mark.parametrize(
    ("name", "shift", "reward", "drawn_to"),
    [
        ("GreenExit", "moved-sign", "true", {"exit"}),
        ("GreenExit", "moved-sign", "cue", {"sign"}),
        ("ColourShape", "red-line-yellow-gem", "cue", {"yellow"}),
        ("Corner", "anywhere", "cue", {"corner"}),
        ("Sleeper", "lit", "true", {"exit"}),
        ("Sleeper", "unlit", "true", {"sign"}),
        ("KeysChests", "none", "true", {"key"}),
        ("KeysChests", "none", "cue", {"key"}),
        ("Monsters", "none", "true", {"apple"}),
        ("Monsters", "none", "cue", {"shield"}),
        ("FollowLeader", "none", "true", {"beacon-1"}),
        ("Sleeper", "lit", "cue", set()),
    ],
)
def test_at_first_the_shaped_distance_is_that_to_the_nearest_object_that_pays(
    name: str, shift: str, reward: str, drawn_to: set[str]
) -> None:
    family = make_family(name, {"size": 9})
    levels = family.levels(4, np.arange(COUNT), shift)
    state = MazeEngine.from_levels(levels).state
    shaping = Shaping(family, COUNT, 0.3, reward)  # type: ignore[arg-type]
    shaping.begin(state, np.arange(COUNT))
    targets = shaping.targets(state)
    assert {kind for b in range(COUNT) for k, kind in enumerate(levels.slots) if targets[b, k]} == drawn_to
    left = shaping.distance_left(targets, levels.start)
    for b in range(COUNT):
        ways = all_distances(levels.walls[b])[levels.start[b]]
        cells = [cell for kind, cell in zip(levels.slots, levels.objects[b], strict=True) if kind in drawn_to]
        assert left[b] == min((ways[cell] for cell in cells if cell >= 0), default=0)


def test_a_key_in_hand_draws_to_the_chests_and_an_opened_chest_to_the_keys_left() -> None:
    levels, episodes, shaping = begun("KeysChests")
    object_types = np.array(levels.slots)
    episodes.state.items[:] = 1
    episodes.state.entered[:] = 1  # the first key
    assert not shaping.targets(episodes.state)[:, object_types == "key"].any()
    chests = shaping.targets(episodes.state)[:, object_types == "chest"]
    assert np.array_equal(chests, levels.objects[:, object_types == "chest"] >= 0)
    episodes.state.items[:] = 0
    episodes.state.entered[:] |= np.uint64(1) << np.uint64(np.flatnonzero(object_types == "chest")[0])
    left = shaping.targets(episodes.state)
    assert not left[:, object_types == "chest"].any()
    assert left[:, 1].all()
    assert not left[:, 0].any()


def test_a_walk_in_a_circle_earns_nothing_undiscounted_and_something_with_a_discount() -> None:
    levels, episodes, shaping = begun("GreenExit")
    exits = levels.cells("exit")
    for b in range(COUNT):
        paths = all_distances(levels.walls[b])
        around = [cell for cell in np.flatnonzero(paths[levels.start[b]] == 1) if cell != exits[b]]
        closer = [cell for cell in around if paths[cell, exits[b]] < paths[levels.start[b], exits[b]]]
        if not closer:
            continue
        walk = np.array([levels.start[b], closer[0]] * 3 + [levels.start[b]])
        agents = np.repeat(levels.start[None], len(walk), axis=0)
        agents[:, b] = walk
        left = [shaping.distance_left(shaping.targets(episodes.state), agent)[b] for agent in agents]
        earned = -shaping.scale * np.diff(left)
        assert earned.sum() == pytest.approx(0)
        assert (earned * 0.9 ** np.arange(len(earned))).sum() > 0.05


def test_a_beacon_counts_once_the_one_before_was_visited() -> None:
    levels, episodes, shaping = begun("FollowLeader")
    episodes.state.entered[:] = 1
    targets = shaping.targets(episodes.state)
    assert {kind for k, kind in enumerate(levels.slots) if targets[:, k].any()} == {"beacon-2"}


def test_in_the_dark_a_sleeper_is_drawn_to_the_sign_in_the_same_batch() -> None:
    levels, episodes, shaping = begun("Sleeper")
    lit = levels.cells("lamp") >= 0
    there = np.where(lit, levels.cells("exit"), levels.cells("sign"))
    assert 0 < lit.sum() < COUNT
    assert (shaping.distance_left(shaping.targets(episodes.state), there) == 0).all()


@pytest.mark.parametrize("name", ["KeysChests", "Monsters", "GreenExit", "FollowLeader"])
def test_no_episode_earns_more_shaping_than_the_steps_it_walked(name: str) -> None:
    family = make_family(name, {"size": 7})
    mazes = MazeVecEnv(family, 50, 1, 0.5)
    mazes.reset()
    choice = np.random.default_rng(0)
    walked = np.zeros(50)
    for _ in range(50):
        before = mazes.mazes.engine.agent.copy()
        rewards, done, _ = mazes.advance(choice.integers(0, 4, 50))
        moved = (mazes.mazes.engine.agent != before) & ~done
        paid = mazes.mazes.engine.rewards[:, 0]
        assert np.isin(np.round(2 * (rewards - paid))[~done], [-1, 0, 1]).all()
        assert not (rewards - paid)[~moved & ~done].any()
        walked += moved
    assert walked.sum() > 500


def test_the_cues_reward_is_what_pays_when_it_is_learned_from() -> None:
    family = make_family("GreenExit", {"size": 5, "correlation": 0.0})
    true, cue = (MazeVecEnv(family, 40, 1, reward=reward) for reward in ("true", "cue"))  # type: ignore[arg-type]
    true.reset()
    cue.reset()
    choice = np.random.default_rng(0)
    sums = np.zeros(2)
    for _ in range(60):
        actions = choice.integers(0, 4, 40)
        for i, mazes in enumerate((true, cue)):
            rewards, _, _ = mazes.advance(actions)
            sums[i] += rewards.sum()
    assert (sums > 5).all()
    assert sums[0] != sums[1]
    assert true.record.counts == cue.record.counts
    assert np.array_equal(true.record.means(), cue.record.means())


def discounted_shaping(name: str, kind: str, discount: float) -> list[tuple[float, float]]:
    """Return, for first episodes that random walks end, the discounted sum of shaping and minus the first potential."""
    count, scale = 80, 0.3
    family = make_family(name, {"size": 5})
    mazes = MazeVecEnv(family, count, 1, scale, shaping_kind=kind, discount=discount)  # type: ignore[arg-type]
    mazes.reset()
    state = mazes.mazes.engine.state
    targets = mazes.shaping.targets(state)
    expected = np.zeros(count)
    for b in range(count):
        paths = all_distances((state.squares[b] & WALL).reshape(5, 5).astype(bool))[state.start[b]]
        expected[b] = scale * min((paths[cell] for cell in state.placed[b, targets[b]]), default=0)
    choice = np.random.default_rng(0)
    sums, true, running, ended = np.zeros(count), np.zeros(count), np.ones(count, bool), []
    for t in range(60):
        rewards, _, ends = mazes.advance(choice.integers(0, 4, count))
        earned = mazes.mazes.engine.rewards[:, 0].copy()
        earned[ends.rows] = ends.returns[:, 0] - true[ends.rows]
        true += earned
        sums[running] += discount**t * (rewards - earned)[running]
        ended += [(sums[b], expected[b]) for b in ends.rows[~ends.truncated] if running[b]]
        running[ends.rows] = False
    assert len(ended) > 10
    return ended


@pytest.mark.parametrize("name", ["GreenExit", "KeysChests", "Monsters"])
def test_the_discounted_sum_of_potential_shaping_is_minus_the_potential_of_the_first_state(name: str) -> None:
    for total, expected in discounted_shaping(name, "potential", 0.97):
        assert total == pytest.approx(expected, abs=1e-5)
    # Pay for progress telescopes undiscounted alone.
    assert any(abs(total - expected) > 0.05 for total, expected in discounted_shaping(name, "progress", 0.97))


def test_a_recipe_hands_kind_and_discount_to_its_environments() -> None:
    recipe = Recipe(parameters={"size": 5}, envs=4, minibatches=4, shaping_kind="potential", discount=0.5)
    mazes = make_environments(recipe)
    mazes.reset()
    engine = mazes.mazes.engine
    before = mazes.shaping.distance_left(mazes.shaping.targets(engine.state), engine.agent)
    cells = engine.agent.copy()
    rewards, done, _ = mazes.advance(np.zeros(4, np.int64))
    stayed = (engine.agent == cells) & ~done
    assert stayed.any()
    # An agent that stays at distance d has γ·(−0.3·d) + 0.3·d.
    assert rewards[stayed] == pytest.approx(0.3 * 0.5 * before[stayed])
