"""Baselines and controls of a probe, beside the same probe on the observation and on the untrained network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError


def shuffle_labels(labels: Tensor, seed: int) -> Tensor:
    """Return the labels [N, ...] assigned to other mazes at random.

    Shuffle the labels of the held-out mazes too. A probe fitted on shuffled labels learns on which squares a target can
    be, and the most salient of those squares often is the true target, or never is: with true labels its score is not
    at chance.
    """
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def control_labels(types: Tensor, labels: Tensor, seed: int) -> Tensor:
    """Return int64 like `types`, the labels of a control task (Hewitt & Liang, 2019): one random label for each type.

    A probe with a high score on this task memorises. The score of the true labels minus that of the control task is the
    probe's selectivity.

    Args:
        types: int64 [...], what determines a control label: the agent's cell in a maze, or the position of a square.
        labels: int64 [...], the true labels, whose frequencies the random labels have; -1 is ignored.
        seed: of the random labels.

    Raises:
        GoalmazeError: all labels are -1.
    """
    rng = torch.Generator().manual_seed(seed)
    known = labels[labels >= 0].flatten()
    if not len(known):
        raise GoalmazeError("no label is known, so there is no control task; give labels other than -1")
    # Drawn from the true labels, so that the most common one is as good a guess in both tasks.
    drawn = known[torch.randint(0, len(known), (int(types.max()) + 1,), generator=rng)]
    return drawn[types]


def permutation_test(
    predicted: Tensor, metric: Callable[[Tensor], float], permutations: int = 999, seed: int = 0
) -> float:
    """Return the p-value of a score under permutations of the predictions over mazes.

    Whole mazes are permuted, because the squares of one maze are correlated.

    Args:
        predicted: [N] or [N, S], the predictions in each held-out maze.
        metric: returns the score of such predictions.
        permutations: number of permutations.
        seed: of the permutations.
    """
    # scipy.stats.permutation_test(permutation_type="pairings") takes 6.2 ms instead of 4.0 ms, and its other random
    # numbers would change every p-value that was published.
    rng, score = torch.Generator().manual_seed(seed), metric(predicted)
    as_good = sum(
        metric(predicted[torch.randperm(len(predicted), generator=rng)]) >= score for _ in range(permutations)
    )
    # The observed order is one of the possible permutations, so p is never 0.
    return (1 + as_good) / (1 + permutations)
