"""Labels of concepts: against a loop over the steps of a rollout, and mazes labelled by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from oracles.paths import all_distances

from goalmaze.agents.rollout import rollout
from goalmaze.agents.scripted import RandomWalker, Seeker
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.probes.labels import concept_names, label_concepts
from goalmaze.probes.targets import PURSUED, draw_targets

STEPS = {"up": -7, "right": 1, "down": 7, "left": -1}


def test_a_corridor_is_labelled_as_by_hand(family: Family) -> None:
    levels = read_ascii("#######\n#A..#.#\n###.#.#\n#S.E..#\n#######", family)
    labels = label_concepts(concept_names(family), Seeker("exit"), levels, 0)
    route = [8, 9, 10, 17, 24]
    assert labels["route"].values[0].nonzero().flatten().tolist() == route
    leaves = {cell: labels["leaves"].classes[int(labels["leaves"].values[0, cell])] for cell in range(35)}
    by_hand = {8: "right", 9: "right", 10: "down", 17: "down", 24: "stays"}
    assert leaves == {cell: by_hand.get(cell, "never") for cell in range(35)}
    objects = {cell: labels["object"].classes[int(labels["object"].values[0, cell])] for cell in range(35)}
    assert objects == {cell: {22: "sign", 24: "exit"}.get(cell, "nothing") for cell in range(35)}
    assert labels["next-action"].classes[int(labels["next-action"].values[0])] == "right"
    assert labels["distance"].values.tolist() == [4.0]
    assert [int(labels[name].values[0]) for name in ("exit", "sign", "agent", PURSUED)] == [24, 22, 8, 24]
    assert labels["pursues"].classes[int(labels["pursues"].values[0])] == "exit"


@pytest.mark.parametrize("walker", [RandomWalker(), Seeker("sign")])
def test_routes_and_departures_are_those_of_the_rollout(family: Family, walker: RandomWalker | Seeker) -> None:
    levels = family.levels(3, np.arange(60), "moved-sign")
    concepts = ["route", "leaves", "next-action", "distance", "pursues", PURSUED]
    labels = label_concepts(concepts, walker, levels, 5)
    trajectory = rollout(walker, levels, seed=5)
    pursued = labels[PURSUED].values.numpy()
    ends = np.stack([levels.cells("exit"), levels.cells("sign")])
    followed = np.minimum(trajectory.steps, np.min([trajectory.first_visit(cells) for cells in ends], axis=0))
    assert (followed < trajectory.steps).any()
    for b in range(60):
        path = trajectory.agent[: followed[b] + 1, b].tolist()
        assert set(labels["route"].values[b].nonzero().flatten().tolist()) == set(path)
        for cell in set(path):
            first = next((there for here, there in itertools.pairwise(path) if here == cell != there), None)
            name = labels["leaves"].classes[int(labels["leaves"].values[b, cell])]
            assert name == "stays" if first is None else first - cell == STEPS[name]
        assert labels["next-action"].values[b] == trajectory.actions[0, b]
        path_lengths = all_distances(levels.walls[b])[levels.start[b]]
        steps = float(labels["distance"].values[b])
        assert np.isnan(steps) if pursued[b] < 0 else steps == path_lengths[pursued[b]]
        expected = -1 if pursued[b] < 0 else int(pursued[b] == levels.cells("sign")[b])
        assert int(labels["pursues"].values[b]) == expected
    assert (labels["leaves"].values > 0).sum() == (labels["route"].values > 0).sum()


def test_what_is_pursued_has_no_label_where_goal_and_cue_share_a_cell(family: Family) -> None:
    levels = family.levels(3, np.arange(20))
    labels = label_concepts(["pursues", "object"], Seeker("exit"), levels, 0)
    assert (labels["pursues"].values == -1).all()
    both = labels["object"].classes.index("both")
    rows, cells = (labels["object"].values == both).nonzero().T
    np.testing.assert_array_equal(rows, np.arange(20))
    np.testing.assert_array_equal(cells, levels.cells("exit"))


def test_other_objects_have_a_class_of_their_own(family: Family) -> None:
    levels = family.levels(3, np.arange(20), "apples")
    labels = label_concepts(["object"], RandomWalker(), levels, 0)["object"]
    apples = [k for k, kind in enumerate(levels.slots) if kind == "apple"]
    for b in range(20):
        others = (labels.values[b] == labels.classes.index("other")).nonzero().flatten().tolist()
        assert set(others) == {int(levels.objects[b, k]) for k in apples}


def test_the_target_is_drawn_at_random_and_unknown_concepts_are_refused(family: Family) -> None:
    levels = family.levels(3, np.arange(20))
    labels = label_concepts(["target"], RandomWalker(), levels, 4)["target"]
    assert torch.equal(labels.values, torch.tensor(draw_targets(levels, 4), dtype=torch.long))
    with pytest.raises(GoalmazeError, match=r"unknown concept 'rout' \(did you mean 'route'"):
        label_concepts(["rout"], RandomWalker(), levels, 0)
