"""Edits made of other edits: several in sequence at one site, and noise of the same norm as an edit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.activations import is_rectified
from goalmaze.probes.edits.base import Edit, check_rows
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


@dataclasses.dataclass(frozen=True, eq=False)
class EqualNormNoise(Edit):
    """The control of an edit: noise that changes each level's activation by the same norm, in a random direction.

    The direction belongs to the level and is the same at every step, as that of a pattern is.

    Attributes:
        edit: the edit whose norm the noise has.
        levels: B, the number of levels in the batch.
        seed: of the noise.
    """

    site: str = dataclasses.field(init=False)
    edit: Edit
    levels: int
    seed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "site", self.edit.site)

    @property
    def uses(self) -> Facts:
        """The facts that the edit uses: its norm depends on them."""
        return self.edit.uses

    def check(self, site: Site) -> None:
        """Refuse a site that the edit does not fit."""
        self.edit.check(site)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, ...] with noise; an activation without negative values stays without them."""
        # Measured on this very activation: many edits depend on it, and strength and ReLU are included.
        norm = (self.edit(activation, context) - activation).flatten(1).norm(dim=1)
        noise = self._noise(activation.shape[1:], context)
        scale = norm / noise.flatten(1).norm(dim=1)
        changed: Tensor = activation + noise * scale.reshape(-1, *[1] * (noise.dim() - 1))
        # Clipping lowers the norm a little. Negative values, which the site never has, would be a stronger intervention
        # than the edit.
        return changed.relu() if is_rectified(activation) else changed

    def _noise(self, shape: Sequence[int], context: EditContext) -> Tensor:
        # Drawn for the whole batch, so that a level's noise does not depend on which other levels are still played.
        noise = torch.randn((self.levels, *shape), generator=torch.Generator().manual_seed(self.seed))
        check_rows(self.levels, context, self.site)
        return noise[torch.from_numpy(context.rows)]
