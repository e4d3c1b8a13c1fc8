"""ACCEL (Parker-Holder et al., 2022): prioritised level replay that also edits the levels it has replayed.

After a replay, the environment plays an edited copy of that level. Like a fresh level it is not trained on; it enters
the buffer if its score is high enough.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.plr import EDITED, PrioritisedReplay, Probability, ReplayOptions
from goalmaze.agents.training.curricula.registry import register_curriculum
from goalmaze.envs.cells import Bools
from goalmaze.envs.level_edits import edited


@dataclasses.dataclass(frozen=True)
class EditOptions(ReplayOptions):
    """The options of ACCEL, beside those of prioritised level replay.

    Attributes:
        replay_probability: probability with which an episode replays a level, after any episode but a replay.
        edits: kind of edits, one of `goalmaze.envs.level_edits.EDITS`.
        edit_steps: number of elementary edits that make a new level.
    """

    replay_probability: Probability = 0.5
    edits: Literal["identity", "constant", "binomial", "unrestricted"] = "identity"
    edit_steps: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 12


@register_curriculum
class Accel(PrioritisedReplay):
    """ACCEL; arguments and errors as `PrioritisedReplay`."""

    name = "accel"
    Options = EditOptions
    options: EditOptions

    def _edits(self, rows: NDArray[np.intp]) -> Bools:
        """Return bool [b], the rows that play an edited level next: those that have just replayed one."""
        return self.trains[rows]

    def _begin_edited(self, rows: NDArray[np.intp]) -> None:
        """Begin edited copies of the levels that the environments have just replayed."""
        options = self.options
        levels = edited(self._levels_of(rows), options.edits, options.edit_steps, self.seed, self.next_edits(len(rows)))
        self.begin_on(rows, levels, EDITED, self._depths[rows] + 1)
