"""Frames have the right size, and everything in them can be seen and told apart, without colours too."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.families.base import Family
from goalmaze.envs.levels import ABSENT, LevelBatch
from goalmaze.envs.rendering import AGENT_COLOUR, FLOOR_COLOUR, WALL_COLOUR, frame, paint, shape_mask
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
    levels, family = hall()
    return frame(levels, 0, family, START, pixels=pixels, **more)  # type: ignore[arg-type]


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
        assert (square == WALL_COLOUR).all() == levels.walls.reshape(-1)[cell]
    assert (cell_of(picture, EMPTY, pixels)[pixels > 1 :, pixels > 1 :] == FLOOR_COLOUR).mean() > 0.5


@pytest.mark.parametrize("pixels", SIZES)
def test_objects_and_agent_stand_out_from_the_floor(pixels: int) -> None:
    picture = drawn(pixels)
    for cell in (START, EXIT, SIGN):
        contrast = np.abs(cell_of(picture, cell, pixels) - cell_of(picture, EMPTY, pixels)).max()
        assert contrast > 40
    same = np.abs(cell_of(picture, FAR, pixels) - cell_of(picture, EMPTY, pixels)).max()
    assert same == 0


def greys(family: Family, pixels: int) -> dict[str, NDArray[np.float64]]:
    """What each thing looks like on the floor in shades of grey, 0 to 255."""
    things = {kind.name: (kind.shape, kind.colour) for kind in family.kinds}
    things |= {"agent": ("disc", AGENT_COLOUR), "floor": ("dot", FLOOR_COLOUR), "wall": ("disc", WALL_COLOUR)}
    looks: dict[str, NDArray[np.float64]] = {}
    for name, (shape, colour) in things.items():
        picture = np.full((pixels, pixels, 3), FLOOR_COLOUR, np.uint8)
        paint(picture, 0, 1, pixels, shape, colour)
        looks[name] = picture @ np.array([0.2126, 0.7152, 0.0722])
    return looks


@pytest.mark.parametrize("pixels", [8, 16, 32])
@pytest.mark.parametrize("family", known_families())
def test_all_kinds_can_be_told_apart_without_colours(family: str, pixels: int) -> None:
    for a, b in itertools.combinations(greys(make_family(family), pixels).values(), 2):
        assert (np.abs(a - b) > 40).mean() > 0.05


def test_exit_and_sign_on_one_cell_show_both() -> None:
    levels, family = hall()
    stacked = levels.moved("sign", EXIT)
    only_exit, both = (frame(batch, 0, family, START) for batch in (stacked.removed("sign"), stacked))
    colours = {tuple(colour) for colour in cell_of(both, EXIT, 32).reshape(-1, 3).tolist()}
    assert {kind.colour for kind in family.kinds} <= colours
    assert changed_cells(only_exit, both, 32) == {EXIT}


@pytest.mark.parametrize("pixels", SIZES)
def test_the_agent_is_drawn_where_it_stands_and_nowhere_else(pixels: int) -> None:
    levels, family = hall()
    moved = frame(levels, 0, family, np.int32(FAR), pixels=pixels)
    assert changed_cells(drawn(pixels), moved, pixels) == {START, FAR}
    nobody = frame(levels, 0, family, ABSENT, pixels=pixels)
    assert changed_cells(drawn(pixels), nobody, pixels) == {START}


@pytest.mark.parametrize("pixels", SIZES)
def test_a_target_is_ringed_and_absent_things_are_not_drawn(pixels: int) -> None:
    assert changed_cells(drawn(pixels), drawn(pixels, target=EXIT), pixels) == {EXIT}
    assert changed_cells(drawn(pixels), drawn(pixels, target=ABSENT), pixels) == set()
    levels, family = hall()
    without = frame(levels.removed("sign").removed("exit"), 0, family, START, pixels=pixels)
    assert changed_cells(drawn(pixels), without, pixels) == {EXIT, SIGN}


@pytest.mark.parametrize("pixels", [size for size in SIZES if size > 1])
def test_a_trail_marks_the_cells_walked(pixels: int) -> None:
    assert changed_cells(drawn(pixels), drawn(pixels, trail=(EMPTY, FAR)), pixels) == {EMPTY, FAR}


def test_each_level_of_a_batch_has_its_own_frame() -> None:
    family = make_family("GreenExit", {"size": 5})
    levels = family.levels(0, range(4))
    together = [frame(levels, b, family, levels.start[b], pixels=3) for b in range(4)]
    alone = [frame(levels.take([b]), 0, family, levels.start[b], pixels=3) for b in range(4)]
    assert np.array_equal(together, alone)
    assert len({picture.tobytes() for picture in together}) == 4


@pytest.mark.parametrize(("shape", "area"), [("disc", np.pi * 0.55**2 / 4), ("diamond", 2 * 0.68**2 / 4)])
@pytest.mark.parametrize("pixels", [8, 32])
def test_a_shape_covers_its_area_with_smooth_edges(shape: str, area: float, pixels: int) -> None:
    mask = shape_mask(shape, pixels)
    assert mask.shape == (pixels, pixels)
    assert mask.mean() == pytest.approx(area, rel=0.1)
    assert ((mask > 0) & (mask < 1)).any()
    assert np.array_equal(mask, mask.T)
    assert np.array_equal(mask, mask[::-1])


def test_unknown_shapes_are_refused_by_name() -> None:
    with pytest.raises(GoalmazeError, match=r"^unknown shape 'star' \(known: disc, diamond, door, ring, dot\)$"):
        shape_mask("star", 8)


def test_shared_masks_cannot_be_spoilt() -> None:
    before = shape_mask("disc", 8).copy()
    drawn(8)
    assert np.array_equal(shape_mask("disc", 8), before)
    with pytest.raises(ValueError, match="read-only"):
        shape_mask("disc", 8)[:] = 0


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
    assert np.array_equal(env.render(), frame(level, 0, family, 7))
    assert MazeEnv(family).render() is None
