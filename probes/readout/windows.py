"""Probes of the window around every square, 1×1 or 3×3 (Bush et al., 2025): of the square's class, or of one cell."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.eigenbasis import VALIDATION_FRACTION
from goalmaze.probes.readout.fitting import SquareFitter, check_features, count_correct
from goalmaze.probes.readout.linear import GlobalFitter

MAX_SAMPLES = 10_000
"""Most squares that a class probe is fitted on; whole mazes are drawn where there are more."""

CELL_PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4)


def windows(maps: Tensor, side: int) -> Tensor:
    """Return [N, C*side*side, H, W], the window around each square of maps [N, C, H, W]; 0 beyond the border.

    Raises:
        GoalmazeError: the side is not odd.
    """
    if side < 1 or side % 2 == 0:
        raise GoalmazeError(f"a window of {side}x{side} has no square in its middle: choose 1, 3 or another odd side")
    if side == 1:
        return maps
    unfolded = torch.nn.functional.unfold(maps, side, padding=side // 2)
    return unfolded.reshape(len(maps), -1, *maps.shape[2:])


@dataclasses.dataclass(frozen=True, eq=False)
class WindowClassProbe:
    """Logistic regression of the class of a square from the window around it, the same at every square.

    Attributes:
        kernel: float32 [K, C, side, side].
        bias: float32 [K].
        penalty: selected on validation mazes.
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
    """A linear score of the window around each square; the square of the highest score is the cell.

    Attributes:
        kernel: float32 [C, side, side].
        penalty: selected on validation mazes.
    """

    kernel: Tensor
    penalty: float

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the cell predicted from maps [N, C, H, W]."""
        check_features("square", len(self.kernel), activations.shape[1])
        scores = torch.nn.functional.conv2d(activations, self.kernel[None], padding=self.kernel.shape[1] // 2)
        return scores.flatten(1).argmax(dim=1)


class SquareClassFitter:
    """Fits logistic probes of the class of a square, from the window around it.

    Args:
        maps: [N, C, H, W], one row for each maze. The last fifth of the mazes used validates: it selects the penalty.
        side: of the window in squares, odd.
        seed: of the mazes drawn, where there are more than `MAX_SAMPLES` squares.

    Raises:
        GoalmazeError: the side is not odd, or there are too few mazes.
    """

    def __init__(self, maps: Tensor, side: int = 1, seed: int = 0) -> None:
        squares = maps.shape[2] * maps.shape[3]
        # Whole mazes: with single squares, those of one maze would lie on both sides of the validation split.
        mazes = min(len(maps), max(1, MAX_SAMPLES // squares))
        rng = torch.Generator().manual_seed(seed)
        # Sorted, because the fitter takes the last mazes in order for validation.
        self._drawn = torch.randperm(len(maps), generator=rng)[:mazes].sort().values
        self._kernel_shape = (maps.shape[1], side, side)
        samples = windows(maps[self._drawn], side).flatten(2).transpose(1, 2).flatten(0, 1)
        self._fitter = GlobalFitter(samples, torch.arange(mazes).repeat_interleave(squares))

    def fit(self, labels: Tensor, classes: int) -> WindowClassProbe:
        """Return the probe of K classes for labels int64 [N, H*W]; squares labelled -1 are ignored.

        Raises:
            GoalmazeError: too few mazes have a label.
        """
        probe = self._fitter.fit_classes(labels[self._drawn].flatten(), classes)
        return WindowClassProbe(probe.weights.T.reshape(classes, *self._kernel_shape), probe.bias, probe.penalty)


class WindowCellFitter:
    """Fits probes of a cell from windows by a conditional logit over squares.

    Args:
        maps: [N, C, H, W], one row for each maze. The last fifth of the mazes validates: it selects the penalty.
        side: of the window in squares, odd.
    """

    def __init__(self, maps: Tensor, side: int = 3) -> None:
        features, self._kernel_shape = windows(maps, side), (maps.shape[1], side, side)
        self._train = len(maps) - int(len(maps) * VALIDATION_FRACTION)
        self._fitter, self._validation = SquareFitter(features[: self._train]), features[self._train :]

    def fit(self, labels: Tensor) -> WindowCellProbe:
        """Return the probe for labels int64 [N]; rows labelled -1 are ignored."""
        train_labels, truth = labels[: self._train], labels[self._train :]
        probe, best = None, None
        for penalty in CELL_PENALTIES:
            # Each penalty starts from the solution of the one before, which is close.
            probe = self._fitter.fit(train_labels, penalty, probe)
            correct = count_correct(probe, self._validation, truth)[0]
            # A tie goes to the stronger penalty, which comes first.
            if best is None or correct > best[0]:
                best = correct, WindowCellProbe(probe.direction.reshape(self._kernel_shape), penalty)
        assert best is not None
        return best[1]
