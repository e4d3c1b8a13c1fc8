"""Labels of concepts, against a walk followed step by step and mazes written out by hand."""

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


def test_a_corridor_is_labelled_as_one_would_by_hand(family: Family) -> None:
    levels = read_ascii("#######\n#A..#.#\n###.#.#\n#S.E..#\n#######", family)
    found = label_concepts(concept_names(family), Seeker("exit"), levels, 0)
    route = [8, 9, 10, 17, 24]
    assert found["route"].values[0].nonzero().flatten().tolist() == route
    leaves = {cell: found["leaves"].classes[int(found["leaves"].values[0, cell])] for cell in range(35)}
    by_hand = {8: "right", 9: "right", 10: "down", 17: "down", 24: "stays"}
    assert leaves == {cell: by_hand.get(cell, "never") for cell in range(35)}
    things = {cell: found["object"].classes[int(found["object"].values[0, cell])] for cell in range(35)}
    assert things == {cell: {22: "sign", 24: "exit"}.get(cell, "nothing") for cell in range(35)}
    assert found["next-action"].classes[int(found["next-action"].values[0])] == "right"
    assert found["distance"].values.tolist() == [4.0]
    assert [int(found[name].values[0]) for name in ("exit", "sign", "agent", PURSUED)] == [24, 22, 8, 24]
    assert found["pursues"].classes[int(found["pursues"].values[0])] == "exit"


@pytest.mark.parametrize("walker", [RandomWalker(), Seeker("sign")])
def test_routes_and_departures_are_those_of_the_walk(family: Family, walker: RandomWalker | Seeker) -> None:
    levels = family.levels(3, np.arange(60), "moved-sign")
    asked = ["route", "leaves", "next-action", "distance", "pursues", PURSUED]
    found = label_concepts(asked, walker, levels, 5)
    trajectory = rollout(walker, levels, seed=5)
    pursued = found[PURSUED].values.numpy()
    ends = np.stack([levels.cells("exit"), levels.cells("sign")])
    followed = np.minimum(trajectory.steps, np.min([trajectory.first_visit(cells) for cells in ends], axis=0))
    assert (followed < trajectory.steps).any()
    for b in range(60):
        path = trajectory.agent[: followed[b] + 1, b].tolist()
        assert set(found["route"].values[b].nonzero().flatten().tolist()) == set(path)
        for cell in set(path):
            first = next((there for here, there in itertools.pairwise(path) if here == cell != there), None)
            name = found["leaves"].classes[int(found["leaves"].values[b, cell])]
            assert name == "stays" if first is None else first - cell == STEPS[name]
        assert found["next-action"].values[b] == trajectory.actions[0, b]
        way = all_distances(levels.walls[b])[levels.start[b]]
        steps = float(found["distance"].values[b])
        assert np.isnan(steps) if pursued[b] < 0 else steps == way[pursued[b]]
        expected = -1 if pursued[b] < 0 else int(pursued[b] == levels.cells("sign")[b])
        assert int(found["pursues"].values[b]) == expected
    assert (found["leaves"].values > 0).sum() == (found["route"].values > 0).sum()


def test_which_goal_is_pursued_has_no_answer_where_they_do_not_differ(family: Family) -> None:
    levels = family.levels(3, np.arange(20))
    found = label_concepts(["pursues", "object"], Seeker("exit"), levels, 0)
    assert (found["pursues"].values == -1).all()
    both = found["object"].classes.index("both")
    rows, cells = (found["object"].values == both).nonzero().T
    np.testing.assert_array_equal(rows, np.arange(20))
    np.testing.assert_array_equal(cells, levels.cells("exit"))


def test_other_objects_are_told_from_goal_and_cue(family: Family) -> None:
    levels = family.levels(3, np.arange(20), "apples")
    found = label_concepts(["object"], RandomWalker(), levels, 0)["object"]
    apples = [k for k, kind in enumerate(levels.slots) if kind == "apple"]
    for b in range(20):
        others = (found.values[b] == found.classes.index("other")).nonzero().flatten().tolist()
        assert set(others) == {int(levels.objects[b, k]) for k in apples}


def test_the_target_is_one_that_no_agent_was_told_and_mistakes_are_named(family: Family) -> None:
    levels = family.levels(3, np.arange(20))
    found = label_concepts(["target"], RandomWalker(), levels, 4)["target"]
    assert torch.equal(found.values, torch.tensor(draw_targets(levels, 4), dtype=torch.long))
    with pytest.raises(GoalmazeError, match=r"unknown concept 'rout' \(did you mean 'route'"):
        label_concepts(["rout"], RandomWalker(), levels, 0)
