"""Features in the eigenbasis of their covariance, computed once for all probes of the same features."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.logistic import LogisticLoss

PENALTIES = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
"""Ridge penalties tried, divided by the number of samples, for features of unit variance."""

LOGISTIC_PENALTIES = (1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Penalties tried on half the squared weights, for features of unit variance; each fit starts from the one before."""

VALIDATION_FRACTION = 0.2
MIN_FOR_VALIDATION = 10
MIN_VARIANCE = 1e-6
"""Variance, as a fraction of the largest, below which axes are dropped where there are more features than samples."""

LinearFit = tuple[float, Tensor, Tensor]
"""A penalty, weights [R, K] on the axes, and biases [K]."""


class Eigenbasis:
    """Standardised features projected on the eigenvectors of their covariance.

    On these axes the covariance is diagonal. A ridge fit is then one division for each axis, and the curvature of a
    logistic loss is nearly diagonal, so that its minimisation takes few steps.

    Args:
        features: [N, D], one row for each sample.
        mazes: int64 [N], the maze of each row; by default every row is a maze of its own.

    Attributes:
        train: bool [N], the samples to fit on. Those of the last fifth of the mazes select the penalty.
        projected: float32 [N, R], the features on R axes, R being the smaller of D and the number of samples to fit on.

    Raises:
        GoalmazeError: there are too few mazes.
    """

    # scikit-learn decomposes the features for each fit. The twelve global fits of three concepts at green-exit's block1
    # (1,296 features, 2,048 mazes) take 1.7 s of processor time here and 4.2 s with its Ridge and LogisticRegression.

    def __init__(self, features: Tensor, mazes: Tensor | None = None) -> None:
        self.train = training_rows(torch.arange(len(features)) if mazes is None else mazes)
        # Mean, scale and axes come from the training mazes alone, so that validation mazes stay unseen.
        train = features[self.train].float()
        self._mean, scale = train.mean(dim=0), train.std(dim=0)
        # A constant feature is 0 once it is centred; dividing by its deviation would make it NaN.
        self._scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
        self._variances, self._axes = _principal_axes((train - self._mean) / self._scale)
        self.projected = ((features.float() - self._mean) / self._scale) @ self._axes

    def to_features(self, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights [D, K] and biases [K] of the original features, from those on the axes."""
        original = self._axes @ weights / self._scale[:, None]
        return original, bias - self._mean @ original

    def ridge(self, targets: Tensor, known: Tensor) -> Iterator[LinearFit]:
        """Yield the ridge regression of each of `PENALTIES`.

        Args:
            targets: float32 [N, K].
            known: bool [N], the samples that have targets.
        """
        rows, missing = self.train & known, self.train & ~known
        # In double precision: the correction below subtracts matrices that are nearly equal.
        x, y = self.projected[rows].double(), targets[rows].double()
        x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
        # The eigenvalues are means over all training samples. Over the labelled ones alone, they are larger by `ratio`,
        # less what the samples without a label contributed.
        ratio, moments = int(self.train.sum()) / len(x), x.T @ (y - y_mean) / len(x)
        # Centring is one more such row: the covariance is the second moment minus the outer product of the mean.
        left_out = torch.cat([self.projected[missing].double() / len(x) ** 0.5, x_mean[None]])
        for penalty in PENALTIES:
            # With few labels, the system of n samples is smaller than the correction for all the others.
            if len(left_out) > len(x):
                weights = _dual_ridge(x - x_mean, y - y_mean, penalty)
            else:
                weights = _solve_downdated(self._variances.double() * ratio + penalty, left_out, moments)
            yield penalty, weights.float(), (y_mean - x_mean @ weights).float()

    def logistic(self, labels: Tensor, classes: int) -> Iterator[LinearFit]:
        """Yield the multinomial logistic regression of each of `LOGISTIC_PENALTIES`, from strong to weak.

        Args:
            labels: int64 [N]; -1 is ignored.
            classes: number K of classes.
        """
        rows = self.train & (labels >= 0)
        x, onehot = self.projected[rows].T, torch.nn.functional.one_hot(labels[rows], classes).T.float()
        with_bias = torch.cat([x, torch.ones(1, x.shape[1])])
        # The first fit has the strongest penalty, whose solution is close to zero.
        weights = torch.zeros(classes, len(with_bias))
        for penalty in LOGISTIC_PENALTIES:
            # The curvature of a class of probability one half is largest: a fourth of the variance. The bias is free.
            scales = torch.cat([(self._variances / 4 + penalty).rsqrt(), torch.ones(1)])
            penalties = torch.cat([torch.full((len(x),), penalty), torch.zeros(1)])
            weights = LogisticLoss(with_bias, onehot, penalties).minimise(weights, scales)
            yield penalty, weights[:, :-1].T, weights[:, -1]


def training_rows(mazes: Tensor) -> Tensor:
    """Return bool [N], True for the samples to fit on, which are not of the last fifth of the mazes int64 [N].

    Raises:
        GoalmazeError: there are too few mazes.
    """
    numbers = torch.unique(mazes)
    check_label_count(len(numbers), len(numbers))
    train: Tensor = mazes < numbers[len(numbers) - int(len(numbers) * VALIDATION_FRACTION)]
    return train


def check_label_count(labelled: int, mazes: int, minimum: int = MIN_FOR_VALIDATION) -> None:
    """Check that enough mazes have a label to fit a probe.

    Raises:
        GoalmazeError: fewer than `minimum` of the mazes have a label.
    """
    if labelled < minimum:
        raise GoalmazeError(f"{labelled} of {mazes} mazes have a label; a probe needs {minimum} or more")


def _principal_axes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances float32 [R] and axes [D, R] of centred samples [n, D]."""
    samples, features = x.shape
    if features <= samples:
        variances, axes = torch.linalg.eigh(x.T @ x / samples)
        # Rounding can make the smallest eigenvalues negative.
        return variances.clamp(min=0), axes
    # With fewer samples than features, the smaller matrix of inner products has the same eigenvalues.
    variances, vectors = torch.linalg.eigh(x @ x.T / samples)
    kept = variances > MIN_VARIANCE * variances[-1]
    # For a unit eigenvector u of x xᵀ / n with eigenvalue v, xᵀ u / sqrt(n v) is a unit eigenvector of xᵀ x / n.
    return variances[kept], x.T @ (vectors[:, kept] / (samples * variances[kept]).sqrt())


def _dual_ridge(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """Return float64 [R, K], the ridge weights of centred samples [n, R] with targets [n, K], where n is small."""
    gram = x @ x.T + penalty * len(x) * torch.eye(len(x), dtype=torch.float64)
    weights: Tensor = x.T @ torch.linalg.solve(gram, y)
    return weights


def _solve_downdated(diagonal: Tensor, rows: Tensor, moments: Tensor) -> Tensor:
    """Return float64 [R, K], the solution w of (diag(`diagonal`) - `rows`ᵀ `rows`) w = `moments`.

    Samples without a target subtract their outer products from the covariance. Woodbury's identity solves for that
    without another eigendecomposition.

    Args:
        diagonal: [R].
        rows: [m, R], with few rows.
        moments: [R, K].
    """
    weights = moments / diagonal[:, None]
    inner = torch.eye(len(rows), dtype=torch.float64) - (rows / diagonal) @ rows.T
    correction: Tensor = (rows / diagonal).T @ torch.linalg.solve(inner, rows @ weights)
    return weights + correction
