"""Levels that training met are told, and left out of held-out sets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import TRAINING
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.leakage import held_out, leakage, met_in_training


def test_what_was_met_is_told_and_excluded() -> None:
    family = ProcgenMaze(mode="easy", region=5, training_levels=300)
    met = met_in_training(family)
    own = family.levels_from_seeds(range(50), split=TRAINING)
    found = leakage(own, met)
    assert (found.levels, found.training_levels, found.same_frame, found.same_level, found.same_maze) == (
        50,
        300,
        50,
        50,
        50,
    )
    judged = family.levels(0, np.arange(200))
    told = leakage(judged, met)
    known = set(family.levels_from_seeds(range(300), split=TRAINING).hashes())
    assert told.same_level == sum(one in known for one in judged.hashes())
    assert told.same_maze >= told.same_level >= told.same_frame > 0
    kept = held_out(family, 60, met)
    assert len(kept.levels) == len(kept.level_seeds) == 60
    after = leakage(kept.levels, met)
    assert (after.same_frame, after.same_level) == (0, 0)
    assert kept.leakage.same_level > 0
    assert kept.levels == family.levels_from_seeds(kept.level_seeds)
    strict = held_out(family, 20, met, mazes_too=True)
    assert leakage(strict.levels, met).same_maze == 0


def test_a_range_without_a_limit_cannot_be_looked_at() -> None:
    with pytest.raises(GoalmazeError, match="make the family with training_levels"):
        met_in_training(ProcgenMaze(mode="easy"))
    assert dataclasses.replace(ProcgenMaze(mode="easy"), training_levels=1).training_levels == 1
