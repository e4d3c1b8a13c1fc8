"""Memory methods: each fits, to what an agent remembers after a step, an edit that moves the remembered goal."""

from __future__ import annotations

import abc
from typing import ClassVar

from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.memory_table import GoalMemories
from goalmaze.probes.information import CELLS, Facts


class MemoryMethod(abc.ABC):
    """A method that rewrites a memory; `registry.register_memory_method` registers a subclass under its name.

    Attributes:
        name: of the method; part of every result.
        uses: the facts that its edits are given.
        learned: whether it is trained by gradient descent on optimal actions, see `walks`.
    """

    name: ClassVar[str]
    uses: ClassVar[Facts] = CELLS
    learned: ClassVar[bool] = False

    @abc.abstractmethod
    def fit(self, memories: GoalMemories) -> FittedEdit:
        """Fit an edit at the site, and for the step, of some memories."""
