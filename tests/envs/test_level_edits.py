"""Edited levels are playable and of the class that the kind of edits says, in every family."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.level_edits import EDITS, edited, has_distinguishing_levels, is_distinguishing
from goalmaze.envs.levels import NO_SHIFT, TRAINING, LevelBatch
from goalmaze.envs.solving import UNREACHABLE, distances

COUNT = 200
NUMBERS = np.arange(COUNT)
WITHOUT = {"Sleeper"}
"""Families whose training levels include those of the distinguishing shift."""


def half_and_half(name: str, mixture: float = 0.5) -> LevelBatch:
    return make_family(name, {"size": 7, "mixture": mixture}).levels(0, count=COUNT, split=TRAINING)


@pytest.mark.parametrize("name", [*known_families()])
def test_a_level_is_distinguishing_exactly_where_it_comes_from_the_distinguishing_shift(name: str) -> None:
    # Without small mazes, where an object for which there is no cell is left out of the level.
    family = make_family(name)
    shifted = family.levels(0, count=COUNT, shift=family.distinguishing_shift)
    assert not is_distinguishing(family.levels(0, count=COUNT, shift=NO_SHIFT)).any()
    assert is_distinguishing(shifted).all() == (name not in WITHOUT)
    assert has_distinguishing_levels(family) == (name not in WITHOUT)
    # The mixture draws from both, and the two can be told apart level by level.
    mixed = dataclasses.replace(family, mixture=0.5).levels(0, count=COUNT)
    if name not in WITHOUT:
        np.testing.assert_array_equal(is_distinguishing(mixed), [one == two for one, two in pairs(mixed, shifted)])


def pairs(mixed: LevelBatch, shifted: LevelBatch) -> list[tuple[str, str]]:
    return list(zip(mixed.hashes(), shifted.hashes(), strict=True))


@pytest.mark.parametrize("name", [*known_families()])
@pytest.mark.parametrize("edits", EDITS)
def test_edited_levels_are_playable_and_solvable(name: str, edits: str) -> None:
    levels = half_and_half(name)
    after = edited(levels, edits, 12, 0, NUMBERS).check()
    free = after.free()
    # Oracle: breadth-first search of another module reaches every free cell.
    np.testing.assert_array_equal(distances(after, after.start) < UNREACHABLE, free)
    family = levels.family
    optimum = family.optimal_returns(after, 0.9)
    assert (optimum > 0).all()
    # The optimum is that of the edited level, not of the level before.
    assert (optimum != family.optimal_returns(levels, 0.9)).mean() > 0.3
    assert (after.walls != levels.walls).any(axis=(1, 2)).mean() > 0.8


@pytest.mark.parametrize("name", sorted({*known_families()} - WITHOUT))
def test_identity_keeps_the_class_of_every_level(name: str) -> None:
    levels = half_and_half(name)
    np.testing.assert_array_equal(
        is_distinguishing(edited(levels, "identity", 12, 0, NUMBERS)), is_distinguishing(levels)
    )


@pytest.mark.parametrize(("edits", "expected"), [("constant", 0.1), ("binomial", 1 - 0.9**12)])
def test_constant_and_binomial_draw_the_class_anew(edits: str, expected: float) -> None:
    levels = half_and_half("GreenExit", 0.1)
    rate = is_distinguishing(edited(levels, edits, 12, 0, NUMBERS)).mean()
    # Four standard deviations of a rate of COUNT levels.
    assert abs(rate - expected) < 4 * np.sqrt(expected * (1 - expected) / COUNT)
    # Negative control: without a mixture, no level becomes distinguishing, whatever it was.
    none = dataclasses.replace(levels, family=make_family("GreenExit", {"size": 7}))
    assert not is_distinguishing(edited(none, edits, 12, 0, NUMBERS)).any()


def test_unrestricted_edits_change_the_class() -> None:
    ambiguous = make_family("GreenExit", {"size": 7}).levels(0, count=COUNT)
    assert is_distinguishing(edited(ambiguous, "unrestricted", 12, 0, NUMBERS)).mean() > 0.5


def test_an_edited_level_is_fixed_by_seed_and_number() -> None:
    levels = half_and_half("Dish")
    whole = edited(levels, "identity", 12, 5, NUMBERS)
    rows = np.array([7, 3, 150])
    assert edited(levels.take(rows), "identity", 12, 5, NUMBERS[rows]) == whole.take(rows)
    assert edited(levels, "identity", 12, 6, NUMBERS) != whole
    assert edited(levels, "identity", 0, 5, NUMBERS) == levels


@pytest.mark.parametrize("trigger", ["maze", "size", "counter"])
def test_levels_whose_maze_or_number_says_the_shift_are_not_edited(trigger: str) -> None:
    levels = make_family("Sleeper", {"size": 7, "trigger": trigger}).levels(0, count=2)
    with pytest.raises(GoalmazeError, match="levels of Sleeper with these parameters cannot be edited"):
        edited(levels, "identity", 1, 0, NUMBERS[:2])
