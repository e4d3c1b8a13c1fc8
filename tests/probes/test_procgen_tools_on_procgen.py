"""The counterparts of procgen-tools on the real Procgen maze, with an untrained IMPALA network."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

if importlib.util.find_spec("procgen") is None:
    pytest.skip("needs Procgen, which has an environment of its own", allow_module_level=True)

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.agents.sites import map_sites
from goalmaze.envs.cells import Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.fields import corners, opened
from goalmaze.envs.procgen.levels import CHEESE, ProcgenLevels
from goalmaze.probes.activations import level_activations
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.mean_difference import mean_difference
from goalmaze.probes.procgen_tools.pixels import ClampPixel, pixel_of
from goalmaze.probes.procgen_tools.retargetability import EDITED, GOAL_MOVED, UNEDITED, retargetability
from goalmaze.probes.procgen_tools.vector_fields import field_change, vector_field
from goalmaze.probes.procgen_tools.vectors import cheese_vector, top_right_vector

FAMILY = ProcgenMaze(mode="easy")
SITE = "embedder.block2.res1"


@pytest.fixture(scope="module")
def policy() -> NetworkPolicy:
    torch.manual_seed(0)
    network = make_network("impala", Shape((64, 64, 3), 15, ObservationSpec("rgb64")))
    torch.nn.init.orthogonal_(network.get_submodule("fc_policy").weight, 3.0)
    return NetworkPolicy(network)


def clamped(levels: LevelBatch, cells: Cells) -> Edit:
    return ClampPixel(SITE, channels=(7, 9), value=5.5, pixels=pixel_of(levels, cells, 16, hidden=1))


def test_fields_vectors_and_clamps_work_on_procgens_frames(policy: NetworkPolicy) -> None:
    levels = FAMILY.levels(0, np.arange(6))
    level = levels.take([0])
    before = vector_field(policy, level)
    # The corner does not show and blocks no cell: only the cheese does.
    assert len(before.cells) == level.free().sum() - 1
    edit = clamped(level, level.objects[:, 0])
    assert np.abs(field_change(before, vector_field(policy, level, [edit]))).max() > 1e-4
    cleared = levels.removed(CHEESE)
    cheese = cheese_vector(policy, levels, SITE)
    corner = top_right_vector(policy, levels, opened(levels), SITE)
    torch.testing.assert_close(cheese.vector, mean_difference(policy, levels, cleared, SITE).vector)
    assert cheese.vector.shape == corner.vector.shape == (32, 16, 16)
    assert cheese.vector.abs().max() > 0
    assert corner.vector.abs().max() > 0
    with applied(policy, [cheese]):
        played = rollout(policy, levels.take([0, 1]))
    assert len(played.steps) == 2


def test_the_cheese_vector_is_strongest_where_the_cheese_is(policy: NetworkPolicy) -> None:
    level = FAMILY.levels(0, [3])
    vector = mean_difference(policy, level, level.removed(CHEESE), "embedder.block1.conv").vector
    found = vector.abs().sum(dim=0)
    row, column = divmod(int(found.argmax()), 64)
    where = pixel_of(level, level.objects[:, 0], 64, hidden=1)[0]
    assert max(abs(row - where[0]), abs(column - where[1])) <= 4


def test_the_published_benchmark_runs(policy: NetworkPolicy) -> None:
    def in_corner(levels: LevelBatch) -> Cells:
        assert isinstance(levels, ProcgenLevels)
        return corners(levels)

    found = retargetability(policy, FAMILY, clamped, in_corner, levels=2)
    assert {one.condition for one in found.bins} == {UNEDITED, EDITED, GOAL_MOVED}
    assert found.mean(EDITED) != found.mean(UNEDITED)
    assert found.mean(GOAL_MOVED) != found.mean(UNEDITED)


@pytest.mark.parametrize(("mode", "cells"), [("easy", 15), ("hard", 25)])
def test_squares_of_maps_that_read_cells_are_cells_of_the_level(mode: str, cells: int) -> None:
    family = ProcgenMaze(mode=mode)
    view = make_view(family, ObservationSpec("rgb64"))
    network = make_network("impala", Shape.seeing(view), {"cells": cells, "centred": True}).eval()
    levels = family.levels(0, np.arange(32))
    policy = NetworkPolicy(network)
    assert set(map_sites(network)) >= {"embedder.block1.conv", "embedder.block1.res2"}
    shown, empty = (level_activations(policy, one, "embedder.block1.conv") for one in (levels, levels.removed(CHEESE)))
    change = (shown - empty).abs().sum(dim=1)
    assert change.shape == (32, family.size, family.size)
    assert (change.flatten(1).argmax(dim=1).numpy() == levels.objects[:, 0]).all()


def test_a_window_on_a_large_maze_has_no_map_of_the_level() -> None:
    view = make_view(ProcgenMaze(mode="memory"), ObservationSpec("rgb64"))
    assert map_sites(make_network("impala", Shape.seeing(view), {"cells": 13})) == []
