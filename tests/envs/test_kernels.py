"""The compiled rules against the slow rulebook, on random levels and on stored trajectories."""

import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from oracles.rulebook import Rulebook, rulebook

from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.episodes import Episodes, first_observations
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.families.base import NO_SHIFT, Family
from goalmaze.envs.kernels import ACTIONS
from goalmaze.envs.levels import LevelBatch, concatenate

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "envs" / "green_exit.json").read_text(encoding="utf-8"))
WORLDS = [(family, shift) for name, family in known_families().items() for shift in (NO_SHIFT, *family.shifts)]


def judge(family: Family, levels: LevelBatch, steps: int, book: type[Rulebook] = Rulebook) -> Counter[str]:
    """Play shuffled rows with random actions, compare everything with the rulebook, and count what happened."""
    random = np.random.default_rng(len(levels))
    order = random.permutation(len(levels))
    episodes = Episodes(family, levels.take(order))
    books = [rulebook(family, levels, b, book) for b in order]
    seen: Counter[str] = Counter()
    for _ in range(steps):
        assert episodes.observe().tolist() == [one.observe() for one in books]
        actions = random.integers(4, size=len(levels))
        episodes.step(actions)
        said = [one.step(int(action)) for one, action in zip(books, actions, strict=True)]
        done = zip(*episodes.rewards.T.tolist(), episodes.terminated.tolist(), episodes.truncated.tolist(), strict=True)
        assert list(done) == said
        assert episodes.agent.tolist() == [one.agent[0] * family.size + one.agent[1] for one in books]
        over = np.flatnonzero(episodes.done)
        seen += Counter(steps=len(levels), terminated=int(episodes.terminated.sum()))
        seen += Counter(truncated=int(episodes.truncated.sum()), cue=int((episodes.rewards[:, 1] > 0).sum()))
        episodes.begin(over)
        for row in over:
            books[row].begin()
    return seen


@pytest.mark.parametrize(("family", "shift"), WORLDS)
def test_rulebook_agrees_with_the_kernels(family: type[Family], shift: str) -> None:
    seen: Counter[str] = Counter()
    for size in (5, 9, 13):
        world = family(size=size)
        seen += judge(world, world.levels(size, range(16), shift), steps=110)
    assert seen["steps"] >= 5000
    assert seen["terminated"] > 0
    assert seen["truncated"] > 0


def test_rulebook_sees_every_event_and_twenty_thousand_steps() -> None:
    world = make_family("GreenExit", {"size": 5, "correlation": 0.5, "salience": 200})
    seen = judge(world, world.levels(1, range(100)), steps=200)
    assert seen["steps"] >= 20_000
    assert min(seen["terminated"], seen["truncated"], seen["cue"]) > 20


class PaysTwice(Rulebook):
    def step(self, action: int) -> tuple[float, float, bool, bool]:
        self.entered.clear()
        return super().step(action)


class StandsOnItsHead(Rulebook):
    def moved(self, action: int) -> tuple[int, int]:
        return super().moved({0: 2, 2: 0}.get(action, action))


class GivesUpLate(Rulebook):
    def begin(self) -> None:
        super().begin()
        self.steps = -1


class PaysCueAsTrue(Rulebook):
    def step(self, action: int) -> tuple[float, float, bool, bool]:
        true, cue, terminated, truncated = super().step(action)
        return max(true, cue), cue, terminated, truncated


class EatsTheSign(Rulebook):
    def observe(self) -> list[list[list[int]]]:
        everything = self.things
        self.things = [thing for thing in everything if thing not in self.entered]
        planes = super().observe()
        self.things = everything
        return planes


class NeverEnds(Rulebook):
    def step(self, action: int) -> tuple[float, float, bool, bool]:
        true, cue, _, truncated = super().step(action)
        return true, cue, False, truncated


@pytest.mark.parametrize("broken", Rulebook.__subclasses__())
def test_a_rulebook_with_one_broken_rule_is_caught(broken: type[Rulebook]) -> None:
    world = make_family("GreenExit", {"size": 5, "correlation": 0.0})
    levels = world.levels(3, range(30))
    judge(world, levels, steps=60)
    with pytest.raises(AssertionError):
        judge(world, levels, steps=60, book=broken)


def test_the_sign_pays_once_and_a_bump_costs_a_step() -> None:
    world = make_family("GreenExit", {"size": 5})
    episodes = Episodes(world, read_ascii("#####\n#AS.#\n###.#\n#E..#\n#####", world))
    pays = []
    for action in (ACTIONS.index(name) for name in ("up", "right", "left", "right", "right")):
        episodes.step(np.array([action]))
        pays.append(episodes.rewards[0].tolist())
    assert pays == [[0, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    assert episodes.steps[0] == 5
    assert divmod(int(episodes.agent[0]), 5) == (1, 3)


def test_exit_under_its_sign_pays_both_at_once_and_ends() -> None:
    world = make_family("GreenExit", {"size": 5})
    episodes = Episodes(world, read_ascii("#####\n#AG.#\n###.#\n#...#\n#####", world))
    episodes.step(np.array([1], np.uint8))
    assert episodes.rewards.tolist() == [[1, 1]]
    assert episodes.terminated.tolist() == [True]
    assert episodes.truncated.tolist() == [False]


@pytest.mark.parametrize(("waiting", "terminated"), [(39, True), (40, False)])
def test_an_exit_entered_on_the_last_step_terminates(waiting: int, terminated: bool) -> None:
    world = make_family("GreenExit", {"size": 5})
    episodes = Episodes(world, read_ascii("#####\n#AE.#\n###.#\n#...#\n#####", world))
    for action in [0] * waiting + [1] * (40 - waiting):
        assert not episodes.done[0]
        episodes.step(np.array([action]))
    assert (episodes.terminated[0], episodes.truncated[0]) == (terminated, not terminated)


def test_absent_objects_are_neither_seen_nor_entered() -> None:
    world = make_family("GreenExit", {"size": 5})
    levels = read_ascii("#####\n#A..#\n###.#\n#...#\n#####", world)
    assert first_observations(world, levels)[0, 2:].sum() == 0
    episodes = Episodes(world, levels)
    for action in itertools.islice(itertools.cycle((1, 1, 2, 2, 3, 3, 1, 1, 0, 0)), 30):
        episodes.step(np.array([action]))
        assert episodes.rewards.tolist() == [[0, 0]]
    assert episodes.touched[0] == 0


def test_beginning_again_forgets_the_last_episode_and_only_in_its_rows() -> None:
    world = make_family("GreenExit", {"size": 5})
    levels = concatenate([read_ascii("#####\n#AS.#\n###.#\n#E..#\n#####", world)] * 2)
    other = read_ascii("#####\n#E.S#\n###.#\n#..A#\n#####", world)
    episodes = Episodes(world, levels)
    episodes.step(np.array([1, 1]))
    episodes.begin(np.array([1]), other)
    assert episodes.levels() == concatenate([levels.take([0]), other])
    assert episodes.steps.tolist() == [1, 0]
    assert episodes.touched.tolist() == [2, 0]
    assert episodes.agent.tolist() == [7, 18]


def test_golden_trajectories_cover_every_shift_and_both_rewards() -> None:
    assert {story["address"]["shift"] for story in GOLDEN} == {NO_SHIFT, *known_families()["GreenExit"].shifts}
    assert all(story["terminated"][-1] for story in GOLDEN)
    assert any([0.0, 1.0] in story["rewards"] for story in GOLDEN)


@pytest.mark.parametrize("story", GOLDEN, ids=lambda story: story["address"]["shift"])
def test_golden_address_still_gives_the_golden_level(story: dict) -> None:
    world = make_family(story["family"], story["parameters"])
    address = story["address"]
    levels = world.levels(address["seed"], [address["index"]], address["shift"], address["split"])
    assert levels.hashes() == read_ascii("\n".join(story["level"]), world).hashes() == [story["hash"]]


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("story", GOLDEN, ids=lambda story: story["address"]["shift"])
def test_golden_trajectory_repeats_in_any_batch(story: dict, batch: int) -> None:
    world = make_family(story["family"], story["parameters"])
    level = read_ascii("\n".join(story["level"]), world)
    random = np.random.default_rng(batch)
    row = int(random.integers(batch))
    others = world.levels(77, range(batch - 1), "two-signs")
    levels = concatenate([others.take(range(row)), level, others.take(range(row, batch - 1))]) if batch > 1 else level
    episodes = Episodes(world, levels)
    for t, action in enumerate(story["actions"]):
        actions = random.integers(4, size=batch)
        actions[row] = ACTIONS.index(action)
        episodes.step(actions)
        assert list(divmod(int(episodes.agent[row]), world.size)) == story["positions"][t]
        assert episodes.rewards[row].tolist() == story["rewards"][t]
        assert episodes.terminated[row] == story["terminated"][t]
        assert episodes.truncated[row] == story["truncated"][t]
