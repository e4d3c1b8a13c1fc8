"""Levels as data: pictures round trip, edits change what they say, and errors name the level and the remedy."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.paths import neighbours
from oracles.slots import Slots

from goalmaze.envs.ascii import check_reachable, read_ascii, write_ascii
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import NO_SHIFT, LevelBatch, concatenate
from goalmaze.envs.maze_engine import MazeEngine

SHIFTS = (NO_SHIFT, *make_family("GreenExit").shifts)
ROOM = """
#########
#A......#
#.#.#.#.#
#...E...#
#.#.#.#.#
#.....S.#
#########
"""


@st.composite
def batches(draw: st.DrawFn) -> LevelBatch:
    """Generated levels of any shift, as they come."""
    world = make_family("GreenExit", {"size": draw(st.sampled_from((5, 7, 9, 11))), "correlation": 0.5})
    return world.levels(draw(st.integers(0, 2**31)), range(draw(st.integers(1, 4))), draw(st.sampled_from(SHIFTS)))


def room(times: int = 1) -> LevelBatch:
    """The level drawn above, several times."""
    return read_ascii("\n".join([ROOM] * times), make_family("GreenExit"))


def refusal(message: str) -> "pytest.RaisesExc[GoalmazeError]":
    return pytest.raises(GoalmazeError, match=f"^{re.escape(message)}$")


@settings(max_examples=80, deadline=None)
@given(batches())
def test_pictures_round_trip(levels: LevelBatch) -> None:
    world = make_family("GreenExit")
    text = write_ascii(levels)
    again = read_ascii(text, world)
    assert again.hashes() == levels.hashes()
    assert write_ascii(again) == text
    one_of_each = (levels.cells("sign", 1) == ABSENT) & (levels.cells("apple") == ABSENT)
    assert again.take(one_of_each) == levels.take(one_of_each)


def test_a_picture_gives_the_cell_of_every_object() -> None:
    level = room()
    assert (level.height, level.width) == (7, 9)
    assert level.start.tolist() == [1 * 9 + 1]
    assert level.cells("exit").tolist() == [3 * 9 + 4]
    assert level.cells("sign").tolist() == [5 * 9 + 6]
    assert level.cells("sign", 1).tolist() == [ABSENT]
    assert level.walls.sum() == 28 + 6
    assert level.free().sum() == 63 - 34
    assert write_ascii(level) == ROOM.lstrip()


def test_indented_pictures_and_many_blank_lines_are_read() -> None:
    text = "\n\n   #####\n   #A.G#\n   #####\n \n\n#####\n#S.A#\n#####"
    levels = read_ascii(text, make_family("GreenExit"))
    assert levels.objects[:, :3].tolist() == [[8, 8, -1], [-1, 6, -1]]
    assert (levels.objects[:, 3:] == ABSENT).all()
    assert levels.start.tolist() == [6, 8]


@pytest.mark.parametrize("name", ["walls", "start", "objects"])
def test_arrays_cannot_be_written(name: str) -> None:
    for level in (room(), room().moved("sign", 10 + 3), room().take([0]), concatenate([room(), room()])):
        with pytest.raises(ValueError, match="read-only"):
            getattr(level, name)[:] = 0
    with pytest.raises(AttributeError):
        setattr(room(), name, None)


@settings(max_examples=60, deadline=None)
@given(batches(), st.data())
def test_edits_change_what_they_say_and_never_the_original(levels: LevelBatch, data: st.DataObject) -> None:
    before = LevelBatch(levels.walls.copy(), levels.start.copy(), levels.objects.copy(), levels.family)
    taken = [{int(levels.start[b]), *levels.objects[b].tolist()} for b in range(len(levels))]
    cells = [
        data.draw(st.sampled_from([cell for cell in neighbours(walls) if cell not in taken[b]]))
        for b, walls in enumerate(levels.walls)
    ]
    kind, which = data.draw(st.sampled_from([("exit", 0), ("sign", 0), ("sign", 1)]))
    column = {("exit", 0): 0, ("sign", 0): 1, ("sign", 1): 2}[kind, which]
    other_columns = [k for k in range(len(levels.slots)) if k != column]

    moved = levels.moved(kind, cells, which)
    assert moved.cells(kind, which).tolist() == cells
    assert np.array_equal(moved.objects[:, other_columns], levels.objects[:, other_columns])
    assert np.array_equal(moved.walls, levels.walls)
    assert np.array_equal(moved.start, levels.start)

    removed = levels.removed("sign")
    signs = np.array(levels.slots) == "sign"
    assert np.array_equal(removed.objects, np.where(signs, ABSENT, levels.objects))
    assert np.array_equal(removed.walls, levels.walls)
    assert np.array_equal(removed.start, levels.start)

    started = levels.started(cells)
    assert started.start.tolist() == cells
    assert np.array_equal(started.objects, levels.objects)
    assert np.array_equal(started.walls, levels.walls)

    assert levels == before
    assert levels != moved
    assert levels != started


def test_one_cell_serves_all_levels() -> None:
    levels = room(3)
    assert levels.moved("exit", 10 + 1).cells("exit").tolist() == [11] * 3
    assert levels.started(10 + 1).start.tolist() == [11] * 3


def test_the_callers_arrays_stay_the_callers() -> None:
    cells = np.array([11], np.int32)
    level = room().started(cells)
    cells[0] = 12
    assert level.start.tolist() == [11]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=8))
def test_take_and_concatenate_undo_each_other(rows: list[int]) -> None:
    levels = make_family("GreenExit").levels(0, range(6))
    taken = levels.take(np.array(rows, np.intp))
    assert len(taken) == len(rows)
    assert taken.hashes() == [levels.hashes()[row] for row in rows]
    assert concatenate([levels.take([b]) for b in range(6)]) == levels
    mask = np.isin(np.arange(6), rows)
    assert levels.take(mask) == levels.take(np.flatnonzero(mask))


def test_hashes_are_equal_exactly_where_levels_are() -> None:
    levels = concatenate(
        [
            room(),
            room(),
            room().moved("sign", 12),
            room().moved("exit", 12),
            room().started(12),
            room().removed("sign"),
            room().moved("sign", 12, 1),
            room().moved("sign", 12).moved("sign", 51, 1),
        ]
    )
    hashes = levels.hashes()
    assert hashes[0] == hashes[1]
    assert hashes[6] == hashes[7]  # two signs that swapped slots
    assert len(set(hashes)) == 6
    opened = levels.walls.copy()
    opened[0, 2, 2] = False
    changed = LevelBatch(opened, levels.start, levels.objects, levels.family).hashes()
    assert changed[0] != hashes[0]
    assert changed[1:] == hashes[1:]


def test_hashes_do_not_depend_on_the_order_of_slots() -> None:
    level = room()
    order = [2, 0, 1, *range(3, len(level.slots))]
    object_types = tuple(level.slots[k] for k in order)
    turned = LevelBatch(level.walls, level.start, level.objects[:, order], Slots(object_types))
    assert turned.hashes() == room().hashes()
    assert turned != room()
    muddled = LevelBatch(level.walls, level.start, level.objects, Slots(object_types))
    assert muddled.hashes() != room().hashes()


def with_more_slots(levels: LevelBatch, object_types: tuple[str, ...]) -> LevelBatch:
    """The same levels in a family with further slots, all of them empty."""
    empty = np.full((len(levels), len(object_types)), ABSENT)
    return LevelBatch(
        levels.walls, levels.start, np.hstack([empty, levels.objects]), Slots((*object_types, *levels.slots))
    )


@settings(max_examples=30, deadline=None)
@given(batches(), st.lists(st.sampled_from(["exit", "sign", "apple", "a-new-kind", "zebra"]), max_size=6))
def test_hashes_do_not_depend_on_empty_slots(levels: LevelBatch, object_types: list[str]) -> None:
    roomier = with_more_slots(levels, tuple(object_types))
    assert roomier.hashes() == levels.hashes()
    for kind in object_types:
        cell = int(np.flatnonzero(levels.free()[0])[0])
        fuller = roomier.objects.copy()
        fuller[:, object_types.index(kind)] = cell
        filled = LevelBatch(levels.walls, levels.start, fuller, roomier.family)
        assert not set(filled.hashes()) & set(levels.hashes())


def plainly(levels: LevelBatch, b: int) -> tuple[object, ...]:
    """What the hash of a level stands for, said without hashing."""
    standing = [(kind, int(cell)) for kind, cell in zip(levels.slots, levels.objects[b], strict=True) if cell != ABSENT]
    return levels.walls[b].tolist(), int(levels.start[b]), sorted(standing)


def test_hashes_agree_with_a_plain_comparison_across_families_with_other_numbers_of_slots() -> None:
    few, many = (make_family("GreenExit", {"size": 5, "signs": n, "apples": n}) for n in (1, 6))
    batches = [family.levels(0, range(60), shift) for family in (few, many) for shift in (NO_SHIFT, "moved-sign")]
    said = [plainly(levels, b) for levels in batches for b in range(60)]
    hashed = [hash_ for levels in batches for hash_ in levels.hashes()]
    assert [[a == b for b in said] for a in said] == [[a == b for b in hashed] for a in hashed]
    assert hashed[:120] == hashed[120:]
    assert len(batches[0].slots) != len(batches[2].slots)
    assert 60 < len(set(hashed)) <= 120


def test_hashes_differ_for_mazes_of_other_shapes_and_families() -> None:
    wide = LevelBatch(np.ones((1, 3, 5)), np.array([6]), np.array([[7]]), Slots(("exit",)))
    high = LevelBatch(np.ones((1, 5, 3)), np.array([6]), np.array([[7]]), Slots(("exit",)))
    sign = LevelBatch(np.ones((1, 3, 5)), np.array([6]), np.array([[7]]), Slots(("sign",)))
    assert len({*wide.hashes(), *high.hashes(), *sign.hashes()}) == 3
    assert wide != sign
    assert wide != high
    assert wide != "a level"


BAD_PICTURES = {
    "ragged": (
        "#####\n#A.E#\n#####\n\n\n#####\n#A..#\n####",
        "level 1, line 8: 4 columns where the first line has 5; make every line as long",
    ),
    "unknown letter": (
        "#####\n#AXE#\n#####",
        "level 0, line 2, column 3: 'X' means nothing in GreenExit (known: # . A E S P R G)",
    ),
    "two agents": ("\n#####\n#A.A#\n#####", "level 0, line 3, column 4: a second agent; a level has one"),
    "no agent": (
        "#####\n#A.E#\n#####\n\n#####\n#..E#\n#####",
        "level 1, line 5: no agent; draw an A where it starts",
    ),
    "two exits": (
        "#####\n#AEE#\n#####",
        "level 0, line 2, column 4: more objects 'exit' than the 1 that GreenExit has; leave one out",
    ),
    "five signs": (
        "#####\n#ASS#\n#SSS#\n#####",
        "level 0, line 3, column 4: more objects 'sign' than the 4 that GreenExit has; leave one out",
    ),
    "exit beside an exit under a sign": (
        "#####\n#AGE#\n#####",
        "level 0, line 2, column 4: more objects 'exit' than the 1 that GreenExit has; leave one out",
    ),
    "open top": ("##.##\n#A.E#\n#####", "level 0, line 1, column 3: the border is open; put a # there"),
    "exit in the border": ("#####\n#A..#\n###E#", "level 0, line 3, column 4: the border is open; put a # there"),
    "open left": ("#####\n.A.E#\n#####", "level 0, line 2, column 1: the border is open; put a # there"),
    "lost exit": (
        "#####\n#A#E#\n#####\n\n#####\n#A.E#\n#####",
        "level 0: the agent cannot reach the exit; open a wall",
    ),
    "empty": ("\n  \n", "the text holds no level: draw one with # . A and the family's letters"),
    "two sizes": (
        "#####\n#A.E#\n#####\n\n######\n#A..E#\n######",
        "level 1 is 3x6 where level 0 is 3x5; only levels of one size can be joined into a batch",
    ),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_a_bad_picture_is_refused_by_level_line_and_column(case: str) -> None:
    text, message = BAD_PICTURES[case]
    with refusal(message):
        read_ascii(text, make_family("GreenExit"))


def test_an_exit_behind_its_sign_that_cannot_be_reached_is_refused_by_level() -> None:
    walls = room(3).walls.copy()
    walls[2, [2, 3, 3, 4], [4, 3, 5, 4]] = True
    levels = LevelBatch(walls, room(3).start, room(3).objects, room().family)
    levels.check()
    with refusal("level 2: the agent cannot reach the exit; open a wall"):
        check_reachable(levels)
    assert check_reachable(levels.removed("exit")) == levels.removed("exit")


def test_a_cell_on_a_wall_is_refused_by_level_and_cell() -> None:
    cells = np.full(20, 12)
    cells[17] = 2 * 9 + 4
    with refusal("level 17: exit (2, 4) lies on a wall; choose a free cell"):
        room(20).moved("exit", cells)
    with refusal("level 17: agent (2, 4) lies on a wall; choose a free cell"):
        room(20).started(cells)


@pytest.mark.parametrize("cell", [-2, 63, 1000])
def test_a_cell_outside_the_maze_is_refused_by_level(cell: int) -> None:
    with refusal(f"level 1: sign at cell {cell} is outside the 7x9 maze"):
        room(2).moved("sign", [12, cell])
    with refusal(f"level 1: agent at cell {cell} is outside the 7x9 maze"):
        room(2).started([12, cell])


def test_an_agent_cannot_be_absent_but_an_object_can() -> None:
    with refusal("level 0: agent at cell -1 is outside the 7x9 maze"):
        room().started(ABSENT)
    assert room().moved("sign", ABSENT) == room().removed("sign")


def test_overlapping_objects_are_refused_by_level_and_cell() -> None:
    with refusal("level 1: sign (1, 1) lies on the agent's start; move one"):
        room(2).moved("sign", [12, 10])
    with refusal("level 0: exit (3, 4) lies on the agent's start; move one"):
        room(2).started([31, 12])
    with refusal("level 1: two objects 'sign' at (5, 6); move one"):
        room(2).moved("sign", [12, 51], which=1)
    assert room().moved("sign", 31).cells("exit") == room().moved("sign", 31).cells("sign")


def test_an_open_border_is_refused_by_level_and_cell() -> None:
    walls = room(2).walls.copy()
    walls[1, 6, 3] = False
    with refusal("level 1: the border is open at (6, 3); put a wall there"):
        LevelBatch(walls, room(2).start, room(2).objects, room().family).check()


def test_unknown_objects_and_slots_are_refused_by_name() -> None:
    with refusal("unknown object 'sing' (did you mean 'sign'?)"):
        room().moved("sing", 12)
    with refusal("unknown object 'key' (known: apple, exit, red-sign, sign)"):
        room().removed("key")
    with refusal("there are 4 slots for 'sign', so no number 4"):
        room().cells("sign", 4)


def test_arrays_that_do_not_fit_are_refused_by_shape() -> None:
    message = "level arrays do not fit: walls (2, 3, 3) must be [B, H, W], start (1,) [B] and objects (2, 1) [B, 1]"
    with refusal(message):
        LevelBatch(np.ones((2, 3, 3)), np.zeros(1), np.zeros((2, 1)), Slots(("exit",)))
    with pytest.raises(GoalmazeError, match="level arrays do not fit"):
        room().take(0)


def test_only_like_levels_are_joined() -> None:
    small = make_family("GreenExit", {"size": 5}).levels(0, [0, 1])
    with refusal("level 2 is 7x9 where level 0 is 5x5; only levels of one size can be joined into a batch"):
        concatenate([small, room()])
    one, other = (
        LevelBatch(room().walls, room().start, room().objects[:, :2], Slots(object_types))
        for object_types in (("exit", "sign"), ("exit", "key"))
    )
    with refusal("only levels of one family can be joined into a batch: found exit key beside exit sign"):
        concatenate([one, other])
    with refusal("no levels to join: give at least one batch"):
        concatenate([])


def test_a_stack_without_a_letter_is_refused_by_level() -> None:
    objects = room(2).objects.copy()
    objects[1, 2] = objects[1, 1]
    signs = LevelBatch(room(2).walls, room(2).start, objects, room().family)
    with refusal("level 1: GreenExit has no letter for sign + sign on one cell; move one"):
        write_ascii(signs)


def test_no_episode_begins_on_a_level_that_would_lead_out_of_the_maze() -> None:
    family = make_family("GreenExit", {"size": 11})
    levels = family.levels(0, np.arange(20))
    in_wall, outside, start = levels.objects.copy(), levels.objects.copy(), levels.start.copy()
    in_wall[17, 0], outside[3, 1], start[5] = 3 * 11, 121, -1
    open_border = levels.walls.copy()
    open_border[9, 0, 4] = False
    for bad, said in (
        (
            LevelBatch(levels.walls, levels.start, in_wall, levels.family),
            r"level 17: exit \(3, 0\) lies on a wall",
        ),
        (LevelBatch(levels.walls, levels.start, outside, levels.family), "level 3: sign at cell 121 is outside"),
        (LevelBatch(levels.walls, start, levels.objects, levels.family), "level 5: agent at cell -1 is outside"),
        (
            LevelBatch(open_border, levels.start, levels.objects, levels.family),
            r"level 9: the border is open at \(0, 4\)",
        ),
        (make_family("Corner", {"size": 11}).levels(0, [0]), "the levels hold cheese corner; GreenExit has exit"),
    ):
        with pytest.raises(GoalmazeError, match=said):
            MazeEngine(family, len(bad)).begin(np.arange(len(bad)), bad)
    assert len(MazeEngine.from_levels(levels)) == 20


def test_levels_are_drawn_by_indices_or_by_a_count() -> None:
    family = make_family("GreenExit", {"size": 5})
    assert family.levels(3, count=4) == family.levels(3, [0, 1, 2, 3])
    assert family.levels() == family.levels(0, count=256)
    assert len(family.levels(3, count=0)) == 0
    assert family.levels(seed=3, count=4, shift="moved-sign").take([2]) == family.levels(3, [2], "moved-sign")


def test_a_wrong_count_of_levels_is_refused() -> None:
    family = make_family("GreenExit", {"size": 5})
    with refusal("indices and count exclude each other: give the indices, or a count of levels from index 0"):
        family.levels(0, [1, 2], count=2)
    with refusal("count is -1: choose 0 or more levels"):
        family.levels(0, count=-1)
