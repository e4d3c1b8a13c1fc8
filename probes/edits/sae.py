"""Sparse autoencoders: the directions of which a site's activations are sparse sums, and edits in their terms."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from goalmaze.agents.sites import find_map_site
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.coordinates import GoalCoordinates, goal_coordinates, goal_windows
from goalmaze.probes.readout.windows import MAX_SAMPLES, windows

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
class Features:
    """The values of a few features of windows; what the autoencoder does not hold of a window stays as it is.

    Attributes:
        autoencoder: of windows of C*side*side numbers.
        chosen: which of its features, k of them.
    """

    autoencoder: Autoencoder
    chosen: tuple[int, ...]

    @property
    def width(self) -> int:
        """The numbers that a window holds."""
        return len(self.autoencoder.centre)

    def read(self, window: Tensor) -> Tensor:
        """Return [..., k] of windows [..., C*side*side]."""
        return self.autoencoder.encode(window)[..., list(self.chosen)]

    def written(self, window: Tensor, values: Tensor) -> Tensor:
        """Return windows [..., C*side*side] moved along the features' directions by what they lack of `values`."""
        return window + (values - self.read(window)) @ self.autoencoder.decoder[list(self.chosen)]


def find_goal_features(
    context: FitContext, site: str, count: int = 4, side: int = 1, updates: int = UPDATES
) -> GoalCoordinates:
    """Train an autoencoder on the windows of a map and take the `count` features that the goal's coming changes most.

    Raises:
        GoalmazeError: the site is no map, or the window has no middle.
    """
    channels = find_map_site(context.policy.network, site)[0].channels
    with_goal, without = goal_windows(context, site, side)
    seen = _windows_seen(context.read(context.levels, site), side, context.seed)
    # A goal stands on one square of many: without its own share of the samples no feature would be spent on it.
    share = with_goal.repeat(max(1, len(seen) // (8 * max(1, len(with_goal)))), 1)
    coder = train_autoencoder(torch.cat([seen, share]), EXPANSION * channels, updates=updates, seed=context.seed)
    change = coder.encode(with_goal).mean(0) - coder.encode(without).mean(0)
    reach = change.abs() * coder.decoder.norm(dim=1)
    chosen = tuple(reach.topk(min(count, len(reach))).indices.tolist())
    return goal_coordinates(context, site, Features(coder, chosen), side)


def _windows_seen(maps: Tensor, side: int, seed: int) -> Tensor:
    """Return [M, C*side*side], the windows around squares drawn from maps [N, C, H, W], `MAX_SAMPLES` at most."""
    seen = windows(maps, side).flatten(2).transpose(1, 2).reshape(-1, maps.shape[1] * side**2)
    drawn = torch.randperm(len(seen), generator=torch.Generator().manual_seed(seed))[:MAX_SAMPLES]
    return seen[drawn]
