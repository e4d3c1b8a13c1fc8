"""Objects that show in the first observations only: against the rulebook, in every mode, and without the option."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.rulebook import rulebook

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.observations.spec import MODES, ObservationSpec
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.rendering import frame
from goalmaze.envs.single import MazeEnv
from goalmaze.envs.vector import MazeVectorEnv

FIRST_OBJECT_PLANE = 2
NUMBERS = st.integers(0, 4)
STEPS = 50


def small(name: str, **parameters: Any) -> Family:
    """Return a family in the smallest maze, with objects that fit into it."""
    fitting = {"KeysChests": {"many": 3}, "Monsters": {"shields": 2}}.get(name, {})
    return make_family(name, {"size": 5} | fitting | parameters)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(known_families())), NUMBERS, NUMBERS, NUMBERS, st.booleans(), st.integers(0, 2**31))
def test_planes_show_what_the_rulebook_shows_in_every_episode(
    name: str, steps: int, goal: int, cue: int, shifted: bool, seed: int
) -> None:
    family = small(name, visible_steps=steps, goal_visible_steps=goal, cue_visible_steps=cue)
    shift = family.distinguishing_shift if shifted else NO_SHIFT
    envs = MazeVectorEnv(family, 3, shift=shift, split="evaluation", copy=False)
    played = [0, 1, 2]
    books = [rulebook(family, family.levels(seed, [index], shift), 0) for index in played]
    assert np.array_equal(envs.reset(seed=seed)[0], [book.picture() for book in books])
    random, over = np.random.default_rng(seed), np.zeros(3, np.bool_)
    for _ in range(STEPS):
        actions = random.integers(4, size=3)
        for row in range(3):
            # An episode that has ended begins anew with the step after, and its objects show again.
            if over[row]:
                played[row] += 3
                books[row] = rulebook(family, family.levels(seed, [played[row]], shift), 0)
            else:
                books[row].step(int(actions[row]))
        planes, _, terminated, truncated, _ = envs.step(actions)
        over = terminated | truncated
        assert np.array_equal(planes, [book.picture() for book in books])


@pytest.mark.parametrize("mode", MODES)
def test_pictures_show_what_pictures_of_the_remaining_objects_show(mode: str) -> None:
    family = small("KeysChests", goal_visible_steps=2, cue_visible_steps=4)
    plain, view = small("KeysChests"), make_view(family, ObservationSpec(mode, radius=2))
    levels = family.levels(0, count=16)
    engine, reference = MazeEngine.from_levels(levels), MazeEngine.from_levels(levels.played_in(plain))
    drawn, memory = view.buffer(16), view.memory(16)
    random, hidden_items = np.random.default_rng(0), 0
    for steps in range(12):
        view.update(engine.state, drawn, memory)
        again = view.buffer(16)
        view.draw(engine.state, again)
        # The planes of an episode of the same levels without the objects that are hidden by now.
        cells = reference.objects.copy()
        for kind, last in (("chest", 2), ("key", 4)):
            if steps >= last:
                cells[:, [name == kind for name in family.slots]] = ABSENT
        hidden_items += int((reference.objects[:, :3] == np.arange(3)).sum()) * (steps >= 4)
        expected = np.zeros_like(drawn)
        bare = MazeEngine.from_levels(levels.played_in(plain))
        bare.state.objects[:], bare.state.agent[:] = cells, reference.agent
        bare.state.planes[:] = reference.state.planes
        bare.state.planes[:, FIRST_OBJECT_PLANE:] = 0
        for k, name in enumerate(family.slots):
            rows = np.flatnonzero(cells[:, k] != ABSENT)
            bare.state.planes[rows, family.plane_names.index(name), cells[rows, k]] = 1
        make_view(plain, ObservationSpec(mode, radius=2)).draw(bare.state, expected)
        assert np.array_equal(drawn, expected)
        assert np.array_equal(again, expected)
        actions = random.integers(4, size=16)
        engine.step(actions)
        reference.step(actions)
    assert hidden_items  # an agent held a key that no observation shows any more


@pytest.mark.parametrize("observation", ["planes", "rgb"])
def test_glimpse_that_always_shows_its_objects_is_green_exit_bit_for_bit(observation: str) -> None:
    runs = []
    for family in (small("GreenExit"), small("Glimpse", visible_steps=0), small("Glimpse", visible_steps=2**15)):
        envs = MazeVectorEnv(family, 8, observation=observation, pixels=3)
        random, run = np.random.default_rng(1), [envs.reset(seed=5)[0]]
        for _ in range(60):
            planes, rewards, terminated, truncated, info = envs.step(random.integers(4, size=8))
            run += [planes, rewards, terminated, truncated, info["cue_reward"]]
        runs.append(run)
    assert all(np.array_equal(first, other) for run in runs[1:] for first, other in zip(runs[0], run, strict=True))
    hidden = MazeVectorEnv(small("Glimpse"), 8, observation=observation, pixels=3)
    assert np.array_equal(hidden.reset(seed=5)[0], runs[0][0])
    assert not np.array_equal(hidden.step(np.random.default_rng(1).integers(4, size=8))[0], runs[0][1])


@pytest.mark.parametrize("name", known_families())
def test_only_walls_and_agent_remain_when_nothing_shows(name: str) -> None:
    family = small(name, visible_steps=1)
    engine = MazeEngine.from_levels(family.levels(0, count=8))
    levels = engine.levels()
    assert engine.observe()[:, FIRST_OBJECT_PLANE:].any()
    for action in range(4):
        engine.step(action)
        assert not engine.observe()[:, FIRST_OBJECT_PLANE:].any()
    assert engine.levels() == levels
    assert np.array_equal(family.optimal_returns(levels), small(name).optimal_returns(levels.played_in(small(name))))


def test_goal_and_cue_are_hidden_apart_together_with_what_looks_like_them() -> None:
    numbers = make_family("GreenExit", {"visible_steps": 3, "cue_visible_steps": 1}).visible_steps_by_type
    assert numbers == {"exit": 3, "sign": 1, "apple": 1, "red-sign": 3}
    numbers = make_family("FollowLeader", {"goal_visible_steps": 2, "beacons": 2}).visible_steps_by_type
    assert numbers == {"beacon-1": 2, "beacon-2": 2, "mark-1": 0, "mark-2": 0, "leader": 0, "misleader": 0}
    with pytest.raises(GoalmazeError, match="visible_steps is -1: choose 0 to 32768"):
        make_family("Dish", {"visible_steps": -1})


def test_people_see_hidden_objects_faintly() -> None:
    family = small("Glimpse")
    env = MazeEnv(family, render_mode="rgb_array")
    env.reset(seed=0)
    level = env.engine.present()
    goal, bare = int(level.cells("exit")[0]), level.without_goal_and_cue()
    row, column = divmod(goal, 5)

    def cell(picture: Any) -> Any:
        return picture[row * 32 : (row + 1) * 32, column * 32 : (column + 1) * 32].astype(int)

    full = cell(env.render())
    env.step(0)
    faint, empty = cell(env.render()), cell(frame(bare, 0, ABSENT))
    assert 0 < np.abs(faint - empty).max() < np.abs(full - empty).max()
    assert np.array_equal(cell(frame(level, 0, ABSENT, steps=1)), faint)


def test_the_second_goal_counts_after_the_first() -> None:
    family = make_family("Glimpse", {"size": 7, "goals": 2})
    levels = family.levels(0, count=64)
    once = make_family("Glimpse", {"size": 7}).levels(0, count=64)
    assert np.array_equal(levels.walls, once.walls)
    assert np.array_equal(levels.objects[:, :-1], once.objects)
    # Beside the exit, one step away: without the gate it neither ends the episode nor gives a reward.
    book = rulebook(family, levels, 0)
    book.agent = divmod(int(levels.cells("exit")[0]), 7)
    first = next(a for a in range(4) if book.moved(a) != book.agent)
    book.agent, back = book.moved(first), (first + 2) % 4
    assert book.step(back)[:3] == (0, 0, False)
    book.entered.add(levels.slot("gate"))
    assert book.step(first)[2] is False
    true, cue, ended, _ = book.step(back)
    assert (true, cue, ended) == (0.5, 1, True)


def test_an_engine_that_skips_steps_shows_what_standing_still_shows() -> None:
    family = small("KeysChests", visible_steps=3, goal_visible_steps=2)
    levels = family.levels(0, count=8)
    steps = np.arange(8) % 5
    skipped = MazeEngine.from_levels(levels)
    skipped.skip_to(steps)
    for b in range(8):
        waiting = MazeEngine.from_levels(levels.take([b]))
        for _ in range(steps[b]):
            waiting.step(-1)  # no action: the agent stays
        assert np.array_equal(skipped.observe()[b], waiting.observe()[0])
        assert skipped.steps[b] == waiting.steps[0]


def test_parameters_name_visibility_only_where_it_is_used() -> None:
    assert not {"visible_steps", "goal_visible_steps", "cue_visible_steps"} & make_family("Dish").parameters.keys()
    assert make_family("Dish", {"cue_visible_steps": 2}).parameters["cue_visible_steps"] == 2
    # The default of this family hides objects, so that 0 must be named.
    for steps in (0, 1):
        family = make_family("Glimpse", {"visible_steps": steps})
        assert family.parameters["visible_steps"] == steps
        assert make_family("Glimpse", family.parameters) == family
