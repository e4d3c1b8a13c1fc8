"""What agents see against a slow drawing of the same; redrawing against drawing; and nothing hidden leaks."""

import dataclasses
from collections import Counter
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from goalmaze.envs import look
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.families.green_exit import GreenExit
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.objects import ObjectType, Placement
from goalmaze.envs.observations.spec import MODES, ObservationSpec
from goalmaze.envs.observations.views import VIEWS, PlanesView, make_view
from goalmaze.envs.rendering import shape_mask

RED, BLUE = (213, 94, 0), (0, 114, 178)


@dataclasses.dataclass(frozen=True)
class Bazaar(GreenExit):
    """All ways of showing at once: a lamp, items, a kind that shows nowhere, one that shows as nothing, and twins."""

    name = "Bazaar"
    object_types = (
        ObjectType("exit", letter="E", colour=BLUE, shape="door", ends=True, reward=1.0),
        ObjectType("key", letter="K", colour=RED, shape="key", gives=True),
        ObjectType("chest", letter="C", colour=RED, shape="chest", needs=True, required=True),
        ObjectType("good", letter="g", colour=RED, shape="apple", planes=("apple", "red")),
        ObjectType("bad", letter="b", colour=BLUE, shape="gem", planes=("red", "apple"), cue_reward=1.0),
        ObjectType("ghost", letter="G", colour=BLUE, shape="star", planes=()),
        ObjectType("faint", letter="F", colour=BLUE, shape="star"),
        ObjectType("sign", letter="S", colour=(0, 158, 115), shape="diamond"),
        ObjectType("lamp", letter="L", colour=BLUE, shape="bulb", fills=True),
        ObjectType("monster", letter="M", colour=RED, shape="monster", planes=("monster", "red"), motion="wanders"),
    )
    slots = ("key", "key", "exit", "chest", "good", "bad", "ghost", "faint", "sign", "lamp", "monster")
    stacked_glyphs: ClassVar = {}

    def placements(self, shift: str) -> tuple[Placement, ...]:
        numbers = Counter[str]()
        rules = [Placement("agent")]
        for kind in self.slots:
            rules.append(Placement(kind, numbers[kind]))
            numbers[kind] += 1
        return tuple(rules)

    def values(self) -> dict[str, int]:
        return {"faint": 0, "sign": self.salience, "monster": 7}


WORLDS = [*known_families().values(), Bazaar]
PICTURES = [("rgb", 1), ("rgb", 2), ("rgb", 5), ("rgb", 8), ("rgb64", 8)]


def playing(family: Family, batch: int) -> MazeEngine:
    return MazeEngine.from_levels(family.levels(batch, range(batch)))


def step(episodes: MazeEngine, random: np.random.Generator) -> None:
    """Act at random, and begin anew on fresh levels where an episode has ended."""
    episodes.step(random.integers(4, size=len(episodes)))
    over = np.flatnonzero(episodes.done)
    if len(over):
        episodes.begin(over, episodes.family.levels(int(random.integers(1000)), over))


def scattered(family: Family, batch: int) -> MazeEngine:
    """States such as play may never reach: things anywhere, on walls and on each other."""
    episodes = playing(family, batch)
    random = np.random.default_rng(batch)
    episodes.objects[:] = random.integers(-1, family.size**2, episodes.objects.shape)
    together = random.random(episodes.objects.shape) < 0.3
    episodes.agent[:] = random.integers(0, family.size**2, batch)
    episodes.objects[together] = np.broadcast_to(episodes.agent[:, None], together.shape)[together]
    return episodes


def appearance(family: Family, name: str) -> ObjectType | None:
    """The kind whose sprite an object shows: the first that the planes show alike, or None where they never show it."""
    object_types = {kind.name: kind for kind in family.object_types}
    values = {name: family.values().get(name, 1) for name in object_types}
    if object_types[name].planes == () or values[name] == 0:
        return None
    alike = [
        kind
        for kind in family.object_types
        if set(kind.shows_on) == set(object_types[name].shows_on)
        and (values[kind.name], kind.fills) == (values[name], object_types[name].fills)
    ]
    return alike[0]


def slow_picture(episodes: MazeEngine, b: int, side: int) -> NDArray[np.int64]:
    """Pixel by pixel: whose cell is it, what is there, and how much of each thing covers it."""
    family, size = episodes.family, episodes.family.size
    walls = episodes.levels().walls[b].reshape(-1)
    stands: dict[int, list[tuple[str, tuple[int, int, int]]]] = {cell: [] for cell in range(size**2)}
    for name, cell in zip(family.slots, episodes.objects[b].tolist(), strict=True):
        kind = appearance(family, name)
        if cell != ABSENT and kind is not None:
            stands[0 if kind.fills else cell].append((kind.shape, kind.colour))
    stands[int(episodes.agent[b])].append(("disc", look.AGENT))
    cell_of = [(2 * pixel + 1) * size // (2 * side) for pixel in range(side)]
    first = [cell_of.index(i) for i in range(size)]
    extent = [cell_of.count(i) for i in range(size)]
    picture = np.empty((side, side, 3), np.int64)
    for y, row in enumerate(cell_of):
        for x, column in enumerate(cell_of):
            cell = row * size + column
            colour = np.array(look.WALL if walls[cell] else look.FLOOR, np.float64)
            for shape, ink in stands[cell]:
                cover = round(255 * shape_mask(shape, extent[row], extent[column])[y - first[row], x - first[column]])
                colour = np.rint((colour * (255 - cover) + np.array(ink) * cover) / 255)
            picture[y, x] = colour
    return picture


def drawn(episodes: MazeEngine, mode: str, **more: int) -> NDArray[np.uint8]:
    view = make_view(episodes.family, ObservationSpec(mode, **more))
    out = view.buffer(len(episodes))
    view.draw(episodes.state, out)
    assert all(view.space.contains(one) for one in out)
    return out


@pytest.mark.parametrize(("mode", "pixels"), PICTURES)
@pytest.mark.parametrize("world", WORLDS)
def test_pictures_are_those_of_the_slow_drawing(world: type[Family], mode: str, pixels: int) -> None:
    family = world(size=7)
    side = 64 if mode == "rgb64" else 7 * pixels
    for episodes in (playing(family, 2), scattered(family, 3)):
        pictures = drawn(episodes, mode, pixels=pixels)
        for b in range(len(episodes)):
            assert np.array_equal(pictures[b], slow_picture(episodes, b, side))
    before = pictures[0].copy()
    episodes.agent[0] = (episodes.agent[0] + 1) % family.size**2
    assert not np.array_equal(before, drawn(episodes, mode, pixels=pixels)[0])


@pytest.mark.parametrize(("mode", "pixels"), [("rgb", 1), ("rgb", 4), ("rgb64", 8)])
@pytest.mark.parametrize("world", WORLDS)
def test_redrawing_what_changed_gives_what_drawing_all_gives(world: type[Family], mode: str, pixels: int) -> None:
    family = world(size=9)
    episodes = playing(family, 5)
    view = make_view(family, ObservationSpec(mode, pixels))
    random = np.random.default_rng(0)
    kept, fresh = view.buffer(5), view.buffer(5)
    memory = view.memory(5)
    begun = np.zeros(5, np.int64)
    for i in range(300):
        view.update(episodes.state, kept, memory)
        view.draw(episodes.state, fresh)
        assert np.array_equal(kept, fresh)
        for _ in range(1 + i % 3):
            step(episodes, random)
            begun += episodes.steps == 0
    assert begun.sum() >= 5
    before = kept.copy()
    view.update(episodes.state, kept, memory, np.array([3, 1]))
    changed = (kept != before).any(axis=(1, 2, 3))
    assert changed.tolist() == [b in (1, 3) and bool((fresh[b] != kept[b]).any()) for b in range(5)]


def test_redrawing_relies_on_its_memory() -> None:
    """The negative control of the test above: an update that is told all is drawn draws nothing."""
    family = make_family("GreenExit")
    episodes = playing(family, 3)
    view = make_view(family, ObservationSpec("rgb"))
    memory = view.memory(3)
    view.update(episodes.state, view.buffer(3), memory)
    blank = view.buffer(3)
    view.update(episodes.state, blank, memory)
    assert not blank.any()


@pytest.mark.parametrize("mode", MODES)
def test_drawing_some_rows_leaves_the_others_as_they_were(mode: str) -> None:
    episodes = playing(make_family("GreenExit"), 4)
    view = make_view(episodes.family, ObservationSpec(mode))
    everything, some = view.buffer(4), view.buffer(4)
    view.draw(episodes.state, everything)
    some[:] = 77
    view.draw(episodes.state, some, np.array([2, 0]))
    assert np.array_equal(some[[0, 2]], everything[[0, 2]])
    assert (some[[1, 3]] == 77).all()
    masked = np.full_like(some, 77)
    view.draw(episodes.state, masked, np.array([True, False, True, False]))
    assert np.array_equal(masked, some)
    updated = view.buffer(4)
    view.update(episodes.state, updated, view.memory(4))
    assert np.array_equal(updated, everything)


@pytest.mark.parametrize("world", WORLDS)
def test_planes_are_the_states_planes(world: type[Family]) -> None:
    episodes = playing(world(size=9), 4)
    assert np.array_equal(drawn(episodes, "planes"), episodes.observe())


@pytest.mark.parametrize("radius", [1, 3, 16])
@pytest.mark.parametrize("world", WORLDS)
def test_crops_are_cut_out_of_padded_planes(world: type[Family], radius: int) -> None:
    episodes = playing(world(size=9), 6)
    random = np.random.default_rng(radius)
    for _ in range(30):
        step(episodes, random)
        crops = drawn(episodes, "crop", radius=radius)
        planes = np.pad(episodes.observe(), ((0, 0), (0, 0), (radius, radius), (radius, radius)))
        planes[:, 0] = np.pad(episodes.observe()[:, 0], ((0, 0), (radius,) * 2, (radius,) * 2), constant_values=1)
        for b, cell in enumerate(episodes.agent.tolist()):
            row, column = divmod(cell, 9)
            assert np.array_equal(crops[b], planes[b, :, row : row + 2 * radius + 1, column : column + 2 * radius + 1])
        assert (crops[:, 1, radius, radius] == 1).all()


def sees(walls: NDArray[np.bool_], start: tuple[int, int], end: tuple[int, int], radius: int) -> bool:
    """Whether a line between centres is free: at each step along its longer axis it touches a square without wall."""
    way = (end[0] - start[0], end[1] - start[1])
    length = max(abs(way[0]), abs(way[1]))
    if length > radius:
        return False
    for i in range(1, length):
        point = [start[axis] + Fraction(i * way[axis], length) for axis in (0, 1)]
        touched = [
            (y, x)
            for y in range(walls.shape[0])
            for x in range(walls.shape[1])
            if abs(y - point[0]) <= Fraction(1, 2) and abs(x - point[1]) <= Fraction(1, 2)
        ]
        if all(walls[square] for square in touched):
            return False
    return True


@pytest.mark.parametrize("radius", [1, 2, 3, 7])
def test_agents_see_along_free_lines(radius: int) -> None:
    family = GreenExit(size=7, braid=0.6)
    episodes = playing(family, 3)
    walls = episodes.levels().walls
    seen = drawn(episodes, "partial", radius=radius)[:, -1]
    for b, cell in enumerate(episodes.agent.tolist()):
        expected = [[sees(walls[b], divmod(cell, 7), (y, x), radius) for x in range(7)] for y in range(7)]
        assert np.array_equal(seen[b], expected)
        backwards = [[sees(walls[b], (y, x), divmod(cell, 7), radius) for x in range(7)] for y in range(7)]
        assert backwards == expected


VISTA = """
#########
#...#...#
#.#.#.#.#
#.#A....#
#.#####.#
#.......#
#.#####.#
#E......#
#########
"""
IN_SIGHT = """
  ##
  ..#  .
  #.#.#
  #A....#
  ####
"""


def test_observations_of_a_maze_drawn_by_hand() -> None:
    family = GreenExit(size=9)
    episodes = MazeEngine.from_levels(read_ascii(VISTA.strip(), family))
    wall, agent, *_, seen = drawn(episodes, "partial", radius=16)[0]
    signs = np.where(agent == 1, "A", np.where(wall == 1, "#", "."))
    rows = ["".join(row).rstrip() for row in np.where(seen == 1, signs, " ")]
    assert "\n".join(rows).strip("\n") == IN_SIGHT.strip("\n")


def moved_unseen(episodes: MazeEngine, seen: NDArray[np.bool_], random: np.random.Generator) -> LevelBatch:
    """The level with each object that is out of sight moved to another free square out of sight."""
    levels = episodes.levels()
    objects = levels.objects.copy()
    hidden = np.flatnonzero(~seen.reshape(-1) & levels.free()[0])
    for k, cell in enumerate(objects[0]):
        if cell in hidden:
            objects[0, k] = random.choice(hidden)
    return dataclasses.replace(levels, objects=objects)


@pytest.mark.parametrize("radius", [1, 3])
@pytest.mark.parametrize("world", WORLDS)
def test_what_is_out_of_sight_changes_nothing(world: type[Family], radius: int) -> None:
    family = world(size=11)
    random = np.random.default_rng(1)
    differ = {"partial": 0, "crop": 0, "planes": 0, "rgb": 0}
    for seed in range(12):
        episodes = MazeEngine.from_levels(family.levels(seed, [0]))
        seen = drawn(episodes, "partial", radius=radius)[0, -1] == 1
        other = MazeEngine.from_levels(moved_unseen(episodes, seen, random))
        for mode in differ:
            before, after = drawn(episodes, mode, radius=radius), drawn(other, mode, radius=radius)
            differ[mode] += not np.array_equal(before, after)
    assert differ["partial"] == 0
    assert min(differ["planes"], differ["rgb"]) > 6


def test_what_comes_into_sight_shows() -> None:
    family = GreenExit(size=9)
    level = read_ascii(VISTA.strip(), family)
    before, after = (
        drawn(MazeEngine.from_levels(level.moved("exit", cell)), "partial", radius=3)[0]
        for cell in (7 * 9 + 1, 3 * 9 + 5)
    )
    different = np.argwhere(before != after).tolist()
    assert different == [[family.plane_names.index("exit"), 3, 5]]


def test_partial_shows_squares_in_sight_as_they_are_and_nothing_else() -> None:
    episodes = playing(Bazaar(size=9), 8)
    partial = drawn(episodes, "partial")
    seen = partial[:, -1:]
    assert np.array_equal(partial[:, :-1], episodes.observe() * seen)
    assert set(np.unique(seen)) == {0, 1}


def test_items_an_agent_holds_are_always_in_sight() -> None:
    family = Bazaar(size=9)
    level = family.levels(0, [0])
    walls = level.walls[0]
    row, column = next((y, x) for y, x in np.argwhere(~walls[:, :-1] & ~walls[:, 1:]) if y > 3)
    objects = np.full_like(level.objects, ABSENT)
    objects[0, 0] = row * 9 + column + 1
    start = np.array([row * 9 + column])
    episodes = MazeEngine.from_levels(dataclasses.replace(level, start=start, objects=objects))
    assert drawn(episodes, "partial", radius=1)[0, -1, 0].tolist() == [0] * 9
    episodes.step(np.array([1]))
    assert episodes.objects[0, 0] == 0
    partial = drawn(episodes, "partial", radius=1)[0]
    assert partial[-1, 0].tolist() == [1] + [0] * 8
    assert partial[family.plane_names.index("key"), 0, 0] == 1


@pytest.mark.parametrize("pixels", range(1, 17))
def test_pictures_have_the_requested_number_of_pixels(pixels: int) -> None:
    view = make_view(GreenExit(size=5), ObservationSpec("rgb", pixels))
    assert view.space.shape == (5 * pixels, 5 * pixels, 3)
    assert view.buffer(2).shape == (2, 5 * pixels, 5 * pixels, 3)
    assert (view.space.dtype, view.buffer(2).dtype) == (np.uint8, np.uint8)


@pytest.mark.parametrize("size", [5, 9, 13, 25, 63])
def test_procgens_frame_is_filled_whatever_the_maze(size: int) -> None:
    picture = drawn(playing(GreenExit(size=size), 1), "rgb64")[0]
    assert picture.shape == (64, 64, 3)
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (border == look.WALL).all()
    assert (picture == look.FLOOR).all(axis=2).any()


def alone(family: Family, name: str, pixels: int) -> NDArray[np.uint8]:
    """The picture of a maze with nothing but one object of a kind on a free cell, and the agent."""
    levels = family.levels(0, [0])
    free = np.flatnonzero(levels.free()[0])
    cell = next(cell for cell in free if cell != levels.start[0])
    objects = np.full_like(levels.objects, ABSENT)
    objects[0, family.slots.index(name)] = cell
    return drawn(MazeEngine.from_levels(dataclasses.replace(levels, objects=objects)), "rgb", pixels=pixels)[0]


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 8, 16])
@pytest.mark.parametrize("world", WORLDS)
def test_object_types_look_different_exactly_where_their_planes_differ(world: type[Family], pixels: int) -> None:
    family = world(size=5)
    looks: dict[bytes, set[Any]] = {}
    for name in dict.fromkeys(family.slots):
        kind = appearance(family, name)
        looks.setdefault(alone(family, name, pixels).tobytes(), set()).add(kind and kind.name)
    assert all(len(object_types) == 1 for object_types in looks.values())
    assert len(looks) == len({appearance(family, name) for name in family.slots})


@pytest.mark.parametrize("world", WORLDS)
def test_spaces_hold_the_observations_and_no_more(world: type[Family]) -> None:
    family = world(size=7)
    episodes = playing(family, 8)
    random = np.random.default_rng(2)
    views = [make_view(family, ObservationSpec(mode)) for mode in MODES]
    for _ in range(50):
        step(episodes, random)
        for view in views:
            out = view.buffer(8)
            view.draw(episodes.state, out)
            assert out.shape[1:] == view.space.shape
            assert (out <= view.space.high).all()
    planes = make_view(family).space.high
    strongest = dict.fromkeys(family.plane_names, 1)
    for kind in family.object_types:
        for plane in kind.shows_on:
            values = [family.values().get(other.name, 1) for other in family.object_types if plane in other.shows_on]
            strongest[plane] = max(values)
    assert planes[:, 0, 0].tolist() == list(strongest.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "rbg"}, r"^unknown observation mode 'rbg' \(did you mean 'rgb'\?\)$"),
        ({"mode": "pixels"}, r"^unknown observation mode 'pixels' \(known: crop, partial, planes, rgb, rgb64\)$"),
        ({"mode": "rgb", "pixels": 0}, r"^pixels is 0: choose 1 to 16$"),
        ({"mode": "rgb", "pixels": 17}, r"^pixels is 17: choose 1 to 16$"),
        ({"mode": "crop", "radius": 0}, r"^radius is 0: choose 1 to 16$"),
        ({"mode": "partial", "radius": 17}, r"^radius is 17: choose 1 to 16$"),
    ],
)
def test_bad_modes_and_numbers_are_refused_with_the_remedy(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        ObservationSpec(**arguments)


def test_every_mode_has_a_view_of_its_own() -> None:
    assert list(VIEWS) == list(MODES)
    assert [make_view(GreenExit(), ObservationSpec(mode)).mode for mode in MODES] == list(MODES)
    spec = ObservationSpec("crop", radius=2)
    assert ObservationSpec.of(spec) is spec
    assert ObservationSpec.of("crop", 8, 2) == spec
    with pytest.raises(GoalmazeError, match=r"^PlanesView draws mode 'planes', not 'crop': use make_view$"):
        PlanesView(GreenExit(), spec)


def test_mazes_too_large_for_procgens_frame_are_refused() -> None:
    with pytest.raises(GoalmazeError, match=r"^mode 'rgb64' shows at most 64 cells a side, not 65: choose mode 'rgb'$"):
        make_view(GreenExit(size=65), ObservationSpec("rgb64"))


@pytest.mark.parametrize("mode", MODES)
def test_states_and_arrays_that_do_not_fit_are_refused(mode: str) -> None:
    episodes = playing(GreenExit(size=7), 2)
    view = make_view(GreenExit(size=9), ObservationSpec(mode))
    with pytest.raises(GoalmazeError, match=r"7x7 cells.*at size 9: make one with family\.resized\(7\)$"):
        view.draw(episodes.state, view.buffer(2))
    right = make_view(GreenExit(size=7), ObservationSpec(mode))
    with pytest.raises(GoalmazeError, match=r"use the array of buffer\(2\)$"):
        right.draw(episodes.state, right.buffer(3))
    with pytest.raises(GoalmazeError, match=r"use the array of buffer\(2\)$"):
        right.update(episodes.state, right.buffer(2).astype(np.int64), right.memory(2))  # type: ignore[arg-type]


def test_memories_of_another_batch_are_refused() -> None:
    episodes = playing(GreenExit(size=7), 2)
    view = make_view(episodes.family, ObservationSpec("rgb"))
    with pytest.raises(GoalmazeError, match=r"^the memory is of 3 pictures: use memory\(2\)$"):
        view.update(episodes.state, view.buffer(2), view.memory(3))
    with pytest.raises(IndexError):
        view.draw(episodes.state, view.buffer(2), np.array([2]))
