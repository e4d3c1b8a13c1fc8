"""Networks with about as many parameters that are deep or wide."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import scipy

from goalmaze.experiments.scaling.rows import ScaleRow


@dataclasses.dataclass(frozen=True)
class Difference:
    """A difference of means over seeds with Welch's 95 % interval.

    Attributes:
        value: of the means.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclasses.dataclass(frozen=True)
class Pair:
    """A deep and a wide network with about as many parameters, at the last checkpoint.

    Attributes:
        deep: width, blocks and parameters of the deep one.
        wide: of the wide one.
        regret: that of the deep one minus that of the wide one.
        preference: likewise.
    """

    deep: tuple[int, int, int]
    wide: tuple[int, int, int]
    regret: Difference
    preference: Difference


def matched_pairs(rows: Sequence[ScaleRow], ratio: float) -> tuple[Pair, ...]:
    """Return the pairs of networks in rows of a grid, from small to large.

    Args:
        rows: of a grid.
        ratio: largest ratio of the parameters of two networks that count as a pair.
    """
    last = max((row.steps for row in rows), default=0)
    networks: dict[tuple[int, int, int], list[ScaleRow]] = {}
    for row in rows:
        if row.steps == last:
            networks.setdefault((row.width, row.blocks, row.parameters), []).append(row)
    pairs = [
        Pair(deep, wide, *(_difference(networks[deep], networks[wide], one) for one in ("regret", "preference")))
        for deep, wide in permutations(networks, 2)
        if deep[1] > wide[1] and deep[0] < wide[0] and max(deep[2], wide[2]) <= ratio * min(deep[2], wide[2])
    ]
    return tuple(sorted(pairs, key=lambda one: one.deep[2]))


def _difference(deep: Sequence[ScaleRow], wide: Sequence[ScaleRow], quantity: str) -> Difference:
    first, second = (np.array([getattr(row, quantity) for row in rows]) for rows in (deep, wide))
    value = float(first.mean() - second.mean())
    if min(len(first), len(second)) < 2:
        return Difference(value, float("nan"), float("nan"))
    errors = np.array([one.var(ddof=1) / len(one) for one in (first, second)])
    if errors.sum() == 0:
        return Difference(value, value, value)
    degrees = errors.sum() ** 2 / (errors**2 / (np.array([len(first), len(second)]) - 1)).sum()
    width = float(scipy.stats.t.ppf(0.975, degrees) * np.sqrt(errors.sum()))
    return Difference(value, value - width, value + width)
