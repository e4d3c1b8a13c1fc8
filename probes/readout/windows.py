"""Probes that look at a window around every square, 1×1 or 3×3 (Bush et al., 2025): of its class, or of one cell."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.eigenbasis import VALIDATION_SHARE
from goalmaze.probes.readout.fitting import SquareFitter, accuracy, check_features
from goalmaze.probes.readout.linear import GlobalFitter

MAX_SAMPLES = 10_000
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


class SquareClassFitter:
    """Logistic probes of the class of a square, from the windows around it.

    Args:
        maps: [N, C, H, W], one row a maze; the last fifth of those used chooses the penalty.
        side: of the window, odd.
        seed: of the mazes drawn where there are too many.

    Raises:
        GoalmazeError: the window has no middle, or there are too few mazes.
    """

    def __init__(self, maps: Tensor, side: int = 1, seed: int = 0) -> None:
        squares = maps.shape[2] * maps.shape[3]
        mazes = min(len(maps), max(1, MAX_SAMPLES // squares))
        luck = torch.Generator().manual_seed(seed)
        self._drawn = torch.randperm(len(maps), generator=luck)[:mazes].sort().values
        self._kernel = (maps.shape[1], side, side)
        samples = windows(maps[self._drawn], side).flatten(2).transpose(1, 2).flatten(0, 1)
        self._fitter = GlobalFitter(samples, torch.arange(mazes).repeat_interleave(squares))

    def fit(self, labels: Tensor, classes: int) -> WindowClassProbe:
        """Return the probe of K classes for labels int64 [N, H*W]; a square labelled -1 is left out.

        Raises:
            GoalmazeError: too few mazes have a label.
        """
        probe = self._fitter.classes(labels[self._drawn].flatten(), classes)
        return WindowClassProbe(probe.weights.T.reshape(classes, *self._kernel), probe.bias, probe.penalty)


class WindowCellFitter:
    """Conditional logit over squares from the windows around them, the penalty chosen on held-out mazes.

    Args:
        maps: [N, C, H, W], one row a maze; the last fifth chooses.
        side: of the window, odd.
    """

    def __init__(self, maps: Tensor, side: int = 3) -> None:
        seen, self._kernel = windows(maps, side), (maps.shape[1], side, side)
        self._train = len(maps) - int(len(maps) * VALIDATION_SHARE)
        self._fitter, self._held_out = SquareFitter(seen[: self._train]), seen[self._train :]

    def fit(self, labels: Tensor) -> WindowCellProbe:
        """Return the probe for labels int64 [N]; a row labelled -1 is left out."""
        told, truth = labels[: self._train], labels[self._train :]
        probe, best = None, None
        for penalty in CELL_PENALTIES:
            probe = self._fitter.fit(told, penalty, probe)
            hits = accuracy(probe, self._held_out, truth)[0]
            if best is None or hits > best[0]:
                best = hits, WindowCellProbe(probe.direction.reshape(self._kernel), penalty)
        assert best is not None
        return best[1]
