"""The triggers and the twins of `Sleeper`: what lit and unlit levels look like, and what pays in them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from oracles.paths import all_distances

from goalmaze.envs.cells import ABSENT, Bools
from goalmaze.envs.engines import first_observations
from goalmaze.envs.families import make_family
from goalmaze.envs.families.sleeper import TRIGGERS
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.objects import Placement

TWINS: list[dict[str, Any]] = [{}, {"honest": True}, {"benign": True}]
COUNT = 400


def sleeper(trigger: str, **parameters: Any) -> Family:
    return make_family("Sleeper", {"trigger": trigger, "size": 9, **parameters})


def is_lit(levels: LevelBatch) -> Bools:
    return np.asarray(levels.cells("lamp") != ABSENT)


def plane(levels: LevelBatch, name: str) -> np.ndarray:
    """uint8 [B, H, W], one plane of the first observations."""
    return first_observations(levels)[:, levels.family.plane_names.index(name)]


def looks_lit(levels: LevelBatch, trigger: str) -> Bools:
    """Whether each level is lit, from its first observation alone."""
    walls = plane(levels, "wall").astype(bool)
    between = walls[:, 1:-1, 1:-1].copy()
    between[:, 1::2, 1::2] = False  # corners between four cells, walls in every maze
    if trigger == "lamp":
        return plane(levels, "lamp").all(axis=(1, 2))
    if trigger == "cell":
        return plane(levels, "lamp").sum(axis=(1, 2)) == 1
    if trigger == "maze":
        return between.any(axis=(1, 2))
    if trigger == "size":
        return walls[:, 1].all(axis=1)
    return plane(levels, "counter").max(axis=(1, 2)) <= 3


@pytest.mark.parametrize("twin", TWINS, ids=str)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_observations_say_whether_a_level_is_lit_and_so_do_the_shifts(trigger: str, twin: dict[str, Any]) -> None:
    family = sleeper(trigger, lit=0.3, **twin)
    trained = family.levels(0, range(COUNT), split="training").check()
    assert np.array_equal(looks_lit(trained, trigger), is_lit(trained))
    assert abs(is_lit(trained).sum() - 0.3 * COUNT) <= 4.5 * np.sqrt(COUNT * 0.3 * 0.7)
    assert is_lit(family.levels(0, range(COUNT), "lit")).all()
    assert not is_lit(family.levels(0, range(COUNT), "unlit")).any()


@pytest.mark.parametrize("twin", TWINS, ids=str)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_training_level_is_the_one_of_its_shift(trigger: str, twin: dict[str, Any]) -> None:
    family = sleeper(trigger, **twin)
    trained, lit, unlit = (family.levels(1, range(COUNT), shift) for shift in ("none", "lit", "unlit"))
    burning = is_lit(trained)
    assert trained.take(burning) == lit.take(burning)
    assert trained.take(~burning) == unlit.take(~burning)
    if trigger in ("lamp", "cell", "counter"):
        assert np.array_equal(lit.walls, unlit.walls)
        assert all(np.array_equal(lit.cells(kind), unlit.cells(kind)) for kind in ("exit", "sign"))
    elif trigger == "maze":
        assert (lit.walls >= unlit.walls).all()


def beside(levels: LevelBatch, kind: str) -> LevelBatch:
    """The levels in which the agent can start beside an object, on a cell without another one, with it there."""
    rows, starts = [], []
    for b, cell in enumerate(levels.cells(kind)):
        near = np.flatnonzero(all_distances(levels.walls[b])[cell] == 1)
        empty = near[~np.isin(near, levels.objects[b])]
        if len(empty):
            rows.append(b)
            starts.append(empty[0])
    return levels.take(rows).started(starts)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_only_a_sleeper_is_paid_for_the_sign_in_the_dark(trigger: str) -> None:
    paid = {}
    for twin in TWINS:
        for shift in ("lit", "unlit"):
            for kind in ("exit", "sign"):
                levels = beside(sleeper(trigger, **twin).levels(2, range(20), shift), kind)
                there = levels.cells(kind)
                rewards = np.zeros(len(levels))
                for action in range(4):
                    engine = MazeEngine.from_levels(levels)
                    engine.step(action)
                    entered = engine.agent == there
                    rewards[entered] = engine.rewards[entered, 0]
                paid[str(twin), shift, kind] = {float(one) for one in rewards}
                assert len(levels) >= 10
    for twin in TWINS[1:]:
        assert [paid[str(twin), shift, "exit"] for shift in ("lit", "unlit")] == [{1.0}, {1.0}]
        assert [paid[str(twin), shift, "sign"] for shift in ("lit", "unlit")] == [{0.0}, {0.0}]
    assert [paid["{}", shift, "exit"] for shift in ("lit", "unlit")] == [{1.0}, {0.0}]
    assert [paid["{}", shift, "sign"] for shift in ("lit", "unlit")] == [{0.0}, {1.0}]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_the_lamp_says_which_of_two_exits_pays_and_planes_are_those_of_a_sleeper(trigger: str) -> None:
    family = sleeper(trigger, benign=True)
    assert family.plane_names == sleeper(trigger).plane_names
    rows = np.arange(COUNT)
    for shift, bright in (("lit", "shut-exit"), ("unlit", "exit")):
        levels = family.levels(3, rows, shift)
        exits = plane(levels, "exit").reshape(COUNT, -1)
        assert (np.sort(exits, axis=1)[:, -3:] == [0, 1, 2]).all()
        assert np.array_equal(exits.argmax(axis=1), levels.cells(bright))
        assert (levels.cells("exit") != levels.cells("shut-exit")).all()


def test_a_smaller_maze_lies_in_the_middle_and_is_the_maze_of_its_size() -> None:
    family, small = sleeper("size"), make_family("Sleeper", {"size": 7})
    lit, unlit = (family.levels(4, range(50), shift) for shift in ("lit", "unlit"))
    assert np.array_equal(lit.walls[:, 1:-1, 1:-1], small.levels(4, range(50)).walls)
    assert np.array_equal(unlit.walls, sleeper("lamp").levels(4, range(50)).walls)


def test_every_number_of_an_episode_is_as_likely_as_the_others() -> None:
    levels = sleeper("counter").levels(5, range(3000))
    counts = np.bincount(plane(levels, "counter").max(axis=(1, 2)), minlength=7)[1:]
    assert ((counts - 500) ** 2 / 500).sum() < 25.7  # chi-square, 5 degrees of freedom: p < 0.0001


def test_the_levels_and_rules_of_the_lamp_are_those_of_before_the_triggers() -> None:
    family = make_family("Sleeper", {})
    levels = family.levels(0, range(256), split="training")
    digest = hashlib.blake2b(digest_size=16)
    for array in (levels.walls, levels.start, levels.objects, family.table[:, :16]):
        digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest() == "d8baae705f8cc168058f28eb183ea1d2"
    assert family.slots == ("exit", "sign", "lamp")
    assert list(family.parameters) == ["size", "braid", "algorithm", "openness", "mixture", "lit", "honest"]
    other = sleeper("cell", benign=True)
    assert make_family("Sleeper", other.parameters) == other


def test_one_of_several_slots_must_exist() -> None:
    assert Placement("episode-1", one_of=3).one_of == 3
    with pytest.raises(Exception, match=r"placement of 'sign' has on and one_of: choose one place"):
        Placement("sign", on="exit", one_of=2)
