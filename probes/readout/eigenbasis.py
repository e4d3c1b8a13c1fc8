"""Features in the axes of their covariance: found once, they serve every answer that is fitted to the same features."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.logistic import Logistic

PENALTIES = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
"""Ridge penalties tried, per feature of unit variance and sample of a thousand."""

LOGISTIC_PENALTIES = (1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""On half the squared weights, for features of unit variance; from strong to weak, each starts where the last ended."""

VALIDATION_SHARE = 0.2
MIN_FOR_VALIDATION = 10
MIN_SHARE = 1e-6
"""Of the largest variance: axes with less are left out where there are more features than samples."""

Linear = tuple[float, Tensor, Tensor]
"""A penalty, weights [R, K] on the axes, and the bias [K]."""


class Eigenbasis:
    """Standardised features, turned.

    On these axes a ridge penalty costs one division, and the curvature of a logistic loss is known well enough for a
    descent of few steps.

    Args:
        features: [N, D], one row a sample.
        mazes: int64 [N], from which maze a row is; one row each if not given.

    Attributes:
        train: bool [N], the samples to fit on; those of the last fifth of the mazes choose the penalty.
        turned: float32 [N, R], the features on R axes, the fewer of D and the number of samples to fit on.

    Raises:
        GoalmazeError: there are too few mazes.
    """

    def __init__(self, features: Tensor, mazes: Tensor | None = None) -> None:
        self.train = split_mazes(torch.arange(len(features)) if mazes is None else mazes)
        train = features[self.train].float()
        self._mean, scale = train.mean(dim=0), train.std(dim=0)
        self._scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
        self._values, self._axes = _principal_axes((train - self._mean) / self._scale)
        self.turned = ((features.float() - self._mean) / self._scale) @ self._axes

    def original(self, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights [D, K] and bias [K] for the features as they were given, from those on the axes."""
        found = self._axes @ weights / self._scale[:, None]
        return found, bias - self._mean @ found

    def ridge(self, answers: Tensor, known: Tensor) -> Iterator[Linear]:
        """Yield for every penalty the weights of least penalised squared error.

        Args:
            answers: float32 [N, K].
            known: bool [N], the samples that have one.
        """
        rows, missing = self.train & known, self.train & ~known
        x, wanted = self.turned[rows].double(), answers[rows].double()
        centre, middle = wanted.mean(dim=0), x.mean(dim=0)
        share, pull = int(self.train.sum()) / len(x), x.T @ (wanted - centre) / len(x)
        out = torch.cat([self.turned[missing].double() / len(x) ** 0.5, middle[None]])
        for penalty in PENALTIES:
            if len(out) > len(x):
                weights = _ridge_by_samples(x - middle, wanted - centre, penalty)
            else:
                weights = _solve_lowered(self._values.double() * share + penalty, out, pull)
            yield penalty, weights.float(), (centre - middle @ weights).float()

    def logistic(self, labels: Tensor, classes: int) -> Iterator[Linear]:
        """Yield for every penalty, from strong to weak, the weights of least penalised cross entropy.

        Args:
            labels: int64 [N]; -1 does not count.
            classes: number K of them.
        """
        rows = self.train & (labels >= 0)
        x, told = self.turned[rows].T, torch.nn.functional.one_hot(labels[rows], classes).T.float()
        seen = torch.cat([x, torch.ones(1, x.shape[1])])
        weights = torch.zeros(classes, len(seen))
        for penalty in LOGISTIC_PENALTIES:
            # A class of a half has the steepest curvature, a fourth of the variance; the bias is free.
            lengths = torch.cat([(self._values / 4 + penalty).rsqrt(), torch.ones(1)])
            pressed = torch.cat([torch.full((len(x),), penalty), torch.zeros(1)])
            weights = Logistic(seen, told, pressed).least(weights, lengths)
            yield penalty, weights[:, :-1].T, weights[:, -1]


def split_mazes(rows: Tensor) -> Tensor:
    """Return bool [N], True for the samples to fit on: those not from the last fifth of the mazes `rows` int64 [N].

    Raises:
        GoalmazeError: there are too few mazes.
    """
    mazes = torch.unique(rows)
    check_enough(len(mazes), len(mazes))
    train: Tensor = rows < mazes[len(mazes) - int(len(mazes) * VALIDATION_SHARE)]
    return train


def check_enough(labelled: int, mazes: int, fewest: int = MIN_FOR_VALIDATION) -> None:
    """Refuse to fit to too few mazes.

    Raises:
        GoalmazeError: fewer than `fewest` of the mazes have a label.
    """
    if labelled < fewest:
        raise GoalmazeError(f"{labelled} of {mazes} mazes have a label; to fit needs {fewest} or more")


def _principal_axes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances float32 [R] and axes [D, R] of centred samples [n, D]."""
    count, features = x.shape
    if features <= count:
        values, axes = torch.linalg.eigh(x.T @ x / count)
        return values.clamp(min=0), axes
    values, sides = torch.linalg.eigh(x @ x.T / count)
    kept = values > MIN_SHARE * values[-1]
    return values[kept], x.T @ (sides[:, kept] / (count * values[kept]).sqrt())


def _ridge_by_samples(x: Tensor, wanted: Tensor, penalty: float) -> Tensor:
    """Return float64 [R, K], the ridge weights of few centred samples [n, R] with answers [n, K]."""
    inner = x @ x.T + penalty * len(x) * torch.eye(len(x), dtype=torch.float64)
    weights: Tensor = x.T @ torch.linalg.solve(inner, wanted)
    return weights


def _solve_lowered(diagonal: Tensor, out: Tensor, pull: Tensor) -> Tensor:
    """Return float64 [R, K], the solution of (diag(`diagonal`) - `out`ᵀ `out`) w = `pull`, by Woodbury's identity.

    Leaving samples out lowers the covariance by their outer products, which asks for no other eigendecomposition.

    Args:
        diagonal: [R].
        out: [m, R], of few rows.
        pull: [R, K].
    """
    weights = pull / diagonal[:, None]
    lowered = torch.eye(len(out), dtype=torch.float64) - (out / diagonal) @ out.T
    lost: Tensor = (out / diagonal).T @ torch.linalg.solve(lowered, out @ weights)
    return weights + lost
