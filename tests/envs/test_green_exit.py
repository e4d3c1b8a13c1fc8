"""GreenExit puts its objects where its training distribution and its shifts say."""

import numpy as np
import pytest

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.families.green_exit import GreenExit
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch
from goalmaze.envs.solving import distances, pick

COUNT = 2000


def pair(shift: str, world: Family | None = None) -> tuple[LevelBatch, LevelBatch]:
    """The training levels and the levels of a shift at the same addresses."""
    world = world or GreenExit()
    return world.levels(6, range(COUNT)), world.levels(6, range(COUNT), shift)


def test_sign_stands_on_exit_in_training() -> None:
    levels, _ = pair(NO_SHIFT)
    assert (levels.cells("sign") == levels.cells("exit")).all()
    assert (levels.cells("exit") != ABSENT).all()
    assert (levels.cells("sign", 1) == ABSENT).all()


@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.5, 0.9, 0.99, 1.0])
def test_sign_stands_on_exit_as_often_as_the_correlation_says(correlation: float) -> None:
    levels = GreenExit(correlation=correlation).levels(2, range(10_000))
    together = int((levels.cells("sign") == levels.cells("exit")).sum())
    bound = 4.5 * np.sqrt(10_000 * correlation * (1 - correlation))
    assert abs(together - 10_000 * correlation) <= bound
    assert (levels.cells("sign") != ABSENT).all()


def test_correlation_moves_nothing_but_the_sign() -> None:
    together, apart = (GreenExit(correlation=c).levels(2, range(500)) for c in (1.0, 0.0))
    assert together.removed("sign") == apart.removed("sign")
    half = GreenExit(correlation=0.5).levels(2, range(500)).cells("sign")
    assert np.isin(half, [together.cells("sign"), apart.cells("sign")]).all()
    assert ((half == together.cells("sign")) | (half == apart.cells("sign"))).all()


@pytest.mark.parametrize("shift", [NO_SHIFT, *GreenExit.shifts])
@pytest.mark.parametrize("correlation", [0.5, 1.0])
def test_every_level_follows_the_rules_and_can_be_solved(shift: str, correlation: float) -> None:
    levels = GreenExit(correlation=correlation).levels(1, range(COUNT), shift)
    levels.check()
    exits = levels.cells("exit")
    assert (exits != ABSENT).all()
    assert (pick(distances(levels, levels.start), exits) < UNREACHABLE).all()


@pytest.mark.parametrize("shift", GreenExit.shifts)
def test_a_shift_keeps_maze_and_start(shift: str) -> None:
    training, shifted = pair(shift)
    assert np.array_equal(training.walls, shifted.walls)
    assert np.array_equal(training.start, shifted.start)
    assert not np.array_equal(training.objects, shifted.objects)


def test_moved_sign_keeps_the_exit_and_parts_the_sign_from_it() -> None:
    training, shifted = pair("moved-sign")
    assert training.removed("sign") == shifted.removed("sign")
    assert (shifted.cells("sign") != ABSENT).all()
    assert (shifted.cells("sign") != shifted.cells("exit")).all()
    assert (shifted.cells("sign", 1) == ABSENT).all()


def test_no_sign_only_takes_the_sign_away() -> None:
    training, shifted = pair("no-sign")
    assert shifted == training.removed("sign")
    assert (training.cells("sign") != ABSENT).all()


def test_two_signs_only_adds_a_second_sign_elsewhere() -> None:
    training, shifted = pair("two-signs")
    second = shifted.cells("sign", 1)
    assert shifted.moved("sign", ABSENT, which=1) == training
    assert (second != ABSENT).all()
    assert (second != shifted.cells("exit")).all()


def test_moved_exit_keeps_the_sign_and_parts_the_exit_from_it() -> None:
    training, shifted = pair("moved-exit")
    assert training.removed("exit") == shifted.removed("exit")
    assert (shifted.cells("exit") != ABSENT).all()
    assert (shifted.cells("exit") != shifted.cells("sign")).all()


def test_goal_and_cue_never_share_a_cell_under_the_distinguishing_shift() -> None:
    world = GreenExit()
    training, parted = pair(world.distinguishing_shift)
    assert not (parted.cells(world.goal) == parted.cells(world.cue)).any()
    assert (training.cells(world.goal) == training.cells(world.cue)).all()


def test_objects_fall_evenly_on_the_free_cells() -> None:
    levels = GreenExit(size=5, braid=1.0).levels(0, range(21_000), "moved-sign")
    free = np.flatnonzero(levels.free()[0])
    assert len(free) == 8
    for cells in (levels.start, levels.cells("exit"), levels.cells("sign")):
        counts = np.bincount(cells, minlength=25)[free]
        assert counts.sum() == 21_000
        assert ((counts - 21_000 / 8) ** 2 / (21_000 / 8)).sum() < 30  # chi-square, 7 degrees of freedom: p < 0.0001


@pytest.mark.parametrize("salience", [0, 1, 4, 255])
def test_salience_is_the_value_of_the_signs_plane_alone(salience: int) -> None:
    world = GreenExit(salience=salience, correlation=0.5)
    levels = world.levels(0, range(50))
    planes = first_observations(levels)
    assert planes.shape == (50, 4, 9, 9)
    assert planes[:, 3].reshape(50, -1).max(axis=1).tolist() == [salience] * 50
    assert planes[:, 3].sum(axis=(1, 2)).tolist() == [salience] * 50
    assert np.array_equal(planes[:, :3], first_observations(levels)[:, :3])
    assert planes[:, :3].max() == 1


KNOWN = (
    "algorithm, apples, braid, correlation, cue_visible_steps, goal_visible_steps, mixture, openness, salience, "
    "shapes, signs, size, visible_steps"
)
REFUSED = {
    "even size": ({"size": 8}, "size is 8: mazes need an odd size of at least 5"),
    "small size": ({"size": 3}, "size is 3: mazes need an odd size of at least 5"),
    "braid": ({"braid": 1.5}, "braid is 1.5: choose 0 to 1"),
    "openness": ({"openness": 2}, "openness is 2.0: choose 0 to 1"),
    "mixture": ({"mixture": -1}, "mixture is -1.0: choose 0 to 1"),
    "algorithm": ({"algorithm": "wilsen"}, "unknown maze algorithm 'wilsen' (did you mean 'wilson'?)"),
    "correlation": ({"correlation": -0.1}, "correlation is -0.1: choose 0 to 1"),
    "not a number": ({"correlation": float("nan")}, "correlation is nan: choose 0 to 1"),
    "salience": ({"salience": 256}, "salience is 256: choose 0 to 255"),
    "negative": ({"salience": -1}, "salience is -1: choose 0 to 255"),
    "signs": ({"signs": 0}, "signs is 0: choose 1 to 8"),
    "apples": ({"apples": 9}, "apples is 9: choose 1 to 8"),
    "text": ({"size": "9"}, "GreenExit: Expected `int`, got `str` - at `$.size`"),
    "fraction": ({"salience": 1.5}, "GreenExit: Expected `int`, got `float` - at `$.salience`"),
    "close": ({"corelation": 1.0}, "unknown parameter of GreenExit 'corelation' (did you mean 'correlation'?)"),
    "far": ({"x": 1}, f"unknown parameter of GreenExit 'x' (known: {KNOWN})"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_parameters_are_refused_by_name(case: str) -> None:
    parameters, message = REFUSED[case]
    with pytest.raises(GoalmazeError) as caught:
        make_family("GreenExit", parameters)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shift": "moved-sing"}, "unknown shift 'moved-sing' (did you mean 'moved-sign'?)"),
        (
            {"shift": "x"},
            "unknown shift 'x' (known: apples, many-signs, moved-exit, moved-sign, no-sign, none, red-sign, two-signs)",
        ),
        ({"split": "trainig"}, "unknown split 'trainig' (did you mean 'training'?)"),
    ],
)
def test_unknown_shifts_and_splits_suggest_the_close_one(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(GoalmazeError) as caught:
        GreenExit().levels(0, [0], **arguments)
    assert str(caught.value) == message


def test_an_unknown_family_suggests_the_close_one() -> None:
    with pytest.raises(GoalmazeError) as caught:
        make_family("GreenExti")
    assert str(caught.value) == "unknown family 'GreenExti' (did you mean 'GreenExit'?)"


def test_a_family_is_made_from_its_own_parameters_again() -> None:
    given = {"size": 7, "braid": 1, "correlation": 0.25, "salience": 9, "apples": 2, "shapes": True}
    world = make_family("GreenExit", given)
    assert {name: world.parameters[name] for name in given} == given
    assert make_family("GreenExit", world.parameters) == world
    assert world.resized(11) == make_family("GreenExit", given | {"size": 11})
    assert world.resized(None) is world
    assert (world.planes, world.time_limit) == (8, 56)


def test_apples_replace_the_sign_and_are_green() -> None:
    training, shifted = pair("apples", GreenExit(apples=2))
    assert shifted.removed("apple") == training.removed("sign")
    apples = np.stack([shifted.cells("apple", 0), shifted.cells("apple", 1)])
    assert (apples != ABSENT).all()
    assert (apples != shifted.cells("exit")).all()
    green = first_observations(shifted)[:, 3].reshape(COUNT, -1)
    assert (green.sum(axis=1) == 8).all()
    assert (green[np.arange(COUNT), apples] == 4).all()


def test_many_signs_adds_several_elsewhere() -> None:
    training, shifted = pair("many-signs", GreenExit(signs=4))
    for which in range(1, 5):
        assert (shifted.cells("sign", which) != ABSENT).all()
        assert (shifted.cells("sign", which) != shifted.cells("exit")).all()
        shifted = shifted.moved("sign", ABSENT, which=which)
    assert shifted == training


def test_a_red_sign_shows_only_where_shapes_do() -> None:
    training, shifted = pair("red-sign")
    assert shifted.removed("red-sign") == training.removed("sign")
    red = shifted.cells("red-sign")
    assert (red != ABSENT).all()
    assert (red != shifted.cells("exit")).all()
    bare = training.removed("sign")
    assert np.array_equal(first_observations(shifted), first_observations(bare))
    world = GreenExit(shapes=True)
    planes = first_observations(shifted.played_in(world)).reshape(COUNT, world.planes, -1)
    seen = {name: planes[np.arange(COUNT), world.plane_names.index(name), red] for name in world.plane_names[2:]}
    assert {name for name, values in seen.items() if (values == 4).all()} == {"red", "sign-shape"}
    assert {name for name, values in seen.items() if values.any()} == {"red", "sign-shape"}


def test_the_default_planes_are_those_that_the_agents_of_the_zoo_know() -> None:
    assert GreenExit().plane_names == ("wall", "agent", "exit", "sign")
    assert GreenExit(shapes=True).plane_names == (
        *("wall", "agent", "exit", "door", "sign", "sign-shape", "apple-shape", "red"),
    )
