"""All populations of the benchmark under one roof: which method is chosen for which, and on which others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from goalmaze.experiments.audit.benchmark.populations import MeasuredPopulation
from goalmaze.experiments.audit.benchmark.rows import PopulationTest, Row
from goalmaze.probes.audit.registry import audit_methods
from goalmaze.probes.audit.tiers import Tier

LOTTERIES = ("lottery-green", "lottery-colour")
"""The populations on which methods are chosen."""

REGISTERED = (*LOTTERIES, "corner-seeds", "keys-chests-seeds", "sleeper-seeds", "impala-seeds")
"""The six registered populations."""


@dataclasses.dataclass(frozen=True, eq=False)
class Contest:
    """The tests of all populations.

    Attributes:
        tests: one test a population.
    """

    tests: tuple[PopulationTest, ...]

    @classmethod
    def of(cls, populations: Sequence[MeasuredPopulation]) -> Contest:
        """Return the tests of populations; each is calibrated on the others."""
        return cls(tuple(PopulationTest(one, populations) for one in populations))

    @cached_property
    def _by_name(self) -> dict[str, PopulationTest]:
        return {one.target.short_name: one for one in self.tests}

    def find(self, population: str) -> PopulationTest | None:
        """Return the test of a population by its short name; None where it was not measured."""
        return self._by_name.get(population)

    def row(self, population: str, method: str) -> Row | None:
        """Return a row; None where the population was not measured or there is no such method."""
        test = self.find(population)
        return None if test is None else test.rows.get(method)

    def chosen(self, test: PopulationTest, tier: Tier) -> str | None:
        """Return the method of a tier that is chosen for a population on others, without a look at its own agents.

        It is the method with the highest mean correlation over the lotteries, without the population itself, among the
        methods that apply to it. Without a lottery, the mean is over all other populations;
        None where there is none.
        """
        others = [one for one in self.tests if one is not test and one.target.tested]
        lotteries = [one for one in others if one.target.short_name in LOTTERIES]
        if not others:
            return None
        known = audit_methods()
        means = {
            name: float(np.mean([one.rows[name].value for one in lotteries or others]))
            for name in test.target.measurements
            if name in known and known[name].tier == tier and not known[name].side_channel
        }
        finite = {name: mean for name, mean in means.items() if np.isfinite(mean)}
        return max(finite, key=lambda name: finite[name]) if finite else None

    def chosen_row(self, population: str, tier: Tier) -> Row | None:
        """Return the row of the method that is chosen for a population; None where there is none."""
        test = self.find(population)
        method = None if test is None else self.chosen(test, tier)
        return None if test is None or method is None or not test.target.tested else test.rows[method]
