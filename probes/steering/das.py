"""`das`: distributed alignment search (Geiger et al., 2024), for the subspace in which a site represents the goal.

A rotation is learned so that swapping the first k coordinates of two runs changes the output as moving the goal does:
the coordinates of 3x3 windows around goal and target are taken from the same maze with goal and cue really moved. Only
the subspace of these coordinates matters, so only an orthonormal basis [C*9, k] is kept. The edit sets the coordinates
to their means without a goal around the goal, and with a goal around the target. It uses the two cells and the
activation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.agents.sites import find_map_site
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, check_channels, level_values
from goalmaze.probes.edits.coordinates import Coordinates, GoalCoordinates, fit_goal_coordinates
from goalmaze.probes.edits.optimisation import descend, imitation_loss
from goalmaze.probes.information import EVERYTHING, Facts
from goalmaze.probes.squares import read_window, write_window
from goalmaze.probes.steering.base import WindowMethod
from goalmaze.probes.steering.registry import register_method
from goalmaze.probes.targets import draw_targets

UPDATES = 200
BATCH = 64
LEARNING_RATE = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class Subspace(Coordinates):
    """The coordinates of windows along a few directions.

    Attributes:
        basis: float32 [C*side*side, k], orthonormal columns.
    """

    basis: Tensor

    @property
    def width(self) -> int:
        """C*side*side, the numbers in a window."""
        return len(self.basis)

    def read(self, windows: Tensor) -> Tensor:
        """Return [..., k], the coordinates of windows [..., C*side*side]."""
        return windows @ self.basis

    def set(self, windows: Tensor, values: Tensor) -> Tensor:
        """Return windows [..., C*side*side] whose coordinates are `values` [..., k]."""
        return windows + (values - self.read(windows)) @ self.basis.T


def interchanged(base: Tensor, source: Tensor, basis: Tensor) -> Tensor:
    """Return base [..., C] with its coordinates along a basis [C, k] taken from source [..., C]."""
    return base + ((source - base) @ basis) @ basis.T


@dataclasses.dataclass(frozen=True, eq=False)
class Interchange(Edit):
    """An interchange intervention: takes coordinates from another run, on all squares or in some windows of a level.

    Attributes:
        basis: float32 [C*side*side, k], orthonormal columns.
        source: float32 [B, ...], the activation of the site in the other run of each level.
        cells: int32 [B] each, the middles of the windows; None for all squares, or for features.
        side: rows and columns of a window.
    """

    uses: ClassVar[Facts] = EVERYTHING

    basis: Tensor = dataclasses.field(kw_only=True)
    source: Tensor = dataclasses.field(kw_only=True)
    cells: tuple[Cells, ...] | None = dataclasses.field(default=None, kw_only=True)
    side: int = dataclasses.field(default=1, kw_only=True)

    def check(self, site: Site) -> None:
        """Refuse a site with another number of channels."""
        check_channels(site, len(self.basis), side=self.side, needs_map=self.cells is not None)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, C, ...] with the coordinates of the other run."""
        source = level_values(self.source, activation, context, self.site)
        if self.cells is None:
            return interchanged(activation.movedim(1, -1), source.movedim(1, -1), self.basis).movedim(-1, 1)
        result = activation
        # One window after the other: where they overlap, the later one is read from the earlier one's result.
        for cells in self.cells:
            here = cells[context.rows]
            own, other = read_window(result, here, self.side), read_window(source, here, self.side)
            result = write_window(result, here, interchanged(own, other, self.basis), self.side)
        return result


@register_method
class DASMethod(WindowMethod):
    """The means of eight learned coordinates with and without a goal, set around target and goal."""

    name = "das"
    dimensions: ClassVar = 8

    def fit(self, context: FitContext, site: str) -> GoalCoordinates:
        """Search the subspace on the fitting levels."""
        return search_goal_subspace(context, site, self.dimensions, self.side, context.updates(UPDATES))


def search_goal_subspace(
    context: FitContext, site: str, dimensions: int = 1, side: int = 1, updates: int = UPDATES
) -> GoalCoordinates:
    """Return the subspace of windows whose interchange around goal and target moves the goal, as fitted coordinates.

    Args:
        context: has the fitting levels.
        site: a map of squares.
        dimensions: k, of the subspace.
        side: rows and columns of a window; 1 suits a site before any convolution, a goal that convolutions spread needs
            3 or more.
        updates: number of updates.

    Raises:
        GoalmazeError: the site is not a map, or a window has fewer than k dimensions.
    """
    channels = find_map_site(context.policy.network, site)[0].channels
    rng = np.random.default_rng(context.seed)

    def loss(basis: Tensor) -> Tensor:
        rows = rng.choice(len(context.levels), min(BATCH, len(context.levels)), replace=False)
        # New mazes and targets at every update: the subspace must fit all of them.
        batch = dataclasses.replace(context, levels=context.levels.take(rows))
        return interchange_loss(batch, site, basis, draw_targets(batch.levels, int(rng.integers(2**31))), side)

    basis = learn_subspace(channels * side**2, dimensions, loss, updates, LEARNING_RATE, context.seed)
    return fit_goal_coordinates(context, site, Subspace(basis), side)


def interchange_loss(context: FitContext, site: str, basis: Tensor, targets: Cells, side: int = 1) -> Tensor:
    """Return the KL divergence of the agent under the interchange from the agent that sees the goal on the targets.

    Args:
        context: has B levels.
        site: where coordinates are interchanged.
        basis: float32 [C*side*side, k]; the loss is differentiable in it.
        targets: int32 [B].
        side: rows and columns of a window.
    """
    moved = context.levels.with_goal_and_cue_at(targets)
    # cloned, because an inference tensor cannot take part in a differentiable computation
    source = context.activations(moved, site).clone()
    interchange = Interchange(site, basis=basis, source=source, cells=(context.goals, targets), side=side)
    return imitation_loss(context.policy, context.levels, moved, [interchange])


def learn_subspace(
    width: int, dimensions: int, loss: Callable[[Tensor], Tensor], updates: int, learning_rate: float, seed: int
) -> Tensor:
    """Return float32 [width, k], an orthonormal basis of the subspace that minimises a loss.

    Args:
        width: dimensions of the whole space.
        dimensions: k, 1 to `width`.
        loss: of a basis [width, k]; it may draw a new batch at every call.
        updates: number of updates by Adam.
        learning_rate: of the first update.
        seed: of the initial basis.

    Raises:
        GoalmazeError: there is no such subspace.
    """
    if not 1 <= dimensions <= width:
        raise GoalmazeError(f"a subspace of {dimensions} dimensions does not fit {width} channels: choose 1 to {width}")
    # The orthonormal basis is the Q of a free matrix: every step stays on the manifold without a constraint.
    free = torch.randn(width, dimensions, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    (trained,) = descend([free], lambda: loss(_orthonormal(free)), updates, learning_rate)
    return _orthonormal(trained)


def _orthonormal(free: Tensor) -> Tensor:
    basis: Tensor = torch.linalg.qr(free).Q
    return basis
