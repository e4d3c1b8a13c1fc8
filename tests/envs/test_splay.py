"""Splaying one level: every free cell once, everything else unchanged."""

import numpy as np
import pytest

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family


@pytest.mark.parametrize("what", ["agent", "exit", "sign"])
def test_one_level_for_every_cell_where_it_can_stand(what: str) -> None:
    level = make_family("GreenExit").levels(0, [3], "moved-sign")
    splayed = level.splayed(what)
    cells = splayed.start if what == "agent" else splayed.cells(what)
    others = {int(level.start[0])} if what != "agent" else {int(c) for c in level.objects[0] if c != ABSENT}
    expected = set(np.flatnonzero(level.free()[0]).tolist()) - others
    assert sorted(cells.tolist()) == sorted(expected)
    assert (splayed.walls == level.walls).all()
    if what != "agent":
        assert (splayed.start == level.start).all()
        rest = [k for k in range(len(level.slots)) if k != level.slot(what)]
        assert (splayed.objects[:, rest] == level.objects[:, rest]).all()
    else:
        assert (splayed.objects == level.objects).all()


def test_two_signs_are_never_put_on_one_cell() -> None:
    level = make_family("GreenExit").levels(0, [3], "two-signs")
    assert (level.splayed("sign").cells("sign") != level.cells("sign", 1)[0]).all()


def test_a_cue_that_does_not_show_blocks_no_cell() -> None:
    level = make_family("Corner").levels(0, [3], "anywhere")
    cheese, corner = int(level.cells("cheese")[0]), int(level.cells("corner")[0])
    splayed = level.splayed("agent")
    assert set(splayed.start.tolist()) == set(np.flatnonzero(level.free()[0]).tolist()) - {cheese}
    assert (splayed.cells("cheese") == cheese).all()
    # No level has both agent and corner on one cell; the observation is that of the corner's cell all the same.
    there = splayed.start == corner
    assert there.sum() == 1
    assert (splayed.cells("corner") == np.where(there, ABSENT, corner)).all()
    seen = first_observations(splayed)
    assert np.flatnonzero(seen[there][0, 1]).tolist() == [corner]
    assert (seen[:, [0, 2]] == seen[0, [0, 2]]).all()


def test_only_one_level_can_be_splayed() -> None:
    with pytest.raises(GoalmazeError, match=r"only one level can be splayed, this batch holds 2; take"):
        make_family("GreenExit").levels(0, [0, 1]).splayed("agent")
