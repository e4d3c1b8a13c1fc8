"""The compiled rules against the slow rulebook, on random levels of every family and shift."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.rulebook import Rulebook, Thing, rulebook

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.vector import MazeVectorEnv

PARAMETERS: dict[str, dict[str, Any]] = {
    "ColourShape": {"braid": 1.0},
    "Corner": {"corner": 3},
    "Dish": {"mixture": 0.5},
    "FollowLeader": {"beacons": 4, "numbered": True},
    "Glimpse": {"goals": 2, "visible_steps": 4, "cue_visible_steps": 2},
    "GreenExit": {"correlation": 0.5, "salience": 200, "shapes": True},
    "KeysChests": {"few": 1, "many": 4, "mixture": 0.5},
    "Lava": {"tiles": 3, "algorithm": "open-room"},
    "Monsters": {"apples": 2, "shields": 1, "monsters": 4, "motion": "wanders", "algorithm": "open-room"},
    "Pile": {"dishes": 4, "stay": 1},
    "Sleeper": {"honest": True, "lit": 0.7},
}
"""Parameters that exercise rules which the defaults leave unused."""

SLEEPERS: list[dict[str, Any]] = [
    {"trigger": "cell"},
    {"trigger": "counter", "lit": 0.3},
    {"trigger": "maze", "honest": True},
    {"trigger": "size", "size": 7, "benign": True},
    {"benign": True, "mixture": 0.5},
]

CASES = [
    (name, parameters, shift)
    for name, family in known_families().items()
    for parameters in [{}] + [PARAMETERS[name]] * (name in PARAMETERS)
    for shift in (NO_SHIFT, *family.shifts)
] + [("Sleeper", parameters, NO_SHIFT) for parameters in SLEEPERS]


def name_of(case: Any) -> str:
    return ",".join(map(str, case.items())) if isinstance(case, dict) else str(case)


def compare_with_rulebook(
    family: Family, levels: LevelBatch, steps: int, book: type[Rulebook] = Rulebook
) -> Counter[str]:
    """Play shuffled rows with random actions, compare each step with the rulebook, and count the events."""
    random = np.random.default_rng(len(levels))
    order = random.permutation(len(levels))
    episodes = MazeEngine.from_levels(levels.take(order))
    books = [rulebook(family, levels, b, book) for b in order]
    events: Counter[str] = Counter()
    for _ in range(steps):
        assert np.array_equal(episodes.observe(), [one.picture() for one in books])
        actions = random.integers(4, size=len(levels))
        episodes.step(actions)
        expected = [one.step(int(action)) for one, action in zip(books, actions, strict=True)]
        done = zip(*episodes.rewards.T.tolist(), episodes.terminated.tolist(), episodes.truncated.tolist(), strict=True)
        assert list(done) == expected
        assert episodes.agent.tolist() == [one.agent[0] * family.size + one.agent[1] for one in books]
        over = np.flatnonzero(episodes.done)
        events += Counter(steps=len(levels), terminated=int(episodes.terminated.sum()))
        events += Counter(truncated=int(episodes.truncated.sum()), cue=int((episodes.rewards[:, 1] > 0).sum()))
        episodes.begin(over)
        for row in over:
            books[row].begin()
    return events


@pytest.mark.parametrize(("name", "parameters", "shift"), CASES, ids=name_of)
def test_kernels_agree_with_the_rulebook_in_any_order_of_rows(name: str, parameters: dict, shift: str) -> None:
    for size, count in ((5, 9), (9, 5)):
        family = make_family(name, parameters | {"size": max(size, parameters.get("size", 0))})
        compare_with_rulebook(family, family.levels(1, range(count), shift), steps=8 * size + 8)


def test_rulebook_sees_every_event_and_twenty_thousand_steps() -> None:
    family = make_family("GreenExit", {"size": 5, "correlation": 0.5, "salience": 200})
    events = compare_with_rulebook(family, family.levels(1, range(100)), steps=200)
    assert events["steps"] >= 20_000
    assert min(events["terminated"], events["truncated"], events["cue"]) > 20


class RulebookEnvironments:
    """A vector environment made of rulebooks: each episode plays the level of its address."""

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
        expected = [book.step(int(action)) for book, action in zip(self.books, actions, strict=True)]
        return tuple(np.array(column) for column in zip(*expected, strict=True))

    def pictures(self) -> NDArray[np.uint8]:
        return np.array([book.picture() for book in self.books])


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize(("name", "parameters", "shift"), CASES, ids=name_of)
def test_vector_environments_play_by_the_rulebook(name: str, parameters: dict, shift: str, mode: AutoresetMode) -> None:
    family = make_family(name, {"size": 5} | parameters)
    seed, batch = 3, 10
    envs = MazeVectorEnv(family, batch, shift=shift, split="evaluation", autoreset_mode=mode, copy=False)
    rulebooks = RulebookEnvironments(family, shift, seed, batch)
    random = np.random.default_rng(seed)
    assert np.array_equal(envs.reset(seed=seed)[0], rulebooks.pictures())
    over = np.zeros(batch, np.bool_)
    for _ in range(60):
        actions = random.integers(4, size=batch)
        true, cue, ended, cut = rulebooks.play(actions)
        if mode == AutoresetMode.NEXT_STEP:
            rulebooks.renew(over)
            true, cue, ended, cut = (np.where(over, 0, array) for array in (true, cue, ended, cut))
        over = (ended | cut).astype(np.bool_)
        last = rulebooks.pictures()
        planes, rewards, terminated, truncated, info = envs.step(actions)
        assert rewards.tolist() == true.tolist()
        # In mode SAME_STEP, the reward of an episode's last step is in the final info alone.
        told_later = over & (mode == AutoresetMode.SAME_STEP)
        assert info["cue_reward"].tolist() == np.where(told_later, 0, cue).tolist()
        assert terminated.tolist() == ended.tolist()
        assert truncated.tolist() == cut.tolist()
        if mode == AutoresetMode.SAME_STEP:
            rulebooks.renew(over)
            assert all(np.array_equal(info["final_obs"][row], last[row]) for row in np.flatnonzero(over))
        assert np.array_equal(planes, rulebooks.pictures())
        if mode == AutoresetMode.DISABLED and over.any():
            rulebooks.renew(over)
            assert np.array_equal(envs.reset(options={"reset_mask": over})[0], rulebooks.pictures())
    envs.close()


BROKEN: dict[type[Rulebook], str] = {}
"""Rulebooks with one broken rule, each with a family whose levels show the difference."""


def breaks(family: str) -> Callable[[type[Rulebook]], type[Rulebook]]:
    def register(book: type[Rulebook]) -> type[Rulebook]:
        BROKEN[book] = family
        return book

    return register


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


@breaks("Glimpse")
class ShowsForOneStepMore(Rulebook):
    def limits(self, family: Family) -> dict[str, int]:
        return {name: limit + 1 for name, limit in super().limits(family).items()}


@breaks("KeysChests")
class NeedsNoKey(Rulebook):
    def has_effect(self, thing: Thing) -> bool:
        return self.in_turn(thing) and self.fits_lamp(thing)

    def use_item(self) -> None:
        if self.items:
            super().use_item()


@breaks("KeysChests")
class KeepsTheKey(Rulebook):
    def use_item(self) -> None:
        return


@breaks("KeysChests")
class WaitsForEveryChest(Rulebook):
    def nothing_left(self) -> bool:
        return {thing.slot for thing in self.things if thing.object_type.required} <= self.entered


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
    def fits_lamp(self, thing: Thing) -> bool:
        return thing.object_type.lamp is None or not thing.object_type.while_lit


@breaks("Sleeper")
class LampInOnePlace(Rulebook):
    def picture(self) -> NDArray[np.uint8]:
        planes = super().picture()
        planes[4, 1:] = 0
        return planes


@breaks("Monsters")
class ShieldsAreForShow(Rulebook):
    def enter(self, thing: Thing) -> None:
        items = self.items
        self.items = items if thing.object_type.gives else []
        super().enter(thing)
        self.items = items


@breaks("Monsters")
class MonstersWander(Rulebook):
    def chase(self, at: tuple[int, int]) -> int:
        return self.rng.below(4)


@breaks("Monsters")
class AcrossFirst(Rulebook):
    def chase(self, at: tuple[int, int]) -> int:
        down, right = self.agent[0] - at[0], self.agent[1] - at[1]
        return super().chase(at) if abs(down) != abs(right) else 1 if right > 0 else 3


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_rulebook_with_one_broken_rule_disagrees(broken: type[Rulebook]) -> None:
    parameters: dict[str, Any] = {"correlation": 0.0} if BROKEN[broken] == "GreenExit" else {}
    family = make_family(BROKEN[broken], parameters | {"size": 7, "algorithm": "open-room"})
    levels = family.levels(3, range(12))
    compare_with_rulebook(family, levels, steps=80)
    with pytest.raises(AssertionError):
        compare_with_rulebook(family, levels, steps=80, book=broken)


def test_wandering_monsters_wander_alike_on_equal_levels_and_differently_on_others() -> None:
    family = make_family("Monsters", {"motion": "wanders", "algorithm": "open-room", "monsters": 1, "apples": 1})
    levels = family.levels(0, [5, 9, 5])
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
"""A symmetry of planes [..., H, W], and the action that each of the four actions becomes under it."""

RESTING = [case for case in CASES if case[0] not in ("FollowLeader", "Monsters") or case[2].startswith("no-")]
RESTING = [case for case in RESTING if case[2] != "no-shields"]
"""Cases in which nothing moves but the agent."""


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(RESTING),
    st.sampled_from(list(TURNS)),
    st.integers(0, 2**31),
    st.lists(st.integers(0, 3), max_size=60),
)
def test_turning_a_level_turns_what_happens(case: Any, turn: str, seed: int, actions: list[int]) -> None:
    (name, parameters, shift), (turned, becomes) = case, TURNS[turn]
    family = make_family(name, {"size": 5} | parameters)
    levels = family.levels(seed, [0], shift)
    cells = turned(np.arange(family.size**2).reshape(family.size, family.size)).ravel()
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
