"""Levels that also occur in training are counted, and left out of held-out sets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import TRAINING
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.leakage import held_out, leakage, training_digests


def test_levels_that_occur_in_training_are_counted_and_excluded() -> None:
    family = ProcgenMaze(mode="easy", region=5, training_levels=300)
    training = training_digests(family)
    own = family.levels_from_seeds(range(50), split=TRAINING)
    found = leakage(own, training)
    assert (found.levels, found.training_levels, found.same_frame, found.same_level, found.same_maze) == (
        50,
        300,
        50,
        50,
        50,
    )
    evaluation = family.levels(0, np.arange(200))
    counts = leakage(evaluation, training)
    known = set(family.levels_from_seeds(range(300), split=TRAINING).hashes())
    assert counts.same_level == sum(one in known for one in evaluation.hashes())
    assert counts.same_maze >= counts.same_level >= counts.same_frame > 0
    kept = held_out(family, 60, training)
    assert len(kept.levels) == len(kept.level_seeds) == 60
    after = leakage(kept.levels, training)
    assert (after.same_frame, after.same_level) == (0, 0)
    assert kept.leakage.same_level > 0
    assert kept.levels == family.levels_from_seeds(kept.level_seeds)
    strict = held_out(family, 20, training, exclude_mazes=True)
    assert leakage(strict.levels, training).same_maze == 0


def test_a_range_without_a_limit_cannot_be_examined() -> None:
    with pytest.raises(GoalmazeError, match="make the family with training_levels"):
        training_digests(ProcgenMaze(mode="easy"))
    assert dataclasses.replace(ProcgenMaze(mode="easy"), training_levels=1).training_levels == 1
