"""Global linear probes, from all features together: of cells, of classes and of numbers."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from goalmaze.probes.readout.eigenbasis import Eigenbasis, Linear, check_enough
from goalmaze.probes.readout.fitting import check_features

WORSE = 1e-3
"""Loss on held-out mazes above the best so far at which weaker penalties are no longer tried."""


@dataclasses.dataclass(frozen=True, eq=False)
class GlobalProbe:
    """One linear score for every class, or for every cell, from all features together.

    Attributes:
        weights: float32 [D, K].
        bias: float32 [K].
        penalty: the one chosen on held-out mazes.
    """

    weights: Tensor
    bias: Tensor
    penalty: float

    def scores(self, activations: Tensor) -> Tensor:
        """Return float32 [N, K], the scores for activations [N, ...]; of a logistic probe, the classes' logits."""
        features = activations.flatten(1)
        check_features("global", len(self.weights), features.shape[1])
        return features @ self.weights + self.bias

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the class or cell of the highest score for activations [N, ...]."""
        return self.scores(activations).argmax(dim=1)


@dataclasses.dataclass(frozen=True, eq=False)
class NumberProbe:
    """Ridge regression of a number.

    Attributes:
        weights: float32 [D].
        bias: the number where all weights are zero.
        penalty: the one chosen.
    """

    weights: Tensor
    bias: float
    penalty: float

    def __call__(self, activations: Tensor) -> Tensor:
        """Return float32 [N], the number read from activations [N, ...]."""
        features = activations.flatten(1)
        check_features("number", len(self.weights), features.shape[1])
        return features @ self.weights + self.bias


class GlobalFitter:
    """Fits probes of one thing after another to the same activations, whose eigenbasis is found once.

    Args:
        activations: [N, ...], one row a sample.
        mazes: int64 [N], from which maze a row is, ascending; one row each if not given. The last fifth of the mazes
            chooses the penalty.

    Raises:
        GoalmazeError: there are too few mazes.
    """

    def __init__(self, activations: Tensor, mazes: Tensor | None = None) -> None:
        self._basis = Eigenbasis(activations.flatten(1), mazes)
        self._mazes = torch.arange(len(activations)) if mazes is None else mazes

    def cells(self, labels: Tensor, cells: int) -> GlobalProbe:
        """Return the ridge probe onto one-hot cells that reads most held-out mazes right.

        Args:
            labels: int64 [N]; a row labelled -1 is left out.
            cells: number H*W of them.

        Raises:
            GoalmazeError: too few mazes have a label.
        """
        known, held_out = self._split(labels >= 0)
        onehot = torch.nn.functional.one_hot(labels.clamp(min=0), cells).float()
        x, truth = self._basis.turned[held_out], labels[held_out]
        fits = self._basis.ridge(onehot, known)
        return self._global(min(fits, key=lambda fit: -int(((x @ fit[1] + fit[2]).argmax(dim=1) == truth).sum())))

    def classes(self, labels: Tensor, classes: int) -> GlobalProbe:
        """Return the multinomial logistic probe that is likeliest on held-out mazes.

        Args:
            labels: int64 [N]; a row labelled -1 is left out.
            classes: number K of them.

        Raises:
            GoalmazeError: too few mazes have a label.
        """
        _, held_out = self._split(labels >= 0)
        x, truth = self._basis.turned[held_out], labels[held_out]
        best: tuple[float, Linear] | None = None
        for fit in self._basis.logistic(labels, classes):
            loss = float(torch.nn.functional.cross_entropy(x @ fit[1] + fit[2], truth))
            if best is not None and loss > best[0] + WORSE:
                break
            if best is None or loss < best[0]:
                best = loss, fit
        assert best is not None
        return self._global(best[1])

    def number(self, numbers: Tensor) -> NumberProbe:
        """Return the ridge probe of least squared error on held-out mazes.

        Args:
            numbers: float32 [N]; a row that is NaN is left out.

        Raises:
            GoalmazeError: too few mazes have a number.
        """
        known, held_out = self._split(~numbers.isnan())
        x, truth = self._basis.turned[held_out], numbers[held_out]
        fits = self._basis.ridge(numbers.nan_to_num()[:, None], known)
        penalty, weights, bias = min(fits, key=lambda fit: float(((x @ fit[1] + fit[2])[:, 0] - truth).square().mean()))
        weights, bias = self._basis.original(weights, bias)
        return NumberProbe(weights[:, 0], float(bias[0]), penalty)

    def _split(self, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return bool [N] twice: the samples with a label, and those of them that choose the penalty."""
        mazes = len(torch.unique(self._mazes))
        check_enough(len(torch.unique(self._mazes[known])), mazes)
        train = self._basis.train
        for part in (train, ~train):
            check_enough(int((known & part).sum()), int(part.sum()), 1)
        return known, known & ~train

    def _global(self, fit: Linear) -> GlobalProbe:
        penalty, weights, bias = fit
        return GlobalProbe(*self._basis.original(weights, bias), penalty)
