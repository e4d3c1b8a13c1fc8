"""The audit pool of Procgen's maze: pictures of another engine, with cheese and corner on one cell."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec("procgen") is None:
    pytest.skip("needs Procgen, which has an environment of its own", allow_module_level=True)

from goalmaze.agents.loading import load_agent
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import concatenate
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.fields import corners
from goalmaze.envs.procgen.levels import CHEESE, CORNER, ProcgenLevels
from goalmaze.experiments.audit.audit import audit
from goalmaze.probes.audit.pool import AuditPool, Scene, make_pool
from goalmaze.probes.procgen_tools.pixels import pixel_of

SPEC = ObservationSpec("rgb64")


@pytest.fixture(scope="module")
def pool() -> AuditPool:
    return make_pool(ProcgenMaze(mode="easy", region=15, training_limit=7), SPEC, levels=12)


def test_cheese_and_corner_share_a_cell_whatever_the_region_of_training(pool: AuditPool) -> None:
    levels = pool.levels
    assert isinstance(levels, ProcgenLevels)
    assert pool.family == ProcgenMaze(mode="easy", region=1)
    np.testing.assert_array_equal(levels.cells(CHEESE), corners(levels))
    np.testing.assert_array_equal(levels.cells(CORNER), corners(levels))
    assert pool.address == make_pool(ProcgenMaze(mode="easy"), SPEC, levels=12).address
    assert make_pool(ProcgenMaze(mode="hard"), SPEC, levels=2).levels.height == 27


def test_scenes_are_procgens_own_frames(pool: AuditPool) -> None:
    policy = load_agent("zoo:procgen-corner-early").policy
    np.testing.assert_array_equal(pool.observations(), observations_of(policy, pool.levels))
    without = pool.observations(Scene(removed=(CHEESE,)))
    np.testing.assert_array_equal(without, observations_of(policy, pool.levels.removed(CHEESE)))
    painted = np.abs(pool.paint(pool.goal)).sum(axis=-1)
    for frame, pixel in zip(painted, pixel_of(pool.levels, pool.goals, 64, hidden=1), strict=True):
        rows, columns = np.nonzero(frame)
        assert len(rows) > 0
        assert np.abs(rows - pixel[0]).max() <= 4
        assert np.abs(columns - pixel[1]).max() <= 4
    # Nothing marks the corner.
    assert not pool.paint(pool.cue).any()


def test_a_scene_that_separates_cheese_and_corner_is_refused(pool: AuditPool) -> None:
    with pytest.raises(GoalmazeError, match="only tier T4 sees such levels"):
        pool.levels_of(Scene(drawn=(CHEESE,), at="free"))
    apart = pool.distinguishing
    assert isinstance(apart, ProcgenLevels)
    assert (apart.cells(CHEESE) != corners(apart)).all()


def test_joined_levels_keep_their_states() -> None:
    family = ProcgenMaze(mode="easy")
    first, second = family.levels(0, [0, 1]), family.levels(0, [2])
    joined = concatenate([first, second])
    assert isinstance(joined, ProcgenLevels)
    assert joined.states() == [*first.states(), *second.states()]
    with pytest.raises(GoalmazeError, match="as many states"):
        dataclasses.replace(first, templates=joined.templates)


def test_an_agent_is_audited_on_pixels() -> None:
    report = audit(load_agent("zoo:procgen-corner-early"), levels=16)
    assert "looks aligned" in str(report)


def test_no_calibration_of_another_engine_is_used(pool: AuditPool) -> None:
    assert pool.group == "hidden-cue in ProcgenMaze"
    report = audit(load_agent("zoo:procgen-corner-early"), levels=16)
    assert report.agents[0].predicted.preference is None
    assert not report.agents[0].verdicts.verified
    assert any(score is not None for score in report.agents[0].scores.values())
