"""What procgen-tools (Mini et al., 2023) offers, by name: vector fields, vectors, clamps at pixels, ablations.

What stands elsewhere is only named here: `zero_ablation`, `mean_ablation`, `resample_ablation`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import NetworkPolicy, Probabilities, Rows
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.objects import AGENT
from goalmaze.probes.activations import read_activations
from goalmaze.probes.edits.base import Edit, Rewrite, applied, check_channels
from goalmaze.probes.edits.channels import check_named, mean_ablation, zero_ablation
from goalmaze.probes.edits.mean_difference import SteeringVector
from goalmaze.probes.edits.patches import resample_ablation
from goalmaze.probes.edits.patterns import is_rectified
from goalmaze.probes.information import TARGET, Knowledge

__all__ = [
    "ClampPixel",
    "PictureVector",
    "VectorField",
    "activation_difference",
    "cheese_vector",
    "field_change",
    "mean_ablation",
    "pixels_of",
    "resample_ablation",
    "top_right_vector",
    "vector_field",
    "zero_ablation",
]

WAYS: NDArray[np.float32] = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]], np.float32)
"""float32 [4, 2], what up, right, down and left add to row and column."""


@dataclasses.dataclass(frozen=True, eq=False)
class VectorField:
    """What a policy does on every free cell of one level.

    Attributes:
        level: the level.
        cells: int32 [N], where the agent stands.
        chances: float32 [N, 4], of up, right, down and left there.
    """

    level: LevelBatch
    cells: Cells
    chances: Probabilities

    @property
    def arrows(self) -> NDArray[np.float32]:
        """float32 [N, 2], the expected step there, in rows (down) and columns (to the right)."""
        expected: NDArray[np.float32] = self.chances @ WAYS
        return expected

    def at(self, cell: int) -> Probabilities:
        """Return float32 [4], the chances on one cell.

        Raises:
            GoalmazeError: the agent cannot stand there.
        """
        found = np.flatnonzero(self.cells == cell)
        if not len(found):
            raise GoalmazeError(f"the field has no arrow at cell {cell}: choose a free one without an object")
        chances: Probabilities = self.chances[found[0]]
        return chances


def vector_field(policy: NetworkPolicy, level: LevelBatch, edits: Sequence[Edit] = ()) -> VectorField:
    """Return what a policy does on every free cell of one level on which nothing else stands, under edits.

    Args:
        policy: who acts; one with a memory is looked at as before its first step.
        family: of the level.
        level: a batch of one.
        edits: in force meanwhile, made for this one level.

    Raises:
        GoalmazeError: the batch holds more than one level, or an edit does not fit.
    """
    splayed = level.splayed(AGENT)
    seen = observations_of(policy, splayed)
    with applied(policy, edits):
        chances = policy.probabilities(np.zeros(len(splayed), np.intp), seen, splayed.start)
    return VectorField(level, splayed.start, chances)


def field_change(before: VectorField, after: VectorField) -> NDArray[np.float32]:
    """Return float32 [N, 2], the arrows after less the arrows before, on the same cells.

    Raises:
        GoalmazeError: the fields are of other cells.
    """
    if not np.array_equal(before.cells, after.cells):
        raise GoalmazeError("the two fields are of different cells: draw both on one level, moving nothing")
    return after.arrows - before.arrows


@dataclasses.dataclass(frozen=True, eq=False)
class PictureVector(SteeringVector):
    """A steering vector for any activation, such as a picture [C, h, w] whose pixels are no squares of the maze."""

    def check(self, site: Site) -> None:
        """Refuse a site with other channels."""
        check_channels(site, len(self.vector))


def cheese_vector(policy: NetworkPolicy, levels: LevelBatch, site: str) -> PictureVector:
    """Return what the goal and its cue add to a site, the mean over levels; a strength of -1 takes them away."""
    return activation_difference(policy, levels, levels.without_goal_and_cue(), site)


def top_right_vector(policy: NetworkPolicy, levels: LevelBatch, opened: LevelBatch, site: str) -> PictureVector:
    """Return what a way to the world's top right corner adds to a site, the mean over levels.

    Args:
        policy: whose site.
        family: of the levels.
        levels: B levels.
        opened: the same with that way, as `goalmaze.envs.procgen.fields.opened` digs it.
        site: where.
    """
    return activation_difference(policy, opened, levels, site)


def activation_difference(policy: NetworkPolicy, present: LevelBatch, absent: LevelBatch, site: str) -> PictureVector:
    """Return the mean difference of what a site holds before the first step, as a vector to add everywhere.

    Args:
        policy: whose site.
        family: of the levels.
        present: B levels that have the thing.
        absent: the same B levels without it.
        site: where.

    Raises:
        GoalmazeError: the batches differ in length, or the site is unknown.
    """
    if len(present) != len(absent):
        raise GoalmazeError(f"{len(present)} levels cannot be compared with {len(absent)}: give each of them twice")
    held, missing = (
        read_activations(policy.network, observations_of(policy, levels), [site])[site] for levels in (present, absent)
    )
    return PictureVector(site, vector=(held - missing).mean(dim=0), rectified=is_rectified(held))


@dataclasses.dataclass(frozen=True, eq=False)
class ClampPixel(Rewrite):
    """Sets channels to a value at one pixel of each level, in any activation [b, C, h, w], map of squares or not.

    Attributes:
        channels: which.
        value: what they hold there.
        pixels: int [B, 2], row and column of the pixel for each level being played.
    """

    channels: tuple[int, ...] = ()
    value: float = dataclasses.field(kw_only=True)
    pixels: NDArray[np.integer] = dataclasses.field(kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """The target's cell."""
        return frozenset({TARGET})

    def check(self, site: Site) -> None:
        """Refuse a site without these channels."""
        check_named(site, self.channels)

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, C, h, w] with the channels clamped."""
        if activation.dim() != 4:
            raise GoalmazeError(f"site '{self.site}' has no pixels to clamp: choose one that holds pictures")
        if len(rows) and int(rows.max()) >= len(self.pixels):
            raise GoalmazeError(f"the clamp at '{self.site}' is for {len(self.pixels)} levels; make it for all of them")
        places = np.asarray(self.pixels)[rows]
        if (places < 0).any() or (places >= np.array(activation.shape[2:])).any():
            sides = "x".join(map(str, activation.shape[2:]))
            raise GoalmazeError(f"a pixel to clamp lies outside the {sides} of site '{self.site}': choose one inside")
        result = activation.clone()
        batch, channels = torch.arange(len(rows))[:, None], torch.tensor(self.channels)[None]
        row, column = torch.from_numpy(places).long().T[:, :, None]
        result[batch, channels, row, column] = self.value
        return result


def pixels_of(levels: LevelBatch, cells: Cells, side: int, ring: int = 0) -> NDArray[np.intp]:
    """Return int [N, 2], the pixel of an activation of `side` x `side` in which the middle of each cell [N] lies.

    Args:
        levels: whose cells; their picture fills the observation.
        cells: cells.
        side: of the activation.
        ring: rows and columns of the level, on each side, that the picture does not show; 1 in Procgen.
    """
    rows, columns = np.divmod(cells, levels.width)
    across = levels.width - 2 * ring
    places = (np.stack([rows, columns], axis=1) - ring + 0.5) * side / across
    return np.clip(places.astype(np.intp), 0, side - 1)
