"""Probes that look at a window around every square, 1×1 or 3×3 (Bush et al., 2025): of its class, or of one cell."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.fitting import VALIDATION_SHARE, SquareFitter, accuracy, check_features
from goalmaze.probes.linear import fit_classes

MOST_SAMPLES = 10_000
"""Squares that a class probe is fitted on; of more, whole mazes are drawn."""

CELL_PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4)


def windows(maps: Tensor, side: int) -> Tensor:
    """Return [N, C*side*side, H, W], what lies around each square of maps [N, C, H, W]; 0 beyond the border.

    Raises:
        GoalmazeError: a window without a middle.
    """
    if side < 1 or side % 2 == 0:
        raise GoalmazeError(f"a window of {side}x{side} has no square in its middle: choose 1, 3 or another odd side")
    if side == 1:
        return maps
    seen = torch.nn.functional.unfold(maps, side, padding=side // 2)
    return seen.reshape(len(maps), -1, *maps.shape[2:])


@dataclasses.dataclass(frozen=True, eq=False)
class WindowClassProbe:
    """The class of every square, from the window around it, the same weights everywhere.

    Attributes:
        kernel: float32 [K, C, side, side].
        bias: float32 [K].
        penalty: the one chosen on held-out mazes.
    """

    kernel: Tensor
    bias: Tensor
    penalty: float

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N, H*W], the class of every square of maps [N, C, H, W]."""
        check_features("square", self.kernel.shape[1], activations.shape[1])
        padding = self.kernel.shape[2] // 2
        return torch.nn.functional.conv2d(activations, self.kernel, self.bias, padding=padding).flatten(2).argmax(dim=1)


@dataclasses.dataclass(frozen=True, eq=False)
class WindowCellProbe:
    """The one cell whose window scores highest.

    Attributes:
        kernel: float32 [C, side, side].
        penalty: the one chosen on held-out mazes.
    """

    kernel: Tensor
    penalty: float

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the cell read in maps [N, C, H, W]."""
        check_features("square", len(self.kernel), activations.shape[1])
        scores = torch.nn.functional.conv2d(activations, self.kernel[None], padding=self.kernel.shape[1] // 2)
        return scores.flatten(1).argmax(dim=1)


def fit_square_classes(maps: Tensor, labels: Tensor, classes: int, side: int = 1, seed: int = 0) -> WindowClassProbe:
    """Return the logistic probe of the class of a square.

    Args:
        maps: [N, C, H, W], one row a maze; the last fifth of those used chooses the penalty.
        labels: int64 [N, H*W]; a square labelled -1 is left out.
        classes: number K of them.
        side: of the window, odd.
        seed: of the mazes drawn where there are too many.

    Raises:
        GoalmazeError: the window has no middle, or too few mazes have a label.
    """
    mazes = min(len(maps), max(1, MOST_SAMPLES // labels.shape[1]))
    drawn = torch.randperm(len(maps), generator=torch.Generator().manual_seed(seed))[:mazes].sort().values
    seen = windows(maps[drawn], side)
    samples = seen.flatten(2).transpose(1, 2).reshape(-1, seen.shape[1])
    rows = torch.arange(mazes).repeat_interleave(labels.shape[1])
    probe = fit_classes(samples, labels[drawn].flatten(), classes, rows)
    kernel = probe.weights.T.reshape(classes, maps.shape[1], side, side)
    return WindowClassProbe(kernel, probe.bias, probe.penalty)


class WindowCellFitter:
    """Conditional logit over squares from the windows around them, the penalty chosen on held-out mazes.

    Args:
        maps: [N, C, H, W], one row a maze; the last fifth chooses.
        side: of the window, odd.
    """

    def __init__(self, maps: Tensor, side: int = 3) -> None:
        self._seen, self._shape = windows(maps, side), (maps.shape[1], side, side)
        self._train = len(maps) - int(len(maps) * VALIDATION_SHARE)

    def fit(self, labels: Tensor) -> WindowCellProbe:
        """Return the probe for labels int64 [N]; a row labelled -1 is left out."""
        fit, held_out = slice(self._train), slice(self._train, None)
        best: tuple[int, WindowCellProbe] | None = None
        for penalty in CELL_PENALTIES:
            probe = SquareFitter(self._seen[fit], penalty).fit(labels[fit])
            hits = accuracy(probe, self._seen[held_out], labels[held_out])[0]
            if best is None or hits > best[0]:
                best = (hits, WindowCellProbe(probe.direction.reshape(self._shape), penalty))
        assert best is not None
        return best[1]
