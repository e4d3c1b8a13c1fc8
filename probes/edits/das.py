"""Distributed alignment search (Geiger et al., 2024): in which subspace of a site something is held, found by swaps.

A rotation is learned so that putting the first coordinates of one run into another changes what the network does as if
that one thing had been changed. Only the plane of those coordinates matters, so only their directions are kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.sites import find_map_site
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Rewrite, applied, check_channels, of_rows
from goalmaze.probes.edits.coordinates import GoalCoordinates, goal_coordinates
from goalmaze.probes.information import EVERYTHING, Knowledge
from goalmaze.probes.squares import around, cells_of, put_around
from goalmaze.probes.targets import draw_targets

UPDATES = 200
BATCH = 64
LEARNING_RATE = 0.02


def search(
    width: int, dimensions: int, loss: Callable[[Tensor], Tensor], updates: int, rate: float, seed: int
) -> Tensor:
    """Return float32 [C, k], orthonormal directions found by descending a loss of them.

    Args:
        width: C, channels of the site.
        dimensions: k, 1 to C.
        loss: of the first k columns [C, k] of the rotation; drawn anew at every update if it likes.
        updates: steps of Adam.
        rate: its learning rate at the start; it falls to a twentieth.
        seed: of the rotation to start at.

    Raises:
        GoalmazeError: there is no such subspace.
    """
    if not 1 <= dimensions <= width:
        raise GoalmazeError(f"a subspace of {dimensions} dimensions does not fit {width} channels: choose 1 to {width}")
    free = torch.randn(width, dimensions, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    optimiser = torch.optim.Adam([free], rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, updates)
    for _ in range(updates):
        (free.grad,) = torch.autograd.grad(loss(torch.linalg.qr(free).Q), [free])
        optimiser.step()
        schedule.step()
    basis: Tensor = torch.linalg.qr(free.detach()).Q
    return basis


def interchanged(base: Tensor, source: Tensor, basis: Tensor) -> Tensor:
    """Return base [..., C] with its coordinates along a basis [C, k] taken from source [..., C]."""
    return base + ((source - base) @ basis) @ basis.T


@dataclasses.dataclass(frozen=True, eq=False)
class Interchange(Rewrite):
    """Puts the coordinates that another run holds into this one: of all squares, or of one or more windows a level.

    Attributes:
        basis: float32 [C*side*side, k], orthonormal.
        source: float32 [B, ...], what the other run holds in each level.
        cells: int32 [B] each, the middles of the windows; None for all squares, or where there are none.
        side: of the windows.
    """

    basis: Tensor = dataclasses.field(kw_only=True)
    source: Tensor = dataclasses.field(kw_only=True)
    cells: tuple[Cells, ...] | None = dataclasses.field(default=None, kw_only=True)
    side: int = dataclasses.field(default=1, kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """All that the other run was about."""
        return EVERYTHING

    def check(self, site: Site) -> None:
        """Refuse a site with other channels."""
        check_channels(site, len(self.basis), side=self.side, needs_map=self.cells is not None)

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, C, ...] with the coordinates of the other run."""
        source = of_rows(self.source, rows, self.site)
        if source.shape != activation.shape:
            raise GoalmazeError(
                f"interchange at site '{self.site}' has shape {tuple(source.shape)}, the activation "
                f"{tuple(activation.shape)}; take it from this network and maze size"
            )
        if self.cells is None:
            return interchanged(activation.movedim(1, -1), source.movedim(1, -1), self.basis).movedim(-1, 1)
        result = activation
        for cells in self.cells:
            here = cells_of(cells, rows, self.site)
            own, other = around(result, here, self.side), around(source, here, self.side)
            result = put_around(result, here, interchanged(own, other, self.basis), self.side)
        return result


@dataclasses.dataclass(frozen=True, eq=False)
class Subspace:
    """The coordinates of windows along a few directions.

    Attributes:
        basis: float32 [C*side*side, k], orthonormal.
    """

    basis: Tensor

    @property
    def width(self) -> int:
        """The numbers that a window holds."""
        return len(self.basis)

    def read(self, window: Tensor) -> Tensor:
        """Return [..., k] of windows [..., C*side*side]."""
        return window @ self.basis

    def written(self, window: Tensor, values: Tensor) -> Tensor:
        """Return windows [..., C*side*side] with their coordinates at `values` [..., k]."""
        return window + (values - self.read(window)) @ self.basis.T


def find_alignment(
    context: FitContext, site: str, dimensions: int = 1, side: int = 1, updates: int = UPDATES
) -> GoalCoordinates:
    """Search the subspace of a window that, swapped around two squares with the same mazes' other run, moves the goal.

    A window of 1 suits a site before which nothing is convolved; a goal that is spread takes 3 or more. The other run
    is the same maze with goal and cue really moved; the loss is the KL divergence of the agent under the swap from the
    agent in that run.

    Raises:
        GoalmazeError: the site is no map, or has fewer dimensions.
    """
    channels = find_map_site(context.policy.network, site)[0].channels
    choice = np.random.default_rng(context.seed)

    def loss(basis: Tensor) -> Tensor:
        rows = choice.choice(len(context.levels), min(BATCH, len(context.levels)), replace=False)
        training_batch = dataclasses.replace(context, levels=context.levels.take(rows))
        return swap_loss(
            training_batch, site, basis, draw_targets(training_batch.levels, int(choice.integers(2**31))), side
        )

    basis = search(channels * side**2, dimensions, loss, updates, LEARNING_RATE, context.seed)
    return goal_coordinates(context, site, Subspace(basis), side)


def swap_loss(training_batch: FitContext, site: str, basis: Tensor, targets: Cells, side: int = 1) -> Tensor:
    """Return the divergence of the agent under the swap from the agent that sees goal and cue at `targets` [B]."""
    policy, rows = training_batch.policy, np.arange(len(training_batch.levels))
    moved = training_batch.levels.with_goal_and_cue_at(targets)
    seen = torch.from_numpy(observations_of(policy, moved))
    with torch.inference_mode():
        teacher = policy.logits(rows, seen).log_softmax(dim=1)
    source = training_batch.read(moved, site)
    swap = Interchange(site, basis=basis, source=source.clone(), cells=(training_batch.goals, targets), side=side)
    unmoved = torch.from_numpy(observations_of(policy, training_batch.levels))
    with applied(policy, [swap]):
        pupil = policy.logits(rows, unmoved).log_softmax(dim=1)
    return torch.nn.functional.kl_div(pupil, teacher.clone(), log_target=True, reduction="batchmean")
