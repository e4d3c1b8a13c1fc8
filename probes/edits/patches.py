"""Edits that put what a site held elsewhere in place of what it holds: resample ablation, and patches from a level."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import NetworkPolicy, Rows
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import read_activations
from goalmaze.probes.edits.base import Rewrite, of_rows
from goalmaze.probes.edits.channels import check_named
from goalmaze.probes.information import EVERYTHING, NOTHING, Knowledge


@dataclasses.dataclass(frozen=True, eq=False)
class Patch(Rewrite):
    """Replaces what a site holds.

    Attributes:
        source: float32 [B, ...], what each level of the batch being played holds instead.
        channels: which to replace; None for all.
        blind: whether the source has nothing to do with the level it is put in.
    """

    source: Tensor = dataclasses.field(kw_only=True)
    channels: tuple[int, ...] | None = dataclasses.field(default=None, kw_only=True)
    blind: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """Nothing where it is blind, otherwise all that the source level shows."""
        return NOTHING if self.blind else EVERYTHING

    def check(self, site: Site) -> None:
        """Refuse a site without these channels."""
        check_named(site, self.channels or ())

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return what the levels `rows` hold instead of activation [b, ...]."""
        source = of_rows(self.source, rows, self.site)
        if source.shape != activation.shape:
            raise GoalmazeError(
                f"patch at site '{self.site}' has shape {tuple(source.shape)}, the activation "
                f"{tuple(activation.shape)}; take it from this network and maze size"
            )
        if self.channels is None:
            return source
        result = activation.clone()
        result[:, list(self.channels)] = source[:, list(self.channels)]
        return result


def patch_from(policy: NetworkPolicy, levels: LevelBatch, site: str, channels: Sequence[int] | None = None) -> Patch:
    """Return the patch of what a site holds before the first step on other levels, row for row: an upper bound.

    Args:
        policy: whose site.
        family: of the levels.
        levels: B levels to take it from, such as those being played with the goal moved.
        site: where.
        channels: which to replace; None for all.

    Raises:
        GoalmazeError: a level is none, for example because its goal lies on a wall.
    """
    levels.check()
    source = read_activations(policy.network, observations_of(policy, levels), [site])[site]
    return Patch(site, source=source, channels=None if channels is None else tuple(channels))


def resample_ablation(site: str, activations: Tensor, levels: int, seed: int, channels: Sequence[int]) -> Patch:
    """Return the edit that gives channels of each level to be played what they held in a maze drawn at random.

    Args:
        site: where.
        activations: float32 [N, ...], what the site holds in other mazes.
        levels: B, number of levels to be played.
        seed: of the draw.
        channels: which to replace.
    """
    drawn = np.random.default_rng(seed).integers(0, len(activations), levels)
    return Patch(site, source=activations[torch.from_numpy(drawn)], channels=tuple(channels), blind=True)
