"""Without Procgen the package stands, and one line says what to install."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from goalmaze.envs.actions import (
    ACTIONS,
    PROCGEN_ACTIONS,
    PROCGEN_FOUR,
    PROCGEN_GROUP_OF,
    PROCGEN_GROUPS,
    group_probabilities,
)
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.procgen import simulator
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.registry import from_parameters


def test_what_is_missing_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", None)
    monkeypatch.delitem(sys.modules, "procgen.env", raising=False)
    with pytest.raises(GoalmazeError, match=r"install goalmaze\[procgen\] in an environment of its own") as error:
        simulator.procgen()
    assert "\n" not in str(error.value)


def test_importing_it_loads_neither_procgen_nor_torch() -> None:
    program = "import sys, goalmaze.envs.procgen.vector; print({'procgen', 'gym', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_groups_hold_every_action_once() -> None:
    assert sorted(action for group in PROCGEN_GROUPS.values() for action in group) == list(range(PROCGEN_ACTIONS))
    assert [*PROCGEN_GROUPS] == [*ACTIONS, "stay"]
    assert [PROCGEN_GROUP_OF[action] for action in PROCGEN_FOUR] == [0, 1, 2, 3]


def test_probabilities_are_summed_within_groups() -> None:
    import numpy as np

    probabilities = np.random.default_rng(0).dirichlet(np.ones(15), 4).astype(np.float32)
    together = group_probabilities(probabilities)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        together[:, 3], probabilities[:, 0] + probabilities[:, 1] + probabilities[:, 2], rtol=1e-5
    )
    np.testing.assert_allclose(together[:, 0], probabilities[:, 5])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mode": "hrad"}, "mode of Procgen's maze"),
        ({"size": 13}, "size is 13: levels of Procgen's mode 'hard' have 27; leave it out"),
        ({"region": 0}, "region"),
        ({"strength": 2.0}, "strength"),
        ({"goal_row": 26}, "goal_row"),
        ({"training_limit": 501}, "training_limit is 501"),
        ({"cheese": 1}, "parameter of ProcgenMaze"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        from_parameters(ProcgenMaze, parameters)


@pytest.mark.parametrize("sign", [False, True])
def test_the_family_can_be_pickled_and_copied(sign: bool) -> None:
    family = ProcgenMaze(mode="easy", sign=sign, region=3)
    for again in (pickle.loads(pickle.dumps(family)), copy.deepcopy(family)):
        assert again == family
        assert (again.cue, again.shifts, again.distinguishing_shift) == (
            family.cue,
            family.shifts,
            family.distinguishing_shift,
        )
        assert again.slots == family.slots


def test_a_shift_of_the_sign_needs_one() -> None:
    with pytest.raises(GoalmazeError, match="make the family with sign=True"):
        ProcgenMaze().placements("moved-sign")
    assert ProcgenMaze(sign=True).placements("moved-sign")
    assert set(ProcgenMaze(sign=True).shifts) - set(ProcgenMaze().shifts) == {"moved-sign", "no-sign"}
    for family in (ProcgenMaze(), ProcgenMaze(sign=True)):
        assert family.distinguishing_shift in family.shifts
        assert all(family.placements(shift) for shift in family.shifts)
    with pytest.raises(GoalmazeError, match="shift"):
        ProcgenMaze().placements("goal-nowhere")


@pytest.mark.parametrize(("parameter", "value"), [("braid", 0.5), ("algorithm", "kruskal"), ("openness", 0.1)])
def test_parameters_of_other_mazes_are_refused_by_name(parameter: str, value: object) -> None:
    with pytest.raises(GoalmazeError, match=f"{parameter} has no effect in ProcgenMaze: leave it out"):
        from_parameters(ProcgenMaze, {parameter: value})
    # What every saved agent of the family holds is accepted: its defaults.
    family = ProcgenMaze()
    assert from_parameters(ProcgenMaze, family.parameters) == family
