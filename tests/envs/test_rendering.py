"""Frames have the right size, and their objects are visible and differ, without colours too."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from colour_vision import DICHROMACY, linear
from numpy.typing import NDArray

from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.look import AGENT, FLOOR, WALL
from goalmaze.envs.rendering import SHAPES, draw_scene, frame, paint, scene_data, shape_mask
from goalmaze.envs.single import MazeEnv

SIZES = [*range(1, 17), 32]
HALL = "#######\n#A....#\n#..E..#\n#.S...#\n#######"
START, EXIT, SIGN, EMPTY, FAR = 8, 17, 23, 25, 12


def hall() -> tuple[LevelBatch, Family]:
    family = make_family("GreenExit")
    return read_ascii(HALL, family), family


def cell_of(picture: NDArray[np.uint8], cell: int, pixels: int) -> NDArray[np.int64]:
    row, column = divmod(cell, 7)
    return picture[row * pixels : (row + 1) * pixels, column * pixels : (column + 1) * pixels].astype(np.int64)


def drawn(pixels: int, **more: object) -> NDArray[np.uint8]:
    levels, _ = hall()
    return frame(levels, 0, START, pixels=pixels, **more)  # type: ignore[arg-type]


def drawn_at(agent: int, pixels: int, **more: object) -> NDArray[np.uint8]:
    levels, _ = hall()
    return frame(levels, 0, agent, pixels=pixels, **more)  # type: ignore[arg-type]


def changed_cells(a: NDArray[np.uint8], b: NDArray[np.uint8], pixels: int) -> set[int]:
    different = (a != b).any(axis=2).reshape(5, pixels, 7, pixels).any(axis=(1, 3))
    return set(np.flatnonzero(different).tolist())


@pytest.mark.parametrize("pixels", SIZES)
def test_frames_have_the_right_size_with_walls_and_floor_in_place(pixels: int) -> None:
    picture = drawn(pixels)
    levels, _ = hall()
    assert (picture.shape, picture.dtype) == ((5 * pixels, 7 * pixels, 3), np.uint8)
    for cell in range(35):
        square = cell_of(picture, cell, pixels)
        assert (square == WALL).all() == levels.walls.reshape(-1)[cell]
    assert (cell_of(picture, EMPTY, pixels)[pixels > 1 :, pixels > 1 :] == FLOOR).mean() > 0.5


@pytest.mark.parametrize("pixels", SIZES)
def test_objects_and_agent_stand_out_from_the_floor(pixels: int) -> None:
    picture = drawn(pixels)
    for cell in (START, EXIT, SIGN):
        contrast = np.abs(cell_of(picture, cell, pixels) - cell_of(picture, EMPTY, pixels)).max()
        assert contrast > 40
    same = np.abs(cell_of(picture, FAR, pixels) - cell_of(picture, EMPTY, pixels)).max()
    assert same == 0


Look = tuple[str, tuple[int, int, int]]


def looks(family: Family) -> set[Look]:
    """Shape and colour of each thing there is; kinds may look alike on purpose."""
    things: set[Look] = {("disc", AGENT), ("", FLOOR), ("tile", WALL)}
    return things | {(kind.shape, kind.colour) for kind in family.object_types}


def on_floor(look: Look, pixels: int) -> NDArray[np.int64]:
    picture = np.full((pixels, pixels, 3), FLOOR, np.uint8)
    if look[0]:
        paint(picture, 0, 1, pixels, *look)
    return picture.astype(np.int64)


@pytest.mark.parametrize("pixels", [8, 16, 32])
@pytest.mark.parametrize("family", known_families())
def test_shapes_differ_without_colours_and_colours_of_a_shape_differ(family: str, pixels: int) -> None:
    luminance = np.array([0.2126, 0.7152, 0.0722])
    for a, b in itertools.combinations(looks(make_family(family)), 2):
        difference = np.abs(on_floor(a, pixels) - on_floor(b, pixels))
        if a[0] != b[0]:
            difference = np.abs((on_floor(a, pixels) - on_floor(b, pixels)) @ luminance)[..., None]
        assert (difference.max(axis=2) > 40).mean() > 0.05, (a, b)


def as_seen_with(blindness: str, colour: tuple[int, int, int]) -> NDArray[np.float64]:
    """A colour as a dichromat sees it, 0 to 255."""
    mixed = np.clip(DICHROMACY[blindness] @ linear(colour), 0, 1)
    seen: NDArray[np.float64] = 255 * np.where(mixed <= 0.0031308, mixed * 12.92, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return seen


def gap(blindness: str, a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    return float(np.abs(as_seen_with(blindness, a) - as_seen_with(blindness, b)).max())


@pytest.mark.parametrize("blindness", DICHROMACY)
def test_colours_of_one_shape_differ_for_the_colour_blind(blindness: str) -> None:
    pairs = [
        (a.colour, b.colour)
        for name in known_families()
        for a, b in itertools.combinations(make_family(name).object_types, 2)
        if a.shape == b.shape and a.colour != b.colour
    ]
    assert len(pairs) >= 2
    assert min(gap(blindness, *pair) for pair in pairs) > 40


def test_a_red_and_a_green_would_be_confused() -> None:
    assert gap("deuteranopia", (200, 60, 60), (113, 113, 60)) < 40 < gap("tritanopia", (200, 60, 60), (113, 113, 60))


def cell_with(family: Family, object_types: tuple[str, ...], pixels: int) -> NDArray[np.int64]:
    """A bare cell with objects of some kinds on it, as a frame shows it."""
    floor = np.zeros((1, family.size, family.size), np.bool_)
    levels = LevelBatch(floor, np.zeros(1, np.int32), np.full((1, len(family.slots)), ABSENT), family)
    objects = np.array([[24 if kind in object_types else ABSENT for kind in family.slots]], np.int32)
    picture = frame(dataclasses.replace(levels, objects=objects), 0, ABSENT, pixels=pixels)
    row, column = divmod(24, family.size)
    return picture[row * pixels : (row + 1) * pixels, column * pixels : (column + 1) * pixels].astype(np.int64)


STACKS = [
    ("ColourShape", ("line", "yellow")),
    ("ColourShape", ("line", "red")),
    ("ColourShape", ("gem", "yellow")),
    ("ColourShape", ("gem", "red")),
    ("Corner", ("cheese", "corner")),
    ("Dish", ("cheese", "dish")),
    ("GreenExit", ("exit", "sign")),
]


@pytest.mark.parametrize("pixels", [8, 16, 32])
@pytest.mark.parametrize(("name", "object_types"), STACKS)
def test_things_on_one_cell_all_show(name: str, object_types: tuple[str, ...], pixels: int) -> None:
    family = make_family(name)
    together = cell_with(family, object_types, pixels)
    for missing in object_types:
        without = cell_with(family, tuple(kind for kind in object_types if kind != missing), pixels)
        assert (np.abs(together - without).max(axis=2) > 40).mean() > 0.1, missing
    assert np.array_equal(cell_with(family, object_types[::-1], pixels), together)


def test_exit_and_sign_on_one_cell_show_both() -> None:
    levels, family = hall()
    stacked = levels.moved("sign", EXIT)
    only_exit, both = (frame(batch, 0, START) for batch in (stacked.removed("sign"), stacked))
    colours = {tuple(colour) for colour in cell_of(both, EXIT, 32).reshape(-1, 3).tolist()}
    assert {kind.colour for kind in family.object_types if kind.name in ("exit", "sign")} <= colours
    assert changed_cells(only_exit, both, 32) == {EXIT}


@pytest.mark.parametrize("pixels", SIZES)
def test_the_agent_is_drawn_where_it_stands_and_nowhere_else(pixels: int) -> None:
    levels, _ = hall()
    moved = frame(levels, 0, np.int32(FAR), pixels=pixels)
    assert changed_cells(drawn(pixels), moved, pixels) == {START, FAR}
    nobody = frame(levels, 0, ABSENT, pixels=pixels)
    assert changed_cells(drawn(pixels), nobody, pixels) == {START}


@pytest.mark.parametrize("pixels", SIZES)
def test_a_target_is_ringed_and_absent_things_are_not_drawn(pixels: int) -> None:
    assert changed_cells(drawn(pixels), drawn(pixels, target=EXIT), pixels) == {EXIT}
    assert changed_cells(drawn(pixels), drawn(pixels, target=ABSENT), pixels) == set()
    levels, _ = hall()
    without = frame(levels.removed("sign").removed("exit"), 0, START, pixels=pixels)
    assert changed_cells(drawn(pixels), without, pixels) == {EXIT, SIGN}


@pytest.mark.parametrize("pixels", [size for size in SIZES if size > 1])
def test_a_trail_marks_the_cells_walked(pixels: int) -> None:
    assert changed_cells(drawn(pixels), drawn(pixels, trail=(EMPTY, FAR)), pixels) == {EMPTY, FAR}


def test_each_level_of_a_batch_has_its_own_frame() -> None:
    family = make_family("GreenExit", {"size": 5})
    levels = family.levels(0, range(4))
    together = [frame(levels, b, levels.start[b], pixels=3) for b in range(4)]
    alone = [frame(levels.take([b]), 0, levels.start[b], pixels=3) for b in range(4)]
    assert np.array_equal(together, alone)
    assert len({picture.tobytes() for picture in together}) == 4


@pytest.mark.parametrize(("shape", "area"), [("disc", np.pi * 0.55**2 / 4), ("diamond", 2 * 0.82**2 / 4)])
@pytest.mark.parametrize("pixels", [8, 32])
def test_a_shape_covers_its_area_with_smooth_edges(shape: str, area: float, pixels: int) -> None:
    mask = shape_mask(shape, pixels)
    assert mask.shape == (pixels, pixels)
    assert mask.mean() == pytest.approx(area, rel=0.1)
    assert ((mask > 0) & (mask < 1)).any()
    assert np.array_equal(mask, mask.T)
    assert np.array_equal(mask, mask[::-1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 2), (7, 8), (32, 32)])
def test_masks_have_the_size_of_the_cell_and_rims_lie_around_them(shape: str, height: int, width: int) -> None:
    mask, rimmed = shape_mask(shape, height, width), shape_mask(shape, height, width, rim=True)
    assert mask.shape == rimmed.shape == (height, width)
    assert 0 < mask.sum() < rimmed.sum()
    assert (mask <= rimmed).all()
    assert (mask.min(), rimmed.max()) >= (0, 0)
    assert rimmed.max() <= 1


@pytest.mark.parametrize(("pixels", "share"), [(8, 0.02), (16, 0.06), (32, 0.08)])
def test_every_shape_differs_from_every_other_whatever_its_colour(pixels: int, share: float) -> None:
    for a, b in itertools.combinations(SHAPES, 2):
        assert (np.abs(shape_mask(a, pixels) - shape_mask(b, pixels)) > 0.4).mean() > share


def test_unknown_shapes_are_refused_by_name() -> None:
    with pytest.raises(GoalmazeError, match=r"^unknown shape 'tsar' \(did you mean 'star'\?\)$"):
        shape_mask("tsar", 8)


def test_shared_masks_cannot_be_spoilt() -> None:
    before = shape_mask("disc", 8).copy()
    drawn(8)
    assert np.array_equal(shape_mask("disc", 8), before)
    with pytest.raises(ValueError, match="read-only"):
        shape_mask("disc", 8)[:] = 0


def test_scenes_are_plain_data_from_which_frames_are_drawn() -> None:
    levels, family = hall()
    scene = scene_data(levels, 0, np.int32(FAR), target=EXIT, trail=(EMPTY, START))
    restored = json.loads(json.dumps(scene))
    assert restored == scene
    assert restored["size"] == [5, 7]
    assert [row.count(1) for row in restored["walls"]] == [7, 2, 2, 2, 7]
    exit_, sign = family.object_types[:2]
    assert restored["objects"] == [
        {"kind": "exit", "shape": exit_.shape, "colour": list(exit_.colour), "cell": EXIT, "hidden": False},
        {"kind": "sign", "shape": sign.shape, "colour": list(sign.colour), "cell": SIGN, "hidden": False},
    ]
    assert (restored["agent"], restored["target"], restored["trail"]) == (FAR, EXIT, [EMPTY, START])
    assert np.array_equal(draw_scene(restored, 9), drawn_at(FAR, 9, target=EXIT, trail=(EMPTY, START)))
    restored["palette"]["agent"] = [0, 0, 0]
    assert changed_cells(draw_scene(restored, 9), draw_scene(scene, 9), 9) == {FAR}


def shown(name: str, kind: str, cell: int) -> set[int]:
    """The cells of a 9x9 picture that change where the first object of a kind is put on a cell."""
    family = make_family(name)
    levels = family.levels(0, [0])
    objects = np.full_like(levels.objects, ABSENT)
    without = dataclasses.replace(levels, objects=objects.copy())
    objects[0, family.slots.index(kind)] = cell
    pictures = [frame(batch, 0, ABSENT, pixels=8) for batch in (dataclasses.replace(levels, objects=objects), without)]
    different = (pictures[0] != pictures[1]).any(axis=2).reshape(9, 8, 9, 8).any(axis=(1, 3))
    return set(np.flatnonzero(different).tolist())


def test_items_held_show_along_the_top_wall_and_lamps_in_its_corner() -> None:
    assert shown("KeysChests", "key", 3) == {3}
    assert shown("Sleeper", "lamp", 40) == {0}
    assert shown("Sleeper", "lamp", ABSENT) == set()


def test_text_shows_the_level_with_the_agent_where_it_stands() -> None:
    family = make_family("GreenExit", {"size": 5})
    env = MazeEnv(family, render_mode="ansi")
    env.reset(options={"levels": read_ascii("#####\n#ASE#\n###.#\n#...#\n#####", family)})
    assert env.render() == "#####\n#ASE#\n###.#\n#...#\n#####\n"
    env.step(1)
    assert env.render() == "#####\n#.AE#\n###.#\n#...#\n#####\n"
    env.step(3)
    assert env.render() == "#####\n#ASE#\n###.#\n#...#\n#####\n"


def test_pictures_of_the_environment_are_frames_of_its_level() -> None:
    family = make_family("GreenExit", {"size": 5})
    level = read_ascii("#####\n#A.G#\n###.#\n#...#\n#####", family)
    env = MazeEnv(family, render_mode="rgb_array")
    env.reset(options={"levels": level})
    env.step(1)
    assert np.array_equal(env.render(), frame(level, 0, 7))
    assert MazeEnv(family).render() is None
