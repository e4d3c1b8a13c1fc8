"""Edits of chosen channels: clamp, zero, mean and multiply, on all squares or on one square a level."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.edits.base import Edit, check_is_map, check_rows
from goalmaze.probes.information import ACTIVATION, NOTHING, TARGET, Facts
from goalmaze.probes.squares import cell_mask


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelEdit(Edit):
    """An edit of some channels (Mini et al., 2023).

    Attributes:
        channels: k channel numbers.
        cells: int32 [B], the one square of each level that is edited; None for all squares, or for features.
    """

    channels: tuple[int, ...] = ()
    cells: Cells | None = dataclasses.field(default=None, kw_only=True)

    @property
    def uses(self) -> Facts:
        """The target's cell, where only that square is edited."""
        return NOTHING if self.cells is None else frozenset({TARGET})

    def check(self, site: Site) -> None:
        """Refuse a site without these channels, or without squares where a square is edited."""
        check_channel_numbers(site, self.channels)
        if self.cells is not None:
            check_is_map(site)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, C, ...] with the channels changed."""
        result, channels = activation.clone(), list(self.channels)
        result[:, channels] = self.new_values(activation[:, channels])
        if self.cells is None:
            return result
        check_rows(len(self.cells), context, self.site)
        here = cell_mask(self.cells[context.rows], activation.shape[2], activation.shape[3])
        return torch.where(here, result, activation)

    @abc.abstractmethod
    def new_values(self, values: Tensor) -> Tensor:
        """Return what replaces the values [b, k, ...] of the channels."""


@dataclasses.dataclass(frozen=True, eq=False)
class ClampChannels(ChannelEdit):
    """Sets channels to given values.

    Attributes:
        values: float32 [k], one for each channel.
    """

    values: Tensor = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values.shape != (len(self.channels),):
            raise GoalmazeError(
                f"edit at site '{self.site}' has values of shape {tuple(self.values.shape)} for {len(self.channels)} "
                "channels; give one for each"
            )

    def new_values(self, values: Tensor) -> Tensor:
        """Return the clamped values, repeated to the shape [b, k, ...]."""
        return self.values.reshape(-1, *[1] * (values.dim() - 2)).expand_as(values)


@dataclasses.dataclass(frozen=True, eq=False)
class MultiplyChannels(ChannelEdit):
    """Multiplies channels by a factor."""

    factor: float = dataclasses.field(kw_only=True)

    @property
    def uses(self) -> Facts:
        """The activation, and the target's cell where only that square is edited."""
        # A product depends on the value that it multiplies.
        return super().uses | {ACTIVATION}

    def new_values(self, values: Tensor) -> Tensor:
        """Return the values [b, k, ...] times the factor."""
        return values * self.factor


def check_channel_numbers(site: Site, channels: Sequence[int]) -> None:
    """Refuse channels that a site does not have.

    Raises:
        GoalmazeError: the message names the first of them.
    """
    for channel in channels:
        if not 0 <= channel < site.channels:
            raise GoalmazeError(
                f"site '{site.name}' has no channel {channel}: it has {site.channels}, numbered from 0 "
                f"to {site.channels - 1}"
            )


def zero_ablation(site: str, channels: Sequence[int]) -> ClampChannels:
    """Return the edit that sets channels to zero everywhere."""
    return ClampChannels(site, tuple(channels), values=torch.zeros(len(channels)))


def mean_ablation(site: str, channels: Sequence[int], activations: Tensor) -> ClampChannels:
    """Return the edit that sets channels to their means over mazes and squares of activations [N, C, ...]."""
    # Over squares too: a mean for each square would keep what is typical of its position, such as walls.
    means = activations.transpose(0, 1).flatten(1).mean(dim=1)
    return ClampChannels(site, tuple(channels), values=means[list(channels)])


def goal_channels(differences: Tensor, goals: Cells, count: int) -> tuple[int, ...]:
    """Return the `count` channels that a goal changes most on its own square, in units of their standard deviation.

    Args:
        differences: float32 [N, C, H, W], activations with the goal minus those without.
        goals: int32 [N], the goal's cells.
        count: how many channels.
    """
    own = cell_mask(goals, differences.shape[2], differences.shape[3])
    # In standard deviations, so that a channel of large values does not win by its scale.
    effect = (differences * own).sum(dim=(0, 2, 3)) / own.sum()
    deviation = differences.std(dim=(0, 2, 3)).clamp(min=1e-6)
    # A goal may lower a channel, so the sign does not matter.
    return tuple(int(c) for c in (effect / deviation).abs().topk(min(count, len(effect))).indices)
