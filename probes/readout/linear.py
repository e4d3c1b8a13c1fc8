"""Linear probes of all features of a site together: of cells, of classes and of numbers."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from goalmaze.probes.readout.eigenbasis import Eigenbasis, LinearFit, check_label_count
from goalmaze.probes.readout.fitting import check_features

LOSS_TOLERANCE = 1e-3
"""Validation loss above the lowest so far at which weaker penalties are no longer tried."""


@dataclasses.dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear function of all features of a site.

    Attributes:
        weights: float32 [D, K], or [D] for a single number.
        bias: float32 [K], or [].
        penalty: selected on validation mazes.
    """

    weights: Tensor
    bias: Tensor
    penalty: float

    def scores(self, activations: Tensor) -> Tensor:
        """Return float32 [N, K], or [N], for activations [N, ...]; of a logistic probe these are the logits."""
        features = activations.flatten(1)
        check_features("global", len(self.weights), features.shape[1])
        return features @ self.weights + self.bias


class GlobalProbe(LinearProbe):
    """One linear score for each class or cell, by logistic or ridge regression."""

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the class or cell of the highest score for activations [N, ...]."""
        return self.scores(activations).argmax(dim=1)


class NumberProbe(LinearProbe):
    """Ridge regression of a number."""

    def __call__(self, activations: Tensor) -> Tensor:
        """Return float32 [N], the number predicted from activations [N, ...]."""
        return self.scores(activations)


class GlobalFitter:
    """Fits probes of different labels to the same activations, whose eigenbasis is computed once.

    Args:
        activations: [N, ...], one row for each sample.
        mazes: int64 [N], the maze of each row, ascending; by default every row is a maze of its own. The last fifth of
            the mazes validates: it selects the penalty.

    Raises:
        GoalmazeError: there are too few mazes.
    """

    def __init__(self, activations: Tensor, mazes: Tensor | None = None) -> None:
        self._basis = Eigenbasis(activations.flatten(1), mazes)
        self._mazes = torch.arange(len(activations)) if mazes is None else mazes

    def fit_cells(self, labels: Tensor, cells: int) -> GlobalProbe:
        """Return the ridge regression of one-hot cells with the highest validation accuracy.

        Args:
            labels: int64 [N]; rows labelled -1 are ignored.
            cells: number H*W of cells.

        Raises:
            GoalmazeError: too few mazes have a label.
        """
        known = labels >= 0
        validation = self._validation_rows(known)
        # `one_hot` refuses -1. The rows that become cell 0 are not in `known`, so no fit uses them.
        onehot = torch.nn.functional.one_hot(labels.clamp(min=0), cells).float()
        x, truth = self._basis.projected[validation], labels[validation]

        def correct(fit: LinearFit) -> int:
            return int(((x @ fit[1] + fit[2]).argmax(dim=1) == truth).sum())

        # Of equal accuracies `max` keeps the first, the one of the weakest penalty.
        return self._global_probe(max(self._basis.ridge(onehot, known), key=correct))

    def fit_classes(self, labels: Tensor, classes: int) -> GlobalProbe:
        """Return the multinomial logistic regression with the lowest validation loss.

        Args:
            labels: int64 [N]; rows labelled -1 are ignored.
            classes: number K of classes.

        Raises:
            GoalmazeError: too few mazes have a label.
        """
        validation = self._validation_rows(labels >= 0)
        x, truth = self._basis.projected[validation], labels[validation]
        best: tuple[float, LinearFit] | None = None
        for fit in self._basis.logistic(labels, classes):
            loss = float(torch.nn.functional.cross_entropy(x @ fit[1] + fit[2], truth))
            # From strong to weak penalties, the validation loss falls and then rises; further fits would be slower and
            # worse.
            if best is not None and loss > best[0] + LOSS_TOLERANCE:
                break
            if best is None or loss < best[0]:
                best = loss, fit
        assert best is not None
        return self._global_probe(best[1])

    def fit_numbers(self, numbers: Tensor) -> NumberProbe:
        """Return the ridge regression with the lowest squared error on validation mazes.

        Args:
            numbers: float32 [N]; rows of NaN are ignored.

        Raises:
            GoalmazeError: too few mazes have a number.
        """
        known = ~numbers.isnan()
        validation = self._validation_rows(known)
        x, truth = self._basis.projected[validation], numbers[validation]

        def error(fit: LinearFit) -> float:
            return float(((x @ fit[1] + fit[2])[:, 0] - truth).square().mean())

        fits = self._basis.ridge(numbers.nan_to_num()[:, None], known)
        # Fits come one at a time and only the best is kept.
        penalty, weights, bias = min(fits, key=error)
        weights, bias = self._basis.to_features(weights, bias)
        return NumberProbe(weights[:, 0], bias[0], penalty)

    def _validation_rows(self, known: Tensor) -> Tensor:
        """Return bool [N], the samples that select the penalty, after a check that there are enough labels."""
        check_label_count(len(torch.unique(self._mazes[known])), len(torch.unique(self._mazes)))
        train = self._basis.train
        for part in (train, ~train):
            check_label_count(int((known & part).sum()), int(part.sum()), 1)
        return known & ~train

    def _global_probe(self, fit: LinearFit) -> GlobalProbe:
        penalty, weights, bias = fit
        return GlobalProbe(*self._basis.to_features(weights, bias), penalty)
