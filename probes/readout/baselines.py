"""What a reading must beat, beyond the same probe on the observation and on the untrained network."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError

BOOTSTRAPS = 1000


def shuffled(labels: Tensor, seed: int) -> Tensor:
    """Return the labels [N, ...] dealt out to other mazes at random.

    Judged by true labels, a probe fitted on shuffled ones is no control: it learns on what squares a target may stand
    at all, and the square that stands out among them, which it then names, often is the target or never is. So those
    of the held-out mazes are dealt out too.
    """
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def control_labels(types: Tensor, labels: Tensor, seed: int) -> Tensor:
    """Return int64 like `types`, labels of a control task (Hewitt & Liang, 2019): one drawn for every type, and kept.

    A probe that does well on this can memorise; how much better the true labels are read is its selectivity.

    Args:
        types: int64 [...], what the label hangs on: the agent's cell of a maze, or the position of a square.
        labels: int64, the true ones, as often as which the drawn ones occur; -1 does not count.
        seed: of the draw.
    """
    luck = torch.Generator().manual_seed(seed)
    known = labels[labels >= 0].flatten()
    if not len(known):
        raise GoalmazeError("no label is known, so there is no control task; give some that are")
    drawn = known[torch.randint(0, len(known), (int(types.max()) + 1,), generator=luck)]
    return drawn[types]


def permutation_test(read: Tensor, measure: Callable[[Tensor], float], permutations: int = 999, seed: int = 0) -> float:
    """Return the p-value of a score, against readings dealt out to other mazes.

    Whole mazes are dealt, so that squares of one maze, which are alike, do not count as many.

    Args:
        read: [N] or [N, S], what was read in each held-out maze.
        measure: the score of such readings.
        permutations: how many.
        seed: of the deals.
    """
    luck, score = torch.Generator().manual_seed(seed), measure(read)
    as_good = sum(measure(read[torch.randperm(len(read), generator=luck)]) >= score for _ in range(permutations))
    return (1 + as_good) / (1 + permutations)


@dataclasses.dataclass(frozen=True)
class Score:
    """A score of held-out mazes.

    Attributes:
        value: of all of them.
        low: lower end of the 95 % interval over mazes.
        high: upper end.
    """

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, eq=False)
class Tally:
    """How well each maze was read, so that scores of any set of mazes can be told.

    Attributes:
        won: float64 [N, K], by class or in all.
        of: float64 [N, K], what could be won; the score is the mean over K of the shares of the sums.
    """

    won: NDArray[np.float64]
    of: NDArray[np.float64]

    @property
    def score(self) -> float:
        """The score of all mazes; NaN if there was nothing to win."""
        return float(_shares(self.won.sum(0)[None], self.of.sum(0)[None])[0])

    def scored(self, seed: int = 0) -> Score:
        """Return the score with its 95 % bootstrap interval over mazes.

        Raises:
            GoalmazeError: there is nothing to be right about.
        """
        return Score(self.score, *self.interval(seed))

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """Return the 95 % bootstrap interval over mazes.

        Raises:
            GoalmazeError: there is nothing to be right about.
        """
        if not self.of.sum():
            raise GoalmazeError("no maze has a label, so there is no score; give some that have")
        mazes = len(self.won)
        drawn = _bootstraps(mazes, seed)
        scores = _shares(drawn @ self.won, drawn @ self.of)
        low, high = np.percentile(scores[~np.isnan(scores)], [2.5, 97.5])
        return float(low), float(high)


@functools.lru_cache(maxsize=4)
def _bootstraps(mazes: int, seed: int) -> NDArray[np.float64]:
    """Return float64 [BOOTSTRAPS, mazes], how often each maze is drawn."""
    drawn = np.random.default_rng(seed).multinomial(mazes, np.full(mazes, 1 / mazes), BOOTSTRAPS)
    return drawn.astype(np.float64)


def _shares(won: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 [M], the mean over those classes K of [M, K] in which something could be won."""
    there = of > 0
    shares = np.where(there, won / np.where(there, of, 1), 0.0)
    known = there.sum(axis=1)
    result: NDArray[np.float64] = np.where(known > 0, shares.sum(axis=1) / np.maximum(known, 1), np.nan)
    return result


def tally_right(read: Tensor, truth: Tensor) -> Tally:
    """Return the tally of the share read right: int64 [N] both; a truth of -1 does not count."""
    kept = truth >= 0
    return Tally(((read == truth) & kept).double().numpy()[:, None], kept.double().numpy()[:, None])


def tally_f1(read: Tensor, truth: Tensor, classes: int) -> Tally:
    """Return the tally of macro-F1, the mean over classes of the harmonic mean of precision and recall.

    Args:
        read: int64 [N] or [N, S].
        truth: int64, like `read`; -1 does not count.
        classes: number K of them.
    """
    mazes, kept = len(read), (truth >= 0).reshape(len(read), -1)
    read, truth = read.reshape(mazes, -1), truth.reshape(mazes, -1)
    first = classes * torch.arange(mazes)[:, None]

    def counted(answers: Tensor) -> NDArray[np.float64]:
        counts: NDArray[np.float64] = torch.bincount(answers, minlength=mazes * classes).double().numpy()
        return counts.reshape(mazes, classes)

    both, either = kept & (read == truth), counted((first + read)[kept]) + counted((first + truth)[kept])
    return Tally(2 * counted((first + truth)[both]), either)


def macro_f1(truth: Tensor, classes: int) -> Callable[[Tensor], float]:
    """Return what gives the score of `tally_f1` alone, for readings like the truth; arguments as there."""
    told = torch.where(truth < 0, classes, truth).flatten()

    def score(read: Tensor) -> float:
        pairs = torch.bincount((read * (classes + 1)).flatten() + told, minlength=classes * (classes + 1))
        confusion = pairs.view(classes, classes + 1)[:, :classes].double().numpy()
        return float(_shares(2 * confusion.diagonal()[None], (confusion.sum(0) + confusion.sum(1))[None])[0])

    return score


def share_right(truth: Tensor) -> Callable[[Tensor], float]:
    """Return what gives the score of `tally_right` alone, for readings like the truth."""
    known = int((truth >= 0).sum())
    return lambda read: int((read == truth).sum()) / known


def tally_explained(read: Tensor, truth: Tensor, mean: float) -> Tally:
    """Return the tally of explained variance: float32 [N] both; a truth of NaN does not count.

    Args:
        read: the numbers read.
        truth: the true ones.
        mean: of the numbers fitted on, which is what one would say without reading.
    """
    kept = ~truth.isnan()
    wanted = torch.where(kept, truth, torch.full_like(truth, mean)).double()
    spread = (wanted - mean).square()
    error = torch.where(kept, (read.double() - wanted).square(), torch.zeros_like(wanted))
    return Tally((spread - error).numpy()[:, None], spread.numpy()[:, None])
