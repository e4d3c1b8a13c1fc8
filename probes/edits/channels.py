"""Edits of channels by hand: clamp, zero, mean, multiply; everywhere or on one square a level (Mini et al., 2023)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.edits.base import Rewrite
from goalmaze.probes.information import NOTHING, TARGET, Knowledge
from goalmaze.probes.squares import cells_of, marked


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelEdit(Rewrite):
    """An edit of some channels.

    Attributes:
        channels: which.
        cells: int32 [B], the square on which it is done in each level; None for all squares, or where there are none.
    """

    channels: tuple[int, ...] = ()
    cells: Cells | None = dataclasses.field(default=None, kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """The target's cell, where it is done on one square."""
        return NOTHING if self.cells is None else frozenset({TARGET})

    def check(self, site: Site) -> None:
        """Refuse a site without these channels, or without squares where a square is meant."""
        check_named(site, self.channels)
        if self.cells is not None and not site.is_map:
            raise GoalmazeError(
                f"edit at site '{site.name}' writes squares, but the site is no map; choose one that is"
            )

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, C, ...] with the channels changed."""
        result = activation.clone()
        chosen = list(self.channels)
        result[:, chosen] = self.rewritten(activation[:, chosen])
        if self.cells is None:
            return result
        here = marked(cells_of(self.cells, rows, self.site), activation.shape[2], activation.shape[3])
        return torch.where(here, result, activation)

    def rewritten(self, values: Tensor) -> Tensor:
        """Return what the chosen channels [b, k, ...] become."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, eq=False)
class ClampChannels(ChannelEdit):
    """Sets channels to values.

    Attributes:
        values: float32 [k], one for each channel.
    """

    values: Tensor = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.channels),):
            raise GoalmazeError(
                f"edit at site '{self.site}' has values of shape {tuple(self.values.shape)} for {len(self.channels)} "
                "channels; give one for each"
            )

    def rewritten(self, values: Tensor) -> Tensor:
        """Return the values, wherever the channels [b, k, ...] hold others."""
        return self.values.reshape(-1, *[1] * (values.dim() - 2)).expand_as(values)


@dataclasses.dataclass(frozen=True, eq=False)
class MultiplyChannels(ChannelEdit):
    """Multiplies channels by a factor."""

    factor: float = dataclasses.field(kw_only=True)

    def rewritten(self, values: Tensor) -> Tensor:
        """Return the channels [b, k, ...] times the factor."""
        return values * self.factor


def check_named(site: Site, channels: Sequence[int]) -> None:
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
    """Return the edit that sets channels to what they hold on average, over mazes and squares, of [N, C, ...]."""
    means = activations.transpose(0, 1).flatten(1).mean(dim=1)
    return ClampChannels(site, tuple(channels), values=means[list(channels)])


def goal_channels(differences: Tensor, goals: Cells, count: int) -> tuple[int, ...]:
    """Return the `count` channels that the goal's coming changes most on its own square, in their own spread.

    Args:
        differences: float32 [N, C, H, W], activations with the goal less those without.
        goals: int32 [N], its cells.
        count: how many.
    """
    own = marked(goals, differences.shape[2], differences.shape[3])
    effect = (differences * own).sum(dim=(0, 2, 3)) / own.sum()
    spread = differences.std(dim=(0, 2, 3)).clamp(min=1e-6)
    return tuple(int(c) for c in (effect / spread).abs().topk(min(count, len(effect))).indices)
