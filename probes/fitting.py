"""Fitters, thrown away after use, and the frozen probes they leave behind. A label is a cell of the maze."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError

PENALTIES = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
"""Ridge penalties tried, per feature of unit variance and sample of a thousand."""

VALIDATION_SHARE = 0.2
SQUARE_PENALTY = 1e-4
FEWEST_FOR_VALIDATION = 10


class Probe(Protocol):
    """A reading: from activations to the cell it takes to be the target."""

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the cell read from activations [N, ...]."""


@dataclasses.dataclass(frozen=True, eq=False)
class GlobalProbe:
    """One linear score for every cell from all features together.

    Attributes:
        weights: float32 [D, H*W].
        bias: float32 [H*W].
        penalty: the ridge penalty chosen on validation mazes.
    """

    weights: Tensor
    bias: Tensor
    penalty: float

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the cell of the highest score for activations [N, ...]."""
        check_features("global", len(self.weights), activations[:1].numel())
        return (activations.flatten(1) @ self.weights + self.bias).argmax(dim=1)


@dataclasses.dataclass(frozen=True, eq=False)
class SquareProbe:
    """One linear score, the same at every square, from that square's channels alone (1×1; Bush et al., 2025).

    Attributes:
        direction: float32 [C], whose projection is the score.
    """

    direction: Tensor

    def __call__(self, activations: Tensor) -> Tensor:
        """Return int64 [N], the cell of the highest score for maps [N, C, H, W]."""
        check_features("square", len(self.direction), activations.shape[1])
        return torch.einsum("nchw,c->nhw", activations, self.direction).flatten(1).argmax(dim=1)


class GlobalFitter:
    """Ridge regression onto one-hot cells, solved for every penalty from one eigendecomposition of the features.

    Args:
        activations: [N, ...], one row a maze; the last fifth chooses the penalty.
        cells: number H*W of classes.
    """

    def __init__(self, activations: Tensor, cells: int) -> None:
        features = activations.flatten(1).double()
        self._activations, self._cells = activations, cells
        self._train = len(features) - int(len(features) * VALIDATION_SHARE)
        self._mean = features[: self._train].mean(dim=0)
        self._scale = features[: self._train].std(dim=0).clamp(min=1e-6)
        self._features = (features - self._mean) / self._scale
        train = self._features[: self._train]
        self._values, self._vectors = torch.linalg.eigh(train.T @ train / len(train))

    def fit(self, labels: Tensor) -> GlobalProbe:
        """Return the probe for labels int64 [N]; a row labelled -1 is left out."""
        kept = _labelled(labels, FEWEST_FOR_VALIDATION)
        if not kept.all():
            return GlobalFitter(self._activations[kept], self._cells).fit(labels[kept])
        onehot = torch.nn.functional.one_hot(labels, self._cells).double()
        train, validation = self._features[: self._train], self._features[self._train :]
        mean = onehot[: self._train].mean(dim=0)
        rotated = self._vectors.T @ (train.T @ (onehot[: self._train] - mean) / len(train))
        best: tuple[float, float, Tensor] | None = None
        for penalty in PENALTIES:
            weights = self._vectors @ (rotated / (self._values + penalty)[:, None])
            read = (validation @ weights + mean).argmax(dim=1)
            score = (read == labels[self._train :]).double().mean().item()
            if best is None or score > best[0]:
                best = (score, penalty, weights)
        assert best is not None
        weights = best[2] / self._scale[:, None]
        return GlobalProbe(weights.float(), (mean - self._mean @ weights).float(), best[1])


class SquareFitter:
    """Conditional logit over squares (McFadden, 1974): the square's chance is the softmax of its score.

    Args:
        activations: maps [N, C, H, W], one row a maze.
        penalty: on the squared direction, in units of the channels' spread.
    """

    def __init__(self, activations: Tensor, penalty: float = SQUARE_PENALTY) -> None:
        self._penalty = penalty
        self._scale = activations.std(dim=(0, 2, 3)).clamp(min=1e-6)
        self._features = activations.flatten(2) / self._scale[:, None]

    def fit(self, labels: Tensor) -> SquareProbe:
        """Return the probe for labels int64 [N]; a row labelled -1 is left out."""
        kept = _labelled(labels, 1)
        features, labels = self._features[kept], labels[kept]
        direction = torch.zeros(features.shape[1], requires_grad=True)
        optimiser = torch.optim.LBFGS([direction], max_iter=60, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            scores = torch.einsum("ncs,c->ns", features, direction)
            value = torch.nn.functional.cross_entropy(scores, labels) + self._penalty * direction.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimiser.step(loss)  # type: ignore[no-untyped-call]
        return SquareProbe((direction / self._scale).detach())


def check_features(kind: str, fitted: int, given: int) -> None:
    """Refuse to read with a probe from another network, site or maze size.

    Raises:
        GoalmazeError: it was fitted to another number of features.
    """
    if fitted != given:
        raise GoalmazeError(
            f"the {kind} probe reads {fitted} features, the activation has {given}; fit it at this site of this network"
        )


def _labelled(labels: Tensor, fewest: int) -> Tensor:
    kept = labels >= 0
    if kept.sum() < fewest:
        raise GoalmazeError(f"{int(kept.sum())} of {len(labels)} mazes have a label; to fit needs {fewest} or more")
    return kept


def make_fitter(kind: str, activations: Tensor, cells: int) -> GlobalFitter | SquareFitter:
    """Return the fitter for activations [N, ...]: "square" where they are maps and it is asked for, else "global"."""
    return (
        SquareFitter(activations) if kind == "square" and activations.dim() == 4 else GlobalFitter(activations, cells)
    )


def accuracy(probe: Probe, activations: Tensor, labels: Tensor) -> tuple[int, int]:
    """Return how many labels int64 [N] a probe reads right, and of how many; rows labelled -1 do not count."""
    kept = labels >= 0
    return int((probe(activations[kept]) == labels[kept]).sum()), int(kept.sum())
