"""Several edits as one: one after another at a site, or at several sites at once; and noise of an edit's size."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.edits.base import Edit, of_rows, uses_of
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import FittedEdit, is_rectified
from goalmaze.probes.information import NOTHING, Knowledge


@dataclasses.dataclass(frozen=True, eq=False)
class SequentialEdits:
    """Edits of one site, one after another, as one edit.

    Attributes:
        edits: one or more, all of the same site.
    """

    edits: tuple[Edit, ...]

    def __post_init__(self) -> None:
        if len({edit.site for edit in self.edits}) != 1:
            sites = ", ".join(dict.fromkeys(edit.site for edit in self.edits)) or "none"
            raise GoalmazeError(f"edits in turn are of one site, these are of: {sites}; give a Joint for several")

    @property
    def site(self) -> str:
        """Where."""
        return self.edits[0].site

    @property
    def uses(self) -> Knowledge:
        """What any of them knows."""
        return union(uses_of(edit) for edit in self.edits)

    def check(self, site: Site) -> None:
        """Refuse a site that one of them does not fit."""
        for edit in self.edits:
            check = getattr(edit, "check", None)
            if check is not None:
                check(site)

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, ...] after all of them."""
        for edit in self.edits:
            activation = edit(activation, rows)
        return activation


@dataclasses.dataclass(frozen=True, eq=False)
class JointEdit:
    """What was found at several sites, to be written at all of them at once.

    Attributes:
        parts: one for each site.
    """

    parts: tuple[FittedEdit, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise GoalmazeError("nothing to write: a Joint needs one part or more")

    @property
    def site(self) -> str:
        """Their names, joined by +."""
        return "+".join(part.site for part in self.parts)

    @property
    def uses(self) -> Knowledge:
        """What any of them knows."""
        return union(part.uses for part in self.parts)

    def edits(self, move: GoalMove, strength: float = 1.0) -> list[Edit]:
        """Return the edits that move the goal in each level."""
        return [part.edit(move, strength) for part in self.parts]


Found = FittedEdit | JointEdit
"""What a steering method finds: at one site, or at several."""


def edits_of(found: Found, move: GoalMove, strength: float = 1.0) -> list[Edit]:
    """Return the edits, one a site, that move the goal in each level."""
    if isinstance(found, JointEdit):
        return found.edits(move, strength)
    return [found.edit(move, strength)]


@dataclasses.dataclass(frozen=True, eq=False)
class EqualNormNoise:
    """The control of an edit: noise that changes each level's activation by as much, in a direction without meaning.

    The direction belongs to the level and stays the same at every step, as that of a pattern does.

    Attributes:
        edit: whose size is taken.
        levels: B, of the batch being played.
        seed: of the noise.
    """

    edit: Edit
    levels: int
    seed: int

    @property
    def site(self) -> str:
        """Where."""
        return self.edit.site

    @property
    def uses(self) -> Knowledge:
        """What the edit knows: its size could tell."""
        return uses_of(self.edit)

    def check(self, site: Site) -> None:
        """Refuse a site that the edit does not fit."""
        check = getattr(self.edit, "check", None)
        if check is not None:
            check(site)

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, ...] with noise; where it never was negative it stays so."""
        size = (self.edit(activation, rows) - activation).flatten(1).norm(dim=1)
        noise = self._noise(activation.shape[1:], rows)
        scale = size / noise.flatten(1).norm(dim=1)
        changed: Tensor = activation + noise * scale.reshape(-1, *[1] * (noise.dim() - 1))
        return changed.relu() if is_rectified(activation) else changed

    def _noise(self, shape: Sequence[int], rows: Rows) -> Tensor:
        drawn = torch.randn((self.levels, *shape), generator=torch.Generator().manual_seed(self.seed))
        return of_rows(drawn, rows, self.site)


def union(known: Iterable[Knowledge]) -> Knowledge:
    """Return all that any of several knows."""
    return NOTHING.union(*known)
