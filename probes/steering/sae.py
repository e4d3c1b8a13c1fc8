"""`sae`: features of a sparse autoencoder (Cunningham et al., 2023) that represent the goal, set at goal and target.

A sparse autoencoder is trained on the 3x3 windows of a map. The sixteen features that a goal changes most get their
mean without a goal around the goal, and their mean with a goal around the target. What the autoencoder does not
reconstruct stays as it is. The edit uses the two cells and the activation.

Training has converged: at `block8` of green-exit the loss is 46.7, with 13.9 features active at once, and 46.6 with
13.6 after four times as many updates. Version 0.1 stopped at 48.3 with 15.6 active.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from goalmaze.agents.sites import find_map_site
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.coordinates import Coordinates, GoalCoordinates, fit_goal_coordinates, goal_windows
from goalmaze.probes.edits.optimisation import descend
from goalmaze.probes.readout.windows import MAX_SAMPLES, windows
from goalmaze.probes.steering.base import WindowMethod
from goalmaze.probes.steering.registry import register_method

UPDATES, BATCH, LEARNING_RATE = 4000, 256, 3e-2

SPARSITY = 1.0
"""Weight of the L1 norm of the features beside the squared error, both for activations of unit variance."""

EXPANSION = 4
"""Features of the autoencoder for each channel of the site."""


@dataclasses.dataclass(frozen=True, eq=False)
class Autoencoder:
    """A sparse autoencoder: non-negative features of activations, and the direction that each writes.

    Attributes:
        encoder: float32 [C, M].
        bias: float32 [M], added before the ReLU.
        decoder: float32 [M, C]; rows of unit length in units of the activations' standard deviation.
        centre: float32 [C], the mean activation.
        active: number of features that are kept, the largest (TopK; Gao et al., 2024); None for all.
    """

    encoder: Tensor
    bias: Tensor
    decoder: Tensor
    centre: Tensor
    active: int | None = None

    def encode(self, activations: Tensor) -> Tensor:
        """Return features [..., M] of activations [..., C]."""
        return largest(((activations - self.centre) @ self.encoder + self.bias).relu(), self.active)

    def decode(self, features: Tensor) -> Tensor:
        """Return activations [..., C] of features [..., M]."""
        return features @ self.decoder + self.centre

    def explained(self, activations: Tensor) -> float:
        """Return the fraction of the variance of activations [N, C] that the reconstruction explains."""
        error = (self.decode(self.encode(activations)) - activations).square().sum()
        return float(1 - error / (activations - activations.mean(0)).square().sum())


def largest(features: Tensor, active: int | None) -> Tensor:
    """Return features [..., M] of which only the largest `active` are not 0; all where it is None."""
    if active is None or active >= features.shape[-1]:
        return features
    kept = features.topk(active, dim=-1)
    return torch.zeros_like(features).scatter(-1, kept.indices, kept.values)


def autoencoder_loss(
    batch: Tensor, encoder: Tensor, bias: Tensor, decoder: Tensor, sparsity: float, active: int | None = None
) -> Tensor:
    """Return the mean squared error of the reconstruction plus `sparsity` times the L1 norm of the features.

    Args:
        batch: [N, C], centred.
        encoder: [C, M].
        bias: [M].
        decoder: [M, C], rows of any length; they count with unit length.
        sparsity: weight of the L1 norm.
        active: number of features kept for each sample; None for all.
    """
    # Unit rows: a longer decoder could otherwise shrink the features, and with them their L1 norm.
    rows = normalize(decoder, dim=1)
    activity = largest((batch @ encoder + bias).relu(), active)
    return (activity @ rows - batch).square().sum(dim=1).mean() + sparsity * activity.sum(dim=1).mean()


def train_autoencoder(
    samples: Tensor,
    features: int,
    sparsity: float = SPARSITY,
    updates: int = UPDATES,
    seed: int = 0,
    active: int | None = None,
) -> Autoencoder:
    """Return a sparse autoencoder trained on samples [N, C].

    Args:
        samples: activations of single squares, windows or features.
        features: M.
        sparsity: weight of the L1 norm of the features beside the squared error.
        updates: number of updates by Adam.
        seed: of initialisation and batches.
        active: number of features kept for each sample, the largest; the L1 norm then plays no part.

    Raises:
        GoalmazeError: there are no samples or no features.
    """
    if active is not None:
        sparsity = 0.0
    if samples.dim() != 2 or not len(samples) or features < 1:
        raise GoalmazeError(
            f"no autoencoder of {features} features learns from samples {tuple(samples.shape)}: give 1 feature or more "
            "and samples [N, C]"
        )
    generator = torch.Generator().manual_seed(seed)
    # One scale for all numbers of a window: `SPARSITY` then means the same at every site, and channels keep their
    # relative size in the error.
    centre, scale = samples.mean(dim=0), samples.std(dim=0).mean().clamp(min=1e-6)
    x = (samples - centre) / scale
    # Features start at random samples, so that none is dead from the beginning.
    start = normalize(x[torch.randint(0, len(x), (features,), generator=generator)], dim=1)
    # The noise separates features that start at the same sample.
    decoder = (start + 0.01 * torch.randn(start.shape, generator=generator)).requires_grad_()
    encoder, bias = start.T.clone().requires_grad_(), torch.zeros(features, requires_grad=True)

    def loss() -> Tensor:
        batch = x[torch.randint(0, len(x), (BATCH,), generator=generator)]
        return autoencoder_loss(batch, encoder, bias, decoder, sparsity, active)

    trained = descend([encoder, bias, decoder], loss, updates, LEARNING_RATE)
    # Scale and centre are folded in, so that the autoencoder takes activations as they are.
    return Autoencoder(trained[0] / scale, trained[1], normalize(trained[2], dim=1) * scale, centre, active)


@dataclasses.dataclass(frozen=True, eq=False)
class SAEFeatures(Coordinates):
    """The values of a few features of windows.

    Attributes:
        autoencoder: of windows of C*side*side numbers.
        chosen: k of its features.
    """

    autoencoder: Autoencoder
    chosen: tuple[int, ...]

    @property
    def width(self) -> int:
        """C*side*side, the numbers in a window."""
        return len(self.autoencoder.centre)

    def read(self, windows: Tensor) -> Tensor:
        """Return [..., k], the features of windows [..., C*side*side]."""
        return self.autoencoder.encode(windows)[..., list(self.chosen)]

    def set(self, windows: Tensor, values: Tensor) -> Tensor:
        """Return windows [..., C*side*side] moved along the features' directions by what they lack of `values`."""
        return windows + (values - self.read(windows)) @ self.autoencoder.decoder[list(self.chosen)]


@register_method
class SAEMethod(WindowMethod):
    """The means of sixteen features with and without a goal, set around target and goal."""

    name = "sae"
    count: ClassVar = 16

    def fit(self, context: FitContext, site: str) -> GoalCoordinates:
        """Train the autoencoder on the fitting levels and choose its features."""
        return fit_goal_features(context, site, self.count, self.side, context.updates(UPDATES))


def fit_goal_features(
    context: FitContext, site: str, count: int = 4, side: int = 1, updates: int = UPDATES
) -> GoalCoordinates:
    """Train an autoencoder on the windows of a map and return the `count` features that a goal changes most.

    Raises:
        GoalmazeError: the site is not a map, or the window has no middle.
    """
    channels = find_map_site(context.policy.network, site)[0].channels
    with_goal, without_goal = goal_windows(context, site, side)
    samples = _sampled_windows(context.activations(context.levels, site), side, context.seed)
    # One square in many has a goal: repeated until they are an eighth of the samples, so that features represent them.
    repeated = with_goal.repeat(max(1, len(samples) // (8 * max(1, len(with_goal)))), 1)
    coder = train_autoencoder(torch.cat([samples, repeated]), EXPANSION * channels, updates=updates, seed=context.seed)
    # A feature's effect is its change times the norm of what it writes.
    change = coder.encode(with_goal).mean(0) - coder.encode(without_goal).mean(0)
    effect = change.abs() * coder.decoder.norm(dim=1)
    chosen = tuple(effect.topk(min(count, len(effect))).indices.tolist())
    return fit_goal_coordinates(context, site, SAEFeatures(coder, chosen), side)


def _sampled_windows(maps: Tensor, side: int, seed: int) -> Tensor:
    """Return [M, C*side*side], windows around squares drawn from maps [N, C, H, W], at most `MAX_SAMPLES`."""
    every = windows(maps, side).flatten(2).transpose(1, 2).reshape(-1, maps.shape[1] * side**2)
    drawn = torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))[:MAX_SAMPLES]
    return every[drawn]
