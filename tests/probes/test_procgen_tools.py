"""The counterparts of procgen-tools: each against the same thing done one cell or one pixel at a time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from oracles.paths import all_distances

from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.probes.activations import read_activations
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.channels import zero_ablation
from goalmaze.probes.edits.mean_difference import mean_difference
from goalmaze.probes.information import uses_only_cells
from goalmaze.probes.procgen_tools.pixels import ClampPixel, pixel_of
from goalmaze.probes.procgen_tools.retargetability import (
    BINS,
    EDITED,
    GOAL_MOVED,
    UNEDITED,
    heat_map,
    retargetability,
    shortest_path,
)
from goalmaze.probes.procgen_tools.vector_fields import field_change, vector_field
from goalmaze.probes.procgen_tools.vectors import cheese_vector

SITE = "block1"


def by_hand(policy: NetworkPolicy, level: LevelBatch, cell: int) -> torch.Tensor:
    """Return float32 [4], the action probabilities with the agent on a cell, by one forward pass of the network."""
    with torch.inference_mode():
        observations = torch.from_numpy(observations_of(policy, level.started(cell)))
        return torch.softmax(policy.network(observations)[0], 1)[0]


def farthest(levels: LevelBatch) -> Cells:
    """Return int32 [B], a free cell of each level near the top right, that stands for its corner."""
    found = [np.flatnonzero(free)[0] for free in levels.free()]
    return np.array(found, np.int32)


def test_a_field_equals_the_policy_on_every_cell(policy: NetworkPolicy, levels: LevelBatch) -> None:
    level = levels.take([2])
    field = vector_field(policy, level)
    assert set(field.cells) == set(np.flatnonzero(level.free()[0])) - set(level.objects[0])
    for cell, arrow in zip(field.cells, field.arrows, strict=True):
        up, right, down, left = by_hand(policy, level, int(cell)).tolist()
        np.testing.assert_allclose(field.at(int(cell)), [up, right, down, left], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(arrow, [down - up, right - left], rtol=1e-3, atol=1e-5)
    with pytest.raises(GoalmazeError, match="the field has no arrow at cell 0"):
        field.at(0)
    with pytest.raises(GoalmazeError, match="only one level can be splayed"):
        vector_field(policy, levels)


def test_the_change_of_a_field_is_the_effect_of_an_edit(policy: NetworkPolicy, levels: LevelBatch) -> None:
    level = levels.take([2])
    before = vector_field(policy, level)
    still = vector_field(policy, level, [zero_ablation(SITE, [])])
    assert not field_change(before, still).any()
    edit = zero_ablation(SITE, range(8))
    after = vector_field(policy, level, [edit])
    assert np.abs(field_change(before, after)).max() > 1e-3
    np.testing.assert_allclose(field_change(before, after), after.arrows - before.arrows)
    np.testing.assert_array_equal(vector_field(policy, level).probabilities, before.probabilities)
    other = vector_field(policy, levels.take([3]))
    with pytest.raises(GoalmazeError, match="the two fields are of different cells"):
        field_change(before, other)


def test_the_cheese_vector_is_the_mean_difference(policy: NetworkPolicy, levels: LevelBatch) -> None:
    ours, cleared = cheese_vector(policy, levels, SITE), levels.without_goal_and_cue()
    total = torch.zeros_like(ours.vector)
    for b in range(len(levels)):
        held, missing = (
            read_activations(policy.network, observations_of(policy, some.take([b])), [SITE])[SITE][0]
            for some in (levels, cleared)
        )
        total += held - missing
    torch.testing.assert_close(ours.vector, total / len(levels), rtol=1e-4, atol=1e-5)
    assert ours.vector.abs().max() > 0.01
    assert not mean_difference(policy, levels, levels, SITE).vector.any()
    with pytest.raises(GoalmazeError, match="24 levels cannot be compared with 1"):
        mean_difference(policy, levels, levels.take([0]), SITE)


def test_a_clamp_changes_one_pixel_of_each_level() -> None:
    held = torch.randn(5, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels = np.array([[0, 0], [7, 7], [3, 4], [1, 6], [2, 2], [5, 0], [6, 1]])
    rows = np.array([6, 0, 2, 3, 1])
    edit = ClampPixel("somewhere", channels=(1, 4), value=5.5, pixels=pixels)
    changed = edit(held, EditContext.at_start(rows))
    expected = held.clone()
    for i, row in enumerate(rows):
        for channel in (1, 4):
            expected[i, channel, pixels[row, 0], pixels[row, 1]] = 5.5
    torch.testing.assert_close(changed, expected, rtol=0, atol=0)
    assert (changed != held).sum() == 10
    half = dataclasses.replace(edit, strength=0.5)(held, EditContext.at_start(rows))
    torch.testing.assert_close(half, (held + expected) / 2)
    assert dataclasses.replace(edit, strength=0)(held, EditContext.at_start(rows)) is held
    assert uses_only_cells(edit.uses)


@pytest.mark.parametrize(
    ("pixels", "shape", "message"),
    [
        ([[8, 0]], (1, 6, 8, 8), "outside the 8x8"),
        ([[-1, 0]], (1, 6, 8, 8), "outside the 8x8"),
        ([[0, 0]], (1, 6), "has no pixels to clamp"),
        ([[0, 0]], (2, 6, 8, 8), "is for 1 levels"),
    ],
)
def test_a_clamp_that_does_not_fit_is_refused(pixels: list[list[int]], shape: tuple[int, ...], message: str) -> None:
    edit = ClampPixel("somewhere", channels=(1,), value=1.0, pixels=np.array(pixels))
    with pytest.raises(GoalmazeError, match=message):
        edit(torch.zeros(shape), EditContext.at_start(np.arange(shape[0])))


def test_a_clamp_at_an_unknown_channel_is_refused(policy: NetworkPolicy) -> None:
    edit = ClampPixel(SITE, channels=(99,), value=1.0, pixels=np.zeros((1, 2), np.intp))
    with pytest.raises(GoalmazeError, match="has no channel 99"), applied(policy, [edit]):
        pass


def test_the_pixel_of_a_cell_is_the_one_its_middle_lies_in(levels: LevelBatch) -> None:
    for side in (7, 14, 64):
        for cell in range(49):
            row, column = divmod(cell, 7)
            middle = ((row + 0.5) / 7, (column + 0.5) / 7)
            found = pixel_of(levels, np.array([cell]), side)[0]
            assert found.tolist() == [int(middle[0] * side), int(middle[1] * side)]
    np.testing.assert_array_equal(pixel_of(levels, np.arange(49), 7), np.stack(np.divmod(np.arange(49), 7), 1))
    assert pixel_of(levels, np.array([8]), 5, hidden=1)[0].tolist() == [0, 0]
    assert pixel_of(levels, np.array([5 * 7 + 5]), 16, hidden=1)[0].tolist() == [14, 14]


def test_a_shortest_path_is_one(levels: LevelBatch) -> None:
    level = levels.take([4])
    away = all_distances(level.walls[0])
    for target in np.flatnonzero(level.free()[0]):
        cells, actions = shortest_path(level, int(target))
        assert len(cells) == len(actions) == away[level.start[0], target]
        cell = int(level.start[0])
        for here, action in zip(cells, actions, strict=True):
            assert here == cell
            cell += [-7, 1, 7, -1][action]
        assert cell == target
    with pytest.raises(GoalmazeError, match="cell 0 cannot be reached"):
        shortest_path(level, 0)


def test_a_heat_map_has_geometric_means_along_the_paths(policy: NetworkPolicy, levels: LevelBatch) -> None:
    level = levels.take([5])
    cleared = level.without_goal_and_cue()
    found = heat_map(policy, level, int(farthest(level)[0]), None, goal_moved=False)
    away = all_distances(level.walls[0])
    assert set(found.cells) == set(np.flatnonzero(level.free()[0])) - {int(level.start[0])}
    way, _ = shortest_path(cleared, int(farthest(level)[0]))
    for target, score, aside in zip(found.cells, found.scores, found.off_path, strict=True):
        cells, actions = shortest_path(cleared, int(target))
        probabilities = [float(by_hand(policy, cleared, int(c))[a]) for c, a in zip(cells, actions, strict=True)]
        assert score == pytest.approx(np.prod(probabilities) ** (1 / len(probabilities)), rel=1e-3)
        assert aside == min(away[target, c] for c in [*way, farthest(level)[0]])
    moved = heat_map(policy, level, int(farthest(level)[0]), None, goal_moved=True)
    b = int(np.argmax(np.abs(moved.scores - found.scores)))
    there = cleared.with_goal_and_cue_at(int(found.cells[b]))
    cells, actions = shortest_path(cleared, int(found.cells[b]))
    probabilities = [float(by_hand(policy, there, int(c))[a]) for c, a in zip(cells, actions, strict=True)]
    assert moved.scores[b] == pytest.approx(np.prod(probabilities) ** (1 / len(probabilities)), rel=1e-3)
    assert moved.scores[b] != pytest.approx(found.scores[b], rel=1e-3)


def test_the_published_protocol_compares_an_edit_with_its_controls(policy: NetworkPolicy, family: Family) -> None:
    def clamped(levels: LevelBatch, targets: Cells) -> Edit:
        return ClampPixel(SITE, channels=(3,), value=4.0, pixels=pixel_of(levels, targets, levels.width))

    def idle(levels: LevelBatch, targets: Cells) -> Edit:
        return dataclasses.replace(clamped(levels, targets), strength=0.0)

    found = retargetability(policy, family, clamped, farthest, levels=3, seed=1)
    assert {one.condition for one in found.bins} == {UNEDITED, EDITED, GOAL_MOVED}
    assert all(one.low in BINS and 0 < one.mean < 1 for one in found.bins)
    cells = {c: sum(one.cells for one in found.bins if one.condition == c) for c in (UNEDITED, EDITED)}
    assert cells[UNEDITED] == cells[EDITED] > 20
    assert found.mean(EDITED) != found.mean(UNEDITED)
    still = retargetability(policy, family, idle, farthest, levels=3, seed=1)
    assert still.mean(EDITED) == pytest.approx(still.mean(UNEDITED))
    assert still.mean(UNEDITED) == found.mean(UNEDITED)
    with pytest.raises(GoalmazeError, match="levels is 0"):
        retargetability(policy, family, clamped, farthest, levels=0)
