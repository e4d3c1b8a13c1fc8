"""Noise controls of an edit: changes of the same norm that carry nothing of what the edit writes."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.agents.sites import with_border, without_border
from goalmaze.probes.activations import is_rectified
from goalmaze.probes.edits.base import Edit, check_rows
from goalmaze.probes.information import Facts

TOLERANCE = 1e-4
"""Relative error of the norm at a rectified site."""

ROUNDS = 60
"""Most corrections of the factor; a handful are usual."""


@dataclasses.dataclass(frozen=True, eq=False)
class NormMatchedControl(Edit):
    """Changes each level's activation by the norm that another edit changes it by, in another direction.

    At a site without negative values, the norm is that of the change after clipping at 0.

    Attributes:
        edit: the edit whose norm the control has.
        levels: B, the number of levels in the batch.
        seed: of the direction.
        place: the site with its border, in which nothing that is written counts; set where the control is applied.
    """

    site: str = dataclasses.field(init=False)
    edit: Edit
    levels: int
    seed: int
    place: Site | None = dataclasses.field(default=None, kw_only=True)

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

    def bound(self, site: Site) -> Edit:
        """Return the control for a site, which knows the border of its map."""
        return dataclasses.replace(self, edit=self.edit.bound(site), place=site)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, ...] after a change of the edit's norm."""
        change = self._inside(self.edit(activation, context) - activation)
        direction = self._inside(self.direction(change, context))
        return add_with_norm(activation, direction, change.flatten(1).norm(dim=1))

    def _inside(self, values: Tensor) -> Tensor:
        """Return values [b, ...] of the activation; those of a map [b, C, H, W] with zeros in the border."""
        return values if self.place is None else with_border(without_border(values, self.place), self.place)

    @abc.abstractmethod
    def direction(self, change: Tensor, context: EditContext) -> Tensor:
        """Return the direction [b, ...] of the control's change, given the edit's change [b, ...]."""


@dataclasses.dataclass(frozen=True, eq=False)
class EqualNormNoise(NormMatchedControl):
    """Gaussian noise of the edit's norm.

    The direction belongs to the level and is the same at every step, as that of a pattern is.
    """

    def direction(self, change: Tensor, context: EditContext) -> Tensor:
        """Return the noise [b, ...] of the levels."""
        # Drawn for the whole batch, so that a level's noise does not depend on which other levels are still played.
        shape: Sequence[int] = change.shape[1:]
        noise = torch.randn((self.levels, *shape), generator=torch.Generator().manual_seed(self.seed))
        check_rows(self.levels, context, self.site)
        return noise[torch.from_numpy(context.rows)]


@dataclasses.dataclass(frozen=True, eq=False)
class PermutedChannels(NormMatchedControl):
    """The edit's own change with its channels exchanged, the same exchange in every level.

    It is a stronger control than noise: it has the edit's squares, sizes and signs, and only the channels are wrong.
    """

    def direction(self, change: Tensor, context: EditContext) -> Tensor:
        """Return the change [b, C, ...] with each channel in the place of another one."""
        channels = change.shape[1]
        order = torch.randperm(channels, generator=torch.Generator().manual_seed(self.seed))
        # One cycle through a random order: no channel keeps its place, which a plain permutation does not guarantee.
        source = torch.empty_like(order)
        source[order] = order.roll(1)
        return change[:, source]


def add_with_norm(activation: Tensor, direction: Tensor, norm: Tensor) -> Tensor:
    """Return activation [b, ...] changed along `direction` [b, ...] by a change of the norm [b].

    An activation without negative values keeps that property: it is clipped at 0, and the direction is scaled until the
    change has the norm after clipping. Where clipping makes that norm unreachable, the change is the largest that was
    tried.
    """
    ones = [1] * (activation.dim() - 1)
    lengths = direction.flatten(1).norm(dim=1)
    factor = torch.where(lengths > 0, norm / lengths.clamp(min=1e-30), torch.zeros_like(lengths))
    if not is_rectified(activation):
        return activation + direction * factor.reshape(-1, *ones)
    # The norm after clipping grows with the factor and never faster than it, so these corrections approach the
    # factor from below and cannot overshoot.
    largest = factor * 1e3
    for _ in range(ROUNDS):
        changed = (activation + direction * factor.reshape(-1, *ones)).relu()
        reached = (changed - activation).flatten(1).norm(dim=1)
        if bool(((norm - reached) <= TOLERANCE * norm).all()):
            break
        ratio = torch.where(reached > 0, norm / reached.clamp(min=1e-30), torch.full_like(norm, 2.0))
        factor = torch.minimum(factor * ratio, largest)
    return changed
