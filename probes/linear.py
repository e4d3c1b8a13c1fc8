"""Global linear probes of classes and of numbers, with the penalty chosen on held-out mazes."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.fitting import FEWEST_FOR_VALIDATION, PENALTIES, VALIDATION_SHARE, check_features

LOGISTIC_PENALTIES = (1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""On half the squared weights, for features of unit variance; from strong to weak, each starts where the last ended."""

ITERATIONS = 40
WORSE = 1e-2
"""Loss on held-out mazes above the best so far at which weaker penalties are no longer tried."""


@dataclasses.dataclass(frozen=True, eq=False)
class ClassProbe:
    """Multinomial logistic regression.

    Attributes:
        weights: float32 [D, K].
        bias: float32 [K].
        penalty: the one chosen.
    """

    weights: Tensor
    bias: Tensor
    penalty: float

    def scores(self, activations: Tensor) -> Tensor:
        """Return float32 [N, K], the classes' logits for activations [N, ...]."""
        features = activations.flatten(1)
        check_features("class", len(self.weights), features.shape[1])
        return features @ self.weights + self.bias

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the class read from activations [N, ...]."""
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


def fit_classes(activations: Tensor, labels: Tensor, classes: int, mazes: Tensor | None = None) -> ClassProbe:
    """Return the logistic probe that is likeliest on held-out mazes.

    Args:
        activations: [N, ...], one row a sample.
        labels: int64 [N]; a row labelled -1 is left out.
        classes: number K of them.
        mazes: int64 [N], from which maze a row is, ascending; one row each if not given. The last fifth of the mazes
            chooses the penalty.

    Raises:
        GoalmazeError: too few mazes have a label.
    """
    kept = labels >= 0
    rows = torch.arange(len(labels)) if mazes is None else mazes
    features, labels, rows = activations.flatten(1)[kept], labels[kept], rows[kept]
    train = split_mazes(rows)
    x, mean, scale = _standardised(features, train)
    weights = torch.zeros(x.shape[1] + 1, classes)
    ones = torch.ones(len(x), 1)
    x = torch.cat([x, ones], dim=1)
    best: tuple[float, float, Tensor] | None = None
    for penalty in LOGISTIC_PENALTIES:
        weights = _descend(x[train], labels[train], weights, penalty)
        loss = float(torch.nn.functional.cross_entropy(x[~train] @ weights, labels[~train]))
        if best is not None and loss > best[0] + WORSE:
            break
        if best is None or loss < best[0]:
            best = (loss, penalty, weights)
    assert best is not None
    found = best[2][:-1] / scale[:, None]
    return ClassProbe(found, best[2][-1] - mean @ found, best[1])


def fit_number(activations: Tensor, numbers: Tensor) -> NumberProbe:
    """Return the ridge probe of least squared error on held-out mazes.

    Args:
        activations: [N, ...], one row a maze.
        numbers: float32 [N]; a row that is NaN is left out.

    Raises:
        GoalmazeError: too few mazes have a number.
    """
    kept = ~numbers.isnan()
    features, wanted = activations.flatten(1)[kept].double(), numbers[kept].double()
    train = split_mazes(torch.arange(len(wanted)))
    x, mean, scale = _standardised(features, train)
    centre = wanted[train].mean()
    values, vectors = torch.linalg.eigh(x[train].T @ x[train] / int(train.sum()))
    pull = vectors.T @ (x[train].T @ (wanted[train] - centre) / int(train.sum()))
    best: tuple[float, float, Tensor] | None = None
    for penalty in PENALTIES:
        weights = vectors @ (pull / (values + penalty))
        error = float((x[~train] @ weights + centre - wanted[~train]).square().mean())
        if best is None or error < best[0]:
            best = (error, penalty, weights)
    assert best is not None
    found = best[2] / scale
    return NumberProbe(found.float(), float(centre - mean @ found), best[1])


def split_mazes(rows: Tensor) -> Tensor:
    """Return bool [N], True for the samples to fit on: those not from the last fifth of the mazes `rows` int64 [N].

    Raises:
        GoalmazeError: there are too few mazes.
    """
    mazes = torch.tensor(sorted(set(rows.tolist())))
    if len(mazes) < FEWEST_FOR_VALIDATION:
        raise GoalmazeError(f"{len(mazes)} mazes have a label; to fit needs {FEWEST_FOR_VALIDATION} or more")
    train: Tensor = rows < mazes[len(mazes) - int(len(mazes) * VALIDATION_SHARE)]
    return train


def _standardised(features: Tensor, train: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean, scale = features[train].mean(dim=0), features[train].std(dim=0)
    scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
    return (features - mean) / scale, mean, scale


def _descend(x: Tensor, labels: Tensor, start: Tensor, penalty: float) -> Tensor:
    """Return weights [D+1, K] of least penalised loss; the last row, the bias, is free."""
    weights = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ weights, labels) + penalty / 2 * weights[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach()
