"""Several edits in sequence at one site."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.information import NOTHING, Facts


@dataclasses.dataclass(frozen=True, eq=False)
class SequentialEdits(Edit):
    """Several edits of one site, applied one after another.

    Attributes:
        edits: one or more, all of the same site.
    """

    site: str = dataclasses.field(init=False)
    edits: tuple[Edit, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        sites = dict.fromkeys(edit.site for edit in self.edits)
        if len(sites) != 1:
            raise GoalmazeError(
                f"sequential edits need one site, these have: {', '.join(sites) or 'none'}; "
                "give the edits of several sites to `applied` as a list"
            )
        # The site is derived; a frozen dataclass can set it only in this way.
        object.__setattr__(self, "site", self.edits[0].site)

    @property
    def uses(self) -> Facts:
        """The facts that any of the edits uses."""
        return NOTHING.union(*(edit.uses for edit in self.edits))

    def check(self, site: Site) -> None:
        """Refuse a site that one of the edits does not fit."""
        for edit in self.edits:
            edit.check(site)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, ...] after all edits."""
        for edit in self.edits:
            activation = edit(activation, context)
        return activation
