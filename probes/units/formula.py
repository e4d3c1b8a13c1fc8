"""Formulas: executable explanations of a channel, weighted sums of features and of conjunctions of two features."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from goalmaze.probes.units.states import Values

AND = " & "


@dataclasses.dataclass(frozen=True)
class Term:
    """A feature, or the product of two.

    Attributes:
        features: one or two names.
        weight: its factor in the sum.
    """

    features: tuple[str, ...]
    weight: float

    def __str__(self) -> str:
        return f"[{AND.join(self.features)}]"


@dataclasses.dataclass(frozen=True)
class Formula:
    """A channel explained: bias + sum of weight × term, cut off at 0 where the site is rectified.

    Attributes:
        terms: the terms, the first found first.
        bias: the value where no term holds.
        rectified: whether the channel is never negative.
        scale: standard deviation of the channel, in units of which weights are printed.
    """

    terms: tuple[Term, ...]
    bias: float
    rectified: bool = False
    scale: float = 1.0

    @property
    def length(self) -> int:
        """The number of features, each counted as often as it is written."""
        return sum(len(term.features) for term in self.terms)

    @property
    def names(self) -> list[str]:
        """The features that it needs, each once."""
        return list(dict.fromkeys(name for term in self.terms for name in term.features))

    def __call__(self, columns: Mapping[str, Values]) -> Values:
        """Return float32 [...], the channel as the formula simulates it.

        Args:
            columns: feature → its values float32 [...], of `names` at least and of one shape.
        """
        shape = next(iter(columns.values())).shape
        result = np.full(shape, self.bias, np.float32)
        for term in self.terms:
            product = columns[term.features[0]]
            for name in term.features[1:]:
                product = product * columns[name]
            result += np.float32(term.weight) * product
        return np.maximum(result, 0) if self.rectified else result

    def words(self, most: int | None = None) -> str:
        """Return the formula in words, weights in standard deviations of the channel.

        Args:
            most: number of terms written out; all where not given.
        """
        if not self.terms:
            return "nothing found"
        unit = self.scale or 1.0
        # The terms with the largest weight are what a reader wants first.
        ordered = sorted(self.terms, key=lambda term: -abs(term.weight))
        shown = ordered if most is None else ordered[:most]
        parts = [f"{term.weight / unit:+.2f} {term}" for term in shown]
        more = len(ordered) - len(shown)
        return " ".join(parts) + (f" and {more} more" if more else "")
