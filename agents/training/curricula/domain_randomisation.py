"""Domain randomisation: every episode plays a fresh level of the training distribution, and is trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.base import Curriculum
from goalmaze.agents.training.curricula.registry import register_curriculum
from goalmaze.envs.cells import Bools


@register_curriculum
class DomainRandomisation(Curriculum):
    """Fresh levels alone; arguments as `Curriculum`."""

    name = "dr"

    def begin(self, rows: NDArray[np.intp]) -> None:
        """Begin fresh levels in `rows` [b]."""
        self.engine.renew(rows)

    def restart(self) -> None:
        """No-op: there is nothing to forget."""

    def record_step(self) -> None:
        """No-op."""

    def record_ends(self, rows: NDArray[np.intp], solved: Bools) -> None:
        """No-op: no level comes again."""

    def end_rollout(self, advantages: NDArray[np.float32]) -> None:
        """No-op: no level is scored."""
