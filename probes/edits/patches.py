"""Activation patching: edits that replace the activation of a site by that of other levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import level_activations
from goalmaze.probes.edits.base import Edit, level_values
from goalmaze.probes.edits.channels import check_channel_numbers
from goalmaze.probes.information import EVERYTHING, NOTHING, Facts


@dataclasses.dataclass(frozen=True, eq=False)
class Patch(Edit):
    """Replaces the activation of a site.

    Attributes:
        source: float32 [B, ...], the activation that each level of the batch gets.
        channels: the channels to replace; None for all.
        unrelated: whether the source comes from levels that have nothing to do with those being played.
    """

    source: Tensor = dataclasses.field(kw_only=True)
    channels: tuple[int, ...] | None = dataclasses.field(default=None, kw_only=True)
    unrelated: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def uses(self) -> Facts:
        """Nothing if the source is unrelated to the levels, otherwise all that the source levels show."""
        return NOTHING if self.unrelated else EVERYTHING

    def check(self, site: Site) -> None:
        """Refuse a site without these channels."""
        check_channel_numbers(site, self.channels or ())

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the source in place of the activation [b, ...], in the chosen channels."""
        source = level_values(self.source, activation, context, self.site)
        if self.channels is None:
            return source
        result, channels = activation.clone(), list(self.channels)
        result[:, channels] = source[:, channels]
        return result


def patch_from(policy: NetworkPolicy, levels: LevelBatch, site: str, channels: Sequence[int] | None = None) -> Patch:
    """Return the patch with the activation of a site before the first step of other levels: an oracle.

    Args:
        policy: the policy of the network that has the site.
        levels: B levels to take the activation from, one for each level that is played, for example with the goal
            moved.
        site: the site.
        channels: the channels to replace; None for all.

    Raises:
        GoalmazeError: a level is not valid, for example because its goal lies on a wall.
    """
    # Checked first: an invalid level, with its goal in a wall, would still give a plausible activation.
    source = level_activations(policy, levels.check(), site)
    return Patch(site, source=source, channels=None if channels is None else tuple(channels))


def resample_ablation(site: str, activations: Tensor, levels: int, seed: int, channels: Sequence[int]) -> Patch:
    """Return the edit that gives channels of each level their activation in another maze, drawn at random.

    Args:
        site: the site.
        activations: float32 [N, ...], of the site in other mazes.
        levels: B, the number of levels to be played.
        seed: of the draw.
        channels: the channels to replace.
    """
    drawn = np.random.default_rng(seed).integers(0, len(activations), levels)
    return Patch(site, source=activations[torch.from_numpy(drawn)], channels=tuple(channels), unrelated=True)
