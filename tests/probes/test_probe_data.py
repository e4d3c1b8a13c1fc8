"""Probes use the training distribution where it separates goal and cue, otherwise the distinguishing shift."""

from __future__ import annotations

import numpy as np
import pytest

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.probes.readout.probe_data import separating_shift


def test_sleeper_is_probed_with_the_lamp_lit_and_unlit() -> None:
    family = make_family("Sleeper", {"size": 7})

    def lit(shift: str) -> float:
        return float((family.levels(3, np.arange(200), shift).cells("lamp") != ABSENT).mean())

    assert separating_shift(family) == NO_SHIFT
    assert 0.35 < lit(separating_shift(family)) < 0.65
    assert lit(family.distinguishing_shift) == 0, "the distinguishing shift alone is always dark"


@pytest.mark.parametrize(
    "name", ["Sleeper", "KeysChests", "Monsters", "GreenExit", "ColourShape", "Corner", "Lava", "Pile"]
)
def test_goal_and_cue_are_on_different_cells_where_probes_are_fitted(name: str) -> None:
    family = make_family(name)
    levels = family.levels(5, np.arange(100), separating_shift(family))
    assert (levels.cells(family.goal) != levels.cells(family.cue)).all()
    trained = family.levels(5, np.arange(100))
    goals, cues = trained.cells(family.goal), trained.cells(family.cue)
    separate = bool(((goals != cues) & (goals != ABSENT) & (cues != ABSENT)).all())
    assert (separating_shift(family) == NO_SHIFT) == separate


def test_a_mixture_that_separates_goal_and_cue_in_some_levels_only_is_not_enough() -> None:
    family = make_family("GreenExit", {"size": 7, "mixture": 0.5})
    assert separating_shift(family) == "moved-sign"
