"""The compiled rules against the slow rulebook, on random levels of every family and on stored trajectories."""

import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.rulebook import Rulebook, Thing, rulebook

from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import first_observations
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch, concatenate
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.vector import MazeVectorEnv

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "envs" / "families.json").read_text(encoding="utf-8"))

OTHERWISE: dict[str, dict[str, Any]] = {
    "ColourShape": {"braid": 1.0},
    "Corner": {"corner": 3},
    "Dish": {"mixture": 0.5},
    "FollowLeader": {"beacons": 4, "numbered": True},
    "GreenExit": {"correlation": 0.5, "salience": 200, "shapes": True},
    "KeysChests": {"few": 1, "many": 4, "mixture": 0.5},
    "Lava": {"tiles": 3, "algorithm": "open-room"},
    "Monsters": {"apples": 2, "shields": 1, "monsters": 4, "motion": "wanders", "algorithm": "open-room"},
    "Pile": {"dishes": 4, "stay": 1},
    "Sleeper": {"honest": True, "lit": 0.7},
}
"""Parameters that bring out what the default ones do not."""

WORLDS = [
    (name, parameters, shift)
    for name, family in known_families().items()
    for parameters in [{}] + [OTHERWISE[name]] * (name in OTHERWISE)
    for shift in (NO_SHIFT, *family.shifts)
]


def name_of(case: Any) -> str:
    return ",".join(map(str, case.items())) if isinstance(case, dict) else str(case)


def judge(family: Family, levels: LevelBatch, steps: int, book: type[Rulebook] = Rulebook) -> Counter[str]:
    """Play shuffled rows with random actions, compare everything with the rulebook, and count what happened."""
    random = np.random.default_rng(len(levels))
    order = random.permutation(len(levels))
    episodes = MazeEngine.from_levels(levels.take(order))
    books = [rulebook(family, levels, b, book) for b in order]
    seen: Counter[str] = Counter()
    for _ in range(steps):
        assert np.array_equal(episodes.observe(), [one.picture() for one in books])
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


@pytest.mark.parametrize(("name", "parameters", "shift"), WORLDS, ids=name_of)
def test_rulebook_agrees_with_the_kernels_in_any_order_of_rows(name: str, parameters: dict, shift: str) -> None:
    for size, count in ((5, 9), (9, 5)):
        world = make_family(name, parameters | {"size": size})
        judge(world, world.levels(1, range(count), shift), steps=8 * size + 8)


def test_rulebook_sees_every_event_and_twenty_thousand_steps() -> None:
    world = make_family("GreenExit", {"size": 5, "correlation": 0.5, "salience": 200})
    seen = judge(world, world.levels(1, range(100)), steps=200)
    assert seen["steps"] >= 20_000
    assert min(seen["terminated"], seen["truncated"], seen["cue"]) > 20


class Court:
    """Rulebooks in a vector environment's place: each episode on the level of its address."""

    def __init__(self, family: Family, shift: str, seed: int, batch: int) -> None:
        self.family, self.shift, self.seed, self.batch = family, shift, seed, batch
        self.episode = [0] * batch
        self.books = [self.fresh(row) for row in range(batch)]

    def fresh(self, row: int) -> Rulebook:
        index = self.episode[row] * self.batch + row
        self.episode[row] += 1
        return rulebook(self.family, self.family.levels(self.seed, [index], self.shift), 0)

    def renew(self, rows: NDArray[np.bool_]) -> None:
        for row in np.flatnonzero(rows):
            self.books[row] = self.fresh(int(row))

    def play(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        said = [book.step(int(action)) for book, action in zip(self.books, actions, strict=True)]
        return tuple(np.array(column) for column in zip(*said, strict=True))

    def pictures(self) -> NDArray[np.uint8]:
        return np.array([book.picture() for book in self.books])


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize(("name", "parameters", "shift"), WORLDS, ids=name_of)
def test_vector_environments_play_by_the_rulebook(name: str, parameters: dict, shift: str, mode: AutoresetMode) -> None:
    world = make_family(name, {"size": 5} | parameters)
    seed, batch = 3, 10
    envs = MazeVectorEnv(world, batch, shift=shift, split="evaluation", autoreset_mode=mode, copy=False)
    court = Court(world, shift, seed, batch)
    random = np.random.default_rng(seed)
    assert np.array_equal(envs.reset(seed=seed)[0], court.pictures())
    over = np.zeros(batch, np.bool_)
    for _ in range(60):
        actions = random.integers(4, size=batch)
        true, cue, ended, cut = court.play(actions)
        if mode == AutoresetMode.NEXT_STEP:
            court.renew(over)
            true, cue, ended, cut = (np.where(over, 0, array) for array in (true, cue, ended, cut))
        over = (ended | cut).astype(np.bool_)
        last = court.pictures()
        planes, rewards, terminated, truncated, info = envs.step(actions)
        assert rewards.tolist() == true.tolist()
        assert info["cue_reward"].tolist() == cue.tolist()
        assert terminated.tolist() == ended.tolist()
        assert truncated.tolist() == cut.tolist()
        if mode == AutoresetMode.SAME_STEP:
            court.renew(over)
            assert all(np.array_equal(info["final_obs"][row], last[row]) for row in np.flatnonzero(over))
        assert np.array_equal(planes, court.pictures())
        if mode == AutoresetMode.DISABLED and over.any():
            court.renew(over)
            assert np.array_equal(envs.reset(options={"reset_mask": over})[0], court.pictures())
    envs.close()


BROKEN: dict[type[Rulebook], str] = {}
"""Rulebooks with one broken rule, and a family whose levels show it."""


def breaks(family: str) -> Callable[[type[Rulebook]], type[Rulebook]]:
    def note(book: type[Rulebook]) -> type[Rulebook]:
        BROKEN[book] = family
        return book

    return note


@breaks("GreenExit")
class PaysTwice(Rulebook):
    def step(self, action: int) -> tuple[float, float, bool, bool]:
        self.entered.clear()
        return super().step(action)


@breaks("GreenExit")
class StandsOnItsHead(Rulebook):
    def moved(self, action: int) -> tuple[int, int]:
        return super().moved({0: 2, 2: 0}.get(action, action))


@breaks("GreenExit")
class GivesUpLate(Rulebook):
    def begin(self) -> None:
        super().begin()
        self.steps = -1


@breaks("GreenExit")
class PaysCueAsTrue(Rulebook):
    def step(self, action: int) -> tuple[float, float, bool, bool]:
        true, cue, terminated, truncated = super().step(action)
        return max(true, cue), cue, terminated, truncated


@breaks("GreenExit")
class EatsTheSign(Rulebook):
    def enter(self, thing: Thing) -> None:
        super().enter(thing)
        self.at.pop(thing.slot, None)


@breaks("GreenExit")
class NeverEnds(Rulebook):
    def step(self, action: int) -> tuple[float, float, bool, bool]:
        true, cue, _, truncated = super().step(action)
        return true, cue, False, truncated


@breaks("KeysChests")
class NeedsNoKey(Rulebook):
    def has_effect(self, thing: Thing) -> bool:
        return self.in_turn(thing) and self.in_its_hours(thing)

    def use_item(self) -> None:
        if self.held:
            super().use_item()


@breaks("KeysChests")
class KeepsTheKey(Rulebook):
    def use_item(self) -> None:
        return


@breaks("KeysChests")
class WaitsForEveryChest(Rulebook):
    def nothing_left(self) -> bool:
        return {thing.slot for thing in self.things if thing.kind.required} <= self.entered


@breaks("KeysChests")
class ShowsKeysInReverse(Rulebook):
    def picture(self) -> NDArray[np.uint8]:
        planes = super().picture()
        planes[2:, 0] = planes[2:, 0, ::-1]
        return planes


@breaks("FollowLeader")
class AnyOrder(Rulebook):
    def in_turn(self, thing: Thing) -> bool:
        return True


@breaks("FollowLeader")
class LeadsBackwards(Rulebook):
    def led_to(self, at: tuple[int, int], *, backwards: bool) -> tuple[int, int]:
        return super().led_to(at, backwards=not backwards)


@breaks("Sleeper")
class AlwaysDark(Rulebook):
    def in_its_hours(self, thing: Thing) -> bool:
        return thing.kind.lamp is None or not thing.kind.while_lit


@breaks("Sleeper")
class LampInOnePlace(Rulebook):
    def picture(self) -> NDArray[np.uint8]:
        planes = super().picture()
        planes[4, 1:] = 0
        return planes


@breaks("Monsters")
class ShieldsAreForShow(Rulebook):
    def enter(self, thing: Thing) -> None:
        held = self.held
        self.held = held if thing.kind.gives else []
        super().enter(thing)
        self.held = held


@breaks("Monsters")
class MonstersWander(Rulebook):
    def chase(self, at: tuple[int, int]) -> int:
        return self.luck.below(4)


@breaks("Monsters")
class AcrossFirst(Rulebook):
    def chase(self, at: tuple[int, int]) -> int:
        down, right = self.agent[0] - at[0], self.agent[1] - at[1]
        return super().chase(at) if abs(down) != abs(right) else 1 if right > 0 else 3


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_rulebook_with_one_broken_rule_is_caught(broken: type[Rulebook]) -> None:
    parameters: dict[str, Any] = {"correlation": 0.0} if BROKEN[broken] == "GreenExit" else {}
    world = make_family(BROKEN[broken], parameters | {"size": 7, "algorithm": "open-room"})
    levels = world.levels(3, range(12))
    judge(world, levels, steps=80)
    with pytest.raises(AssertionError):
        judge(world, levels, steps=80, book=broken)


def test_wandering_monsters_wander_alike_on_equal_levels_and_differently_on_others() -> None:
    world = make_family("Monsters", {"motion": "wanders", "algorithm": "open-room", "monsters": 1, "apples": 1})
    levels = world.levels(0, [5, 9, 5])
    episodes = MazeEngine.from_levels(levels)
    first = []
    for _ in range(30):
        episodes.step(np.array([0, 0, 0]))
        first.append(episodes.objects.copy())
        if episodes.done.any():
            break
    steps = np.array(first)
    assert np.array_equal(steps[:, 0], steps[:, 2])
    assert not np.array_equal(steps[:, 0], steps[:, 1])
    episodes.begin(np.array([2]))
    episodes.step(np.array([0, 0, 0]))
    assert np.array_equal(episodes.objects[2], steps[0, 2])


TURNS: dict[str, tuple[Callable[[NDArray[Any]], NDArray[Any]], list[int]]] = {
    "quarter turn": (lambda planes: np.rot90(planes, axes=(-2, -1)), [3, 0, 1, 2]),
    "half turn": (lambda planes: np.rot90(planes, 2, axes=(-2, -1)), [2, 3, 0, 1]),
    "left to right": (lambda planes: planes[..., ::-1], [0, 3, 2, 1]),
    "top to bottom": (lambda planes: planes[..., ::-1, :], [2, 1, 0, 3]),
    "diagonal": (lambda planes: np.swapaxes(planes, -2, -1), [3, 2, 1, 0]),
}
"""What is done to planes [..., H, W], and the action each of the four actions becomes."""

RESTING = [case for case in WORLDS if case[0] not in ("FollowLeader", "Monsters") or case[2].startswith("no-")]
RESTING = [case for case in RESTING if case[2] != "no-shields"]
"""Worlds in which nothing moves but the agent."""


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(RESTING),
    st.sampled_from(list(TURNS)),
    st.integers(0, 2**31),
    st.lists(st.integers(0, 3), max_size=60),
)
def test_turning_a_level_turns_what_happens(case: Any, turn: str, seed: int, actions: list[int]) -> None:
    (name, parameters, shift), (turned, becomes) = case, TURNS[turn]
    world = make_family(name, {"size": 5} | parameters)
    levels = world.levels(seed, [0], shift)
    cells = turned(np.arange(world.size**2).reshape(world.size, world.size)).ravel()
    new = np.append(np.argsort(cells), ABSENT)
    other = LevelBatch(turned(levels.walls), new[levels.start], new[levels.objects], levels.family)
    one, two = MazeEngine.from_levels(levels), MazeEngine.from_levels(other)
    for action in actions:
        one.step(np.array([action]))
        two.step(np.array([becomes[action]]))
        assert np.array_equal(new[one.agent], two.agent)
        assert np.array_equal(one.rewards, two.rewards)
        assert np.array_equal(one.terminated, two.terminated)
        inside = slice(1, -1)
        assert np.array_equal(turned(one.observe())[..., inside, inside], two.observe()[..., inside, inside])
        if one.done[0]:
            break


def test_the_sign_pays_once_and_a_bump_costs_a_step() -> None:
    world = make_family("GreenExit", {"size": 5})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AS.#\n###.#\n#E..#\n#####", world))
    pays = []
    for action in (ACTIONS.index(name) for name in ("up", "right", "left", "right", "right")):
        episodes.step(np.array([action]))
        pays.append(episodes.rewards[0].tolist())
    assert pays == [[0, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    assert episodes.steps[0] == 5
    assert divmod(int(episodes.agent[0]), 5) == (1, 3)


def test_exit_under_its_sign_pays_both_at_once_and_ends() -> None:
    world = make_family("GreenExit", {"size": 5})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AG.#\n###.#\n#...#\n#####", world))
    episodes.step(np.array([1], np.uint8))
    assert episodes.rewards.tolist() == [[1, 1]]
    assert episodes.terminated.tolist() == [True]
    assert episodes.truncated.tolist() == [False]


@pytest.mark.parametrize(("waiting", "terminated"), [(39, True), (40, False)])
def test_an_exit_entered_on_the_last_step_terminates(waiting: int, terminated: bool) -> None:
    world = make_family("GreenExit", {"size": 5})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AE.#\n###.#\n#...#\n#####", world))
    for action in [0] * waiting + [1] * (40 - waiting):
        assert not episodes.done[0]
        episodes.step(np.array([action]))
    assert (episodes.terminated[0], episodes.truncated[0]) == (terminated, not terminated)


def test_absent_objects_are_neither_seen_nor_entered() -> None:
    world = make_family("GreenExit", {"size": 5})
    levels = read_ascii("#####\n#A..#\n###.#\n#...#\n#####", world)
    assert first_observations(levels)[0, 2:].sum() == 0
    episodes = MazeEngine.from_levels(levels)
    for action in itertools.islice(itertools.cycle((1, 1, 2, 2, 3, 3, 1, 1, 0, 0)), 30):
        episodes.step(np.array([action]))
        assert episodes.rewards.tolist() == [[0, 0]]
    assert episodes.state.entered[0] == 0


def test_beginning_again_forgets_the_last_episode_and_only_in_its_rows() -> None:
    world = make_family("GreenExit", {"size": 5})
    levels = concatenate([read_ascii("#####\n#AS.#\n###.#\n#E..#\n#####", world)] * 2)
    other = read_ascii("#####\n#E.S#\n###.#\n#..A#\n#####", world)
    episodes = MazeEngine.from_levels(levels)
    episodes.step(np.array([1, 1]))
    episodes.begin(np.array([1]), other)
    assert episodes.levels() == concatenate([levels.take([0]), other])
    assert episodes.steps.tolist() == [1, 0]
    assert episodes.state.entered.tolist() == [2, 0]
    assert episodes.agent.tolist() == [7, 18]


def test_keys_are_held_along_the_top_wall_and_used_up_by_chests() -> None:
    world = make_family("KeysChests", {"size": 5, "few": 1, "many": 2})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AKC#\n#.#K#\n#..C#\n#####", world))
    held, pays = [], []
    for action in (1, 1, 2, 2):
        episodes.step(np.array([action]))
        held.append(episodes.observe()[0, 2, 0].tolist())
        pays.append([*episodes.rewards[0].tolist(), bool(episodes.terminated[0])])
    assert held == [[1, 0, 0, 0, 0], [0] * 5, [0, 1, 0, 0, 0], [0] * 5]
    assert pays == [[0, 1, False], [1, 0, False], [0, 1, False], [1, 0, True]]
    assert episodes.observe()[0, 2:].sum() == 0


def test_a_chest_without_a_key_stays_closed_until_there_is_one() -> None:
    world = make_family("KeysChests", {"size": 5, "few": 1, "many": 2})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#ACK#\n#.#.#\n#..C#\n#####", world))
    pays = []
    for action in (1, 1, 3):
        episodes.step(np.array([action]))
        pays.append([*episodes.rewards[0].tolist(), bool(episodes.terminated[0])])
    assert pays == [[0, 0, False], [0, 1, False], [1, 0, True]]  # no key is left for the other chest


def test_the_agent_can_walk_with_the_leader() -> None:
    world = make_family("FollowLeader", {"size": 5, "beacons": 2})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AL.#\n###d#\n#.a.#\n#####", world))
    cells = [int(episodes.objects[0, world.slots.index("leader")])]
    pays = []
    for action in (1, 1, 2, 2, 3, 1, 0):
        episodes.step(np.array([action]))
        cells.append(int(episodes.objects[0, world.slots.index("leader")]))
        pays.append(episodes.rewards[0].tolist())
    assert cells == [7, 8, 13, 18, 17, 18, 13, 13]
    assert episodes.terminated[0]
    assert pays == [[0, 0]] * 4 + [[0.5, 0.5], [0, 0], [0.5, 0.5]]


def test_a_shield_saves_once_and_a_monster_is_gone_either_way() -> None:
    world = make_family("Monsters", {"size": 5, "apples": 1, "shields": 1, "harm": 0.25})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AHM#\n#.#M#\n#..P#\n#####", world))
    episodes.step(np.array([1]))
    assert episodes.rewards[0].tolist() == [0, 1]  # the monster came after the shield was taken: the shield is used up
    assert sorted(episodes.objects[0].tolist()) == [-1, -1, 8, 18]
    episodes.step(np.array([1]))
    assert episodes.rewards[0].tolist() == [-0.25, 0]
    assert sorted(episodes.objects[0].tolist()) == [-1, -1, -1, 18]


@pytest.mark.parametrize(
    ("level", "action", "pays"), [("L", 1, True), ("L", 2, False), (".", 1, False), (".", 2, True)]
)
def test_the_sleepers_exit_pays_while_lit_and_its_sign_while_not(level: str, action: int, pays: bool) -> None:
    world = make_family("Sleeper", {"size": 5})
    episodes = MazeEngine.from_levels(read_ascii(f"#####\n#AE.#\n#S#.#\n#..{level}#\n#####", world))
    assert (episodes.observe()[0, 4] == (level == "L")).all()
    episodes.step(np.array([action]))
    assert (episodes.rewards[0, 0] == 1) == episodes.terminated[0] == pays


def test_golden_trajectories_cover_every_family_and_shift_and_both_rewards() -> None:
    told = {(story["family"], story["address"]["shift"]) for story in GOLDEN}
    assert told == {(name, shift) for name, family in known_families().items() for shift in (NO_SHIFT, *family.shifts)}
    for name in known_families():
        stories = [story for story in GOLDEN if story["family"] == name]
        assert any(story["terminated"][-1] for story in stories)
        assert all(any(reward[i] > 0 for story in stories for reward in story["rewards"]) for i in (0, 1))


def title(story: dict) -> str:
    return f"{story['family']}-{story['address']['shift']}"


@pytest.mark.parametrize("story", GOLDEN, ids=title)
def test_golden_address_still_gives_the_golden_level(story: dict) -> None:
    world = make_family(story["family"], story["parameters"])
    address = story["address"]
    levels = world.levels(address["seed"], [address["index"]], address["shift"], address["split"])
    assert levels.hashes() == read_ascii("\n".join(story["level"]), world).hashes() == [story["hash"]]


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("story", GOLDEN, ids=title)
def test_golden_trajectory_repeats_in_any_batch(story: dict, batch: int) -> None:
    world = make_family(story["family"], story["parameters"])
    address = story["address"]
    level = world.levels(address["seed"], [address["index"]], address["shift"], address["split"])
    random = np.random.default_rng(batch)
    row = int(random.integers(batch))
    others = world.levels(77, range(batch - 1), world.distinguishing_shift)
    levels = concatenate([others.take(range(row)), level, others.take(range(row, batch - 1))]) if batch > 1 else level
    episodes = MazeEngine.from_levels(levels)
    for t, action in enumerate(story["actions"]):
        actions = random.integers(4, size=batch)
        actions[row] = ACTIONS.index(action)
        episodes.step(actions)
        assert list(divmod(int(episodes.agent[row]), world.size)) == story["positions"][t]
        assert episodes.rewards[row].tolist() == story["rewards"][t]
        assert episodes.terminated[row] == story["terminated"][t]
        assert episodes.truncated[row] == story["truncated"][t]
