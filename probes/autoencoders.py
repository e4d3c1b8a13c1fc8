"""Sparse autoencoders: the directions of which a site's activations are sparse sums, and edits in their terms."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.agents.sites import find_map_site
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import ABSENT, Cells
from goalmaze.probes.directions import check_errand, is_rectified
from goalmaze.probes.edits import Rewrite, check_channels
from goalmaze.probes.knowledge import CELLS, Knowledge
from goalmaze.probes.squares import around, cells_of, put_around
from goalmaze.probes.steering.base import Workshop
from goalmaze.probes.windows import MOST_SAMPLES, windows

UPDATES = 2000
BATCH = 256
LEARNING_RATE = 1e-2
SPARSITY = 1.0
"""Weight of the features' sum beside the squared error, both for activations of unit variance."""

EXPANSION = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Autoencoder:
    """Features of activations, never negative, and the direction each writes.

    Attributes:
        encoder: float32 [C, M].
        threshold: float32 [M], added before the rectifier.
        decoder: float32 [M, C]; rows of unit length in units of the activations' spread.
        centre: float32 [C].
    """

    encoder: Tensor
    threshold: Tensor
    decoder: Tensor
    centre: Tensor

    def encode(self, activations: Tensor) -> Tensor:
        """Return features [..., M] of activations [..., C]."""
        return ((activations - self.centre) @ self.encoder + self.threshold).relu()

    def decode(self, features: Tensor) -> Tensor:
        """Return activations [..., C] of features [..., M]."""
        return features @ self.decoder + self.centre

    def explained(self, activations: Tensor) -> float:
        """Return the share of the variance of activations [N, C] that their features hold."""
        error = (self.decode(self.encode(activations)) - activations).square().sum()
        return float(1 - error / (activations - activations.mean(0)).square().sum())


def train_autoencoder(
    samples: Tensor, features: int, sparsity: float = SPARSITY, updates: int = UPDATES, seed: int = 0
) -> Autoencoder:
    """Return an autoencoder trained on samples [N, C] to have `features` features.

    Args:
        samples: what one square, or the site, held.
        features: M.
        sparsity: weight of the features' sum beside the squared error.
        updates: steps of Adam.
        seed: of the start and of the batches.

    Raises:
        GoalmazeError: there is nothing to learn from.
    """
    if samples.dim() != 2 or not len(samples) or features < 1:
        raise GoalmazeError(
            f"no autoencoder of {features} features learns from samples {tuple(samples.shape)}: give 1 feature or more "
            "and samples [N, C]"
        )
    luck = torch.Generator().manual_seed(seed)
    centre, scale = samples.mean(dim=0), samples.std(dim=0).mean().clamp(min=1e-6)
    x = (samples - centre) / scale
    start = torch.nn.functional.normalize(x[torch.randint(0, len(x), (features,), generator=luck)], dim=1)
    decoder = (start + 0.01 * torch.randn(start.shape, generator=luck)).requires_grad_()
    encoder = start.T.clone().requires_grad_()
    threshold = torch.zeros(features, requires_grad=True)
    learned = [encoder, threshold, decoder]
    optimiser = torch.optim.Adam(learned, LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, updates)
    for _ in range(updates):
        batch = x[torch.randint(0, len(x), (BATCH,), generator=luck)]
        unit = torch.nn.functional.normalize(decoder, dim=1)
        held = (batch @ encoder + threshold).relu()
        loss = (held @ unit - batch).square().sum(dim=1).mean() + sparsity * held.sum(dim=1).mean()
        for tensor, gradient in zip(learned, torch.autograd.grad(loss, learned), strict=True):
            tensor.grad = gradient
        optimiser.step()
        schedule.step()
    unit = torch.nn.functional.normalize(decoder.detach(), dim=1)
    return Autoencoder(encoder.detach() / scale, threshold.detach(), unit * scale, centre)


@dataclasses.dataclass(frozen=True, eq=False)
class SetFeatures(Rewrite):
    """Gives features the values they have without and with a goal, around the goal's and the target's squares.

    What the autoencoder does not hold of a window stays as it is.

    Attributes:
        autoencoder: of windows of this site.
        features: which, k of them.
        goals: int32 [B], `ABSENT` where there is none.
        targets: int32 [B].
        absent: float32 [k], put around the goal's square.
        present: float32 [k], put around the target's square.
        side: of the window around a square.
        rectified: whether the site never holds negative values; the edited one then neither.
    """

    autoencoder: Autoencoder = dataclasses.field(kw_only=True)
    features: tuple[int, ...] = dataclasses.field(kw_only=True)
    goals: Cells = dataclasses.field(kw_only=True)
    targets: Cells = dataclasses.field(kw_only=True)
    absent: Tensor = dataclasses.field(kw_only=True)
    present: Tensor = dataclasses.field(kw_only=True)
    side: int = dataclasses.field(default=1, kw_only=True)
    rectified: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def knows(self) -> Knowledge:
        """Goal and target."""
        return CELLS

    def check(self, site: Site) -> None:
        """Refuse a site that is no map of the autoencoder's channels."""
        check_channels(site, len(self.autoencoder.centre), side=self.side, needs_map=True)

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return maps [b, C, H, W] with the features of two windows set; the target's come last."""
        chosen = list(self.features)
        for cells, values in ((self.goals, self.absent), (self.targets, self.present)):
            here = cells_of(cells, rows, self.site)
            own = around(activation, here, self.side)
            step = values - self.autoencoder.encode(own)[:, chosen]
            own = own + step @ self.autoencoder.decoder[chosen]
            activation = put_around(activation, here, own.relu() if self.rectified else own, self.side)
        return activation


@dataclasses.dataclass(frozen=True, eq=False)
class GoalFeatures:
    """The features of a window that tell a goal's surroundings from the same ones without it.

    Attributes:
        site: the map they were found in.
        autoencoder: whose features.
        features: which, most telling first.
        present: float32 [k], their means around goals.
        absent: float32 [k], their means in the same windows without the goal.
        rectified: whether the site never holds negative values.
        side: of the window.
    """

    knows: ClassVar[Knowledge] = CELLS

    site: str
    autoencoder: Autoencoder
    features: tuple[int, ...]
    present: Tensor
    absent: Tensor
    rectified: bool
    side: int = 1

    def edit(self, goals: Cells, targets: Cells, height: int, width: int, strength: float = 1.0) -> SetFeatures:
        """Return the edit that moves the goal from `goals` [B] to `targets` [B] in mazes of H x W."""
        check_errand(goals, targets, height, width)
        return SetFeatures(
            self.site,
            autoencoder=self.autoencoder,
            features=self.features,
            goals=goals,
            targets=targets,
            absent=self.absent,
            present=self.present,
            side=self.side,
            rectified=self.rectified,
            strength=strength,
        )


def find_goal_features(
    workshop: Workshop, site: str, count: int = 4, side: int = 1, updates: int = UPDATES
) -> GoalFeatures:
    """Train an autoencoder on the windows of a map and take the `count` features that the goal's coming changes most.

    Raises:
        GoalmazeError: the site is no map, or the window has no middle.
    """
    channels = find_map_site(workshop.policy.network, site)[0].channels
    maps, standing = workshop.read(workshop.levels, site), workshop.goals != ABSENT
    with_goal = around(maps, workshop.goals, side)[standing]
    seen = _windows_seen(maps, side, workshop.seed)
    # A goal stands on one square of many: without its own share of the samples no feature would be spent on it.
    share = with_goal.repeat(max(1, len(seen) // (8 * max(1, len(with_goal)))), 1)
    coder = train_autoencoder(torch.cat([seen, share]), EXPANSION * channels, updates=updates, seed=workshop.seed)
    without = around(workshop.read(workshop.cleared(), site), workshop.goals, side)[standing]
    present, absent = coder.encode(with_goal).mean(0), coder.encode(without).mean(0)
    reach = (present - absent).abs() * coder.decoder.norm(dim=1)
    chosen = reach.topk(min(count, len(reach))).indices
    features = tuple(int(f) for f in chosen)
    return GoalFeatures(site, coder, features, present[chosen], absent[chosen], is_rectified(maps), side)


def _windows_seen(maps: Tensor, side: int, seed: int) -> Tensor:
    """Return [M, C*side*side], the windows around squares drawn from maps [N, C, H, W], `MOST_SAMPLES` at most."""
    seen = windows(maps, side).flatten(2).transpose(1, 2).reshape(-1, maps.shape[1] * side**2)
    drawn = torch.randperm(len(seen), generator=torch.Generator().manual_seed(seed))[:MOST_SAMPLES]
    return seen[drawn]
