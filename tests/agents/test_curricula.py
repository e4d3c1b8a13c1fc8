"""Curricula: the formulas of prioritisation, regret without error, and training on replayed levels alone."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from plans import SMALL_RECIPE
from scipy import stats

from goalmaze.agents.training.algorithms import make_algorithm, make_environments
from goalmaze.agents.training.curricula.accel import Accel
from goalmaze.agents.training.curricula.buffer import LevelBuffer, PlayedLevels
from goalmaze.agents.training.curricula.plr import EDITED, FRESH, REPLAYED, PrioritisedReplay
from goalmaze.agents.training.curricula.prioritisation import (
    draw_slots,
    rank_weights,
    replay_probabilities,
    staleness_weights,
)
from goalmaze.agents.training.curricula.registry import CurriculumChoice
from goalmaze.agents.training.curricula.scores.base import known_scores, make_score
from goalmaze.agents.training.ppo import even_size
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.rollout_buffer import TensorRolloutBuffer
from goalmaze.agents.training.sb3_environment import MazeVecEnv
from goalmaze.envs.actions import DOWN, LEFT, RIGHT, UP
from goalmaze.envs.engine import rules
from goalmaze.envs.engines import make_engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances

ENVS, DISCOUNT = 8, 0.9
PARAMETERS: dict[str, dict[str, int]] = {"KeysChests": {"few": 1, "many": 2}, "FollowLeader": {}, "Lava": {"tiles": 2}}
"""Parameters with few prizes a level, since the test below tries every order of them."""


def environments(name: str = "GreenExit", curriculum: str = "plr", mixture: float = 0.2, **options: Any) -> MazeVecEnv:
    parameters = {"size": 7, "mixture": mixture, **PARAMETERS.get(name, {})}
    choice = CurriculumChoice(curriculum, {"buffer": 32, **options})
    return MazeVecEnv(make_family(name, parameters), ENVS, 3, discount=DISCOUNT, curriculum=choice)


def played(mazes: MazeVecEnv, steps: int, seed: int = 0, rollouts: int = 1) -> PrioritisedReplay:
    """Play random actions and return the curriculum."""
    choice, curriculum = np.random.default_rng(seed), mazes.curriculum
    assert isinstance(curriculum, PrioritisedReplay)
    for _ in range(rollouts):
        for _ in range(steps):
            mazes.advance(choice.integers(0, 4, ENVS))
        curriculum.end_rollout(np.zeros((steps, ENVS), np.float32))
    return curriculum


def test_probabilities_follow_the_formula() -> None:
    scores = np.array([0.3, 0.9, 0.1, 0.5])
    ranks = np.array([3, 1, 4, 2])
    expected = ranks**-2.0 / (ranks**-2.0).sum()
    np.testing.assert_allclose(rank_weights(scores, 0.5), expected)
    stale = staleness_weights(np.array([10, 4, 7, 10]), 10)
    np.testing.assert_allclose(stale, [0, 6 / 9, 3 / 9, 0])
    np.testing.assert_allclose(replay_probabilities(expected, stale, 0.3), 0.7 * expected + 0.3 * stale)
    np.testing.assert_allclose(staleness_weights(np.array([5, 5]), 5), [0.5, 0.5])
    # Levels of equal score are equally likely, wherever they are, and share the weight of their ranks.
    tied = rank_weights(np.array([1.0, 0.0, 1.0]), 1.0)
    np.testing.assert_allclose(tied, np.array([0.75, 1 / 3, 0.75]) / (11 / 6))


def test_levels_are_drawn_as_often_as_the_formula_says() -> None:
    rng = np.random.default_rng(0)
    probabilities = replay_probabilities(
        rank_weights(rng.random(12), 0.8), staleness_weights(rng.integers(0, 50, 12), 50), 0.3
    )
    draws = 6000
    first = np.array([draw_slots(probabilities, 1, 5, number)[0] for number in range(draws)])
    counts = np.bincount(first, minlength=12)
    assert stats.chisquare(counts, draws * probabilities).pvalue > 1e-3
    # Negative control: the test would notice half the staleness.
    other = replay_probabilities(rank_weights(rng.random(12), 0.8), probabilities, 0.15)
    assert stats.chisquare(counts, draws * other).pvalue < 1e-6
    # Without replacement: the second of two follows the probabilities that the first one leaves.
    pairs = np.array([draw_slots(probabilities, 2, 6, number) for number in range(draws)])
    assert (pairs[:, 0] != pairs[:, 1]).all()
    left = probabilities / (1 - probabilities[:, None])
    np.fill_diagonal(left, 0)
    second = (probabilities[:, None] * left).sum(axis=0)
    assert stats.chisquare(np.bincount(pairs[:, 1], minlength=12), draws * second).pvalue > 1e-3


def steps_to(walls: NDArray[np.bool_], source: int, target: int) -> list[int]:
    """Return the actions of a shortest path."""
    level = LevelBatch(walls[None], np.array([source], np.int32), np.full((1, 2), -1, np.int32), make_family("Dish"))
    distance, cell = distances(level, np.array([target], np.int32))[0], source
    actions, moves = [], moves_in(walls.shape[1])
    while cell != target:
        action = next(a for a, move in moves.items() if distance[cell + move] < distance[cell])
        actions.append(action)
        cell += moves[action]
    return actions


def best_actions(level: LevelBatch) -> list[int]:
    """Return the actions of the best walk: every order of the objects that matter is played by the engine."""
    table, cells = level.family.table, level.objects[0]
    useful = (table[:, rules.REWARD] > 0) | (table[:, rules.GIVES] > 0)
    walks = []
    targets = [k for k in np.flatnonzero(useful) if cells[k] >= 0]
    for count in range(1, len(targets) + 1):
        for order in itertools.permutations(targets, count):
            walk, at = [], int(level.start[0])
            for k in order:
                walls = level.walls[0].copy()
                ending = [cells[j] for j in np.flatnonzero(table[:, rules.ENDS] > 0) if cells[j] not in (-1, cells[k])]
                walls.reshape(-1)[ending] = True
                walk += steps_to(walls, at, int(cells[k]))
                at = int(cells[k])
            walks.append(walk)
    engine = make_engine(level.take(np.zeros(len(walks), np.intp)))
    returns, going = np.zeros(len(walks)), np.ones(len(walks), np.bool_)
    for t in range(max(map(len, walks))):
        engine.step(np.array([walk[t] if t < len(walk) else -1 for walk in walks]))
        returns += np.where(going, engine.rewards[:, 0] * DISCOUNT**t, 0)
        going &= ~engine.done
    return walks[int(returns.argmax())]


@pytest.mark.parametrize("name", [name for name in known_families() if name not in ("Monsters", "Sleeper")])
@pytest.mark.parametrize("detour", [False, True])
def test_an_optimal_agent_has_regret_exactly_0(name: str, detour: bool) -> None:
    mazes = environments(name, score="regret")
    mazes.reset()
    plans: list[list[int]] = [[] for _ in range(ENVS)]
    curriculum = mazes.curriculum
    assert isinstance(curriculum, PrioritisedReplay)
    steps = 40
    fresh = np.arange(ENVS)
    for _ in range(steps):
        for row in fresh:
            level = mazes.mazes.engine.levels().take([row])
            plans[row] = wasted_step(level) * detour + best_actions(level)
        _, done, _ = mazes.advance(np.array([plan.pop(0) if plan else 0 for plan in plans]))
        fresh = np.flatnonzero(done)
    curriculum.end_rollout(np.zeros((steps, ENVS), np.float32))
    scores = curriculum.buffer.scores[: len(curriculum.buffer)]
    assert len(scores) > ENVS / 2
    assert (scores == 0).all() if not detour else (scores > 0).all()


def wasted_step(level: LevelBatch) -> list[int]:
    """Return a step into a wall, or one to a neighbouring cell and back."""
    start, walls, moves = int(level.start[0]), level.walls[0].reshape(-1), moves_in(level.width)
    into_wall = [action for action, move in moves.items() if walls[start + move]]
    return into_wall[:1] or [LEFT, RIGHT]


def moves_in(width: int) -> dict[int, int]:
    """Return action → change of the cell."""
    return {LEFT: -1, RIGHT: 1, UP: -width, DOWN: width}


def test_a_level_that_was_just_replayed_has_staleness_0() -> None:
    mazes = environments(replay_probability=0.7)
    mazes.reset()
    curriculum = played(mazes, 60)
    replays = 0
    for _ in range(60):
        clock = curriculum._counts[0]
        mazes.advance(np.random.default_rng(replays).integers(0, 4, ENVS))
        if curriculum._counts[0] > clock:
            replays += 1
            rows = np.flatnonzero((curriculum._kinds == REPLAYED) & (mazes.mazes.engine.steps == 0))
            staleness = curriculum._counts[0] - curriculum.buffer.sampled_at[: len(curriculum.buffer)]
            assert (staleness[curriculum._slots[rows]] == 0).all()
            assert staleness.max() > 0
            # No two environments play one level at the same time.
            playing = curriculum._slots[curriculum._kinds == REPLAYED]
            assert len(set(playing)) == len(playing)
    assert replays > 3


def test_replayed_levels_are_those_of_the_buffer_and_edited_ones_follow_replays() -> None:
    mazes = environments(curriculum="accel")
    mazes.reset()
    curriculum = played(mazes, 80)
    assert isinstance(curriculum, Accel)
    choice, seen = np.random.default_rng(1), set()
    for _ in range(120):
        before, levels = curriculum._kinds.copy(), mazes.mazes.engine.levels().hashes()
        _, done, _ = mazes.advance(choice.integers(0, 4, ENVS))
        now = mazes.mazes.engine.levels()
        for row in np.flatnonzero(done):
            after = int(curriculum._kinds[row])
            seen.add((int(before[row]), after))
            assert (after == EDITED) == (before[row] == REPLAYED)
            if after == REPLAYED:
                assert now.take([row]) == curriculum.buffer.levels(curriculum._slots[[row]])
            if after == EDITED:
                assert now.take([row]).hashes() != [levels[row]]
        np.testing.assert_array_equal(curriculum.trains, curriculum._kinds == REPLAYED)
    assert {(FRESH, REPLAYED), (REPLAYED, EDITED), (EDITED, REPLAYED), (EDITED, FRESH)} <= seen
    curriculum.end_rollout(np.zeros((120, ENVS), np.float32))
    depths = curriculum.buffer.depths[: len(curriculum.buffer)]
    assert depths.max() >= 1
    # The optimum of an edited level is its own.
    found = curriculum.buffer.optimum[: len(curriculum.buffer)]
    np.testing.assert_array_equal(found, mazes.mazes.family.optimal_returns(curriculum.buffer.levels(), DISCOUNT))


def level_batch(count: int, first: int = 0) -> LevelBatch:
    return make_family("GreenExit", {"size": 7, "mixture": 0.5}).levels(0, np.arange(first, first + count))


def as_played(levels: LevelBatch, **arrays: Any) -> PlayedLevels:
    count = len(levels)
    defaults: dict[str, Any] = {
        "slots": np.full(count, -1),
        "returns": np.zeros(count),
        "highest": np.zeros(count),
        "optimum": np.full(count, np.nan),
        "value_loss": np.full(count, np.nan),
        "plays": np.ones(count, np.int64),
        "solved": np.zeros(count, np.int64),
        "distinguishing": np.zeros(count, np.bool_),
        "buffered": levels.take(np.zeros(0, np.intp)),
    }
    return PlayedLevels(levels, **(defaults | arrays))


def test_the_buffer_keeps_the_higher_scores_of_the_newcomers_and_the_least_likely() -> None:
    buffer = LevelBuffer(level_batch(1).family, 6)
    none = np.zeros(4, np.int64)
    buffer.insert(as_played(level_batch(4)), np.array([0.4, 0.1, 0.3, 0.2]), none, np.zeros(0), 0)
    assert buffer.levels() == level_batch(4)
    buffer.insert(
        as_played(level_batch(4, 4)), np.array([0.05, 0.9, 0.25, 0.15]), none, buffer.probabilities(1, 0, 0), 0
    )
    # The two best fill the free slots; 0.15 and 0.05 compete with the two least likely, 0.1 and 0.2.
    assert sorted(buffer.scores) == [0.15, 0.2, 0.25, 0.3, 0.4, 0.9]
    assert sorted(buffer.levels().hashes()) == sorted(
        [*level_batch(4).take([0, 2, 3]).hashes(), *level_batch(4, 4).take([1, 2, 3]).hashes()]
    )
    serials = buffer.serials.copy()
    assert len(set(serials)) == 6
    buffer.insert(as_played(level_batch(1, 9)), np.array([0.15]), none[:1], buffer.probabilities(1, 0, 0), 0)
    # Of equal scores the level that is there stays.
    np.testing.assert_array_equal(buffer.serials, serials)
    assert buffer.has(np.array([0, 1]), serials[[0, 0]]).tolist() == [True, False]


def test_scores_are_their_formulas() -> None:
    levels = level_batch(3)
    played = as_played(
        levels,
        returns=np.array([0.2, 0.5, 0.0]),
        highest=np.array([0.4, 0.5, 0.0]),
        optimum=np.array([0.9, 0.5, 0.7]),
        value_loss=np.array([0.1, 0.0, 0.3]),
        plays=np.array([3, 8, 1]),
        solved=np.array([1, 8, 0]),
        distinguishing=np.array([True, False, True]),
        slots=np.array([0, -1, 1]),
        buffered=levels.take([0, 2]),
    )
    expected = {
        "regret": [0.7, 0.0, 0.7],
        "max-latest": [0.2, 0.0, 0.0],
        "value-loss": [0.1, 0.0, 0.3],
        "learnability": [2 / 5 * 3 / 5, 9 / 10 * 1 / 10, 1 / 3 * 2 / 3],
        "maximin": [-0.2, -0.5, 0.0],
        "distinguishing": [1, 0, 1],
    }
    assert {*expected, "novelty"} == {*known_scores()}
    for name, scores in expected.items():
        np.testing.assert_allclose(make_score(name).score(played), scores, err_msg=name)
    entries = 49 + 1 + len(levels.slots)

    def difference(a: int, b: int) -> float:
        same = [np.append(levels.walls[i].ravel(), [levels.start[i], *levels.objects[i]]) for i in (a, b)]
        return float((same[0] != same[1]).sum() / entries)

    # Of the buffer's own level 0, level 0 itself does not count.
    novelty = [difference(0, 2), min(difference(1, 0), difference(1, 2)), difference(2, 0)]
    np.testing.assert_allclose(make_score("novelty").score(played), novelty)
    assert (make_score("novelty").score(played._replace(buffered=levels.take(np.zeros(0, np.intp)))) == 1).all()


def test_value_loss_is_the_mean_positive_advantage_of_an_episode_over_its_rollouts() -> None:
    mazes = environments(score="value-loss")
    mazes.reset()
    curriculum = mazes.curriculum
    assert isinstance(curriculum, PrioritisedReplay)
    choice, kept, expected = np.random.default_rng(0), [[] for _ in range(ENVS)], []
    for _ in range(6):
        rollout, ends = choice.normal(size=(12, ENVS)).astype(np.float32), []
        for t in range(12):
            _, done, _ = mazes.advance(choice.integers(0, 4, ENVS))
            for row in range(ENVS):
                kept[row].append(max(float(rollout[t, row]), 0))
                if done[row]:
                    ends.append(float(np.mean(kept[row])))
                    kept[row] = []
        curriculum.end_rollout(rollout)
        expected += ends
        if len(curriculum.buffer) >= ENVS:
            break
    found = curriculum.buffer.scores[: len(curriculum.buffer)]
    assert len(found) >= 3
    np.testing.assert_allclose(sorted(found), sorted(expected)[-len(found) :])


def test_minibatches_hold_every_trained_step_once_and_no_other() -> None:
    space = Box(0, 1, (1,), np.uint8)
    buffer = TensorRolloutBuffer(5, space, Discrete(4), n_envs=4)
    buffer.actions.copy_(torch.arange(20).reshape(5, 4))
    buffer.trained = np.random.default_rng(0).random((5, 4)) < 0.4
    steps = buffer.trained_steps()
    assert steps is not None
    batches = [batch.actions.tolist() for batch in buffer.minibatches(even_size(len(steps), 3), np.flip(steps).copy())]
    assert sorted(itertools.chain(*batches)) == np.arange(20).reshape(5, 4)[buffer.trained].tolist()
    assert [even_size(count, 8) for count in (1, 8, 11, 13, 40)] == [1, 8, 11, 7, 8]


def test_nothing_is_learned_before_the_first_replay() -> None:
    recipe = dataclasses.replace(SMALL_RECIPE, curriculum="plr", rollout_steps=4, steps=512)
    algorithm = make_algorithm(recipe, make_environments(recipe))
    before = [parameter.detach().clone() for parameter in algorithm.policy.parameters()]
    algorithm.learn(128)
    assert all((one == other).all() for one, other in zip(before, algorithm.policy.parameters(), strict=True))
    # Negative control: domain randomisation learns from the same rollout.
    recipe = dataclasses.replace(recipe, curriculum="dr")
    algorithm = make_algorithm(recipe, make_environments(recipe))
    algorithm.learn(128)
    assert any((one != other).any() for one, other in zip(before, algorithm.policy.parameters(), strict=True))


@pytest.mark.parametrize("network", ["grid", "lstm"])
def test_training_depends_on_replayed_steps_alone(network: str) -> None:
    """Advantages of other steps are set to nonsense, and the weights after the update are the same."""
    options = SMALL_RECIPE.network_options if network == "grid" else {}
    recipe = dataclasses.replace(SMALL_RECIPE, curriculum="plr", network=network, network_options=options)
    outcomes = []
    for nonsense in (False, True):
        algorithm: Any = make_algorithm(recipe, make_environments(recipe))
        algorithm.learn(16 * 16 * 6)
        buffer = algorithm.rollout_buffer
        mask = buffer.trained
        assert mask.any()
        assert not mask.all()
        if nonsense:
            buffer.advantages[~mask], buffer.returns[~mask] = 1e3, -1e3
        algorithm.train()
        outcomes.append([parameter.detach().clone() for parameter in algorithm.policy.parameters()])
    assert all((one == other).all() for one, other in zip(*outcomes, strict=True))


def test_without_replays_training_is_domain_randomisation_bitwise() -> None:
    recipes = [
        SMALL_RECIPE,
        dataclasses.replace(SMALL_RECIPE, curriculum="accel", curriculum_options={"replay_probability": 0.0}),
        dataclasses.replace(SMALL_RECIPE, curriculum="accel"),
    ]
    weights = []
    for recipe in recipes:
        algorithm = make_algorithm(recipe, make_environments(recipe))
        algorithm.learn(recipe.steps)
        weights.append(np.concatenate([one.detach().numpy().ravel() for one in algorithm.policy.parameters()]))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


def test_oversampling_is_replay_by_the_class_of_the_level() -> None:
    buffers: dict[str, dict[str, NDArray[np.generic]]] = {}
    for name, curriculum, options in (
        ("oversampling", "oversampling", {}),
        ("by class", "plr", {"score": "distinguishing"}),
        ("by regret", "plr", {}),
    ):
        mazes = environments(curriculum=curriculum, **options)
        mazes.reset()
        buffers[name] = played(mazes, 60, rollouts=2).arrays()
    for key, array in buffers["oversampling"].items():
        np.testing.assert_array_equal(array, buffers["by class"][key])
    assert (buffers["oversampling"]["buffer.scores"] != buffers["by regret"]["buffer.scores"]).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"curriculum": "plrr"}, "unknown curriculum 'plrr'"),
        ({"curriculum_options": {"score": "regret"}}, "curriculum dr has no options, so no score"),
        ({"curriculum": "plr", "curriculum_options": {"temperatur": 1}}, "did you mean 'temperature'"),
        ({"curriculum": "plr", "curriculum_options": {"score": "regrets"}}, "did you mean 'regret'"),
        ({"curriculum": "plr", "curriculum_options": {"staleness": 2}}, "curriculum plr: .*staleness"),
        ({"curriculum": "accel", "curriculum_options": {"edits": "all"}}, "curriculum accel: .*edits"),
        ({"curriculum": "plr", "curriculum_options": {"buffer": 8}}, "smaller than the 16 environments"),
        ({"curriculum": "plr", "family": "Sleeper"}, "Sleeper has no distinguishing levels"),
        ({"curriculum": "plr", "family": "Monsters", "parameters": {"size": 7}}, "Monsters has only a bound"),
        ({"curriculum": "plr", "curriculum_options": {"score": "distinguishing"}}, "mixture is 0"),
        ({"curriculum": "oversampling"}, "mixture is 0"),
        ({"curriculum": "plr", "algorithm": "sb3-ppo"}, "choose ppo"),
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    recipe = dataclasses.replace(SMALL_RECIPE, **changes)
    with pytest.raises(GoalmazeError, match=message) as raised:
        make_environments(recipe)
    assert "\n" not in str(raised.value)


def test_several_seeds_in_one_batch_are_refused() -> None:
    with pytest.raises(GoalmazeError, match="trains one agent at a time"):
        make_environments(dataclasses.replace(SMALL_RECIPE, curriculum="plr"), [0, 1])


def test_a_bound_will_do_for_scores_that_need_no_optimum() -> None:
    recipe = Recipe(
        family="Monsters", parameters={"size": 7}, curriculum="plr", curriculum_options={"score": "max-latest"}
    )
    assert make_environments(recipe).curriculum.is_selective
