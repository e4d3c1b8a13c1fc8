"""Every family's levels are what its training distribution, its shifts and its best returns say."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.paths import all_distances
from oracles.rulebook import Rulebook, rulebook
from oracles.slots import Slots

from goalmaze.envs.ascii import letters_of, read_ascii, write_ascii
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.families.corner import Corner
from goalmaze.envs.families.follow_leader import FollowLeader
from goalmaze.envs.families.keys_chests import KeysChests
from goalmaze.envs.families.lava import Lava
from goalmaze.envs.families.monsters import Monsters
from goalmaze.envs.families.pile import Pile
from goalmaze.envs.families.sleeper import Sleeper
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import NO_SHIFT, SPLITS, Family, LevelBatch
from goalmaze.envs.mazes.carving import ALGORITHMS
from goalmaze.envs.optimal_returns import best_returns
from goalmaze.envs.rendering import SHAPES
from goalmaze.envs.solving import distances, pick

FAMILIES = known_families()
SHIFTS = [(name, shift) for name, family in FAMILIES.items() for shift in (NO_SHIFT, *family.shifts)]
COUNT = 300

OKABE_ITO = {
    *((0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115)),
    *((240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)),
}

GOALLESS = {("ColourShape", "yellow-gem-only")}
"""Worlds without the goal."""


def cells_of(levels: LevelBatch, kind: str) -> NDArray[np.int32]:
    """Cells [B, n] of all slots of a kind."""
    return levels.objects[:, [k for k, name in enumerate(levels.slots) if name == kind]]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("name", "shift"), SHIFTS)
def test_every_level_follows_the_rules_and_can_be_solved(name: str, shift: str, algorithm: str) -> None:
    for size in (5, 7, 11):
        world = make_family(name, {"size": size, "algorithm": algorithm})
        levels = world.levels(1, range(60), shift)
        levels.check()
        if (name, shift) not in GOALLESS:
            assert (pick(distances(levels, levels.start), levels.cells(world.goal)) < UNREACHABLE).all()
        assert read_ascii(write_ascii(levels), world).hashes() == levels.hashes()


@pytest.mark.parametrize(("name", "shift"), SHIFTS)
def test_an_address_gives_the_same_level_in_any_batch_and_order(name: str, shift: str) -> None:
    world = make_family(name)
    levels = world.levels(4, range(COUNT), shift)
    order = np.random.default_rng(0).permutation(COUNT)
    assert world.levels(4, order, shift) == levels.take(order)
    assert world.levels(4, [17], shift) == levels.take([17])
    others = [world.levels(seed, range(COUNT), shift, split) for seed, split in [(5, SPLITS[2]), (4, SPLITS[0])]]
    assert len({hash_ for one in (levels, *others) for hash_ in one.hashes()}) > 2.95 * COUNT


@pytest.mark.parametrize(("name", "shift"), SHIFTS)
def test_a_shift_keeps_maze_and_start_and_changes_the_objects(name: str, shift: str) -> None:
    world = make_family(name)
    training, shifted = world.levels(6, range(COUNT)), world.levels(6, range(COUNT), shift)
    assert np.array_equal(training.walls, shifted.walls)
    assert np.array_equal(training.start, shifted.start)
    assert (training.hashes() == shifted.hashes()) == (shift == NO_SHIFT)


@pytest.mark.parametrize("name", FAMILIES)
def test_goal_and_cue_never_share_a_cell_under_the_distinguishing_shift(name: str) -> None:
    for size, algorithm in itertools.product((5, 9), ALGORITHMS):
        world = make_family(name, {"size": size, "algorithm": algorithm})
        levels = world.levels(2, range(COUNT), world.distinguishing_shift)
        goals, cues = cells_of(levels, world.goal), cells_of(levels, world.cue)
        assert (goals[:, 0] != ABSENT).all()
        assert not ((goals[:, :, None] == cues[:, None, :]) & (goals[:, :, None] != ABSENT)).any()
        if (name, size) != ("Lava", 5) and algorithm != "percolation":
            assert (cues[:, 0] != ABSENT).mean() > 0.95


@pytest.mark.parametrize("name", ["ColourShape", "Corner", "Dish", "FollowLeader", "GreenExit", "Pile"])
def test_goal_and_cue_share_a_cell_in_training(name: str) -> None:
    levels = make_family(name).levels(2, range(COUNT))
    assert np.array_equal(levels.cells(FAMILIES[name].goal), levels.cells(FAMILIES[name].cue))


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_mixture_is_the_fraction_of_training_levels_from_the_distinguishing_shift(
    name: str, fraction: float
) -> None:
    count = 2000
    pure, mixed = make_family(name), make_family(name, {"mixture": fraction})
    training, shifted = (
        pure.levels(3, range(count)).objects,
        pure.levels(3, range(count), pure.distinguishing_shift).objects,
    )
    levels = mixed.levels(3, range(count))
    differ = (training != shifted).any(axis=1)
    from_shift = (levels.objects == shifted).all(axis=1)
    assert (from_shift | (levels.objects == training).all(axis=1)).all()
    bound = 4.5 * np.sqrt(differ.sum() * fraction * (1 - fraction))
    assert abs(int((from_shift & differ).sum()) - differ.sum() * fraction) <= bound
    for shift in pure.shifts:
        assert mixed.levels(3, range(50), shift) == pure.levels(3, range(50), shift)


@pytest.mark.parametrize("name", FAMILIES)
def test_looks_are_known_and_letters_belong_to_one_thing(name: str) -> None:
    for world in (make_family(name), *([make_family(name, {"shapes": True})] if name == "GreenExit" else [])):
        object_types = {kind.name for kind in world.object_types}
        assert {kind.shape for kind in world.object_types} <= set(SHAPES)
        assert {kind.colour for kind in world.object_types} <= OKABE_ITO
        letters = [kind.letter for kind in world.object_types] + list(world.stacked_glyphs)
        assert len(set(letters)) == len(letters) == len(letters_of(world))
        assert not set(letters) & set("#.A")
        assert len({tuple(sorted(stack)) for stack in letters_of(world).values()}) == len(letters)
        assert {kind for stack in world.stacked_glyphs.values() for kind in stack} <= object_types
        assert set(world.slots) <= object_types >= {world.goal, world.cue}
        assert world.distinguishing_shift in world.shifts
        assert len(world.slots) <= 64
        items = [
            k for k, slot in enumerate(world.slots) for kind in world.object_types if kind.name == slot and kind.gives
        ]
        assert items == list(range(len(items)))
        assert len(items) <= world.size


ALIKE = {
    "FollowLeader": [
        {"beacon-1", "beacon-2", "beacon-3"},
        {"leader", "misleader"},
        {"mark-1", "mark-2", "mark-3", None},
    ],
    "Glimpse": [{"apple", "sign"}, {"red-sign", None}],
    "GreenExit": [{"apple", "sign"}, {"red-sign", None}],
    "Corner": [{"corner", None}],
}
"""Kinds that look alike on the planes on purpose, some of them like nothing at all."""


@pytest.mark.parametrize("name", FAMILIES)
def test_what_differs_between_kinds_shows(name: str) -> None:
    world = make_family(name, {"size": 5})
    bare = read_ascii("#####\n#A..#\n#.#.#\n#...#\n#####", world)
    looks: dict[str | None, bytes] = {None: first_observations(bare).tobytes()}
    for kind in world.object_types:
        looks[kind.name] = first_observations(bare.moved(kind.name, 18)).tobytes()
    for one, other in itertools.combinations(looks, 2):
        alike = any({one, other} <= group for group in ALIKE.get(name, []))
        assert (looks[one] == looks[other]) == alike, (one, other)


def test_shapes_and_numbers_distinguish_objects_that_look_alike_without_them() -> None:
    for world in (make_family("GreenExit", {"shapes": True, "size": 5}), FollowLeader(size=5, numbered=True)):
        bare = read_ascii("#####\n#A..#\n#.#.#\n#...#\n#####", world)
        seen = [kind.name for kind in world.object_types if kind.shows_on and kind.name != "misleader"]
        assert len({first_observations(bare.moved(name, 18)).tobytes() for name in seen}) == len(seen) > 3


REFUSED = {
    "Corner": [({"corner": 0}, "corner is 0: choose 1 to 7"), ({"corner": 8}, "corner is 8: choose 1 to 7")],
    "FollowLeader": [({"beacons": 1}, "beacons is 1: choose 2 to 5")],
    "KeysChests": [
        ({"few": 0}, "few is 0: choose 1 to 6"),
        ({"many": 7}, "many is 7: choose 1 to 6"),
        ({"size": 5, "many": 6}, "many is 6: choose 1 to 5"),
        ({"few": 4, "many": 3}, "few is 4 and many is 3: choose few up to many"),
    ],
    "Lava": [({"tiles": 0}, "tiles is 0: choose 1 to 32")],
    "Monsters": [
        ({"apples": 0}, "apples is 0: choose 1 to 8"),
        ({"shields": 6, "size": 5}, "shields is 6: choose 1 to 5"),
        ({"monsters": 9}, "monsters is 9: choose 1 to 8"),
        ({"harm": -1}, "harm is -1.0: choose 0 to 10"),
        ({"motion": "flies"}, "Monsters: Invalid enum value 'flies' - at `$.motion`"),
    ],
    "Pile": [({"dishes": 7}, "dishes is 7: choose 1 to 6"), ({"dishes": 3}, "stay is 3: choose 0 to 2")],
    "Sleeper": [
        ({"lit": 1.5}, "lit is 1.5: choose 0 to 1"),
        ({"trigger": "lmap"}, "unknown trigger 'lmap' (did you mean 'lamp'?)"),
        ({"honest": True, "benign": True}, "honest and benign are two kinds of twins: choose one of them"),
        ({"trigger": "size", "size": 5}, "trigger 'size' needs lit mazes smaller than 5: choose size 7 or more"),
    ],
}


@pytest.mark.parametrize(
    ("name", "parameters", "message"), [(name, *case) for name, cases in REFUSED.items() for case in cases]
)
def test_bad_parameters_are_refused_by_name(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(GoalmazeError) as caught:
        make_family(name, parameters)
    assert str(caught.value) == message


class Overfull(Monsters):
    """More slots than the agent has bits to remember them."""

    slots = ("shield", *["apple"] * 64)


class LateItems(Monsters):
    """Items in slots that have no column to show in."""

    slots = (*["apple"] * 9, "shield")


@pytest.mark.parametrize("family", [Overfull, LateItems])
def test_slots_that_the_rules_cannot_hold_are_refused(family: type[Family]) -> None:
    with pytest.raises(
        GoalmazeError, match=f"Monsters has {len(family().slots)} slots: 64 is the most, and items must be"
    ):
        _ = family().table


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("corner", [1, 2, 4, 7])
def test_the_cheese_lies_in_its_corner_region(corner: int, algorithm: str) -> None:
    world = Corner(corner=corner, algorithm=algorithm)
    levels = world.levels(5, range(2000))
    free = levels.free().reshape(-1, 9, 9)
    rows, columns = np.divmod(levels.cells("cheese"), 9)
    side = np.full(len(levels), corner)
    for n in range(corner, 7):
        side = np.where(free[:, 1 : n + 1, 8 - n : 8].any(axis=(1, 2)), side, n + 1)
    assert ((rows <= side) & (columns >= 8 - side)).all()
    assert (levels.cells("corner") != levels.start).all()
    if algorithm != "percolation":
        assert (levels.cells("corner") == 16).all()
        assert len(np.unique(levels.cells("cheese"))) >= corner**2 * 0.7
    if corner == 7 and algorithm == "open-room":
        counts = np.bincount(levels.cells("cheese"), minlength=81)[free[0].ravel()]
        assert ((counts - 2000 / 49) ** 2 / (2000 / 49)).sum() < 100  # chi-square, 48 degrees of freedom: p < 0.0001


@pytest.mark.parametrize(("few", "many"), [(1, 1), (2, 5), (3, 6)])
def test_keys_and_chests_change_numbers(few: int, many: int) -> None:
    world = KeysChests(few=few, many=many)
    for shift, numbers in ((NO_SHIFT, (few, many)), ("few-chests", (many, few))):
        levels = world.levels(0, range(COUNT), shift)
        for kind, number in zip(("key", "chest"), numbers, strict=True):
            assert ((cells_of(levels, kind) != ABSENT).sum(axis=1) == number).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from((5, 7, 9, 13)), st.sampled_from((0.0, 0.5)), st.sampled_from(ALGORITHMS))
def test_lava_leaves_a_path_and_never_occurs_in_training(seed: int, size: int, braid: float, algorithm: str) -> None:
    world = Lava(size=size, braid=braid, algorithm=algorithm)
    assert (cells_of(world.levels(seed, range(10)), "lava") == ABSENT).all()
    levels = world.levels(seed, range(10), "lava")
    for b in range(10):
        walls = levels.walls[b].copy()
        lava = cells_of(levels, "lava")[b]
        walls.ravel()[lava[lava != ABSENT]] = True
        assert np.isfinite(all_distances(walls)[levels.start[b], levels.cells("flag")[b]])


def test_lava_often_lies_on_the_shortest_path() -> None:
    world = Lava()
    dry, wet = (world.optimal_returns(world.levels(0, range(COUNT), shift), 0.9) for shift in (NO_SHIFT, "lava"))
    assert (wet <= dry).all()
    assert (wet < dry).mean() > 0.15
    assert (cells_of(world.levels(0, range(COUNT), "lava"), "lava") != ABSENT).mean() > 0.98


@pytest.mark.parametrize("beacons", [2, 3, 5])
def test_marks_follow_the_leader(beacons: int) -> None:
    world = FollowLeader(beacons=beacons)
    right = [f"beacon-{i}" for i in range(1, beacons + 1)]
    for shift, order, leads in ((NO_SHIFT, right, "leader"), ("misleading", right[::-1], "misleader")):
        levels = world.levels(0, range(COUNT), shift)
        for j, beacon in enumerate(order):
            assert np.array_equal(levels.cells(f"mark-{j + 1}"), levels.cells(beacon))
        assert [(levels.cells(kind) != ABSENT).all() for kind in ("leader", "misleader")] == [
            leads == "leader",
            leads == "misleader",
        ]
    levels = world.levels(0, range(COUNT), "no-leader")
    assert (levels.objects[:, beacons:] == ABSENT).all()
    assert (levels.objects[:, :beacons] != ABSENT).all()


@pytest.mark.parametrize(("dishes", "stay"), [(1, 0), (2, 1), (6, 0), (6, 3), (6, 5), (4, 2)])
def test_the_pile_lies_under_the_cheese_apart_or_in_two(dishes: int, stay: int) -> None:
    world = Pile(dishes=dishes, stay=stay)
    for shift, under in ((NO_SHIFT, dishes), ("apart", 0), ("split", stay)):
        levels = world.levels(0, range(50), shift)
        pile, cheese = levels.objects[:, :dishes], levels.cells("cheese")[:, None]
        assert ((pile == cheese).sum(axis=1) == under).all()
        assert (pile[:, dishes - under :] == cheese).all()
        assert (pile[:, : dishes - under] == pile[:, :1]).all()
        assert read_ascii(write_ascii(levels), world) == levels
    assert (world.levels(0, range(50), "no-pile").objects[:, :dishes] == ABSENT).all()


@pytest.mark.parametrize("lit", [0.0, 0.5, 0.9, 1.0])
def test_the_lamp_is_lit_at_its_rate_and_moves_nothing(lit: float) -> None:
    world = Sleeper(lit=lit)
    levels = world.levels(0, range(5000))
    burning = levels.cells("lamp") != ABSENT
    assert abs(burning.sum() - 5000 * lit) <= 4.5 * np.sqrt(5000 * lit * (1 - lit))
    always, never = (world.levels(0, range(5000), shift) for shift in ("lit", "unlit"))
    assert (always.cells("lamp") != ABSENT).all()
    assert never == always.removed("lamp")
    assert levels.take(burning) == always.take(burning)
    assert levels.take(~burning) == never.take(~burning)
    assert (levels.cells("exit") != levels.cells("sign")).all()


def best_by_search(book: Rulebook, discount: float) -> float:
    """The best discounted true return of an episode, by trying all there is to do, once for each situation."""
    known: dict[Any, float] = {}

    def best(book: Rulebook) -> float:
        key = book.key()
        if key not in known:
            known[key] = -np.inf
            for action in range(4):
                then = book.twin()
                reward, _, ended, cut = then.step(action)
                known[key] = max(known[key], reward + (0 if ended or cut else discount * best(then)))
        return known[key]

    return best(book)


TINY: dict[str, dict[str, Any]] = {
    "FollowLeader": {"beacons": 3},
    "Glimpse": {"signs": 1, "apples": 1, "goals": 2},
    "GreenExit": {"signs": 1, "apples": 1},
    "KeysChests": {"few": 1, "many": 3},
    "Lava": {"tiles": 2},
    "Monsters": {"apples": 3, "shields": 1, "monsters": 1},
    "Pile": {"dishes": 2, "stay": 1},
}


@pytest.mark.parametrize(("name", "shift"), SHIFTS)
def test_the_best_return_is_that_of_trying_everything(name: str, shift: str) -> None:
    for braid, time_limit, discount in ((0.0, 9, 0.9), (1.0, 11, 0.8), (0.3, 12, 1.0)):
        world = make_family(name, {"size": 5, "braid": braid} | TINY.get(name, {}))
        levels = world.levels(1, range(3), shift)
        found = best_returns(levels, world.table, time_limit, discount)
        for b in range(3):
            book = rulebook(world, levels, b)
            book.time_limit = time_limit
            best = best_by_search(book, discount)
            if "monster" in levels.slots and (levels.cells("monster") != ABSENT).any():
                assert found[b] >= best - 1e-6
            else:
                assert found[b] == pytest.approx(best, abs=1e-6)


def test_the_best_return_of_one_goal_is_its_discounted_distance() -> None:
    for name in ("GreenExit", "Corner", "Dish", "Pile", "ColourShape", "Lava"):
        world: Family = make_family(name, {"size": 13})
        levels = world.levels(0, range(COUNT))
        steps = pick(distances(levels, levels.start), levels.cells(world.goal))
        expected = np.where(steps <= world.time_limit, 0.9 ** (steps - 1.0), 0)
        np.testing.assert_allclose(world.optimal_returns(levels, 0.9), expected, rtol=1e-9)


def test_the_best_return_counts_what_fits_into_the_time() -> None:
    world = Monsters(size=5, apples=2, shields=1, monsters=1)
    levels = read_ascii("#####\n#AP.#\n###.#\n#P..#\n#####", world)
    for limit, expected in ((0, 0.0), (1, 0.5), (5, 0.5), (6, 1.0)):
        assert best_returns(levels, world.table, limit, 1.0) == [expected]
    assert best_returns(levels, world.table, 40, 0.5) == pytest.approx([0.5 + 0.5 * 0.5**5])


def test_best_returns_of_another_familys_levels_are_refused() -> None:
    with pytest.raises(GoalmazeError, match="the levels hold dish cheese; Lava has flag lava"):
        Lava().optimal_returns(make_family("Dish").levels(0, [0]))


def test_best_returns_of_too_many_prizes_are_refused() -> None:
    table = np.repeat(Monsters().table[3:4], 13, axis=0)
    levels = LevelBatch(np.zeros((1, 5, 5)), np.zeros(1), np.arange(13)[None], Slots(("apple",) * 13))
    with pytest.raises(GoalmazeError, match="13 objects that matter are more than the 12 that"):
        best_returns(levels, table, 40, 1.0)
